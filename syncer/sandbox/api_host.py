"""The API's host: routes, access, limits, what is processed, and faults that change what was processed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from syncer.sandbox.api import ROUTES
from syncer.sandbox.control import control
from syncer.sandbox.faults import TASK_KINDS, Fault
from syncer.sandbox.request import Request, Route
from syncer.sandbox.state import SandboxState
from syncer.sandbox.visitors import form_refusal
from syncer.sandbox.wire import Handler, Result


class ApiHandler(Handler):
    """Answers the API's host, and the control door."""

    def answer(self, body: bytes) -> None:
        """Answer the control door, or else a route of the API."""
        parts = urlsplit(self.path)
        if parts.path == "/" or parts.path.startswith("/sandbox/"):
            refused = form_refusal(self.headers, body)
            if refused is not None:
                self._send(refused[0], {"detail": refused[1]})
                return
            query = dict(parse_qsl(parts.query))
            self._send(*control(self.server.sandbox, self.command, parts.path, query, body))
            return
        self._answer_api(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), body)

    def _answer_api(self, path: str, query: dict[str, str], body: bytes) -> None:
        sandbox = self.server.sandbox
        route, arguments = _find(path)
        call = route.name if route else "none"
        with sandbox.lock:
            arrived_s = sandbox.now_s()
            sandbox.world.advance(arrived_s)
            fault = sandbox.faults.strike(call) if route else None
            refusal = self._refusal(route, path, arrived_s, fault)
            is_late = route is not None and refusal is None and fault is not None and fault.kind == "late"
            result: Result = refusal or (0, None, {})
            if refusal is None and route is not None and not is_late:
                result = (*self._process(route, arguments, query, body, arrived_s, fault), {})
            self._log(call, arrived_s, result[0], fault)
        if is_late and fault is not None:
            threading.Timer(fault.seconds, self._process_late, (route, arguments, query, body)).start()
        self._give(result, fault)

    def _refusal(self, route: Route | None, path: str, arrived_s: float, fault: Fault | None) -> Result | None:
        """Return the answer to a request that is not processed; None for one that is."""
        sandbox = self.server.sandbox
        if route is None:
            if _find(path + "/")[0] is not None:  # Django's APPEND_SLASH; a POST loses its body on the way
                if self.command == "POST":
                    sandbox.world.violations.append(f"POST to {path} without the slash")
                return 301, None, {"Location": quote(path) + "/"}
            return 404, {"detail": "Not found."}, {}
        if self.command not in route.methods:
            return 405, {"detail": f'Method "{self.command}" not allowed.'}, {}
        denied = sandbox.access(self.headers.get("Authorization"), route.permissions)
        if denied is not None:
            return (*denied, {})
        throttle = sandbox.updates if route.is_update else sandbox.reads
        wait_s = throttle.admit(self.headers.get("Authorization") or "", arrived_s)
        if fault is not None and fault.kind == "status" and fault.status_code == 429:  # noqa: PLR2004
            wait_s = max(1, round(fault.seconds))
        if wait_s is not None:
            words = f"Request was throttled. Expected available in {wait_s} seconds."
            return 429, {"detail": words, "code": "throttled"}, {"Retry-After": str(wait_s)}
        if fault is None:
            return None
        if fault.kind == "status":
            return fault.status_code, {"detail": HTTPStatus(fault.status_code).phrase}, {}
        if fault.kind == "redirect":
            return 302, None, {"Location": fault.url}
        return (0, None, {}) if fault.kind == "drop_before" else None

    def _process(
        self,
        route: Route,
        arguments: Mapping[str, str],
        query: dict[str, str],
        body: bytes,
        now_s: float,
        fault: Fault | None,
    ) -> tuple[int, Any]:
        sandbox = self.server.sandbox
        document: Any = None
        if self.command == "POST":
            if not (self.headers.get("Content-Type") or "").startswith("application/json"):
                return 415, {"detail": f'Unsupported media type "{self.headers.get("Content-Type")}" in request.'}
            try:
                document = json.loads(body)
            except ValueError as error:
                return 400, {"detail": f"JSON parse error - {error}"}
        before = len(sandbox.world.tasks)
        answer = route.handle(
            Request(
                sandbox,
                self.command,
                urlsplit(self.path).path,
                arguments,
                query,
                document,
                now_s,
                self.headers.get("Authorization"),
            )
        )
        if fault is not None:
            answer = _bend(sandbox, fault, answer, before, self.path)
        return answer

    def _process_late(self, route: Route, arguments: Mapping[str, str], query: dict[str, str], body: bytes) -> None:
        sandbox = self.server.sandbox
        with sandbox.lock:
            now_s = sandbox.now_s()
            sandbox.world.advance(now_s)
            self._process(route, arguments, query, body, now_s, None)


def _find(path: str) -> tuple[Route | None, Mapping[str, str]]:
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found:
            return route, {name: unquote(text) for name, text in found.groupdict().items()}
    return None, {}


def _bend(
    sandbox: SandboxState, fault: Fault, answer: tuple[int, Any], tasks_before: int, asked: str
) -> tuple[int, Any]:
    """Let a fault change what was processed: a task's fate, a count, the named items."""
    status_code, document = answer
    if status_code != 200 or not isinstance(document, dict):  # noqa: PLR2004
        return answer
    if fault.kind == "ingestion_stuck":
        for record in sandbox.ingestion.records.values():
            record.stuck |= record.key == document.get("record")
    elif fault.kind in TASK_KINDS and len(sandbox.world.tasks) > tasks_before:
        task = list(sandbox.world.tasks.values())[-1]
        task.fails |= fault.kind == "task_fail"
        task.stuck |= fault.kind == "task_stuck"
        task.forgotten |= fault.kind == "task_forgotten"
    elif fault.kind == "wrong_count":
        if "codes_affected" in document:
            document = {**document, "codes_affected": max(0, document["codes_affected"] + fault.delta)}
        elif len(sandbox.world.tasks) > tasks_before:
            list(sandbox.world.tasks.values())[-1].count_off_by = fault.delta
    elif fault.kind == "next_elsewhere":
        document["next"] = fault.url
    elif fault.kind == "page_again":
        document["next"] = sandbox.url + asked
    elif fault.kind == "no_items":
        document = {name: value for name, value in document.items() if name not in {"items", "changes"}}
    return status_code, document
