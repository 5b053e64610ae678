"""What rules of ten columns cost a plan of 1,000,000 rows: whole processes in turns. Prints; asserts no time."""

from __future__ import annotations

import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from benchmarks.export import CASE_ROWS, joined
from benchmarks.measuring import once

pytestmark = pytest.mark.benchmark
ROWS = int(os.environ.get("TRANSFORMED_ROWS", "1000000"))
RUNS = 5
WORDS = {"market": "Deutschland Frankreich Italien Spanien", "status": "frei gesperrt verkauft"}
RULES = """
[jobs.default.fields.intended_market]
map = {Deutschland = "DE", Frankreich = "FR", Italien = "IT", Spanien = "ES"}
[jobs.default.fields.state]
map = {frei = "0", gesperrt = "1", verkauft = "2"}
[jobs.default.fields.production_date]
type = "date"
formats = ["%d.%m.%Y"]
[jobs.default.fields.lot]
strip_prefix = "Charge "
[jobs.default.fields.case_no]
pad = 10
[jobs.default.fields.pallet]
upper = true
[jobs.default.fields.shipment]
extract = "S-(\\\\d+)"
[jobs.default.fields.size]
null = ["-"]
[jobs.default.fields.line]
trim = true
[jobs.default.fields.place]
from = "{pallet}/{case_no}"
"""
COLUMNS = "\n[jobs.default.columns]\n" + "\n".join(
    f'{name} = "{field}"'
    for name, field in {
        "market": "intended_market", "status": "state", "date": "production_date", "lot": "lot",
        "case_no": "case_no", "pallet": "pallet", "shipment": "shipment", "size": "size", "line": "line",
    }.items()
)  # fmt: skip


def export(path):
    row = np.arange(ROWS, dtype=np.int64)
    case = row // CASE_ROWS
    pallet, day = case // 40, np.datetime64("2026-01-01") + case // 100 % 300
    named = {
        name: pa.array(np.array(words.split())[case % len(words.split())].tolist()) for name, words in WORDS.items()
    }
    days = [f"{text[8:]}.{text[5:7]}.{text[:4]}" for text in day.astype("datetime64[D]").astype(str).tolist()]
    cells = {
        "extended_id": joined("HGDTQD54D5SD", row, 11),
        **named,
        "date": pa.array(days),
        "lot": joined("Charge ", pallet, 6),
        "case_no": joined("", case, 7),
        "pallet": joined("p", pallet, 6),
        "shipment": joined("S-", pallet // 20, 4),
        "size": joined("", pallet % 7, 1),
        "line": joined(" line ", case % 9, 1),
    }
    pyarrow.csv.write_csv(pa.table(cells), path, pyarrow.csv.WriteOptions(quoting_style="none"))


def test_rules_of_ten_columns(tmp_path):
    export(tmp_path / "a.csv")
    variables = {**os.environ, "SYNCER_API__TOKEN": "none", "SYNCER_PRODUCTS__CHECK": "false"}
    found = {"without": [], "with": []}
    for name, rules in (("without", ""), ("with", RULES)):
        (tmp_path / f"{name}.toml").write_text("[jobs.default]" + COLUMNS + rules)
    for _ in range(RUNS):
        for name, measured in found.items():
            command = [sys.executable, "-m", "syncer", "--config", f"{name}.toml", "plan", "--json", "a.csv"]
            measured.append(once(command, tmp_path, variables, (0,)))
    least = {name: min(one.cpu_s for one in measured) for name, measured in found.items()}
    peak = {name: max(one.peak_mib for one in measured) for name, measured in found.items()}
    print(
        f"\nplan of {ROWS:,} rows: {least['without']:.2f} s of CPU time, {peak['without']:.0f} MiB; with rules of ten",
        end="",
    )
    print(
        f" columns {least['with']:.2f} s, {peak['with']:.0f} MiB: {least['with'] / least['without']:.2f} × (to reach: 1.3 ×)"
    )
