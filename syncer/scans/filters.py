"""What may be asked of a pull of scans, and how the API takes it. Pure, but for a look at where the scans are to go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.errors import UsageError
from syncer.process.times import parse_moment
from syncer.safe.trust import quoted
from syncer.scans.columns import microseconds
from syncer.scans.pull import iso

if TYPE_CHECKING:
    from syncer.request import ScansRequest


def check_request(request: ScansRequest) -> None:
    """Raise `UsageError` for what could never be pulled; asks nobody, writes nothing."""
    filters(request)
    if request.into_ledger or request.out is None:
        return
    if request.out == Path("-"):
        words = "--out -: scans go into a folder, or with --raw-csv into a file, not to standard output"
        raise UsageError(words, remedy="name it: --out scans", next="syncer scans pull --help")
    if request.raw_csv and not request.out.parent.is_dir():
        words = f"{request.out} cannot be written: its folder does not exist"
        raise UsageError(words, next=f"mkdir -p {quoted(request.out.parent)}")
    if request.raw_csv and request.out.is_dir():
        words = f"{request.out} cannot be written: it is a folder"
        raise UsageError(words, remedy="name a file in it: --out FILE")
    if not request.raw_csv and request.out.exists() and not request.out.is_dir():
        words = f"{request.out} is a file; scans are written as parts into a folder"
        raise UsageError(words, remedy="name a folder: --out scans", next="syncer scans pull --help")


def filters(request: ScansRequest) -> dict[str, str]:
    """Return the filters as the API takes them, all but the product; raise `UsageError` for what cannot be asked."""
    if request.timeframe is not None and (request.begin is not None or request.end is not None):
        raise UsageError("--timeframe stands for itself: leave --from and --to out", next="syncer scans pull --help")
    found = {"campaign_id": str(request.campaign)}
    for name, option, text in (("date_from", "--from", request.begin), ("date_to", "--to", request.end)):
        if text is not None:
            found[name] = iso(microseconds(parse_moment(text, option)))
    if "date_from" in found and "date_to" in found and found["date_from"] > found["date_to"]:
        words = f"nothing lies between --from {request.begin} and --to {request.end}: the first is later"
        raise UsageError(words, remedy="exchange the two")
    if request.timeframe is not None:
        if not re.fullmatch(r"-?[0-9]+[ymwd]", request.timeframe):
            raise UsageError(f"{request.timeframe!r} is no timeframe, like 1y, 2m, 3w or 1d (-1y is right too)")
        found["timeframe"] = request.timeframe
    if request.flags:
        found["flags"] = ",".join(request.flags)
    if request.status is not None:
        found["activation_status"] = str(request.status)
    taken = sorted({*found, "product", "page_mode", "cursor", "limit", "offset"} & set(request.where))
    if taken:
        raise UsageError(f"--where is for SCM fields; {', '.join(taken)} has an option of its own")
    return {**found, **request.where}
