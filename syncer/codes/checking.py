"""The first pass over a file of own codes: every row is found right, or rejected with a reason. Columns, not rows.

What always holds: nothing is sent or recorded here; the ids of the whole file are looked at together, so duplicates
are found wherever they stand; the second pass takes exactly the rows that `Checked.good` names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.codes.reading import CodesFile, Reject, filled
from syncer.codes.rules import ID_PATTERN
from syncer.config.asked import ACTIVATION_STATUSES

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.codes.reading import CodesBlock

REJECTS_KEPT_MAX = 100_000
"""Rejected rows of which everything is kept; beyond it they are only counted."""
Known = Callable[[pa.LargeStringArray], Iterator[tuple[pa.LargeStringArray, Any]]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the first pass found. ``good[n]`` is whether the n-th readable row is uploaded."""

    rows: int
    good: npt.NDArray[np.bool_]
    ignored: int
    """Later lines of an id, which ``--allow-duplicates`` leaves out."""
    rejected: int
    rejects: tuple[Reject, ...]
    """In the order of the lines, at most `REJECTS_KEPT_MAX`."""


def check_file(
    file: CodesFile,
    *,
    products: frozenset[str] | None,
    known: Known,
    allow_duplicates: bool,
    on_rows: Callable[[int], None],
) -> Checked:
    """Check a whole file. ``known`` tells which of many ids an earlier upload has."""
    rejects: list[Reject] = []
    ids: list[pa.Array] = []
    lines: list[npt.NDArray[np.int64]] = []
    good: list[npt.NDArray[np.bool_]] = []
    unread = 0
    for block in file.blocks():
        unread += len(block.rejects)
        rejects += block.rejects
        right, wrong = _check_block(block, products, sum(map(len, lines)))
        rejects += wrong
        ids.append(filled(_ids(block)).cast(pa.large_string()))
        lines.append(block.lines)
        good.append(right)
        on_rows(sum(map(len, lines)) + unread)
    all_ids = pa.chunked_array(ids, pa.large_string()).combine_chunks() if ids else pa.array([], pa.large_string())
    all_lines = np.concatenate(lines) if lines else np.array([], np.int64)
    all_good = np.concatenate(good) if good else np.array([], np.bool_)
    ignored = _duplicates(all_ids, all_lines, all_good, rejects, allow=allow_duplicates)
    _already_known(all_ids, all_lines, all_good, rejects, known)
    rows = len(all_lines) + unread
    rejected = rows - int(all_good.sum()) - ignored
    return Checked(rows, all_good, ignored, rejected, tuple(sorted(rejects, key=_by_line)[:REJECTS_KEPT_MAX]))


def _by_line(reject: Reject) -> tuple[int, bool, int, str]:
    return reject.line, reject.place is None, reject.place or 0, reject.code


def _ids(block: CodesBlock) -> pa.Array:
    column = block.column("id")
    return column if column is not None else pa.nulls(len(block.lines), pa.string())


def _check_block(
    block: CodesBlock, products: frozenset[str] | None, begin: int
) -> tuple[npt.NDArray[np.bool_], list[Reject]]:
    """Return which rows are right by themselves, and the rejects of the others; ``begin`` is the place of the first."""
    ids = filled(_ids(block))
    wrong: list[Reject] = []
    good = _mask(pc.match_substring_regex(ids, ID_PATTERN))
    for place in np.flatnonzero(~good):
        words = f"id {ids[place].as_py()!r} is not 8 or more of a-z A-Z 0-9 - _"
        wrong.append(Reject(int(block.lines[place]), "E601", words, ids[place].as_py(), begin + int(place)))
    rules: list[tuple[str, str, tuple[str, ...], str]] = [
        ("activation_status", "E604", ACTIVATION_STATUSES, "must be 0 (inactive), 1 (active) or 2 (blacklisted)")
    ]
    if products is not None:
        rules.append(("product", "E605", tuple(products), "is not the SKU of a product that the ledger knows"))
    for name, code, allowed, words in rules:
        column = block.column(name)
        if column is None:
            continue
        cells = filled(column)
        right = _mask(pc.is_in(cells, value_set=pa.array([*allowed, ""], pa.string())))
        for place in np.flatnonzero(~right & good):
            text = f"{name} {cells[place].as_py()!r} {words}"
            wrong.append(Reject(int(block.lines[place]), code, text, ids[place].as_py(), begin + int(place)))
        good &= right
    return good, wrong


def _mask(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array(values.to_numpy(zero_copy_only=False), np.bool_)


def _duplicates(
    ids: pa.LargeStringArray,
    lines: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
    rejects: list[Reject],
    *,
    allow: bool,
) -> int:
    """Take out the rows of ids that stand there twice: all of them, or (allowed) all but the first."""
    places = np.flatnonzero(good)
    table = pa.table({"id": ids.take(pa.array(places)), "place": pa.array(places)})
    counted = table.group_by("id").aggregate([("place", "count"), ("place", "min")])
    twice = counted.filter(pc.greater(counted["place_count"], 1))
    if not len(twice):
        return 0
    first = dict(zip(twice["id"].to_pylist(), twice["place_min"].to_pylist(), strict=True))
    among = _mask(pc.is_in(table["id"].combine_chunks(), value_set=twice["id"].combine_chunks()))
    ignored = 0
    for place in places[among]:
        code = ids[place].as_py()
        if allow:
            ignored += place != first[code]
            good[place] = place == first[code]
        else:
            good[place] = False
            other = f"first on line {lines[first[code]]}" if place != first[code] else "and on a later line"
            rejects.append(Reject(int(lines[place]), "E602", f"id {code!r} stands here {other}", code, int(place)))
    return int(ignored)


def _already_known(
    ids: pa.LargeStringArray,
    lines: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
    rejects: list[Reject],
    known: Known,
) -> None:
    """Take out the rows whose id an earlier upload has."""
    places = np.flatnonzero(good)
    asked = ids.take(pa.array(places))
    earlier: dict[str, int] = {}
    for found, uploads in known(asked):
        earlier.update(zip(found.to_pylist(), uploads.tolist(), strict=True))
    if not earlier:
        return
    among = _mask(pc.is_in(asked, value_set=pa.array(list(earlier), pa.large_string())))
    for place in places[among]:
        code = ids[place].as_py()
        good[place] = False
        words = f"id {code!r} is in upload {earlier[code]} already"
        rejects.append(Reject(int(lines[place]), "E603", words, code, int(place)))
