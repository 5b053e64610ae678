"""A file of own codes as blocks of text columns: CSV by `syncer.source`, JSON object by object.

What always holds: cells are text as they stand in the file; memory is bounded by a block; every row knows its line.
JSON is a list of objects [D]; their values are texts or whole numbers. Rows that cannot be read are rejections.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from syncer.config.asked import REFUSED_NAMES
from syncer.errors import SourceError, did_you_mean
from syncer.model import SPECIAL_FIELDS
from syncer.safe.formulas import EXTRA_COLUMNS
from syncer.source import CsvForm
from syncer.source.files import InputFile
from syncer.source.inputs import look_at, open_input
from syncer.source.opening import require_text
from syncer.source.reader import CsvSource

if TYPE_CHECKING:
    import numpy.typing as npt

READ_BYTES = 1 << 20
OBJECT_CHARACTERS_MAX = 1 << 22
"""A JSON object longer than this is no code."""
BLOCK_OBJECTS = 10_000
_BLANK = re.compile(r"[ \t\r\n]*")
_HALF = re.compile("[\ud800-\udfff]")
"""JSON can escape it (`\\ud800`), UTF-8 cannot hold it."""
_ELSEWHERE = re.compile(r"jobs\.<name>\.(?!csv\b|columns\b)")
REMEDY = "correct the file"
AS_CSV = "save it as CSV in UTF-8"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not uploaded, and why. ``id`` is its id as far as it could be read.

    ``place`` is which of the readable rows it is, from 0: a line of JSON may hold many. None: it could not be read;
    then ``cells`` are what of it can be shown.
    """

    line: int
    code: str
    message: str
    id: str = ""
    place: int | None = None
    cells: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CodesBlock:
    """Rows of a file: a text column per field, null or empty where there is nothing; ``objects`` of JSON alone."""

    columns: pa.RecordBatch
    lines: npt.NDArray[np.int64]
    rejects: tuple[Reject, ...]
    objects: tuple[str, ...] | None = None

    def take(self, places: npt.NDArray[np.int64]) -> CodesBlock:
        """Return the rows at some places, without the rejects."""
        objects = None if self.objects is None else tuple(self.objects[place] for place in places)
        return CodesBlock(self.columns.take(pa.array(places)), self.lines[places], (), objects)

    def column(self, name: str) -> pa.Array | None:
        """Return a column; None when no row has it."""
        place = self.columns.schema.get_field_index(name)
        return self.columns.column(place) if place >= 0 else None

    def encode(self) -> bytes:
        """Write the rows as they go to storage, each with its line end."""
        if self.objects is not None:
            return "".join(f"{text},\n" for text in self.objects).encode()
        sink = io.BytesIO()
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
        pyarrow.csv.write_csv(self.columns, sink, options)
        return sink.getvalue()


@dataclass(frozen=True, slots=True)
class CodesForm:
    """How a file of own codes is written, as a job says it. ``columns``: header → field; None: as they are named.

    ``known_fields``: the fields that there are; None: nobody said.
    """

    csv: CsvForm = CsvForm(encoding="utf-8")
    columns: Mapping[str, str] | None = None
    known_fields: frozenset[str] | None = None


def followable(advice: str) -> str:
    """Return an advice without the clauses about settings that a job of own codes has not; empty: nothing is left."""
    return "; ".join(one for one in advice.split("; ") if not _ELSEWHERE.search(one))


class CodesFile:
    """One file of own codes, which can be read any number of times. JSON names its fields itself."""

    def __init__(self, name: str, form: CodesForm | None = None) -> None:
        form = form or CodesForm()
        self.name = name
        self.filetype = "json" if name.lower().endswith(".json") else "csv"
        self._json = _JsonFile(name) if self.filetype == "json" else None
        self._source = None if self._json else _opened(InputFile(name, None), form)
        self._fields: dict[str, str] = {}
        if self._source is not None:
            self._fields = _fields_of(name, self._source.header, form.columns)
            _check_names(name, tuple(self._fields.values()), form.known_fields)

    @property
    def header(self) -> bytes:
        """What stands before the first row of every part."""
        if self._source is None:
            return b"[\n"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(self.columns)
        return text.getvalue().encode()

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields that CSV columns hold; of JSON: only ``id``, objects name their own."""
        return tuple(self._fields.values()) if self._fields else ("id",)

    @property
    def identity(self) -> tuple[str, int]:
        """SHA-256 and size of the file's bytes; known after a full pass."""
        if self._source is not None:
            return self._source.info.sha256, self._source.info.size_bytes
        assert self._json is not None  # noqa: S101  it is the one or the other
        return self._json.sha256, self._json.size_bytes

    def blocks(self) -> Iterator[CodesBlock]:
        """Read the file from its beginning; raise `SourceError` when it is not what it should be, or has changed."""
        if self._source is None:
            assert self._json is not None  # noqa: S101  it is the one or the other
            yield from self._json.blocks()
            return
        for chunk in self._source.chunks(tuple(self._fields)):
            rejects = tuple(
                Reject(one.line, one.code, followable(one.message) or one.message) for one in chunk.rejections
            )
            yield CodesBlock(chunk.columns.rename_columns(list(self.columns)), chunk.lines, rejects)

    def close(self) -> None:
        """Let go of the file."""
        if self._source is not None:
            self._source.close()


def _opened(file: InputFile, form: CodesForm) -> CsvSource:
    require_text(file, AS_CSV)
    return CsvSource(0, file, form.csv, by_place=form.columns is not None)


def _fields_of(file: str, header: tuple[str, ...], columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the field of each column that is read.

    An error file has fields for names, whatever the job calls its columns, and some columns beside them that are left
    out: a corrected one can be uploaded as it is.
    """
    if columns is None or set(EXTRA_COLUMNS) <= set(header):
        return {name: name for name in header if name not in EXTRA_COLUMNS}
    for name in columns:
        if name not in header:
            words = f"the header has no column {name!r}, which the job maps to {columns[name]}"
            raise SourceError(f"{words}{did_you_mean(name, header)}", file=file, line=1, remedy=REMEDY)
    return {name: columns[name] for name in header if name in columns}


def _check_names(file: str, names: tuple[str, ...], known: frozenset[str] | None) -> None:
    if "id" not in names:
        near = [name for name in names if name.strip().lower() in {"id", "extended_id"}]
        hint = f"; {near[0]!r} must be written id" if near else ""
        raise SourceError(f"the header has no column id{hint}", file=file, line=1, remedy=REMEDY)
    for name in names:
        if name != name.strip():
            words = f"the field {name!r} begins or ends with white space: the API would discard it"
            raise SourceError(words, file=file, line=1, remedy=REMEDY)
        if name in REFUSED_NAMES:
            raise SourceError(
                f"column {name!r} is not allowed: {REFUSED_NAMES[name]}", file=file, line=1, remedy=REMEDY
            )
        if known is not None and name not in known | SPECIAL_FIELDS | {"id"}:
            words = f"column {name!r} is not among the job's known_fields{did_you_mean(name, sorted(known))}"
            raise SourceError(f"{words}: the API would discard it", file=file, line=1, remedy=REMEDY)


class _JsonFile:
    """A list of objects, decoded one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sha256 = ""
        self.size_bytes = 0
        if not Path(name).is_file():
            raise SourceError("cannot be opened: there is no such file", file=name, next=look_at(Path(name)))

    def _text(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        digest, size, lines = hashlib.sha256(), 0, 1
        try:
            with open_input(Path(self.name), self.name) as file:
                while raw := file.read(READ_BYTES):
                    digest.update(raw)
                    size += len(raw)
                    text = decoder.decode(raw)
                    yield text
                    lines += text.count("\n")
                decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise SourceError(f"is not UTF-8: {error.reason}", file=self.name, line=lines, remedy=REMEDY) from None
        except OSError as error:
            next_command = look_at(Path(self.name))
            raise SourceError(f"cannot be read: {error.strerror}", file=self.name, next=next_command) from error
        if self.sha256 and digest.hexdigest() != self.sha256:
            raise SourceError("has changed while it was read", file=self.name, remedy="wait until it is whole")
        self.sha256, self.size_bytes = digest.hexdigest(), size

    def objects(self) -> Iterator[tuple[int, object]]:
        """Give every element of the list with its line."""
        decoder = json.JSONDecoder(object_pairs_hook=_pairs)
        pieces = self._text()
        text, place, line, wanted, ended = "", 0, 1, "[", False
        while True:
            blank = _BLANK.match(text, place)
            stripped = blank.end() if blank else place
            line += text.count("\n", place, stripped)
            place = stripped
            if place < len(text) and not ended:
                if wanted in "[,":
                    ended = self._ends(text[place], wanted, line)
                    place += 1
                    wanted = "]value" if wanted == "[" else "value"
                    continue
                if text[place] == "]" and wanted == "]value":
                    place, ended = place + 1, True
                    continue
                try:
                    element, end = decoder.raw_decode(text, place)
                    whole = end < len(text)  # a number at the very end of a piece may go on in the next
                except RecursionError:
                    raise self._fault("it is nested too deeply", line) from None
                except ValueError as error:  # broken, or cut by the end of a piece: the next may mend it
                    whole, words = False, str(error).partition(":")[0]
                    if len(text) - place > OBJECT_CHARACTERS_MAX:
                        raise self._fault(words, line) from None
                if whole:
                    yield line, element
                    line += text.count("\n", place, end)
                    place, wanted = end, ","
                    continue
            elif place < len(text):
                raise self._fault("there is something after the list", line)
            more = next(pieces, None)
            if more is None:
                if not ended:
                    raise self._fault("the list does not end, or is no JSON from here on", line)
                return
            text, place = text[place:] + more, 0

    def _ends(self, found: str, wanted: str, line: int) -> bool:
        """Tell whether the list ends here, where its beginning or a comma is wanted; raise when it is neither."""
        if found == wanted:
            return False
        if found == "]" and wanted == ",":
            return True
        raise self._fault(f"{wanted!r} is expected; JSON must be one list of objects", line)

    def _fault(self, words: str, line: int) -> SourceError:
        return SourceError(words, file=self.name, line=line, remedy=REMEDY)

    def blocks(self) -> Iterator[CodesBlock]:
        lines: list[int] = []
        rows: list[dict[str, str]] = []
        texts: list[str] = []
        rejects: list[Reject] = []
        for line, element in self.objects():
            fault = _object_fault(element)
            if fault is not None or not isinstance(element, dict):
                shown = _shown(element)
                rejects.append(Reject(line, "E606", fault or "", shown.get("id", ""), None, shown))
            else:
                lines.append(line)
                rows.append({name: str(value) for name, value in element.items()})
                texts.append(json.dumps(element, ensure_ascii=False))
            if len(rows) + len(rejects) >= BLOCK_OBJECTS:
                yield _block(lines, rows, texts, rejects)
                lines, rows, texts, rejects = [], [], [], []
        if rows or rejects:
            yield _block(lines, rows, texts, rejects)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members; one that is named twice shows as a fault."""
    made = dict(pairs)
    if len(made) < len(pairs):
        made[""] = None
    return made


def _object_fault(element: object) -> str | None:
    if not isinstance(element, dict):
        return 'every element of the list must be an object like {"id": "abc12345"}'
    for name, value in element.items():
        if name == "":
            return "a member has no name, or is named twice"
        if _HALF.search(name) or (isinstance(value, str) and _HALF.search(value)):
            return f"the member {name!a} holds half of a character (a surrogate without the other), which is no text"
        if name != name.strip():
            return f"the member {name!r} begins or ends with white space: the API would discard it"
        if name in REFUSED_NAMES:
            return f"the member {name!r} is not allowed: {REFUSED_NAMES[name]}"
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return f"the member {name!r} is not a text or a whole number"
        if name == "id" and not isinstance(value, str):
            return "the id is not a text"
    return None


def _shown(element: object) -> dict[str, str]:
    """Return an object's members as texts: what is no text as JSON, half a character as the one that stands for any."""
    if not isinstance(element, dict):
        return {}
    named = {name: value for name, value in element.items() if name and value is not None}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in named.items()
    }
    return {_HALF.sub("\ufffd", name): _HALF.sub("\ufffd", text) for name, text in texts.items()}


def _block(lines: list[int], rows: list[dict[str, str]], texts: list[str], rejects: list[Reject]) -> CodesBlock:
    names = sorted({name for row in rows for name in row} | {"id"})
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    batch = pa.RecordBatch.from_arrays(columns, names=names)
    return CodesBlock(batch, np.array(lines, np.int64), tuple(rejects), tuple(texts))


def filled(column: pa.Array) -> pa.Array:
    """Return a column with empty texts for nulls."""
    return pc.fill_null(column, "")
