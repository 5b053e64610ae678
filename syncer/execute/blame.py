"""Whom a refusal is charged to: values, the data, the key, the size of the call, or nobody yet. Pure.

The API's words are searched, since the shape of an error body is not documented. A refusal that explains nothing may be
one value's (a firewall that dislikes a text) or the way's (an unpaid bill): only other calls can tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

from syncer.api.classify import JUDGED
from syncer.execute.reconcile import named_in
from syncer.model import UNIQUE_KEYS

FORBIDDEN = 403
TOO_LARGE = 413
OF_THE_CALL = frozenset({"campaign", "reference"})
"""What a call has beside its values and its data: a complaint about these alone is about no value."""


class Blame(StrEnum):
    """What a refused call was refused for."""

    VALUES = "values"
    """Some of its values, which the words name."""
    DATA = "data"
    """The one set of data that an async call carries: all its values."""
    KEY = "key"
    """The key: this API does not take it in sync calls, and says so."""
    PERHAPS_KEY = "perhaps_key"
    """The same, but the words do not say so: they explain nothing, and no sync call took the key so far."""
    SIZE = "size"
    """The size of the call."""
    UNKNOWN = "unknown"
    """The words do not say."""


def blame(
    status_code: int | None, words: str, keys: Sequence[str], *, page: bool, is_sync: bool, column: str, is_taken: bool
) -> Blame:
    """Judge a refusal of a call that carried `keys` of a key `column`.

    ``page``: its words are a page for people; ``is_taken``: sync calls are known to take the key.
    """
    if status_code == TOO_LARGE:
        return Blame.SIZE
    if status_code not in JUDGED or page:
        return Blame.UNKNOWN
    members = _members(words)
    if is_sync and column not in UNIQUE_KEYS and "data_key" in members:
        return Blame.KEY
    if members and members <= OF_THE_CALL:
        return Blame.UNKNOWN
    if named_in(keys, words):
        return Blame.VALUES
    if not is_sync and "scm_data" in members and "constraints" not in members:
        return Blame.DATA
    if is_sync and column not in UNIQUE_KEYS and "items" not in members and not is_taken:
        return Blame.PERHAPS_KEY
    return Blame.UNKNOWN


def _members(words: str) -> frozenset[str]:
    try:
        parsed = json.loads(words)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(parsed) if isinstance(parsed, dict) else frozenset()
