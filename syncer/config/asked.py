"""What may be asked of a step of a night, or of the command that it stands for. Pure: looks at no file, asks nobody.

What always holds: the command line and ``nightly.steps`` are judged by the same rules, so ``check`` finds in a step
whatever its command would refuse. Each rule is told how its asker calls an option: ``--from``, or ``from``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from syncer.errors import UsageError
from syncer.process.times import parse_moment
from syncer.request import ENDINGS, NAMED_BY_THEIR_ENDING, ProductsRequest, ScansRequest, Step, SyncStep, UploadRequest
from syncer.safe.inert import pasted
from syncer.safe.urls import url_fault

Named = Callable[[str], str]
"""From an option's name in a step to what its asker calls it."""

ACTIVATION_STATUSES = ("0", "1", "2")
BLACKLIST_REASONS = tuple(str(number) for number in range(11))
REFUSED_NAMES = {
    "extended_id": "use 'id' in the file",
    "message": "use 'id' in the file",
    "product_id": "use 'product'",
    "status": "use 'activation_status'",
}
"""Names that a file of own codes, or what is said for all its codes, may not have (docs/codes.md)."""


def option(name: str) -> str:
    """Return what the command line calls an option of a step."""
    return f"--{name.replace('_', '-')}"


def require_sense(step: Step, named: Named = option) -> None:
    """Raise `UsageError` for what could never be done, whatever the files and the API hold."""
    _RULES[type(step)](step, named)


def scan_filters(request: ScansRequest, named: Named = option) -> dict[str, str]:
    """Return the filters as the API takes them, all but the product; raise `UsageError` for what cannot be asked."""
    begin, end, timeframe = named("from"), named("to"), named("timeframe")
    if request.timeframe is not None and (request.begin is not None or request.end is not None):
        words = f"{timeframe} stands for itself: leave {begin} and {end} out"
        raise UsageError(words, next="syncer scans pull --help")
    found = {"campaign_id": str(request.campaign)}
    for name, asked, text in (("date_from", begin, request.begin), ("date_to", end, request.end)):
        if text is not None:
            at = parse_moment(text, asked, "scans pull").replace(tzinfo=None)
            if name == "date_to" and len(text.strip()) == len("2026-11-27"):
                at += timedelta(days=1, microseconds=-1)  # a day that is included is so to its end
            found[name] = at.isoformat(timespec="microseconds") + "Z"
    if "date_from" in found and "date_to" in found and found["date_from"] > found["date_to"]:
        words = f"nothing lies between {begin} {request.begin} and {end} {request.end}: the first is later"
        raise UsageError(words, remedy="exchange the two", next="syncer scans pull --help")
    if request.timeframe is not None:
        if not re.fullmatch(r"-?0*[1-9][0-9]{0,5}[ymwd]", request.timeframe):
            words = f"{timeframe} {request.timeframe!r} is no timeframe, like 1y, 2m, 3w or 1d (-1y is right too)"
            raise UsageError(words, next="syncer scans pull --help")
        found["timeframe"] = request.timeframe
    if request.flags:
        found["flags"] = ",".join(sorted(set(request.flags)))
    if request.status is not None:
        found["activation_status"] = str(request.status)
    taken = sorted({*found, "product", "page_mode", "cursor", "limit", "offset"} & set(request.where))
    if taken:
        words = f"{named('where')} is for SCM fields; {', '.join(taken)} has an option of its own"
        raise UsageError(words, next="syncer scans pull --help")
    return {**found, **request.where}


def parse_defaults(given: Sequence[str], named: Named = option) -> dict[str, object]:
    """Read what is said for all own codes, as ``field=value``; raise `UsageError` for what the API would not take."""
    asked, usage = named("default"), "syncer codes upload --help"
    defaults: dict[str, object] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"{asked} wants field=value, not {text!r}", next=usage)
        if name in defaults:
            raise UsageError(f"{asked} names {name!r} twice", next=usage)
        if name in REFUSED_NAMES or name in {"id", "serial_number"}:
            words = REFUSED_NAMES.get(name, "it differs from code to code")
            raise UsageError(f"{asked} {name}: not allowed, {words}", next=usage)
        allowed = {"activation_status": ACTIVATION_STATUSES, "blacklist_reason": BLACKLIST_REASONS}.get(name)
        if allowed is not None and value not in allowed:
            raise UsageError(f"{asked} {name} must be one of {', '.join(allowed)}, not {value!r}", next=usage)
        defaults[name] = int(value) if allowed is not None else value  # numbers, as in the API's own example
    return defaults


def products_format(request: ProductsRequest, named: Named = option) -> str | None:
    """Return the format of the export of products; None: none is wanted. Raises `UsageError` for one that cannot be."""
    out, form = named("out"), named("format")
    if request.out is None:
        if request.form == "parquet":
            archived = " --archived" if request.archived else ""
            words = f"syncer products pull{archived} --out products.parquet"
            raise UsageError("parquet is not for standard output", next=words)
        return request.form
    archived = " --archived" if request.archived else ""
    if request.out == Path("-"):
        words = f"{out} -: standard output is where an export goes without {out}"
        text = "jsonl" if request.form == "jsonl" else "csv"
        raise UsageError(words, next=f"syncer products pull --format {text}{archived}")
    ending = request.out.suffix.removeprefix(".").lower()
    said = ENDINGS.get(ending)
    found = request.form or said
    if found is None:
        words = f"{out} {request.out}: the format cannot be told from its name"
        other = request.out.with_suffix(".csv") if request.out.name else Path("products.csv")
        again = ["syncer", "products", "pull", *archived.split(), "--out", str(other)]
        raise UsageError(words, remedy=f"name it: {form} csv", next=pasted(again))
    if ending in NAMED_BY_THEIR_ENDING and found != said:
        words = f"{out} {request.out} does not end as the format that is asked for, {found}"
        raise UsageError(words, next=f"syncer products pull{archived} --out products.{found}")
    return found


def _products(step: ProductsRequest, named: Named) -> None:
    products_format(step, named)


def _scans(step: ScansRequest, named: Named) -> None:
    scan_filters(step, named)
    if step.out == Path("-"):
        words = (
            f"{named('out')} -: scans go into a folder, or with {named('raw_csv')} into a file, not to standard output"
        )
        raise UsageError(words, remedy=f"name it: {named('out')} scans", next="syncer scans pull --help")


def _is_same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute() or (one.exists() and other.exists() and one.samefile(other))


def _codes(step: UploadRequest, named: Named) -> None:
    parse_defaults(step.defaults, named)
    if step.errors is not None and step.file and _is_same(step.errors, Path(step.file)):
        words = f"{named('errors')} names the file itself; it would be replaced"
        raise UsageError(words, remedy=f"name another: {named('errors')} FILE")


def _sync(step: SyncStep, named: Named) -> None:
    faults = [fault for file in step.files if "://" in file and (fault := url_fault(file)) is not None]
    if faults:
        raise UsageError(f"{named('files')} must be {faults[0]}")


_RULES: Mapping[type, Callable[[Any, Named], None]] = {
    ProductsRequest: _products,
    ScansRequest: _scans,
    UploadRequest: _codes,
    SyncStep: _sync,
}
