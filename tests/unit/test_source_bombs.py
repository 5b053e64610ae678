"""Hostile files of some kilobytes: within 1 GiB and 30 s of the processor, refused with the reason or read as nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sampling import WHOLE, sample
from workbooks import SHEET, STRINGS, book, members, saved, shared

MB = 1 << 20
NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SIZE = 60 if WHOLE else 12
"""MB that the files unpack to."""
MEMORY_MIB, PROCESSOR_S = 1024, 30
READ = """
import json, resource, sys
from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources
try:
    (source,) = open_sources([sys.argv[1]], CsvForm())
    rows = sum(len(chunk.lines) for chunk in source.chunks())
    words, code = f"{rows} rows", 0
except SourceError as error:
    words, code = error.message, error.exit_code
    assert error.remedy
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: that counts what the process that started this one had.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([code, peak >> 10, used.ru_utime + used.ru_stime, words]))
"""


def workbook(**changes):
    parts = members(shared(saved(book(["extended_id", "a"], ["K1", "x"]))))
    for name, change in changes.items():
        where = {"sheet": SHEET, "strings": STRINGS, "styles": "xl/styles.xml"}[name]
        parts[where] = change(parts[where])
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return data.getvalue()


def rows(text):
    return workbook(sheet=lambda before: before.replace("</sheetData>", text + "</sheetData>"))


def strings(text):
    return workbook(strings=lambda before: before.replace("</sst>", text + "</sst>"))


def formats():
    """Styles that each have a code of their own, which opens brackets and closes none."""
    numbers = range(200, 60_000, 60 // SIZE)
    codes = "".join(f'<numFmt numFmtId="{one}" formatCode="{"[0" * 510}"/>' for one in numbers)
    used = "".join(f'<xf numFmtId="{one}"/>' for one in numbers)
    styles = f'<styleSheet xmlns="{NAMESPACE}"><numFmts>{codes}</numFmts><cellXfs>{used}</cellXfs></styleSheet>'
    return workbook(styles=lambda text: styles)


def parquet(columns, **options):
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data, compression="zstd", **options)
    return data.getvalue()


def repeated(value, count):
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([value]))


HEAD = b"extended_id,a\n"
BOMBS = {
    "a text of a workbook": lambda: strings("<si><t>" + "x" * SIZE * MB + "</t></si>"),
    "texts without end": lambda: strings("<si/>" * (SIZE * MB // 5)),
    "short texts without end": lambda: strings("<si><t>abc</t></si>" * (SIZE * MB // 19)),
    "styles": lambda: workbook(styles=lambda text: text.replace("</cellXfs>", "<xf/>" * (SIZE * MB // 5) + "</cellXfs>")),
    "codes of formats": formats,
    "cells of a row": lambda: rows('<row r="3">' + "<c/>" * (SIZE * MB // 4) + "</row>"),
    "cells of rows": lambda: rows(("<row>" + "<c><v>1</v></c>" * 500 + "</row>") * (SIZE * MB // 7500)),
    "rows": lambda: rows("<row/>" * (SIZE * MB // 6)),
    "nesting": lambda: rows("<a>" * (SIZE * MB // 3)),
    "an attribute": lambda: rows('<row a="' + "x" * SIZE * MB + '"/>'),
    "a text in its cell": lambda: rows('<row r="3"><c r="A3" t="inlineStr"><is><t>' + "y" * SIZE * MB + "</t></is></c></row>"),
    "white space": lambda: rows(" " * 200 * MB),
    "a value": lambda: parquet({"extended_id": pa.array(["x" * 257 * MB], pa.large_string()), "a": ["y"]}, use_dictionary=False),
    "a value for many rows": lambda: parquet({"extended_id": repeated("x" * MB, 50_000), "a": pa.array(["y"] * 50_000)}),
    "rows of nothing": lambda: parquet({"extended_id": pa.nulls(9_000_000, pa.int8())}),
    "blank lines": lambda: gzip.compress(HEAD + b"\n" * SIZE * MB),
    "blank lines of two characters": lambda: gzip.compress(HEAD.replace(b"\n", b"\r\n") + b"\r\n" * (SIZE * MB // 2)),
    "separators alone": lambda: gzip.compress(HEAD + b",\n" * (SIZE * MB // 2)),
    "one bare cell": lambda: gzip.compress(HEAD + b"x" * SIZE * MB),
    "one quoted cell": lambda: gzip.compress(HEAD + b'"' + b"x" * SIZE * MB),
    "quotes": lambda: gzip.compress(HEAD + b'"' * SIZE * MB),
    "a row of separators": lambda: gzip.compress(HEAD + b"," * SIZE * MB),
    "a header of separators": lambda: gzip.compress(b"," * SIZE * MB),
    "what grows too much": lambda: gzip.compress(HEAD + b"K1,x\n" * (70 * MB // 5)),
}  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("name", sample(list(BOMBS), 6, name="bombs"))
def test_a_hostile_file_takes_bounded_memory_and_time(tmp_path, name, record_property):
    data = BOMBS[name]()
    assert len(data) < MB
    path = tmp_path / "bomb"
    path.write_bytes(data)
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # its time is measured
    done = subprocess.run(
        [sys.executable, "-c", READ, path.name], cwd=tmp_path, env=untraced, capture_output=True, text=True, timeout=300,
        check=True,
    )  # fmt: skip
    code, memory_mib, processor_s, words = json.loads(done.stdout)
    row = f"{name:29} {len(data):8,} B {memory_mib:5} MiB {processor_s:5.1f} s  exit {code}  {words.partition(': ')[2] or words}"
    record_property("table", ("hostile files: size, peak of memory, time of the processor, how it ended", row))
    assert memory_mib < MEMORY_MIB
    assert processor_s < PROCESSOR_S
    assert code in {0, 2}


def test_memory_that_a_library_may_not_have_is_a_refusal(tmp_path):
    from syncer.errors import SourceError
    from syncer.source.foreign import MEMORY_BYTES, guarded

    with pytest.raises(SourceError, match="needs more memory") as raised:
        guarded(lambda: bytearray(2 * MEMORY_BYTES), file="a", what="the file", remedy="x")
    assert raised.value.exit_code == 2


def test_what_a_library_prints_or_raises_stays_inside(capsys):
    from syncer.errors import SourceError
    from syncer.source.foreign import guarded

    def read():
        print("words of a library")
        raise IndexError("\x1b[31mlist index")

    with pytest.raises(SourceError, match=r"a: the file cannot be read: IndexError: .*list index") as raised:
        guarded(read, file="a", what="the file", remedy="x")
    assert "\x1b" not in raised.value.message
    assert capsys.readouterr().out == ""
