"""The results folder: of plans too, of stopped nights, in the job's own form, and nothing unmended is lost."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3

import pytest
from conftest import codes

from syncer.runs.results_folder import write_results

HEADER = ("extended_id", "activation_status")
GOOD = [(f"K{n:06d}", "active") for n in range(30)]
BAD = [("K000040", "aktiv"), ("K000041", "gesperrt")]


@pytest.fixture
def here(night):
    with night(codes=codes(50)) as opened:
        opened.write("a.csv", HEADER, [*GOOD, *BAD])
        yield opened


def rows(here, name, encoding="utf-8", delimiter=","):
    with (here.folder / name).open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def about(here):
    return json.loads((here.folder / "out" / "results.json").read_text(encoding="utf-8"))


def test_a_dry_run_prints_the_document_of_plan_whatever_comes_of_it(here):
    for words in (("missing.csv",), ("a.csv", "--job", "nobody"), ("a.csv",)):
        planned, dry = here.run("plan", "--json", *words), here.sync(*words, "--dry-run")
        assert planned.code == dry.code
        assert planned.document.keys() == dry.document.keys()
        assert (dry.document["command"], "samples" in dry.document) == ("plan", True)


@pytest.mark.parametrize("command", [("plan",), ("sync", "--dry-run")])
def test_a_plan_writes_its_results_too(here, command):
    done = here.run(*command, "--json", "a.csv", "--results", "out")
    assert done.code == 3
    assert [row["_code"] for row in rows(here, "out/error.csv")] == ["E307", "E307"]
    assert {row["_code"] for row in rows(here, "out/unprocessed.csv")} == {"unsent"}
    assert len(rows(here, "out/unprocessed.csv")) == 30
    assert rows(here, "out/confirmed.csv") == []
    assert (about(here)["command"], about(here)["run"]) == ("plan", None)


def test_of_several_files_each_row_is_told_by_its_own_file_and_line(here):
    here.write("b.csv", HEADER, [("K000045", "active"), ("K000046", "weg")])
    here.write("c.csv", HEADER, [("K000047", "weg"), ("K000048", "active")])
    assert here.run("plan", "b.csv", "c.csv", "--results", "out").code == 3
    told = [(row["extended_id"], row["_file"], row["_line"]) for row in rows(here, "out/error.csv")]
    assert told == [("K000046", "b.csv", "3"), ("K000047", "c.csv", "2")]
    assert [row["extended_id"] for row in rows(here, "out/unprocessed.csv")] == ["K000045", "K000048"]


def test_results_name_their_run_and_unmended_rows_of_an_earlier_one_are_kept(here):
    assert here.sync("a.csv", "--results", "out").code == 3
    assert (about(here)["run"], about(here)["files"], about(here)["exit_code"]) == (1, ["a.csv"], 3)
    here.write("b.csv", HEADER, [*GOOD, BAD[1], ("K000042", "weg")])  # one row of the night before is not in it
    done = here.sync("b.csv", "--results", "out")
    assert [row["extended_id"] for row in rows(here, "out/error.csv")] == ["K000041", "K000042"]
    assert [row["extended_id"] for row in rows(here, "out/error-run-1.csv")] == ["K000040", "K000041"]
    assert any("error-run-1.csv" in note for note in done.document["notes"])
    here.write("c.csv", HEADER, [*GOOD, ("K000042", "weg"), BAD[1], BAD[0]])  # all of them are: nothing is lost
    assert here.sync("c.csv", "--results", "out").document["notes"] == []
    assert here.sync("out/error.csv", "--results", "out").document["notes"] == []  # it is the input itself
    assert sorted(path.name for path in (here.folder / "out").iterdir()) == [
        "confirmed.csv", "error-run-1.csv", "error.csv", "results.json", "unprocessed.csv",
    ]  # fmt: skip


def test_a_night_that_a_guard_stops_says_what_it_read_and_leaves_no_stale_results(here):
    assert here.sync("a.csv", "--results", "out").code == 3
    here.write("b.csv", HEADER, [*[(key, "inactive") for key, _ in GOOD], *BAD, ("K000043", "weg")])
    done = here.sync("b.csv", "--results", "out")
    assert (done.code, done.document["rows"]["read"], done.document["rows"]["invalid"]) == (4, 33, 3)
    assert (about(here)["run"], about(here)["state"]) == (2, "stopped")
    assert {(row["_code"], row["_message"]) for row in rows(here, "out/unprocessed.csv")} == {
        ("unsent", "a guard stopped the run: nothing was sent")
    }
    assert len(rows(here, "out/error.csv")) == 3


@pytest.mark.parametrize("command", [("plan",), ("sync", "--dry-run")])
def test_mended_rows_of_the_results_folder_are_still_there_after_a_plan_and_are_sent_by_the_sync_after_it(
    here, command
):
    assert here.sync("a.csv", "--results", "out").code == 3
    errors = here.folder / "out" / "error.csv"
    errors.write_text(errors.read_text().replace("aktiv,", "active,").replace("gesperrt,", "inactive,"))
    before = {path.name: path.read_bytes() for path in errors.parent.iterdir()}
    planned = here.run(*command, "--json", "out/error.csv", "--results", "out")
    assert (planned.code, planned.document["rows"]["new"]) == (0, 2)
    assert [note for note in planned.document["notes"] if note.startswith("out/error.csv was read")]
    assert {path.name: path.read_bytes() for path in errors.parent.iterdir()} == before
    done = here.sync("out/error.csv", "--results", "out")
    assert (done.code, done.document["values"]["confirmed"]) == (0, 2)
    assert here.server()["K000040"]["activation_status"] == "1"
    assert (rows(here, "out/error.csv"), about(here)["run"]) == ([], 2)


def test_mended_rows_that_a_guard_stops_stay_where_the_next_command_reads_them(here):
    assert here.sync("a.csv", "--results", "out").code == 3
    errors = here.folder / "out" / "error.csv"
    errors.write_text(errors.read_text().replace("aktiv,", "active,").replace("K000041,gesperrt,", "8.71E+12,active,"))
    stopped = here.sync("out/error.csv", "--results", "out")
    assert (stopped.code, stopped.document["error"]["code"]) == (4, "guard")
    assert about(here)["run"] == 1
    errors.write_text(errors.read_text().replace("8.71E+12", "K000041"))
    assert here.sync("out/error.csv", "--results", "out").document["values"]["confirmed"] == 2


def test_a_night_that_ends_before_its_plan_is_stored_confirms_no_row_and_says_what_it_read(here):
    assert here.sync("a.csv").code == 3
    with contextlib.closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
        database.execute("UPDATE ledger SET company = json_set(company, '$.id', '99', '$.uuid', 'another')")
    here.write("b.csv", HEADER, [*GOOD, ("K000042", "active"), ("K000043", "weg")])
    done = here.sync("b.csv", "--results", "out")
    assert (done.code, done.document["error"]["code"]) == (2, "target-changed")
    read = {bucket: count for bucket, count in done.document["rows"].items() if count}
    assert read == {"read": 32, "new": 1, "unchanged": 30, "invalid": 1}
    assert {row["_code"] for row in rows(here, "out/confirmed.csv")} == {"unchanged"}
    ((key, code, message),) = [
        (row["extended_id"], row["_code"], row["_message"]) for row in rows(here, "out/unprocessed.csv")
    ]
    assert (key, code, message) == ("K000042", "unsent", "the run ended before its plan was stored: nothing was sent")
    assert [row["extended_id"] for row in rows(here, "out/error.csv")] == ["K000043"]


def test_a_night_that_ends_before_it_has_read_anything_sets_the_last_results_aside(here):
    assert here.sync("a.csv", "--results", "out").code == 3
    aside = write_results(here.folder / "out", {"run": 2, "state": "stopped"}, None)
    assert aside == ["confirmed-run-1.csv", "error-run-1.csv", "unprocessed-run-1.csv"]
    assert (about(here)["run"], about(here)["set_aside"]) == (2, aside)
    assert write_results(here.folder / "out", {"run": 3, "state": "stopped"}, None) == []


@pytest.mark.parametrize(
    ("encoding", "delimiter", "read_as"),
    [("cp1252", ";", "cp1252"), ("utf-8", ";", "utf-8-sig"), ("utf-16", "\t", "utf-16"), ("utf-8", ",", "utf-8")],
)
def test_results_have_the_form_of_the_job_and_are_read_back_alike(night, encoding, delimiter, read_as):
    declared = {"utf-16": "utf-16-le"}.get(encoding, encoding)
    with night(codes=codes(50)) as here:
        here.config(
            f"[jobs.default.csv]\nencoding = '{declared}'\ndelimiter = {json.dumps(delimiter)}\n"
            if encoding == "cp1252"
            else ""
        )
        lines = [
            ("extended_id", "activation_status", "größe"),
            ("K000001", "aktiv", 'Zürich "8"'),
            ("K000002", "active", "süß"),
        ]
        text = "\r\n".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines)
        (here.folder / "a.csv").write_bytes((text + "\r\n").encode(encoding))
        assert here.sync("a.csv", "--results", "out").code == 3
        (row,) = rows(here, "out/error.csv", read_as, delimiter)
        assert (row["größe"], row["_code"], row["_line"]) == ('Zürich "8"', "E307", "2")
        content = (here.folder / "out" / "error.csv").read_bytes()
        assert (content[:3] == b"\xef\xbb\xbf") is (read_as == "utf-8-sig")  # where a German spreadsheet needs it
        (here.folder / "out" / "error.csv").write_bytes(
            content.replace("aktiv".encode(declared), "active".encode(declared))
        )
        assert here.sync("out/error.csv").code == 0
        assert here.server()["K000001"]["größe"] == 'Zürich "8"'


@pytest.mark.parametrize("pad", ["", "x"])
@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "utf-8"])
def test_rows_that_nobody_mended_are_kept_in_whatever_encoding_and_length(here, pad, encoding):
    here.config(f"[jobs.default.csv]\nencoding = '{encoding}'\n")
    for name, rows in (
        ("a.csv", f"K000001;aktiv;Müller{pad}\nK000002;weg;ź„Jäger\n"),
        ("b.csv", "K000003;weg;Bäcker\n"),
    ):
        text = f"extended_id;activation_status;maker\n{rows}K000004;active;x\n"
        (here.folder / name).write_bytes(text.encode(encoding, "ignore"))
        assert here.sync(name, "--results", "out").code == 3
    form = "utf-8-sig" if encoding == "utf-8" else encoding
    kept = rows_of(here, "out/error-run-1.csv", form)
    assert [(row["extended_id"], row["maker"][-3:]) for row in kept] == [
        ("K000001", f"ler{pad}"[-3:]),
        ("K000002", "ger"),
    ]
    assert [row["extended_id"] for row in rows_of(here, "out/error.csv", form)] == ["K000003"]


def rows_of(here, name, encoding):
    return rows(here, name, encoding, ";")


@pytest.mark.parametrize("content", [b"extended_id,lot\nK1,L\n", b"\xff\xfe\x00", b"\x81\x8d;\n", b"x"])
def test_a_file_that_is_none_of_ours_is_never_replaced(here, content):
    for name in ("confirmed.csv", "error.csv", "unprocessed.csv"):
        (here.folder / name).write_bytes(content)
    done = here.sync("a.csv", "--results", ".")
    assert done.code == 3
    assert len([note for note in done.document["notes"] if "-own.csv: kept" in note]) == 3
    for name in ("confirmed-own.csv", "error-own.csv", "unprocessed-own.csv"):
        assert (here.folder / name).read_bytes() == content
    assert len(rows(here, "error.csv")) == 2


def test_an_export_that_has_one_of_our_names_is_kept_too(here):
    (here.folder / "a.csv").rename(here.folder / "error.csv")
    content = (here.folder / "error.csv").read_bytes()
    assert here.sync("error.csv", "--results", ".").code == 3
    assert (here.folder / "error-own.csv").read_bytes() == content


def test_of_several_files_with_a_run_each_all_results_are_there_at_the_end(here):
    here.config('[jobs.default.files]\npattern = "in/*.csv"\ntake = "each"\nsettle_s = 0\n')
    (here.folder / "in").mkdir()
    here.write("in/1.csv", HEADER, [("K000001", "active"), BAD[0]])
    here.write("in/2.csv", HEADER, [("K000002", "active"), ("K000003", "active")])
    done = here.sync("--results", "out")
    assert done.code == 3, done
    assert [row["extended_id"] for row in rows(here, "out/confirmed-run-1.csv")] == ["K000001"]
    assert [row["extended_id"] for row in rows(here, "out/error-run-1.csv")] == ["K000040"]
    assert [row["extended_id"] for row in rows(here, "out/confirmed.csv")] == ["K000002", "K000003"]
    assert any("confirmed-run-1.csv" in note for note in done.document["notes"])
