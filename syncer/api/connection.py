"""The connection under a `Transport`: it reports how far a call has come, can be ended at any moment, and is in step.

What always holds: once a call is ended, no byte of its request leaves any more; `Watch.sending_s` is None only when no
byte has left; a connection on which bytes were seen that belong to no answer is marked out of step, so that a stray
answer is never taken for that of the next call. It never sends by itself, and never reconnects.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class BareSession(requests.Session):
    """A session that takes nothing from the environment or from answers: no proxies, no ``.netrc``, no cookies."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find no redirect. requests prepares even one that it does not follow, and reads its whole body for that."""


class Watch:
    """Follows one call at a time down to its socket, and can end it from another thread.

    It holds a duplicate of the socket: shutting that down ends the connection in every phase, the TLS handshake
    included, in which the original changes hands. Name resolution alone cannot be interrupted; a call that was ended
    meanwhile stops right after it, with nothing sent.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._duplicate: socket.socket | None = None
        self._connection: HTTPConnection | None = None
        self._number = 0
        self._aborted: str | None = None
        self.ended: str | None = None
        """Why the last call was ended; None when it was not."""
        self.connected = False
        self.sending_s: float | None = None
        """When the first byte was about to leave; None while none was."""
        self.out_of_step = False

    def begin(self) -> int:
        """Start to follow a new call; return its number for `end`."""
        with self._lock:
            self._number += 1
            self.connected = self.out_of_step = False
            self.sending_s = None
            self.ended = self._aborted
            return self._number

    def end(self, number: int, reason: str) -> None:
        """End call `number`; do nothing when it is over, so that a late watchdog cannot hit the next call."""
        with self._lock:
            if number == self._number and self.ended is None:
                self._shut(reason)

    def abort(self, reason: str) -> None:
        """End the call under way and every later one."""
        with self._lock:
            self._aborted = reason
            self._shut(reason)

    def _shut(self, reason: str) -> None:
        self.ended = reason
        if self._duplicate is not None:
            with suppress(OSError):
                self._duplicate.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: HTTPConnection, opened: socket.socket) -> None:
        """Take note of a new TCP connection; raise urllib3's `ConnectTimeoutError` when the call was ended already."""
        with self._lock:
            if self.ended is not None:
                opened.close()
                raise ConnectTimeoutError(connection, self.ended)
            self._release()
            self.connected = True
            self._connection, self._duplicate = connection, opened.dup()

    def before_sending(self) -> None:
        """Take note that bytes are about to leave; raise `TimeoutError` when the call was ended already."""
        with self._lock:
            if self.ended is not None:
                raise TimeoutError(self.ended)
            if self.sending_s is None:
                self.sending_s = self._now_s()

    def close(self) -> None:
        """Let go of the connection; the duplicate would keep it open for the server."""
        with self._lock:
            self._release()

    def finish(self) -> str | None:
        """Let the call be over, so that nothing ends it any more; return why it was ended before, None if it was not.

        A connection that urllib3 has closed, as after ``Connection: close``, is let go of.
        """
        with self._lock:
            self._number += 1
            if self._connection is None or self._connection.sock is None:
                self._release()
            return self.ended

    def _release(self) -> None:
        if self._duplicate is not None:
            self._duplicate.close()
        self._connection = self._duplicate = None


class _Stream(io.BufferedReader):
    """The bytes of one answer. When the answer was read whole, anything beyond it is reported to the watch."""

    def __init__(self, raw: io.RawIOBase, opened: socket.socket, watch: Watch) -> None:
        super().__init__(raw)
        self._opened = opened
        self._watch = watch

    def close(self) -> None:
        if not self.closed and self._more():
            self._watch.out_of_step = True
        super().close()

    def _more(self) -> bool:
        """Tell whether bytes are there already, in this buffer, in TLS's, or in the kernel's; never wait for any."""
        try:
            timeout_s = self._opened.gettimeout()
            self._opened.settimeout(0.0)
            try:
                return bool(self.peek(1))
            finally:
                self._opened.settimeout(timeout_s)
        except (OSError, ValueError):  # nothing there (TLS says it as an error), or closed
            return False


def pool_classes(watch: Watch) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3 pool classes, by scheme, whose connections report to `watch`."""

    class WatchedResponse(HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **settings: Any) -> None:
            super().__init__(sock, *arguments, **settings)
            self.fp = _Stream(self.fp.detach(), sock, watch)

    class Plain(HTTPConnection):
        response_class = WatchedResponse

        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            watch.opened(self, opened)
            return opened

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            watch.before_sending()
            super().send(data)

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def bare_tls() -> ssl.SSLContext:
    """Return TLS without the environment: urllib3's own context would write its keys to ``$SSLKEYLOGFILE``.

    The authorities are loaded into it by requests, from the file that its session names; else the public ones.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    return context


class WatchedAdapter(HTTPAdapter):
    """requests' adapter over one watched connection, without retries.

    It trusts the authorities of ``also`` (a file) beside those that requests loads.
    """

    def __init__(self, watch: Watch, also: str | None = None) -> None:
        self._watch, self._also = watch, also
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=False)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Make the pools of watched connections; called by requests."""
        context = bare_tls()
        if self._also is not None:
            context.load_verify_locations(self._also)
        super().init_poolmanager(*arguments, **settings, ssl_context=context)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._watch)


CALL_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
"""What a call may raise: requests lets through what urllib3 says of an odd address or answer."""


@contextmanager
def bounded(session: requests.Session, limit_s: float, *, also: str | None = None) -> Iterator[None]:
    """Let everything that a session does meanwhile end after ``limit_s``, however slowly an answer drips.

    Authorities of the file ``also`` are trusted beside those that requests loads.
    """
    watch = Watch(time.monotonic)
    adapter = WatchedAdapter(watch, also)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    number = watch.begin()
    watchdog = threading.Timer(limit_s, watch.end, (number, f"not done within {limit_s:g} s"))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        watch.finish()
        adapter.close()
        watch.close()
