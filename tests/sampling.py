"""How much of what is exhaustive a run tries: all of it (`make prove`), or a sample that the commit chooses (`make test`).

What always holds: a sample is the same whenever the same commit is tested, and another one for the next commit; it
takes something from every stretch of what there is; and a run prints its seed. `TESTS_SEED` plays another
commit's run again. Hypothesis draws its examples by the same seed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

WHOLE = os.environ.get("TESTS_WHOLE", "") not in {"", "0"}
"""Whether everything is tried."""
SCARCE = "TESTS_SCARCE"
"""The variable that asks for few examples: what these find no other commit's draw will miss (`make mutate`)."""
EXAMPLES_FACTOR = 10
"""How many times more examples Hypothesis draws where everything is tried, and how many times fewer where few are."""


@cache
def seed() -> str:
    """Return what the samples of this run are chosen by: the commit, unless `TESTS_SEED` says otherwise."""
    given = os.environ.get("TESTS_SEED", "")
    if given:
        return given
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no commit"


def seed_number() -> int:
    """Return the seed as a number, as Hypothesis wants it."""
    return int.from_bytes(hashlib.sha256(seed().encode()).digest()[:4], "big")


def chance(name: str) -> random.Random:
    """Return a source of chance for what is sampled under this name."""
    return random.Random(f"{seed()} {name}")


def sample(items: Sequence[T], size: int, *, name: str) -> list[T]:
    """Return about so many of the items, in their order: one of each of ``size`` stretches; all of them in `WHOLE`."""
    if WHOLE or size >= len(items):
        return list(items)
    draw = chance(name)
    bounds = [len(items) * number // size for number in range(size + 1)]
    return [items[draw.randrange(first, end)] for first, end in itertools.pairwise(bounds)]


def places(counted: int, size: int, *, name: str) -> list[int]:
    """Return which of the places 1, 2, 3 … of a run are tried, given how many one run has passed.

    Where everything is, the places go on a little: two runs do not pass quite the same number, and a test ends when a
    run passes fewer than it is to be struck at.
    """
    return list(range(1, counted + 1 + counted // 5)) if WHOLE else sample(range(1, counted + 1), size, name=name)


def parts(count: int) -> range:
    """Return the numbers of the tests that share what is tried: one has enough time for a sample."""
    return range(count if WHOLE else 1)


def examples(count: int) -> int:
    """Return how many examples Hypothesis shall draw where ``count`` do for every commit."""
    if os.environ.get(SCARCE):
        return max(1, count // EXAMPLES_FACTOR)
    return count * EXAMPLES_FACTOR if WHOLE else count


def covered(record: Callable[[str, Any], None], words: str, count: int, of: int) -> None:
    """Have the end of the run say how much was tried, of how much there is (``record``: pytest's `record_property`)."""
    record("covered", (words, count, of))
