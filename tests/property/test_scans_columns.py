"""Values survive every format; ids are known exactly when they were added."""

from __future__ import annotations

import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_tools import delivered

from syncer.api.scans import Scan
from syncer.safe.formulas import restored
from syncer.scans.columns import block_of, joined, scm_fields
from syncer.scans.parts import FORMS, PartsFolder
from syncer.scans.seen import SeenIds, ids_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
AWKWARD = st.sampled_from(["a,b", '"', "a\nb", "a\r\nb", " x ", "NA", "null", "007", "1e5", "=1+1", "日本", ""])
DATA = st.dictionaries(st.sampled_from(["lot", "case_no", "a,b", 'q"', "x y"]), TEXTS | AWKWARD, max_size=4)


def scan(number, data):
    return Scan(uuid=str(uuid.UUID(int=number)), creation_date="2021-03-17T12:54:23Z", scm_data=data)


@given(st.lists(st.lists(DATA, min_size=1, max_size=4), min_size=1, max_size=3))
def test_scm_data_comes_back_from_every_format_as_it_went_in(pages):
    blocks, number = [], 0
    for page in pages:
        blocks.append(block_of([scan(number + place, data) for place, data in enumerate(page)]))
        number += len(page)
    fields = list(dict.fromkeys(name for block in blocks for name in scm_fields(block)))
    part = joined(blocks, fields)
    for form in FORMS:
        with TemporaryDirectory() as name:
            PartsFolder(Path(name), form).write(part, 1)
            rows = sorted(delivered(Path(name)), key=lambda row: str(row["scan.uuid"]))
        wanted = [data for page in pages for data in page]
        for row, data in zip(rows, wanted, strict=True):
            found = {key[4:]: value for key, value in row.items() if key.startswith("scm.")}
            if form == "csv":  # an empty text and none look the same to a reader that ignores quotes
                assert {key: restored(value) for key, value in found.items() if value} == {
                    key: value for key, value in data.items() if value
                }
            else:
                assert {key: value for key, value in found.items() if value is not None} == data


@given(st.lists(st.sets(st.integers(0, 300) | st.integers(0, 2**128 - 1), max_size=30), max_size=12))
def test_an_id_is_known_exactly_when_it_was_added(batches):
    seen, known = SeenIds(), set()
    for batch in batches:
        asked = sorted(batch | {value + 1 for value in batch if value < 2**128 - 1})
        ids = ids_of([str(uuid.UUID(int=value)) for value in asked])
        assert seen.holds(ids).tolist() == [value in known for value in asked]
        fresh = [str(uuid.UUID(int=value)) for value in batch - known]
        seen.add(ids_of(fresh))
        known |= batch
        assert len(seen) == len(known)


@pytest.mark.parametrize("texts", [["x" * 36], ["0" * 36], ["12345678-1234-1234-1234-1234567890"], ["é" * 36]])
def test_what_is_no_uuid_is_refused(texts):
    with pytest.raises(ValueError):
        ids_of(texts)


@pytest.mark.parametrize(
    ("text", "us"),
    [("2021-03-17T12:54:23.219715Z", 1615985663219715), ("2021-03-17T12:54:23Z", 1615985663000000),
     ("2021-03-17T13:54:23.2+01:00", 1615985663200000), ("2021-03-17T12:54:23", 1615985663000000)],
)  # fmt: skip
def test_times_are_read_in_every_form_of_iso(text, us):
    page = [scan(1, {}), msgspec.structs.replace(scan(2, {}), creation_date=text)]
    assert block_of(page).times_us[1] == us


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ValueError):
        block_of([msgspec.structs.replace(scan(1, {}), creation_date="yesterday")])


def test_scm_data_that_is_no_text_is_kept_as_json():
    values = [1, 1.5, True, None, ["a", 1], {"b": "c"}, "plain"]
    table = block_of([scan(number, {"lot": value}) for number, value in enumerate(values)]).table
    assert table["scm.lot"].to_pylist() == ["1", "1.5", "true", None, '["a", 1]', '{"b": "c"}', "plain"]
