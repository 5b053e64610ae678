"""The emulated upload of own codes: ingestion records, the files put into storage, and what becomes of them.

Source of facts: the seed on own codes, "Own codes (ingestion)" of docs/api.md. Undocumented and decided here, in
one place: the words of a record's states (uploading, processing, complete, error; the seed shows the first and the last
alone), that a file with any error creates no code at all, the names of errors other than `duplicate_id_error`, and that
a refusal is a `detail`.
All methods expect the caller to hold the sandbox's lock, and are told the time.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syncer.sandbox.workorders import WorkOrders

if TYPE_CHECKING:
    from random import Random

    from syncer.sandbox.config import SandboxConfig
    from syncer.sandbox.world import World

FILE_TYPES = {"csv": "text/csv", "json": "application/json"}
_ID = re.compile(r"[A-Za-z0-9_-]{8,}")
_KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Record:
    """An ingestion record. ``fields`` is the form that storage takes for it; ``content`` what storage has."""

    id: int
    key: str
    filetype: str
    fields: dict[str, str]
    created_s: float
    status: str = "uploading"
    status_s: float = 0.0
    content: bytes | None = None
    uploads: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    result_data: dict[str, Any] = field(default_factory=dict)
    end_due_s: float = 0.0
    processed: int = 0
    """How often processing was started: more than once would be a defect of the sandbox."""
    stuck: bool = False


class Ingestion:
    """All records of one sandbox."""

    def __init__(self, config: SandboxConfig, world: World, random: Random) -> None:
        self._config = config
        self._world = world
        self._random = random
        self.records: dict[str, Record] = {}
        self.work_orders = WorkOrders()
        self._open: list[Record] = []

    def create(self, filetype: str, now_s: float) -> Record:
        """Make a record with a form of its own; its fields vary from call to call, as the seed warns."""
        key = "".join(self._random.choice(_KEY_CHARACTERS) for _ in range(12))
        secret = "".join(self._random.choice("0123456789abcdef") for _ in range(64))
        number = len(self.records) + 1
        fields = {
            "Content-Type": FILE_TYPES[filetype],
            "success_action_status": "201",
            "key": f"media/ingestion/{key}/codes.{filetype}",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "SANDBOX/20261120/eu-west-1/s3/aws4_request",
            "x-amz-date": "20261120T050000Z",
            f"x-amz-meta-{number % 7}": f'a "quoted" välue {number}',
            "policy": secret[:40],
            "x-amz-signature": hashlib.sha256(secret.encode()).hexdigest(),
        }
        record = Record(number, key, filetype, fields, now_s, status_s=now_s)
        self.records[key] = record
        return record

    def by_form(self, fields: Mapping[str, str]) -> Record | None:
        """Return the record whose storage key a posted form names."""
        return next((one for one in self.records.values() if one.fields["key"] == fields.get("key")), None)

    def put(self, record: Record, content: bytes) -> None:
        """Take a file into storage; the same key again replaces it."""
        record.content = content
        record.uploads += 1

    def process(self, document: Mapping[str, Any], now_s: float) -> tuple[int, Any]:
        """Start processing the file of a record; only one in state ``uploading`` with a file can be."""
        record = self.records.get(str(document.get("record")))
        if record is None:
            return 400, {"detail": "Invalid record"}
        if record.status != "uploading":
            words = "Only code ingestion records of type S3 in state 'uploading' can be processed."
            return 400, {"detail": words}
        defaults = document.get("default_scm_data", {})
        if not isinstance(defaults, dict):
            return 400, {"default_scm_data": ["Expected a dictionary of items."]}
        wrong = [name for name in ("extended_id", "serial_number", "message", "id", "status") if name in defaults]
        if wrong:
            return 400, {"default_scm_data": dict.fromkeys(wrong, "Invalid key name")}
        if record.content is None:
            return 400, {"detail": "Uploaded file not found."}
        record.parameters = {
            "default_scm_data": defaults,
            "use_serial_number": False,
            "url_prefix": document.get("url_prefix", ""),
            "allow_posted_duplicates": bool(document.get("allow_posted_duplicates", False)),
        }
        record.status, record.status_s = "processing", now_s
        record.end_due_s = now_s + self._config.ingestion_run_s
        record.processed += 1
        self._open.append(record)
        return 200, {"record": record.key, "status": record.status}

    def advance(self, now_s: float) -> None:
        """End every processing that is due by now, in the order of their beginning."""
        for record in list(self._open):
            if not record.stuck and now_s >= record.end_due_s:
                self._open.remove(record)
                self._end(record)

    def _end(self, record: Record) -> None:
        record.status_s = record.end_due_s
        try:
            rows = _rows(record)
        except (ValueError, TypeError, AttributeError, csv.Error) as error:
            record.status, record.result_data = "error", {"errors": [{"file_error": [str(error)]}]}
            return
        errors, taken = self._check(record, rows)
        if errors:
            record.status = "error"
            record.result_data = {"errors": [{name: values} for name, values in errors.items()]}
            return
        defaults = {name: str(value) for name, value in record.parameters["default_scm_data"].items()}
        for row in taken:
            fields = {**defaults, **{name: value for name, value in row.items() if value != "" and name != "id"}}
            self._world.add_code({"extended_id": row["id"], **fields})
        prefix = str(record.parameters["url_prefix"] or "https://st4.ch/q/")
        order = self.work_orders.add(record.key, [row["id"] for row in taken], prefix, record.end_due_s)
        record.status, record.result_data = "complete", {"errors": [], "workorder": order.id, "codes": len(taken)}

    def _check(self, record: Record, rows: list[dict[str, str]]) -> tuple[dict[str, list[str]], list[dict[str, str]]]:
        """Return the errors by name, and the rows that become codes when there are none."""
        errors: dict[str, list[str]] = {}
        taken: dict[str, dict[str, str]] = {}
        known = self._world.select({"extended_id": [row.get("id", "") for row in rows]})
        existing = {self._world.codes[number].fields["extended_id"] for number in known}
        for row in rows:
            code = row.get("id", "")
            product = row.get("product") or str(record.parameters["default_scm_data"].get("product", ""))
            if not _ID.fullmatch(code):
                errors.setdefault("invalid_id_error", []).append(code)
            elif code in existing or (code in taken and not record.parameters["allow_posted_duplicates"]):
                errors.setdefault("duplicate_id_error", []).append(code)
            elif row.get("activation_status", "") not in {"", "0", "1", "2"}:
                errors.setdefault("activation_status_error", []).append(code)
            elif product and self._world.products is not None and product not in self._world.products:
                errors.setdefault("product_error", []).append(code)
            else:
                taken.setdefault(code, row)
        return errors, list(taken.values())

    def list(self, query: Mapping[str, str]) -> list[Record]:
        """Return the records that the filters of the seed let through, newest first."""
        fixed = {"type": "code", "ingestion_mode": "api"}
        return [
            record
            for record in reversed(self.records.values())
            if all(query.get(name, value) == value for name, value in fixed.items())
            and query.get("status", record.status) == record.status
        ]


def _rows(record: Record) -> list[dict[str, str]]:
    """Read a file as rows of text; raise `ValueError` when it is not what its type says."""
    text = (record.content or b"").decode("utf-8")
    if record.filetype == "json":
        listed = json.loads(text)
        if not isinstance(listed, list):
            raise ValueError("a list of objects is expected")
        return [{str(name): "" if value is None else str(value) for name, value in row.items()} for row in listed]
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "id" not in (reader.fieldnames or []):
        raise ValueError("the header has no column id")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has another number of columns than the header")
        rows.append(dict(row))
    return rows


def record_body(record: Record, iso: Any) -> dict[str, Any]:
    """Write a record as the API shows it."""
    return {
        "id": record.id,
        "key": record.key,
        "description": "Code ingestion file upload",
        "status": record.status,
        "type": "code",
        "ingestion_mode": "api",
        "created_at": iso(record.created_s),
        "created_by": 1,
        "status_updated_at": iso(record.status_s),
        "parameters": record.parameters or {"default_scm_data": {}, "use_serial_number": False},
        "result_data": record.result_data,
    }


def record_look(record: Record) -> dict[str, Any]:
    """Write a record as the control door shows it."""
    return {
        "key": record.key,
        "status": record.status,
        "bytes": None if record.content is None else len(record.content),
        "uploads": record.uploads,
        "processed": record.processed,
    }
