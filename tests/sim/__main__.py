"""Play one seed and tell its story: ``PYTHONPATH=tests python -m sim SEED [--only 3,5] [--shrink] [--bug NAME]``."""

from __future__ import annotations

import argparse
import logging
from contextlib import nullcontext

from sim.mutations import MUTATIONS, mutated
from sim.shrink import failure, told

parser = argparse.ArgumentParser(prog="python -m sim", description="Play one seed and tell its story.")
parser.add_argument("seed", type=int)
parser.add_argument("--only", metavar="3,5", help="the numbers of what shall go wrong; or: nothing")
parser.add_argument("--shrink", action="store_true", help="find the fewest things that have to go wrong for it to fail")
parser.add_argument("--bug", choices=MUTATIONS, metavar="NAME", help=f"with a deliberate bug: {', '.join(MUTATIONS)}")
given = parser.parse_args()
logging.getLogger("syncer").setLevel(logging.CRITICAL)  # simulated faults are no news

with mutated(given.bug) if given.bug else nullcontext():
    if given.shrink:
        print(told(given.seed))
    else:
        only = None
        if given.only is not None:
            only = frozenset(int(number) for number in given.only.split(",") if number.isdecimal())
        violation, schedule = failure(given.seed, only)
        for number, words in enumerate(schedule.fate.struck):
            print(words + (" (left out)" if only is not None and number not in only else ""))
        print("\n".join(schedule.outcome.trace))
        print(f"{schedule.outcome.runs} runs, {schedule.outcome.calls} calls, digest {schedule.outcome.digest}")
        print(f"{type(violation).__name__}: {violation}" if violation else "all promises kept")
