"""Play one seed and tell its story: ``PYTHONPATH=tests python -m sim SEED [--without 3,5] [--shrink]``."""

from __future__ import annotations

import argparse

from sim.shrink import failure, told

parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
parser.add_argument("seed", type=int)
parser.add_argument("--without", default="", help="numbers of things that shall not go wrong")
parser.add_argument("--shrink", action="store_true", help="find the fewest things that have to go wrong")
given = parser.parse_args()
if given.shrink:
    print(told(given.seed))
else:
    spared = frozenset(int(number) for number in given.without.split(",") if number)
    violation, schedule = failure(given.seed, spared)
    for number, words in enumerate(schedule.fate.struck):
        print(words + (" (spared)" if number in spared else ""))
    print("\n".join(schedule.outcome.trace))
    print(f"{schedule.outcome.runs} runs, {schedule.outcome.calls} calls, digest {schedule.outcome.digest}")
    print(f"{type(violation).__name__}: {violation}" if violation else "all promises kept")
