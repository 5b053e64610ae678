"""The door for tests and people: look into the sandbox, load it, break it. Needs no token; loopback only.

GET  /                    what this is
GET  /sandbox/state       every code with all its fields
GET  /sandbox/tasks       every task, with what it was asked to do
GET  /sandbox/journal     every write to a field: when, old, new, by which task or call
GET  /sandbox/products    every product that is not archived
GET  /sandbox/requests    every request that came in
GET  /sandbox/ingestions  every ingestion record: its state, what storage has of it, how often it was processed
GET  /sandbox/violations  what a well-behaved client never does
POST /sandbox/codes       add codes: a list of mappings
POST /sandbox/products    add, remove or change products: {"add": [...], "remove": [...], "change": {...}}
POST /sandbox/scans       let scans happen, now or late: a list of mappings (docs/sandbox.md)
POST /sandbox/faults      replace the scripted faults: a list of rules
POST /sandbox/reset       go back to the first state
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from syncer.sandbox.ingestion import record_look
from syncer.sandbox.products import act, body
from syncer.sandbox.scm import task_body
from syncer.sandbox.state import SandboxState


def control(sandbox: SandboxState, method: str, path: str, query: dict[str, str], content: bytes) -> tuple[int, Any]:
    """Answer a request to the control door."""
    with sandbox.lock:
        sandbox.world.advance(sandbox.now_s())
        if method == "GET":
            return _look(sandbox, path, query)
        try:
            return _act(sandbox, path, json.loads(content or b"null"))
        except (ValueError, TypeError) as error:
            return 400, {"detail": str(error)}


def _look(sandbox: SandboxState, path: str, query: dict[str, str]) -> tuple[int, Any]:
    world = sandbox.world
    match path:
        case "/":
            return 200, _overview(sandbox)
        case "/sandbox/state":
            codes = world.state()
            return 200, {"codes": [c for c in codes if all(c.get(k) == v for k, v in query.items())]}
        case "/sandbox/tasks":
            bodies = [task_body(task, sandbox.iso, details=True, unlist=False) for task in world.tasks.values()]
            return 200, {"tasks": bodies}
        case "/sandbox/journal":
            return 200, {"writes": [asdict(write) for write in world.journal]}
        case "/sandbox/products":
            return 200, {"products": [body(product, world) for product in sandbox.catalogue.select(query)]}
        case "/sandbox/requests":
            return 200, {"requests": [asdict(logged) for logged in sandbox.requests]}
        case "/sandbox/ingestions":
            sandbox.ingestion.advance(sandbox.now_s())
            records = sandbox.ingestion.records.values()
            return 200, {"ingestions": [record_look(record) for record in records]}
        case "/sandbox/violations":
            return 200, {"violations": world.violations}
    return 404, {"detail": "Not found."}


def _act(sandbox: SandboxState, path: str, document: Any) -> tuple[int, Any]:
    match path:
        case "/sandbox/codes":
            for fields in document:
                sandbox.world.add_code(fields)
            return 200, {"codes": len(sandbox.world.codes)}
        case "/sandbox/products":
            return 200, act(sandbox.catalogue, document)
        case "/sandbox/scans":
            return 200, {"uuids": [sandbox.scan(**scan) for scan in document]}
        case "/sandbox/faults":
            sandbox.faults.replace(document)
            return 200, {"faults": len(document)}
        case "/sandbox/reset":
            sandbox.reset()
            return 200, {}
    return 404, {"detail": "Not found."}


def _overview(sandbox: SandboxState) -> str:
    world = sandbox.world
    states: dict[str, int] = {}
    for task in world.tasks.values():
        states[task.state] = states.get(task.state, 0) + 1
    tasks = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"
    return (
        f"{__doc__}\n"
        f"codes      {len(world.codes)}\n"
        f"tasks      {tasks}\n"
        f"writes     {len(world.journal)}\n"
        f"requests   {len(sandbox.requests)}\n"
        f"violations {len(world.violations)}\n"
    )
