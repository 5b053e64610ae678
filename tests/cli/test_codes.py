"""`syncer codes` and `syncer workorders` as a user runs them: every exit code, documents, files, the audit."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import openpyxl
import pytest
from listeners import wait_for

HEADER = ("id", "product", "pallet_number")
ROWS = [(f"ABCD{n:05d}", "sku1", f"pal{n % 7}") for n in range(200)]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_0_a_file_becomes_codes_and_the_same_command_again_sends_nothing(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        options = (
            "--default",
            "activation_status=1",
            "--default",
            "updated_by=warehouse_1",
            "--url-prefix",
            "https://q.example/",
        )
        done = here.run("codes", "upload", "a.csv", *options, "--json")
        assert done.code == 0
        assert done.document["command"] == "codes upload"
        assert done.document["rows"] == {"read": 200, "valid": 200, "invalid": 0, "duplicate": 0}
        assert done.document["codes"] == {"created": 200, "not_created": 0, "open": 0}
        assert done.document["upload"]["state"] == "complete"
        assert here.box.code("ABCD00007") == {
            "extended_id": "ABCD00007", "product": "sku1", "pallet_number": "pal0", "activation_status": "1",
            "updated_by": "warehouse_1",
        }  # fmt: skip
        (record,) = here.box.ingestion.records.values()
        assert record.parameters["default_scm_data"] == {"activation_status": 1, "updated_by": "warehouse_1"}
        assert record.parameters["url_prefix"] == "https://q.example/"
        requests = len(here.box.requests)
        again = here.run("codes", "upload", "a.csv", *options, "--json")
        assert (again.code, again.document["upload"]["id"]) == (0, 1)
        assert "before" in again.document["notes"][0]
        assert here.run("codes", "resume", "--json").document["uploads"] == []
        assert len(here.box.requests) == requests
        assert here.box.world.violations == []


def test_0_json_files_keep_their_type(night):
    with night(codes=()) as here:
        (here.folder / "a.json").write_text(json.dumps([{"id": f"JSON{n:05d}", "lot": n} for n in range(50)]))
        assert here.run("codes", "upload", "a.json", "--json").code == 0
        (record,) = here.box.ingestion.records.values()
        assert (record.filetype, json.loads(record.content)[3]) == ("json", {"id": "JSON00003", "lot": 3})
        assert here.box.code("JSON00003")["lot"] == "3"


def test_0_a_large_file_is_split_by_rows_and_each_part_is_an_ingestion(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv", "--max-part-mb", "0.002", "--json")
        assert done.code == 0
        parts = done.document["upload"]["parts"]
        assert len(parts) > 2
        assert sum(part["codes"] for part in parts) == 200
        assert all(part["size_bytes"] <= 2000 for part in parts)
        assert len(here.box.ingestion.work_orders.orders) == len(parts)
        assert [code["extended_id"] for code in here.box.codes()] == [row[0] for row in ROWS]


def test_2_usage_configuration_and_files_that_cannot_be_read_send_nothing(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        (here.folder / "latin.csv").write_bytes("id,x\nABCD12345,é\n".encode("cp1252"))
        (here.folder / "noid.csv").write_text("ID,x\nABCD12345,1\n")
        (here.folder / "bad.json").write_text('{"id": "ABCD12345"}')
        for arguments in (
            ["upload"], ["upload", "missing.csv"], ["upload", "latin.csv"], ["upload", "noid.csv"], ["upload", "bad.json"],
            ["upload", "a.csv", "--default", "nothing"], ["upload", "a.csv", "--default", "activation_status=7"],
            ["upload", "a.csv", "--default", "id=x"], ["upload", "a.csv", "--default", "a=1", "--default", "a=2"],
            ["upload", "a.csv", "--errors", "a.csv"], ["status", "7"], ["resume", "7"], ["nonsense"],
        ):  # fmt: skip
            done = here.run("codes", *arguments, "--json")
            assert (done.code, done.document["exit_code"]) == (2, 2), (arguments, done)
            assert done.document["error"]["next"]
        assert here.run("codes", "upload", "a.csv", "--json", SYNCER_API__TOKEN="").code == 2
        assert len(here.box.requests) == 0
        assert (here.folder / "a.csv").stat().st_size > 100


def test_3_rows_that_are_wrong_stop_everything_before_it_is_sent(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, [*ROWS, ("short", "", ""), (ROWS[0][0], "", ""), ("ABCD 9999", "", "")])
        done = here.run("codes", "upload", "a.csv", "--json")
        assert (done.code, done.document["upload"], len(here.box.requests)) == (3, None, 0)
        assert done.document["rows"]["invalid"] == 4
        assert [(one["line"], one["code"]) for one in done.document["rejected"]] == [
            (2, "E602"), (202, "E601"), (203, "E602"), (204, "E601"),
        ]  # fmt: skip
        written = rows_of(here.folder / "a.errors.csv")
        assert [(one["id"], one["_line"], one["_code"]) for one in written][:2] == [
            ("ABCD00000", "2", "E602"), ("short", "202", "E601"),
        ]  # fmt: skip
        some = here.run("codes", "upload", "a.csv", "--skip-invalid", "--json")
        assert (some.code, some.document["codes"]["created"]) == (3, 199)
        mended = [{**one, "id": one["id"].replace(" ", "-").ljust(8, "x")} for one in written if one["_line"] != "203"]
        here.write("b.csv", list(mended[0]), [list(one.values()) for one in mended])
        assert here.run("codes", "upload", "b.csv", "--json").code == 0
        assert "_line" not in here.box.code("ABCD-9999")


def test_duplicates_may_be_allowed(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, [*ROWS, (ROWS[0][0], "other", "")])
        done = here.run("codes", "upload", "a.csv", "--allow-duplicates", "--json")
        assert (done.code, done.document["rows"]["duplicate"]) == (0, 1)
        assert here.box.code(ROWS[0][0])["product"] == "sku1"
        (record,) = here.box.ingestion.records.values()
        assert record.parameters["allow_posted_duplicates"] is True


def test_3_errors_of_the_api_lead_back_to_lines_and_the_mended_file_goes_through(night):
    existing = ({"extended_id": ROWS[3][0]}, {"extended_id": ROWS[150][0]})
    with night(codes=existing) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv", "--json", "--errors", "found.csv")
        assert (done.code, done.document["upload"]["state"], done.document["error_file"]) == (3, "failed", "found.csv")
        found = [(one["code"], one["line"], one["name"]) for one in done.document["errors"]]
        assert found == [(ROWS[3][0], 5, "duplicate_id_error"), (ROWS[150][0], 152, "duplicate_id_error")]
        written = rows_of(here.folder / "found.csv")
        assert [(one["id"], one["pallet_number"], one["_line"]) for one in written] == [
            (ROWS[3][0], "pal3", "5"), (ROWS[150][0], "pal3", "152"),
        ]  # fmt: skip
        assert done.document["codes"] == {"created": 0, "not_created": 200, "open": 0}
        status = here.run("codes", "status", "1", "--json")
        assert [one["line"] for one in status.document["errors"]] == [5, 152]
        here.write("b.csv", HEADER, [row for row in ROWS if row not in (ROWS[3], ROWS[150])])
        assert here.run("codes", "upload", "b.csv", "--json").code == 0
        assert len(here.box.codes()) == 200


def test_a_code_of_an_earlier_upload_is_refused_before_it_is_sent(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv").code == 0
        here.write("b.csv", HEADER, [ROWS[7], ("NEWC00001", "sku1", "")])
        requests = len(here.box.requests)
        done = here.run("codes", "upload", "b.csv", "--json")
        assert (done.code, [(one["line"], one["code"]) for one in done.document["rejected"]]) == (3, [(2, "E603")])
        assert len(here.box.requests) == requests


def test_products_are_checked_when_the_ledger_knows_some(night):
    with night(codes=(), products=frozenset({"sku1"})) as here:
        assert here.run("products", "pull").code == 0
        requests = len(here.box.requests)
        here.write("a.csv", HEADER, [("ABCD00001", "sku1", ""), ("ABCD00002", "sku2", "")])
        done = here.run("codes", "upload", "a.csv", "--json")
        assert (done.code, done.document["rejected"][0]["code"]) == (3, "E605")
        assert here.run("codes", "upload", "a.csv", "--default", "product=sku2", "--json").code == 2
        assert len(here.box.requests) == requests


def test_one_product_that_was_looked_up_is_no_list_of_them(night):
    with night(codes=(), products=frozenset({"sku1", "sku2"})) as here:
        assert here.run("init").code == 0
        assert here.run("products", "show", "sku2").code == 0
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv").code == 0


def test_rows_that_somebody_has_corrected_are_never_written_over(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, [("ABCD00001", "sku1", ""), ("AB 2", "sku1", "")])
        assert here.run("codes", "upload", "a.csv").code == 3
        assert here.run("codes", "upload", "a.csv").code == 3  # the same rows again
        assert not (here.folder / "a.errors-1.csv").exists()
        errors = here.folder / "a.errors.csv"
        mended = errors.read_text().replace("AB 2", "ABCD00002")
        errors.write_text(mended)
        again = here.run("codes", "upload", "a.csv", "--skip-invalid")
        assert "a.errors-1.csv" in again.err
        assert (here.folder / "a.errors-1.csv").read_text() == mended
        assert here.run("codes", "upload", "a.errors-1.csv").code == 0
        assert {code["extended_id"] for code in here.box.codes()} == {"ABCD00001", "ABCD00002"}


def test_a_code_of_a_record_that_ended_well_and_names_it_wrong_may_be_uploaded_again(night):
    with night(codes=(), faults=({"kind": "ingestion_stuck", "on": "process", "nth": 1},)) as here:
        here.write("a.csv", HEADER, ROWS[:3])
        assert here.run("codes", "upload", "a.csv", SYNCER_API__TASK_TIMEOUT_S="0.3").code == 3
        key = here.run("codes", "list", "--json").document["uploads"][0]["parts"][0]["record_key"]
        errors = {"workorder_id": 7, "errors": [{"invalid_product_error": [ROWS[1][0]]}]}
        text = json.dumps({"key": key, "status": "completed", "result_data": errors})
        here.box.faults.replace([{"kind": "body", "on": "record", "every": 1, "text": text}])
        assert here.run("codes", "resume").code == 3
        here.box.faults.replace([])
        assert rows_of(here.folder / "a.errors.csv")[0]["id"] == ROWS[1][0]
        assert here.run("codes", "upload", "a.errors.csv").code == 0


@pytest.mark.parametrize("command", ["codes", "audit"])
def test_no_output_takes_the_place_of_a_ledger_or_of_its_own_input(night, command):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, [("AB 2", "sku1", "")])
        assert here.run("init").code == 0
        before = (here.folder / "syncer.db").read_bytes()
        wanted = {
            "codes": ("codes", "upload", "a.csv", "--errors"),
            "audit": ("audit", "export", "--format", "csv", "--out"),
        }
        assert here.run(*wanted[command], "syncer.db").code == 2
        assert (here.folder / "syncer.db").read_bytes()[:16] == before[:16]
        assert here.run("ledger", "check").code == 0
        if command == "codes":
            (here.folder / "link").symlink_to(".")
            assert here.run(*wanted[command], "link/a.csv").code == 2
            assert "AB 2" in (here.folder / "a.csv").read_text().splitlines()[1]


def test_5_an_api_that_is_not_there(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        nobody = "http://127.0.0.1:9"
        done = here.run(
            "codes", "upload", "a.csv", "--json", SYNCER_API__BASE_URL=nobody, SYNCER_API__GIVE_UP_AFTER_S="0.3"
        )
        assert (done.code, done.document["error"]["code"], done.document["upload"]["state"]) == (
            5,
            "unreachable",
            "open",
        )
        assert here.run("codes", "upload", "a.csv", "--json").code == 0
        assert len(here.box.codes()) == 200


def test_11_another_run_holds_the_ledger_and_130_a_signal_ends_it_resumably(night):
    with night(codes=(), faults=({"kind": "ingestion_stuck", "on": "process", "nth": 1},)) as here:
        here.write("a.csv", HEADER, ROWS)
        process = here.start("codes", "upload", "a.csv", "--json")
        wait_for(lambda: here.box.calls("record"))
        busy = here.run("codes", "upload", "a.csv", "--json")
        assert (busy.code, busy.document["error"]["code"]) == (11, "ledger-busy")
        assert here.run("codes", "status", "--json").document["upload"]["state"] == "open"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, (out, err)
        assert json.loads(out)["upload"]["state"] == "open"
        for record in here.box.ingestion.records.values():
            record.stuck = False
        assert here.run("codes", "resume", "--json").code == 0
        assert len(here.box.calls("process")) == 1


def test_13_a_spool_that_was_tampered_with_is_refused(night):
    with night(codes=(), faults=({"kind": "status", "on": "post_data", "every": 1, "status_code": 503},)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv", SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        here.box.faults.replace([])
        (spooled,) = (here.folder / "syncer.db.codes").iterdir()
        spooled.write_bytes(spooled.read_bytes() + b"EVIL00001,x,y\n")
        done = here.run("codes", "resume", "--json")
        assert (done.code, done.document["error"]["code"]) == (13, "ledger")
        assert here.box.calls("storage") == []
        assert here.run("codes", "upload", "a.csv").code == 0  # the original writes it anew
        assert "EVIL00001" not in {code["extended_id"] for code in here.box.codes()}


def test_the_audit_shows_every_upload_of_a_code(night):
    with night(codes=({"extended_id": ROWS[0][0]},)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv").code == 3
        here.write("b.csv", HEADER, ROWS[1:])
        assert here.run("codes", "upload", "b.csv", "--default", "lot=9").code == 0
        shown = here.run("audit", "show", ROWS[5][0], "--json")
        first, second = shown.document["code_uploads"]
        assert (first["file"], first["line"], first["state"]) == ("a.csv", 7, "failed")
        assert (second["file"], second["line"], second["state"]) == ("b.csv", 6, "complete")
        assert (second["data"], second["defaults"]) == ({"product": "sku1", "pallet_number": "pal5"}, {"lot": "9"})
        duplicate = here.run("audit", "show", ROWS[0][0], "--json").document["code_uploads"]
        assert "duplicate_id_error" in duplicate[0]["message"]
        text = here.run("audit", "show", ROWS[5][0], COLUMNS="200").out
        assert "b.csv:6" in text
        listed = here.run("codes", "list", "--json").document["uploads"]
        assert [one["state"] for one in listed] == ["complete", "failed"]
        assert here.run("ledger", "check").code == 0


def test_work_orders_are_listed_and_extracted_and_nothing_is_replaced(night):
    with night(codes=(), page_size=2) as here:
        for n in range(5):
            here.write(f"{n}.csv", HEADER, [(f"WORK{n:05d}", "sku1", "")])
            assert here.run("codes", "upload", f"{n}.csv").code == 0
        listed = here.run("workorders", "list", "--json").document
        assert (len(listed["workorders"]), listed["complete"]) == (5, True)
        assert len(here.run("workorders", "list", "--limit", "2", "--json").document["workorders"]) == 2
        assert here.run("workorders", "list", "--search", "nothing", "--json").document["workorders"] == []
        order = listed["workorders"][-1]["id"]
        done = here.run("workorders", "download", str(order), "--out", "out", "--json")
        assert done.code == 0
        assert Path("out/codes.csv").as_posix() in done.document["files"]
        assert rows_of(here.folder / "out" / "codes.csv")[0]["extended_id"] == "WORK00000"
        again = here.run("workorders", "download", str(order), "--out", "out", "--json")
        assert (again.code, again.document["error"]["code"]) == (2, "usage")
        assert here.run("workorders", "download", "99", "--json").code == 2
        here.box.ingestion.work_orders.orders[order].evil = (("../evil.txt", b"x"),)
        evil = here.run("workorders", "download", str(order), "--out", "new", "--json")
        assert (evil.code, evil.document["error"]["code"]) == (4, "guard")
        assert not (here.folder / "evil.txt").exists()
        assert not (here.folder / "new").exists()


def test_rows_that_were_left_out_are_never_forgotten_by_a_later_look(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, [*ROWS[:3], ("short", "sku1", "")])
        upload = ("codes", "upload", "a.csv", "--skip-invalid", "--json")
        for number in range(2):
            done = here.run(*upload)
            assert (done.code, done.document["upload"]["state"]) == (3, "complete"), number
        assert here.run("codes", "resume", "1", "--json").code == 3
        assert "left out of it: 1 invalid rows of the file" in here.run("codes", "status").out


def test_work_orders_are_asked_for_again_when_the_api_fails_for_a_moment(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS[:3])
        done = here.run("codes", "upload", "a.csv")
        assert "workorders download" in done.out
        for fault in ({"kind": "status"}, {"kind": "status", "status_code": 429}, {"kind": "html"}):
            here.box.faults.replace([{**fault, "on": on, "nth": 1} for on in ("workorders", "workorder_file")])
            (order,) = here.run("workorders", "list", "--json").document["workorders"]
            out = f"out{len(list(here.folder.glob('out*')))}"
            assert here.run("workorders", "download", str(order["id"]), "--out", out, "--json").code == 0
        here.box.faults.replace([{"kind": "status", "on": "any", "every": 1}])
        for command in (("list",), ("download", "1", "--out", "never")):
            done = here.run("workorders", *command, "--json", SYNCER_API__GIVE_UP_AFTER_S="0.5")
            assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
            assert done.document["error"]["next"] == " ".join(["syncer workorders", *command, "--json"])


def test_words_for_people_go_to_standard_output_and_progress_to_standard_error(night):
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("codes", "upload", "a.csv")
        assert "upload 1 of a.csv: complete" in done.out
        quiet = here.run("codes", "upload", "a.csv", "-q", "--json")
        assert quiet.err == ""
        for arguments in (("codes", "status"), ("codes", "list"), ("workorders", "list")):
            assert here.run(*arguments).code == 0


def test_what_helps_with_another_encoding_names_that_one(night):
    with night(codes=()) as here:
        (here.folder / "own.csv").write_bytes("id,lot\nABCD10001,Mün\n".encode("utf-16"))
        done = here.run("codes", "upload", "own.csv", "--json")
        assert (done.code, done.document["error"]["next"].split(" && ")[0]) == (
            2,
            "iconv -f utf-16 -t utf-8 own.csv > codes-utf8.csv",
        )


def test_a_job_says_how_a_file_is_written_and_a_dry_run_sends_and_records_nothing(night):
    with night(codes=()) as here:
        here.config(
            '[jobs.default]\ncolumns = { Code = "extended_id", Lot = "lot" }\n[jobs.own]\nknown_fields = ["lot"]\n'
            'columns = { Serial = "id", Lot = "lot" }\n[jobs.own.csv]\nencoding = "cp1252"\n'
        )
        (here.folder / "own.csv").write_bytes("Serial;Lot;Remark\nABCD10001;Mün;x\nshort;L;y\n".encode("cp1252"))
        upload = ("codes", "upload", "own.csv", "--json")
        undeclared = here.run(*upload)
        assert undeclared.code == 2
        assert undeclared.document["error"]["next"].startswith("iconv -f cp1252 -t utf-8 own.csv > ")
        looked = here.run(*upload, "--job", "own", "--dry-run")
        assert (looked.code, looked.document["rows"]["valid"], looked.document["upload"]) == (3, 1, None)
        assert [one["id"] for one in looked.document["rejected"]] == ["short"]
        assert not list(here.folder.glob("*.errors.csv"))
        assert not here.box.requests
        done = here.run(*upload, "--job", "own", "--skip-invalid")
        assert (done.code, here.box.code("ABCD10001")["lot"]) == (3, "Mün")
        looked = here.run(*upload, "--job", "own", "--skip-invalid", "--dry-run")  # as the command itself says then
        assert (looked.code, "was uploaded before" in looked.document["notes"][0]) == (3, True)
        mended = here.folder / "own.errors.csv"
        mended.write_text(mended.read_text().replace("short,", "ABCD10002,"))
        assert here.run("codes", "upload", mended.name, "--job", "own").code == 0
        assert here.box.code("ABCD10002")["lot"] == "L"
        unknown = here.run(*upload, "--job", "own", SYNCER_JOBS__OWN__KNOWN_FIELDS='["lott"]')
        assert (unknown.code, "known_fields" in unknown.document["error"]["message"]) == (2, True)
        wrong = here.run(*upload, "--job", "default", SYNCER_JOBS__DEFAULT__CSV__ENCODING="cp1252")
        assert (wrong.code, "'Code'" in wrong.document["error"]["message"]) == (2, True)


def test_what_the_api_says_stands_beside_the_rows_that_the_check_rejected(night):
    with night(codes=({"extended_id": ROWS[1][0]},)) as here:
        here.write("a.csv", HEADER, [*ROWS[:3], ("=short", "sku1", "p\n1")])
        done = here.run("codes", "upload", "a.csv", "--skip-invalid", "--json")
        assert (done.code, done.document["error_file"]) == (3, "a.errors.csv")
        written = rows_of(here.folder / "a.errors.csv")
        assert [(one["id"], one["pallet_number"], one["_line"], one["_code"]) for one in written] == [
            ("'=short", "p\n1", "5", "E601"), (ROWS[1][0], "pal1", "3", "duplicate_id_error"),
        ]  # fmt: skip


def test_a_part_that_failed_says_that_its_right_rows_are_missing_too(night):
    with night(codes=({"extended_id": ROWS[-1][0]},)) as here:
        here.write("a.csv", HEADER, ROWS)
        upload = ("codes", "upload", "a.csv", "--max-part-mb", "0.002", "--json")
        done = here.run(*upload)
        missing, last = done.document["codes"]["not_created"], done.document["upload"]["parts"][-1]["number"]
        words = (
            f"created none of the {missing} codes of part {last}, right rows or not: correct the wrong ones in a.csv"
        )
        assert words in done.document["notes"][0]
        here.write("a.csv", HEADER, ROWS[:-1])
        assert here.run(*upload, "--skip-invalid").document["codes"]["created"] == missing - 1


def test_uploads_that_share_an_error_file_stand_in_it_together(night):
    existing = ({"extended_id": ROWS[0][0]}, {"extended_id": ROWS[1][0]})
    with night(codes=existing, faults=({"kind": "status", "on": "post_data", "every": 1, "status_code": 503},)) as here:
        for folder, row in (("x", ROWS[0]), ("y", ROWS[1])):
            (here.folder / folder).mkdir()
            here.write(f"{folder}/a.csv", HEADER, [row])
            assert here.run("codes", "upload", f"{folder}/a.csv", SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        here.box.faults.replace([])
        assert here.run("codes", "resume", "--json").document["error_file"] == "a.errors.csv"
        written = rows_of(here.folder / "a.errors.csv")
        assert [(one["id"], one["_file"]) for one in written] == [(ROWS[0][0], "x/a.csv"), (ROWS[1][0], "y/a.csv")]


def test_an_error_file_that_cannot_be_written_is_found_first_or_can_be_had_later(night):
    with night(codes=({"extended_id": ROWS[1][0]},)) as here:
        here.write("a.csv", HEADER, ROWS[:3])
        for command in (("upload", "a.csv"), ("resume",)):
            first = here.run("codes", *command, "--errors", "no/a.csv", "--json")
            assert (first.code, first.document["error"]["next"]) == (2, "mkdir -p no")
            assert here.run("codes", *command, "--errors", "-").code == 2
        assert len(here.box.requests) == 0
        (here.folder / "a.errors.csv").mkdir()
        done = here.run("codes", "upload", "a.csv", "--json")
        assert (done.code, done.document["error"]["code"]) == (1, "output")
        assert (done.document["upload"]["state"], len(done.document["errors"])) == ("failed", 1)
        assert here.run(*done.document["error"]["next"].split()[1:]).code == 3
        assert [one["id"] for one in rows_of(here.folder / "errors.csv")] == [ROWS[1][0]]


def test_json_with_half_a_character_is_rejected_by_its_line(night):
    with night(codes=()) as here:
        texts = [
            r'{"id": "HALF000001", "lot": "\ud800"}',
            r'{"id": "HALF00\udfff2"}',
            r'{"id": "WHOLE00003", "lot": "\ud83d\ude00"}',
        ]
        (here.folder / "a.json").write_text("[\n" + ",\n".join(texts) + "]")
        done = here.run("codes", "upload", "a.json", "--skip-invalid", "--json")
        assert [(one["line"], one["code"], one["id"]) for one in done.document["rejected"]] == [
            (2, "E606", "HALF000001"), (3, "E606", "HALF00\ufffd2"),
        ]  # fmt: skip
        assert (done.code, here.box.code("WHOLE00003")["lot"]) == (3, "\U0001f600")


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_a_spool_that_is_lost_stops_no_other_upload_and_the_file_writes_it_anew(night, name):
    down = {"kind": "status", "on": "post_data", "every": 1, "status_code": 503}
    with night(codes=(), faults=(down,)) as here:
        rows = [*ROWS, ROWS[0], ("short", "sku1", "")]
        here.write("a.csv", HEADER, rows)
        (here.folder / "a.json").write_text(json.dumps([dict(zip(HEADER, row, strict=True)) for row in rows]))
        here.write("b.csv", HEADER, [("OTHER00001", "sku1", "")])
        upload = ("codes", "upload", name, "--allow-duplicates", "--skip-invalid", "--max-part-mb", "0.004", "--json")
        for command in (upload, ("codes", "upload", "b.csv")):
            assert here.run(*command, SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        here.box.faults.replace([])
        spool = here.folder / "syncer.db.codes"
        lost = sorted(path for path in spool.iterdir() if path.stat().st_size > 100)
        lost[0].unlink()
        stuck = here.run("codes", "resume", "--json")
        assert (stuck.code, stuck.document["error"]["next"]) == (13, "syncer codes resume 1")
        assert "repeat the upload with its file" in stuck.document["error"]["message"]
        assert [one["state"] for one in stuck.document["uploads"]] == ["open", "complete"]
        assert [part["state"] for part in stuck.document["uploads"][0]["parts"]][1:] == ["complete"] * (len(lost) - 1)
        assert here.run(*upload[:-2], "0.003", "--json").code == 13  # other parts than those that were recorded
        done = here.run(*upload)
        assert (done.code, done.document["codes"]) == (3, {"created": 200, "not_created": 0, "open": 0})
        assert all(record.processed <= 1 for record in here.box.ingestion.records.values())
        assert list(spool.iterdir()) == []


@pytest.mark.parametrize("lost", [False, True], ids=["processing", "in doubt"])
def test_a_record_that_the_api_does_not_know_any_more_keeps_no_other_upload_back(night, lost):
    """It was taken for another address than the API's: exit 5 for ever, and no upload went on."""
    faults = [{"kind": "ingestion_stuck", "on": "process", "every": 1}]
    if lost:
        faults.insert(0, {"kind": "drop_after", "on": "process", "nth": 1})
        faults += [{"kind": "status", "on": "record", "every": 1, "status_code": 404}]
    quick = {"SYNCER_API__TASK_TIMEOUT_S": "0.3", "SYNCER_API__SETTLE_S": "0.1"}
    with night(codes=(), faults=tuple(faults)) as here:
        here.write("a.csv", HEADER, ROWS)
        here.write("b.csv", HEADER, [["OTHER00001", *ROWS[0][1:]]])
        assert here.run("codes", "upload", "a.csv", **quick).code == 3
        assert here.run("codes", "upload", "b.csv", **quick).code == 3
        here.box.faults.replace([])
        assert (here.run("codes", "list", "--json").out.count("in_doubt") > 0) is lost
        first, *others = here.box.ingestion.records.values()
        del here.box.ingestion.records[first.key]
        for record in others:
            record.stuck = False
        done = here.run("codes", "resume", "--json", **quick)
        assert [one["state"] for one in done.document["uploads"]] == ["open", "complete"], done
        assert (done.code, done.document["error"]) == (3, None)
        assert f"does not know record {first.key} any more" in done.err
        assert any(f"its record {first.key} has not ended since" in note for note in done.document["notes"])
        kept = here.run("codes", "abandon", "1", "--json")
        assert (kept.code, f"cancel its record ({first.key})" in kept.document["error"]["message"]) == (2, True)
        here.box.ingestion.records[first.key] = first  # it was away for a while
        first.stuck = False
        assert here.run("codes", "resume", **quick).code == 0
        assert len(here.box.calls("process")) == 2


def test_what_is_left_of_an_upload_whose_file_is_lost_is_let_go_of_and_its_codes_may_come_again(night):
    down = {"kind": "status", "on": "post_data", "every": 1, "status_code": 503}
    with night(codes=(), faults=(down,)) as here:
        here.write("a.csv", HEADER, ROWS)
        upload = ("codes", "upload", "a.csv", "--max-part-mb", "0.002", "--json")
        assert here.run(*upload, SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        here.box.faults.replace([{"kind": "ingestion_stuck", "on": "process", "nth": 1}])
        next(path for path in (here.folder / "syncer.db.codes").iterdir() if path.name.endswith("-1.csv")).unlink()
        lost = here.run("codes", "resume", SYNCER_API__TASK_TIMEOUT_S="0.5")
        assert (lost.code, "where both are lost: syncer codes abandon 1" in lost.out) == (13, True)
        gone = here.run("codes", "abandon", "1")
        assert (gone.code, gone.out.count("let go of; none was created")) == (0, 1)
        assert "its other parts go on: syncer codes resume 1" in gone.out
        again = here.run("codes", "abandon", "1", "--json")  # the API is at work at a part: that one is not let go of
        assert (again.code, again.document["error"]["next"]) == (2, "syncer codes resume 1")
        for record in here.box.ingestion.records.values():
            record.stuck = False
        done = here.run("codes", "resume", "--json")
        first = done.document["upload"]["parts"][0]
        assert (done.code, first["state"], first["message"]) == (
            3,
            "refused",
            "let go of by hand (syncer codes abandon)",
        )
        assert here.run("codes", "resume", "--json").code == 0
        assert here.run("codes", "abandon", "1").code == 2
        assert here.run("codes", "abandon", "9").code == 2
        assert "(syncer codes abandon)" in here.run("audit", "show", "ABCD00000").out
        assert here.run("ledger", "check").code == 0
        found_again = here.run(*upload, "--skip-invalid", "--json").document["codes"]
        assert found_again == {"created": first["codes"], "not_created": 0, "open": 0}
        assert here.run("ledger", "check").code == 0
        assert len(here.box.codes()) == len(ROWS)


@pytest.mark.parametrize("then", [("resume",), ("upload", "a.csv"), ("abandon", "1")])
@pytest.mark.parametrize("ends", [False, True], ids=["processing", "complete"])
def test_what_a_lost_time_began_is_neither_made_again_nor_let_go_of(night, then, ends):
    """The form for storage is spent, so another record was made: the codes came twice, or the upload failed."""
    down = {"kind": "status", "on": "storage", "every": 1, "status_code": 503}
    with night(codes=(), faults=(down,)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv", SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        assert here.run("ledger", "backup", "b.db").code == 0
        here.box.faults.replace([] if ends else [{"kind": "ingestion_stuck", "on": "process", "every": 1}])
        assert here.run("codes", "resume", SYNCER_API__TASK_TIMEOUT_S="0.2").code == (0 if ends else 3)
        assert here.run("ledger", "restore", "b.db").code == 0
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute("UPDATE upload_parts SET form_at = '2026-01-01T00:00:00.000Z'")
        (record,) = here.box.ingestion.records.values()
        done = here.run("codes", *then, "--json", SYNCER_API__TASK_TIMEOUT_S="0.2")
        assert done.code == (2 if then[0] == "abandon" else 0 if ends else 3)
        if done.code == 2:
            assert done.document["error"]["next"] == "syncer codes resume 1"
        record.stuck = False
        assert here.run("codes", "resume", "--json").code == 0
        assert here.run("codes", "status", "--json").document["codes"]["created"] == len(ROWS)
        assert list(here.box.ingestion.records.values()) == [record]
        assert here.run("ledger", "check").code == 0


def test_codes_that_a_lost_time_created_are_told_to_be_there(night):
    """All were refused as duplicates, and what was said was to correct the wrong rows."""
    with night(codes=()) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("products", "list").code == 0
        here.sync(here.write("n.csv", ("extended_id", "lot"), [("NONE00000", "1")]))
        assert here.run("ledger", "backup", "b.db").code == 0
        assert here.run("codes", "upload", "a.csv").code == 0
        assert here.run("ledger", "restore", "b.db").code == 0
        done = here.run("codes", "upload", "a.csv", "--json")
        assert done.code == 3
        assert any("the API has all 200 codes of a.csv already" in note for note in done.document["notes"])


def test_a_part_without_a_stored_file_is_let_go_of_where_its_record_waits_for_it(night):
    down = {"kind": "status", "on": "storage", "every": 1, "status_code": 503}
    with night(codes=(), faults=(down,)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv", SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        away = here.run("codes", "abandon", "1", "--json", SYNCER_API__BASE_URL="http://127.0.0.1:9")
        assert (away.code, away.document["upload"]) == (5, None)
        assert here.run("codes", "abandon", "1", "--json").document["codes"]["not_created"] == len(ROWS)
        here.box.faults.replace([])
        assert here.run("codes", "upload", "a.csv").code == 0


def test_a_record_that_never_ends_is_waited_for_once(night):
    with night(codes=(), faults=({"kind": "ingestion_stuck", "on": "process", "nth": 1},)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.run("codes", "upload", "a.csv", SYNCER_API__TASK_TIMEOUT_S="0.3").code == 3
        looks = len(here.box.calls("record"))
        for command in (("resume",), ("upload", "a.csv")):
            assert here.run("codes", *command, SYNCER_API__TASK_TIMEOUT_S="0.3").code == 3
        assert len(here.box.calls("record")) == looks + 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "id, lot\nABCD00001, 7\n", "the field ' lot' begins or ends with white space"),
        ("a.csv", "id,lot,lot\nABCD00001,1,2\n", "rename one; or name those that count in [jobs.own.columns]"),
        (
            "a.csv",
            "id,lot\nABCD00001\nABCD00002\n",
            "jobs.own.csv.delimiter, quote, escape, header (no header row); and add --job own",
        ),
        ("a.csv", "id,lot\nABCD00001,1\nid,lot\n", 'jobs.own.csv.repeated_header = "skip"'),
        ("a.csv", "id,l\x07t\nABCD00001,1\n", "cp037"),
        ("a.csv", b"PAR1xxxxPAR1", "it is a Parquet file; save it as CSV in UTF-8"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "(.xls), or one with a password; save it as CSV in UTF-8"),
    ],
)
def test_what_helps_with_a_file_that_is_none_of_own_codes_can_be_followed(night, name, content, said):
    with night(codes=()) as here:
        (here.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        done = here.run("codes", "upload", name, "--json")
        assert (done.code, len(here.box.requests)) == (2, 0)
        assert said in done.document["error"]["message"], done.document["error"]
        assert "iconv" not in done.document["error"]["next"]
        assert "table." not in done.document["error"]["message"]


def test_a_workbook_is_called_one_and_a_name_with_white_space_rejects_its_object(night):
    with night(codes=()) as here:
        book = openpyxl.Workbook()
        book.active.append(["id", "lot"])
        book.save(here.folder / "a.xlsx")
        done = here.run("codes", "upload", "a.xlsx", "--json")
        assert (done.code, done.document["error"]["message"]) == (
            2,
            "a.xlsx: it is an Excel workbook; save it as CSV in UTF-8",
        )
        (here.folder / "a.json").write_text('[{"id": "ABCD00001", "lot ": "7"}]')
        done = here.run("codes", "upload", "a.json", "--json")
        assert (done.code, done.document["rejected"][0]["code"], len(here.box.requests)) == (3, "E606", 0)


def test_a_job_names_the_columns_that_count_and_what_all_codes_get_is_among_its_fields(night):
    with night(codes=()) as here:
        here.config('[jobs.own]\ncolumns = { id = "id", "lot (column 2)" = "lot" }\nknown_fields = ["lot", "market"]\n')
        here.write("a.csv", ("id", "lot", "lot"), [("ABCD00001", "7", "8")])
        upload = ("codes", "upload", "a.csv", "--job", "own", "--json")
        for more in ((), ("--dry-run",)):
            wrong = here.run(*upload, "--default", "markt=DE", *more)
            assert (wrong.code, "did you mean 'market'" in wrong.document["error"]["message"]) == (2, True), wrong
        assert here.run(*upload, "--default", "market=DE", "--default", "activation_status=1").code == 0
        assert (here.box.code("ABCD00001")["lot"], here.box.code("ABCD00001")["market"]) == ("7", "DE")


def test_an_upload_that_was_left_open_is_named_by_the_next_one_of_another_file(night):
    """A night's step has a new file each night: nothing said that the one before was never ended."""
    down = {"kind": "status", "on": "post_data", "every": 1, "status_code": 503}
    with night(codes=(), faults=(down,)) as here:
        for name, begin in (("a.csv", 0), ("b.csv", 5)):
            here.write(name, HEADER, ROWS[begin : begin + 5])
            assert here.run("codes", "upload", name, SYNCER_API__GIVE_UP_AFTER_S="0.2").code == 5
        here.box.faults.replace([])
        here.write("c.csv", HEADER, ROWS[10:])
        done = here.run("codes", "upload", "c.csv", "--json")
        (note,) = done.document["notes"]
        words = "upload 1 of a.csv, and 1 more, have not come to an end: syncer codes resume"
        assert (done.code, note) == (0, words)
        assert here.run("codes", "resume", "1").code == 0
        assert "upload 2 of b.csv has not come to an end" in here.run("codes", "upload", "c.csv").out
        assert here.run("codes", "resume", "--json").document["notes"] == []
        assert here.run("codes", "upload", "b.csv").code == 0
        assert len(here.box.codes()) == len(ROWS)


def test_each_row_with_an_error_is_written_with_its_own_cells_though_all_stand_on_one_line(night):
    """`json.dumps` writes one line: each of its rows was written with the cells of the last one."""
    rows = [
        {"id": "JSON00001", "lot": "a"}, {"id": "bad", "lot": "b"}, {"lot": "c"}, {"id": "JSON00001", "lot": "d"},
        {"id": "JSON00002", "lot": "e"}, {"id": "JSON00002", "lot": "f", "activation_status": 7},
    ]  # fmt: skip
    with night(codes=()) as here:
        (here.folder / "a.json").write_text(json.dumps(rows))
        assert here.run("codes", "upload", "a.json", "--skip-invalid").code == 3
        written = [(one["id"], one["lot"], one["_code"]) for one in rows_of(here.folder / "a.errors.csv")]
        assert written == [
            ("JSON00001", "a", "E602"), ("bad", "b", "E601"), ("", "c", "E601"), ("JSON00001", "d", "E602"),
            ("JSON00002", "f", "E604"),
        ]  # fmt: skip
        assert [(code["extended_id"], code["lot"]) for code in here.box.codes()] == [("JSON00002", "e")]


def test_a_row_that_cannot_be_read_is_told_nothing_of_settings_that_own_codes_have_not(night):
    with night(codes=()) as here:
        (here.folder / "a.csv").write_text("id,lot\n" + "".join(f"ABCD{n:05d},1\n" for n in range(40)) + "ABCD99999\n")
        (one,) = here.run("codes", "upload", "a.csv", "--json").document["rejected"]
        assert (one["line"], one["message"]) == (42, "1 cell instead of 2: a separator is missing or too many")


def test_an_object_that_is_refused_is_written_with_all_of_its_members(night):
    """It was written with its id alone: corrected or not, its code came without its other fields."""
    rows = [{"id": "JSON00001", "lot": "a", "price": 1.5, "seen": None}, {"id": "JSON00002", "lot": ["b", "ü"]}, 7]
    with night(codes=()) as here:
        (here.folder / "a.json").write_text(json.dumps(rows))
        assert here.run("codes", "upload", "a.json").code == 3
        written = [(one["id"], one["lot"], one["price"]) for one in rows_of(here.folder / "a.errors.csv")]
        assert written == [("JSON00001", "a", "1.5"), ("JSON00002", '["b", "ü"]', ""), ("", "", "")]
        assert here.run("codes", "upload", "a.errors.csv", "--skip-invalid").code == 3
        assert (here.box.code("JSON00001")["lot"], here.box.code("JSON00001")["price"]) == ("a", "1.5")
