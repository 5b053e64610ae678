"""What the API said, in words for people: one line, bounded, without control characters. Pure.

The caller masks the token before it cuts a text: the cut could leave a part of the token that no longer is found.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncer.api.transport import Reply

MESSAGE_CHARACTERS_MAX = 500
BODY_CHARACTERS_MAX = 256 * 1024
"""Of a refusal's body: far more than 100 items' worth of complaints."""
_CUT = 4 * MESSAGE_CHARACTERS_MAX
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_TITLE_WITHIN = 10_000


def one_line(text: str) -> str:
    """Make a text fit for one line of a log or a table."""
    shown = "".join(character if character.isprintable() else " " for character in text[:_CUT])
    return shown if len(shown) <= MESSAGE_CHARACTERS_MAX else shown[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def body_text(reply: Reply) -> str:
    """Return the body as text, whatever its bytes; at most `BODY_CHARACTERS_MAX` characters."""
    return reply.body[: 4 * BODY_CHARACTERS_MAX].decode("utf-8", "replace")[:BODY_CHARACTERS_MAX]


def flat_words(text: str) -> str:
    """Return text with each run of white space as one space."""
    return " ".join(text.split())


def flat(value: object) -> str:
    """Return a JSON value as text: a string as it is, nothing for what is empty."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False) if value else ""
    except (ValueError, RecursionError):
        return "(an error that cannot be shown)"


def complaint(reply: Reply) -> str:
    """Return what was said against a request; not yet cut, and not yet masked."""
    if reply.status_code is None:
        return reply.failure or "no answer"
    words = body_text(reply)
    try:
        parsed = json.loads(words)
        detail = parsed.get("detail") if isinstance(parsed, dict) else None
        words = detail if isinstance(detail, str) else json.dumps(parsed, ensure_ascii=False)
    except (ValueError, RecursionError):
        if words.removeprefix("\ufeff").lstrip()[:1] == "<":
            title = _TITLE.search(words[:_TITLE_WITHIN])
            words = f"a page titled {flat_words(title[1])!r}" if title else "(a page in HTML)"
    location = reply.headers.get("Location")
    if location:
        words = f"redirected to {location}"
    return f"status {reply.status_code}: {words}"
