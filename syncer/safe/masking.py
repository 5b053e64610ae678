"""The last net under the token: whatever is about to be shown or logged is searched for it, in every usual writing.

The first rule stays that no text is made with the token in it. This is for what others make: a server that quotes its
request, a library's exception, a traceback. What always holds: after `masked` neither the token nor a writing of it
(quoted for URLs, JSON, HTML or Python, or in base64) is in the text; time is linear in the text. The tokens known are
the process's, because its logs and tracebacks are.
"""

from __future__ import annotations

import base64
import re
from typing import Any

TOKEN_VARIABLE = "SYNCER_API__TOKEN"  # noqa: S105  the name of the variable, not its value
MASK = "[token]"
_TOKEN_CHARACTERS_MAX = 4096
_TOKEN_CHARACTERS_MIN = 6
"""A shorter text is no token of the API's; masking it would spoil every message."""
_known: dict[str, re.Pattern[str]] = {}


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


def remember(token: str) -> None:
    """Let `masked` hide this token from now on, as `Transport` sends it; a text too short or too long is no token."""
    token = token.strip().removeprefix("UAT ").strip()
    if token not in _known and _TOKEN_CHARACTERS_MIN <= len(token) <= _TOKEN_CHARACTERS_MAX:
        _known[token] = pattern(token)


def masked(text: str) -> str:
    """Return `text` without any token that is known to this process."""
    for found in _known.values():
        text = found.sub(MASK, text)
    return text


def pattern(token: str) -> re.Pattern[str]:
    """Return what finds a token, however it is written."""
    writings = ["".join(map(_written, token))]
    if len(token) >= _TOKEN_CHARACTERS_MIN:
        raw = token.encode("utf-8", "surrogateescape")
        writings += [*_in_base64(raw), f"(?i:{raw.hex()})"]
    return re.compile("|".join(writings))


def _written(character: str) -> str:
    """Return a pattern for one character: as it is, after backslashes, or quoted for URLs, JSON, Python or HTML."""
    code = ord(character)
    quoted = rf"%(?:25){{0,2}}{_hex(code, 2)}|u{_hex(code, 4)}|x{_hex(code, 2)}|&\#(?:{code}|x{_hex(code, 2)});"
    named = {'"': "|&quot;", "&": "|&amp;", "<": "|&lt;", ">": "|&gt;", "'": "|&apos;"}.get(character, "")
    return rf"\\{{0,4}}(?:{re.escape(character)}|{quoted}{named})"


def _hex(code: int, digits: int) -> str:
    return f"(?i:{code:0{digits}x})"


def _in_base64(token: bytes) -> list[str]:
    """Return what the token looks like inside a longer text in base64: one writing for each place it may begin at."""
    found = []
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + token).decode().rstrip("=")
        # The first characters also hold bits of what stands before, the last one of what follows.
        begin, end = (0, 2, 3)[before], len(whole) - (1 if (before + len(token)) % 3 else 0)
        inner = "".join({"+": "[+-]", "/": "[/_]"}.get(one, one) for one in whole[begin:end])
        found.append(inner)
    return found
