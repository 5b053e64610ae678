"""Other writers: people in the portal and with phones, programs with tokens of their own. They change codes at any moment.

What always holds: what they write is no file's, and whose it is stands in the server's journal (`truth.THEIRS`).
"""

from __future__ import annotations

from random import Random

from sim.truth import THEIRS


class Others:
    """Everybody else who writes to the codes of a schedule's company."""

    def __init__(self, seed):
        self.random = Random(f"others of {seed}")
        self.often = self.random.choice([0.0, 0.0, 0.0, 0.002, 0.02])
        """How probable it is that somebody writes at a step of the program, or (ten times so) between two processes."""
        self.written = 0

    def turn(self, api, now_s, *, times=1):
        """Let somebody write, perhaps: a value of their own, or one that a file may have.

        Nobody clears a field: who then reads it back cannot tell that from a field that was not taken.
        """
        world = api.world
        if not world.codes or self.random.random() >= self.often * times:
            return
        number, name = self.random.randrange(len(world.codes)), self.random.choice(["m", "s"])
        self.written += 1
        value = self.random.choice([f"theirs-{self.written}", f"theirs-{self.written}", f"0001-{name}0"])
        if api.fate.strikes(f"somebody else writes {name}={value!r} to code {number}"):
            api.advance(now_s)
            world.write(number, {name: value}, at_s=now_s, cause=THEIRS)
