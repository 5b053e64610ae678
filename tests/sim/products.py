"""Products of two campaigns: a code that gets another product may move, and leave behind what was not sent along.

Nobody has seen what becomes of such fields, so both are drawn. What the server dropped by itself is no value of ours any
more until we write it again; what the mirror calls known must be so all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PRODUCT = "product"
CAMPAIGNS = {"P1": 1, "P2": 2, "P3": 1}
"""Of each product, the campaign: the first and the last share one."""
MOVED = "moved to another campaign"
"""The cause of a write by which the server dropped a field, in its journal."""


def catalogue():
    """Return the products as the company lists them."""
    return [{"sku": sku, "campaign": {"id": number, "name": f"C{number}"}} for sku, number in CAMPAIGNS.items()]


@dataclass
class Products:
    """Whether a schedule's files name products, and what that does."""

    random: Random
    named: float
    """How probable it is that a night's file has a column of products."""
    stays: bool
    """Whether a code that moves keeps the fields that were not sent along."""
    checked: bool
    """Whether the program asks for the list of products, and so knows their campaigns."""

    @classmethod
    def drawn(cls, seed, *, possible):
        """Return the products of a seed."""
        random = Random(f"products of {seed}")
        named = random.choice([0.0, 0.0, 0.0, 0.0, 0.5, 1.0])
        return cls(random, named if possible else 0.0, random.random() < 0.3, random.random() < 0.6)

    def add_to(self, rows, exported):
        """Let a night's file name a product for each row, perhaps; return whether it does."""
        if self.random.random() >= self.named:
            return False
        for key, row in rows.items():
            old = exported.get(key, {}).get(PRODUCT)
            row[PRODUCT] = old if old and self.random.random() < 0.7 else self.random.choice([*CAMPAIGNS])
        return True

    def moves(self, old, new):
        """Tell whether the program has to believe that a change of product moves the code."""
        return old != new and not (self.checked and CAMPAIGNS.get(old) == CAMPAIGNS[new])

    def settings(self):
        """Return the part of the configuration that is about products, as TOML."""
        return "" if self.checked or not self.named else "[products]\ncheck = false\n"
