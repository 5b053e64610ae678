"""What scans saw against what the ledger says: the independent check of the whole chain. Pure, given both.

For a scan at time T and a field f of its code, the API must hold the value of the last upload that was confirmed before
T, or of any that was under way around T: sent before T, and not yet confirmed, or never. When the scan shows none of
them, scan and ledger disagree. ``skew_us`` is how far the clocks may be apart.

Not compared: fields that were confirmed for no code by then; fields that jobs with another key write too (nobody can
tell which codes they reached); fields that the campaign discards; special keys, which are no SCM data.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from syncer.scans.pull import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.ledger.scans import StoredScan
    from syncer.ledger.sent_values import SentValue

IDENTIFIERS = ("extended_id", "serial_number")
SPECIAL = frozenset({"product", "activation_status", "blacklist_reason"})
BLOCK_SCANS = 2_000
SHOWN_MAX = 100
"""Disagreements that are told one by one; all are counted."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One field of one scan that is not what the ledger says it must be."""

    uuid: str
    at: str
    column: str
    key: str
    field: str
    seen: str | None
    expected: tuple[str, ...]
    confirmed_at: str
    run_id: int
    batch_id: int
    file: str
    line: int


@dataclass(slots=True)
class Comparison:
    """What came out. ``fields`` counts compared values by field: agree, under way, disagree."""

    scans: int = 0
    scans_compared: int = 0
    agree: int = 0
    under_way: int = 0
    """Values that agree with an upload that was on its way at the time of the scan."""
    disagree: int = 0
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)
    """Field → why."""

    def note(self, name: str, outcome: str) -> None:
        """Count a compared value."""
        self.fields.setdefault(name, Counter())[outcome] += 1
        setattr(self, outcome, getattr(self, outcome) + 1)


@dataclass(slots=True)
class _Line:
    """The uploads of one field of one code, in the order in which they were sent."""

    uploads: list[tuple[int, int | None, str, SentValue]] = field(default_factory=list)

    def at(self, at_us: int, skew_us: int) -> tuple[SentValue, list[str]] | None:
        """Return the last upload confirmed by then, and every value that the API may hold; None: none confirmed."""
        sure: int | None = None
        for place, (_, confirmed_us, _, _) in enumerate(self.uploads):
            if confirmed_us is not None and confirmed_us <= at_us - skew_us:
                sure = place
        if sure is None:
            return None
        sent = bisect_right([sent_us for sent_us, _, _, _ in self.uploads], at_us + skew_us)
        possible = [value for _, _, value, _ in self.uploads[sure:sent]] or [self.uploads[sure][2]]
        last = self.uploads[sure][3]
        # Within a job no value is sent before its older one is settled; between two jobs nobody holds that order, so
        # what another one sent earlier, and was not confirmed by then, may have landed later.
        possible += [
            value
            for _, confirmed_us, value, upload in self.uploads[:sure]
            if upload.column != last.column and (confirmed_us is None or confirmed_us > at_us - skew_us)
        ]
        return last, possible


def compare(
    scans: Iterable[StoredScan],
    uploads: Callable[[str, Sequence[str]], Iterator[SentValue]],
    *,
    skip: Mapping[str, str],
    skew_us: int,
) -> Comparison:
    """Compare every scan; ``uploads`` gives those of key values by a key column, ``skip`` names fields and why."""
    result = Comparison(not_compared=dict(skip))
    remaining = iter(scans)
    while block := list(islice(remaining, BLOCK_SCANS)):
        lines = _lines(block, uploads)
        for scan in block:
            result.scans += 1
            result.scans_compared += _compare_one(scan, lines, result, skew_us)
    return result


def _lines(
    block: Sequence[StoredScan], uploads: Callable[[str, Sequence[str]], Iterator[SentValue]]
) -> dict[tuple[str, str], dict[str, _Line]]:
    """Return the uploads by key column and value, then by field."""
    found: dict[tuple[str, str], dict[str, _Line]] = {}
    for column in IDENTIFIERS:
        keys = sorted({value for scan in block if (value := getattr(scan, column))})
        for upload in uploads(column, keys):
            fields = found.setdefault((column, upload.key), {})
            confirmed_us = None if upload.confirmed_at is None else _us(upload.confirmed_at)
            for name, value in upload.data.items():
                fields.setdefault(name, _Line()).uploads.append((_us(upload.sent_at), confirmed_us, value, upload))
    return found


def _compare_one(
    scan: StoredScan, lines: Mapping[tuple[str, str], Mapping[str, _Line]], result: Comparison, skew_us: int
) -> bool:
    merged: dict[str, _Line] = {}
    for column in IDENTIFIERS:
        for name, line in lines.get((column, getattr(scan, column)), {}).items():
            known = merged.get(name)
            if known is None:
                merged[name] = line
            else:  # two jobs write it, by two keys
                merged[name] = _Line(sorted((*known.uploads, *line.uploads), key=lambda one: (one[0], one[3].item_id)))
    compared = False
    for name, line in merged.items():
        if name in SPECIAL:
            result.not_compared.setdefault(name, "a special key, no SCM data")
            continue
        if name in result.not_compared:
            continue
        found = line.at(scan.at_us, skew_us)
        if found is None:
            continue
        compared = True
        upload, possible = found
        seen = _shown(scan.scm.get(name))
        if seen not in possible:
            result.note(name, "disagree")
            if len(result.disagreements) < SHOWN_MAX:
                result.disagreements.append(_disagreement(scan, name, seen, upload, possible))
        else:
            result.note(name, "agree" if seen == upload.data[name] else "under_way")
    return compared


def _disagreement(scan: StoredScan, name: str, seen: str, upload: SentValue, possible: list[str]) -> Disagreement:
    return Disagreement(
        uuid=scan.uuid,
        at=iso(scan.at_us),
        column=upload.column,
        key=upload.key,
        field=name,
        seen=seen if name in scan.scm else None,
        expected=tuple(dict.fromkeys(possible)),
        confirmed_at=upload.confirmed_at or "",
        run_id=upload.run_id,
        batch_id=upload.batch_id,
        file=upload.file,
        line=upload.line,
    )


def _shown(value: Any) -> str:
    """Return what a scan shows of a field; a field that is cleared is not there."""
    return "" if value is None else str(value)


def _us(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
