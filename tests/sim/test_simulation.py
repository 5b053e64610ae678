"""Schedules from seeds: the promises hold in every one. `make sim N=50000` runs more."""

from __future__ import annotations

import logging
import os
from collections import Counter

import pytest
from sim.schedule import Schedule
from sim.shrink import told

SCHEDULES = int(os.environ.get("SYNCER_SIM_SCHEDULES", "2000"))
FIRST = int(os.environ.get("SYNCER_SIM_FIRST", "0"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_in_every_schedule(part, record_property):
    logging.getLogger("syncer").setLevel(logging.CRITICAL)  # thousands of simulated faults are no news
    counts = Counter()
    for seed in range(FIRST + part, FIRST + SCHEDULES, PARTS):
        try:
            outcome = Schedule(seed).run()
        except Exception:
            pytest.fail(told(seed))
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
    for each in counts.items():
        record_property("covered", each)


def test_a_seed_repeats_itself_byte_for_byte():
    for seed in range(8):
        first, second = Schedule(seed).run(), Schedule(seed).run()
        assert first == second
        assert first.digest
    assert Schedule(1).run().digest != Schedule(2).run().digest
