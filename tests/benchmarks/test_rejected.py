"""A plan of a file in which every row is rejected, beside the plan of the same file without faults. `make bench`."""

from __future__ import annotations

import sys

import pytest
from benchmarks.measuring import several

pytestmark = pytest.mark.benchmark
ROWS = 1_000_000
KINDS = {
    "one wrong value": lambda row: (f"K{row:022d}", "aktiv"),
    "every key wrong": lambda row: (f"K{row:022d} ", "1"),
    "every key twice, with different data": lambda row: (f"K{row // 2:022d}", str(row % 2)),
}


def planned(folder, make, codes):
    with (folder / "night.csv").open("w") as file:
        file.write("extended_id,activation_status,product,case_no,memo\n")
        file.writelines("{},{},P{},C{},n{}\n".format(*make(n), n % 200, n // 24, n) for n in range(ROWS))
    command = [sys.executable, "-m", "syncer", "plan", "--json", "night.csv", "--results", "results"]
    return several(command, folder, {"PATH": "/usr/bin:/bin", "HOME": str(folder)}, runs=1, codes=codes)


def test_a_million_rejected_rows_take_about_what_a_million_good_ones_take(tmp_path):
    good = planned(tmp_path, lambda row: (f"K{row:022d}", "1"), (0,))
    print(f"\nplan --results, 1,000,000 rows: {good.cpu_s:.1f} s of processor time, {good.peak_mib:.0f} MiB")
    for words, make in KINDS.items():
        bad = planned(tmp_path, make, (3,))
        memory, time = bad.peak_mib / good.peak_mib, bad.cpu_s / good.cpu_s
        print(f"{words}: {memory:.2f} times the memory, {time:.2f} times the time")
        assert memory < 1.5
        assert time < 2.5
