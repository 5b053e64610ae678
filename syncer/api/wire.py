"""What goes over the wire and what comes back, member by member (docs/api.md). Undocumented shapes live here.

Decoding is strict wherever a fact is documented: a member of another type, a count below zero, an answer nested beyond
reason, a broken encoding: all raise `UnreadableError`, which never leaves this package. Members that are not named
here are ignored, and those whose shape is a guess [D] are taken as they come: a wrong guess must not stop a night.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")
CODES_MAX = 2**62
"""A count beyond this is no count: it would not fit the ledger either."""
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Each escape of a JSON text as a whole, a pair of halves as one: so that a backslash that is escaped begins none."""
Count = Annotated[int, msgspec.Meta(ge=0, le=CODES_MAX)]
TaskId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class UnreadableError(Exception):
    """An answer that is not what the API promises; the text says where it departs."""


class SyncUploaded(msgspec.Struct, frozen=True):
    """``POST /api/v2/scm/upload/``: ``items`` names each affected value with the fields that were taken [C]."""

    codes_affected: Count
    items: dict[str, list[str]] | None = None


class AsyncAccepted(msgspec.Struct, frozen=True):
    """``POST /api/v2/scm/upload/async/``."""

    task_id: TaskId


class WireTaskDetails(msgspec.Struct, frozen=True):
    """What a task was asked to do; a single value may come back unlisted."""

    constraints: dict[str, list[str] | str]
    scm_data: dict[str, str]


class TaskState(msgspec.Struct, frozen=True):
    """A task in a list or by itself; ``details`` stands in the latter only. ``error``, ``errors`` are guesses [D].

    A state, a count or details that are none are the client's to judge: they must not hide the task, or a whole list.
    """

    id: TaskId
    state: object = None
    reference: object = UNSET
    codes_affected: object = None
    details: object = None
    error: object = None
    errors: object = None


class _Tasks(msgspec.Struct, frozen=True):
    results: list[msgspec.Raw]
    next: str | UnsetType | None = UNSET
    count: Count | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. ``next`` is the URL of the next one, null at the end; ``count`` counts those of all pages.

    Only tasks that can be read are in ``results``; ``whole`` is whether all could.
    """

    results: tuple[TaskState, ...]
    next: str | UnsetType | None
    count: int | None
    whole: bool

    def ends(self, tasks_seen: int) -> bool:
        """Tell whether this page, after which `tasks_seen` tasks are known, surely is the end of the whole list.

        An absence is proved by this, so a page that does not say that it is the last, or that counts more tasks than
        were shown, proves nothing; nor does one with a task that cannot be read.
        """
        return self.whole and self.next is None and (self.count is None or self.count <= tasks_seen)


class Me(msgspec.Struct, frozen=True):
    """``GET /api/v2/me/``. Documented is only that it answers 200; the members are guesses [D]."""

    id: object = None
    email: object = None
    permissions: object = None
    company: object = None


class Detail(msgspec.Struct, frozen=True):
    """What the API itself says against a request, a 404 above all; a proxy's page is no such thing."""

    detail: str


_building = threading.Lock()
_decoders: dict[object, msgspec.json.Decoder[Any]] = {}


def _decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of a kind of answer, made once and by one thread alone.

    msgspec shows a struct to other threads before it has looked at all its members: two that meet the same kind for
    the first time at the same moment end the process with a segmentation fault (msgspec 0.22).
    """
    found = _decoders.get(kind)
    if found is None:
        with _building:
            found = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return found


def decode(body: bytes, kind: type[T]) -> T:
    """Read an answer as `kind`; raise `UnreadableError` when it is not one."""
    try:
        # As text first: msgspec does not look into the strings of members that nobody reads.
        return _decoder_of(kind).decode(body.decode("utf-8"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnreadableError(f"the answer cannot be read: {error}") from None


def whole_text(body: bytes) -> bytes:
    """Return JSON in which each lone half of a character is U+FFFD: no text has one, and no decoder takes it.

    For what others wrote and nothing is judged by: one odd name must not hide all that stands beside it.
    """
    return _ESCAPES.sub(_replaced, body) if _HALF.search(body) else body


def _replaced(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if found["lone"] else found[0]


def decode_tasks(body: bytes) -> TaskPage:
    """Read a list of tasks: a page, or a bare list [D]. A task that cannot be read must not hide the others."""
    is_bare = body.lstrip()[:1] == b"["
    page = _Tasks(decode(body, list[msgspec.Raw]), next=None) if is_bare else decode(body, _Tasks)
    read = [task for task in map(_task_or_none, page.results) if task is not None]
    return TaskPage(tuple(read), page.next, page.count, whole=len(read) == len(page.results))


def details_of(task: TaskState) -> WireTaskDetails | None:
    """Return what a task was asked to do; None where it does not say so in a way that can be compared."""
    try:
        return msgspec.convert(task.details, WireTaskDetails)
    except msgspec.ValidationError:
        return None


def _task_or_none(raw: msgspec.Raw) -> TaskState | None:
    try:
        return decode(bytes(raw), TaskState)
    except UnreadableError:
        return None


def decode_me(body: bytes) -> Me:
    """Read who a token is, as far as the answer says, in the shape that is guessed: any other JSON says nothing."""
    return decode(body, Me) if isinstance(decode(body, object), dict) else Me()


def speaks(body: bytes) -> bool:
    """Tell whether an error's body is the API's own, not a proxy's page."""
    try:
        decode(body, Detail)
    except UnreadableError:
        return False
    return True


def encode(value: object) -> bytes:
    """Write a request's body."""
    return msgspec.json.encode(value)
