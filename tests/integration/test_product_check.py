"""Rows that name an unknown product: rejected before anything is sent, and only when the API said so."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing

import pytest
from conftest import codes

HEADER = ("extended_id", "product")


def rows(*products):
    return [(f"K{number:06d}", product) for number, product in enumerate(products)]


def named(here):
    return {code["extended_id"]: code.get("product") for code in here.box.codes() if "product" in code}


def age(here, at):
    """Make the copy as old as a time."""
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
        database.execute("UPDATE products SET seen_at = ?", (at,))
        database.execute("UPDATE product_pulls SET seen_at = ?", (at,))


def test_rows_with_an_unknown_product_are_rejected_and_all_others_go_on(night):
    with night(codes=codes(4), products=("TEA", {"sku": "old", "is_archived": True})) as here:
        here.write("a.csv", HEADER, rows("TEA", "tea", "old", "none"))
        done = here.sync("a.csv", "--results", "out")
        assert (done.code, done.document["rows"]["invalid"]) == (3, 2)
        assert [(row["line"], row["code"]) for row in done.document["rejected"]] == [(3, "E309"), (5, "E309")]
        assert "'tea'" in done.document["rejected"][0]["message"]
        assert done.document["values"] == {
            "confirmed": 2, "unmatched": 0, "rejected": 0, "in_doubt": 0, "pending": 0, "unsent": 0,
        }  # fmt: skip
        assert named(here) == {"K000000": "TEA", "K000002": "old"}
        with (here.folder / "out" / "error.csv").open(newline="", encoding="utf-8") as file:
            assert [(row["product"], row["_code"]) for row in csv.DictReader(file)] == [
                ("tea", "E309"),
                ("none", "E309"),
            ]
        assert here.run("ledger", "check").code == 0


def test_a_young_copy_is_not_read_again_and_what_it_lacks_is_looked_up(night):
    with night(codes=codes(3), products=("a",)) as here:
        assert here.sync(here.write("a.csv", HEADER, rows("a"))).code == 0
        reads = len(here.box.calls("products"))
        assert here.sync(here.write("b.csv", HEADER, rows("a", "a"))).code == 0
        assert len(here.box.calls("products")) == reads
        here.box.catalogue.add("later")
        assert here.sync(here.write("c.csv", HEADER, rows("a", "a", "later"))).code == 0
        assert [logged.path for logged in here.box.calls("products")][reads:] == ["/api/v2/products/?sku__exact=later"]
        assert here.sync(here.write("d.csv", HEADER, rows("later", "a", "later"))).code == 0
        assert len(here.box.calls("products")) == reads + 1


def test_an_old_copy_is_read_anew_and_a_product_that_went_is_unknown(night):
    with night(codes=codes(2), products=("a", "b")) as here:
        here.sync(here.write("a.csv", HEADER, rows("a", "b")))
        here.box.catalogue.remove("b")
        age(here, "2020-01-01T00:00:00.000Z")
        done = here.sync(here.write("b.csv", HEADER, rows("b", "a")))
        assert [row["line"] for row in done.document["rejected"]] == [2]
        assert here.run("products", "list", "--json").document["pull"]["seen_at"] > "2020-01-02"


def test_more_unknown_ones_than_may_be_looked_up_are_settled_by_a_fresh_list(night):
    count = 120
    with night(codes=codes(count), products=("first",)) as here:
        here.sync(here.write("a.csv", HEADER, rows("first")))
        for number in range(0, count, 2):
            here.box.catalogue.add(f"P{number}")
        before = len(here.box.calls("products"))
        done = here.sync(here.write("b.csv", HEADER, rows(*(f"P{number}" for number in range(count)))))
        assert (done.document["rows"]["invalid"], done.document["values"]["confirmed"]) == (60, 60)
        assert all(int(key[1:]) % 2 == 0 for key in named(here))
        assert len(here.box.calls("products")) - before < 2 * 50 + 10


def test_a_list_that_lacks_what_look_ups_know_condemns_nobody(night):
    """The sandbox without products knows every SKU, though its list cannot: so does an API that hides some."""
    with night(codes=codes(80)) as here:
        done = here.sync(here.write("a.csv", HEADER, rows(*(f"P{number}" for number in range(80)))))
        assert (done.code, done.document["values"]["confirmed"]) == (0, 80)
        assert "30 products are not checked" in str(done.document["notes"])


def test_a_product_may_be_named_by_its_id(night):
    with night(codes=codes(2), products=("a", {"sku": "b", "id": 4711})) as here:
        done = here.sync(here.write("a.csv", HEADER, rows("4711", "4712")))
        assert [row["line"] for row in done.document["rejected"]] == [3]
        here.box.catalogue.add({"sku": "c", "id": 4713})
        assert here.sync(here.write("b.csv", HEADER, rows("4713"))).code == 0


def test_without_the_permission_nothing_is_checked_and_that_is_said(night):
    faults = ({"kind": "status", "on": "products", "every": 1, "status_code": 403},)
    with night(codes=codes(1), products=("a",), faults=faults) as here:
        done = here.sync(here.write("a.csv", HEADER, rows("a")))
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1)
        assert "lacks the permission product_view" in str(done.document["notes"])


@pytest.mark.parametrize("header", [("extended_id", "lot"), HEADER])
def test_nothing_is_asked_when_no_row_names_a_product_or_the_check_is_off(night, header):
    with night(codes=codes(2), products=("a",)) as here:
        here.config('[products]\ncheck = false\n[jobs.default]\nblank = "clear"\n' if header is HEADER else "")
        done = here.sync(here.write("a.csv", header, rows("x", "")))
        assert done.code in {0, 3}
        assert here.box.calls("products") == []
        assert "E309" not in done.out


def test_a_cell_that_clears_the_product_names_none(night):
    with night(codes=codes(2, product="a"), products=("a",)) as here:
        here.config('[jobs.default]\nblank = "clear"\n')
        here.sync(here.write("a.csv", HEADER, rows("", "")))
        assert here.box.calls("products") == []


def test_a_mapped_column_is_checked_under_its_scm_key(night):
    with night(codes=codes(2), products=("a",)) as here:
        here.config('[jobs.default.columns]\nId = "extended_id"\nArtikel = "product"\n[jobs.default]\nkey = "Id"\n')
        done = here.sync(here.write("a.csv", ("Id", "Artikel"), rows("a", "b")))
        assert [row["code"] for row in done.document["rejected"]] == ["E309"]


def test_plan_uses_the_copy_alone_and_says_when_it_cannot(night):
    with night(codes=codes(3), products=("a",)) as here:
        here.write("a.csv", HEADER, rows("a", "b"))
        first = here.run("plan", "--json", "a.csv").document
        assert (first["rows"]["invalid"], "no copy" in str(first["notes"])) == (0, True)
        here.run("products", "pull")
        calls = len(here.box.requests)
        second = here.run("plan", "--json", "a.csv", SYNCER_API__TOKEN="").document
        assert [row["code"] for row in second["rejected"]] == ["E309"]
        assert "sync asks the API" in str(second["notes"])
        age(here, "2020-01-01T00:00:00.000Z")
        third = here.run("plan", "--json", "a.csv").document
        assert (third["rows"]["invalid"], "max_age_h" in str(third["notes"])) == (0, True)
        notes = here.run("plan", "--json", "a.csv", SYNCER_PRODUCTS__CHECK="false").document["notes"]
        assert [note for note in notes if "product" in note] == []
        assert len(here.box.requests) == calls


def test_an_api_that_cannot_list_products_stops_the_run_before_anything_is_sent(night):
    faults = ({"kind": "status", "on": "products", "every": 1, "status_code": 503},)
    with night(codes=codes(1), products=("a",), faults=faults) as here:
        done = here.sync(here.write("a.csv", HEADER, rows("a")), SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, done.document["error"]["code"], done.document["run"]["state"]) == (
            5,
            "unreachable",
            "stopped",
        )
        assert here.box.calls("sync") == here.box.calls("async") == []
        here.box.faults.replace([])
        assert here.sync("a.csv").code == 0
