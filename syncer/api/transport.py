"""One connection to the API: makes exactly one HTTP exchange a call, within a deadline, and retries nothing.

What always holds: the token goes to `base_url`'s host alone (redirects are not followed, the environment's proxies and
``.netrc`` are not read, no cookie is kept); certificates are always verified, against the public authorities or
``ca_file`` alone, and no variable of the environment changes that or has the connection's keys written down; a call
ends within ``timeout_s`` whatever the server does (a watchdog shuts the socket down, so a drip of one byte a second
does not defeat it); `Reply.sent` is false only when surely no byte of the request has left; an answer that repeats the
token is masked here, once, before anybody reads it. No exception of the network leaves this module.

Only before the connection stands can a call last longer, and then nothing is sent: the system's resolver cannot be
interrupted, and each address of the host is given `CONNECT_S_MAX`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from syncer.api.connection import BareSession, Watch, WatchedAdapter
from syncer.safe.masking import TokenMask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncer.process.clock import Clock

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Longest answer that is read, after decompression; a longer one is as good as none."""
CONNECT_S_MAX = 10.0
"""For TCP to one address, and for TLS. Beyond it a host does not answer, and its next address is worth the time."""
CALL_S_MIN = 0.01
"""A call that begins after its end ends at once."""
IDLE_S_MAX = 4.0
"""A connection idle for longer is not used again: the server may be closing it, and a POST would be lost in doubt."""
READ_BYTES = 65_536
WHOLE = 0.98
"""Share of the time-out that counts as all of it: two clocks measure it."""
FAILURE_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Exactly one of ``status_code`` and ``failure`` is not None.

    ``sent`` is whether any byte of the request may have left this machine. ``sent_s``, ``answered_s`` and
    ``arrived_by_s`` (see `_arrived_by_s`) are monotonic seconds, ``answered_wall_s`` is seconds since the Unix epoch.
    """

    status_code: int | None
    headers: Mapping[str, str]
    body: bytes
    failure: str | None
    sent: bool
    fresh_connection: bool
    sent_s: float
    answered_s: float
    answered_wall_s: float
    arrived_by_s: float = 0.0
    timed_out: bool = False
    """Whether the time for a whole answer passed before it was there."""


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
        self._mask = TokenMask(token)
        self._timeout_s = timeout_s
        self.end_s: float | None = None
        """When every call shall have ended, on the monotonic clock, however long it may take; None: there is no end."""
        self._clock = clock
        self._watch = Watch(clock.monotonic_s)
        self._last_used_s = 0.0
        self._session = BareSession()
        self._session.verify = ca_file or True
        self._session.headers.update(
            {
                "Authorization": f"UAT {token}",
                "Accept": "application/json",
                "Cache-Control": "no-cache",  # a list of tasks out of a cache would prove absence that is none
                "User-Agent": user_agent,
            }
        )
        adapter = WatchedAdapter(self._watch)
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
        sink: Callable[[bytes], None] | None = None,
    ) -> Reply:
        """Make one exchange with ``base_url + path``; return what came back, whatever it was.

        ``sink`` takes the body of a 200 part by part, of any length, in place of `Reply.body`; only when the reply has
        no ``failure`` was it whole. What `sink` raises, other than a `ValueError` or `OSError`, goes through.
        """
        if self._clock.monotonic_s() - self._last_used_s > IDLE_S_MAX:
            self._drop_connection()
        watch = self._watch
        number = watch.begin()
        sent_s = self._clock.monotonic_s()
        timeout_s = (
            self._timeout_s if self.end_s is None else min(self._timeout_s, max(self.end_s - sent_s, CALL_S_MIN))
        )
        watchdog = threading.Timer(timeout_s, watch.end, (number, f"no whole answer within {timeout_s:.3g} s"))
        watchdog.daemon = True
        watchdog.start()
        status_code: int | None = None
        headers: Mapping[str, str] = {}
        content, failure = b"", None
        try:
            status_code, headers, content = self._exchange(method, path, params, body, sink, timeout_s)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            failure = _words(error)
        finally:
            watchdog.cancel()
        if (ended := watch.finish()) is not None:
            failure = ended  # what was read may be cut short by the end, and look whole
        elif status_code is not None and status_code < 200:
            failure = f"status {status_code} is no final answer"
        if failure is not None and not watch.connected and watch.sending_s is None:
            failure = f"no connection to {urlsplit(self.base_url).netloc}: {failure}"  # the resolver names no host
        if failure is not None or watch.out_of_step:
            self._drop_connection()
        self._last_used_s = self._clock.monotonic_s()
        return Reply(
            status_code=status_code if failure is None else None,
            headers=headers if failure is None else {},
            body=content if failure is None else b"",
            failure=None if failure is None else self.masked(failure)[:FAILURE_CHARACTERS_MAX],
            sent=watch.sending_s is not None,
            fresh_connection=watch.connected,
            sent_s=sent_s,
            answered_s=self._last_used_s,
            answered_wall_s=self._clock.wall_s(),
            arrived_by_s=_arrived_by_s(watch, sent_s, self._last_used_s),
            timed_out=failure is not None and self._last_used_s - sent_s >= timeout_s * WHOLE,
        )

    def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        sink: Callable[[bytes], None] | None,
        timeout_s: float,
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self._session.request(
            method,
            self.base_url + path,
            params=params,
            data=body,
            headers={"Content-Type": "application/json"} if body is not None else None,
            timeout=(min(timeout_s, CONNECT_S_MAX), timeout_s),
            allow_redirects=False,
            stream=True,
        )
        with response:
            if sink is not None and response.status_code == 200:
                stream = self._mask.stream()
                for part in response.iter_content(READ_BYTES):
                    sink(stream.feed(part))
                sink(stream.end())
                return response.status_code, response.headers, b""
            content = self._mask.body(_read(response))
        return response.status_code, response.headers, content

    def masked(self, text: str) -> str:
        """Return `text` without the token in any writing: a server, or a library, may quote what it was sent."""
        return self._mask.text(text)

    def abort(self) -> None:
        """End the call under way at once, and let no later one begin; for another thread."""
        self._watch.abort("the call was aborted")

    def close(self) -> None:
        """Close the connection."""
        self._drop_connection()

    def _drop_connection(self) -> None:
        self._session.close()
        self._watch.close()


def _arrived_by_s(watch: Watch, sent_s: float, answered_s: float) -> float:
    """Return by when the request arrived at the latest, but for the way that every request has (for the limiter).

    On a warm connection it left at once. On a fresh one it left when the handshake was done, and a body of many packets
    needs further round trips there, which the handshake's own time stands for; after its answer it has not arrived.
    """
    if not watch.connected or watch.sending_s is None:
        return sent_s
    handshake_s = watch.sending_s - sent_s
    return min(answered_s, watch.sending_s + handshake_s)


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
    return f"{type(cause).__name__}: {text}"


def _argument(error: BaseException) -> BaseException | None:
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)
