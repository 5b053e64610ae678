"""The routes of own codes, work orders and code data: what `api.ROUTES` adds in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from syncer.sandbox.ingestion import FILE_TYPES, record_body
from syncer.sandbox.request import Request
from syncer.sandbox.scm import Answer
from syncer.sandbox.workorders import Document, order_body, order_zip

INGESTION_PERMISSIONS = frozenset({"ingestion_view", "ingestion_cancel", "ingestion_code_create", "product_view"})
WORK_ORDER_PERMISSIONS = frozenset({"workorder_view", "workorder_download", "workorder_sid_download"})
CODES_PERMISSIONS = frozenset({"codes_view"})
PAGE_MAX = 1000
_NOT_FOUND = {"detail": "Not found."}


def _get_post_data(request: Request) -> Answer:
    asked = request.document.get("filetype") if isinstance(request.document, dict) else None
    if asked not in FILE_TYPES:
        words = f'"{asked}" is not a valid choice.' if asked else "This field is required."
        return 400, {"filetype": [words]}
    record = request.sandbox.ingestion.create(asked, request.now_s)
    url = f"{request.sandbox.storage_url}/st-media-sandbox/"
    return 201, {"post_data": {"url": url, "fields": dict(record.fields)}, "record_key": record.key}


def _process(request: Request) -> Answer:
    if not isinstance(request.document, dict):
        return 400, {"record": ["This field is required."]}
    return request.sandbox.ingestion.process(request.document, request.now_s)


def _record(request: Request) -> Answer:
    ingestion = request.sandbox.ingestion
    ingestion.advance(request.now_s)
    record = ingestion.records.get(request.arguments["key"])
    if record is None:
        return 404, _NOT_FOUND
    body = record_body(record, request.sandbox.iso)
    if request.sandbox.config.record_as_list:
        return 200, {"count": 1, "next": None, "previous": None, "results": [body]}
    return 200, body


def _records(request: Request) -> Answer:
    ingestion = request.sandbox.ingestion
    ingestion.advance(request.now_s)
    return _page(request, ingestion.list(request.query), lambda one: record_body(one, request.sandbox.iso))


def _work_orders(request: Request) -> Answer:
    ingestion = request.sandbox.ingestion
    ingestion.advance(request.now_s)
    return _page(request, ingestion.work_orders.list(request.query), lambda one: order_body(one, request.sandbox.iso))


def _work_order_file(request: Request) -> Answer:
    ingestion = request.sandbox.ingestion
    ingestion.advance(request.now_s)
    order = ingestion.work_orders.orders.get(int(request.arguments["id"]))
    return (404, _NOT_FOUND) if order is None else (200, order_zip(order, request.sandbox.world))


def _codes_download(request: Request) -> Answer:
    ingestion = request.sandbox.ingestion
    ingestion.advance(request.now_s)
    documents = ingestion.work_orders.documents
    key = f"pq2s{len(documents):08x}"
    documents[key] = Document(key, request.query, request.now_s + request.sandbox.config.ingestion_run_s)
    return 200, {"document": {"key": key, "task": f"b'rq:job:{key}'"}}


def _document(request: Request) -> Answer:
    document = request.sandbox.ingestion.work_orders.documents.get(request.arguments["key"])
    if document is None:
        return 404, _NOT_FOUND
    state = "done" if request.now_s >= document.done_s else "processing"
    return 200, {"key": document.key, "status": state, "name": "codes.csv"}


def _document_link(request: Request) -> Answer:
    document = request.sandbox.ingestion.work_orders.documents.get(request.arguments["key"])
    if document is None:
        return 404, _NOT_FOUND
    if request.now_s < document.done_s:
        return 400, {"detail": "The document is not ready yet."}
    return 200, {"url": f"{request.sandbox.storage_url}/documents/{document.key}.csv?X-Amz-Expires=1800"}


def _page(request: Request, found: Sequence[Any], body: Callable[[Any], dict[str, Any]]) -> Answer:
    query = request.query
    try:
        limit = min(int(query.get("limit", request.sandbox.config.page_size)), PAGE_MAX)
        offset = int(query.get("offset", 0))
    except ValueError:
        return 400, {"detail": "limit and offset are numbers."}

    def link(to: int) -> str | None:
        if not 0 <= to < max(len(found), 1) or to == offset:
            return None
        return f"{request.sandbox.url}{request.path}?{urlencode({**query, 'limit': limit, 'offset': to})}"

    return 200, {
        "count": len(found),
        "next": link(offset + limit),
        "previous": link(max(0, offset - limit)),
        "results": [body(one) for one in found[offset : offset + limit]],
    }


ROWS: tuple[tuple[str, str, str, Callable[[Request], Answer], frozenset[str]], ...] = (
    (
        "post_data", r"/api/v2/ingestion/codes/upload/get-post-data/", "POST", _get_post_data, INGESTION_PERMISSIONS,
    ),
    ("process", r"/api/v2/ingestion/codes/upload/process/", "POST", _process, INGESTION_PERMISSIONS),
    ("records", r"/api/v2/ingestion/", "GET", _records, INGESTION_PERMISSIONS),
    ("record", r"/api/v2/ingestion/(?P<key>[^/]+)/", "GET", _record, INGESTION_PERMISSIONS),
    ("workorders", r"/api/v2/workorders/", "GET", _work_orders, WORK_ORDER_PERMISSIONS),
    (
        "workorder_file", r"/api/v2/workorders/(?P<id>\d+)/download-serial-numbers/", "GET", _work_order_file,
        WORK_ORDER_PERMISSIONS,
    ),
    ("codes_download", r"/api/v2/codes/download/", "GET", _codes_download, CODES_PERMISSIONS),
    ("document", r"/api/v2/documents/(?P<key>[^/]+)/", "GET", _document, CODES_PERMISSIONS),
    ("document_link", r"/api/v2/documents/(?P<key>[^/]+)/get-download-link/", "GET", _document_link, CODES_PERMISSIONS),
)  # fmt: skip
"""Name, path, methods, handler, permissions. The path of the work order's zip is a decision, see `workorders`."""
