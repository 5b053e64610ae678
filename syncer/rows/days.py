"""Cells that were dates in their source: told from texts while rules run, and as texts for result files. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from syncer.config.cell_rules import DAY


def marked_days(cells: pa.Array, days: pa.BooleanArray) -> pa.Array:
    """Return the cells with `DAY` before each that was a date in its source: no declared format has to fit it."""
    return pc.binary_join_element_wise(pc.if_else(days, DAY, ""), cells, "")


def texts_of_day(day: str, forms: Sequence[str]) -> Iterator[str]:
    """Give a day (YYYY-MM-DD) as it stands, then as each of the formats writes it; of another text itself alone."""
    yield day
    try:
        found = dt.date.fromisoformat(day)
    except ValueError:
        return
    yield from (found.strftime(form) for form in forms)
