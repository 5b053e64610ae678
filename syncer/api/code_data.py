"""Code data: the file in which Scantrust says what it holds of codes. Its three calls, one method each.

Source of facts: "Code data download" of docs/api.md. Decided here, in one place, because it is documented nowhere: what
the answers of the two document calls look like (an object with a word for its state; any address in the link's answer).
Nothing is retried here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from syncer.api import wire
from syncer.api.answers import Answer, Speaker
from syncer.api.classify import Verdict, classify
from syncer.api.words import one_line

CODES_PATH = "/api/v2/codes/download/"
DOCUMENTS_PATH = "/api/v2/documents/"
DONE = frozenset({"complete", "completed", "done"})
FAILED = frozenset({"error", "failed", "failure", "cancelled"})
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class _Key(msgspec.Struct, frozen=True):
    key: str


class _Asked(msgspec.Struct, frozen=True):
    document: _Key


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentAnswer(Answer):
    """Of each of the three calls, what it is about: the document's key, the API's word for its state, its address."""

    key: str = ""
    remote_state: str = ""
    url: str = ""


class CodeDataClient(Speaker):
    """The calls over one `Transport`; used by one thread."""

    def ask(self, query: Mapping[str, str]) -> DocumentAnswer:
        """Have a document made of the codes that a query selects."""
        reply = self._transport.call("GET", CODES_PATH, params=query)
        try:
            if classify(reply) is not Verdict.OK:
                return DocumentAnswer(**self._common(reply))
            key = wire.decode(reply.body, _Asked).document.key
            if not key or not set(key) <= KEY_CHARACTERS:
                raise wire.UnreadableError("the document's key cannot stand in a path")
        except wire.UnreadableError as error:
            return DocumentAnswer(**self._unreadable(reply, error))
        return DocumentAnswer(**self._common(reply), key=key)

    def document(self, key: str) -> DocumentAnswer:
        """Ask how far a document is."""
        return self._told(key, "")

    def link(self, key: str) -> DocumentAnswer:
        """Ask where a document lies."""
        return self._told(key, "get-download-link/")

    def _told(self, key: str, what: str) -> DocumentAnswer:
        reply = self._transport.call("GET", f"{DOCUMENTS_PATH}{key}/{what}")
        try:
            if classify(reply) is not Verdict.OK:
                return DocumentAnswer(**self._common(reply))
            found = wire.decode(reply.body, dict[str, object])
        except wire.UnreadableError as error:
            return DocumentAnswer(**self._unreadable(reply, error))
        state = next((str(found[name]) for name in ("status", "state") if isinstance(found.get(name), str)), "")
        url = next((one for one in found.values() if isinstance(one, str) and one.startswith("http")), "")
        return DocumentAnswer(**self._common(reply), key=key, remote_state=one_line(state).lower(), url=url)
