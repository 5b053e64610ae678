"""Proof and pages of large ledgers: what verifying, sealing, packing and reporting take. `make bench`."""

from __future__ import annotations

import sys
import time

import pytest
from benchmarks.measuring import once
from benchmarks.nights import make_ledger

from syncer.ledger import sealed_rows
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.ledger import Ledger

pytestmark = pytest.mark.benchmark
CALLS_A_SECOND = 10
"""The API's limit: a run takes at least its calls by this."""


def program(folder, *arguments):
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return once([sys.executable, "-m", "syncer", *arguments], folder, variables, (0,))


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    folder = tmp_path_factory.mktemp("million")
    make_ledger(folder / "syncer.db", codes=1_000_000, nights=2, changed=10_000)
    return folder


def test_a_million_codes_are_verified_in_half_a_minute(million):
    done = program(million, "audit", "verify")
    print(f"\naudit verify, 1,000,000 codes: {done.wall_s:.1f} s, {done.peak_mib:.0f} MiB")
    assert done.wall_s < 30
    packed = program(million, "audit", "pack", "--where", "case_no=C00000017", "--out", "case.zip")
    size = (million / "case.zip").stat().st_size
    print(f"audit pack of one case: {packed.wall_s:.1f} s, {packed.peak_mib:.0f} MiB, {size / 1e6:.2f} MB")


def test_sealing_costs_little_of_a_run(million):
    with Ledger.reading(f"sqlite:///{million / 'syncer.db'}") as ledger, ledger.transaction() as connection:
        began_s = time.monotonic(), time.process_time()
        cursor = raw_cursor(connection)
        sealed_rows.digest_own_codes(cursor, sealed_rows.BEFORE_ALL)
        for table in sealed_rows.TABLES:
            sealed_rows.covered(cursor, table, sealed_rows.BEFORE_ALL, 1 << 62)
        took_s, worked_s = time.monotonic() - began_s[0], time.process_time() - began_s[1]
    run_s = 1_000 / CALLS_A_SECOND
    share = f"{100 * worked_s / run_s:.1f} % of the least time of its calls"
    print(f"\nsealing a run of 1,000,000 codes: {worked_s:.1f} s of a processor ({share}), {took_s:.1f} s by the clock")
    assert took_s < 0.03 * run_s


def test_a_page_about_ten_million_rows_is_small_and_soon_there(tmp_path):
    make_ledger(tmp_path / "syncer.db", codes=10_000_000, nights=1, changed=0)
    done = program(tmp_path, "report", "--out", "page.html")
    size = (tmp_path / "page.html").stat().st_size
    print(f"\nreport of 10,000,000 rows: {done.wall_s:.1f} s, {done.peak_mib:.0f} MiB, {size / 1e3:.0f} kB")
    assert size < 2_000_000
    assert done.wall_s < 10


def test_a_page_about_a_year_is_soon_there(tmp_path):
    make_ledger(tmp_path / "syncer.db", codes=100_000, nights=365, changed=10_000)
    done = program(tmp_path, "report", "--last", "365", "--out", "page.html")
    size = (tmp_path / "page.html").stat().st_size
    print(f"\nreport --last 365: {done.wall_s:.1f} s, {done.peak_mib:.0f} MiB, {size / 1e3:.0f} kB")
    assert size < 2_000_000
    assert done.wall_s < 5
