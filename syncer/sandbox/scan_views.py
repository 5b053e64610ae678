"""The two answers about scans: a JSON page, by cursor or by offset, and the CSV that the API does not quote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from syncer.sandbox.scans import (
    PAGE_MAX,
    PATH,
    SCM_FIELDS,
    Filters,
    Lines,
    Page,
    RefusedError,
    Scans,
    cursor_place,
    cursor_text,
    filters,
    microseconds,
)

Answer = tuple[int, Any]
CHUNK_LINES = 2000
COLUMNS = (
    "scan.uuid", "scan.datetime", "scan.timestamp", "scan.app", "scan.reason", "scan.result", "scan.computed_status",
    "scan.auth_failure_mode", "scan.flags", "scan.unique_user", "scan.install_id", "scan.utid", "user.email",
    "code.extended_id", "code.serial_number", "code.activation_status", "code.blacklist_reason", "product.id",
    "product.sku", "product.name", "product.brand_name", "device.brand", "device.model", "device.model_name",
    "device.os", "location.positioning", "location.country_code", "location.country_name", "location.province_name",
    "location.city", "location.lat", "location.lng",
)  # fmt: skip
"""The header as far as it is known; the seed's example shows the order of the values, and this many of them."""


def page(scans: Scans, query: Mapping[str, str], *, url: str, now_us: int, page_size: int) -> Answer:
    """``GET /api/v2/dashboard/scans/``. With ``page_mode=cursor`` pages never overlap; without, they shift."""
    try:
        asked = filters(query, now_us)
        limit = max(1, min(int(query.get("limit") or page_size), PAGE_MAX))
        if query.get("page_mode") == "cursor":
            return 200, _cursor_page(scans, asked, query, url, limit)
        return 200, _offset_page(scans, asked, query, url, limit)
    except RefusedError as error:
        return 400, error.body
    except ValueError:
        return 400, {"detail": "Invalid page."}


def _cursor_page(scans: Scans, asked: Filters, query: Mapping[str, str], url: str, limit: int) -> Page:
    after = cursor_place(query["cursor"]) if query.get("cursor") else None
    found = list(islice(scans.newest_first(asked, after), limit + 1))
    following = None
    if len(found) > limit:
        following = f"{url}{PATH}?{urlencode({**query, 'cursor': cursor_text(found[limit - 1][0])})}"
    return Page({"next": following, "previous": None}, [text for _, text in found[:limit]])


def _offset_page(scans: Scans, asked: Filters, query: Mapping[str, str], url: str, limit: int) -> Page:
    offset = max(0, int(query.get("offset") or 0))
    count = scans.how_many(asked)

    def link(to: int) -> str:
        return f"{url}{PATH}?{urlencode({**query, 'limit': limit, 'offset': to})}"

    found = islice(scans.newest_first(asked, None), offset, offset + limit)
    return Page(
        {
            "count": count,
            "next": link(offset + limit) if offset + limit < count else None,
            "previous": link(max(0, offset - limit)) if offset else None,
        },
        [text for _, text in found],
    )


def csv_lines(scans: Scans, query: Mapping[str, str], *, now_us: int) -> Answer:
    """``GET /api/v2/dashboard/scans/csv``: no quotes, whatever the values hold."""
    try:
        asked = filters(query, now_us)
    except RefusedError as error:
        return 400, error.body
    fields = list(SCM_FIELDS)
    for _, _, scan in scans.arrived:
        fields += [name for name in scan["scm_data"] if name not in fields]
    return 200, Lines(_chunks(scans, asked, fields))


def _chunks(scans: Scans, asked: Filters, fields: list[str]) -> Iterator[bytes]:
    yield (",".join([*COLUMNS, *(f"scm.{name}" for name in fields)]) + "\n").encode()
    found = scans.newest_first(asked, None)
    while block := list(islice(found, CHUNK_LINES)):
        yield "".join(_line(json.loads(text), fields) for _, text in block).encode()


def _line(scan: Mapping[str, Any], fields: list[str]) -> str:
    def shown(value: Any) -> str:
        return "" if value is None else f"{value:.7f}" if isinstance(value, float) else str(value)

    device, data = scan["device"], scan["scm_data"]
    return (
        ",".join(
            map(
                shown,
                (
                    scan["uuid"], scan["creation_date"], microseconds(scan["creation_date"]) // 1_000_000, scan["app"],
                    scan["reason"], scan["result"], scan["computed_status"], scan["auth_failure_mode"],
                    "|".join(scan["flags"]), scan["utid"], scan["install_id"], scan["utid"], scan["user"]["email"],
                    scan["code_message"], scan["serial_number"], scan["activation_status"],
                    scan["blacklist_reason"], scan["product_id"], scan["product_sku"], scan["product_name"],
                    None, None, device["model"], device["model_name"], device["os"], "ip_address",
                    scan["country_code"], scan["country_name"], scan["province_name"], scan["city"], scan["lat"],
                    scan["lng"], *(data.get(name) for name in fields),
                ),
            )
        )
        + "\n"
    )  # fmt: skip
