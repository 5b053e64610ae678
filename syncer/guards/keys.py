"""Keys that a spreadsheet or an export has changed: scientific notation, lost zeros, another letter case.

Pure functions over columns. What always holds: only keys of valid rows that are new to the ledger are looked at; a key
is compared with those known keys alone that no row names (a key that stands in the files too is another code, not the
damaged one); memory beside them is a block of texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, texts
from syncer.model import KEY_SEPARATOR, shown_key
from syncer.plan.keys import hash64

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.plan.diff import Diff

    Rows = npt.NDArray[np.int64]

LookUp = Callable[[str], Sequence[str]]
"""Gives the known keys that are one folded key (`fold`), up to leading zeros and letter case."""

BLOCK_ROWS = 1 << 17
LOOKED_UP_MAX = 200
"""Keys that are looked up in the ledger one by one; of more, as many from all over them."""
SAMPLED_KEYS = 2_000
"""Keys that say what is the custom of the files."""
CUSTOM_KEYS_MIN = 100
CUSTOM_SHARE = 0.99
"""With so many keys of one form, another form of the same is damage."""
SUSPECT_SHARE = 0.01
"""Of the keys that were looked at: below that a likeness is chance, as among short keys of mixed letter case."""
EXAMPLES_MAX = 3
# 1E5 may well be somebody's key: a spreadsheet writes the exponent with a sign, or digits behind a decimal mark.
_SCIENTIFIC = r"(?:^|\x1f)[+-]?[0-9](?:[.,][0-9]+[eE]\+?[0-9]{1,3}|[eE]\+[0-9]{2,3})(?:$|\x1f)"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Example:
    """A damaged key: where it stands, and what it should be (empty: nobody knows)."""

    source: int
    line: int
    key: str
    right: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """Keys of one kind of damage: how many of the ``looked_at`` ones, out of ``of``."""

    count: int
    looked_at: int
    of: int
    examples: tuple[Example, ...]
    width: int = 0


@dataclass(frozen=True, slots=True)
class Custom:
    """What nearly all keys of the files are: numbers of one ``width`` (0: no), of one letter ``case`` ("": no).

    ``padded``: some of these numbers begin with a zero. ``shapes`` are the usual forms of its keys.
    """

    width: int = 0
    padded: bool = False
    case: str = ""
    shapes: frozenset[str] = frozenset()


def fold(keys: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return keys without what a spreadsheet changes: outer spaces, leading zeros, letter case."""
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(keys))
    if pc.any(pc.match_substring(keys, KEY_SEPARATOR)).as_py():
        return pc.replace_substring_regex(lower, r"(^|\x1f)0+", r"\1")
    return pc.utf8_ltrim(lower, "0")


def scientific(diff: Diff) -> Damage | None:
    """Find new keys like ``8.71152E+12``."""
    found = [np.empty(0, np.int64)]
    for rows, keys in _blocks(diff, diff.new_leaders()):
        data = _bytes(keys)
        if ((data >= ord("+")) & (data <= ord(".")) & (data != ord("-"))).any():  # every such number has + or , or .
            found.append(rows[as_numpy(pc.match_substring_regex(keys, _SCIENTIFIC))])
    return _damage(diff, np.concatenate(found))


def marks_apart(diff: Diff, names: Sequence[str]) -> Iterator[str]:
    """Give a note on new keys in which a letter and its mark stand apart (NFD): nobody sees it, and it is another key.

    No guard stops them: codes may have been made so.
    """
    found, composed = [np.empty(0, np.int64)], []
    for rows, keys in _blocks(diff, diff.new_leaders()):
        if not pc.all(pc.string_is_ascii(keys)).as_py():
            whole = pc.utf8_normalize(keys, form="NFC")
            apart = np.flatnonzero(as_numpy(pc.not_equal(whole, keys)))
            found.append(rows[apart])
            composed.append(whole.take(numbers(apart)))
    apart_rows = np.concatenate(found)
    if len(apart_rows):
        row = int(apart_rows[0])
        first = ascii(shown_key(diff.records.keys[row].as_py()))
        twice = np.count_nonzero(diff.groups.find(pa.concat_arrays(composed)) >= 0)
        yield (
            f"new keys with letters and marks apart (NFD): {len(apart_rows):,}, the first: "
            f"{names[int(diff.records.source[row])]}:{diff.records.line[row]} {first}; to the API each is another key "
            f"than the same in one piece (NFC); in both ways stand in the files: {twice:,}"
        )


def altered(diff: Diff, look_up: LookUp) -> Damage | None:
    """Find new keys for which the ledger knows one that differs in leading zeros or letter case alone.

    Where all known keys that no row names are at hand, every new key is compared with them; else up to
    `LOOKED_UP_MAX` new keys are looked up in the ledger.
    """
    new = diff.new_leaders()
    if not len(new) or (diff.absent is not None and not len(diff.absent)):
        return None
    if diff.absent is not None:
        return _among(diff, new, pa.concat_arrays(diff.absent))
    sample = _sample(new, LOOKED_UP_MAX)
    keys = diff.records.keys.take(numbers(sample))
    found = []
    for row, key, folded in zip(sample.tolist(), keys.to_pylist(), fold(keys).to_pylist(), strict=True):
        right = _absent_alike(diff, look_up, folded)
        if right:
            found.append(_example(diff, row, key, right))
    if len(found) < max(1, SUSPECT_SHARE * len(sample)):
        return None
    return Damage(len(found), len(sample), len(new), tuple(found[:EXAMPLES_MAX]))


def _among(diff: Diff, new: npt.NDArray[np.int32], absent: pa.LargeStringArray) -> Damage | None:
    """Compare the new keys with the known ones that no row names."""
    folded = fold(absent)
    known = dict(zip(folded.to_pylist(), absent.to_pylist(), strict=True))
    hashes = np.sort(hash64(folded))
    count, found = 0, list[Example]()
    for rows, keys in _blocks(diff, new):
        likely = fold(keys)
        wanted = hash64(likely)
        places = np.searchsorted(hashes, wanted)
        places[places == len(hashes)] = 0
        for place in np.flatnonzero(hashes[places] == wanted).tolist():
            right = known.get(likely[place].as_py(), "")  # the hash only proposes
            if right:
                count += 1
                if len(found) < EXAMPLES_MAX:
                    found.append(_example(diff, int(rows[place]), keys[place].as_py(), right))
    return Damage(count, len(new), len(new), tuple(found)) if count else None


def _absent_alike(diff: Diff, look_up: LookUp, folded: str) -> str:
    """Return a known key that is like the folded one and that no row names; empty where there is none."""
    known = look_up(folded)
    if not known:
        return ""
    absent = np.flatnonzero(diff.groups.find(texts(known)) < 0)
    return known[int(absent[0])] if len(absent) else ""


def custom_of(diff: Diff) -> Custom:
    """Return what nearly all keys of the files are, from keys all over them."""
    leaders = diff.groups.leaders
    if len(leaders) < CUSTOM_KEYS_MIN:
        return Custom()
    keys = diff.records.keys.take(numbers(_sample(leaders, SAMPLED_KEYS))).to_pylist()
    enough = CUSTOM_SHARE * len(keys)
    widths = Counter(len(key) for key in keys if key.isascii() and key.isdigit())
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    if count >= enough:
        return Custom(width, any(len(key) == width and key.startswith("0") for key in keys))
    for case in (str.upper, str.lower):
        alike = [key for key in keys if key == case(key) != key.swapcase()]
        if len(alike) >= enough:
            shapes = Counter(map(_shape, alike))
            usual = (shape for shape, count in shapes.items() if count >= SUSPECT_SHARE * len(alike))
            return Custom(case=case.__name__, shapes=frozenset(usual))
    return Custom()


def against_custom(diff: Diff, custom: Custom, *, known: bool) -> Damage | None:
    """Find new keys that are not of the files' custom: numbers with digits missing, or letters of the other case.

    Forms that known keys in the files have too are none. On a first run (not `known`) numbers that are shorter are
    damaged only where others are filled up with zeros: a series may begin with them.
    """
    if not custom.case and not (custom.width and (known or custom.padded)):
        return None
    new = diff.new_leaders()
    found = [(int(row), key, form) for rows, keys in _blocks(diff, new) for row, key, form in _odd(rows, keys, custom)]
    if found and known:
        others = np.setdiff1d(diff.groups.leaders, new)
        usual = {form for rows, keys in _blocks(diff, others) for _, _, form in _odd(rows, keys, custom)}
        found = [one for one in found if one[2] not in usual]
    if not found:
        return None
    mend: Callable[[str], str] = (lambda key: key.zfill(custom.width)) if custom.width else getattr(str, custom.case)
    examples = tuple(_example(diff, row, key, mend(key)) for row, key, _ in found[:EXAMPLES_MAX])
    return Damage(len(found), len(new), len(new), examples, custom.width)


def _odd(rows: Rows, keys: pa.LargeStringArray, custom: Custom) -> Iterator[tuple[int, str, str | int]]:
    """Give the keys of a block that are not of the custom: row, key, form."""
    if custom.width:
        likely = np.flatnonzero(as_numpy(pc.binary_length(keys)) < custom.width)
    else:
        first, last = (b"a", b"z") if custom.case == "upper" else (b"A", b"Z")
        data = _bytes(keys)
        if not ((data >= first[0]) & (data <= last[0])).any():
            return
        likely = np.flatnonzero(as_numpy(pc.match_substring_regex(keys, f"[{first.decode()}-{last.decode()}]")))
    for row, key in zip(rows[likely].tolist(), keys.take(numbers(likely)).to_pylist(), strict=True):
        if custom.width:
            if key.isascii() and key.isdigit():
                yield row, key, len(key)
        elif (shape := _shape(key)) in custom.shapes:
            yield row, key, shape


def _shape(key: str) -> str:
    return _DIGIT.sub("0", _LETTER.sub("a", key))


def _sample(rows: npt.NDArray[np.int32], most: int) -> npt.NDArray[np.int32]:
    """Return up to `most` rows from all over them, at no fixed distance: every other row may be of another kind."""
    if len(rows) <= most:
        return rows
    stretch = -(-len(rows) // most)
    count = -(-len(rows) // stretch)
    within = (np.arange(count, dtype=np.uint64) * _GOLDEN >> np.uint64(32)).astype(np.int64) % stretch
    sampled: npt.NDArray[np.int32] = rows[np.minimum(np.arange(count) * stretch + within, len(rows) - 1)]
    return sampled


def _bytes(keys: pa.LargeStringArray) -> npt.NDArray[np.uint8]:
    _, ends, data = keys.buffers()
    if data is None or not len(keys):
        return np.empty(0, np.uint8)
    offsets = np.frombuffer(ends, np.int64)
    return np.frombuffer(data, np.uint8)[offsets[keys.offset] : offsets[keys.offset + len(keys)]]


def _blocks(diff: Diff, wanted: npt.NDArray[np.int32]) -> Iterator[tuple[Rows, pa.LargeStringArray]]:
    """Give wanted rows and their keys block by block, in the order of the files: where all are wanted, uncopied."""
    keys = diff.records.keys
    if len(wanted) < BLOCK_ROWS:
        if len(wanted):
            rows = np.sort(wanted).astype(np.int64)
            yield rows, keys.take(numbers(rows))
        return
    chosen = np.zeros(len(keys), bool)
    chosen[wanted] = True
    for begin in range(0, len(keys), BLOCK_ROWS):
        rows = begin + np.flatnonzero(chosen[begin : begin + BLOCK_ROWS])
        whole = keys.slice(begin, BLOCK_ROWS)
        yield rows, whole if len(rows) == len(whole) else keys.take(numbers(rows))


def _damage(diff: Diff, rows: Rows) -> Damage | None:
    if not len(rows):
        return None
    of = len(diff.new_leaders())
    found = tuple(_example(diff, int(row), diff.records.keys[int(row)].as_py()) for row in rows[:EXAMPLES_MAX])
    return Damage(len(rows), of, of, found)


def _example(diff: Diff, row: int, key: str, right: str = "") -> Example:
    records = diff.records
    return Example(int(records.source[row]), int(records.line[row]), shown_key(key), shown_key(right))


def show(damage: Damage, names: Sequence[str], word: str) -> str:
    """Write the examples of a damage: file, line, key, and what it should be."""
    return ", ".join(
        f"{names[one.source]}:{one.line} {one.key!r}" + (f" ({word} {one.right!r})" if one.right else "")
        for one in damage.examples
    )
