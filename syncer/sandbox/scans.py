"""The scans of the emulated company, and every filter that selects some (docs/api.md, "Scans").

Two sources in one list, newest first: scans that are *made up*, each a pure function of the seed and its number, so
that a million of them need no memory; and scans that *arrived* through the control door, of any time (late ones too).
Nothing here knows HTTP or the clock: the caller passes `now_us`.

[D] Which order the API has, that `date_from` and `date_to` include their bounds and mean `creation_date`, and that
several flags mean "any of them", is not documented.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

PATH = "/api/v2/dashboard/scans/"
CSV_PATH = "/api/v2/dashboard/scans/csv"
PAGE_MAX = 1000
SCM_FIELDS = ("case_no", "intended_market", "production_date", "remark")
_DAY_US = 86_400_000_000
_FRAME = re.compile(r"-?(\d{1,4})([dwmy])")
_FRAME_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_OWN_PARAMETERS = frozenset(
    {
        "campaign_id", "timeframe", "date_from", "date_to", "flags", "activation_status", "product", "page_mode",
        "cursor", "limit", "offset", "page",
    }
)  # fmt: skip
_PLACES = (
    ("KR", "South Korea", "Seoul", "Seoul", 37.5985, 126.9783),
    ("HK", "Hong Kong", "Central", "Central", 22.2795, 114.146),
    ("DE", "Germany", "Berlin", "Berlin", 52.52, 13.405),
    ("US", "United States", "New York", "New York", 40.7128, -74.006),
)  # fmt: skip
_MARKETS = ("cn", "de", "us", "kr")
_FLAGS: tuple[tuple[str, ...], ...] = (
    (),
    (),
    (),
    (),
    (),
    ("out-of-market",),
    ("counterfeit", "out-of-market"),
    ("blacklisted",),
)
PRODUCTS = (
    (332, "TEA-GREEN", "Green tea"),
    (333, "TEA-BLACK", "Black tea, loose"),
    (1919, "SS001", "SantiagoShoes2017"),
)

Key = tuple[int, str]
"""A scan's place in the list: microseconds since the Unix epoch, then its uuid."""


class RefusedError(Exception):
    """A request that cannot be answered; carries the body of the 400."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


class Page(dict[str, Any]):
    """A page whose ``results`` are JSON already: what is most of the work is done once."""

    def __init__(self, members: Mapping[str, Any], results: list[str]) -> None:
        super().__init__(members)
        self.results = results

    def encoded(self) -> bytes:
        """Return the page as JSON."""
        head = json.dumps(self)[:-1]
        return f'{head}{", " if self else ""}"results": [{",".join(self.results)}]}}'.encode()


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer that is written as it is made: a CSV of any length."""

    chunks: Iterator[bytes]
    kind: str = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a request asks for. Times are microseconds since the Unix epoch, None for no bound."""

    campaign: int
    begin_us: int | None = None
    end_us: int | None = None
    flags: frozenset[str] = frozenset()
    activation_status: int | None = None
    product: int | None = None
    scm: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_time(self) -> bool:
        """Whether every scan of the time passes."""
        return not (self.flags or self.scm) and self.activation_status is None and self.product is None

    def passes(self, scan: Mapping[str, Any]) -> bool:
        """Tell whether a scan's attributes pass; its time is looked at elsewhere."""
        return (
            (not self.flags or bool(self.flags.intersection(scan["flags"])))
            and (self.activation_status is None or scan["activation_status"] == self.activation_status)
            and (self.product is None or scan["product_id"] == self.product)
            and all(scan["scm_data"].get(name) == value for name, value in self.scm.items())
        )


def microseconds(text: str) -> int:
    """Read an ISO time (without a zone: UTC); raise `ValueError` when it is none."""
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def iso(at_us: int) -> str:
    """Write a time as the API does."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def filters(query: Mapping[str, str], now_us: int) -> Filters:
    """Read the filters of a request; raise `RefusedError` naming what is wrong, per parameter."""
    errors: dict[str, Any] = {}

    def take(name: str, read: Callable[[str], Any], words: str) -> Any:
        if not query.get(name):
            return None
        try:
            return read(query[name])
        except ValueError:
            errors[name] = [words]
            return None

    def frame(text: str) -> int:
        found = _FRAME.fullmatch(text)
        if found is None:
            raise ValueError(text)
        return now_us - int(found[1]) * _FRAME_DAYS[found[2]] * _DAY_US

    campaign = take("campaign_id", int, "A valid integer is required.")
    if not query.get("campaign_id"):
        errors["campaign_id"] = ["This field is required."]
    begin_us = take("date_from", microseconds, "Datetime has wrong format.")
    end_us = take("date_to", microseconds, "Datetime has wrong format.")
    framed_us = take("timeframe", frame, "Enter a valid timeframe.")
    status = take("activation_status", int, "A valid integer is required.")
    product = take("product", int, "A valid integer is required.")
    if errors:
        raise RefusedError(errors)
    return Filters(
        campaign=campaign,
        begin_us=begin_us if begin_us is not None else framed_us,
        end_us=end_us,
        flags=frozenset(flag for flag in query.get("flags", "").split(",") if flag),
        activation_status=status,
        product=product,
        scm={name: value for name, value in query.items() if name not in _OWN_PARAMETERS},
    )


class Scans:
    """All scans of the emulated company. ``count`` made-up ones lie evenly between ``begin_us`` and ``end_us``."""

    def __init__(self, count: int, *, campaign: int, begin_us: int, end_us: int, seed: int) -> None:
        self.count = count
        self.campaign = campaign
        self._begin_us = begin_us
        self._step_us = max(2, (end_us - begin_us) // max(count, 1))
        self._salt = seed.to_bytes(8, "little", signed=True)
        self.arrived: list[tuple[int, str, dict[str, Any]]] = []

    def arrive(self, scan: Mapping[str, Any], *, now_us: int) -> str:
        """Add a scan; members that are not given are made up, ``creation_date`` is now. Return its uuid."""
        number = self.count + len(self.arrived)
        made = json.loads(self._made(number, now_us))
        made.update({**_PLAIN, "scm_data": {}, **scan})
        made["scan_timestamp"] = scan.get("scan_timestamp", made["creation_date"])
        made.setdefault("campaign", self.campaign)
        place = (microseconds(made["creation_date"]), str(made["uuid"]))
        insort(self.arrived, (*place, made), key=lambda known: known[:2])
        return place[1]

    def newest_first(self, asked: Filters, after: Key | None) -> Iterator[tuple[Key, str]]:
        """Stream the scans that pass, newest first, as JSON; ``after``: only those that follow this place."""
        made, came = self._made_first(asked, after), self._arrived_first(asked, after)
        one, other = next(made, None), next(came, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one[0] > other[0]):
                assert one is not None  # noqa: S101  one of the two is there
                yield one
                one = next(made, None)
            else:
                yield other
                other = next(came, None)

    def how_many(self, asked: Filters) -> int:
        """Count the scans that pass."""
        if asked.only_time and asked.campaign == self.campaign:
            first, last = self._numbers(asked, None)
            return max(0, last - first) + sum(1 for _ in self._arrived_first(asked, None))
        return sum(1 for _ in self.newest_first(asked, None))

    def _numbers(self, asked: Filters, after: Key | None) -> tuple[int, int]:
        """Return the made-up scans within the bounds: from the first number to before the last."""
        begin_us, step_us = self._begin_us, self._step_us
        first = 0 if asked.begin_us is None else max(0, -((begin_us - asked.begin_us) // step_us))
        last = self.count if asked.end_us is None else min(self.count, (asked.end_us - begin_us) // step_us + 1)
        if after is not None:
            last = min(last, (after[0] - begin_us) // step_us + 1)
            # Of one moment, the greater uuid comes first.
            while last > first and (begin_us + (last - 1) * step_us, self._uuid(last - 1)) >= after:
                last -= 1
        return first, last

    def _made_first(self, asked: Filters, after: Key | None) -> Iterator[tuple[Key, str]]:
        if asked.campaign != self.campaign:
            return
        first, last = self._numbers(asked, after)
        for number in range(last - 1, first - 1, -1):
            at_us = self._begin_us + number * self._step_us
            text = self._made(number, at_us)
            if asked.only_time or asked.passes(json.loads(text)):
                yield (at_us, self._uuid(number)), text

    def _arrived_first(self, asked: Filters, after: Key | None) -> Iterator[tuple[Key, str]]:
        known = self.arrived[:]
        place = len(known) if after is None else bisect_left(known, after, key=lambda one: one[:2])
        for at_us, uuid, scan in reversed(known[:place]):
            if asked.begin_us is not None and at_us < asked.begin_us:
                return
            if scan["campaign"] != asked.campaign or (asked.end_us is not None and at_us > asked.end_us):
                continue
            if asked.passes(scan):
                shown = {name: value for name, value in scan.items() if name != "campaign"}
                yield (at_us, uuid), json.dumps(shown, ensure_ascii=False)

    def _uuid(self, number: int) -> str:
        return _uuid_text(self._digest(number).hex())

    def _digest(self, number: int) -> bytes:
        return blake2b(number.to_bytes(8, "little"), digest_size=24, key=self._salt).digest()

    def _made(self, number: int, at_us: int) -> str:
        """Write a made-up scan as JSON; one in 50 has a comma, one in 500 a line break or a quote in a value."""
        digest = self._digest(number)
        text = digest.hex()
        place = _PLACES[digest[16] & 3]
        product = PRODUCTS[digest[17] % 3]
        remark = _REMARKS.get(number % 500) or ("first, then second" if number % 50 == 7 else f"r{number % 977}")  # noqa: PLR2004
        flags = _FLAGS[digest[18] & 7]
        status = 2 if "blacklisted" in flags else digest[19] & 1
        return _TEMPLATE % (
            _uuid_text(text), _uuid_text(text[8:] + text[:8]), at := iso(at_us), at, number // 24,
            _MARKETS[digest[20] & 3], 1 + number % 28, json.dumps(remark), place[1], place[0], place[2], place[3],
            place[4], place[5], number, product[0], product[1], product[2], 7_000_000 + number, number, status,
            4 if status == 2 else 0, ", ".join(f'"{flag}"' for flag in flags),  # noqa: PLR2004
        )  # fmt: skip


_PLAIN: Mapping[str, Any] = {
    "flags": [], "activation_status": 1, "blacklist_reason": 0, "product_id": 1, "product_sku": "SAMPLE",
    "product_name": "Sample",
}  # fmt: skip
"""What a scan that arrives is, unless it is told otherwise."""
_REMARKS = {123: 'said "no"', 321: "two\nlines", 422: "日本, 東京"}
_TEMPLATE = (
    '{"uuid": "%s", "utid": "%s", "user_id": null, "user": {"first_name": null, "last_name": null, "email": null}, '
    '"install_id": null, "consumer_email": "", "app": "other", "reason": "query", "result": "ok", '
    '"auth_failure_mode": "", "is_blacklisted": false, "status": "third-party", "creation_date": "%s", '
    '"scan_timestamp": "%s", "mobile_scan_timestamp": null, "device": {"model": "IPHONE", "model_name": "iPhone", '
    '"os": "ios", "brand": "Apple"}, "scm_data": {"case_no": "C%d", "intended_market": "%s", '
    '"production_date": "2021-01-%02d", "remark": %s}, "country_name": "%s", "country_code": "%s", '
    '"province_name": "%s", "city": "%s", "lat": %s, "lng": %s, "serial_number": "SN%08d", "product_id": %d, '
    '"product_sku": "%s", "product_name": "%s", "product_image": "c/446/product/blob.png", "code_id": %d, '
    '"code_message": "XID%012d", "activation_status": %d, "blacklist_reason": %d, "computed_status": "verified", '
    '"classification": 1, "flags": [%s]}'
)


def _uuid_text(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def cursor_text(place: Key) -> str:
    """Write a place in the list so that nobody is tempted to read it."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def cursor_place(text: str) -> Key:
    """Read `cursor_text`; raise `RefusedError` for anything else."""
    try:
        at_us, uuid = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(at_us), str(uuid)
    except (ValueError, TypeError, binascii.Error):
        raise RefusedError({"detail": "Invalid cursor"}) from None
