"""The upload of a file to storage: another host, to which the token never goes.

What always holds: the request carries nothing of the API's session (no token, no cookie, no proxy or ``.netrc`` of the
environment); it goes to an https address, or a loopback one, whose certificate is verified; redirects are not followed;
all given fields are posted in the given order, the file is the last one and is read from disk piece by piece; the
upload ends with the validity of its data. To repeat it is harmless: the form names one place, and the same file goes
there again. Nothing is retried here, and no exception of the network leaves.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from syncer.api.connection import CALL_ERRORS, BareSession, bounded
from syncer.api.words import one_line
from syncer.safe.files import read_own
from syncer.safe.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

CONNECT_S_MAX = 10.0
OK = 200
WORDS_BYTES_MAX = 4096
"""Of what storage says: enough for the code and the message of its XML."""
PIECE_BYTES = 1 << 20
_MESSAGE = re.compile(r"<(Code|Message)>([^<]{1,300})</")
_TRY_AGAIN = frozenset({408, 425, 429})
_TRY_AGAIN_CODES = ("RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable")


class StorageVerdict(StrEnum):
    """What an answer of storage, or its absence, means for the next step."""

    STORED = "stored"
    TRY_AGAIN = "try_again"
    """It may or may not be stored: the same form may be posted again."""
    REFUSED = "refused"
    """This form is not taken: expired, altered, too large. A new record has a new one."""


@dataclass(frozen=True, slots=True)
class StorageAnswer:
    """What came of an upload; ``message`` says why it is not stored."""

    verdict: StorageVerdict
    status_code: int | None
    message: str


class Form:
    """A multipart form that is read like a file, so that its size is known and its memory is a piece."""

    def __init__(
        self, fields: Mapping[str, str], file: IO[bytes], size: int, content_type: str, on_bytes: Callable[[int], None]
    ) -> None:
        boundary = secrets.token_hex(24)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'.encode()
            + value.encode()
            + b"\r\n"
            for name, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="codes"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        ).encode()
        self._before, self._after = head, f"\r\n--{boundary}--\r\n".encode()
        self._file, self._left = file, size
        self._size = len(self._before) + size + len(self._after)
        self._on_bytes = on_bytes

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Form:
        return self

    def __next__(self) -> bytes:
        piece = self.read(PIECE_BYTES)
        if not piece:
            raise StopIteration
        return piece

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the form; raise `OSError` when the file has become shorter than it was."""
        size = PIECE_BYTES if size is None or size < 0 else size
        if self._before:
            piece, self._before = self._before[:size], self._before[size:]
        elif self._left:
            piece = self._file.read(min(size, self._left))
            if not piece:
                raise OSError("the file has become shorter while it was uploaded")
            self._left -= len(piece)
            self._on_bytes(len(piece))
        else:
            piece, self._after = self._after[:size], self._after[size:]
        return piece


class StorageHost:
    """Posts files to wherever a form says. One upload at a time."""

    def __init__(self, *, timeout_s: float, user_agent: str, ca_file: str | None = None) -> None:
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._ca_file = ca_file

    def post(
        self,
        url: str,
        fields: Mapping[str, str],
        path: Path,
        *,
        content_type: str,
        valid_s: float,
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> StorageAnswer:
        """Upload a file within `valid_s`; raise nothing but what `on_bytes` raises, and `OSError` of the file."""
        fault = address_fault(url)
        if fault is not None:
            return StorageAnswer(StorageVerdict.REFUSED, None, fault)
        with read_own(path) as file:
            form = Form(fields, file, os.fstat(file.fileno()).st_size, content_type, on_bytes)
            return self._exchange(url, form, valid_s)

    def start_of(self, url: str, *, size: int, valid_s: float) -> bytes:
        """Return the first bytes of a file that lies there; empty when it cannot be had. Raises nothing."""
        if address_fault(url) is not None:
            return b""
        with self._session(valid_s) as session:
            try:
                with session.get(
                    url, timeout=(CONNECT_S_MAX, self._timeout_s), allow_redirects=False, stream=True
                ) as response:
                    return next(response.iter_content(size), b"") if response.status_code == OK else b""
            except CALL_ERRORS:
                return b""

    @contextmanager
    def _session(self, valid_s: float) -> Iterator[requests.Session]:
        """Give a session that has nothing of the API's, and ends after `valid_s`."""
        with BareSession() as session, bounded(session, valid_s):
            session.headers.clear()
            session.headers.update({"User-Agent": self._user_agent, "Accept": "*/*"})
            session.verify = self._ca_file or True
            yield session

    def _exchange(self, url: str, form: Form, valid_s: float) -> StorageAnswer:
        with self._session(valid_s) as session:
            session.headers.update({"Content-Type": form.content_type})
            try:
                response = session.post(
                    url,
                    data=form,
                    timeout=(min(self._timeout_s, CONNECT_S_MAX), self._timeout_s),
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    words = next(response.iter_content(WORDS_BYTES_MAX), b"").decode("utf-8", "replace")
                return classify_storage(response.status_code, words)
            except CALL_ERRORS as error:
                return StorageAnswer(StorageVerdict.TRY_AGAIN, None, one_line(f"{type(error).__name__}: {error}"))


def classify_storage(status_code: int, words: str) -> StorageAnswer:
    """Say what an answer of storage means. It is another service than the API: 403 is about the form, not the token."""
    said = dict(_MESSAGE.findall(words))
    message = one_line(f"status {status_code}: {said.get('Code', '')} {said.get('Message', '')}".rstrip(": "))
    if 200 <= status_code < 300:
        # A proxy's or a portal's page may be a 200 too; S3 answers 201 and 204 to a form, or 200 without a page.
        page = "<html" in words[:500].lower()
        verdict = StorageVerdict.TRY_AGAIN if page else StorageVerdict.STORED
        return StorageAnswer(verdict, status_code, message if page else "")
    again = status_code in _TRY_AGAIN or status_code >= 500 or said.get("Code") in _TRY_AGAIN_CODES
    return StorageAnswer(StorageVerdict.TRY_AGAIN if again else StorageVerdict.REFUSED, status_code, message)


def address_fault(url: str) -> str | None:
    """Say why a file is not sent to an address; None when it may be: https, or plain http to this machine itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "the API gave an address for storage that is none"
    if not host or parts.username is not None or parts.password is not None:
        return "the API gave an address for storage without a host, or with a password in it"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return None
    return f"the API gave an address for storage that is not https: {parts.scheme}://{host}"


def _quoted(name: str) -> str:
    """Write a field's name as browsers do; a line break in it would forge another field."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
