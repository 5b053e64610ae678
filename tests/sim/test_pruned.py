"""A ledger that is pruned after every run sends, ends and leaves the server as one that never was."""

from __future__ import annotations

import logging

from sampling import chance
from sim.schedule import Schedule

SEEDS = sorted(chance("pruned schedules").sample(range(50_000), 8))


def played(seed, prunes):
    """Play a schedule; return what it came to, and what can be told of it: update calls, ends, what codes hold."""
    logging.getLogger("syncer").setLevel(logging.CRITICAL)
    schedule = Schedule(seed)
    schedule.episodes, schedule.often_twins, schedule.prunes = 0.0, 0.0, prunes
    outcome = schedule.run()
    ends = [line.partition(" ")[2] for line in outcome.trace]
    uploads = [path for path in [*schedule.api.requests] if "/upload/" in path]
    held = [code.fields for code in schedule.api.world.codes]
    return outcome, (uploads, ends, held)


def test_a_ledger_that_was_pruned_goes_on_as_one_that_was_not():
    """Which values are read back may differ: another one of the same kind may stand for those that were moved."""
    moved = 0
    for seed in SEEDS:
        _, whole = played(seed, 0.0)
        outcome, pruned = played(seed, 1.0)
        assert pruned == whole, seed
        moved += outcome.moved
    assert moved
