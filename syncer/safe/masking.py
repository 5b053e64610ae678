"""The net under the token: what the API says, and what is shown or logged, is searched for it, in its usual writings.

The first rule stays that no text is made with the token in it. This is for what others make: a server that repeats its
request, a library's exception, a traceback. What always holds: after `masked` the token is in the text in none of these
writings, and no other is promised (reversed, packed, encrypted, spread over several texts): as it is, in either case;
each of its characters after up to four backslashes, or quoted for URLs (up to three times), JSON, Python or HTML; in
hexadecimal digits, also in pairs with a blank, a colon or a dash between; in base64 and base32, at any place, also in
lines. Time is linear in the text. The tokens known are the process's, because its logs and tracebacks are.

The expression that finds all of these takes up to 70 ms to compile, a third of a short command, and nearly every text
is clean. So a look at the text without what may stand between the characters of a writing comes first: it may doubt a
clean text, and never takes one with the token for clean.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

TOKEN_VARIABLE = "SYNCER_API__TOKEN"  # noqa: S105  the name of the variable, not its value
MASK = "[token]"
_TOKEN_CHARACTERS_MAX = 4096
_TOKEN_CHARACTERS_MIN = 6
"""A shorter text is no token of the API's; masking it would spoil every message."""
_ANSWER_CHARACTERS_MIN = 8
"""A shorter one is a word that answers hold by chance: it is masked in messages alone."""
_WRITTEN_MAX = 32
"""Characters that one character of a token takes at most, in any writing."""
_SCREENED_BYTES = 16 << 10
"""From here on Arrow's search, which is many times faster, looks whether there is anything to mask."""
_STREAMED_BYTES = 1 << 20
_BETWEEN_LINES = r"(?:\\{1,4}[rn]|\s){0,4}"
_BETWEEN_PAIRS = r"[\s:-]{0,2}"
_ANY_QUOTED = r"\\[rn]|%[0-9a-f]{2}|u[0-9a-f]{4}|x[0-9a-f]{2}|&(?:\#|quot;|amp;|lt;|gt;|apos;)"
"""A line end or another character that is quoted: what holds one is searched for all writings."""
_WHITE_SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_IN_LINES = str.maketrans("-_", "+/", _WHITE_SPACE)
_IN_PAIRS = str.maketrans("", "", f":-{_WHITE_SPACE}")
_known: dict[str, TokenMask] = {}


class Secret:
    """A text that is never shown: not by `repr`, `str`, formatting or pickling. `reveal` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not pickled")


class TokenMask:
    """Takes one token out of texts and answers. A text too short to be a token is masked as it is written alone."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._raw = token.encode("utf-8", "surrogateescape") if len(token) >= _TOKEN_CHARACTERS_MIN else b""
        self._in_answers = len(token) >= _ANSWER_CHARACTERS_MIN
        self.longest = _WRITTEN_MAX * len(token)

    def text(self, text: str) -> str:
        """Return a text without the token."""
        return text if self._is_clean(text) else self._text.sub(MASK, text)

    def body(self, body: bytes) -> bytes:
        """Return an answer without the token; JSON stays JSON."""
        return self._bytes.sub(MASK.encode(), body) if self._may_hold(body) else body

    def stream(self) -> StreamMask:
        """Return a mask for what comes in parts."""
        return StreamMask(self)

    def places(self, body: bytes) -> Iterator[tuple[int, int]]:
        """Give where the token begins and ends."""
        if self._may_hold(body):
            for found in self._bytes.finditer(body):
                yield found.span()

    def _may_hold(self, body: bytes) -> bool:
        if not self._in_answers:
            return False
        if len(body) < _SCREENED_BYTES:
            return not self._is_clean(body.decode("latin-1"))
        import pyarrow as pa  # here, because small answers have no use for it
        import pyarrow.compute as pc

        try:
            found = pc.match_substring_regex(pa.array([body], pa.large_binary()), self._expression)
        except pa.ArrowException:  # an expression that it cannot hold: of a token of thousands of characters
            return True
        return bool(found[0].as_py())

    def _is_clean(self, text: str) -> bool:
        """Say whether the text certainly holds no writing of the token."""
        lower = text.lower()
        if not self._token.isascii() or re.search(_ANY_QUOTED, lower):
            return False
        if self._token.lower().replace("\\", "") in lower.replace("\\", ""):
            return False
        if not self._raw:
            return True
        closed = text.translate(_IN_LINES)
        upper = closed.upper()
        return not (
            self._raw.hex() in lower.translate(_IN_PAIRS)
            or any(coded in closed for coded in self._in_base64)
            or any(coded in upper for coded in self._in_base32)
        )

    @cached_property
    def _in_base64(self) -> list[str]:
        return _in_base64(self._raw)

    @cached_property
    def _in_base32(self) -> list[str]:
        return _in_base32(self._raw)

    @cached_property
    def _expression(self) -> str:
        """All writings."""
        writings = ["(?i:" + "".join(map(_written, self._token)) + ")"]
        if self._raw:
            either = {"+": "[+-]", "/": "[/_]"}
            writings += [_BETWEEN_LINES.join(either.get(one, one) for one in coded) for coded in self._in_base64]
            writings += [f"(?i:{_BETWEEN_LINES.join(coded)})" for coded in self._in_base32]
            writings += ["(?i:" + _BETWEEN_PAIRS.join(f"{byte:02x}" for byte in self._raw) + ")"]
        return "|".join(writings)

    @cached_property
    def _text(self) -> re.Pattern[str]:
        return re.compile(self._expression)

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        return re.compile(self._expression.encode("utf-8", "surrogateescape"))


class StreamMask:
    """Masks what comes in parts: `feed` gives what is certain, `end` the rest."""

    def __init__(self, mask: TokenMask) -> None:
        self._mask = mask
        self._held = b""

    def feed(self, part: bytes) -> bytes:
        """Take a part; return what no later part can change, from time to time: a search has its price."""
        body = self._held + part
        if len(body) < _STREAMED_BYTES:
            self._held = body
            return b""
        return self._cut(body, max(0, len(body) - self._mask.longest))

    def end(self) -> bytes:
        """Return the rest."""
        return self._cut(self._held, len(self._held))

    def _cut(self, body: bytes, sure: int) -> bytes:
        """Return the masked beginning, as far as ``sure`` or the end of a token that begins before; hold the rest."""
        pieces, place = [], 0
        for begin, end in self._mask.places(body):
            if begin >= sure:
                break
            pieces += [body[place:begin], MASK.encode()]
            place = end
        pieces.append(body[place : max(place, sure)])
        self._held = body[max(place, sure) :]
        return b"".join(pieces)


def remember(token: str) -> None:
    """Let `masked` hide this token from now on, as `Transport` sends it; a text too short or too long is no token."""
    token = token.strip().removeprefix("UAT ").strip()
    if token not in _known and _TOKEN_CHARACTERS_MIN <= len(token) <= _TOKEN_CHARACTERS_MAX:
        _known[token] = TokenMask(token)


def masked(text: str) -> str:
    """Return `text` without any token that is known to this process."""
    for mask in _known.values():
        text = mask.text(text)
    return text


def _written(character: str) -> str:
    """Return a pattern for one character: as it is, after backslashes, or quoted for URLs, JSON, Python or HTML."""
    code = ord(character)
    html = rf"&\#(?:0{{0,7}}{code}|x0{{0,7}}{code:x});?"
    quoted = rf"%(?:25){{0,2}}{code:02x}|u{code:04x}|x{code:02x}|{html}"
    named = {'"': "|&quot;", "&": "|&amp;", "<": "|&lt;", ">": "|&gt;", "'": "|&apos;"}.get(character, "")
    return rf"\\{{0,4}}(?:{re.escape(character)}|{quoted}{named})"


def _in_base64(token: bytes) -> list[str]:
    """Return what the token looks like inside a longer text in base64: one text for each place it may begin at."""
    found = []
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + token).decode().rstrip("=")
        # The first characters also hold bits of what stands before, the last one of what follows.
        begin, end = (0, 2, 3)[before], len(whole) - (1 if (before + len(token)) % 3 else 0)
        found.append(whole[begin:end])
    return found


def _in_base32(token: bytes) -> list[str]:
    """Return the same in base32, in upper case."""
    found = []
    for before in range(5):
        whole = base64.b32encode(b"\0" * before + token).decode().rstrip("=")
        begin, end = -(-before * 8 // 5), len(whole) - (1 if (before + len(token)) % 5 else 0)
        found.append(whole[begin:end])
    return found
