"""Calls to the user's own addresses: a webhook that is told how a run ended, and a ping that tells that it happened.

What always holds: the API's token is nowhere near; no redirect is followed; nothing of the environment (proxies,
`.netrc`) is used; certificates are verified, against the public authorities and that of ``api.ca_file``, for a network
that has one answers for every address; a call that fails, or drips, is a warning and never the run's failure.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from syncer.api.connection import CALL_ERRORS, BareSession, bounded

log = logging.getLogger(__name__)


class Hooks:
    """Makes the calls. ``timeout_s`` bounds each as a whole; ``ca_file``: trusted, too."""

    def __init__(self, timeout_s: float, user_agent: str, *, ca_file: str | None = None) -> None:
        self._timeout_s, self._user_agent, self._ca_file = timeout_s, user_agent, ca_file

    def ping(self, url: str) -> bool:
        """Ask an address; return whether it answered well."""
        return self._call("GET", url, None)

    def tell(self, url: str, document: Mapping[str, Any]) -> bool:
        """Post a JSON document to an address; return whether it answered well."""
        return self._call("POST", url, document)

    def pass_on(self, service: str, document: Mapping[str, Any]) -> bool:
        """Tell a service that apprise knows (mail, chat, telephone) by its address; return whether it took it."""
        from apprise import Apprise

        with _own_environment():
            passing = Apprise()
            if passing.add(service):
                body = f"{document['text']}\nnext: {document['next']}" + _numbers(document)
                if passing.notify(body=body, title="syncer"):
                    return True
        log.warning("a service of notify.apprise_urls did not take the message")
        return False

    def _call(self, method: str, url: str, document: Mapping[str, Any] | None) -> bool:
        try:
            with BareSession() as session, bounded(session, self._timeout_s, also=self._ca_file):
                session.headers["User-Agent"] = self._user_agent
                with session.request(
                    method, url, json=document, timeout=self._timeout_s, allow_redirects=False, stream=True
                ) as answer:
                    if answer.ok and not answer.is_redirect:
                        return True
                    log.warning("the address of [notify] answered %d", answer.status_code)
        except CALL_ERRORS as error:
            # Its words hold the address, which may be a secret by itself.
            log.warning("the address of [notify] cannot be reached: %s", type(error).__name__)
        return False


@contextmanager
def _own_environment() -> Iterator[None]:
    """Let a library that uses requests find no proxy and no ``.netrc`` meanwhile."""
    before = {**os.environ}
    for name in before:
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["NETRC"] = os.devnull
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _numbers(document: Mapping[str, Any]) -> str:
    """Return the counts and the seal of a message as further lines."""
    rows = ", ".join(f"{count:,} {name}" for name, count in document.get("rows", {}).items() if count)
    lines = [f"run {document['run']} of job {document['job']}: {rows}"] if "run" in document else []
    lines += [f"seal: {document['seal']}"] if document.get("seal") else []
    return "".join(f"\n{line}" for line in lines)
