"""From a failing seed to the fewest things that have to go wrong for it to fail: what a person then reads.

Everything that goes wrong in a schedule has a number (`Fate`). Sparing it, and playing the same seed again, gives almost the
same schedule without it; what is not needed for a failure is spared for good, in ever smaller groups, until each of the rest
is needed.
"""

from __future__ import annotations

from sim.schedule import Schedule

TRIES_MAX = 400


def failure(seed, spared=frozenset()):
    """Play a seed; return what was violated and the schedule, or None for a clean one."""
    schedule = Schedule(seed, spared)
    try:
        schedule.run()
    except Exception as violation:
        return violation, schedule
    return None, schedule


def shrink(seed):
    """Return the violation of a seed, the numbers to spare, and what then still goes wrong, in words."""
    violation, schedule = failure(seed)
    if violation is None:
        return None, frozenset(), []
    spared = frozenset()
    size = max(1, len(schedule.fate.struck) // 2)
    tries = 0
    while size and tries < TRIES_MAX:
        needed = [n for n in range(len(schedule.fate.struck)) if n not in spared]
        for begin in range(0, len(needed), size):
            tries += 1
            without = spared | frozenset(needed[begin : begin + size])
            found, smaller = failure(seed, without)
            if found is not None and type(found) is type(violation):
                violation, schedule, spared = found, smaller, without
        size = size // 2 if size > 1 else 0
    left = [words for number, words in enumerate(schedule.fate.struck) if number not in spared]
    return violation, spared, left


def told(seed):
    """Return the whole story of a failing seed: what was violated, what had to go wrong, and how to play it again."""
    violation, spared, left = shrink(seed)
    if violation is None:
        return f"seed {seed} is clean"
    without = ",".join(map(str, sorted(spared)))
    again = f"PYTHONPATH=tests python -m sim {seed}" + (f" --without {without}" if without else "")
    steps = "\n".join(f"  {words}" for words in left) or "  nothing: it fails on a fine day"
    return f"seed {seed}: {type(violation).__name__}: {violation}\nwhat has to go wrong for it:\n{steps}\nplay it again: {again}"
