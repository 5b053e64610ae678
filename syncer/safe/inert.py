r"""Text of others (cells, file names, the API's messages) made harmless where people and log collectors read it.

What always holds: what comes out has no control character that a terminal obeys, none that starts a line, and none
that turns the direction of writing; it is written out instead (``\x1b``, ``\n``), so that it can be seen. Pure.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence

# C0, DEL, C1 (U+009B is a terminal's CSI), line separators, invisible marks that turn the direction, lone surrogates.
_ACTIVE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
QUOTED_MAX = 24
LISTED_MAX = 40
_ANY = re.compile(f"[{_ACTIVE}]")
_NOT_NEWLINE = re.compile(f"(?!\n)[{_ACTIVE}]")


def inert(text: str) -> str:
    """Return the text on one line, every active character written out."""
    return _ANY.sub(_written_out, text)


def brief(text: str) -> str:
    """Return the beginning of a text of others, on one line: it may be of a file that nobody meant to show."""
    shown = inert(text[:QUOTED_MAX])
    return shown if len(text) <= QUOTED_MAX else f"{shown}…"


def brief_list(texts: Sequence[str]) -> str:
    """Return texts of others, a few of them, each in brief."""
    more = f", … ({len(texts)} in all)" if len(texts) > LISTED_MAX else ""
    return ", ".join(map(brief, texts[:LISTED_MAX])) + more


def inert_lines(text: str) -> str:
    """Return a text of this program's own lines, with every other active character in it written out."""
    return _NOT_NEWLINE.sub(_written_out, text)


def inert_json(document: str) -> str:
    """Return the same JSON document with the active characters of its strings as escapes."""
    return _NOT_NEWLINE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def pasted(arguments: Sequence[str]) -> str:
    """Return a command as it can be pasted into a shell; characters that a terminal obeys stand in ``$'…'``."""
    return " ".join(map(_shell_word, arguments))


def _shell_word(text: str) -> str:
    if not _ANY.search(text):
        return shlex.quote(text)
    signs = [sign if sign.isprintable() and sign not in "\\'" else _octets(sign) for sign in text]
    return "$'" + "".join(signs) + "'"


def _octets(sign: str) -> str:
    """Return a character as its bytes, as a shell reads them; of a file's name that is no text, the byte it has."""
    escaped = "\udc80" <= sign <= "\udcff"
    return "".join(f"\\x{octet:02x}" for octet in sign.encode("utf-8", "surrogateescape" if escaped else "replace"))


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def holds_unseen(name: str) -> bool:
    """Tell whether a name holds what nobody sees: no field is called so, and the API would discard it silently."""
    return any(unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} for sign in name if sign not in "\t\n\r")
