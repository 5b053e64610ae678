"""The emulated API's routes: one row each, with its permissions and whether it counts against the updates' limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from syncer.sandbox import scan_views
from syncer.sandbox.ingestion_api import ROWS as INGESTION_ROWS
from syncer.sandbox.products import body as product_body
from syncer.sandbox.request import Request, Route
from syncer.sandbox.scm import Answer, check_async, group_body, list_tasks, task_body, upload_sync
from syncer.sandbox.world import StoredTask

SCM_PERMISSIONS = frozenset({"codes_view", "scm_bulk_edit", "scm_code_edit", "product_view"})
SCANS_PERMISSIONS = frozenset({"scans_download"})
PRODUCTS_PATH = "/api/v2/products/"
PAGE_MAX = 1000


def _upload_sync(request: Request) -> Answer:
    call = len(request.sandbox.requests) + 1
    keys = request.sandbox.config.sync_keys
    return upload_sync(request.sandbox.world, request.document, now_s=request.now_s, call=call, keys=keys)


def _upload_async(request: Request) -> Answer:
    world, config = request.sandbox.world, request.sandbox.config
    constraints, errors = check_async(world, request.document)
    if errors:
        return 400, errors
    task = world.create_task(
        constraints,
        dict(request.document["scm_data"]),
        request.document.get("reference", ""),
        now_s=request.now_s,
        start_s=config.task_start_s,
        run_s=config.task_run_s,
    )
    return 200, {"task_id": task.id}


def _tasks(request: Request) -> Answer:
    world = request.sandbox.world
    if request.method == "GET":
        try:
            listed = list_tasks(world, request.query, request.sandbox.iso)
        except ValueError:
            return 400, {"created_at": ["Enter a valid date/time."]}
        return 200, _page(request, listed)
    asked = request.document.get("task_ids") if isinstance(request.document, dict) else request.document
    if not isinstance(asked, list) or not all(isinstance(task_id, str) for task_id in asked):
        return 400, {"task_ids": ["This field is required."]}
    found = [world.tasks[task_id] for task_id in asked if task_id in world.tasks]
    bodies = [_body(request, task) for task in found if not task.forgotten]
    return 200, {"count": len(bodies), "next": None, "previous": None, "results": bodies}


def _page(request: Request, tasks: list[StoredTask]) -> dict[str, Any]:
    query = request.query
    limit = min(int(query.get("limit", request.sandbox.config.page_size)), PAGE_MAX)
    offset = int(query.get("offset", 0))

    def link(to: int) -> str | None:
        if not 0 <= to < max(len(tasks), 1) or to == offset:
            return None
        return f"{request.sandbox.url}/api/v2/scm/tasks/?{urlencode({**query, 'limit': limit, 'offset': to})}"

    bodies = [_body(request, task) for task in tasks[offset : offset + limit]]
    return {
        "count": len(tasks),
        "next": link(offset + limit),
        "previous": link(max(0, offset - limit)),
        "results": bodies,
    }


def _body(request: Request, task: StoredTask, *, details: bool = False) -> dict[str, Any]:
    unlist = request.sandbox.config.unlist_single_values
    return task_body(task, request.sandbox.iso, details=details, unlist=unlist)


def _task(request: Request) -> Answer:
    task = request.sandbox.world.tasks.get(request.arguments["id"])
    if task is None or task.forgotten:
        return 404, {"detail": "Not found."}
    return 200, _body(request, task, details=True)


def _group(request: Request) -> Answer:
    body = group_body(request.sandbox.world, request.arguments["reference"], request.sandbox.iso)
    return (404, {"detail": "Not found."}) if body is None else (200, body)


def _products(request: Request) -> Answer:
    """``GET /api/v2/products/``: a page of the products, or the one with ``sku__exact``."""
    query, sandbox = request.query, request.sandbox
    found = sandbox.catalogue.select(query)
    try:
        limit = min(max(1, int(query.get("limit") or sandbox.config.page_size)), sandbox.config.products_page_max)
        offset = max(0, int(query.get("offset") or 0))
    except ValueError:  # as Django REST framework's pages do
        limit, offset = sandbox.config.page_size, 0

    whose = {"company": sandbox.company(request.authorization)} if sandbox.config.companies else {}

    def link(to: int) -> str:
        return f"{sandbox.url}{PRODUCTS_PATH}?{urlencode(sorted({**query, 'limit': limit, 'offset': to}.items()))}"

    return 200, {
        "count": len(found),
        "next": link(offset + limit) if offset + limit < len(found) else None,
        "previous": link(max(0, offset - limit)) if offset > 0 else None,
        "results": [{**product_body(product, sandbox.world), **whose} for product in found[offset : offset + limit]],
    }


def _me(request: Request) -> Answer:
    permissions = sorted(request.sandbox.permissions(request.authorization))
    me = {"id": 1638, "email": "sandbox@example.com", "permissions": permissions}
    if request.sandbox.config.me_names_company:
        me["company"] = request.sandbox.company(request.authorization)
    return 200, me


def _scans(request: Request) -> Answer:
    sandbox = request.sandbox
    return scan_views.page(
        sandbox.scans,
        request.query,
        url=sandbox.url,
        now_us=sandbox.wall_us(request.now_s),
        page_size=sandbox.config.page_size,
    )


def _scans_csv(request: Request) -> Answer:
    return scan_views.csv_lines(request.sandbox.scans, request.query, now_us=request.sandbox.wall_us(request.now_s))


def _route(
    name: str,
    path: str,
    methods: str,
    handle: Callable[[Request], Answer],
    *,
    is_update: bool = False,
    free: bool = False,
    permissions: frozenset[str] = SCM_PERMISSIONS,
) -> Route:
    permissions = frozenset() if free else permissions
    return Route(name, re.compile(path), frozenset(methods.split()), permissions, is_update, handle)


ROUTES = (
    _route("sync", r"/api/v2/scm/upload/", "POST", _upload_sync, is_update=True),
    _route("async", r"/api/v2/scm/upload/async/", "POST", _upload_async, is_update=True),
    _route("tasks", r"/api/v2/scm/tasks/", "GET POST", _tasks),
    _route("task", r"/api/v2/scm/tasks/(?P<id>[^/]+)/", "GET", _task),
    _route("group", r"/api/v2/scm/task-groups/(?P<reference>[^/]+)/", "GET", _group),
    _route("products", PRODUCTS_PATH, "GET", _products, permissions=frozenset({"product_view"})),
    _route("me", r"/api/v2/me/", "GET", _me, free=True),
    _route("scans", r"/api/v2/dashboard/scans/", "GET", _scans, permissions=SCANS_PERMISSIONS),
    _route("scans_csv", r"/api/v2/dashboard/scans/csv", "GET", _scans_csv, permissions=SCANS_PERMISSIONS),
    *(
        Route(name, re.compile(path), frozenset(methods.split()), permissions, False, handle)
        for name, path, methods, handle, permissions in INGESTION_ROWS
    ),
)
