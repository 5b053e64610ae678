"""``syncer run``: the steps of a night, each accounted for, and one exit code that says the gravest."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import TOKEN, codes
from listeners import wait_for
from scan_tools import SCANS_END, everything, uuids

from syncer.api.client import SCM_PERMISSIONS
from syncer.config.step_options import STEP_KINDS
from syncer.config.steps import parse_steps
from syncer.request import ProductsRequest, ScansRequest, SyncStep, UploadRequest
from syncer.results import GRAVITY, NightResult, StepOutcome

HEADER = ("extended_id", "product")
STEPS = 'steps = [{products = {out = "p.jsonl"}}, {sync = {files = ["night-*.csv"], results = "out"}}]'
DOWN = {"kind": "status", "on": "products", "every": 1, "status_code": 503}


def night_of(here, *more, **extra):
    return here.run("run", "--json", *more, **extra)


def test_every_step_is_done_in_its_order_and_summed_up_in_one_document(night):
    with night(codes=codes(4), products=("a", "b")) as here:
        here.config(f"[nightly]\n{STEPS}\n")
        here.write("night-2.csv", HEADER, [("K000001", "b")])
        here.write("night-1.csv", HEADER, [("K000000", "a")])
        done = night_of(here)
        assert (done.code, done.document["exit_code"], done.document["command"]) == (0, 0, "run")
        first, second = done.document["steps"]
        assert (first["step"], first["exit_code"], first["summary"]["pull"]["products"]) == ("products", 0, 2)
        assert (second["step"], second["exit_code"], second["summary"]["values"]["confirmed"]) == ("sync", 0, 2)
        assert (here.folder / "p.jsonl").read_text().count("\n") == 2
        assert (here.folder / "out" / "confirmed.csv").exists()
        work = [logged.call for logged in here.box.requests if logged.call not in {"me", "tasks"}]
        assert work == ["products", "sync"]  # the copy of the first is used
        text = here.run("run")
        assert text.code == 0
        assert "step 2 of 2, sync: exit code 0" in text.out
        assert "2 of 2 steps ended well; exit code 0" in text.out
        alone = here.run("products", "pull", "--out", "p.jsonl", "--json").document
        assert set(first["summary"]) == set(alone), "a step's summary is what its own command prints"
        assert [first["summary"][name] for name in ("command", "exit_code", "error")] == ["products pull", 0, None]


def test_rows_that_are_not_confirmed_stop_no_later_step(night):
    with night(codes=codes(1), products=("a",)) as here:
        here.write("x.csv", HEADER, [("K000000", "none")])
        here.config('[nightly]\nsteps = [{sync = {files = ["x.csv"]}}, {products = {}}]\n')
        done = night_of(here)
        assert (done.code, [step["exit_code"] for step in done.document["steps"]]) == (3, [3, 0])


@pytest.mark.parametrize(("on_failure", "exits"), [("stop", [5, None]), ("continue", [5, 0])])
def test_a_failed_step_skips_the_later_ones_or_not(night, on_failure, exits):
    with night(codes=codes(1), products=("a",), faults=(DOWN,)) as here:
        here.write("night-1.csv", ("extended_id", "lot"), [("K000000", "L")])
        here.config(f'[nightly]\non_failure = "{on_failure}"\n{STEPS}\n')
        done = night_of(here, SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, [step["exit_code"] for step in done.document["steps"]]) == (5, exits)
        assert [step["skipped"] for step in done.document["steps"]] == [False, exits[1] is None]
        assert done.document["error"]["code"] == "unreachable"
        assert len(here.box.calls("sync")) == (0 if on_failure == "stop" else 1)


def test_the_last_line_names_the_steps_that_somebody_has_to_look_at(night):
    with night(codes=codes(1), products=("a",)) as here:
        here.write("x.csv", HEADER, [("K000000", "none")])
        steps = '[{sync = {files = "x.csv"}}, {products = {}}, {sync = {files = "none.csv"}}, {products = {}}]'
        here.config(f"[nightly]\nsteps = {steps}\n")
        done = here.run("run")
        last = " ".join(done.out.split())
        assert done.code == 2
        assert "1 of 4 steps ended well; to be looked at: 1 (sync); failed: 3 (sync); skipped: 4 (products)" in last
        assert last.count("next: ls") <= 1, "what to do is said once"


def test_a_pattern_that_no_file_matches_fails_its_step_alone(night):
    with night(products=("a",)) as here:
        here.config(f"[nightly]\n{STEPS}\n")
        done = night_of(here)
        assert (done.code, [step["exit_code"] for step in done.document["steps"]]) == (2, [0, 2])
        assert "no file matches night-*.csv" in done.document["error"]["message"]
        assert "no file matches" in here.run("run").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nightly.steps is empty"),
        ('[nightly]\nsteps = [{products = {}}, {scans = {campaign = 1, from = "noon"}}]', "no ISO date or time"),
        ('[nightly]\nsteps = [{products = {}}, {scans = {campaign = 1, timeframe = "soon"}}]', "no timeframe"),
        ("[nightly]\nsteps = [{products = {}}, {scans = {campaign = 1, where = {campaign_id = 7}}}]", "SCM fields"),
        ('[nightly]\nsteps = [{products = {}}, {scans = {campaign = 1, out = "config.toml"}}]', "is a file"),
        ('[nightly]\nsteps = [{products = {}}, {codes = {file = "a", default = {id = "x"}}}]', "not allowed"),
        ('[nightly]\nsteps = [{products = {}}, {sync = {job = "nope", files = ["a"]}}]', "there is not: 'nope'"),
        ("[nightly]\nsteps = [{products = {}}, {sync = {}}]", "step 2 names no files, and its job waits for none"),
        ('[nightly]\nsteps = [{products = {}}, {products = {out = "none/p.csv"}}]', "none/p.csv"),
        ("[nightly]\nsteps = [{products = {}, sync = {}}]", "one member"),
        ('[nightly]\non_failure = "maybe"', "one of stop, continue"),
    ],
)
def test_a_fault_in_any_step_is_found_before_the_first_begins(night, text, words):
    with night(products=("a",)) as here:
        here.config(text + "\n")
        done = night_of(here)
        assert (done.code, done.document["exit_code"]) == (2, 2)
        assert words in done.document["error"]["message"]
        assert len(here.box.requests) == 0


def test_without_a_token_nothing_begins(night):
    with night(products=("a",)) as here:
        here.config("[nightly]\nsteps = [{products = {}}]\n")
        assert night_of(here, SYNCER_API__TOKEN="").code == 2
        assert not (here.folder / "syncer.db").exists()


@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_a_signal_ends_the_night_and_the_next_one_goes_on(night, on_failure):
    with night(codes=codes(1), products=("a",), latency_s=0.5) as here:
        here.write("night-1.csv", ("extended_id", "lot"), [("K000000", "L")])
        here.config(f'[nightly]\non_failure = "{on_failure}"\n{STEPS}\n')
        process = here.start("run", "--json")
        wait_for(lambda: here.box.requests)
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        document = json.loads(out)
        assert (process.returncode, document["exit_code"]) == (143, 143), (out, err)
        assert document["steps"][1]["skipped"] or document["steps"][1]["exit_code"] == 143
        assert here.box.calls("sync") == []
        assert night_of(here).code == 0


def test_the_environment_may_name_the_steps(night):
    with night(products=("a",)) as here:
        assert night_of(here, SYNCER_NIGHTLY__STEPS="[{products = {}}]").code == 0


def test_the_gravest_exit_code_is_that_of_the_whole_whatever_the_order():
    for codes_ in itertools.permutations((0, 3, 5, 12), 3):
        result = NightResult(tuple(StepOutcome("s", code) for code in codes_), "continue")
        assert result.exit_code == min(codes_, key=GRAVITY.index)
    assert NightResult((StepOutcome("a", 0), StepOutcome("b")), "stop").exit_code == 0
    assert NightResult((StepOutcome("a", 77), StepOutcome("b", 13)), "stop").gravest.step == "a"


def test_steps_are_read_as_they_are_written():
    assert parse_steps([]) == ()
    scans = {"campaign": 195, "from": "2026-11-20", "flag": "out-of-market", "status": "active", "where": {"lot": 7}}
    steps = parse_steps(
        [
            {"products": {"archived": True}}, {"sync": {"files": "a.csv", "job": "erp"}}, {"scans": scans},
            {"codes": {"file": "c.csv", "default": {"lot": "L"}, "deadline": 5}},
        ]
    )  # fmt: skip
    assert steps == (
        ProductsRequest(True),
        SyncStep(("a.csv",), "erp"),
        ScansRequest(campaign=195, begin="2026-11-20", flags=("out-of-market",), status=1, where={"lot": "7"}),
        UploadRequest(file="c.csv", defaults=("lot=L",), deadline_s=5),
    )


def test_the_example_of_every_option_of_a_step_is_taken_alone():
    for name, step in STEP_KINDS.items():
        for option in step.options.values():
            said = {one.name: one.example for one in step.options.values() if one.needed or one is option}
            said |= {"out": '"x.csv"'} if (name, option.name) == ("products", "format") else {}
            table = ", ".join(f"{key} = {value}" for key, value in said.items())
            [read] = parse_steps(tomllib.loads(f"steps = [{{ {name} = {{ {table} }} }}]")["steps"])
            assert type(read) is step.request
            plain = {one.name: one.default for one in fields(step.request)}
            assert getattr(read, option.member or option.name) != plain[option.member or option.name] or option.needed


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", "a list of steps"), ([{}], "one member"), ([{"nap": {}}], "'nap'"), ([{"products": 3}], "tables of options"),
        ([{"products": {"arch": True}}], "'arch'"), ([{"products": {"archived": 1}}], "archived is true or false"),
        ([{"products": {"format": "xml", "out": "x"}}], "csv, jsonl, parquet"), ([{"products": {"format": "csv"}}], "beside out"),
        ([{"sync": {"files": []}}], "files is a text, or a list"),
        ([{"sync": {"files": ["a"], "job": 3}}], "job is a text"), ([{"scans": {}}], "scans has campaign"),
        ([{"scans": {"campaign": True}}], "campaign is a whole"), ([{"scans": {"campaign": 1, "status": "x"}}], "inactive"),
        ([{"scans": {"campaign": 1, "where": {"lot": [1]}}}], "where is a table"), ([{"codes": {}}], "codes has file"),
        ([{"scans": {"campaign": 1, "deadline": -1}}], "deadline is a number"),
        ([{"scans": {"campaign": 1, "into_ledger": True, "out": "x"}}], "stands alone"),
        ([{"scans": {"campaign": 1, "raw_csv": True, "format": "csv"}}], "not beside raw_csv"),
    ],
)  # fmt: skip
def test_every_fault_of_a_step_is_named(value, words):
    with pytest.raises(ValueError, match="step") as raised:
        parse_steps(value)
    assert words in str(raised.value)


SCANS = 'steps = [{scans = {campaign = 1, out = "scans", format = "jsonl"}}, {products = {}}]'


def test_scans_are_pulled_by_a_step_and_once_alone(night):
    with night(scans=30, scans_end=SCANS_END, products=("SAMPLE",)) as here:
        here.config(f"[nightly]\n{SCANS}\n")
        first, again = night_of(here), night_of(here)
        assert (first.code, again.code) == (0, 0), first.err
        step = first.document["steps"][0]
        assert (step["step"], step["exit_code"], step["summary"]["command"]) == ("scans", 0, "scans pull")
        assert uuids(here.folder / "scans") == everything(here)
        assert step["summary"]["scans"]["delivered"] == 30
        assert again.document["steps"][0]["summary"]["scans"]["delivered"] == 0
        assert "step 1 of 2, scans: exit code 0" in here.run("run").out


def test_a_product_of_the_copy_is_asked_for_again_when_the_copy_is_old(night):
    with night(scans=3, scans_end=SCANS_END, products=("SAMPLE",)) as here:
        assert here.run("products", "pull").code == 0
        pull = ("scans", "pull", "--campaign", "1", "--product", "SAMPLE")
        asked = len(here.box.calls("products"))
        assert here.run(*pull).code == 0
        assert len(here.box.calls("products")) == asked
        assert here.run(*pull, SYNCER_PRODUCTS__MAX_AGE_H="0").code == 0
        assert len(here.box.calls("products")) == asked + 1


def test_scans_into_the_ledger_and_the_raw_csv_are_steps_too(night):
    with night(scans=30, scans_end=SCANS_END, products=("SAMPLE",)) as here:
        here.config(
            "[nightly]\nsteps = [{scans = {campaign = 1, into_ledger = true}}, "
            '{scans = {campaign = 1, raw_csv = true, out = "all.csv"}}]\n'
        )
        done = night_of(here)
        assert [step["summary"]["format"] for step in done.document["steps"]] == ["ledger", "raw-csv"]
        assert (done.code, [step["exit_code"] for step in done.document["steps"]]) == (3, [0, 3])  # broken lines
        assert len((here.folder / "all.csv").read_text(encoding="utf-8").splitlines()) == 31


@pytest.mark.parametrize(
    ("step", "code", "left"),
    [('out = "s"', 10, []), ("into_ledger = true", 10, []), ('raw_csv = true, out = "s.csv"', 10, [])],
)
def test_the_deadline_of_a_scans_step_stops_it(night, step, code, left):
    with night(scans=30, scans_end=SCANS_END, products=("SAMPLE",)) as here:
        here.config(f"[nightly]\nsteps = [{{scans = {{campaign = 1, deadline = 0, {step}}}}}, {{products = {{}}}}]\n")
        done = night_of(here)
        assert (done.code, done.document["error"]["code"], done.document["steps"][1]["skipped"]) == (
            code, "deadline", True,
        )  # fmt: skip
        assert list(here.folder.glob("s*/part-*")) + list(here.folder.glob("s.csv*")) == left


def test_a_signal_while_scans_are_pulled_ends_the_night_and_the_next_goes_on(night):
    with night(scans=30, scans_end=SCANS_END, products=("SAMPLE",), latency_s=0.3) as here:
        here.config(f'[scans]\npage_rows = 2\n[nightly]\non_failure = "continue"\n{SCANS}\n')
        process = here.start("run", "--json")
        wait_for(lambda: here.box.calls("scans"))
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        document = json.loads(out)
        assert (process.returncode, document["exit_code"]) == (143, 143), (out, err)
        assert (document["steps"][0]["exit_code"], document["steps"][1]["skipped"]) == (143, True)
        assert document["error"]["next"] == "syncer run"
        here.config(f"[nightly]\n{SCANS}\n")
        assert night_of(here).code == 0
        assert uuids(here.folder / "scans") == everything(here)


def test_own_codes_are_uploaded_by_a_step_and_once_alone(night):
    with night(codes=()) as here:
        here.write("codes-1.csv", ("id", "lot"), [("OWNCODE-0001", "L1"), ("OWNCODE-0002", "L2")])
        here.config('[nightly]\nsteps = [{codes = {file = "codes-*.csv", default = {activation_status = 1}}}]\n')
        first, again = night_of(here), night_of(here)
        assert (first.code, again.code) == (0, 0), first.err
        assert first.document["steps"][0]["summary"]["codes"]["created"] == 2
        assert first.document["steps"][0]["summary"]["upload"]["defaults"] == {"activation_status": 1}
        assert "was uploaded before" in str(again.document["steps"][0]["summary"]["notes"])
        assert len(here.box.calls("process")) == 1
        here.write("codes-2.csv", ("id", "lot"), [("short", "L")])
        assert "2 files match" in night_of(here).document["error"]["message"]
        (here.folder / "codes-1.csv").unlink()
        assert (night_of(here).code, here.run("run").code) == (3, 3)


@pytest.mark.parametrize(
    ("steps", "held", "lacking"),
    [
        ("{products = {}}", (), ()),
        ("{scans = {campaign = 1}}", (), ("scans_download",)),
        ("{scans = {campaign = 1}}", ("scans_download",), ()),
        ('{codes = {file = "x"}}', ("ingestion_view", "workorder_view"), ("ingestion_cancel", "ingestion_code_create")),
    ],
)
def test_check_names_the_permissions_that_the_nights_steps_lack(night, steps, held, lacking):
    with night(tokens={TOKEN: SCM_PERMISSIONS | set(held)}) as here:
        here.config(f"[nightly]\nsteps = [{steps}]\n")
        done = here.run("check", "--json")
        finding = next(one for one in done.document["findings"] if one["what"] == "permissions")
        assert (done.code, finding["ok"]) == ((12, False) if lacking else (0, True)), finding
        words = finding["found"]
        assert all(name in words for name in lacking)
        assert not any(name in words for name in held)
        assert "the nightly step" in words


def test_the_order_of_the_exit_codes_is_documented_as_it_is():
    text = (Path(__file__).parents[2] / "docs" / "products.md").read_text(encoding="utf-8")
    order = re.search(r"^130/143.*?→ 0$", text, re.MULTILINE | re.DOTALL)[0]
    assert [int(number) for number in re.findall(r"\d+", order)] == [*GRAVITY]
