"""`audit show` and `audit export`: each field of each value back to its file, line, call and answer, in every form."""

from __future__ import annotations

import csv
import errno
import gc
import io
import json
import os
import re
import shlex
from contextlib import closing, contextmanager
from types import SimpleNamespace

import openpyxl
import pyarrow.parquet as pq
import pytest
from conftest import codes, open_night

from syncer.errors import OutputError
from syncer.report import export

HEADER = ["extended_id", "case_no", "market"]
CONFIG = """
[jobs.erp]
key = "extended_id"
[jobs.cases]
key = "case_no"
columns = { case_no = "case_no", shipment = "shipment" }
[jobs.lots]
key = ["lot", "line"]
columns = { lot = "lot", line = "line", best_before = "best_before" }
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Codes of two cases, one of which moves; a shipment by case; a composite key; a value that nobody has."""
    folder = tmp_path_factory.mktemp("audit")
    stock = (*({"extended_id": f"K{n:06d}", "case_no": "", "lot": "L1", "line": str(n)} for n in range(4)),)
    with open_night(folder, codes=stock) as place:
        place.config(CONFIG)
        rows = [
            ["K000000", "C-17", "DE"],
            ["K000001", "C-17", "DE"],
            ["K000002", "C-18", "=1+1"],
            ["NOPE0001", "C-17", "FR"],
        ]
        assert place.sync(place.write("a.csv", HEADER, rows), "--job", "erp").code == 3
        assert (
            place.sync(place.write("b.csv", HEADER, [["K000001", "C-18", "FR"]]), "--job", "erp", "--approve").code == 0
        )
        assert place.sync(place.write("c.csv", ["case_no", "shipment"], [["C-17", "S-1"]]), "--job", "cases").code == 0
        done = place.sync(
            place.write("d.csv", ["lot", "line", "best_before"], [["L1", "3", "2027-01-01"]]), "--job", "lots"
        )
        assert done.code == 0, done.document
        place.write("own.csv", ["id", "product"], [["OWNCODE01", "sku1"]])
        place.run("codes", "upload", "own.csv", "--default", "case_no=C-17")
        yield place


def show(here, *arguments):
    done = here.run("audit", "show", "--json", *arguments)
    return done.code, done.document


def keys(document):
    return [" + ".join(story["key"]) for story in document["stories"]]


def rows(here, *arguments):
    return list(csv.DictReader(io.StringIO(here.run("audit", "export", *arguments).out)))


def test_every_field_goes_back_to_its_file_line_call_and_answer(here):
    code, document = show(here, "K000001")
    assert (code, document["values"], keys(document)) == (0, 1, ["K000001"])
    fields = {one["field"]: one for one in document["stories"][0]["fields"]}
    assert {name: (one["value"], one["state"]) for name, one in fields.items()} == {
        "case_no": ("C-18", "known"),
        "market": ("FR", "known"),
    }
    market = fields["market"]
    assert (market["file"], market["line"], market["run"]) == ("b.csv", 2, 2)
    assert market["batch"]
    assert market["reference"]
    assert market["answer"].endswith("1 code")
    moments = document["stories"][0]["moments"]
    assert [one["what"] for one in moments if one["run"] == 2][:2] == ["planned", "sent"]
    assert [one["at"] for one in moments] == sorted(one["at"] for one in moments)
    assert 'market: "DE" → "FR"' in next(one["words"] for one in moments if one["run"] == 2)


def test_all_codes_of_a_case_are_shown_with_those_that_left_it_and_the_case_itself(here):
    code, document = show(here, "--where", "case_no=C-17")
    assert code == 0
    assert keys(document) == ["C-17", "K000000", "K000001", "NOPE0001", "OWNCODE01"]
    assert document["values"] == 5
    _, narrowed = show(here, "--where", "case_no=C-17", "--where", "market=FR")
    assert keys(narrowed) == ["K000001", "NOPE0001"]
    _, one = show(here, "K000001", "--where", "case_no=C-17")
    assert keys(one) == ["K000001"]
    assert show(here, "K000002", "--where", "case_no=C-17")[0] == 3
    assert show(here, "--where", "case_no=C-99")[0] == 3


def test_a_composite_key_is_found_by_its_parts_in_any_order_as_printed_and_by_one_of_them(here):
    for asked in (["3", "L1"], ["L1", "3"], ["3 + L1"], ["L1 + 3"], ["--where", "lot=L1"], ["--where", "line=3"]):
        code, document = show(here, *asked)
        assert (code, keys(document)) == (0, ["3 + L1"]), asked
        assert document["stories"][0]["columns"] == ["line", "lot"]


def test_a_word_that_is_no_key_stands_for_what_was_ever_sent_it_or_has_it_in_its_key(here):
    for asked, expected in (("L1", ["3 + L1"]), ("C-18", ["K000001", "K000002"]), ("sku1", ["OWNCODE01"])):
        code, document = show(here, asked)
        assert (code, keys(document)) == (0, expected), asked
        assert f"no key is {asked}: {len(expected)} value" in here.run("audit", "show", asked).out
    assert keys(show(here, "C-17")[1]) == ["C-17"]  # a key is meant first
    assert show(here, "nothing")[0] == 3
    assert "2 words are the parts of one key" in here.run("audit", "show", "K000000", "K000001").out


def test_a_field_that_nobody_ever_heard_of_is_a_wrong_question(here):
    for command in (("show",), ("export",)):
        done = here.run("audit", *command, "--where", "marked=DE")
        assert (done.code, done.out) == (2, ""), "a header alone would look like a history of nothing"
        assert "market" in done.err
    assert here.run("audit", "show", "--where", "=DE").code == 2
    assert here.run("audit", "show").code == 2


def test_a_value_that_nobody_has_says_so(here):
    _, document = show(here, "NOPE0001")
    (story,) = document["stories"]
    assert story["absent"]
    assert story["moments"][-1]["what"] == "unmatched"
    assert {one["state"] for one in story["fields"]} == {"not confirmed"}


@pytest.mark.parametrize("columns", ["60", "80", "100"])
def test_the_story_is_readable_in_any_terminal(here, columns):
    text = here.run("audit", "show", "K000001", COLUMNS=columns).out
    assert max(map(len, text.splitlines())) <= int(columns)
    joined = " ".join(text.split())
    for word in ("K000001", "case_no", '"C-18"', "b.csv:2", "run 2", "planned", "confirmed"):
        assert word in joined


def test_the_page_is_one_file_that_runs_and_loads_nothing(here):
    done = here.run("audit", "show", "--where", "case_no=C-17", "--out", "case.html", "--json")
    assert (done.code, done.document["out"]) == (0, "case.html")
    path = here.folder / "case.html"
    page = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<img|\son\w+=|\sstyle=|https?://", page)
    for word in ("The story of case_no = C-17", "K000000", "K000001", "b.csv:2", "&#34;FR&#34;"):
        assert word in page


@pytest.mark.parametrize(
    ("asked", "ending"),
    [("audit show K000000", ".html"), ("report 1 --last=3", ".html"), ("audit pack K000000", ".zip")],
)
def test_a_file_whose_name_promises_another_kind_is_refused_with_the_name_that_fits(here, asked, ending):
    for name in ("night.pdf", "night"):
        done = here.run(*asked.split(), "--out", name, "--json")
        assert (done.code, (here.folder / name).exists()) == (2, False)
        again = done.document["error"]["next"]
        assert again == f"syncer {asked} --json --out {name}{ending}"
    assert here.run(*again.split()[1:]).code == 0
    assert (here.folder / f"{name}{ending}").exists()


def test_an_export_has_a_column_for_each_field_and_what_is_known_of_each_value(here):
    found = rows(here)
    by_key = {(row["key"], row["run_id"]): row for row in found}
    assert {"case_no", "market", "shipment", "best_before", "product"} <= found[0].keys()
    assert by_key["K000001", "2"]["market"] == "FR"
    assert json.loads(by_key["K000001", "2"]["before"]) == {"case_no": "C-17", "market": "DE"}
    assert by_key["K000000", "1"]["codes_affected"] in {"1", ""}
    assert by_key["NOPE0001", "1"]["codes_affected"] == "0"
    own = by_key["OWNCODE01", ""]
    assert (own["kind"], own["product"], own["case_no"], own["file"]) == ("own code", "sku1", "C-17", "own.csv")


def test_an_export_is_chosen_by_field_time_job_and_run(here):
    assert {row["key"] for row in rows(here, "--where", "case_no=C-17")} == {
        "K000000", "K000001", "NOPE0001", "C-17", "OWNCODE01",
    }  # fmt: skip
    assert {row["key"] for row in rows(here, "--job", "cases")} == {"C-17"}
    assert {row["key"] for row in rows(here, "--run", "2")} == {"K000001"}
    assert {row["run_id"] for row in rows(here, "--where", "market=FR", "--run", "2")} == {"2"}
    at = next(row["outcome_at"] for row in rows(here, "--run", "2"))
    before, since = rows(here, "--until", at), rows(here, "--since", at)
    assert len(before) + len(since) == len(rows(here))
    assert all(row["outcome_at"] < at for row in before)
    assert here.run("audit", "export", "--job", "karton").code == 2
    wrong = here.run("audit", "export", "--until", "yesterday", "--out", "a.csv", "--json")
    assert (wrong.code, wrong.document["error"]["next"]) == (2, "syncer audit export --help"), wrong
    for times, following in (
        (("2026-11-21", "2026-11-20"), "--since 2026-11-20 --until 2026-11-21"),
        (("2026-11-20", "2026-11-20"), "--until 2026-11-21"),
        (("2026-11-20T05:00Z", "2026-11-20T06:00+01:00"), "--until 2026-11-21T05:00:00Z"),
        (("9999-12-31", "9999-12-31"), ""),
    ):
        named = (
            "--job",
            "cases",
            "--where",
            "case_no=C-17",
            "--format",
            "jsonl",
            "--out",
            "a.jsonl",
            "--run",
            "1",
            "-q",
        )
        words = ("--json", "audit", "export", "--since", times[0], "--until", times[1], *named)
        told = here.run(*words).document["error"]["next"]
        assert told.endswith(following), told
        again = shlex.split(told)[1:]
        assert not {*words} - {*again, "--until", times[1]}, "what was asked for is asked for again"
        assert here.run(*again).code == 0, told
    reversed_ = here.run("audit", "export", "--since", "2026-11-21", "--until", "2026-11-20")
    assert (reversed_.code, "next: syncer audit export --since 2026-11-20 --until 2026-11-21" in reversed_.err) == (
        2,
        True,
    )


class _Full(io.BytesIO):
    def write(self, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_is_no_fault_of_the_command_and_nothing_stays_open(tmp_path, monkeypatch):
    @contextmanager
    def full(_path):
        with closing(_Full()) as file:
            yield SimpleNamespace(file=file, text=lambda: io.TextIOWrapper(file, write_through=True))

    monkeypatch.setattr(export, "replacing", full)
    for form in ("csv", "xlsx"):
        with pytest.raises(OutputError, match="cannot be written: No space left"):
            export.write_export([], ["lot"], form, tmp_path / f"all.{form}")
        gc.collect()  # what is still open is closed now, and would say so


def test_every_form_holds_the_same_and_no_cell_is_computed(here):
    whole = rows(here)
    for form in ("jsonl", "parquet", "xlsx"):
        done = here.run("audit", "export", "--json", "--out", f"all.{form}")
        assert (done.code, done.document["format"], done.document["entries"]) == (0, form, len(whole))
        assert (here.folder / f"all.{form}").stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in (here.folder / "all.jsonl").read_text().splitlines()]
    table = pq.read_table(here.folder / "all.parquet")
    assert table.schema.field("run_id").type == "int64"
    (sheet,) = openpyxl.load_workbook(here.folder / "all.xlsx").worksheets
    titles, *cells = sheet.iter_rows(values_only=True)
    assert list(titles) == table.column_names == list(whole[0])
    market = titles.index("market")
    assert [line["data"].get("market") for line in lines] == table["market"].to_pylist()
    assert [row[market] for row in cells] == ["'" + v if v and v[0] == "=" else v for v in table["market"].to_pylist()]
    assert [row["market"] or None for row in whole] == [row[market] for row in cells]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "b", "inlineStr"}


def test_a_form_that_is_not_supported_is_refused(here):
    for arguments in (
        ["--out", "a.xls"], ["--out", "a.txt"], ["--format", "parquet"], ["--format", "csv", "--out", "a.parquet"],
        ["--format", "xlsx", "--out", "a.csv"],
    ):  # fmt: skip
        refused = here.run("audit", "export", "--where", "market=FR", "--run", "2", *arguments)
        assert refused.code == 2, arguments
        again = refused.err.partition("  next: ")[2].split()
        assert again[:7] == ["syncer", "audit", "export", "--where", "market=FR", "--run", "2"]
        assert (again[-2], here.run(*again[1:]).code) == ("--out", 0)
    assert not list(here.folder.glob("a.[ptx]*"))


def test_a_field_that_is_uncertain_says_since_when_and_through_which_key(here):
    """Two keys reach one code: what was known under the one is relied on no more, once the other wrote the field."""
    header = ["extended_id", "best_before"]
    assert here.sync(here.write("s.csv", header, [["K000003", "2026-12-31"]]), "--job", "erp", "--approve").code == 0
    other = here.write("t.csv", ["lot", "line", "best_before"], [["L1", "3", "2027-02-02"]])
    assert here.sync(other, "--job", "lots", "--approve").code == 0
    _, document = show(here, "K000003")
    ((field,), (*_, last)) = document["stories"][0]["fields"], document["stories"][0]["moments"]
    assert (field["state"], field["doubt"]) == ("uncertain", "written through line + lot")
    assert (last["what"], last["at"]) == ("uncertain", field["doubted_at"])
    assert {one["doubt"] for one in show(here, "K000000")[1]["stories"][0]["fields"]} == {None}


def test_a_field_called_like_a_column_of_ours_keeps_both(night):
    with night(codes=codes(1)) as place:
        place.config('[jobs.default.columns]\nkind = "kind"\nline = "line"\n')
        place.sync(place.write("a.csv", ["extended_id", "kind", "line"], [["K000000", "x", "y"]]))
        (row,) = rows(place)
        assert (row["kind"], row["data.kind"], row["line"], row["data.line"]) == ("sync", "x", "2", "y")


def test_a_value_that_goes_on_in_smaller_batches_was_planned_once(night):
    with night(codes=codes(1400)) as here:
        rows = [(f"K{n:06d}", "DE" if n < 1300 else f"M{n}") for n in range(1400)]
        assert here.sync(here.write("a.csv", ("extended_id", "lot"), [*rows, ("NOPE0001", "DE")])).code == 3
        found = []
        for key in ("K000001", "K000700", "K001299"):
            (story,) = show(here, key)[1]["stories"]
            found.append([one["what"] for one in story["moments"]])
            assert found[-1].count("planned") == 1
            assert found[-1][-1] == "confirmed"
        assert max(said.count("sent") for said in found) > 1
