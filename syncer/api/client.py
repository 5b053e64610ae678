"""The calls of the API that `syncer` makes, one method each; answers are values, never exceptions of the network.

Every path ends in a slash: the server is Django, which would redirect, and a redirected POST loses its body
(docs/api.md, "Hosts"). Nothing is retried here: the state machine of the batches decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from msgspec import UNSET

from syncer.api import wire
from syncer.api.classify import Verdict, classify, is_page, retry_after_s, timed_out
from syncer.api.identity import account_of, company_of
from syncer.api.products import PRODUCTS_PATH, Product, decode_page
from syncer.api.words import body_text, complaint, flat, one_line
from syncer.model import Company
from syncer.safe.masking import MASK

if TYPE_CHECKING:
    from syncer.api.transport import Reply, Transport

SYNC_PATH = "/api/v2/scm/upload/"
ASYNC_PATH = "/api/v2/scm/upload/async/"
TASKS_PATH = "/api/v2/scm/tasks/"
ME_PATH = "/api/v2/me/"
SCM_PERMISSIONS = frozenset({"codes_view", "scm_bulk_edit", "scm_code_edit", "product_view"})
"""What an SCM upload needs (docs/api.md, "Permissions")."""
PAGES_MAX = 20
"""Pages of one list that are followed: bounds what a server can make a client do."""
LINK_CHARACTERS_MAX = 4000
"""Longest `next` link that is followed; a longer one would make a request that no server takes."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every answer has. Times are monotonic seconds; ``body_text`` is what a refusal said, as the API wrote it.

    ``page`` is whether a page for people came in place of the API's words, ``timed_out`` whether the answer took too
    long. ``arrived_by_s`` and ``took_s`` are for `UpdateLimiter.answered`: by when the request had arrived at the
    latest, and how long its answer took (None when it was lost, or the connection was fresh).
    """

    verdict: Verdict
    status_code: int | None = None
    message: str = ""
    body_text: str = field(default="", repr=False)
    retry_after_s: float | None = None
    calls: int = 1
    answered_s: float = 0.0
    arrived_by_s: float = 0.0
    took_s: float | None = None
    page: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAnswer(Answer):
    """Of a sync upload; ``items`` maps each affected value to the fields taken, None when the API names none."""

    codes_affected: int = 0
    items: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncAnswer(Answer):
    """Of an async upload: the id of the task that was created."""

    task_id: str = ""


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """What a task was asked to do; every constraint is a list of values."""

    constraints: Mapping[str, tuple[str, ...]]
    scm_data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Task:
    """A remote task. ``remote_state`` is the API's word; ``details`` is None in lists."""

    id: str
    remote_state: str
    reference: str
    codes_affected: int | None
    details: TaskDetails | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksAnswer(Answer):
    """Of a list of tasks; ``complete`` is whether every page was read, ``following`` asks for the next one."""

    tasks: tuple[Task, ...] = ()
    complete: bool = False
    following: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer(Answer):
    """Of one task; ``not_found`` when the API says that it knows none with this id."""

    task: Task | None = None
    not_found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MeAnswer(Answer):
    """Of the access check: who the token is, and its permissions (None when the API does not list them)."""

    account: str | None = None
    """Its id; None when the API does not say."""
    company: Company | None = None
    email: str | None = None
    permissions: tuple[str, ...] | None = None
    date: str | None = None
    """The server's ``Date`` header, to compare clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductsAnswer(Answer):
    """Of a page of products: ``count`` is of all pages, ``following`` asks for the next one (None: the last)."""

    products: tuple[Product, ...] = ()
    count: int = 0
    following: Mapping[str, str] | None = None
    company: Company | None = None
    """Whose products they are; None: none of them says so."""


class Client:
    """The API over one `Transport`; used by one thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload_sync(self, data_key: str, items: Sequence[Mapping[str, str]]) -> SyncAnswer:
        """Upload up to 100 items, each with its own data."""
        reply = self._call("POST", SYNC_PATH, {"data_key": data_key, "items": items})
        try:
            if classify(reply) is not Verdict.OK:
                return SyncAnswer(**self._common(reply))
            uploaded = wire.decode(reply.body, wire.SyncUploaded)
        except wire.UnreadableError as error:
            return SyncAnswer(**self._unreadable(reply, error))
        return SyncAnswer(**self._common(reply), codes_affected=uploaded.codes_affected, items=uploaded.items)

    def upload_async(
        self,
        constraints: Mapping[str, Sequence[str]],
        scm_data: Mapping[str, str],
        reference: str,
        campaign: int | None,
    ) -> AsyncAnswer:
        """Have a task created that gives one set of data to all codes that the constraints select."""
        body: dict[str, Any] = {"constraints": constraints, "scm_data": scm_data, "reference": reference}
        if campaign is not None:
            body["campaign"] = campaign
        reply = self._call("POST", ASYNC_PATH, body)
        try:
            if classify(reply) is not Verdict.OK:
                return AsyncAnswer(**self._common(reply))
            accepted = wire.decode(reply.body, wire.AsyncAccepted)
            if MASK in accepted.task_id:
                raise wire.UnreadableError("the task's id is our token: a server that repeats requests")
        except wire.UnreadableError as error:
            return AsyncAnswer(**self._unreadable(reply, error))
        return AsyncAnswer(**self._common(reply), task_id=accepted.task_id)

    def tasks(self, task_ids: Sequence[str]) -> TasksAnswer:
        """Ask for many tasks at once; those that the answer leaves out are not known to it."""
        reply = self._call("POST", TASKS_PATH, {"task_ids": task_ids})
        page = self._page(reply)
        if isinstance(page, TasksAnswer):
            return page
        tasks = tuple(map(self._task, page.results))
        return TasksAnswer(**self._common(reply), tasks=tasks, complete=page.ends(len(tasks)))

    def tasks_by_reference(self, reference: str) -> TasksAnswer:
        """List all tasks with a reference, following pages on this server alone."""
        tasks: list[Task] = []
        params = {"reference": reference}
        calls, told = 0, True
        while True:
            calls += 1
            reply = self._transport.call("GET", TASKS_PATH, params=params)
            page = self._page(reply)
            if isinstance(page, TasksAnswer):
                return replace(page, calls=calls)
            tasks += map(self._task, page.results)
            told = told and all(state.reference is not UNSET for state in page.results)
            following = self._own(page.next, TASKS_PATH) if isinstance(page.next, str) else None
            if following is None or calls == PAGES_MAX:
                common = {**self._common(reply), "calls": calls}
                # A task without any `reference` may be the one that is looked for: such a list proves no absence.
                return TasksAnswer(**common, tasks=tuple(tasks), complete=told and page.ends(len(tasks)))
            params = following

    def newest_tasks(self, query: Mapping[str, str]) -> TasksAnswer:
        """Ask for one page of the account's tasks, newest first [D]; ``query``: the ``following`` of the last one."""
        reply = self._transport.call("GET", TASKS_PATH, params=query)
        page = self._page(reply)
        if isinstance(page, TasksAnswer):
            return page
        following = self._own(page.next, TASKS_PATH) if isinstance(page.next, str) else None
        tasks = tuple(map(self._task, page.results))
        return TasksAnswer(**self._common(reply), tasks=tasks, complete=following is None, following=following)

    def task(self, task_id: str) -> TaskAnswer:
        """Ask for one task, with what it was asked to do."""
        if not _plain(task_id):
            return TaskAnswer(verdict=Verdict.UNKNOWN, message="the task's id cannot stand in a path", calls=0)
        reply = self._transport.call("GET", f"{TASKS_PATH}{task_id}/")
        try:
            if reply.status_code == 404 and wire.speaks(reply.body):
                return TaskAnswer(**{**self._common(reply), "verdict": Verdict.OK}, not_found=True)
            if classify(reply) is not Verdict.OK:
                return TaskAnswer(**self._common(reply))
            task = self._task(wire.decode(reply.body, wire.TaskState))
            if task.id != task_id:
                raise wire.UnreadableError("the answer is about another task")
        except wire.UnreadableError as error:
            return TaskAnswer(**self._unreadable(reply, error))
        return TaskAnswer(**self._common(reply), task=task)

    def products(self, query: Mapping[str, str]) -> ProductsAnswer:
        """Ask for one page of products (`list_query`, `sku_query`, or the ``following`` of the page before)."""
        reply = self._transport.call("GET", PRODUCTS_PATH, params=query)
        try:
            if classify(reply) is not Verdict.OK:
                return ProductsAnswer(**self._common(reply))
            page = decode_page(reply.body)
            following = self._own(page.next, PRODUCTS_PATH) if page.next is not None else None
            if page.next is not None and following is None:
                raise wire.UnreadableError("its link to the next page leads elsewhere, and is not followed")
        except wire.UnreadableError as error:
            return ProductsAnswer(**self._unreadable(reply, error))
        named = next((product.company for product in page.products if product.company is not None), None)
        return ProductsAnswer(
            **self._common(reply),
            products=page.products,
            count=page.count,
            following=following,
            company=self._company(named),
        )

    def me(self) -> MeAnswer:
        """Check that the token works."""
        reply = self._transport.call("GET", ME_PATH)
        try:
            if classify(reply) is not Verdict.OK:
                return MeAnswer(**self._common(reply))
            me = wire.decode(reply.body, wire.Me)
        except wire.UnreadableError as error:
            return MeAnswer(**self._unreadable(reply, error))
        listed = me.permissions
        permissions = tuple(map(str, listed)) if isinstance(listed, list) and _all_texts(listed) else None
        email = self._shown(me.email) if isinstance(me.email, str) else None
        return MeAnswer(
            **self._common(reply),
            account=self._named(account_of(me.id)),
            company=self._company(company_of(me.company)),
            email=email,
            permissions=permissions,
            date=reply.headers.get("Date"),
        )

    def _company(self, found: Company | None) -> Company | None:
        """Return a company that an answer names, without our token: a server may repeat requests."""
        return found and Company(self._named(found.id), self._named(found.uuid), self._named(found.name))

    def _named(self, text: str | None) -> str | None:
        return None if text is None else self._shown(text)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _call(self, method: str, path: str, body: object) -> Reply:
        return self._transport.call(method, path, body=wire.encode(body))

    def _page(self, reply: Reply) -> wire.TaskPage | TasksAnswer:
        """Return a page of tasks, or the answer that says why there is none."""
        try:
            if classify(reply) is not Verdict.OK:
                return TasksAnswer(**self._common(reply))
            return wire.decode_tasks(reply.body)
        except wire.UnreadableError as error:
            return TasksAnswer(**self._unreadable(reply, error))

    def _own(self, url: str, path: str) -> dict[str, str] | None:
        """Return the query of a `next` link; None unless it leads to this scheme, host and port, and to `path`."""
        if len(url) > LINK_CHARACTERS_MAX:
            return None
        here = urlsplit(self._transport.base_url + path)
        try:
            there = urlsplit(urljoin(here.geturl(), url))
            if _place(there) != _place(here):
                return None
            return dict(parse_qsl(there.query, keep_blank_values=True))
        except ValueError:  # no URL at all
            return None

    def _common(self, reply: Reply) -> dict[str, Any]:
        verdict = classify(reply)
        return {
            "verdict": verdict,
            "status_code": reply.status_code,
            "message": "" if verdict is Verdict.OK else self._shown(complaint(reply)),
            "body_text": self._transport.masked(body_text(reply)) if verdict is Verdict.REFUSED else "",
            "retry_after_s": retry_after_s(reply),
            "page": is_page(reply),
            "timed_out": timed_out(reply),
            "answered_s": reply.answered_s,
            "arrived_by_s": reply.arrived_by_s,
            "took_s": None if reply.failure or reply.fresh_connection else reply.answered_s - reply.sent_s,
        }

    def _unreadable(self, reply: Reply, error: wire.UnreadableError) -> dict[str, Any]:
        message = f"status {reply.status_code}, but {error}"
        return {**self._common(reply), "verdict": Verdict.UNKNOWN, "message": self._shown(message)}

    def _shown(self, text: str) -> str:
        return one_line(self._transport.masked(text))

    def _task(self, state: wire.TaskState) -> Task:
        details = state.details
        return Task(
            id=state.id,
            remote_state=self._shown(state.state),
            reference=state.reference if isinstance(state.reference, str) else "",
            codes_affected=_count(state.codes_affected),
            details=None
            if details is None
            else TaskDetails(
                {name: (v,) if isinstance(v, str) else tuple(v) for name, v in details.constraints.items()},
                details.scm_data,
            ),
            error=self._shown(flat(state.error) or flat(state.errors)),
        )


def _place(url: SplitResult) -> tuple[str, str | None, int | None, str]:
    """Return where a URL leads, without its query; raise `ValueError` when its port is none."""
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme), url.path


def _count(value: object) -> int | None:
    """Return a count; None for what is none: one odd task must not make a whole page unreadable."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= wire.CODES_MAX else None


def _all_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _plain(task_id: str) -> bool:
    return bool(task_id) and all(character.isalnum() or character in "-_" for character in task_id)
