"""From a failing seed to the fewest things that have to go wrong for it to fail: what a person then reads.

Everything that goes wrong in a schedule has a number (`Fate`), and a schedule can be played with some of them alone. Up to
the first one that is left out it is the same schedule, so first all after the decisive one are left out; then, from the
last to the first, whatever is not needed, in ever smaller groups, until each of the rest is needed.
"""

from __future__ import annotations

from sim.schedule import Schedule

TRIES_MAX = 400


def failure(seed, kept=None):
    """Play a seed; return what was violated (None: nothing) and the schedule."""
    schedule = Schedule(seed, kept)
    try:
        schedule.run()
    except Exception as violation:
        return violation, schedule
    return None, schedule


class Shrinking:
    """The fewest things known so far that have to go wrong: `kept`, with the violation and the schedule they lead to."""

    def __init__(self, seed):
        self.seed = seed
        self.tries = 0
        self.violation, self.schedule = failure(seed)
        self.kept = tuple(range(len(self.schedule.fate.struck)))

    def fails_with(self, kept):
        """Try fewer; they become `kept` when the seed fails with them in the same way."""
        self.tries += 1
        violation, schedule = failure(self.seed, frozenset(kept))
        if type(violation) is not type(self.violation):
            return False
        self.violation, self.schedule = violation, schedule
        self.kept = tuple(number for number in kept if number < len(schedule.fate.struck))
        return True

    def cut_the_end(self):
        """Leave out everything after the decisive one."""
        enough, too_few = len(self.kept), -1
        while enough - too_few > 1:
            middle = (enough + too_few) // 2
            if self.fails_with(self.kept[:middle]):
                enough = len(self.kept)
            else:
                too_few = middle

    def leave_out(self, size):
        """Leave out, from the last to the first, every group of `size` that is not needed; return whether any was."""
        before = len(self.kept)
        end = before
        while end > 0 and self.tries < TRIES_MAX:
            begin = max(0, end - size)
            self.fails_with(self.kept[:begin] + self.kept[end:])
            end = min(begin, len(self.kept))
        return len(self.kept) < before


def shrink(seed):
    """Return the violation of a seed, the numbers of what has to go wrong for it, and the same in words."""
    shrinking = Shrinking(seed)
    if shrinking.violation is None:
        return None, (), []
    shrinking.cut_the_end()
    size = max(1, len(shrinking.kept) // 2)
    while shrinking.tries < TRIES_MAX and (shrinking.leave_out(size) or size > 1):
        size = max(1, size // 2)
    words = [shrinking.schedule.fate.struck[number] for number in shrinking.kept]
    return shrinking.violation, shrinking.kept, words


def told(seed):
    """Return the whole story of a failing seed: what was violated, what had to go wrong, and how to play it again."""
    violation, kept, words = shrink(seed)
    if violation is None:
        return f"seed {seed} is clean"
    steps = "\n".join(f"  {step}" for step in words) or "  nothing: it fails on a fine day"
    again = f"PYTHONPATH=tests python -m sim {seed} --only {','.join(map(str, kept)) or 'nothing'}"
    return f"seed {seed}: {type(violation).__name__}: {violation}\nwhat has to go wrong for it:\n{steps}\nplay it again: {again}"
