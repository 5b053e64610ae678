"""What a command needs of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from syncer.process.clock import Clock, SystemClock
from syncer.process.signals import Interrupt
from syncer.runs.outside import REAL, Outside

if TYPE_CHECKING:
    import pandas as pd

    from syncer.execute.engine import Progress
    from syncer.model import Plan


@dataclass(slots=True)
class Environment:
    """What a command needs of the world: time, signals, standard input, ways out, and who is shown progress."""

    clock: Clock = field(default_factory=SystemClock)
    interrupt: Interrupt = field(default_factory=Interrupt)
    stdin: IO[bytes] | None = None
    outside: Outside = REAL
    frame: pd.DataFrame | None = None
    """Rows that stand in memory: they are read in place of files."""
    frame_name: str = "DataFrame"
    """What they are called in messages, results and the ledger."""
    on_rows: Callable[[int], None] = lambda rows: None
    on_plan: Callable[[Plan], None] = lambda plan: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_list: Callable[[str, int, int | None], None] = lambda what, done, of: None
    """Is told of a list that is read: of what, how many are read, how many there are (None: nobody says)."""
