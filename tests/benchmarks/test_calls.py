"""The update calls of nights on 1,000,000 codes of 41,667 cases, counted by whole processes. Asserts counts alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from benchmarks.export import CASE_ROWS, joined
from benchmarks.measuring import once
from conftest import codes, open_night, write_csv

pytestmark = pytest.mark.benchmark
ROWS = int(os.environ.get("CALLS_ROWS", "1000000"))
CASES_OF_PALLET, PALLETS_OF_SHIPMENT = 40, 20
CANARY = 1
"""One call more than the least number, by which values tell that their fields are taken."""
STEPS = str(Path(__file__).parent / "steps.py")
NOT_SENT = 5


def export(path, **changed):
    """Write all codes as they stand; each of ``changed`` is an index of rows, with the values that they get."""
    row = np.arange(ROWS, dtype=np.int64)
    case = row // CASE_ROWS
    pallet = case // CASES_OF_PALLET
    day = np.datetime64("2026-01-01") + case // 100 % 300
    cells = {
        "extended_id": joined("HGDTQD54D5SD", row, 11),
        "product": joined("SKU", pallet % 200, 3),
        "lot": joined("L", pallet, 6),
        "production_date": pa.array(day.astype("datetime64[D]").astype(str)),
        "expiry_date": pa.array((day + 700).astype("datetime64[D]").astype(str)),
        "case_no": joined("C", case, 7),
        "pallet": joined("P", pallet, 6),
        "shipment": joined("S", pallet // PALLETS_OF_SHIPMENT, 4),
        "intended_market": joined("M", pallet % 40, 2),
        "activation_status": pa.array(np.zeros(ROWS, np.int64)).cast(pa.string()),
    }
    for name, (rows, value) in changed.items():
        at = np.zeros(ROWS, bool)
        at[rows] = True
        values = np.full(ROWS, value) if isinstance(value, str) else value
        cells[name] = pc.if_else(pa.array(at), pa.array(values).cast(pa.string()), cells[name].cast(pa.string()))
    pyarrow.csv.write_csv(pa.table(cells), path, pyarrow.csv.WriteOptions(quoting_style="none"))
    return row, case, pallet


def program(folder, *arguments, code=0):
    variables = {**os.environ, "SYNCER_API__TOKEN": "none", "SYNCER_API__BASE_URL": "http://127.0.0.1:9"}
    variables |= {"SYNCER_API__GIVE_UP_AFTER_S": "0.2", "SYNCER_PRODUCTS__CHECK": "false"}
    variables |= {"SYNCER_LIMITS__MAX_CHANGED_PERCENT": "100"}
    return once([sys.executable, *arguments], folder, variables, (code,))


def calls(folder, night, most, before):
    """Plan a night; print and check its calls."""
    document = json.loads(program(folder, "-m", "syncer", "plan", "--json", night).out)
    count = sum(document["batches"].values())
    least, rows = document["requests"]["minimum_updates"], document["rows"]
    print(
        f"| {night.removesuffix('.csv')} | {rows['new'] + rows['changed']:,} | {count:,} | {least:,} | {most:,} | {before} |"
    )
    assert least <= most
    assert count <= most + CANARY


def test_a_night_makes_the_least_calls_that_the_changed_fields_allow(tmp_path):
    chance = np.random.default_rng(1)
    row, _, pallet = export(tmp_path / "first load.csv")
    some = chance.choice(ROWS, ROWS // 100, replace=False)
    pallets = np.flatnonzero(np.isin(pallet, chance.choice(int(pallet.max()), 200, replace=False)))
    shipments = np.flatnonzero(pallet // PALLETS_OF_SHIPMENT < 5)
    nights = {
        "all codes activated": ({"activation_status": (row, "2")}, 1000, "10,000"),
        "5 whole shipments activated": ({"activation_status": (shipments, "2")}, 96, "960"),
        "1 % at random activated": ({"activation_status": (some, "2")}, 10, "100"),
        "1 % get one of 40 markets": (
            {"intended_market": (some, joined("N", chance.integers(0, 40, ROWS), 2))},
            40,
            "100",
        ),
        "200 pallets shipped, three fields": (
            {
                "activation_status": (pallets, "2"),
                "shipment": (pallets, "S9999"),
                "expiry_date": (pallets, "2031-01-01"),
            },
            193,
            "1,920",
        ),
    }
    print("\n| night | values | calls | least | to reach, + 1 for a canary | at c760f45 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    calls(tmp_path, "first load.csv", -(-ROWS // 100), "10,000")
    program(tmp_path, "-m", "syncer", "sync", "--json", "first load.csv", code=NOT_SENT)
    program(tmp_path, STEPS, "confirm")
    for night, (changed, most, before) in nights.items():
        export(tmp_path / f"{night}.csv", **changed)
        calls(tmp_path, f"{night}.csv", most, before)


@pytest.mark.parametrize("cases", [True, False], ids=["a set of data for each case", "one set of data for all"])
def test_a_first_load_in_which_one_value_of_a_thousand_does_not_exist(tmp_path, cases):
    """Measured on 1/20 of the values: the ratio is what counts."""
    rows = 50_000
    there = [place for place in range(rows) if place % 1000 != 500]
    found = {}
    for name, on_server in (("all", range(rows)), ("some", there)):
        (tmp_path / name).mkdir()
        known = codes(rows)
        with open_night(tmp_path / name, codes=[known[place] for place in on_server], updates_per_second=1000) as here:
            values = [(f"K{place:06d}", f"C{place // CASE_ROWS if cases else 0:05d}") for place in range(rows)]
            write_csv(here.folder / "a.csv", ("extended_id", "case_no"), values)
            done = here.sync("a.csv", SYNCER_API__UPDATES_PER_SECOND="1000", SYNCER_API__TIMEOUT_S="30")
            assert done.document["values"]["confirmed"] == len(on_server)
            assert done.document["values"]["unmatched"] == rows - len(on_server)
            found[name] = done.document["requests"]["updates"]
    ratio = found["some"] / found["all"]
    print(
        f"\nfirst load of {rows:,} values: {found['all']} calls, {found['some']} when 0.1 % do not exist: {ratio:.3f} ×"
    )
