"""``syncer products``: every command as a user runs it, its document, its exit codes, its files."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from conftest import TOKEN, codes
from listeners import wait_for
from sampling import sample

from syncer.ledger.ledger import Ledger
from syncer.report.products import COLUMNS

PRODUCTS = (
    *(f"S{n:03}" for n in range(230)),
    {"sku": "Tee, grün", "name": 'with "quotes"\nand lines', "campaign": None},
)
OLD = {"sku": "old", "is_archived": True}
EVERY = {"kind": "status", "on": "products", "every": 1}


def kept(here):
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database:
        return [row[0] for row in database.execute("SELECT sku FROM products ORDER BY sku")]


def test_pull_keeps_every_page_and_says_what_changed_since(night):
    with night(products=(*PRODUCTS, OLD)) as here:
        done = here.run("products", "pull", "--json")
        assert (done.code, done.document["exit_code"], done.document["command"]) == (0, 0, "products pull")
        assert (done.document["pull"]["products"], done.document["new"], done.document["gone"]) == (231, 231, 0)
        assert (done.document["pull"]["rounds"], done.document["requests"]["reads"]) == (2, 6)
        assert len(kept(here)) == 231
        here.box.catalogue.remove("S007")
        here.box.catalogue.add("brand-new")
        again = here.run("products", "pull", "--json")
        assert (again.document["pull"]["products"], again.document["new"], again.document["gone"]) == (231, 1, 1)
        whole = here.run("products", "pull", "--archived", "--json").document
        assert (whole["pull"]["products"], whole["new"], whole["gone"]) == (232, 1, 1)
        assert "232 products (with the archived ones)" in here.run("products", "pull", "--archived").out
        assert here.run("ledger", "check").code == 0


def test_list_shows_the_copy_alone_and_what_is_gone(night):
    with night(products=("b", "a", OLD)) as here:
        empty = here.run("products", "list", "--json")
        assert (empty.code, empty.document["products"], empty.document["pull"]) == (0, [], None)
        assert "syncer products pull" in here.run("products", "list").out
        here.run("products", "pull", "--archived")
        here.box.catalogue.remove("a")
        here.run("products", "pull", "--archived")
        calls = len(here.box.requests)
        listed = here.run("products", "list", "--json", SYNCER_API__TOKEN="").document
        assert [(one["sku"], one["listed"]) for one in listed["products"]] == [("a", False), ("b", True)]
        assert listed["products"][1]["data"]["brand"]["name"] == "Sandbox Brand"
        assert listed["total"] == 2
        archived = here.run("products", "list", "--json", "--archived", "--search", "OL").document
        assert [one["sku"] for one in archived["products"]] == ["old"]
        assert len(here.run("products", "list", "--json", "--limit", "1").document["products"]) == 1
        text = here.run("products", "list", "--archived").out
        assert "gone" in text
        assert "archived" in text
        assert len(here.box.requests) == calls


def test_show_looks_into_the_copy_and_asks_the_api_for_what_it_lacks(night):
    with night(products=("a", OLD)) as here:
        first = here.run("products", "show", "a", "--json")
        assert (first.code, first.document["product"]["sku"], len(here.box.calls("products"))) == (0, "a", 1)
        assert here.run("products", "show", "a", "--json").document == first.document
        assert len(here.box.calls("products")) == 1
        here.run("products", "show", "a", "--fresh")
        assert len(here.box.calls("products")) == 2
        assert here.run("products", "show", "old", "--json").document["product"]["is_archived"]
        assert "company.name" in here.run("products", "show", "a").out
        none = here.run("products", "show", "none", "--json")
        assert (none.code, none.document["exit_code"]) == (2, 2)
        assert "'none'" in none.document["error"]["message"]


def test_show_answers_while_another_run_holds_the_ledger_and_pull_does_not(night):
    with night(products=("a",)) as here, Ledger.open_to_write(f"sqlite:///{here.folder}/syncer.db", at="2026-01-01"):
        assert here.run("products", "show", "a", "--json").code == 0
        done = here.run("products", "pull", "--json")
        assert (done.code, done.document["error"]["code"]) == (11, "ledger-busy")


def test_every_format_says_the_same_of_every_product(night):
    with night(products=PRODUCTS) as here:
        for name in ("p.csv", "p.jsonl", "p.parquet"):
            done = here.run("products", "pull", "--json", "--out", name)
            assert (done.code, done.document["out"], done.document["format"]) == (0, name, name.split(".")[1])
            assert (here.folder / name).stat().st_mode & 0o777 == 0o600
        with (here.folder / "p.csv").open(newline="", encoding="utf-8") as file:
            rows = {row["sku"]: row for row in csv.DictReader(file)}
        lines = [json.loads(line) for line in (here.folder / "p.jsonl").read_text(encoding="utf-8").splitlines()]
        table = {row["sku"]: row for row in pq.read_table(here.folder / "p.parquet").to_pylist()}
        assert len(rows) == len(lines) == len(table) == 231
        assert tuple(rows["S001"]) == COLUMNS == tuple(table["S001"])
        for line in lines:
            row, cells = rows[line["sku"]], table[line["sku"]]
            assert row["name"] == cells["name"] == line["name"]
            assert (row["id"], cells["id"]) == (str(line["id"]), line["id"])
            assert row["brand.name"] == cells["brand.name"] == line["brand"]["name"]
            assert (row["is_archived"], cells["is_archived"]) == ("false", False)
        assert (rows["Tee, grün"]["campaign.id"], table["Tee, grün"]["campaign.id"]) == ("", None)
        streamed = here.run("products", "pull", "--format", "jsonl")
        assert {json.loads(line)["sku"] for line in streamed.out.splitlines()} == set(rows)
        printed = here.run("products", "pull", "--format", "csv").out
        assert {row["sku"] for row in csv.DictReader(io.StringIO(printed, newline=""))} == set(rows)
        assert not list(here.folder.glob("*.part"))


def test_usage_that_cannot_be_is_refused_before_anything_is_read(night):
    with night(products=("a",)) as here:
        for arguments in (
            ("--format", "csv"), ("--out", "none/p.csv"), ("--out", "p.txt"), ("--out", "."), ("--format", "xml"),
        ):  # fmt: skip
            assert here.run("products", "pull", "--json", *arguments).code == 2, arguments
        for out, following in (
            ("none/p.jsonl", "mkdir -p none"),
            ("p.csv", "syncer products pull --archived --out products.jsonl"),
            ("-", "syncer products pull --format jsonl --archived"),
            ("my products.xlsx", "syncer products pull --archived --out 'my products.csv'"),
        ):
            form = [] if out.endswith("xlsx") else ["--format", "jsonl"]
            done = here.run("products", "pull", "--archived", *form, "--out", out, "--json")
            assert (done.code, done.document["error"]["next"]) == (2, following)  # not the same command again
        assert here.run("products", "pull", "--format", "parquet").code == 2
        assert here.run("products", "pull", "--json", SYNCER_API__TOKEN="").document["error"]["code"] == "configuration"
        assert len(here.box.requests) == 0


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({**EVERY, "status_code": 503}, 5), ({**EVERY, "status_code": 403}, 12), ({**EVERY, "status_code": 401}, 12),
        ({**EVERY, "status_code": 400}, 1), ({**EVERY, "kind": "garbage"}, 5), ({**EVERY, "kind": "truncate"}, 5),
        ({**EVERY, "kind": "redirect"}, 5), ({**EVERY, "kind": "hang", "seconds": 30}, 5),
        ({**EVERY, "kind": "body", "text": '{"count": 1, "next": null, "results": [{"id": "x"}]}'}, 5),
        ({**EVERY, "kind": "body", "text": '{"count": 9, "next": "http://127.0.0.1:9/api/v2/products/", "results": []}'}, 5),
    ],
)  # fmt: skip
def test_an_api_that_keeps_failing_ends_the_pull_and_leaves_everything_as_it_was(night, fault, code):
    with night(products=("a", "b")) as here:
        assert here.run("products", "pull", "--json", "--out", "p.csv").code == 0
        before = (here.folder / "p.csv").read_bytes()
        here.box.catalogue.add("c")
        here.box.faults.replace([fault])
        done = here.run("products", "pull", "--json", "--out", "p.csv", SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, done.document["exit_code"]) == (code, code), done.document
        assert done.document["error"]["next"]
        assert TOKEN not in done.out + done.err
        assert kept(here) == ["a", "b"]
        assert (here.folder / "p.csv").read_bytes() == before
        here.box.faults.replace([])
        assert here.run("products", "pull", "--json", "--out", "p.csv").code == 0
        assert kept(here) == ["a", "b", "c"]


def test_a_list_that_never_stands_still_ends_with_5_and_changes_nothing(night):
    with night(products=("a",)) as here:
        here.box.faults.replace(
            [{**EVERY, "kind": "body", "text": '{"count": 2, "next": null, "results": [{"id": 7, "sku": "z"}]}'}]
        )
        done = here.run("products", "pull", "--json", SYNCER_API__POLL_S="0.01")
        assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
        assert "kept changing" in done.document["error"]["message"]
        assert kept(here) == []


def test_a_single_failure_or_throttling_is_waited_out(night):
    faults = (
        {"kind": "status", "on": "products", "nth": 1, "status_code": 503},
        {"kind": "status", "on": "products", "nth": 2, "status_code": 429, "seconds": 1},
        {"kind": "drop_after", "on": "products", "nth": 4},
    )
    with night(products=PRODUCTS, faults=faults) as here:
        done = here.run("products", "pull", "--json")
        assert done.code == 0
        assert done.document["requests"] == {"reads": 9, "throttled": 1, "retries": 2}
        assert len(kept(here)) == 231


def test_a_death_at_any_request_leaves_nothing_half_written(night):
    with night(products=PRODUCTS) as here:
        assert here.run("products", "pull", "--json", "--out", "p.csv").code == 0
        before = (here.folder / "p.csv").read_bytes()
        tried = sample(range(1, 7), 3, name="deaths of a pull")  # two rounds of three pages
        for nth in tried:
            here.box.catalogue.add(f"later{nth}")
            here.box.faults.replace([{"kind": "hang", "on": "products", "nth": nth, "seconds": 30}])
            calls = len(here.box.calls("products"))
            process = here.start("products", "pull", "--out", "p.csv", SYNCER_API__TIMEOUT_S="30")
            wait_for(lambda box=here.box, most=calls + nth: len(box.calls("products")) >= most)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=10)
            assert len(kept(here)) == 231
            assert (here.folder / "p.csv").read_bytes() == before
        here.box.faults.replace([])
        assert here.run("products", "pull", "--json", "--out", "p.csv").code == 0
        assert len(kept(here)) == 231 + len(tried)
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_pull_cleanly_with_its_exit_code(night, number, code):
    with night(products=PRODUCTS, latency_s=0.3) as here:
        process = here.start("products", "pull", "--json")
        wait_for(lambda: len(here.box.calls("products")) >= 2)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, (out, err)
        assert json.loads(out)["exit_code"] == code
        assert json.loads(out)["error"]["next"] == "syncer products pull --json"
        assert kept(here) == []


def test_the_deadline_ends_a_pull(night):
    with night(products=PRODUCTS, latency_s=0.5) as here:
        assert here.run("products", "pull", "--json", SYNCER_RUN__DEADLINE_S="0.8").code == 10
        assert kept(here) == []


def test_an_export_that_cannot_be_written_says_that_the_ledger_has_the_products(night):
    with night(products=("a",)) as here:
        (here.folder / "p.csv.part").mkdir()  # stands in the way of the file that is to be renamed
        done = here.run("products", "pull", "--archived", "--json", "--out", "p.csv")
        assert (done.code, done.document["error"]["code"], kept(here)) == (1, "output", ["a"])
        assert "the ledger has them" in done.document["error"]["message"]
        assert done.document["error"]["next"] == "syncer products pull --archived --json --out p.csv"
        assert not (here.folder / "p.csv").exists()


def test_on_a_terminal_a_bar_shows_how_much_of_the_list_was_read(night):
    with night(products=PRODUCTS, latency_s=0.2) as here:
        text = here.on_terminal("products", "pull", columns=120)
        assert "reading products" in text
        assert "/231" in text


def test_progress_is_for_people_and_the_document_alone_for_scripts(night):
    with night(products=PRODUCTS, codes=codes(1)) as here:
        done = here.run("products", "pull", "--json", "-v")
        assert json.loads(done.out)["exit_code"] == 0
        assert here.run("products", "pull", "-q").err == ""


@pytest.mark.parametrize("sku", [None, ""])
def test_one_product_without_a_sku_stops_no_night(night, sku):
    """It was an answer that cannot be read: every pull, and every sync with a product, ended with 5."""
    listed = [{"id": 1, "sku": sku, "name": "odd"}, {"id": 2, "sku": "A", "campaign": {"id": 1}}]
    text = json.dumps({"count": 2, "next": None, "previous": None, "results": listed})
    fault = {"kind": "body", "on": "products", "every": 1, "text": text}
    with night(codes=codes(2), products=("A",), faults=(fault,)) as here:
        for name in ("p.csv", "p.jsonl", "p.parquet"):
            assert here.run("products", "pull", "--out", name).code == 0
        assert kept(here) == ["", "A"]
        assert here.run("products", "list").code == 0
        done = here.sync(here.write("a.csv", ("extended_id", "product"), [("K000000", "A"), ("K000001", "")]))
        assert (done.code, here.box.code("K000000")["product"]) == (0, "A")


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ({"id": "1", "is_archived": 0, "campaign": "7"}, 1),
        ({"id": 1, "is_archived": None, "campaign": {"id": None}, "name": 5}, 1),
        ({"id": 1, "is_archived": "no", "campaign": ["?"], "name": {"en": "Hat"}}, 1),
        ({"id": "d7210852-db2c-4e91"}, 0),
        ({"id": None}, 0),
        ({"id": True}, 0),
    ],
)
def test_one_product_of_other_types_stops_no_pull_and_no_night_and_rejects_no_row(night, odd, shown):
    """It was an answer that cannot be read: every pull, and every sync with a product, ended with 5."""
    listed = [{"sku": "ODD", **odd}, {"id": 2, "sku": "A", "campaign": {"id": 1}}]
    text = json.dumps({"count": 2, "next": None, "previous": None, "results": listed})
    fault = {"kind": "body", "on": "products", "every": 1, "text": text}
    with night(codes=codes(2), products=("A", "ODD"), faults=(fault,)) as here:
        done = here.run("products", "pull")
        told = "1 products have no id that can be read, and are left out: 'ODD'"
        assert (done.code, told in done.err) == (0, not shown)
        assert kept(here) == ["A", "ODD"][: 1 + shown]
        assert here.run("products", "show", "--fresh", "ODD").code == (0 if shown else 5)
        rows = [("K000000", "A"), ("K000001", "ODD")]
        done = here.sync(here.write("a.csv", ("extended_id", "product"), rows))
        assert (done.code, here.box.code("K000001")["product"]) == (0, "ODD")


def test_a_page_whose_entries_are_no_products_is_counted_and_left_out(night):
    text = json.dumps({"count": 3, "next": None, "results": [None, "A", {"id": 2, "sku": "A", "name": "x" * 10_001}]})
    with night(codes=codes(1), faults=({"kind": "body", "on": "products", "every": 1, "text": text},)) as here:
        assert here.run("products", "pull").code == 0
        assert kept(here) == ["A"]
