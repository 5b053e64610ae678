"""Rules of fields from the configuration to the server: of keys, of statuses, and of what is a date in its file."""

from __future__ import annotations

import datetime as dt

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import codes

GERMAN = 'type = "date"\nformats = ["%d.%m.%Y"]\n'


@pytest.mark.parametrize("native", [False, True])
def test_a_day_in_a_key_selects_the_codes_that_have_this_day(night, native):
    world = tuple(
        {"extended_id": f"K{n}", "lot": "L1", "production_date": day} for n, day in enumerate(["2026-11-23", "23.11.2026"])
    )  # fmt: skip
    with night(codes=world) as here:
        here.config(f'[jobs.days]\nkey = ["lot", "production_date"]\n[jobs.days.fields.production_date]\n{GERMAN}')
        header, row = ("lot", "production_date", "market"), ("L1", "23.11.2026", "DE")
        if native:
            table = pa.table({"lot": ["L1"], "production_date": [dt.date(2026, 11, 23)], "market": ["DE"]})
            pyarrow.parquet.write_table(table, here.folder / "a")
        else:
            here.write("a", header, [row])
        done = here.sync("a", "--results", "out")
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1), done.err
        assert {one: of.get("market") for one, of in here.server().items()} == {"K0": "DE", "K1": None}
        again = here.sync(here.write("b", header, [("L1", "2026-11-23", "FR"), row]), "--results", "out")
        assert (again.code, again.document["rows"]["unchanged"], again.document["rows"]["invalid"]) == (3, 1, 1)
        told = here.run("audit", "show", "2026-11-23 + L1", "--json")
        assert told.code == 0, told.err


def test_a_choice_of_a_status_and_the_length_of_a_key_are_kept(night):
    with night(codes=codes(4)) as here:
        here.config(
            '[jobs.erp.fields.activation_status]\ntype = "choice"\nchoices = ["active"]\n'
            "[jobs.erp.fields.extended_id]\nmax_length = 7\n"
        )
        rows = [("K000000", "1"), ("K000001", "active"), ("K000002", "blacklisted"), ("TOOLONGKEY", "active")]
        done = here.sync(here.write("a.csv", ("extended_id", "activation_status"), rows), "--results", "out")
        assert (done.code, done.document["rows"]["invalid"]) == (3, 2)
        status = {one: of["activation_status"] for one, of in here.server().items()}
        assert status == {"K000000": "1", "K000001": "1", "K000002": "0", "K000003": "0"}
        text = (here.folder / "out" / "error.csv").read_text()
        assert "E305" in text
        assert "E306" in text


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_word_for_nothing_may_be_a_day(night, kind):
    never, day = dt.date(9999, 12, 31), dt.date(2026, 5, 1)
    with night(codes=codes(2, expiry="before")) as here:
        here.config(f'[jobs.erp.fields.expiry]\n{GERMAN.replace("%d.%m.%Y", "%Y-%m-%d")}null = ["9999-12-31"]\n')
        name = f"a.{kind}"
        if kind == "csv":
            here.write(name, ("extended_id", "expiry"), [("K000000", str(never)), ("K000001", str(day))])
        elif kind == "xlsx":
            book = openpyxl.Workbook()
            for row in (("extended_id", "expiry"), ("K000000", never), ("K000001", day)):
                book.active.append(row)
            book.save(here.folder / name)
        else:
            table = pa.table({"extended_id": ["K000000", "K000001"], "expiry": [never, day]})
            pyarrow.parquet.write_table(table, here.folder / name)
        assert here.sync(name).code == 0
        assert [here.server()[f"K{n:06d}"]["expiry"] for n in range(2)] == ["before", "2026-05-01"]
