"""Whom a refusal is charged to: values, the data, the key, the size of the call, or nobody yet. Pure.

The API's words are searched, since the shape of an error body is not documented. A refusal that explains nothing may be
one value's (a firewall that dislikes a text) or the way's (an unpaid bill): only other calls can tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

from syncer.api.classify import JUDGED
from syncer.model import UNIQUE_KEYS

FORBIDDEN = 403
TOO_LARGE = 413


class Blame(StrEnum):
    """What a refused call was refused for."""

    VALUES = "values"
    """Some of its values, which the words name."""
    DATA = "data"
    """The one set of data that an async call carries: all its values."""
    KEY = "key"
    """The key: this API does not take it in sync calls."""
    SIZE = "size"
    """The size of the call."""
    UNKNOWN = "unknown"
    """The words do not say."""


def blame(status_code: int | None, words: str, keys: Sequence[str], *, page: bool, is_sync: bool, column: str) -> Blame:
    """Judge a refusal of a call that carried `keys` of a key `column`; `page`: its words are a page for people."""
    if status_code == TOO_LARGE:
        return Blame.SIZE
    if status_code not in JUDGED or page:
        return Blame.UNKNOWN
    members = _members(words)
    if is_sync and column not in UNIQUE_KEYS and "data_key" in members:
        return Blame.KEY
    if any(key in words for key in keys):
        return Blame.VALUES
    if not is_sync and "scm_data" in members and "constraints" not in members:
        return Blame.DATA
    if is_sync and column not in UNIQUE_KEYS and "items" not in members:
        return Blame.KEY
    return Blame.UNKNOWN


def _members(words: str) -> frozenset[str]:
    try:
        parsed = json.loads(words)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(parsed) if isinstance(parsed, dict) else frozenset()
