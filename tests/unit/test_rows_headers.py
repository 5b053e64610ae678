"""The header again among the rows: only where the cells are the names of the columns, each once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syncer.rows.headers import HEADER_AGAIN, WORDS, rows_of_names


@pytest.mark.parametrize(
    ("wanted", "rows", "found"),
    [
        (
            ("extended_id", "n"),
            [("K1", "1"), ("N", "Extended_ID"), ("extended_id", "n"), ("EXTENDED_ID", "N")],
            [1, 2, 3],
        ),
        (("extended_id", "n"), [("n", "n"), ("extended_id", "x"), ("x", "n"), ("extended_Id", "extended_id")], []),
        (
            ("a", "b", "c"),
            [("b", "c", "A"), ("a", "b", "b"), ("c", "a", "B"), ("a", "b", "d"), ("d", "b", "c")],
            [0, 2],
        ),
        (("Maß", "n"), [("MASS", "N"), ("maß", "n"), ("mass", "N")], [0, 1, 2]),
        ((" Lot", "n "), [(" lot", "N"), ("N ", "LOT"), (" lot", "n"), (" abc", "n"), ("ab", "n")], [0, 1, 2]),
        (("n",), [("n",), ("N",), ("m",)], [0, 1]),
        (("extended_id", "n"), [], []),
    ],
)
def test_a_row_of_names_is_found_in_any_letters_and_order(wanted, rows, found):
    columns = [pa.array([*cells], pa.string()) for cells in zip(*rows, strict=True)] or [
        pa.array([], pa.string())
    ] * len(wanted)
    got = rows_of_names(pa.RecordBatch.from_arrays(columns, [*wanted]), wanted)
    assert got.tolist() == found
    assert got.dtype == np.int64
    assert (HEADER_AGAIN, "the header again" in WORDS) == ("E109", True)
