"""What a file is, by its first bytes and not by its name. What cannot be read is named, with the way out."""

from __future__ import annotations

import re
from typing import NamedTuple

from syncer.errors import SourceError
from syncer.safe.inert import pasted

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGICS = (b"\x28\xb5\x2f\xfd", *(bytes([kind]) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))
"""Of a frame, and of those to skip, with which pzstd begins a file."""
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
PARQUET_MAGIC = b"PAR1"
OLE_MAGIC = b"\xd0\xcf\x11\xe0"
HEAD_BYTES = 1024
"""As many bytes tell what a file is."""
COMMENTS_BYTES = 1 << 16
"""As many do where comments may stand above its content."""
_TAR_PLACE = 257
AS_XLSX = "save it as an Excel workbook (.xlsx) or as CSV"
_UNPACK = "unpack it first, and name what was in it"
_EXPORT = "export it as CSV, Parquet or an Excel workbook (.xlsx)"
_OLD = "save it as an Excel workbook (.xlsx) without a password"


class _Stranger(NamedTuple):
    """A kind of file that is not read: how it begins, what it is, what helps."""

    begins: bytes
    what: str
    remedy: str


_STRANGERS = (
    _Stranger(OLE_MAGIC, "a workbook of an old format (.xls), or one with a password", _OLD),
    _Stranger(b"\x09\x08\x10\x00", "a workbook of an old format (.xls)", _OLD),
    _Stranger(b"\x09\x04\x06\x00", "a workbook of an old format (.xls)", _OLD),
    _Stranger(b"%PDF-", "a PDF document", _EXPORT),
    _Stranger(b"{\\rtf", "a text of a word processor (RTF)", _EXPORT),
    _Stranger(b"BZh", "packed by bzip2", _UNPACK),
    _Stranger(b"\xfd7zXZ\x00", "packed by xz", _UNPACK),
    _Stranger(b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    _Stranger(b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    _Stranger(b"\x04\x22\x4d\x18", "packed by lz4", _UNPACK),
    _Stranger(b"\x1f\x9d", "packed by compress (.Z)", _UNPACK),
    _Stranger(b"SQLite format 3\x00", "an SQLite database", "read it by a query: jobs.<name>.source"),
    _Stranger(b"ARROW1", "an Arrow (Feather) file", _EXPORT),
    _Stranger(b"ORC", "an ORC file", _EXPORT),
    _Stranger(b"Obj\x01", "an Avro file", _EXPORT),
    _Stranger(b"PARE", "an encrypted Parquet file", "write it without encryption"),
)
_WORDS = (b"ORC", b"PARE")
"""Beginnings that may be those of a column's name, too."""
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body|table|meta|style|div)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(r"\s*<\?xml\b", re.IGNORECASE)
_XML_2003 = "urn:schemas-microsoft-com:office:spreadsheet"
_OBJECT = re.compile(r"\s*\{\s*(?:\"|\})")
_LINE = re.compile(r"\A[^\r\n]*[\r\n]*")
_ARRAY = re.compile(r"\s*\[\s*(?:\{|\[|\])")


def refuse_stranger(head: bytes, file: str, *, inside: bool = False) -> None:
    """Raise `SourceError` for a file (or what is packed in one: ``inside``) of a kind that is not read."""
    it = "what is packed in it is" if inside else "it is"
    for stranger in _STRANGERS:
        if head.startswith(stranger.begins) and (stranger.begins not in _WORDS or b"\0" in head):
            raise SourceError(f"{it} {stranger.what}", file=file, remedy=stranger.remedy)
    if head[_TAR_PLACE : _TAR_PLACE + 5] == b"ustar":
        raise SourceError(f"{it} a tar archive", file=file, remedy=_UNPACK)
    text = _as_text(head)
    if _HTML.match(text):
        raise SourceError(f"{it} a web page (HTML), whatever its name says", file=file, remedy=AS_XLSX)
    if _XML.match(text):
        what = "an XML spreadsheet of 2003" if _XML_2003 in text else "an XML document"
        raise SourceError(f"{it} {what}", file=file, remedy=AS_XLSX)
    if _ARRAY.match(text):
        raise one_object_a_line(f"{it} a JSON array", file, ".[]", packed=inside)


def one_object_a_line(words: str, file: str, objects: str, *, packed: bool, line: int | None = None) -> SourceError:
    """Return the error for JSON of another form; ``objects`` is what jq calls its objects, in a file of its own."""
    plain = not packed and file != "-"
    return SourceError(
        words,
        file=file,
        line=line,
        remedy="write one object a line (JSON lines)" + ("" if plain else f", as jq -c {pasted([objects])} does"),
        next=f"jq -c {pasted([objects])} {pasted([file])} > lines.jsonl" if plain else None,
    )


def is_json_lines(head: bytes, comment: str | None = None) -> bool:
    """Tell whether a file begins with a JSON object, behind lines that begin with ``comment``."""
    text = _as_text(head)
    while comment and text.startswith(comment):
        text = _LINE.sub("", text, count=1)
    return _OBJECT.match(text) is not None


def _as_text(head: bytes) -> str:
    """Return the first bytes as text, whatever encoding it is in: what matters here is ASCII."""
    marks = (b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xff\xfe", b"\xfe\xff")
    mark = next((one for one in marks if head.startswith(one)), b"")
    return head[len(mark) :].replace(b"\0", b"").decode("latin-1")
