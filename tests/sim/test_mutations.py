"""The simulator can fail: each deliberate bug is found, most by the seed that found it first, all within 2,000 schedules."""

from __future__ import annotations

import pytest
from sim.mutations import MUTATIONS, mutated
from sim.schedule import Schedule

SCHEDULES_MAX = 2000
FOUND_BY = {
    "send before commit": 0,
    "no settle wait": 81,
    "advance the state on sending": 0,
    "repeat a POST in the transport": 17,
    "take a lost answer for not processed": 17,
    "do not hold values of open batches": 11,
    "forget what was never sent": 302,
    "trust any count of a task": 11,
    "trust any sync answer": 11,
    "send newer data before a lost call is surely over": 8,
    "leave the calls of a dead process": 0,
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_deliberate_bug_is_found(name):
    with mutated(name):
        for seed in [FOUND_BY[name], *range(SCHEDULES_MAX)]:
            try:
                Schedule(seed).run()
            except Exception as violation:
                print(f"{name}: seed {seed}: {violation}")
                return
    pytest.fail(f"{SCHEDULES_MAX} schedules did not find it")


@pytest.mark.parametrize("seed", sorted(set(FOUND_BY.values())))
def test_the_same_seed_is_clean_without_the_bug(seed):
    Schedule(seed).run()
