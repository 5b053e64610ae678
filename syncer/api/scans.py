"""The scans of a campaign, page by page, and the API's own CSV (docs/api.md, "Scans").

Pages are asked for in cursor mode; `next` is followed as it is, but on this server alone: its scheme, host, port and
path must be those of the call, or the token would go elsewhere. Reads change nothing, so the caller may ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Unpack
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType

from syncer.api import wire
from syncer.api.answers import Answer, Common, Speaker
from syncer.api.classify import Verdict, classify
from syncer.api.links import next_query

SCANS_PATH = "/api/v2/dashboard/scans/"
CSV_PATH = "/api/v2/dashboard/scans/csv"
GONE = frozenset({404, 410})
"""In the API's own words: it has no such campaign, or no longer that cursor. A page for people is about the address."""
Text = str | None
Number = int | None


class User(msgspec.Struct, gc=False):
    """Who scanned, when it was a named user."""

    first_name: Text = None
    last_name: Text = None
    email: Text = None


class Device(msgspec.Struct, gc=False):
    """What was scanned with."""

    model: Text = None
    model_name: Text = None
    os: Text = None
    brand: Text = None


class Scan(msgspec.Struct, gc=False):
    """One scan, member by member as the API documents it. ``scm_data`` is the code's data at that time."""

    uuid: Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
    creation_date: str
    utid: Text = None
    user_id: Number = None
    user: User | None = None
    install_id: Text = None
    consumer_email: Text = None
    app: Text = None
    reason: Text = None
    result: Text = None
    auth_failure_mode: Text = None
    is_blacklisted: bool | None = None
    status: Text = None
    scan_timestamp: Text = None
    mobile_scan_timestamp: Text = None
    device: Device | None = None
    scm_data: dict[str, object] | None = None
    country_name: Text = None
    country_code: Text = None
    province_name: Text = None
    city: Text = None
    lat: float | None = None
    lng: float | None = None
    serial_number: Text = None
    product_id: Number = None
    product_sku: Text = None
    product_name: Text = None
    product_image: Text = None
    code_id: Number = None
    code_message: Text = None
    activation_status: Number = None
    blacklist_reason: Number = None
    computed_status: Text = None
    classification: Number = None
    flags: list[str] | None = None


class _ScansPage(msgspec.Struct):
    """A page; a missing ``next`` is no end: the API says null there."""

    results: list[Scan]
    next: str | UnsetType | None = UNSET
    count: wire.Count | None = None


_DECODER = msgspec.json.Decoder(_ScansPage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScansAnswer(Answer):
    """Of one page; ``following`` is the query of the next page, None at the end."""

    scans: list[Scan] = field(default_factory=list, repr=False)
    following: str | None = None
    count: int | None = None
    """How many scans the API counts in all pages; None when it does not say, as in cursor mode."""


class ScansClient(Speaker):
    """Reads scans over one `Transport`; used by one thread at a time."""

    def page(self, query: str) -> ScansAnswer:
        """Read the page that a query string selects: that of `first_query`, or of an earlier page's ``following``."""
        reply = self._transport.call("GET", f"{SCANS_PATH}?{query}")
        try:
            if classify(reply) is not Verdict.OK:
                return _answered(**self._common(reply))
            page = _page(reply.body)
            base_url = self._transport.base_url
            following = next_query(page.next, base_url, SCANS_PATH) if isinstance(page.next, str) else None
            if following == query:
                raise wire.UnreadableError("'next' leads to the same page again")
        except wire.UnreadableError as error:
            return ScansAnswer(**self._unreadable(reply, error))
        return ScansAnswer(**self._common(reply), scans=page.results, following=following, count=page.count)

    def csv(self, query: str, sink: Callable[[bytes], None]) -> ScansAnswer:
        """Stream the API's own CSV into `sink`; when the answer is not OK, what was written is worth nothing."""
        return _answered(**self._common(self._transport.call("GET", f"{CSV_PATH}?{query}", sink=sink)))


def _answered(**members: Unpack[Common]) -> ScansAnswer:
    """Return an answer without scans; what is gone, in the API's own words, is refused."""
    answer = ScansAnswer(**members)
    return replace(answer, verdict=Verdict.REFUSED) if answer.status_code in GONE and not answer.page else answer


def _page(body: bytes) -> _ScansPage:
    """Read a page; raise `UnreadableError` when it is none."""
    try:
        page = _DECODER.decode(wire.whole_text(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise wire.UnreadableError(f"the answer cannot be read: {error}") from None
    if page.next is UNSET:
        raise wire.UnreadableError("the page does not say whether it is the last: it has no 'next'")
    return page


def first_query(parameters: Mapping[str, str], *, page_rows: int) -> str:
    """Return the query of the first page; ``page_rows`` 0 leaves the size of a page to the API."""
    limit = {"limit": str(page_rows)} if page_rows else {}
    return urlencode({**parameters, "page_mode": "cursor", **limit})


def csv_query(parameters: Mapping[str, str]) -> str:
    """Return the query of the CSV."""
    return urlencode(parameters)
