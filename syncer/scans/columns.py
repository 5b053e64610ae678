"""From scans as the API sends them to columns under the documented dotted names (docs/api.md, "Scans"). Pure.

The columns of the API's own CSV come first, in its order; then what only the JSON has; then ``scm.<field>``, each field
where it was first seen, so that the columns of later parts only ever grow at the end. ``product.brand_name`` and
``location.positioning`` stand in the CSV only, and are empty here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from syncer.api.scans import Device, Scan, User
from syncer.scans.seen import Ids, ids_of

FLAG_SEPARATOR = "|"
TEXT, INTEGER, FLOAT, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_NOBODY, _NOTHING = User(), Device()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_IN_JSON: Callable[[Scan], None] = lambda scan: None  # noqa: E731  a column like the others

_COLUMNS: tuple[tuple[str, Any, Callable[[Scan], Any]], ...] = (
    ("scan.uuid", TEXT, attrgetter("uuid")),
    ("scan.datetime", TEXT, attrgetter("creation_date")),
    ("scan.timestamp", INTEGER, _NOT_IN_JSON),
    ("scan.app", TEXT, attrgetter("app")),
    ("scan.reason", TEXT, attrgetter("reason")),
    ("scan.result", TEXT, attrgetter("result")),
    ("scan.computed_status", TEXT, attrgetter("computed_status")),
    ("scan.auth_failure_mode", TEXT, attrgetter("auth_failure_mode")),
    ("scan.flags", TEXT, lambda scan: FLAG_SEPARATOR.join(scan.flags or ())),
    ("scan.unique_user", TEXT, lambda scan: scan.install_id or scan.utid),
    ("scan.install_id", TEXT, attrgetter("install_id")),
    ("scan.utid", TEXT, attrgetter("utid")),
    ("user.email", TEXT, lambda scan: (scan.user or _NOBODY).email),
    ("code.extended_id", TEXT, attrgetter("code_message")),
    ("code.serial_number", TEXT, attrgetter("serial_number")),
    ("code.activation_status", INTEGER, attrgetter("activation_status")),
    ("code.blacklist_reason", INTEGER, attrgetter("blacklist_reason")),
    ("product.id", INTEGER, attrgetter("product_id")),
    ("product.sku", TEXT, attrgetter("product_sku")),
    ("product.name", TEXT, attrgetter("product_name")),
    ("product.brand_name", TEXT, _NOT_IN_JSON),
    ("device.brand", TEXT, lambda scan: (scan.device or _NOTHING).brand),
    ("device.model", TEXT, lambda scan: (scan.device or _NOTHING).model),
    ("device.model_name", TEXT, lambda scan: (scan.device or _NOTHING).model_name),
    ("device.os", TEXT, lambda scan: (scan.device or _NOTHING).os),
    ("location.positioning", TEXT, _NOT_IN_JSON),
    ("location.country_code", TEXT, attrgetter("country_code")),
    ("location.country_name", TEXT, attrgetter("country_name")),
    ("location.province_name", TEXT, attrgetter("province_name")),
    ("location.city", TEXT, attrgetter("city")),
    ("location.lat", FLOAT, attrgetter("lat")),
    ("location.lng", FLOAT, attrgetter("lng")),
    ("scan.status", TEXT, attrgetter("status")),
    ("scan.scan_timestamp", TEXT, attrgetter("scan_timestamp")),
    ("scan.mobile_scan_timestamp", TEXT, attrgetter("mobile_scan_timestamp")),
    ("scan.is_blacklisted", FLAG, attrgetter("is_blacklisted")),
    ("scan.classification", INTEGER, attrgetter("classification")),
    ("user.id", INTEGER, attrgetter("user_id")),
    ("user.first_name", TEXT, lambda scan: (scan.user or _NOBODY).first_name),
    ("user.last_name", TEXT, lambda scan: (scan.user or _NOBODY).last_name),
    ("user.consumer_email", TEXT, attrgetter("consumer_email")),
    ("code.id", INTEGER, attrgetter("code_id")),
    ("product.image", TEXT, attrgetter("product_image")),
)
FIXED = tuple(name for name, _, _ in _COLUMNS)
"""The names of all columns but the SCM fields."""
DOCUMENTED = FIXED[: FIXED.index("location.lng") + 1]
"""Those that the API's own CSV has."""
SCM_PREFIX = "scm."


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """Scans as columns; ``ids`` and ``times_us`` (microseconds since the epoch) stand beside ``table``, row by row."""

    table: pa.Table
    ids: Ids
    times_us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, chosen: npt.NDArray[np.bool_]) -> ScanBlock:
        """Return the chosen rows."""
        if chosen.all():
            return self
        return ScanBlock(self.table.filter(pa.array(chosen)), self.ids[chosen], self.times_us[chosen])


def block_of(scans: Sequence[Scan]) -> ScanBlock:
    """Turn a page into columns; raise `ValueError` when a uuid or a time is none."""
    ids = ids_of([scan.uuid for scan in scans])
    times_us = _times_us([scan.creation_date for scan in scans])
    columns: dict[str, Any] = {}
    for name, kind, value in _COLUMNS:
        if value is _NOT_IN_JSON:
            columns[name] = pa.nulls(len(scans), kind)
        else:
            columns[name] = pa.array(list(map(value, scans)), kind)
    columns["scan.timestamp"] = pa.array(times_us // 1_000_000, INTEGER)
    data = [scan.scm_data or {} for scan in scans]
    fields = dict.fromkeys(name for one in data for name in one)
    for name in fields:
        values = [one.get(name) for one in data]
        try:
            columns[SCM_PREFIX + name] = pa.array(values, TEXT)
        except (pa.ArrowTypeError, pa.ArrowInvalid):  # not all are texts
            columns[SCM_PREFIX + name] = pa.array(list(map(_text, values)), TEXT)
    return ScanBlock(pa.table(columns), ids, times_us)


def joined(blocks: Sequence[ScanBlock], fields: Sequence[str]) -> ScanBlock:
    """Put blocks together, with exactly the columns that `fields` ask for, in their order."""
    rows = sum(map(len, blocks))
    tables = pa.concat_tables([block.table for block in blocks], promote_options="default")
    names = [*FIXED, *(SCM_PREFIX + name for name in fields)]
    columns = [tables[name] if name in tables.column_names else pa.nulls(rows, TEXT) for name in names]
    return ScanBlock(
        pa.table(columns, names=names),
        np.concatenate([block.ids for block in blocks]),
        np.concatenate([block.times_us for block in blocks]),
    )


def scm_fields(block: ScanBlock) -> list[str]:
    """Return the SCM fields of a block, in its order."""
    return [name.removeprefix(SCM_PREFIX) for name in block.table.column_names if name.startswith(SCM_PREFIX)]


def _text(value: object) -> str | None:
    """Return an SCM value as text: texts as they are; the API documents nothing else, but nothing is lost."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _times_us(texts: list[str]) -> npt.NDArray[np.int64]:
    try:
        times = pa.array(texts, TEXT).cast(pa.timestamp("us", "UTC"))
        return np.asarray(times.cast(INTEGER))
    except pa.ArrowInvalid:  # another of ISO's forms
        return np.array([microseconds(text) for text in texts], np.int64)


def microseconds(time: str | datetime) -> int:
    """Return a time (without a zone: UTC) as microseconds since the epoch; raise `ValueError` when it is none."""
    at = datetime.fromisoformat(time) if isinstance(time, str) else time
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
