"""What goes over the wire and what comes back, member by member (scantrust-api.md). Undocumented shapes live here.

Decoding is strict: a member of another type, an answer nested beyond reason, a broken encoding: all raise
`UnreadableError`, which never leaves this package. Members that are not named here are ignored.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")
CODES_MAX = 2**62
"""A count beyond this is no count: it would not fit the ledger either."""


class UnreadableError(Exception):
    """An answer that is not what the API promises; the text says where it departs."""


class SyncUploaded(msgspec.Struct, frozen=True):
    """``POST /api/v2/scm/upload/``: ``items`` names each affected value with the fields that were taken [C]."""

    codes_affected: int
    items: dict[str, list[str]] | None = None


class AsyncAccepted(msgspec.Struct, frozen=True):
    """``POST /api/v2/scm/upload/async/``."""

    task_id: str


class TaskDetails(msgspec.Struct, frozen=True):
    """What a task was asked to do; a single value may come back unlisted."""

    constraints: dict[str, list[str] | str]
    scm_data: dict[str, str]


class TaskState(msgspec.Struct, frozen=True):
    """A task in a list or by itself; ``details`` stands in the latter only. ``error`` is a guess [D]."""

    id: str
    state: str
    reference: str | None = None
    codes_affected: int | None = None
    details: TaskDetails | None = None
    error: str | list[str] | dict[str, object] | None = None
    errors: str | list[object] | dict[str, object] | None = None


class TaskPage(msgspec.Struct, frozen=True):
    """A page of tasks. ``next`` is the URL of the next one, null at the end."""

    results: list[TaskState]
    next: str | None = None


class Me(msgspec.Struct, frozen=True):
    """``GET /api/v2/me/``; only what is shown of it is named."""

    email: str | None = None
    permissions: list[str] | None = None


def decode(body: bytes, kind: type[T]) -> T:
    """Read an answer as `kind`; raise `UnreadableError` when it is not one."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnreadableError(f"the answer cannot be read: {error}") from None


def decode_tasks(body: bytes) -> TaskPage:
    """Read a list of tasks: a page, or a bare list [D]."""
    if body.lstrip()[:1] == b"[":
        return TaskPage(decode(body, list[TaskState]))
    return decode(body, TaskPage)


def encode(value: object) -> bytes:
    """Write a request's body."""
    return msgspec.json.encode(value)
