"""Schedules from seeds: the promises hold in every one. `make sim N=50000` runs more."""

from __future__ import annotations

import logging
import os
import time

import pytest
from sim.schedule import Schedule
from sim.shrink import told

SCHEDULES = int(os.environ.get("SYNCER_SIM_SCHEDULES", "2000"))
FIRST = int(os.environ.get("SYNCER_SIM_FIRST", "0"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_in_every_schedule(part):
    logging.getLogger("syncer").setLevel(logging.CRITICAL)  # thousands of simulated faults are no news
    began_s = time.monotonic()
    runs = crashes = rivals = calls = struck = 0
    for seed in range(FIRST + part, FIRST + SCHEDULES, PARTS):
        try:
            outcome = Schedule(seed).run()
        except Exception:
            pytest.fail(told(seed))
        runs, crashes, calls = runs + outcome.runs, crashes + outcome.crashes, calls + outcome.calls
        struck, rivals = struck + len(outcome.struck), rivals + outcome.rivals
    print(
        f"{SCHEDULES // PARTS} schedules: {runs} runs, {crashes} deaths, {rivals} second processes, "
        f"{struck} things gone wrong, {calls} calls, {time.monotonic() - began_s:.0f} s"
    )


def test_a_seed_repeats_itself_byte_for_byte():
    for seed in range(8):
        first, second = Schedule(seed).run(), Schedule(seed).run()
        assert first == second
        assert first.digest
    assert Schedule(1).run().digest != Schedule(2).run().digest
