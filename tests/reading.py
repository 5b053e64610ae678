"""Sources read in tests: the bytes of a file in; its rows, their lines and the rejections out."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syncer.config.building import build
from syncer.errors import SourceError, SyncerError
from syncer.process.signals import Interrupt
from syncer.runs.inputs import open_inputs
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
    assert raised.value.remedy
    return raised.value


def job_of(declared):
    """Return a job from dotted settings, as a configuration has them."""
    raw = {}
    for dotted, value in declared.items():
        *path, last = dotted.split(".")
        table = raw
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return build({"jobs": {"j": raw}}, []).jobs["j"]  # what a configuration is refused for is refused by a file too


def outcome(folder, data, declared):
    """Return the rows that would be sent, and all that is said."""
    names = [] if "source.query" in declared else [str(folder / "export")]
    if data is not None:
        (folder / "export").write_bytes(data if isinstance(data, bytes) else data.encode())
    said, rows = [], []
    try:
        opened = open_inputs(
            job_of(declared), names, None, copies={}, stdin=None, interrupt=Interrupt(), observe=lambda count: None
        )
        with opened as (sources, validator):
            for source in sources:
                for chunk in source.chunks(validator.wanted):
                    valid = validator.check(chunk)
                    said += [f"{one.code} {one.message}" for one in valid.rejections]
                    columns = [*(key.to_pylist() for key in valid.keys), *(one.to_pylist() for one in valid.fields)]
                    rows += ["/".join(cell or "" for cell in row) for row in zip(*columns, strict=True)]
                said += source.warnings
    except SyncerError as error:
        return [], [f"{error.message} | {error.remedy}"]
    return rows, said


def zipped(**members):
    """Return a ZIP file of these texts, each as a CSV file of its name."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, text in members.items():
            file.writestr(f"{name}.csv", text)
    return data.getvalue()


def parquet(**columns):
    """Return a Parquet file of these columns."""
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    return data.getvalue()
