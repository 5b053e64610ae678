"""What is particular about a schedule's company and its API: drawn once from the seed, apart from all that goes wrong.

What always holds: each is a way of life that the documents allow or leave open, none is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

JOBS = ("sim", "late")
LATER = "gone"
"""A field that files name and the campaign does not define, as yet."""


@dataclass(frozen=True)
class Company:
    """One company: its codes, jobs and users, and what its API leaves open."""

    reaches: tuple[int, ...]
    """How many codes each key value selects, one value after the other, and over again."""
    expect: str
    """How the configuration declares that: not at all (""), by a "number", or by a "column" of the files."""
    lenient: bool
    """Whether sync calls take any key; else identifiers alone."""
    changes_only: bool
    """Whether answers count and name only what a call changed."""
    jobs: tuple[str, ...]
    """The jobs whose files come, in turn: of one code space and with the same fields."""
    users: float
    """How probable it is that another user's token is used from a night on: of tasks, each sees its own."""
    defines: float
    """How probable it is that a campaign defines, before a night, the field that files have named all along."""
    takes_away: float
    """How probable it is that an administrator takes this field away again, before a night."""
    believed_s: float
    """How long it is believed that a campaign takes a field: its nights may be apart, or runs of one night."""

    @classmethod
    def drawn(cls, seed, reach):
        """Return the company of a seed, whose key values select about so many codes each."""
        chance = Random(f"company of {seed}")
        varied = reach > 1 and chance.random() < 0.4
        seldom = Random(f"administrators of {seed}")
        takes_away = seldom.choice([0.0, 0.5])
        expect = "" if reach == 1 else chance.choice(["", "", "column", "column" if varied else "number"])
        return cls(
            reaches=tuple(chance.randint(1, 2 * reach - 1) for _ in range(7)) if varied else (reach,),
            expect=expect,
            lenient=chance.random() < 0.4,
            changes_only=chance.random() < 0.15,
            jobs=JOBS if chance.random() < 0.25 else JOBS[:1],
            users=chance.choice([0.0, 0.0, 0.0, 0.5]),
            defines=chance.choice([0.0, 0.5]),
            takes_away=takes_away,
            # Between runs of one night a code that is read back tells; where faults keep it from being read, nothing does.
            believed_s=0.0 if takes_away else seldom.choice([0.0, 43_200.0]),
        )

    def reach(self, number):
        """Return how many codes the value with this number selects."""
        return self.reaches[number % len(self.reaches)]

    def settings(self, key, form):
        """Return the jobs of the configuration, as TOML."""
        expect = {"": "", "number": f"expect = {self.reaches[0]}\n", "column": 'expect = "size"\n'}[self.expect]
        unique = f"unique = {str(key == 'extended_id').lower()}\n"
        return "".join(f'[jobs.{job}]\nkey = ["{key}"]\n{unique}{expect}{form}' for job in self.jobs)
