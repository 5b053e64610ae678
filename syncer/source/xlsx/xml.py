"""XML of a workbook as events, within bounds: no document types, no deep nesting, no endless names or texts.

The elements of both forms of the format (transitional, strict) and with any prefix come under their local names; those
of other name spaces do not come at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import IO
from xml.parsers import expat

BLOCK_BYTES = 1 << 16
DEPTH_MAX = 256
TOKEN_BYTES_MAX = 1 << 20
"""Of one tag with its attributes."""
TEXT_CHARACTERS_MAX = 1 << 18
"""Of one cell: Excel's limit is 32,767, and a character may be written as seven."""
_SPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/package/2006/relationships",
    "http://schemas.openxmlformats.org/package/2006/content-types",
)

Attributes = Mapping[str, str]
Start = Callable[[str, Attributes], None]
End = Callable[[str], None]


class XmlError(Exception):
    """The XML is damaged, or beyond what a workbook can hold."""


class Events:
    """Feeds one part to two functions. ``ended`` may be set by them: the rest of the part is not read then."""

    def __init__(self, start: Start, end: End) -> None:
        self.ended = False
        self._depth = 0
        self._size = 0
        self._texts: list[str] = []
        self._characters = 0
        self._own_start, self._own_end = start, end
        self._local: dict[str, str] = {}
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = BLOCK_BYTES
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, block: bytes) -> None:
        """Take the next bytes; the empty block is the end. Raises `XmlError`."""
        self._size += len(block)
        try:
            self._parser.Parse(block, not block)
        except expat.ExpatError as error:
            raise XmlError(f"its XML is damaged: {error}") from None
        if self._size - self._parser.CurrentByteIndex > TOKEN_BYTES_MAX + BLOCK_BYTES:
            raise XmlError(f"a tag in it is longer than {TOKEN_BYTES_MAX >> 20} MB")

    def read(self, part: IO[bytes]) -> Iterator[None]:
        """Feed a part block by block; something may have happened after each step."""
        while not self.ended and (block := part.read(BLOCK_BYTES)):
            self.feed(block)
            yield
        if not self.ended:
            self.feed(b"")
            yield

    def listen(self) -> None:
        """Begin to gather text."""
        self._texts = []
        self._characters = 0
        self._parser.CharacterDataHandler = self._take

    def heard(self) -> str:
        """Return the text since `listen`, and gather no more."""
        self._parser.CharacterDataHandler = None
        return self._texts[0] if len(self._texts) == 1 else "".join(self._texts)

    def _take(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > TEXT_CHARACTERS_MAX:
            raise XmlError("a text in it is longer than a cell can be")
        self._texts.append(text)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise XmlError("its XML is nested deeper than any workbook's")
        local = self._local.get(tag)
        if local is None:
            space, _, bare = tag.rpartition(" ")
            local = bare if space in _SPACES or not space else ""
            if len(self._local) < DEPTH_MAX:
                self._local[tag] = local
        if local:
            self._own_start(local, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        local = self._local.get(tag, "")
        if local:
            self._own_end(local)

    @staticmethod
    def _refuse_doctype(*_: object) -> None:
        raise XmlError("it declares a document type, as no workbook does")


def read_all(part: IO[bytes], start: Start, end: End | None = None) -> None:
    """Read a whole small part. Raises `XmlError`."""
    for _ in Events(start, end or (lambda tag: None)).read(part):
        pass
