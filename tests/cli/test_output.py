"""What is shown and written: one document on standard output, people's text on standard error, and never the token."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOKEN, codes
from listeners import wait_for

from syncer.ledger.lock import LedgerLock

HEADER = ("extended_id", "intended_market")
ROWS = [(f"K{n:06d}", "DE" if n < 150 else f"x{n}") for n in range(250)]
SCHEMA = {
    "schema": int, "command": str, "exit_code": int, "run": dict, "rows": dict, "values": dict, "batches": dict,
    "requests": dict, "seconds": dict, "discarded_fields": list,
}  # fmt: skip


def test_the_document_has_every_member_of_the_contract(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        document = here.sync("a.csv").document
        for member, kind in SCHEMA.items():
            assert isinstance(document[member], kind), member
        assert set(document["run"]) == {"id", "job", "state", "started_at", "ended_at"}
        assert document["run"]["ended_at"].endswith("Z")
        assert set(document["rows"]) == {"read", "new", "changed", "unchanged", "duplicate", "invalid", "held"}
        assert set(document["values"]) == {"confirmed", "unmatched", "rejected", "in_doubt", "pending", "unsent"}
        assert set(document["requests"]) == {"updates", "reads", "throttled", "retries", "minimum_updates"}
        assert set(document["seconds"]) == {"plan", "send", "total"}
        assert document["error"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["init"], ["check"], ["plan", "a.csv"], ["sync", "a.csv"], ["resume"], ["status"], ["status", "1"], ["audit", "show", "K000001"],
        ["ledger", "check"], ["ledger", "upgrade"], ["ledger", "backup", "copy.db"],
        ["products", "pull"], ["products", "list"], ["products", "show", "SKU-1"],
    ],
)  # fmt: skip
def test_every_command_prints_one_document_and_text_without_it(night, arguments):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        if arguments[0] not in {"init", "check", "plan"}:
            here.sync("a.csv")
        text = here.run(*arguments)
        assert (text.code, text.out.strip() != "") == (0, True)
        (here.folder / "copy.db").unlink(missing_ok=True)
        for position in (0, len(arguments)):
            done = here.run(*arguments[:position], "--json", *arguments[position:])
            assert done.document["exit_code"] == done.code == 0
            (here.folder / "copy.db").unlink(missing_ok=True)


def test_the_token_stands_in_nothing_that_is_written_or_shown(night):
    faults = (
        {"kind": "status", "on": "sync", "nth": 1, "status_code": 500},
        {"kind": "garbage", "on": "async", "nth": 1},
    )
    with night(codes=codes(250), faults=faults) as here:
        here.write("a.csv", HEADER, [*ROWS, ("", "x")])
        shown = ""
        for arguments in (["-vv", "sync", "a.csv", "--results", "out", "--log-format", "json"], ["-vv", "check"], ["status", "1"],
                          ["audit", "export"], ["sync", "missing.csv", "-v"]):  # fmt: skip
            done = here.run(*arguments)
            shown += done.out + done.err
        assert TOKEN not in shown
        for path in here.folder.rglob("*"):
            if path.is_file():
                assert TOKEN.encode() not in path.read_bytes(), path
        assert (here.folder / "out" / "error.csv").stat().st_mode & 0o777 == 0o600


def test_the_token_stands_in_no_process_list(night):
    with night(codes=codes(250), latency_s=0.5) as here:
        here.write("a.csv", HEADER, ROWS)
        process = here.start("sync", "a.csv")
        wait_for(lambda: here.box.requests)
        assert TOKEN.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_log_lines_are_json_when_asked_and_go_to_standard_error(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("sync", "--json", "-vv", "--log-format", "json", "a.csv")
        lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert {"info", "debug"} <= {line["level"] for line in lines}
        assert any("planned -> sending" in line["message"] for line in lines)
        assert here.run("sync", "-q", "a.csv").err == ""


def test_the_audit_exports_every_value_in_both_forms(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        here.sync("a.csv")
        rows = list(csv.DictReader(io.StringIO(here.run("audit", "export").out)))
        lines = [
            json.loads(line) for line in here.run("audit", "export", "--format", "jsonl", "--run", "1").out.splitlines()
        ]
        assert sorted(row["key"] for row in rows) == sorted(key for key, _ in ROWS)
        assert {row["outcome"] for row in rows} == {"confirmed"}
        assert len(lines) == 250
        assert lines[0]["data"] == {"intended_market": "DE"}
        assert here.run("audit", "export", "--since", "2999-01-01").out.count("\n") == 1


def test_init_never_overwrites(night):
    with night() as here:
        here.config("# mine\n")
        done = here.run("init", "--json")
        assert (done.document["wrote_config"], done.document["made_ledger"]) == (False, True)
        assert (here.folder / "config.toml").read_text() == "# mine\n"
        assert (here.folder / "syncer.db").stat().st_mode & 0o777 == 0o600


def test_an_init_that_fails_has_written_nothing(night):
    with night() as here:
        assert here.run("ledger", "upgrade").code == 0
        with LedgerLock(here.folder / "syncer.db", since="now"):
            done = here.run("init", "--json")
        assert (done.code, done.document["wrote_config"], done.document["config"]) == (11, False, None)
        assert not (here.folder / "config.toml").exists()
        assert not list(here.folder.glob("*.part"))
        assert here.run("init", "--json").document["wrote_config"]


def test_init_asks_for_a_token_only_where_there_is_none(night):
    with night() as here:
        assert here.run("init").out.endswith("next: syncer check\n")
        assert "put the token into the environment" in here.run("init", SYNCER_API__TOKEN="").out


def test_resume_leaves_a_run_that_ended_as_it_is(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        first = here.sync("a.csv").document["run"]
        assert here.run("resume", "--json").document["run"] == first


def test_a_closed_standard_output_is_no_traceback(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        here.sync("a.csv")
        done = subprocess.run(
            f"{sys.executable} -m syncer audit export | head -1", shell=True, cwd=here.folder, env=here.variables(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr


def test_a_terminal_sees_a_live_bar_with_rate_and_confirmed_values(night):
    with night(codes=codes(250), latency_s=0.4) as here:
        here.write("a.csv", HEADER, ROWS)
        text = here.on_terminal("sync", "a.csv", columns=150)
        assert "sending" in text
        assert "/2" in text
        assert "of 250 values confirmed" in text


def test_check_says_what_to_do_about_each_fault(night):
    with night(tokens={TOKEN: frozenset({"codes_view"})}) as here:
        done = here.run("check", "--json")
        assert done.code == 12
        faults = [finding for finding in done.document["findings"] if not finding["ok"]]
        assert [finding["what"] for finding in faults] == ["permissions"]
        assert all(finding["next"] for finding in faults)
        away = here.run("check", "--json", SYNCER_API__BASE_URL="http://127.0.0.1:9")
        assert (away.code, away.document["error"]["code"]) == (5, "unreachable")
        assert "proxy" not in away.document["error"]["message"]
        behind = {"SYNCER_API__BASE_URL": "http://127.0.0.1:9", "https_proxy": "http://user:pw@127.0.0.1:9"}
        words = here.run("check", "--json", **behind).document["error"]["message"]
        assert ("HTTPS_PROXY is set, but not used" in words, "pw@" in words) == (True, False)
        assert here.run("check", "--json", SYNCER_API__TOKEN="").code == 2
        assert not (here.folder / "syncer.db").exists()


def test_the_form_of_a_file_is_shown_by_plan_and_kept_in_the_ledger(night):
    with night() as here:
        (here.folder / "form.csv").write_text("extended_id;market\n" + "K000001;DE\n" * 3, encoding="utf-16")
        shown = json.loads(here.run("plan", "form.csv", "--json").out)["notes"]
        assert [note for note in shown if note.startswith("form.csv: utf-16-le, semicolon, quote")]
        here.run("sync", "form.csv")
        with contextlib.closing(sqlite3.connect(here.folder / "syncer.db")) as database:
            (form,) = database.execute("SELECT form FROM sources").fetchone()
        kept = json.loads(form)
        assert (kept["encoding"], kept["delimiter"], kept["escape"]) == ("utf-16-le", ";", "")
        assert f"{kept['confidence']:.0%} sure" in shown[-1]
