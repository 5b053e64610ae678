"""Many keys at once: hash them, group equal ones, and look others up among them.

Keys stay in Arrow buffers; per key there are eight bytes of hash and a row number. **A hash only proposes**: equal
hashes are always confirmed on the keys themselves, so a crafted collision can cost time but never skip a row. Rows
whose hashes collide while their keys differ take a slow, exact path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, buffers, numbers, steps

if TYPE_CHECKING:
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.int64]
    Places = npt.NDArray[np.int32]

BLOCK_ROWS = 65_536
"""Keys hashed at a time: the scratch memory stays in the processor's cache."""

LOOK_UP_BITS = 20
"""Bits of row number at least: so many keys can be looked up at once (`KeyGroups.find`)."""

# MurmurHash3's 64-bit constants: well studied, and multiplication in uint64 wraps as the algorithm wants.
_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_F1 = np.uint64(0xFF51AFD7ED558CCD)
_F2 = np.uint64(0xC4CEB9FE1A85EC53)


def hash64(keys: pa.LargeStringArray) -> Hashes:
    """Hash each key: shape ``(len(keys),)``, ``uint64``. The same text has the same hash in every process."""
    hashes = np.empty(len(keys), np.uint64)
    offsets, data = buffers(keys)
    for part in steps(len(keys), BLOCK_ROWS):
        block, starts = hashes[part], offsets[part]
        lengths = offsets[1:][part] - starts
        if (lengths == lengths[0]).all():
            width = int(lengths[0])
            block[:] = _hash_rows(data[starts[0] : starts[0] + width * len(lengths)].reshape(len(lengths), width))
            continue
        for width in np.unique(lengths):
            rows = np.flatnonzero(lengths == width)
            block[rows] = _hash_rows(data[starts[rows][:, None] + np.arange(width)])
    return hashes


def _hash_rows(texts: npt.NDArray[np.uint8]) -> Hashes:
    """Hash rows of bytes of one width: murmur's mixing, eight bytes of every row at a time."""
    rows, width = texts.shape
    padded = np.zeros((rows, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = texts
    words = padded.view(np.uint64)
    hashes = np.full(rows, width * 0x9E3779B97F4A7C15 % 2**64, np.uint64)
    for column in range(words.shape[1]):
        word = words[:, column] * _C1
        word = ((word << np.uint64(31)) | (word >> np.uint64(33))) * _C2
        hashes ^= word
        hashes = ((hashes << np.uint64(27)) | (hashes >> np.uint64(37))) * np.uint64(5) + np.uint64(0x52DCE729)
    hashes ^= hashes >> np.uint64(33)
    hashes *= _F1
    hashes ^= hashes >> np.uint64(33)
    hashes *= _F2
    hashes ^= hashes >> np.uint64(33)
    return hashes


@dataclass(frozen=True, slots=True)
class KeyGroups:
    """The distinct keys among rows, each a group of its rows, numbered in the order of their first rows.

    So what is kept per group lies as the rows do: neighbours in a file are neighbours here, and share their data.
    ``by_hash`` lists the groups in the order of ``hashes``, which ascend: the hash without its last ``shift`` bits.
    ``collided`` maps the keys whose hash they share with another key to their group: nearly always empty. ``of_row``
    has the group of each row and ``first`` the first row of each group; both are None where every key stands once: a
    row is a group there.
    """

    keys: pa.LargeStringArray
    by_hash: Places
    hashes: Hashes
    shift: int
    collided: dict[str, int]
    of_row: Places | None = None
    first: Places | None = None

    def __len__(self) -> int:
        return len(self.by_hash)

    @property
    def leaders(self) -> Places:
        """The first row of each group; they ascend."""
        return np.arange(len(self), dtype=np.int32) if self.first is None else self.first

    def leaders_of(self, groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the first rows of some groups."""
        return groups if self.first is None else self.first[groups]

    def of_leaders(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what a column of the rows has at each group's first row; the column itself, where a row is a group."""
        return column if self.first is None else column[self.first]

    def of_rows(self) -> Places:
        """Return the group of each row, by row number."""
        return self.leaders if self.of_row is None else self.of_row

    def rows_of(self, chosen: npt.NDArray[np.bool_]) -> tuple[Rows, Rows]:
        """Return the rows of the chosen groups, group by group, each in row order; and how many each group has."""
        of_rows = self.of_rows()
        rows = np.flatnonzero(chosen[of_rows])
        rows = rows[np.argsort(of_rows[rows], kind="stable")]
        return rows, np.unique(of_rows[rows], return_counts=True)[1]

    def differing(self, payload: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Tell which groups have rows with different payloads."""
        differing = np.zeros(len(self), bool)
        if self.of_row is not None:  # else every key stands once
            differing[self.of_row[payload != self.of_leaders(payload)[self.of_row]]] = True
        return differing

    def find(self, wanted: pa.LargeStringArray) -> Rows:
        """Return, for each wanted key, its group, or -1 where no row has it. Any number, in any order."""
        found = np.full(len(wanted), -1, np.int64)
        if not len(self) or not len(wanted):
            return found
        most = 1 << self.shift
        if len(wanted) > most:
            parts = [self.find(wanted.slice(begin, most)) for begin in range(0, len(wanted), most)]
            return np.concatenate(parts)
        # Ascending needles make the search run through memory instead of jumping.
        order, ascending = _sorted_hashes(wanted, self.shift)
        places = np.searchsorted(self.hashes, ascending)
        places[places == len(self)] = 0
        there = self.hashes[places] == ascending
        found[order[there]] = self.by_hash[places[there]]
        # The keys are compared in the order they came in: where that is the files' order too, nothing jumps.
        rows = np.flatnonzero(found >= 0)
        proposed = wanted if len(rows) == len(wanted) else wanted.take(numbers(rows))
        same = _equal(proposed, self.keys.take(numbers(self.leaders_of(found[rows]))))
        if not same.all():
            for row in rows[~same]:
                found[row] = self.collided.get(wanted[int(row)].as_py(), -1)
        return found


def _sorted_hashes(keys: pa.LargeStringArray, shift: int) -> tuple[Places, Hashes]:
    """Return the rows in the order of their hashes without the last `shift` bits, and these; ties in row order.

    The bits that are left out make room for the row number, so that one array is sorted, in place: the fastest sort
    there is, and the least memory. `shift` bits must hold the number of any row.
    """
    packed = hash64(keys)
    bits = np.uint64(shift)
    packed >>= bits
    packed <<= bits
    for part in steps(len(packed), BLOCK_ROWS):
        packed[part] |= np.arange(part.start, part.stop, dtype=np.uint64)
    packed.sort()
    order = np.empty(len(packed), np.int32)
    last_bits = np.uint64((1 << shift) - 1)
    for part in steps(len(packed), BLOCK_ROWS):
        order[part] = packed[part] & last_bits
    packed >>= bits
    return order, packed


def group_keys(keys: pa.LargeStringArray) -> KeyGroups:
    """Group equal keys. Exact for every input; the groups depend on nothing but the keys and their rows."""
    shift = max(len(keys).bit_length(), LOOK_UP_BITS)
    order, ordered = _sorted_hashes(keys, shift)
    follows = ordered[1:] == ordered[:-1]
    followers = np.flatnonzero(follows) + 1
    if not len(followers):
        return KeyGroups(keys, order, ordered, shift, {})
    head = np.concatenate([[True], ~follows])
    heads = np.maximum.accumulate(np.where(head[followers - 1], followers - 1, 0))  # each follower's run begins there
    same = _equal(keys.take(numbers(order[followers])), keys.take(numbers(order[heads])))
    split = [(int(begin), int(np.searchsorted(ordered, ordered[begin], "right"))) for begin in np.unique(heads[~same])]
    for begin, end in split:
        _split_run(keys, order, head, begin, end)
    starts = np.flatnonzero(head)
    leaders, hashes = order[starts], ordered[starts]
    by_hash, of_row, first = leaders, None, None
    if not head.all():  # else only hashes were equal, as a few are among millions
        leads = np.zeros(len(keys), bool)
        leads[leaders] = True
        by_hash = (np.cumsum(leads, dtype=np.int32) - 1)[leaders]
        of_row, first = np.empty(len(keys), np.int32), np.flatnonzero(leads).astype(np.int32)
        of_row[order] = np.repeat(by_hash, np.diff(starts, append=len(order)))
    ranges = [np.searchsorted(starts, run) for run in split]
    collided = {keys[int(leaders[n])].as_py(): int(by_hash[n]) for begin, end in ranges for n in range(begin, end)}
    return KeyGroups(keys, by_hash, hashes, shift, collided, of_row, first)


def _split_run(keys: pa.LargeStringArray, order: Places, head: npt.NDArray[np.bool_], begin: int, end: int) -> None:
    """Reorder one run of equal hashes so that equal keys are neighbours, and mark where each begins."""
    by_key: dict[str, list[int]] = {}
    for row in order[begin:end]:
        by_key.setdefault(keys[int(row)].as_py(), []).append(int(row))
    place = begin
    for rows in by_key.values():
        order[place : place + len(rows)] = rows
        head[place] = True  # as no other row of the run is yet, but for its first
        place += len(rows)


def _equal(left: pa.LargeStringArray, right: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
    return as_numpy(pc.equal(left, right))
