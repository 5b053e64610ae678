"""Arrow arrays over NumPy's memory, and the ledger's state as joined texts: the same values on both sides."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.arrow import as_numpy, numbers, steps, texts
from syncer.ledger import bulk
from syncer.ledger.ledger import Ledger
from syncer.plan.columns import Column, KeyColumn

AT = "2026-11-20T05:00:00.000Z"
words = st.lists(st.text(max_size=6), max_size=40)


@given(values=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40), cut=st.integers(0, 9))
def test_numbers_go_to_arrow_and_back(values, cut):
    for dtype in (np.int32, np.int64):
        array = numbers(np.array(values, dtype))
        assert array.to_pylist() == values
        assert as_numpy(array.slice(cut)).tolist() == values[cut:]


@given(values=st.lists(st.tuples(st.integers(-9, 9), st.booleans()), max_size=40))
def test_numbers_that_are_not_valid_are_null(values):
    array = numbers(np.array([n for n, _ in values], np.int32), np.array([valid for _, valid in values], bool))
    assert array.to_pylist() == [n if valid else None for n, valid in values]
    array.validate(full=True)


@given(values=st.lists(st.booleans(), max_size=40), cut=st.integers(0, 20))
def test_truth_values_come_back_from_arrow_from_any_place_on(values, cut):
    assert as_numpy(pa.array(values, pa.bool_()).slice(cut)).tolist() == values[cut:]


@given(count=st.integers(0, 20), most=st.integers(1, 25))
def test_steps_cover_each_place_once_and_none_is_longer_than_allowed(count, most):
    taken = [[*range(count)[part]] for part in steps(count, most)]
    assert [place for part in taken for place in part] == [*range(count)]
    assert all(0 < len(part) <= most for part in taken)
    assert [[*range(part.start, part.stop)] for part in steps(count, most)] == taken


@given(values=words)
def test_texts_are_what_arrow_would_make_of_them(values):
    array = texts(values)
    array.validate(full=True)
    assert array.equals(pa.array(values, pa.large_string()))


@given(blocks=st.lists(words, max_size=8), cut=st.integers(0, 5))
def test_columns_grow_to_what_was_added(blocks, cut):
    keys, lengths = KeyColumn(), Column(np.int32)
    for block in blocks:
        keys.add(pa.array(block, pa.large_string()).slice(cut))
        lengths.add(np.array([len(word) for word in block[cut:]], np.int32))
    expected = [word for block in blocks for word in block[cut:]]
    array = keys.array()
    array.validate(full=True)
    assert array.to_pylist() == expected
    assert lengths.array().tolist() == [len(word) for word in expected]


keys_with_breaks = st.text(st.sampled_from("aK1ä\n\x1f€\U0001f600"), max_size=4)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    with Ledger.open_to_write(f"sqlite:///{tmp_path_factory.mktemp('state')}/l.db", at=AT) as opened:
        yield opened


@pytest.mark.parametrize("page_rows", [1, 2, 3, 10_000])
@given(state=st.dictionaries(keys_with_breaks, st.integers(1, 2**40), max_size=12))
def test_the_state_comes_back_whole_and_in_order_whatever_the_keys_and_the_pages(ledger, page_rows, state):
    original = bulk.PAGE_ROWS, bulk.STATE_ROWS
    bulk.PAGE_ROWS, bulk.STATE_ROWS = page_rows, 3
    try:
        with ledger.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM mirror")  # what the example before left
            rows = [(space, key, picture, -picture) for key, picture in state.items() for space in (1, 2)]
            bulk.insert_rows(connection, "mirror", ("space_id", "key", "picture", "batch_id"), rows)
            found = [
                row
                for keys, numbers in bulk.state_blocks(connection, 1, ("picture", "batch_id"))
                for row in zip(keys.to_pylist(), *(column.tolist() for column in numbers), strict=True)
            ]
    finally:
        bulk.PAGE_ROWS, bulk.STATE_ROWS = original
    in_order = sorted(state.items(), key=lambda pair: pair[0].encode())
    assert found == [(key, picture, -picture) for key, picture in in_order]


def test_a_csv_file_is_planned_without_pandas(tmp_path):
    (tmp_path / "a.csv").write_text("extended_id,lot\nK1,x\nK2,ä\n K3,y\nK4,\n")  # with rows that are looked at closer
    script = (
        "import sys\nsys.argv = ['syncer', 'plan', 'a.csv']\nfrom syncer.cli import main\ntry:\n    main()\n"
        "except SystemExit as ended:\n    print(ended.code, 'pandas' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "3 False"
