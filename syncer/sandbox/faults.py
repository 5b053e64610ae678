"""Scripted faults: which call goes wrong, and how. By the n-th call of a kind, every n-th, or by seeded chance.

A rule is a mapping: ``kind``, ``on`` (the name of a route, storage, or any), and one of ``nth`` (1-based, once),
``every`` (n), ``probability``; ``times`` bounds how often it strikes. docs/sandbox.md lists the kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, cast

KINDS = frozenset(
    {
        "drop_before", "drop_after", "hang", "truncate", "garbage", "html", "status", "status_after", "late",
        "slow_drip", "next_elsewhere", "page_again", "redirect", "task_fail", "task_stuck", "task_forgotten",
        "wrong_count", "no_items", "body", "ingestion_stuck",
    }
)  # fmt: skip
TASK_KINDS = frozenset({"task_fail", "task_stuck", "task_forgotten"})


CALLS = frozenset(
    {
        "any", "async", "codes_download", "document", "document_link", "group", "me", "post_data", "process",
        "products", "record", "records", "scans", "scans_csv", "storage", "sync",
        "task", "tasks", "workorder_file", "workorders",
    }
)  # fmt: skip
"""What a rule may be ``on``: the names of the routes, storage, or any of them."""


@dataclass(slots=True)
class Fault:
    """One rule. ``status_code``, ``seconds``, ``delta``, ``url`` and ``text`` matter to some kinds only."""

    kind: str
    on: str = "any"
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    status_code: int = 503
    seconds: float = 1.0
    delta: int = -1
    url: str = "http://127.0.0.1:9/"
    text: str = ""


def _checked(rule: Fault) -> Fault:
    """Return a rule that can strike; raise `ValueError` for one that never would."""
    if rule.on not in CALLS:
        raise ValueError(f"the fault {rule.kind!r} would never strike: there is no call {rule.on!r}")
    if rule.nth is None and rule.every is None and rule.probability is None:
        raise ValueError(f"the fault {rule.kind!r} would never strike: give it nth, every or probability")
    if (rule.nth or 1) < 1 or (rule.every or 1) < 1 or rule.nth == 0 or rule.every == 0 or rule.times == 0:
        raise ValueError(f"the fault {rule.kind!r} would never strike: nth, every and times count from 1")
    if rule.probability is not None and not 0 < rule.probability <= 1:
        raise ValueError(f"the fault {rule.kind!r}: probability lies between 0 and 1")
    return rule


class Faults:
    """Decides, call by call, what goes wrong. Deterministic for one seed and one order of calls."""

    def __init__(self, rules: Iterable[Mapping[str, object]], seed: int) -> None:
        self._rules: list[Fault] = []
        self._calls: Counter[str] = Counter()
        self._struck: Counter[int] = Counter()
        self._random = Random(seed)  # noqa: S311  chance of an emulator, to be repeated by its seed
        self.replace(rules)

    def replace(self, rules: Iterable[Mapping[str, object]]) -> None:
        """Take new rules; counting starts anew. Raises `ValueError` for an unknown kind or member."""
        made = []
        for rule in rules:
            if rule.get("kind") not in KINDS:
                raise ValueError(f"unknown fault {rule.get('kind')!r}; known: {', '.join(sorted(KINDS))}")
            unknown = set(rule) - set(Fault.__slots__)
            if unknown:
                raise ValueError(f"unknown member {', '.join(sorted(unknown))} in a fault")
            made.append(_checked(Fault(**cast("dict[str, Any]", rule))))
        self._rules = made
        self._calls.clear()
        self._struck.clear()

    def strike(self, call: str) -> Fault | None:
        """Count a call of a kind; return the fault that it suffers, if any."""
        self._calls[call] += 1
        self._calls["any"] += 1
        for place, rule in enumerate(self._rules):
            if rule.on not in {call, "any"} or (rule.times is not None and self._struck[place] >= rule.times):
                continue
            number = self._calls[rule.on]
            if (
                (rule.nth is not None and number == rule.nth)
                or (rule.every is not None and number % rule.every == 0)
                or (rule.probability is not None and self._random.random() < rule.probability)
            ):
                self._struck[place] += 1
                return rule
        return None
