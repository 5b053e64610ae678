"""JSON lines as chunks of text columns: an object a line.

What always holds: a text is taken as it stands, and a whole number as its digits, however long it is; null and a
missing member are empty cells; an object that has another kind of value in a column that counts, or a member twice,
is rejected with its line. The columns are the members of the first `NAMES_LINES` objects; another one is refused,
unless the job says which count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.rejections import Rejection
from syncer.safe.inert import brief
from syncer.source.chunks import text_chunk
from syncer.source.encodings import NOT_TEXT
from syncer.source.files import InputFile, utf8_blocks
from syncer.source.kinds import one_object_a_line
from syncer.source.results_reader import read_columns
from syncer.source.table import TableForm, key_names
from syncer.source.tables import CHUNK_ROWS, checked_header, finished

NAMES_LINES = 10_000
LINE_BYTES_MAX = 16 << 20
_MORE = "Extra data"
"""What the parser says of a line that goes on behind its value."""
WIDTH, NOT_ENCODED, NUMBER, LOGICAL = "E101", "E106", "E122", "E123"


class _Odd(NamedTuple):
    """A value without a certain text: the rejection code, what it is, and how it is shown."""

    code: str
    words: str
    shown: str


class JsonLinesSource:
    """One file of JSON lines. ``key`` names its key columns, where they are known.

    ``by_place``: the job says which members count, so that others may come at any line.
    """

    form_note = ""

    def __init__(
        self,
        position: int,
        file: InputFile,
        *,
        key: Sequence[str] | None,
        table: TableForm,
        encoding: str | None,
        packed: bool = False,
        by_place: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.position, self.name, self.warnings = position, file.name, notes
        self._file, self._table, self._encoding = file, table, encoding
        self._by_place = by_place
        self._packed, self._comment = packed, (table.comment or "").encode()
        self._rows = 0
        self._strict: frozenset[str] | None = None
        try:
            names: dict[str, None] = {}
            for _, _, found in islice(self._objects(), NAMES_LINES):
                names |= dict.fromkeys(found if isinstance(found, dict) else ())
            if not names:
                words = f"none of its first {NAMES_LINES:,} lines is a JSON object: is it one object a line?"
                raise one_object_a_line(words, self.name, ".", packed=self._packed)
            self._members = list(names)
            self._known = frozenset(names)
            self.header = checked_header([name.strip() if table.trims else name for name in names], self.name, None)
        except BaseException:
            self.close()
            raise
        self._keys = key_names(self.header, key)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file, dialect = self._file, Dialect("json", "", "")
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, dialect, self.header, file.mtime_s)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the file from its beginning; ``wanted`` names the columns to keep (None: all)."""
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
        keep = [name for name in self.header if wanted is None or name in wanted]
        rows = self._pass(read_columns(self.header, wanted), self._strict)
        yield from finished(rows, self, self._table, keep, self._strict, self._keys)

    def _pass(self, keep: Sequence[str], strict: frozenset[str]) -> Iterator[Chunk]:
        objects = self._objects()
        rows = 0
        while block := list(islice(objects, CHUNK_ROWS)):
            rows += len(block)
            yield self._chunk(block, keep, strict)
        self._rows = rows

    def _chunk(self, block: Sequence[tuple[int, str, Any]], keep: Sequence[str], strict: frozenset[str]) -> Chunk:
        member_of = dict(zip(self.header, self._members, strict=True))
        good: list[dict[str, Any]] = []
        lines: list[int] = []
        rejections: list[Rejection] = []
        for line, written, found in block:
            fault = self._fault(
                line, written, found, [(name, member_of[name]) for name in self.header if name in strict]
            )
            if fault is None:
                good.append(found)
                lines.append(line)
            else:
                cells = tuple(_shown(found.get(name)) for name in self._members) if isinstance(found, dict) else ()
                members = [(name, found.get(name)) for name in self._members] if isinstance(found, dict) else []
                wrong = tuple(
                    place
                    for place, (name, value) in enumerate(members)
                    if isinstance(value, _Odd) and self.header[place] in strict
                )
                rejections.append(Rejection(self.position, line, *fault, cells=cells, wrong=wrong))
        columns = [pa.array([_shown(found.get(member_of[name])) for found in good], pa.string()) for name in keep]
        return text_chunk(self.position, keep, columns, lines, rejections)

    def _fault(self, line: int, written: str, found: Any, columns: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        if NOT_TEXT in written:
            return NOT_ENCODED, "bytes that are not of the file's encoding"
        if not isinstance(found, dict):
            return WIDTH, f"the line is no JSON object: {found}"
        strange = next((name for name in found if name not in self._known), None)
        if strange is not None and not self._by_place:
            raise SourceError(
                f"the member {strange!r} is in none of the first {NAMES_LINES:,} objects",
                file=self.name,
                line=line,
                remedy="write every member in the first object, with null where it has no value; or name those that "
                "count: [jobs.<name>.columns]",
            )
        for name, member in columns:
            if isinstance(found.get(member), _Odd):
                odd = found[member]
                return odd.code, f"column {name!r} is {odd.words}"
        return None

    def _objects(self) -> Iterator[tuple[int, str, Any]]:
        """Give the lines with content: number, text, and the object, or the words for what it is not."""
        _, blocks = utf8_blocks(self._file, self._encoding)
        rest, line = b"", 0
        for block in blocks:
            *whole, rest = (rest + block).split(b"\n")
            if len(rest) > LINE_BYTES_MAX:
                words = f"a line is longer than {LINE_BYTES_MAX >> 20} MB: is it one object a line?"
                raise one_object_a_line(words, self.name, ".", packed=self._packed, line=line + len(whole) + 1)
            for text in whole:
                line += 1
                if self._is_content(text):
                    yield line, *_parsed(text.decode())
        if self._is_content(rest):
            yield line + 1, *_parsed(rest.decode())

    def _is_content(self, text: bytes) -> bool:
        return bool(text.strip()) and not (self._comment and text.startswith(self._comment))


def _parsed(text: str) -> tuple[str, Any]:
    """Return the text of a line, and its object, or the words for what it is not."""
    try:
        found = json.loads(
            text, parse_int=str, parse_float=_float, parse_constant=_float, object_pairs_hook=_members_of
        )
    except json.JSONDecodeError as error:
        return text, _told(error)
    except (ValueError, RecursionError) as error:
        return text, str(error)[:200] or type(error).__name__
    if isinstance(found, list) and not isinstance(found, _Odd):
        return text, "it is an array; its objects, one a line: jq -c '.[]'"
    return text, found if isinstance(found, dict) else "it is another value, not between { and }"


def _told(error: json.JSONDecodeError) -> str:
    """Return what is wrong with a line, and where."""
    if error.msg != _MORE:
        return f"{error.msg.removesuffix(' at')}, column {error.colno}"
    rest = error.doc[error.pos :].strip()
    words = "leave the comma out" if rest == "," else "one object a line: jq -c ." if rest.startswith("{") else ""
    return f"something follows it, column {error.colno}: {brief(rest)!r}" + (words and f"; {words}")


def _float(text: str) -> _Odd:
    return _Odd(NUMBER, f"the number {text[:40]}, whose text is not certain; write it as a text", text[:40])


def _members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it has the member {name!r} twice")
        if isinstance(value, bool):
            shown = str(value).lower()
            found[name] = _Odd(LOGICAL, f"the logical value {shown}; write it as a text", shown)
        elif isinstance(value, (dict, list)) and not isinstance(value, _Odd):
            found[name] = _Odd(NUMBER, "a list or an object of its own", "…")
        else:
            found[name] = _text(value) if isinstance(value, str) else value
    return found


def _text(value: str) -> str | _Odd:
    """Return a text; one with half a character (an escape of a surrogate alone) is none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return _Odd(NOT_ENCODED, "a text with half a character", value.encode("utf-8", "backslashreplace").decode())
    return value


def _shown(value: Any) -> str:
    return value.shown if isinstance(value, _Odd) else "" if value is None else str(value)
