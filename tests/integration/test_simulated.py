"""A few simulated schedules as ordinary tests: the engine's rarer ways, traced with everything else.

`make test` plays 600 of them apart, untraced; these here are the same promises on the same virtual clock.
"""

from __future__ import annotations

import logging

import pytest
from sim.schedule import Schedule

SEEDS = 60
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_in_a_few_schedules(part, caplog):
    caplog.set_level(logging.CRITICAL, logger="syncer")  # simulated faults are no news
    ended = [Schedule(seed).run() for seed in range(part, SEEDS, PARTS)]  # a broken promise raises
    assert all(outcome.runs >= 2 and outcome.digest for outcome in ended)
    assert any(outcome.struck for outcome in ended)
