"""A year of nights in virtual time, with faults and deaths: the ledger grows with its history alone, memory and files do not."""

from __future__ import annotations

import gc
import os
import resource
import tracemalloc
from pathlib import Path
from unittest import mock

from sampling import WHOLE, covered
from sim.promises import check_history, check_nothing_lost, check_server, let_go_tasks
from sim.schedule import Schedule
from sim.trouble import Poison
from sim.world import KINDS

from syncer.execute import outcome as outcome_module
from syncer.plan import batching

YEAR = 365
NIGHTS = YEAR if WHOLE else YEAR // 3
DAY_S = 86_400.0
RUNS_MAX = 8
AGAIN_S = 600.0
"""After which the scheduler runs it again: a task may take some seconds, and a run waits only so long for an old one."""


class Year(Schedule):
    """One ledger, one server, one export a night, of which a few values change."""

    def __init__(self, seed):
        super().__init__(seed)
        for kind in KINDS:
            setattr(self.chances, kind, 0.0)
        self.chances.drop_before = self.chances.drop_after = self.chances.late = 0.01
        self.chances.error_after = self.chances.throttle = self.chances.slow = 0.01
        self.chances.crash = 0.001
        self.chances.clock_jump = self.chances.signal = self.hasty = self.abandons = self.prunes = 0.0
        self.others.often = 0.0
        self.api.spell = None
        self.api.poison = Poison(frozenset(), "")
        self.goes_back = False
        self.nights = []

    def night(self):
        """One export; runs until it is confirmed."""
        rows = self.new_file()
        for _ in range(RUNS_MAX):
            if self.one_run(rows) == 0:
                return
            self.clock.now_s += AGAIN_S
        raise AssertionError(f"night {len(self.nights)}: not confirmed after {RUNS_MAX} runs")

    def measure(self):
        gc.collect()
        count = self.database.execute
        pages = count("PRAGMA page_count").fetchone()[0] - count("PRAGMA freelist_count").fetchone()[0]
        history = sum(count(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("items", "events", "attempts"))
        self.nights.append(
            {
                "bytes": pages * count("PRAGMA page_size").fetchone()[0],
                "history": history,
                "objects": tracemalloc.get_traced_memory()[0],
                "files": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,
            }
        )


def plain_year():
    """Return the first year whose server knows every code, one for each value, and every field."""
    return next(
        year
        for year in map(Year, range(100))
        if not year.missing
        and year.reach == 1
        and not year.discards
        and year.codes == 40
        and not year.company.changes_only
        and not year.spaces.several
        and not year.products.named
    )


def test_a_year_of_nights(record_property):
    with (
        mock.patch.object(batching, "ASYNC_VALUES_MAX", 20),
        mock.patch.object(batching, "SYNC_ITEMS_MAX", 5),
        mock.patch.object(outcome_module, "PIECE_VALUES_MAX", 5),
    ):
        year = plain_year()
        tracemalloc.start()
        try:
            for number in range(NIGHTS):
                year.night()
                year.api.requests.clear()  # the server's own log is not the program's memory
                year.clock.now_s += DAY_S
                if (number + 1) % (NIGHTS // 5) == 0:
                    year.measure()
        finally:
            tracemalloc.stop()
        year.calm()
    first, *_, last = year.nights
    early, late = year.nights[1], year.nights[-1]
    per_entry = [
        (b["bytes"] - a["bytes"]) / (b["history"] - a["history"]) for a, b in ((first, early), (year.nights[-2], late))
    ]
    assert per_entry[1] < 1.3 * per_entry[0], f"the ledger grows faster than its history: {per_entry} bytes an entry"
    # The journal and the tasks of the emulated server grow with every write; the program itself keeps nothing.
    world_bytes = 2_500 * (len(year.api.world.journal) + len(year.api.world.tasks))
    assert last["objects"] - first["objects"] < world_bytes, "memory grows from night to night"
    assert last["files"] <= first["files"], "files stay open"
    check_server(year.api.world, let_go_tasks(year.database, year.api.world))
    check_nothing_lost(year.database, year.truth(), year.rows)
    check_history(year.database, year.api.sent)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{NIGHTS} nights, {year.outcome.runs} runs, {year.outcome.crashes} deaths; ledger {last['bytes']:,} bytes, "
          f"{per_entry[1]:.0f} bytes an entry of history; process at most {peak_mib} MiB")  # fmt: skip
    covered(record_property, "nights of a year on one ledger", NIGHTS, YEAR)
