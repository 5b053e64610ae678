"""Scans tell what the API really held: they agree with the ledger, unless somebody else wrote, or the ledger lies."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from conftest import codes

HEADER = ("extended_id", "lot", "intended_market")


def compare(here, *arguments):
    return here.run("scans", "compare", "--json", "--skew", "0", *arguments)


def scan_all(here, count=6):
    for number in range(count):
        here.box.scan(extended_id=f"K{number:06d}")


def pulled(here, form):
    if form == "ledger":
        assert here.run("scans", "pull", "--campaign", "1", "--into-ledger").code == 0
        return ()
    assert here.run("scans", "pull", "--campaign", "1", "--format", form, "--out", form).code == 0
    return (form,)


@pytest.mark.parametrize("form", ["ledger", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_scans_agree_with_what_was_confirmed(night, form, mode):
    with night(codes=codes(6)) as here:
        scan_all(here)  # before anything was uploaded: nothing to compare
        for lot in ("L1", "L2"):
            rows = [(f"K{number:06d}", lot, "007") for number in range(6)]
            assert here.sync("--mode", mode, here.write(f"{lot}.csv", HEADER, rows)).code == 0
            scan_all(here)
        done = compare(here, *pulled(here, form))
        assert (done.code, done.document["scans"]) == (0, {"read": 18, "compared": 12})
        assert done.document["values"] == {"agree": 24, "under_way": 0, "disagree": 0}
        assert done.document["fields"] == {"lot": {"agree": 12}, "intended_market": {"agree": 12}}


@pytest.mark.parametrize("form", ["ledger", "csv"])
def test_a_value_that_somebody_else_changed_disagrees_and_names_its_upload(night, form):
    with night(codes=codes(6)) as here:
        rows = [(f"K{number:06d}", "L1", "cn") for number in range(6)]
        assert here.sync(here.write("a.csv", HEADER, rows)).code == 0
        with here.box.lock:
            here.box.world.write(3, {"lot": "by hand"}, at_s=here.box.now_s(), cause="the portal")
            here.box.world.write(4, {"lot": ""}, at_s=here.box.now_s(), cause="the portal")
        scan_all(here)
        done = compare(here, *pulled(here, form))
        assert done.code == done.document["exit_code"] == 3
        assert done.document["values"] == {"agree": 10, "under_way": 0, "disagree": 2}
        told = {one["key"]: one for one in done.document["disagreements"]}
        assert (told["K000003"]["seen"], told["K000003"]["expected"]) == ("by hand", ["L1"])
        assert (told["K000004"]["seen"], told["K000003"]["file"], told["K000003"]["line"]) == (None, "a.csv", 5)
        text = here.run("scans", "compare", "--skew", "0", *pulled(here, form))
        assert text.code == 3
        assert "K000003" in text.out
        assert "syncer audit show" in text.out


def test_a_cleared_field_agrees_with_a_scan_that_does_not_show_it(night):
    with night(codes=codes(2, lot="old")) as here:
        here.config('[jobs.default]\nblank = "clear"\n')
        assert here.sync(here.write("a.csv", HEADER, [("K000000", "", "cn"), ("K000001", "x", "cn")])).code == 0
        scan_all(here, 2)
        done = compare(here, *pulled(here, "csv"))
        assert (done.code, done.document["values"]["agree"]) == (0, 4)


def test_an_upload_under_way_may_show_either_value(night):
    with night(codes=codes(2)) as here:
        assert here.sync(here.write("a.csv", HEADER, [("K000000", "L1", "cn")])).code == 0
        assert here.sync(here.write("b.csv", HEADER, [("K000000", "L2", "cn")])).code == 0
        here.box.scan(extended_id="K000000", scm_data={"lot": "L1", "intended_market": "cn"})
        where = pulled(here, "csv")
        assert compare(here, *where).code == 3, "L2 was confirmed before the scan"
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            (newest,) = database.execute("SELECT max(id) FROM batches").fetchone()
            database.execute("DROP TRIGGER events_no_update")
            database.execute("UPDATE events SET at = '2099-01-01T00:00:00.000Z' WHERE batch_id = ?", (newest,))
        done = compare(here, *where)
        assert (done.code, done.document["values"]["disagree"]) == (0, 0), "it was still under way then"


def test_discarded_fields_and_those_of_other_keys_are_not_compared(night):
    with night(
        codes=codes(4, case_no="C1"), campaigns={1: frozenset({"intended_market", "case_no", "pallet"})}
    ) as here:
        here.config(
            '[jobs.items]\nkey = "extended_id"\ncolumns = { lot = "lot", intended_market = "intended_market" }\n'
            '[jobs.cases]\nkey = "case_no"\ncolumns = { pallet = "pallet" }\n'
        )
        rows = [(f"K{number:06d}", "L1", "cn") for number in range(4)]
        here.sync("--job", "items", here.write("a.csv", HEADER, rows))
        here.sync("--job", "cases", here.write("b.csv", ("case_no", "pallet"), [("C1", "P1")]))
        scan_all(here, 4)
        done = compare(here, *pulled(here, "csv"))
        assert done.code == 0
        assert set(done.document["fields"]) == {"intended_market"}
        assert set(done.document["not_compared"]) == {"lot", "pallet"}


def test_a_rejected_or_unmatched_value_is_not_expected_of_scans(night):
    with night(codes=codes(2)) as here:
        done = here.sync(here.write("a.csv", HEADER, [("K000000", "L1", "cn"), ("GONE", "L1", "cn")]))
        assert done.code == 3
        here.box.scan(extended_id="K000000")
        here.box.scan(code_message="GONE")
        done = compare(here, *pulled(here, "ledger"))
        assert (done.code, done.document["scans"]["compared"]) == (0, 1)


def test_a_folder_without_parts_and_a_missing_ledger_are_told(night):
    with night(codes=codes(1)) as here:
        (here.folder / "empty").mkdir()
        assert compare(here, "empty").code == 13
        assert here.run("init").code == 0
        done = compare(here, "empty")
        assert (done.code, done.document["error"]["code"]) == (2, "source")


def test_a_comparison_of_nothing_does_not_look_like_one_that_agrees(night):
    with night(codes=codes(1)) as here:
        assert here.run("init").code == 0
        for campaign in ((), ("--campaign", "1")):
            done = compare(here, *campaign)
            assert (done.code, done.document["error"]["code"]) == (2, "usage")
        here.box.scan(extended_id="K000000")
        pulled(here, "ledger")
        done = here.run("scans", "compare")
        assert (done.code, "nothing was compared" in done.out.replace("\n", " ")) == (0, True)
        assert compare(here).document["scans"] == {"read": 1, "compared": 0}
