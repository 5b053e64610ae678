"""The emulated storage: a second host (another port) that takes files by form, as S3 does, and gives documents by link.

What always holds: a request with an ``Authorization`` header is refused and noted among the violations, because the
API's token must never come here; a form is taken only whole and unaltered, with its file as the last field, within
the validity of its data.
"""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import urlsplit

from syncer.sandbox.wire import Handler, Result
from syncer.sandbox.workorders import document_csv

_DISPOSITION = re.compile(rb'name="([^"]*)"')
_SCRIPTED = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchBucket", 503: "SlowDown"}
Refusal = tuple[int, str, str]


class StorageHandler(Handler):
    """Answers the storage host; faults strike here under the name ``storage``."""

    def answer(self, body: bytes) -> None:
        """Take a file, or give a document."""
        sandbox = self.server.sandbox
        with sandbox.lock:
            now_s = sandbox.now_s()
            fault = sandbox.faults.strike("storage")
            result: Result = (0, None, {})
            if fault is not None and fault.kind == "status":
                result = (fault.status_code, _xml(_SCRIPTED.get(fault.status_code, "InternalError"), "scripted"), {})
            elif fault is not None and fault.kind == "redirect":
                result = (307, None, {"Location": fault.url})
            elif fault is None or fault.kind not in {"drop_before", "late"}:
                result = (*self._take(body, now_s), {})
            self._log("storage", now_s, result[0], fault)
        if fault is not None and fault.kind == "late":
            threading.Timer(fault.seconds, self._take_late, (body,)).start()
        self._give(result, fault)

    def _take_late(self, body: bytes) -> None:
        with self.server.sandbox.lock:
            self._take(body, self.server.sandbox.now_s())

    def _take(self, body: bytes, now_s: float) -> tuple[int, Any]:
        sandbox = self.server.sandbox
        for name in ("Authorization", "Cookie"):
            if self.headers.get(name) is not None:
                sandbox.world.violations.append(f"{self.command} to storage with the header {name}")
                return 400, _xml("InvalidArgument", f"Unsupported {name} header")
        if self.command == "GET":
            return self._document(now_s)
        refusal = self._post(body, now_s)
        if refusal is not None:
            return refusal[0], _xml(*refusal[1:])
        return 201, "<PostResponse><Bucket>st-media-sandbox</Bucket></PostResponse>"

    def _document(self, now_s: float) -> tuple[int, Any]:
        sandbox = self.server.sandbox
        name = urlsplit(self.path).path.removeprefix("/documents/").removesuffix(".csv")
        orders = sandbox.ingestion.work_orders
        document = orders.documents.get(name)
        if document is None or now_s < document.done_s:
            return 404, _xml("NoSuchKey", "The specified key does not exist.")
        return 200, document_csv(document, orders, sandbox.world, sandbox.iso)

    def _post(self, body: bytes, now_s: float) -> Refusal | None:
        """Take a form; return why it is refused."""
        parts = _parts(self.headers.get("Content-Type") or "", body)
        if parts is None:
            return 400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."
        files = [content for name, content in parts if name == "file"]
        if len(files) != 1:
            return 400, "InvalidArgument", "POST requires exactly one file upload per request."
        if parts[-1][0] != "file":
            return 403, "AccessDenied", "Fields after the file are ignored: the file must be the last field."
        fields = {name: content.decode("utf-8", "replace") for name, content in parts[:-1]}
        record = self.server.sandbox.ingestion.by_form(fields)
        if record is None or len(fields) != len(parts) - 1:
            return 403, "AccessDenied", "Invalid according to Policy: no such key"
        for name, value in record.fields.items():
            if name not in fields:
                return 403, "AccessDenied", f"Bucket POST must contain a field named '{name}'."
            if fields[name] != value:
                return 403, "SignatureDoesNotMatch", f"Invalid according to Policy: the field '{name}' was altered"
        extra = sorted(set(fields) - set(record.fields))
        if extra:
            return 403, "AccessDenied", f"Invalid according to Policy: Extra input fields: {extra[0]}"
        config = self.server.sandbox.config
        if now_s > record.created_s + config.storage_valid_s:
            return 403, "AccessDenied", "Invalid according to Policy: Policy expired."
        if len(files[0]) > config.storage_bytes_max:
            return 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"
        self.server.sandbox.ingestion.put(record, files[0])
        return None


def _parts(content_type: str, body: bytes) -> list[tuple[str, bytes]] | None:
    """Split a form into names and contents, in order; None when it is no form."""
    kind, _, rest = content_type.partition(";")
    boundary = rest.strip().removeprefix("boundary=").strip('"').encode()
    if kind != "multipart/form-data" or not boundary:
        return None
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or pieces[0] or not pieces[-1].startswith(b"--"):  # noqa: PLR2004
        return None
    parts = []
    for piece in pieces[1:-1]:
        head, separator, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = _DISPOSITION.search(head)
        if not separator or name is None:
            return None
        parts.append((name[1].decode("utf-8", "replace").replace("%22", '"'), content))
    return parts


def _xml(code: str, message: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
