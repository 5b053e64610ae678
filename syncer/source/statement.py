"""Is a query one statement that reads? A look at its text, before any database sees it. Pure; time is linear.

What always holds: what can be read in two ways (a comment in a comment, a quote after a backslash) is refused, so that
no semicolon hides in what only one of two databases takes for a text. Whether the statement really writes nothing, the
database itself makes sure of: the session is read-only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

READING = frozenset({"select", "with", "values", "table"})
_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    |(?P<quoted>'[^']*'|"[^"]*"|`[^`]*`)
    |(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
    |(?P<word>\w+)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(slots=True)
class _Reading:
    """What was seen so far: the first word, how deep the brackets are, and where the statement ended."""

    first: str = ""
    depth: int = 0
    end: int = 0
    closed: bool = False


def single_select(query: str) -> str:
    """Return a query without what stands behind its end; raise `ValueError` with words that say what is wrong."""
    seen = _Reading()
    place = 0
    while place < len(query):
        found = _TOKEN.match(query, place)
        assert found is not None  # noqa: S101  the last alternative takes any character
        kind, text = str(found.lastgroup), found[0]
        place = _after(query, found, kind)
        if kind not in {"blank", "comment"}:
            _take(seen, kind, text)
            seen.end = seen.end if seen.closed else place
    if seen.first not in READING:
        raise ValueError("must be a SELECT: what it reads is all that is wanted of it")
    if seen.depth:
        raise ValueError("has a bracket that is not closed")
    return query[: seen.end]


def _take(seen: _Reading, kind: str, text: str) -> None:
    if seen.closed and text != ";":
        raise ValueError("must be one statement: something follows its semicolon")
    if kind == "word":
        seen.first = seen.first or text.lower()
    elif text == ";":
        seen.closed = True
    elif text == "(":
        seen.depth += 1
    elif text == ")":
        seen.depth -= 1
        if seen.depth < 0:
            raise ValueError("closes a bracket that it did not open")
    elif text in {"'", '"', "`"}:
        raise ValueError("has a quote that is not closed")
    if kind == "quoted" and text.endswith(("\\'", '\\"')) and text != "'\\'":
        raise ValueError("has a quote after a backslash, which databases read in two ways: write it in another way")
    if kind != "word" and not seen.first and text != "(":
        raise ValueError("must be a SELECT: what it reads is all that is wanted of it")


def _after(query: str, found: re.Match[str], kind: str) -> int:
    """Return where a token ends; raise `ValueError` when it does not."""
    if kind == "comment":
        if query.startswith("/*!", found.start()):
            raise ValueError("has a comment that some databases run (/*!): leave it out")
        edge = _COMMENT_EDGE.search(query, found.end())
        if edge is None:
            raise ValueError("has a comment that does not end")
        if edge[0] == "/*":
            raise ValueError("has a comment in a comment, which databases read in two ways: leave one out")
        return edge.end()
    if kind == "dollar":
        end = query.find(found[0], found.end())
        if end < 0:
            raise ValueError("has a quote that is not closed")
        return end + len(found[0])
    return found.end()
