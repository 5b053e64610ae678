"""Schedules from seeds: the promises hold in every one. `make sim N=50000` plays so many, `make test` some of them."""

from __future__ import annotations

import gc
import logging
import os
from collections import Counter

import pytest
from sampling import WHOLE, chance, covered
from sim.schedule import Schedule
from sim.shrink import told

from syncer.process.garbage import look_seldom

ALL = 50_000
ASKED = os.environ.get("TESTS_SCHEDULES", "")
FIRST = int(os.environ.get("TESTS_FIRST", "0"))
SEEDS = (
    range(FIRST, FIRST + int(ASKED or ALL)) if ASKED or WHOLE else sorted(chance("schedules").sample(range(ALL), 600))
)
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_in_every_schedule(part, record_property):
    logging.getLogger("syncer").setLevel(logging.CRITICAL)  # thousands of simulated faults are no news
    look_seldom()  # as every command does
    counts, failed = Counter(), []
    for number, seed in enumerate(SEEDS[part::PARTS]):
        if not number % 100:
            gc.collect()  # what a schedule leaves is large, and of few objects
        try:
            outcome = Schedule(seed).run()
        except Exception:
            failed.append(seed)
            continue
        counts.update(
            {
                "schedules": 1,
                "runs in schedules": outcome.runs,
                "deaths in schedules": outcome.crashes,
                "second processes in schedules": outcome.rivals,
                "things gone wrong in schedules": len(outcome.struck),
                "update calls in schedules": outcome.calls,
            }
        )
    for words, count in counts.items():
        of = max(ALL // PARTS, count) if words == "schedules" else count
        covered(record_property, words, count, of)
    if failed:  # hours were played: all that was found is told, and the first of it as a story
        pytest.fail(f"seeds that failed: {', '.join(map(str, failed))}\n{told(failed[0])}")


def test_a_seed_repeats_itself_byte_for_byte():
    for seed in range(8):
        first, second = Schedule(seed).run(), Schedule(seed).run()
        assert first == second
        assert first.digest
    assert Schedule(1).run().digest != Schedule(2).run().digest
