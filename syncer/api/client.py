"""The calls of the API that `syncer` makes, one method each; answers are values, never exceptions of the network.

Every path ends in a slash: the server is Django, which would redirect, and a redirected POST loses its body
(docs/api.md, "Hosts"). Nothing is retried here: the state machine of the batches decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import UNSET

from syncer.api import wire
from syncer.api.answers import Answer, Common, Speaker
from syncer.api.classify import NOT_FOUND, Verdict, classify
from syncer.api.identity import account_of, company_of
from syncer.api.links import next_parameters
from syncer.api.products import PRODUCTS_PATH, Product, decode_company, decode_page, list_query
from syncer.api.words import flat, one_line
from syncer.model import Company
from syncer.safe.masking import MASK

if TYPE_CHECKING:
    from syncer.api.transport import Reply

SYNC_PATH = "/api/v2/scm/upload/"
ASYNC_PATH = "/api/v2/scm/upload/async/"
TASKS_PATH = "/api/v2/scm/tasks/"
ME_PATH = "/api/v2/me/"
SCM_PERMISSIONS = frozenset({"codes_view", "scm_bulk_edit", "scm_code_edit", "product_view"})
"""What an SCM upload needs (docs/api.md, "Permissions")."""
NO_STATE = "not told"
"""In place of a task's state, where the API names none."""
NO_CONTENT = 204
PAGES_MAX = 20
"""Pages of one list that are followed: bounds what a server can make a client do."""


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
    """A remote task. ``remote_state`` is the API's word in small letters, or `NO_STATE`; lists give no ``details``."""

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
    """Of a page of products: ``count`` is of all pages, ``following`` asks for the next one (None: the last).

    ``unread``: the SKUs of those that have no id.
    """

    products: tuple[Product, ...] = ()
    unread: tuple[str, ...] = ()
    count: int = 0
    following: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyAnswer(Answer):
    """Of a look at the newest product: whose it is (None: nobody says so)."""

    company: Company | None = None


class Client(Speaker):
    """The API over one `Transport`; used by one thread."""

    def upload_sync(self, data_key: str, items: Sequence[Mapping[str, str]]) -> SyncAnswer:
        """Upload up to 100 items, each with its own data."""
        reply = self._call("POST", SYNC_PATH, {"data_key": data_key, "items": items})
        try:
            if classify(reply) is not Verdict.OK:
                return SyncAnswer(**self._common(reply, is_update=True))
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
        body: dict[str, object] = {"constraints": constraints, "scm_data": scm_data, "reference": reference}
        if campaign is not None:
            body["campaign"] = campaign
        reply = self._call("POST", ASYNC_PATH, body)
        try:
            if classify(reply) is not Verdict.OK:
                return AsyncAnswer(**self._common(reply, is_update=True))
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
            following = self._following(page)
            if following is None or calls == PAGES_MAX:
                common: Common = {**self._common(reply), "calls": calls}
                # A task without any `reference` may be the one that is looked for: such a list proves no absence.
                return TasksAnswer(**common, tasks=tuple(tasks), complete=told and page.ends(len(tasks)))
            params = following

    def newest_tasks(self, query: Mapping[str, str]) -> TasksAnswer:
        """Ask for one page of the account's tasks, newest first [D]; ``query``: the ``following`` of the last one."""
        reply = self._transport.call("GET", TASKS_PATH, params=query)
        page = self._page(reply)
        if isinstance(page, TasksAnswer):
            return page
        following, tasks = self._following(page), tuple(map(self._task, page.results))
        complete = not isinstance(page.next, str)
        return TasksAnswer(**self._common(reply), tasks=tasks, complete=complete, following=following)

    def task(self, task_id: str) -> TaskAnswer:
        """Ask for one task, with what it was asked to do."""
        if not _plain(task_id):
            return TaskAnswer(verdict=Verdict.UNKNOWN, message="the task's id cannot stand in a path", calls=0)
        reply = self._transport.call("GET", f"{TASKS_PATH}{task_id}/")
        try:
            if reply.status_code == NOT_FOUND and wire.speaks(reply.body):
                known: Common = {**self._common(reply), "verdict": Verdict.OK}
                return TaskAnswer(**known, not_found=True)
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
            base_url = self._transport.base_url
            following = None if page.next is None else next_parameters(page.next, base_url, PRODUCTS_PATH)
        except wire.UnreadableError as error:
            return ProductsAnswer(**self._unreadable(reply, error))
        return ProductsAnswer(
            **self._common(reply),
            products=page.products,
            unread=page.unread,
            count=page.count,
            following=following,
        )

    def company(self) -> CompanyAnswer:
        """Ask whose products they are: of the newest one nothing else is read."""
        reply = self._transport.call("GET", PRODUCTS_PATH, params={**list_query(archived=False), "limit": "1"})
        try:
            if classify(reply) is not Verdict.OK:
                return CompanyAnswer(**self._common(reply))
            found = decode_company(reply.body)
        except wire.UnreadableError as error:
            return CompanyAnswer(**self._unreadable(reply, error))
        return CompanyAnswer(**self._common(reply), company=self._company(found))

    def me(self) -> MeAnswer:
        """Check that the token works."""
        reply = self._transport.call("GET", ME_PATH)
        try:
            if classify(reply) is not Verdict.OK:
                return MeAnswer(**self._common(reply))
            me = wire.Me() if reply.status_code == NO_CONTENT else wire.decode_me(reply.body)
        except wire.UnreadableError as error:
            return MeAnswer(**self._unreadable(reply, error))
        listed = me.permissions
        permissions = tuple(map(str, listed)) if isinstance(listed, list) and _all_texts(listed) else None
        email = self._shown(me.email) if isinstance(me.email, str) else None
        return MeAnswer(
            **self._common(reply),
            account=_identity(account_of(me.id)),
            company=self._company(company_of(me.company)),
            email=email,
            permissions=permissions,
            date=reply.headers.get("Date"),
        )

    def _company(self, found: Company | None) -> Company | None:
        """Return a company that an answer names: its identity is compared, its name is for people."""
        name = None if found is None or found.name is None else self._shown(found.name)
        return found and Company(_identity(found.id), _identity(found.uuid), name)

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

    def _following(self, page: wire.TaskPage) -> dict[str, str] | None:
        """Return what asks for the next page of tasks; None at the end, and where its link does not lead there."""
        try:
            return (
                next_parameters(page.next, self._transport.base_url, TASKS_PATH) if isinstance(page.next, str) else None
            )
        except wire.UnreadableError:  # such a list is not complete, and proves nothing
            return None

    def _task(self, state: wire.TaskState) -> Task:
        details = wire.details_of(state)
        return Task(
            id=state.id,
            remote_state=one_line(state.state).lower() if isinstance(state.state, str) else NO_STATE,
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


def _identity(text: str | None) -> str | None:
    return None if text is None else one_line(text)


def _count(value: object) -> int | None:
    """Return a count; None for what is none: one odd task must not make a whole page unreadable."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= wire.CODES_MAX else None


def _all_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _plain(task_id: str) -> bool:
    return bool(task_id) and all(character.isalnum() or character in "-_" for character in task_id)
