"""How long a request, or an answer, is on its way: read from a short text, drawn by the sandbox's own chance."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Draw = Callable[[Random], float]

_NUMBER = r"(\d+(?:\.\d+)?)"
_NORMAL = re.compile(rf"{_NUMBER}(?:±|\+-){_NUMBER}")
_EVEN = re.compile(rf"{_NUMBER}-{_NUMBER}")
_LOGNORMAL = re.compile(rf"{_NUMBER}\+lognormal\((-?\d+(?:\.\d+)?),\s*{_NUMBER}\)")


def parse_way(text: str) -> Draw:
    """Return what draws delays in seconds; raise `ValueError` for a text that describes none.

    ``75`` (milliseconds, always), ``75±19`` (or ``75+-19``: normal), ``75-225`` (even), ``40+lognormal(-3.2,0.6)``
    (40 ms, and a lognormal number of seconds).
    """
    if found := re.fullmatch(_NUMBER, text):
        constant_s = float(found[1]) / 1000
        return lambda random: constant_s
    if found := _NORMAL.fullmatch(text):
        mean_s, deviation_s = (float(number) / 1000 for number in found.groups())
        return lambda random: max(0.0, random.gauss(mean_s, deviation_s))
    if found := _EVEN.fullmatch(text):
        least_s, most_s = (float(number) / 1000 for number in found.groups())
        return lambda random: random.uniform(least_s, most_s)
    if found := _LOGNORMAL.fullmatch(text):
        least_s, mu, sigma = float(found[1]) / 1000, float(found[2]), float(found[3])
        return lambda random: least_s + random.lognormvariate(mu, sigma)
    raise ValueError(f"{text!r} is no way; examples: 75, 75±19, 75-225, 40+lognormal(-3.2,0.6)")
