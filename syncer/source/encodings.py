"""Bytes → text as UTF-8: what encoding a file has, and what becomes of bytes that are not of it.

What always holds: a byte order mark decides, and one that contradicts what is declared is refused; bytes that are not
of the encoding are never guessed: the place of each is kept as `NOT_TEXT`, which rejects its row, or the file is
refused, when none of it is text in that encoding or when what follows cannot be told apart.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from syncer.errors import SourceError

MARK_BYTES = 200
"""Bytes from which an encoding is told."""
NOT_TEXT = "\ufdd0"
"""Stands for a byte that is not of the file's encoding: a code point that Unicode keeps free, so no text has it."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # it begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITH_BOM = {
    "utf-8": {"utf-8", "utf-8-sig"},
    "utf-32-le": {"utf-32", "utf-32-le"},
    "utf-32-be": {"utf-32", "utf-32-be"},
    "utf-16-le": {"utf-16", "utf-16-le"},
    "utf-16-be": {"utf-16", "utf-16-be"},
}
_WIDE = ("utf-16", "utf-32")
_IN_NEED_OF_BOM = {"utf-16", "utf-32"}
_OTHERS = "cp850 (DOS), mac_roman, cp1250, cp1251, shift_jis, gb18030 (whoever writes the file knows it)"
_RIGHT, _WRONG = re.compile(f"[^\0-\x7f{NOT_TEXT}]+"), re.compile(f"{NOT_TEXT}+")
SAMPLE_BYTES = 1 << 20
"""Bytes that are looked at to tell whether an encoding is likely."""
_WIDER = {
    "iso8859-1": "cp1252", "iso8859-15": "cp1252", "iso8859-2": "cp1250", "iso8859-5": "cp1251", "iso8859-7": "cp1253",
    "iso8859-9": "cp1254", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949",
}  # fmt: skip
"""What programs write in truth where an encoding is named: the same letters, and more of them."""
_NEL = "\x85"
"""The line end of mainframes."""
_SHIFTED = re.compile(rb"\x1b(?:\$[@AB()]|\([IJ])")
"""What ISO-2022 writes before East Asian letters, which are then bytes that ASCII has too."""
_CONTROLS = re.compile("[\x80-\x9f]")
"""What no text in an ISO encoding of one byte holds: there cp1252 has € and typographic quotes."""

_NO_LETTERS = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
"""What Windows makes of bytes that no text in cp932 has, so that it can write them again."""


def _keep_place(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101  it is used to decode alone
    return NOT_TEXT * (error.end - error.start), error.end


codecs.register_error("syncer-not-text", _keep_place)


def encoding_of(first: bytes, declared: str | None, file: str) -> tuple[str, bytes]:
    """Return a file's encoding and its mark, which is no part of the text. Raises `SourceError`."""
    mark, marked = next(((bom, name) for bom, name in _BOMS if first.startswith(bom)), (b"", "utf-8"))
    name = marked if declared is None else codecs.lookup(declared).name
    wide = "" if mark else _wide(first)
    if wide and wide != name:
        raise SourceError(
            f"there are NUL bytes at its beginning: it looks like {wide[:6].upper()} without a mark",
            file=file,
            line=1,
            remedy=f'declare it: jobs.<name>.csv.encoding = "{wide}"',
        )
    if declared is None:
        return marked, mark
    if name.startswith(_WIDE) and first and not mark and 0 not in first:
        raise SourceError(
            f"there is no NUL byte at its beginning, so it is not {name}, as jobs.<name>.csv.encoding says",
            file=file,
            line=1,
            remedy="leave jobs.<name>.csv.encoding out",
        )
    if mark and name not in _WITH_BOM[marked]:
        raise SourceError(
            f"it begins with the mark of {marked}, but jobs.<name>.csv.encoding is {declared!r}",
            file=file,
            line=1,
            remedy=f'leave jobs.<name>.csv.encoding out, or set it to "{marked}"',
        )
    if name in _IN_NEED_OF_BOM and not mark:
        order = "be" if first[::2].count(0) > first[1::2].count(0) else "le"  # told by what of it is ASCII
        raise SourceError(
            f"it has no byte order mark, so {declared!r} does not say in which order its bytes stand",
            file=file,
            line=1,
            remedy=f'say which: jobs.<name>.csv.encoding = "{name}-{order}"',
        )
    return (marked if mark else declared), mark


_NULS = {"utf-32-le": (1, 2, 3), "utf-32-be": (0, 1, 2), "utf-16-le": (1, 3), "utf-16-be": (0, 2)}
"""Which bytes of four are NUL in Latin text, by encoding."""


def _wide(sample: bytes) -> str:
    """Return the encoding of several bytes a character in which a sample of Latin text reads; "": none."""
    nuls = [sample[place::4].count(0) for place in range(4)]
    for encoding, places in _NULS.items():
        there = [nuls[place] for place in places]
        if min(there) * 8 > len(sample) and (sum(nuls) - sum(there)) * 10 < sum(there):
            return encoding
    return ""


def count_beyond_ascii(blocks: Iterator[bytes]) -> tuple[int, int]:
    """Count in a file the runs of letters that are UTF-8 beyond ASCII, and those of bytes that are no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("syncer-not-text")
    right = wrong = 0
    for block in blocks:
        text = "" if block.isascii() else decoder.decode(block)
        right += len(_RIGHT.findall(text))
        wrong += len(_WRONG.findall(text))
    return right, wrong


def count_wide(blocks: Iterator[bytes], encoding: str) -> tuple[int, int, int]:
    """Count in a file of several bytes a character its line ends, its wrong characters, and bytes that are no whole."""
    decoder = codecs.getincrementaldecoder(encoding)("syncer-not-text")
    unit = int(encoding[4:6]) // 8
    lines = wrong = size = 0
    for block in blocks:
        text = decoder.decode(block)
        lines += text.count("\n") + text.count("\r")
        wrong += text.count(NOT_TEXT)
        size += len(block)
    return lines, wrong // unit, size % unit


_TOUCHING = frozenset("’‘“”„‚«»‹›–—…´·²³™®©°")
"""Signs of cp1252 that stand beside letters."""
_SIGNS = _TOUCHING | frozenset("\xa0€‰•¡¢£¥§ª«¬±µ¶¹º»¼½¾¿×")
_RARE_LETTERS = frozenset("ŠŒŽšœžŸƒˆ˜")
"""Letters of cp1252 that stand where those of other encodings of Latin letters do."""
_RUN_MAX = 2
"""Letters beyond ASCII that follow one another in a western word."""


def reads_as_western(data: bytes) -> bool:
    """Tell whether bytes beyond ASCII are where letters and signs of western Europe stand, if they are cp1252."""
    text = data.decode("cp1252", "replace")
    for run in re.finditer("[^\0-\x7f]+", text):
        if run.end() - run.start() > _RUN_MAX:
            return False
        for place in range(run.start(), run.end()):
            sign, before, behind = text[place], text[max(place - 1, 0) : place], text[place + 1 : place + 2]
            if not _is_likely(sign, before, behind):
                return False
    return True


def _is_likely(sign: str, before: str, behind: str) -> bool:
    if sign.isalpha() and sign not in _SIGNS:
        return sign not in _RARE_LETTERS and not (sign.isupper() and before.isalpha() and behind.islower())
    between, beside = before.isalpha() and behind.isalpha(), before.isalpha() or behind.isalpha()
    return sign in _SIGNS and not (beside if sign not in _TOUCHING else between and sign in "“”„‚«»‹›")


class Decoder:
    """Decodes one file, block by block. ``again`` gives all its bytes once more, to look at the whole of it."""

    def __init__(self, encoding: str, file: str, again: Callable[[], Iterator[bytes]]) -> None:
        self._encoding = codecs.lookup(encoding).name
        self._file = file
        self._again = again
        self._lines = 1
        self._strict = codecs.getincrementaldecoder(encoding)("strict")
        self._lenient: codecs.IncrementalDecoder | None = None
        self._nel = _is_ebcdic(self._encoding)
        self._plain = self._encoding == "utf-8"
        self._utf8: codecs.IncrementalDecoder | None = None
        self._beyond_ascii = False
        self._right = 0
        """Runs of letters that are UTF-8, as far as they had to be counted."""
        if _has_one_byte_a_character(self._encoding) and not self._nel:
            self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")

    def decode(self, block: bytes, *, final: bool) -> bytes:
        """Return a block as UTF-8. Raises `SourceError` with the line when the file cannot be of its encoding."""
        if self._encoding == "utf-8" and b"\x1b" in block:
            self._refuse_shifted(block)
        if self._plain and block.isascii():  # as most blocks are: decoding it would give the same bytes again
            self._lines += block.count(b"\n")
            return block
        if self._utf8 is not None:
            self._look_for_utf8(self._utf8, block, final)
        text = self._text(block, final)
        if self._nel:
            text = text.replace(_NEL, "\n")
        elif self._encoding.startswith("iso8859") and not block.isascii():
            text = _CONTROLS.sub(NOT_TEXT, text)
        elif self._encoding == "cp932":
            text = _NO_LETTERS.sub(NOT_TEXT, text)
        encoded = text.encode()
        self._plain = self._encoding == "utf-8" and not (self._lenient or self._strict).getstate()[0]
        self._lines += encoded.count(b"\n")
        return encoded

    def _refuse_shifted(self, block: bytes) -> None:
        """Refuse what would be sent as ``ESC$B…`` although it means East Asian letters."""
        found = _SHIFTED.search(block)
        if found is not None:
            raise SourceError(
                "it has the signs by which ISO-2022 changes its letters",
                file=self._file,
                line=self._lines + block.count(b"\n", 0, found.start()),
                remedy='declare how the file is written, for example: jobs.<name>.csv.encoding = "iso2022_jp"',
            )

    def _look_for_utf8(self, decoder: codecs.IncrementalDecoder, block: bytes, final: bool) -> None:
        """Refuse a file whose bytes are UTF-8 to its end, though something else is declared."""
        try:
            self._beyond_ascii = not decoder.decode(block, final).isascii() or self._beyond_ascii
        except UnicodeDecodeError:
            self._utf8 = None
            return
        if final and self._beyond_ascii:
            raise SourceError(
                f"all of it is UTF-8, but jobs.<name>.csv.encoding is {self._encoding!r}: letters would become others",
                file=self._file,
                remedy='set jobs.<name>.csv.encoding = "utf-8"',
            )

    def _text(self, block: bytes, final: bool) -> str:
        if self._lenient is not None:
            return self._lenient.decode(block, final)
        state = self._strict.getstate()
        try:
            return self._strict.decode(block, final)
        except UnicodeDecodeError as error:
            if not self._is_contained():
                raise self._refusal(error) from None
        except UnicodeError as error:
            raise SourceError(
                f"it is no {self._encoding}: {error}", file=self._file, line=self._lines,
                remedy="declare how the file is written: jobs.<name>.csv.encoding",
            ) from None  # fmt: skip
        self._lenient = codecs.getincrementaldecoder(self._encoding)("syncer-not-text")
        self._lenient.setstate(state)
        return self._lenient.decode(block, final)

    def _is_contained(self) -> bool:
        """Tell whether bytes that are wrong are exceptions, and the rest of the file surely is of its encoding.

        Of another encoding some letters are UTF-8 by chance (鹿 of GBK is ¹), but most are not. What has several bytes
        a character reads as lines only where it is so, and is whole.
        """
        if self._encoding.startswith(_WIDE):
            lines, wrong, rest = count_wide(self._again(), self._encoding)
            return lines >= max(wrong, 1) and not rest
        if self._encoding == "utf-8":
            self._right, wrong = count_beyond_ascii(self._again())
            return self._right >= max(wrong, 1)
        return _has_one_byte_a_character(self._encoding)

    def _refusal(self, error: UnicodeDecodeError) -> SourceError:
        before = bytes(error.object[: error.start])
        if self._encoding.startswith(_WIDE):
            advice = "copy the file again: it may be cut, or put together of two"
        elif not self._right and reads_as_western(bytes(error.object[:SAMPLE_BYTES])):
            advice = 'declare how the file is written, for example: jobs.<name>.csv.encoding = "cp1252"'
        else:
            advice = encoding_advice()
        return SourceError(
            f"byte 0x{error.object[error.start]:02x} is not {self._encoding}",
            file=self._file,
            line=self._lines + before.count(b"\n"),
            column=len(before) - (before.rfind(b"\n") + 1) + 1,
            remedy=advice,
        )


def encoding_advice(encoding: str = "utf-8") -> str:
    """Return what to declare when a file is not written as it was read."""
    windows = _WIDER.get(codecs.lookup(encoding).name)
    if windows is not None:
        return f'declare how the file is written, for example: jobs.<name>.csv.encoding = "{windows}"'
    return f"declare how the file is written: jobs.<name>.csv.encoding, for example {_OTHERS}"


def _has_one_byte_a_character(encoding: str) -> bool:
    if encoding.startswith(("utf", "iso2022", "hz")):
        return False
    try:
        return all(len(bytes([byte]).decode(encoding, "replace")) == 1 for byte in range(256))
    except UnicodeError:
        return False


def _is_ebcdic(encoding: str) -> bool:
    try:
        return "09".encode(encoding) == b"\xf0\xf9"
    except UnicodeError:
        return False
