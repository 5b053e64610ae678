"""Sources read in tests: the bytes of a file in; its rows, their lines and the rejections out."""

from __future__ import annotations

from contextlib import closing

import pytest

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources

NAME = "input"


def opened(folder, data, *, name=NAME, form=CsvForm(), **options):
    """Return the one source that these bytes are."""
    (folder / name).write_bytes(data)
    (source,) = open_sources([str(folder / name)], form, **options)
    return source


def read(folder, data, wanted=None, **options):
    """Return rows, lines and rejections of these bytes."""
    with closing(opened(folder, data, **options)) as source:
        chunks = list(source.chunks(wanted))
    rows = [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()]
    lines = [line for chunk in chunks for line in chunk.lines.tolist()]
    return rows, lines, [one for chunk in chunks for one in chunk.rejections]


def refusal(folder, data, **options):
    """Return the error for these bytes: it names the file and what helps."""
    with pytest.raises(SourceError) as raised:
        read(folder, data, **options)
    assert options.get("name", NAME) in raised.value.message
    assert raised.value.next
    return raised.value
