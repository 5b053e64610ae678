"""The semantics of the two SCM uploads and of tasks, as functions from a body to a status and a body.

Source: docs/api.md, "SCM upload, sync", "SCM upload, async", "Tasks". Strict where the documents leave room: what
a well-behaved client never does is answered with 400, or noted in `World.violations`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from syncer.sandbox.world import IDENTIFIERS, TASK_STATES, StoredTask, World

Answer = tuple[int, Any]
SYNC_ITEMS_MAX = 100
CONSTRAINTS_MAX = 5
CONSTRAINT_VALUES_MAX = 1000
BLACKLIST_REASON_MAX = 10
_INVALID = "Invalid key name"
_FORBIDDEN_DATA = {
    "extended_id": _INVALID,
    "serial_number": _INVALID,
    "message": _INVALID,
    "product_id": f"{_INVALID}, use 'product' instead",
    "status": f"{_INVALID}, use 'activation_status' instead",
}
_FORBIDDEN_CONSTRAINTS = {
    "message": "Invalid constraint name, please use 'extended_id' instead",
    "product": "Invalid constraint name",
    "product_id": "Invalid constraint name",
    "campaign": "Invalid constraint name",
    "campaign_id": "Invalid constraint name",
}


def _data_errors(world: World, data: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a set of SCM data, per key."""
    errors = {}
    for name, value in data.items():
        if name in _FORBIDDEN_DATA:
            errors[name] = _FORBIDDEN_DATA[name]
        elif not isinstance(value, str):
            errors[name] = "Not a valid string."
        elif (name == "activation_status" and value not in {"0", "1", "2"}) or (
            name == "blacklist_reason" and not (value.isdigit() and int(value) <= BLACKLIST_REASON_MAX)
        ):
            errors[name] = f'"{value}" is not a valid choice.'
        elif name == "product" and world.products is not None and value not in world.products:
            errors[name] = f"Product '{value}' does not exist."
    return errors


def upload_sync(world: World, body: Any, *, now_s: float, call: int, keys: Collection[str] | None = None) -> Answer:
    """``POST /api/v2/scm/upload/``: apply up to 100 items at once; nothing is applied when any is at fault."""
    if not isinstance(body, dict):
        return 400, {"detail": "Invalid data. Expected a dictionary."}
    key = body.get("data_key", "extended_id")
    items = body.get("items")
    if not isinstance(key, str) or key in _FORBIDDEN_CONSTRAINTS:
        return 400, {"data_key": ["Invalid data key."]}
    if keys is not None and key not in keys:
        return 400, {"data_key": [f'"{key}" is not a valid choice.']}
    if not isinstance(items, list) or not items:
        return 400, {"items": ["This field is required."]}
    if len(items) > SYNC_ITEMS_MAX:
        world.violations.append(f"call {call}: {len(items)} items")
        return 400, {"items": [f"Ensure this field has no more than {SYNC_ITEMS_MAX} elements."]}
    errors: dict[str, Any] = {}
    seen: set[str] = set()
    for place, item in enumerate(items):
        value = item.get(key) if isinstance(item, dict) else None
        if not isinstance(value, str) or not value:
            errors[str(place)] = {key: "This field is required."}
            continue
        if value in seen:
            world.violations.append(f"call {call}: {value!r} stands twice")
            errors[value] = {key: "Duplicate value."}
        seen.add(value)
        wrong = _data_errors(world, {name: text for name, text in item.items() if name != key})
        if wrong:
            errors[value] = wrong
    if errors:
        return 400, {"items": errors}
    return 200, _apply_items(world, key, items, now_s=now_s, call=call)


def _apply_items(world: World, key: str, items: list[dict[str, str]], *, now_s: float, call: int) -> dict[str, Any]:
    affected: set[int] = set()
    named: dict[str, list[str]] = {}
    changes = []
    for item in items:
        data = {name: text for name, text in item.items() if name != key}
        for number in sorted(world.select({key: [item[key]]})):
            told = world.write_told(number, data, at_s=now_s, cause=f"call {call}")
            if told is None:
                continue
            named[item[key]] = sorted({*named.get(item[key], []), *told})
            changes.append({"id": number, "fields": told})
            affected.add(number)
    return {"total_updates": len(items), "changes": changes, "items": named, "codes_affected": len(affected)}


def check_async(world: World, body: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Return the constraints as lists, and what is wrong with an async upload, per member."""
    if not isinstance(body, dict):
        return {}, {"detail": "Invalid data. Expected a dictionary."}
    errors: dict[str, Any] = {}
    constraints, wrong = _constraints(world, body.get("constraints"))
    if wrong:
        errors["constraints"] = wrong
    data = body.get("scm_data")
    if not isinstance(data, dict) or not data:
        errors["scm_data"] = ["This field is required."]
    elif wrong_data := _data_errors(world, data):
        errors["scm_data"] = wrong_data
    campaign = body.get("campaign")
    if campaign is not None:
        fields = world.campaigns.get(campaign) if world.campaigns is not None and isinstance(campaign, int) else None
        if not isinstance(campaign, int) or isinstance(campaign, bool):
            errors["campaign"] = [f"Incorrect type. Expected pk value, received {type(campaign).__name__}."]
        elif world.campaigns is not None and campaign not in world.campaigns:
            errors["campaign"] = [f'Invalid pk "{campaign}" - object does not exist.']
        elif fields is not None:
            unknown = [name for name in constraints if name not in IDENTIFIERS and name not in fields]
            if unknown:
                errors["constraints"] = dict.fromkeys(unknown, "Constraint does not exist in the campaign")
    if not isinstance(body.get("reference", ""), str):
        errors["reference"] = ["Not a valid string."]
    return constraints, errors


def _constraints(world: World, given: Any) -> tuple[dict[str, list[str]], Any]:
    if not isinstance(given, dict) or not given:
        return {}, ["This field is required."]
    errors: dict[str, str] = {}
    constraints = {}
    for name, values in given.items():
        listed = [values] if isinstance(values, str) else values
        if name in _FORBIDDEN_CONSTRAINTS:
            errors[name] = _FORBIDDEN_CONSTRAINTS[name]
        elif not isinstance(listed, list) or not listed or not all(isinstance(v, str) and v for v in listed):
            errors[name] = "Expected a list of non-empty strings."
        elif len(set(listed)) < len(listed):
            errors[name] = "Duplicate values."
        else:
            constraints[name] = listed
    total = sum(len(values) for values in constraints.values())
    if len(given) > CONSTRAINTS_MAX:
        errors["non_field_errors"] = f"No more than {CONSTRAINTS_MAX} constraints are allowed."
    if total > CONSTRAINT_VALUES_MAX:
        world.violations.append(f"{total} constraint values in one call")
        errors["non_field_errors"] = f"No more than {CONSTRAINT_VALUES_MAX} values are allowed."
    return constraints, errors


def task_body(task: StoredTask, iso: Callable[[float], str], *, details: bool, unlist: bool) -> dict[str, Any]:
    """Write a task as the API shows it; ``details`` stands in the answer about one task only."""
    body: dict[str, Any] = {
        "id": task.id,
        "reference": task.reference,
        "state": task.state,
        "codes_affected": task.codes_affected,
        "created_by": 1638,
        "created_at": iso(task.created_s),
        "started_at": None if task.started_s is None else iso(task.started_s),
        "completed_at": None if task.ended_s is None else iso(task.ended_s),
    }
    if task.error is not None:
        body["error"] = task.error
    if details:
        body["details"] = {
            "constraints": {
                name: values[0] if unlist and len(values) == 1 else values for name, values in task.constraints.items()
            },
            "scm_data": task.scm_data,
        }
    return body


def list_tasks(world: World, query: dict[str, str], iso: Callable[[float], str]) -> list[StoredTask]:
    """Return the tasks that a list's filters select, newest first; raise `ValueError` for a time that is none."""
    found = [task for task in world.tasks.values() if not task.forgotten]
    if "state" in query:
        found = [task for task in found if task.state == query["state"]]
    if "reference" in query:
        found = [task for task in found if task.reference == query["reference"]]
    if "created_at" in query:
        created = _moment(query["created_at"])
        found = [task for task in found if _moment(iso(task.created_s)) == created]
    return found[::-1]


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def group_body(world: World, reference: str, iso: Callable[[float], str]) -> dict[str, Any] | None:
    """Write a group of tasks: those with one reference; None when there is none."""
    tasks = [task for task in world.tasks.values() if task.reference == reference and not task.forgotten]
    if not tasks:
        return None
    started = [task.started_s for task in tasks if task.started_s is not None]
    ended = [task.ended_s for task in tasks if task.ended_s is not None]
    return {
        "reference": reference,
        "tasks_count": len(tasks),
        "codes_affected": sum(task.codes_affected for task in tasks),
        "completed": len(ended) == len(tasks),
        "state_stats": {state: sum(task.state == state for task in tasks) for state in TASK_STATES},
        "started_at": iso(min(started)) if started else None,
        "completed_at": iso(max(ended)) if len(ended) == len(tasks) else None,
    }


def iso_from(epoch_s: float) -> Callable[[float], str]:
    """Return a writer of times: seconds of the world's clock to ISO 8601, given when its second 0 was."""
    return lambda at_s: datetime.fromtimestamp(epoch_s + at_s, UTC).isoformat().replace("+00:00", "Z")
