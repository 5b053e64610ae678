"""An export in its own words, taken by configuration alone: what is sent, shown, kept, and fed in again."""

from __future__ import annotations

import pytest

CONFIG = """
[jobs.erp]
constants = { brand = "Example" }
[jobs.erp.fields.extended_id]
from = "QR"
extract = "/q/([0-9A-Z]+)$"
[jobs.erp.fields.intended_market]
from = "Land"
trim = true
map = { "Deutschland" = "DE", "Frankreich" = "FR" }
[jobs.erp.fields.plant]
from = "Land"
map = { "Deutschland" = "P1" }
map_else = "P2"
[jobs.erp.fields.activation_status]
from = "Status"
map = { "aktiv" = "active", "gesperrt" = "blacklisted" }
"""
HEADER = ("QR", "Land", "Status")
ROWS = [(f"https://st4.ch/q/C{n:03d}", ("Deutschland ", "Frankreich")[n % 2], "aktiv") for n in range(30)]
BAD = [("https://st4.ch/q/C100", "Atlantis", "aktiv"), ("https://st4.ch/q/C101", "Atlantis", "gesperrt")]


@pytest.fixture
def erp(night):
    with night(codes=tuple({"extended_id": f"C{n:03d}"} for n in range(102))) as here:
        here.config(CONFIG)
        here.write("a.csv", HEADER, [*ROWS, *BAD])
        yield here


def test_values_are_sent_as_the_configuration_says_and_the_plan_shows_each_change(erp):
    planned = erp.run("plan", "--json", "a.csv")
    changes = {one["field"]: one for one in planned.document["changes"]}
    assert changes["brand"] == {
        "field": "brand", "column": None, "rows": 30, "complete": True,
        "values": [{"from": None, "to": "Example", "rows": 30}],
    }  # fmt: skip
    assert {"from": "Deutschland ", "to": "DE", "rows": 15} in changes["intended_market"]["values"]
    assert {"from": "aktiv", "to": "1", "rows": 31} in changes["activation_status"]["values"]
    assert changes["extended_id"]["values"][0] == {"from": "https://st4.ch/q/C000", "to": "C000", "rows": 1}
    text = erp.run("plan", "a.csv").out
    assert "'Deutschland ' → DE: 15 rows" in text
    assert "Frankreich → FR: 15 rows" in text
    assert "E320      2     'Atlantis' 2 rows (first: a.csv:32)" in text
    assert erp.sync("a.csv").code == 3
    assert erp.server()["C001"] == {
        "intended_market": "FR", "plant": "P2", "activation_status": "1", "brand": "Example",
    }  # fmt: skip


def test_error_csv_keeps_what_was_in_the_file_and_is_transformed_alike_when_it_is_fed_in_again(erp):
    done = erp.sync("a.csv", "--results", "out")
    assert [row["code"] for row in done.document["rejected"]] == ["E320", "E320"]
    assert done.document["faults"][0]["values"] == [{"value": "Atlantis", "rows": 2, "file": "a.csv", "line": 32}]
    error = erp.folder / "out" / "error.csv"
    lines = error.read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("https://st4.ch/q/C100,Atlantis,aktiv,a.csv,32,E320,")
    error.write_text("\n".join(lines).replace("Atlantis", "Deutschland", 1), encoding="utf-8")
    again = erp.sync("out/error.csv")
    assert (again.code, again.document["values"]["confirmed"]) == (3, 1)
    assert erp.server()["C100"]["intended_market"] == "DE"
    shown = erp.run("audit", "show", "C100", "--json").document
    assert shown["entries"][0]["file"] == "out/error.csv"


def test_the_same_export_on_the_next_night_is_unchanged(erp):
    assert erp.sync("a.csv").code == 3
    again = erp.sync("a.csv")
    assert (again.document["rows"]["unchanged"], again.document["requests"]["updates"]) == (30, 0)


def test_a_rule_of_a_field_that_is_not_sent_is_refused_by_check_and_by_sync(erp):
    erp.config('[jobs.erp]\ncolumns = { QR = "extended_id", Land = "market" }\n[jobs.erp.fields.Land]\ntrim = true\n')
    for command in (["check", "--json"], ["sync", "--json", "a.csv"]):
        done = erp.run(*command)
        assert done.code == 2
        assert "the column 'Land' is sent as 'market'" in done.document["error"]["message"]
