"""Calls to the user's own addresses: a webhook that is told how a run ended, and a ping that tells that it happened.

What always holds: the API's token is nowhere near; no redirect is followed; nothing of the environment (proxies,
`.netrc`) is used; certificates are verified, against the public authorities and that of ``api.ca_file``, for a network
that has one answers for every address; a call that fails is a warning and never the run's failure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from syncer.api.connection import bare_tls

log = logging.getLogger(__name__)


class _TrustingToo(HTTPAdapter):
    """requests' adapter, which trusts the authorities of a file beside the public ones that requests loads."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Make the pools; called by requests."""
        context = bare_tls()
        context.load_verify_locations(self._ca_file)
        super().init_poolmanager(*arguments, **settings, ssl_context=context)


class Hooks:
    """Makes the calls. ``timeout_s`` bounds connecting and each wait for bytes; ``ca_file``: trusted, too."""

    def __init__(self, timeout_s: float, user_agent: str, *, ca_file: str | None = None) -> None:
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        if ca_file is not None:
            self._session.mount("https://", _TrustingToo(ca_file))
        self._session.headers["User-Agent"] = user_agent

    def ping(self, url: str) -> bool:
        """Ask an address; return whether it answered well."""
        return self._call("GET", url, None)

    def tell(self, url: str, document: Mapping[str, Any]) -> bool:
        """Post a JSON document to an address; return whether it answered well."""
        return self._call("POST", url, document)

    def pass_on(self, service: str, document: Mapping[str, Any]) -> bool:
        """Tell a service that apprise knows (mail, chat, telephone) by its address; return whether it took it."""
        from apprise import Apprise

        passing = Apprise()
        if passing.add(service):
            body = f"{document['text']}\nnext: {document['next']}" + _numbers(document)
            if passing.notify(body=body, title="syncer"):
                return True
        log.warning("a service of notify.apprise_urls did not take the message")
        return False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _call(self, method: str, url: str, document: Mapping[str, Any] | None) -> bool:
        try:
            with self._session.request(
                method, url, json=document, timeout=self._timeout_s, allow_redirects=False, stream=True
            ) as answer:
                if answer.ok and not answer.is_redirect:
                    return True
                log.warning("the address of [notify] answered %d", answer.status_code)
        except requests.RequestException as error:
            # Its words hold the address, which may be a secret by itself.
            log.warning("the address of [notify] cannot be reached: %s", type(error).__name__)
        return False


def _numbers(document: Mapping[str, Any]) -> str:
    """Return the counts and the seal of a message as further lines."""
    rows = ", ".join(f"{count:,} {name}" for name, count in document.get("rows", {}).items() if count)
    lines = [f"run {document['run']} of job {document['job']}: {rows}"] if "run" in document else []
    lines += [f"seal: {document['seal']}"] if document.get("seal") else []
    return "".join(f"\n{line}" for line in lines)
