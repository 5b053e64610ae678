"""What the commands about own codes return: plain values that `report` shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, SyncerError
from syncer.lifecycle.part import fate

if TYPE_CHECKING:
    from syncer.codes.checking import Checked
    from syncer.ledger.upload_values import CodeError, Upload


@dataclass(frozen=True, slots=True)
class CodesResult:
    """What ``codes upload`` and ``codes resume`` came to. ``checked`` is None when no file was read."""

    command: str
    uploads: tuple[Upload, ...] = ()
    checked: Checked | None = None
    errors: tuple[CodeError, ...] = ()
    error_file: Path | None = None
    notes: tuple[str, ...] = ()
    error: SyncerError | None = None

    @property
    def came_to(self) -> Counter[str]:
        """The codes of its uploads, by where they are now."""
        counts: Counter[str] = Counter()
        for upload in self.uploads:
            for part in upload.parts:
                counts[fate(part.state)] += part.codes
        return counts

    @property
    def exit_code(self) -> int:
        """The exit status of the process, as the contract has it."""
        if self.error is not None:
            return self.error.status
        whole = all(upload.state == "complete" for upload in self.uploads)
        clean = not self.errors and (self.checked is None or not self.checked.rejected)
        # An upload that is looked at again, or resumed, has the rows that its file's check left out all the same.
        left_out = any(upload.left_out.get("invalid") for upload in self.uploads)
        return EXIT_OK if whole and clean and not left_out else EXIT_NOT_CONFIRMED
