"""Code spaces: the keys by which files name codes. Most companies have one; some name the same codes by two.

What always holds: a code's id, serial number, lot and box never change, its case may; a space's key values are no other's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from syncer.model import KEY_SEPARATOR

MAIN = "extended_id"
LINK = "case_no"
CASE, LOT = 4, 7
"""How many codes a case has, and a lot."""
THIRD = "third"
"""A job by the main key that no other is declared apart from."""
JOBS_BY = {
    "cases": {"by_case": (LINK,)},
    "serials": {"by_serial": ("serial_number",)},
    "boxes": {"by_box": ("lot", "box"), "by_lot": ("box", "lot")},
}
"""By kind of a second space: its jobs, each with its key columns in its own order."""


def named(number):
    """Return by what else the code with a number can be named."""
    return {
        "serial_number": f"S{number:05d}",
        LINK: f"C{number // CASE:04d}",
        "lot": f"L{number // LOT}",
        "box": f"B{number % LOT}",
    }


@dataclass(frozen=True)
class Space:
    """A set of key columns, with the jobs whose files name codes by it."""

    columns: tuple[str, ...]
    """In the order of their names, as the ledger joins their values."""
    jobs: dict[str, tuple[str, ...]]
    """Each job's key columns, in its own order."""
    unique: bool
    values: tuple[str, ...]
    """Of codes, as the ledger writes them: what files name."""
    apart: bool = False
    """Whether it is declared never to reach the codes of the others."""
    of_third: tuple[str, ...] = ()
    """What the files of its third job name, which is declared apart from nothing: also codes of the other space."""

    def named_by(self, job):
        """Return the values that the files of a job name."""
        return self.of_third if job == THIRD else self.values

    def value_of(self, fields):
        """Return the key value of a code; None when it has none."""
        cells = [fields.get(name) for name in self.columns]
        return None if None in cells else KEY_SEPARATOR.join(cells)

    def with_third(self, codes, chance):
        """Return it with a third job, whose files name any of so many codes; or as it is."""
        if chance.random() < 0.5:
            return self
        jobs = {**self.jobs, THIRD: self.columns}
        return replace(self, jobs=jobs, of_third=tuple(f"K{n:07d}" for n in range(codes)))

    def renamed(self, old, new):
        """Return it after a job was given another name."""
        return replace(self, jobs={new if job == old else job: key for job, key in self.jobs.items()})

    def cells(self, job, value):
        """Return the cells of a key value in the order of a job's columns."""
        by_name = dict(zip(self.columns, value.split(KEY_SEPARATOR), strict=True))
        return [by_name[name] for name in self.jobs[job]]


def other(kind, numbers, *, apart=False):
    """Return a space of the codes with these numbers beside the main one: by cases, serials, or boxes."""
    jobs = JOBS_BY[kind]
    columns = tuple(sorted(next(iter(jobs.values()))))
    values = dict.fromkeys(KEY_SEPARATOR.join(named(n)[name] for name in columns) for n in numbers)
    return Space(columns, jobs, kind != "cases", tuple(values), apart)


@dataclass(frozen=True)
class Spaces:
    """All code spaces of a schedule's company: the first is the main one."""

    all: tuple[Space, ...]
    link: float = 0.0
    """How probable it is that a night's file tells the case of each code."""
    moves: float = 0.0
    """How probable it is that it then tells another case than before, code by code."""

    @classmethod
    def drawn(cls, seed, main, codes, *, several):
        """Return the spaces of a seed; ``several``: whether there can be more than the main one."""
        chance = Random(f"spaces of {seed}")
        if chance.random() >= 0.35 or not several:
            return cls((main,))
        kind, link, apart = chance.choice(["cases", "cases", "serials", "boxes"]), 0.0, False
        numbers = range(codes)
        if kind == "cases":
            link = chance.choice([0.0, 0.5, 1.0, 1.0])
            apart = codes > CASE and chance.random() < 0.2
        if apart:
            main = Space(
                main.columns, main.jobs, main.unique, tuple(main.values[n] for n in numbers if n // CASE % 2), True
            )
            numbers = [n for n in numbers if n // CASE % 2 == 0]
            main = main.with_third(codes, Random(f"a third job of {seed}"))
        moves = chance.choice([0.0, 0.05, 0.3]) if link and not apart else 0.0
        return cls((main, other(kind, numbers, apart=apart)), link, moves)

    def case_of(self, number, told, chance):
        """Return the case that a file tells for a code: as it was `told` before (None: never), or another."""
        if chance.random() < self.moves:
            return chance.choice(self.all[1].values)
        return told or named(number)[LINK]

    @property
    def several(self):
        """Whether there is more than the main one."""
        return len(self.all) > 1

    def settings(self, form):
        """Return the jobs of all spaces but the main one, as TOML."""
        text = f'[jobs.{THIRD}]\nkey = ["{MAIN}"]\n{form}' if self.all[0].of_third else ""
        for space in self.all[1:]:
            apart = f"disjoint = {[job for job in self.all[0].jobs if job != THIRD]!r}\n" if space.apart else ""
            for job, key in space.jobs.items():
                text += f"[jobs.{job}]\nkey = {[*key]!r}\nunique = {str(space.unique).lower()}\n{apart}{form}"
        return text

    def of(self, job):
        """Return the space of a job."""
        return next(space for space in self.all if job in space.jobs)
