"""What the emulated company has: codes, campaigns, products, tasks; and a journal of every write.

Free of HTTP and of real time: `now` is passed in, so the same semantics serve a server and a simulation. All methods
expect the caller to hold one lock around them.
"""

from __future__ import annotations

import csv
import itertools
import uuid
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

IDENTIFIERS = ("extended_id", "serial_number")
ATTRIBUTES = ("product", "activation_status", "blacklist_reason")
"""Special keys: attributes of the code itself, defined by no campaign (docs/api.md, "Special SCM fields")."""
TASK_STATES = ("pending", "in-progress", "complete", "failed")


@dataclass(slots=True)
class Code:
    """One code: identifiers, attributes and SCM fields, all as text, in one mapping."""

    number: int
    campaign: int
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """One field of one code that was written: a line of the journal."""

    order: int
    at_s: float
    code: int
    field: str
    old: str | None
    new: str
    cause: str
    """``task <id>`` or ``call <number>``."""


@dataclass(slots=True)
class StoredTask:
    """A background job of an async upload. Times are seconds of the world's clock; None: has not happened."""

    id: str
    reference: str
    constraints: dict[str, list[str]]
    scm_data: dict[str, str]
    created_s: float
    start_due_s: float
    end_due_s: float
    started_s: float | None = None
    ended_s: float | None = None
    state: str = "pending"
    codes_affected: int = 0
    error: str | None = None
    fails: bool = False
    stuck: bool = False
    forgotten: bool = False
    count_off_by: int = 0


class World:
    """The state behind the API."""

    def __init__(
        self,
        codes: Iterable[Mapping[str, str]],
        *,
        campaigns: Mapping[int, frozenset[str]] | None,
        products: AbstractSet[str] | None,
        changes_only: bool = False,
        seed: int = 0,
    ) -> None:
        self.campaigns = campaigns
        self.products = products
        self.changes_only = changes_only
        """Whether answers count and name only what a call changed."""
        self.codes: list[Code] = []
        self.tasks: dict[str, StoredTask] = {}
        self.journal: list[Write] = []
        self.violations: list[str] = []
        self._index: dict[str, dict[str, set[int]]] = {}
        self._orders = itertools.count(1)
        self._random = Random(seed)  # noqa: S311  ids of an emulator are not secrets
        self._open: list[StoredTask] = []
        for fields in codes:
            self.add_code(fields)

    def add_code(self, fields: Mapping[str, str]) -> None:
        """Add a code; empty cells are fields that are not set."""
        known = {name: value for name, value in fields.items() if value != "" and name != "campaign"}
        known.setdefault("activation_status", "0")
        default = min(self.campaigns) if self.campaigns else 1
        code = Code(len(self.codes), int(fields.get("campaign") or default), known)
        self.codes.append(code)
        for name, value in known.items():
            if name in self._index:
                self._index[name].setdefault(value, set()).add(code.number)

    def select(self, constraints: Mapping[str, list[str]]) -> set[int]:
        """Return the codes that match all constraints, each by any of its values: exact and case sensitive."""
        found: set[int] | None = None
        for name, values in constraints.items():
            by_value = self._by_value(name)
            matching: set[int] = set().union(*(by_value.get(value, ()) for value in values))
            found = matching if found is None else found & matching
        return found or set()

    def _by_value(self, name: str) -> dict[str, set[int]]:
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = {}
            for code in self.codes:
                if name in code.fields:
                    index.setdefault(code.fields[name], set()).add(code.number)
        return index

    def accepts(self, code: Code, name: str) -> bool:
        """Tell whether a field is taken for a code; others are discarded silently."""
        return name in ATTRIBUTES or self.campaigns is None or name in self.campaigns.get(code.campaign, frozenset())

    def write(self, number: int, data: Mapping[str, str], *, at_s: float, cause: str) -> list[str]:
        """Write data to one code; return the fields that were taken. An empty text clears a field."""
        code = self.codes[number]
        taken = []
        for name, value in data.items():
            if not self.accepts(code, name):
                continue
            taken.append(name)
            old = code.fields.get(name)
            self.journal.append(Write(next(self._orders), at_s, number, name, old, value, cause))
            if name in self._index and old is not None:
                self._index[name][old].discard(number)
            if value == "":
                code.fields.pop(name, None)
            else:
                code.fields[name] = value
                if name in self._index:
                    self._index[name].setdefault(value, set()).add(number)
        return taken

    def write_told(self, number: int, data: Mapping[str, str], *, at_s: float, cause: str) -> list[str] | None:
        """Write data to one code; return the fields that an answer names, None for a code that it does not count."""
        place = len(self.journal)
        taken = self.write(number, data, at_s=at_s, cause=cause)
        if not self.changes_only:
            return taken
        changed = {write.field for write in self.journal[place:] if (write.old or "") != write.new}
        return [name for name in taken if name in changed] or None

    def create_task(
        self,
        constraints: dict[str, list[str]],
        scm_data: dict[str, str],
        reference: str,
        *,
        now_s: float,
        start_s: float,
        run_s: float,
    ) -> StoredTask:
        """Queue an async upload."""
        self._look_for_overlap(constraints, reference)
        task_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        task = StoredTask(task_id, reference, constraints, scm_data, now_s, now_s + start_s, now_s + start_s + run_s)
        self.tasks[task_id] = task
        self._open.append(task)
        return task

    def _look_for_overlap(self, constraints: dict[str, list[str]], reference: str) -> None:
        varying = [name for name, values in constraints.items() if len(values) > 1]
        if len(varying) > 1:
            self.violations.append(f"task {reference!r}: {' and '.join(varying)} vary together: a cross product")
        for task in self._open:
            if task.constraints.keys() == constraints.keys() and not task.stuck and not task.forgotten:
                shared = all(set(task.constraints[name]) & set(values) for name, values in constraints.items())
                if shared:
                    self.violations.append(f"task {reference!r} selects values of {task.reference!r}, not yet done")

    def advance(self, now_s: float) -> None:
        """Let every task do what is due by now, in the order of their creation."""
        for task in list(self._open):
            if task.stuck:
                continue
            if task.state == "pending" and now_s >= task.start_due_s:
                task.state, task.started_s = "in-progress", task.start_due_s
            if task.state == "in-progress" and now_s >= task.end_due_s:
                self._end(task)

    def _end(self, task: StoredTask) -> None:
        self._open.remove(task)
        task.ended_s = task.end_due_s
        if task.fails:
            task.state, task.error = "failed", "the background job ended with an internal error"
            return
        told = [
            self.write_told(number, task.scm_data, at_s=task.end_due_s, cause=f"task {task.id}")
            for number in sorted(self.select(task.constraints))
        ]
        task.codes_affected = max(0, sum(fields is not None for fields in told) + task.count_off_by)
        task.state = "complete"

    def state(self) -> list[dict[str, str]]:
        """Return every code with all its fields."""
        return [dict(code.fields) for code in self.codes]


def read_codes(path: Path) -> list[dict[str, str]]:
    """Read codes from a CSV file: a header, comma or semicolon, one code a row, empty cells unset."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = file.readline()
        file.seek(0)
        delimiter = ";" if header.count(";") > header.count(",") else ","
        return [
            {name: value or "" for name, value in row.items() if name}
            for row in csv.DictReader(file, delimiter=delimiter)
        ]


@dataclass(slots=True)
class Sample:
    """The built-in codes: two products, cases of 24."""

    count: int = 240
    rows: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = [
            {
                "extended_id": f"DEMO{number:08d}",
                "serial_number": f"S{number:07d}",
                "product": "TEA-GREEN" if number % 2 else "TEA-BLACK",
                "case_no": f"CASE{number // 24:04d}",
            }
            for number in range(self.count)
        ]
