"""One connection to the API: makes exactly one HTTP exchange a call, within a deadline, and retries nothing.

What always holds: the token goes to `base_url`'s host alone (redirects are not followed, the environment's proxies and
``.netrc`` are not read); certificates are always verified; a call ends within ``timeout_s`` whatever the server does
(a watchdog shuts the socket down, so a drip of one byte a second does not defeat it); `Reply.sent` is false only when
surely no byte of the request has left. No exception of the network leaves this module.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.clock import Clock

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Longest answer that is read, after decompression; a longer one is as good as none."""
IDLE_S_MAX = 4.0
"""A connection idle for longer is not used again: the server may be closing it, and a POST would be lost in doubt."""
READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Exactly one of ``status_code`` and ``failure`` is not None.

    ``sent`` is whether any byte of the request may have left this machine. Times are monotonic seconds.
    """

    status_code: int | None
    headers: Mapping[str, str]
    body: bytes
    failure: str | None
    sent: bool
    fresh_connection: bool
    sent_s: float
    answered_s: float


class _Watch:
    """Follows one call down to its socket, and can end it from another thread.

    It holds a duplicate of the socket's descriptor: shutting that down ends the connection in every phase, the TLS
    handshake included, in which the original descriptor changes hands.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.connected = False
        self.sending = False
        self.ended = False

    def begin(self) -> None:
        with self._lock:
            self.connected = self.sending = self.ended = False

    def opened(self, opened: socket.socket) -> None:
        with self._lock:
            self.connected = True
            if self._socket is not None:
                self._socket.close()
            self._socket = socket.socket(fileno=os.dup(opened.fileno()))

    def end(self) -> None:
        with self._lock:
            self.ended = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


def _watched(watch: _Watch) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3 pool classes whose connections report to `watch`."""

    class Reporting(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            watch.opened(opened)
            return opened

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            watch.sending = True
            super().send(data)

    class Plain(Reporting):
        pass

    class Secure(Reporting, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    """requests' adapter over watched connections; one connection, no retries."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=False)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        super().init_poolmanager(*arguments, **settings)
        self.poolmanager.pool_classes_by_scheme = _watched(self._watch)


class Transport:
    """A lane's connection. Used by one thread; only `abort` may be called from another."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float,
        user_agent: str,
        clock: Clock,
        ca_file: str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._clock = clock
        self._watch = _Watch()
        self._last_used_s = 0.0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca_file or True
        self._session.headers.update(
            {"Authorization": f"UAT {token}", "Accept": "application/json", "User-Agent": user_agent}
        )
        adapter = _Adapter(self._watch)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Make one exchange with ``base_url + path``; return what came back, whatever it was."""
        if self._clock.monotonic_s() - self._last_used_s > IDLE_S_MAX:
            self._drop_connection()
        self._watch.begin()
        watchdog = threading.Timer(self._timeout_s, self._watch.end)
        watchdog.daemon = True
        sent_s = self._clock.monotonic_s()
        watchdog.start()
        status_code: int | None = None
        headers: Mapping[str, str] = {}
        content, failure = b"", None
        try:
            response = self._session.request(
                method,
                self.base_url + path,
                params=params,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _read(response)
            status_code, headers = response.status_code, response.headers
        except (requests.RequestException, OSError, ValueError) as error:
            failure = _words(error)
        finally:
            watchdog.cancel()
        if self._watch.ended:
            status_code, content, failure = None, b"", f"no whole answer within {self._timeout_s:g} s"
        if failure is not None:
            self._drop_connection()
        self._last_used_s = self._clock.monotonic_s()
        return Reply(
            status_code=status_code if failure is None else None,
            headers=headers,
            body=content,
            failure=failure,
            sent=self._watch.sending,
            fresh_connection=self._watch.connected,
            sent_s=sent_s,
            answered_s=self._last_used_s,
        )

    def masked(self, text: str) -> str:
        """Return `text` without the token: a server, or a library, may quote what it was sent."""
        return text.replace(self._token, "[token]")

    def abort(self) -> None:
        """End the call under way at once; for another thread."""
        self._watch.end()

    def close(self) -> None:
        """Close the connection."""
        self._drop_connection()

    def _drop_connection(self) -> None:
        self._session.close()
        self._watch.close()


def _read(response: requests.Response) -> bytes:
    """Read a body whole, in bounded memory; raise `ValueError` when it is too long."""
    parts, size = [], 0
    for part in response.iter_content(READ_BYTES):
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise ValueError(f"the answer is longer than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _words(error: BaseException) -> str:
    """Say what failed, by the innermost cause; never with a header or a body in it."""
    cause: BaseException = error
    for _ in range(8):
        inner = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__ or _argument(cause)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    text = str(cause) or type(cause).__name__
    return f"{type(cause).__name__}: {text}"[:300]


def _argument(error: BaseException) -> BaseException | None:
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)
