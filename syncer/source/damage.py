"""Counts damaged rows: single ones are rejected, but a file of which too many are damaged is not what it seems."""

from __future__ import annotations

from collections.abc import Sequence

from syncer.errors import SourceError
from syncer.rejections import Rejection
from syncer.source.encodings import encoding_advice
from syncer.source.rows import NOT_ENCODED

FEW = 20
"""Damaged rows that a long file may always have."""
MANY = 10_000
"""Damaged rows from which a file need not be read to its end."""
PERCENT = 100


class DamageCount:
    """Counts the rows of one pass. ``percent_max``: the damaged ones that a file may have; 100: all of them."""

    def __init__(self, name: str, percent_max: float, encoding: str) -> None:
        self.rows = 0
        self._damaged = 0
        self._first: Rejection | None = None
        self._name = name
        self._percent_max = percent_max
        self._encoding = encoding

    def add(self, taken: int, rejections: Sequence[Rejection]) -> None:
        """Count the rows of a chunk; raise `SourceError` when most of very many are damaged."""
        self.rows += taken + len(rejections)
        self._damaged += len(rejections)
        if self._first is None and rejections:
            self._first = rejections[0]
        if self._damaged > MANY:
            self._refuse_beyond(max(self._percent_max, PERCENT / 2))

    def end(self) -> None:
        """Raise `SourceError` when more than half of the rows, or more than a few and the percentage, are damaged."""
        few = self._damaged <= FEW
        self._refuse_beyond(max(self._percent_max, PERCENT / 2) if few else self._percent_max)

    def _refuse_beyond(self, percent: float) -> None:
        if self._first is not None and self._damaged * PERCENT > self.rows * percent:
            how = f"{encoding_advice(self._encoding)}; or " if self._first.code == NOT_ENCODED else ""
            raise SourceError(
                f"{self._damaged:,} of {self.rows:,} rows are damaged, so the file's structure is in doubt; "
                f"the first: {self._first.message}",
                file=self._name,
                line=self._first.line,
                remedy=f"{how}correct the export, or declare how it is written: jobs.<name>.csv.delimiter, quote, "
                "escape; to reject so many rows and send the others: jobs.<name>.csv.max_damaged_percent",
            )
