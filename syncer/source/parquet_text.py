"""From a column of Arrow to texts, when they are certain. Pure.

A timestamp without a zone is a day when it is midnight; bytes are text when they are UTF-8 without control characters
(those are numbers, or flags); of a value that is neither its row is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.source.chunks import NOT_ENCODED

if TYPE_CHECKING:
    import numpy.typing as npt

TIME = "E126"
VALUE_CHARACTERS_SHOWN = 40
FIRST_YEAR = 1000
DAY, SINCE = "^[1-9][0-9]{3}-", f"since the year {FIRST_YEAR}"
"""An earlier one (0001-01-01) is a program's word for nothing, and a text of it is refused too (E303)."""
CONTROL = r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""In bytes: no text has it. (A NUL is told of in texts, too.)"""
Faults = dict[int, tuple[str, str]]


def certain(kind: Any) -> bool:
    """Tell whether every value of a type, or nearly every one, has a certain text."""
    types = pa.types
    if types.is_dictionary(kind):
        return certain(kind.value_type)
    return bool(
        is_textual(kind)
        or types.is_integer(kind)
        or types.is_date(kind)
        or types.is_null(kind)
        or (types.is_timestamp(kind) and kind.tz is None)
        or (types.is_decimal(kind) and kind.scale == 0)
    )


def _is_string(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_textual(kind: Any) -> bool:
    """Tell whether values of a type are texts, or bytes that may be one."""
    types = pa.types
    return bool(
        _is_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def expanded_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return how many bytes of text each row of a batch comes to, without making it."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        values = column.dictionary if isinstance(column, pa.DictionaryArray) else column
        if not is_textual(values.type) or pa.types.is_fixed_size_binary(values.type):
            continue
        if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
            values = values.cast(pa.large_binary())
        lengths = pc.fill_null(pc.binary_length(values), 0)
        if isinstance(column, pa.DictionaryArray):
            lengths = pc.fill_null(lengths.take(column.indices), 0)
        sizes += lengths.to_numpy(zero_copy_only=False)
    return sizes


def day_marks(column: Any) -> npt.NDArray[np.bool_] | None:
    """Return which values are days; None: the type has none."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not pa.types.is_date(kind) and not pa.types.is_timestamp(kind):
        return None
    marks: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return marks


def text_of(column: Any) -> tuple[Any, Faults]:
    """Return the texts of a column without nulls, and what is wrong with some of its rows."""
    if not certain(column.type):
        return _best_guess(column), {}
    faults: Faults = {}
    if pa.types.is_dictionary(column.type):
        texts, wrong = text_of(column.dictionary)
        indices = column.indices
        for place, fault in wrong.items():
            for row in np.flatnonzero(pc.fill_null(pc.equal(indices, place), False).to_numpy(zero_copy_only=False)):
                faults[int(row)] = fault
        return pc.fill_null(texts.take(indices), ""), faults
    if is_textual(column.type):
        return _decoded(column)
    if pa.types.is_timestamp(column.type):
        return _days(column)
    column.validate(full=True)
    if pa.types.is_date(column.type):
        return _days(column)
    return pc.fill_null(column.cast(pa.string()), ""), faults


def _decoded(column: Any) -> tuple[Any, Faults]:
    """Return texts, or bytes as texts where they are UTF-8."""
    try:
        text = column.cast(pa.binary()).cast(pa.string())
        text.validate(full=True)
        return pc.fill_null(text, ""), {} if _is_string(column.type) else _control_characters(text)
    except pa.ArrowInvalid:
        pass
    texts: list[str] = []
    faults: Faults = {}
    for row, value in enumerate(column.cast(pa.binary()).to_pylist()):
        try:
            texts.append("" if value is None else value.decode())
            if not _is_string(column.type) and re.search(CONTROL, texts[-1]):
                faults[row] = NOT_ENCODED, f"is no text: {texts[-1][:VALUE_CHARACTERS_SHOWN]!r}"
        except UnicodeDecodeError as error:
            texts.append(value.decode("utf-8", "backslashreplace"))
            shown = texts[-1][:VALUE_CHARACTERS_SHOWN]
            faults[row] = NOT_ENCODED, f"is no UTF-8: byte 0x{value[error.start]:02x} in {shown!r}"
    return pa.array(texts, pa.string()), faults


def _control_characters(text: Any) -> Faults:
    """Return the rows of what was bytes whose text has a control character."""
    rows = np.flatnonzero(pc.fill_null(pc.match_substring_regex(text, CONTROL), False).to_numpy(zero_copy_only=False))
    shown = (text[int(row)].as_py()[:VALUE_CHARACTERS_SHOWN] for row in rows)
    return {int(row): (NOT_ENCODED, f"is no text: {one!r}") for row, one in zip(rows, shown, strict=True)}


def _days(column: Any) -> tuple[Any, Faults]:
    """Return the texts of days; what is no midnight, or in a year that is not written so, is a fault of its row."""
    days = column.cast(pa.date32(), safe=False)
    texts = days.cast(pa.string())
    midnight = pc.and_(pc.equal(days.cast(column.type, safe=False), column), pc.match_substring_regex(texts, DAY))
    texts, faults = pc.fill_null(texts, ""), Faults()
    for row in np.flatnonzero(~pc.fill_null(midnight, True).to_numpy(zero_copy_only=False)):
        shown = column[int(row)].cast(pa.string()).as_py()
        faults[int(row)] = TIME, f"is {shown}, not a day {SINCE}; give the day alone"
    if faults:  # whoever corrects the row sees what stood there
        mask = pa.array(np.isin(np.arange(len(texts)), list(faults)))
        texts = pc.replace_with_mask(texts, mask, column.cast(pa.string()).filter(mask))
    return texts, faults


def _best_guess(column: Any) -> Any:
    """Return the text of a column that is not sent; it is for the results folder alone."""
    return pa.array(["" if value is None else str(value) for value in column.to_pylist()], pa.string())
