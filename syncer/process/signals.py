"""Signals, taken from the first moment of the program to its last: one that arrives is never lost.

The first ends work that can end cleanly (`Interrupt.graceful`), and anything else at once; a second ends all at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncer.errors import AGAIN, SignalError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Interrupt:
    """Which signal has arrived; the engine, and whoever reads a long file, look at it."""

    signal_number: int | None = None
    graceful: bool = False
    """Whether somebody looks at it, and ends cleanly."""

    def arrived(self, number: int, _frame: object = None) -> None:
        """Take a signal: the handler."""
        again = self.signal_number is not None
        self.signal_number = number
        if again or not self.graceful:
            raise SignalError(f"stopped at once by signal {number}", signal_number=number)

    def check(self, words: str, *, next: str = AGAIN) -> None:
        """Raise `SignalError` when a signal has arrived; ``words`` say what it ended, ``next`` what goes on."""
        if self.signal_number is not None:
            words = f"stopped by signal {self.signal_number} {words}"
            raise SignalError(words, signal_number=self.signal_number, next=next)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end what is done inside at once: nothing is begun yet, and reading a pipe may wait for ever."""
        before, self.graceful = self.graceful, False
        try:
            self.check("before anything was sent")
            yield
        finally:
            self.graceful = before


def install(interrupt: Interrupt) -> None:
    """Let `interrupt` have the signals that ask the program to stop; a hangup ignored by `nohup` stays ignored."""
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt.arrived)
