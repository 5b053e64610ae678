"""A ledger that is pruned after every run sends, ends and leaves the server as one that never was."""

from __future__ import annotations

import logging
from itertools import takewhile

from sampling import chance
from sim.schedule import Schedule

SEEDS = sorted(chance("pruned schedules").sample(range(50_000), 8))


def is_read(request):
    """Tell whether a request reads values back: it asks for the file of codes, or waits for it."""
    return "/codes/download/" in request or "/documents/" in request


class Told(Schedule):
    """A schedule without episodes that keeps its story: requests and ends of processes, in order."""

    def __init__(self, seed, prunes):
        super().__init__(seed)
        self.episodes, self.often_twins, self.prunes = 0.0, 0.0, prunes
        self.ends = []

    def one_run(self, rows, *, resume=False):
        code = super().one_run(rows, resume=resume)
        self.ends.append((len(self.api.requests), self.outcome.trace[-1].partition(" ")[2]))
        return code

    def story(self):
        """Play; return what was asked of the server and how processes ended."""
        logging.getLogger("syncer").setLevel(logging.CRITICAL)
        self.run()
        told, ends = [], [*self.ends]
        for number, request in enumerate([*self.api.requests, ""]):
            while ends and ends[0][0] == number:
                told.append(ends.pop(0)[1])
            told.append(request)
        return told


def test_a_ledger_that_was_pruned_goes_on_as_one_that_was_not():
    """Which values are read back may differ: another one of the same kind may stand for those that were moved.

    Where another number of them was read, the two tell of one life no more, since faults strike at steps and moments. What
    came before is compared all the same.
    """
    moved, whole_lives = 0, 0
    for seed in SEEDS:
        whole, pruned = Told(seed, 0.0), Told(seed, 1.0)
        stories = [*zip(whole.story(), pruned.story(), strict=False)]
        alike = [*takewhile(lambda pair: pair[0] == pair[1], stories)]
        if len(alike) < len(stories):
            parting = stories[len(alike)]
            assert is_read(parting[0]) or is_read(parting[1]), (seed, parting)
            continue
        held = [[code.fields for code in played.api.world.codes] for played in (whole, pruned)]
        assert held[0] == held[1], seed
        moved += pruned.outcome.moved
        whole_lives += 1
    assert moved
    assert whole_lives >= len(SEEDS) - 2
