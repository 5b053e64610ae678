"""The calls about own codes and work orders, one method each; answers are values, as those of `client.Client`.

Source of facts: "Own codes (ingestion)" and "Work orders" of docs/api.md. Decided here, in one place, because it
is documented nowhere: the path of a work order's zip, what an answer to `process` must look like (any JSON object),
and which words of a record's status mean that it ended (`outcome`). Nothing is retried here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from syncer.api import wire
from syncer.api.answers import Answer, Speaker
from syncer.api.classify import Verdict, classify
from syncer.api.links import next_parameters
from syncer.api.words import body_text, flat

POST_DATA_PATH = "/api/v2/ingestion/codes/upload/get-post-data/"
PROCESS_PATH = "/api/v2/ingestion/codes/upload/process/"
INGESTION_PATH = "/api/v2/ingestion/"
WORK_ORDERS_PATH = "/api/v2/workorders/"
WORK_ORDER_FILE = "download-serial-numbers/"
"""[D]: "the download workorder serial numbers endpoint" of the seed."""
STORAGE_VALID_S = 1800.0
"""How long the data for the storage upload is valid [P]."""
STORAGE_FIELDS_MAX = 100
FILE_NOT_FOUND = "Uploaded file not found"
WRONG_STATE = "can be processed"
UPLOADING = "uploading"
_ENDED_WELL = frozenset({"complete", "completed", "done", "finished", "success", "processed"})
_ENDED_BADLY = frozenset({"error", "failed", "failure", "cancelled", "canceled", "rejected"})
ERROR_IDS_MAX = 1_000_000


class PostData(msgspec.Struct, frozen=True):
    """The address and the fields of a storage form, in the order in which they were given."""

    url: str
    fields: dict[str, str]


class _Created(msgspec.Struct, frozen=True):
    post_data: PostData
    record_key: wire.TaskId


class _Record(msgspec.Struct, frozen=True):
    key: str
    status: str
    result_data: object = None


class _Records(msgspec.Struct, frozen=True):
    results: list[_Record]


class _WorkOrder(msgspec.Struct, frozen=True):
    id: int
    reference: str | None = None
    state: object = None
    quantity: object = None
    is_archived: object = None
    creation_date: object = None


class _WorkOrders(msgspec.Struct, frozen=True):
    results: list[_WorkOrder]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDataAnswer(Answer):
    """Of get-post-data: the record that was made, and the form that storage wants."""

    record_key: str = ""
    url: str = ""
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessAnswer(Answer):
    """Of process. A refusal tells by these two that it is about the record's state or the missing file."""

    wrong_state: bool = False
    file_not_found: bool = False


@dataclass(frozen=True, slots=True)
class IngestionError:
    """One error of a record: its name, the codes it is about (as the API wrote them, perhaps cut), other words."""

    name: str
    ids: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class IngestionRecord:
    """A record as it stands. ``remote_status`` is the API's word; ``ended`` None: still at work, or not begun."""

    key: str
    remote_status: str
    ended: bool | None
    errors: tuple[IngestionError, ...]

    @property
    def uploading(self) -> bool:
        """Whether its file was not yet given to processing."""
        return self.remote_status == UPLOADING


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer(Answer):
    """Of a look at a record."""

    record: IngestionRecord | None = None


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A work order as the list shows it."""

    id: int
    reference: str
    state: str
    quantity: int | None
    archived: bool
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrdersAnswer(Answer):
    """Of a page of work orders; ``following`` asks for the next one, None at the end."""

    orders: tuple[WorkOrder, ...] = ()
    following: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer(Answer):
    """Of a file: its bytes."""

    content: bytes = b""


class IngestionClient(Speaker):
    """The calls over one `Transport`; used by one thread."""

    def get_post_data(self, filetype: str) -> PostDataAnswer:
        """Have a record made. When the answer is lost, the record that may exist stays empty for ever: no harm."""
        reply = self._transport.call("POST", POST_DATA_PATH, body=wire.encode({"filetype": filetype}))
        try:
            if classify(reply) is not Verdict.OK:
                return PostDataAnswer(**self._common(reply))
            created = wire.decode(reply.body, _Created)
            if not plain(created.record_key):
                raise wire.UnreadableError("the record's key cannot stand in a path")
            if len(created.post_data.fields) > STORAGE_FIELDS_MAX or "file" in created.post_data.fields:
                raise wire.UnreadableError("the fields for storage are none that can be posted")
        except wire.UnreadableError as error:
            return PostDataAnswer(**self._unreadable(reply, error))
        data = created.post_data
        return PostDataAnswer(
            **self._common(reply), record_key=created.record_key, url=data.url, fields=dict(data.fields)
        )

    def process(
        self, record_key: str, default_scm_data: Mapping[str, object], url_prefix: str | None, *, allow_duplicates: bool
    ) -> ProcessAnswer:
        """Start the processing of a record's file. The API refuses to start it twice."""
        body: dict[str, object] = {"record": record_key, "default_scm_data": default_scm_data}
        if url_prefix is not None:
            body["url_prefix"] = url_prefix
        if allow_duplicates:
            body["allow_posted_duplicates"] = True
        reply = self._transport.call("POST", PROCESS_PATH, body=wire.encode(body))
        try:
            if classify(reply) is Verdict.OK:
                wire.decode(reply.body, dict[str, object])  # a proxy's page is no answer
        except wire.UnreadableError as error:
            return ProcessAnswer(**self._unreadable(reply, error))
        refused = body_text(reply) if classify(reply) is Verdict.REFUSED else ""
        return ProcessAnswer(
            **self._common(reply), wrong_state=WRONG_STATE in refused, file_not_found=FILE_NOT_FOUND in refused
        )

    def record(self, key: str) -> RecordAnswer:
        """Look at a record; the answer may be the record, or a list that has it (as the seed's example)."""
        reply = self._transport.call("GET", f"{INGESTION_PATH}{key}/")
        try:
            if classify(reply) is not Verdict.OK:
                return RecordAnswer(**self._common(reply))
            listed = wire.decode(reply.body, dict[str, msgspec.Raw])
            found = (
                wire.decode(reply.body, _Records).results if "results" in listed else [wire.decode(reply.body, _Record)]
            )
            state = next((one for one in found if one.key == key), None)
            if state is None:
                raise wire.UnreadableError("the answer is about another record")
        except wire.UnreadableError as error:
            return RecordAnswer(**self._unreadable(reply, error))
        record = IngestionRecord(key, state.status, ended(state.status), self._errors(state.result_data))
        return RecordAnswer(**self._common(reply), record=record)

    def work_orders(self, query: Mapping[str, str]) -> WorkOrdersAnswer:
        """Ask for one page of work orders (`work_orders_query`, or the ``following`` of the page before)."""
        reply = self._transport.call("GET", WORK_ORDERS_PATH, params=query)
        try:
            if classify(reply) is not Verdict.OK:
                return WorkOrdersAnswer(**self._common(reply))
            page = wire.decode(reply.body, _WorkOrders)
            base_url = self._transport.base_url
            following = next_parameters(page.next, base_url, WORK_ORDERS_PATH) if page.next else None
        except wire.UnreadableError as error:
            return WorkOrdersAnswer(**self._unreadable(reply, error))
        return WorkOrdersAnswer(
            **self._common(reply), orders=tuple(map(self._order, page.results)), following=following
        )

    def work_order_file(self, order_id: int) -> FileAnswer:
        """Get the zip of a work order, whole and in memory: the transport bounds its size."""
        reply = self._transport.call("GET", f"{WORK_ORDERS_PATH}{order_id}/{WORK_ORDER_FILE}")
        answer = FileAnswer(**self._common(reply))
        if answer.verdict is Verdict.OK and not reply.body.startswith(b"PK"):
            return replace(answer, verdict=Verdict.UNKNOWN, message="the answer is no zip file")
        return replace(answer, content=reply.body) if answer.verdict is Verdict.OK else answer

    def _errors(self, result_data: object) -> tuple[IngestionError, ...]:
        return tuple(IngestionError(name, ids, self._shown(words)) for name, ids, words in error_members(result_data))

    def _order(self, order: _WorkOrder) -> WorkOrder:
        shown = {name: self._shown(flat(getattr(order, name))) for name in _SHOWN}
        quantity = order.quantity if isinstance(order.quantity, int) else None
        return WorkOrder(
            order.id, shown["reference"], shown["state"], quantity, bool(order.is_archived), shown["creation_date"]
        )


_SHOWN = ("reference", "state", "creation_date")


def work_orders_query(*, search: str | None, archived: bool, page_orders: int) -> dict[str, str]:
    """Return what to ask for the first page of work orders, newest first as the API has them."""
    wanted = {"is_archived": "1" if archived else "0", "limit": str(page_orders), "offset": "0"}
    return {**wanted, "search": search} if search else wanted


def ended(remote_status: str) -> bool | None:
    """Tell what a record's status means: True ended well, False badly, None not ended (or a word nobody knows)."""
    word = remote_status.lower()
    return True if word in _ENDED_WELL else False if word in _ENDED_BADLY else None


def error_members(result_data: object) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Read `result_data` leniently: name, codes and other words of each error; an unknown shape becomes words."""
    listed = result_data.get("errors") if isinstance(result_data, dict) else None
    if not listed:
        return
    for error in listed if isinstance(listed, list) else [listed]:
        if not isinstance(error, dict):
            yield "error", (), flat(error)
            continue
        for name, value in error.items():
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                yield str(name), tuple(value[:ERROR_IDS_MAX]), ""
            else:
                yield str(name), (), flat(value)


def plain(key: str) -> bool:
    """Tell whether a key may stand in a path as it is."""
    return bool(key) and all((c.isascii() and c.isalnum()) or c in "-_" for c in key)
