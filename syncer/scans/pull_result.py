"""What the commands of scans return: frozen results that `report.scans` renders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, SyncerError
from syncer.ledger.scans import PullState
from syncer.scans.pull import PullCounts


@dataclass(frozen=True, slots=True)
class ScansPullResult:
    """What a pull came to. ``counts`` is this run; ``state`` the pull as a whole, None when it never began."""

    destination: str
    form: str
    seconds: float
    counts: PullCounts = field(default_factory=PullCounts)
    state: PullState | None = None
    error: SyncerError | None = None

    @property
    def came_to(self) -> dict[str, int]:
        """The scans that were new, and those that the API counted and never showed."""
        return {"scans": self.counts.delivered, "missing": self.counts.missing}

    @property
    def exit_code(self) -> int:
        """The exit code of the contract: 3 when the API counted scans that it never showed."""
        if self.error is not None:
            return self.error.status
        return EXIT_NOT_CONFIRMED if self.counts.missing else EXIT_OK


@dataclass(frozen=True, slots=True)
class RawResult:
    """What the API's own CSV came to."""

    path: Path
    lines: int
    size_bytes: int
    broken: int
    broken_lines: tuple[int, ...]
    seconds: float
    error: SyncerError | None = None
    """None, always: what stops it raises, and nothing is kept."""

    @property
    def came_to(self) -> dict[str, int]:
        """The lines that were written, and those of them that are broken."""
        return {"lines": self.lines, "broken": self.broken}

    @property
    def exit_code(self) -> int:
        """3 when some lines are broken."""
        return EXIT_NOT_CONFIRMED if self.broken else EXIT_OK
