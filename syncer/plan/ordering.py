"""The order in which a plan takes its values: that of their keys, so that the ledger's trees grow at their ends.

A ledger keeps its history and its state by key. Keys that come in random order touch a page each; in the order of
keys, a batch and everything that is confirmed with it touch the same few pages. The order is near, not exact: keys
that differ only far behind their first differing characters stay in the order they came in. Nothing but speed rests on
it. It depends on the keys and the order they came in alone, so a plan stays deterministic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from syncer.arrow import buffers, numbers, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyarrow as pa

    Places = npt.NDArray[np.int32]

BLOCK_ROWS = 65_536
"""Keys looked at at a time: the scratch memory stays in the processor's cache."""
RANK_MAX = 1 << 64
"""Bound of the number that stands for the beginning of a key: what an unsigned integer of 64 bits holds."""
WIDTH_MAX = 256
"""Bytes of a key that are looked at: keys that agree so far stay as they came."""


def key_order(texts: pa.LargeStringArray, rows: Places) -> Places | None:
    """Return the places of ``texts[rows]`` in the order of their keys; None when they are in order already."""
    if _ascending(texts, rows):
        return None
    # Stable, so that what the ranks leave open does not depend on the processor.
    return np.argsort(_ranks(texts, rows), kind="stable").astype(np.int32)


def _ascending(texts: pa.LargeStringArray, rows: Places) -> bool:
    for begin in range(0, len(rows) - 1, BLOCK_ROWS):
        block = texts.take(numbers(rows[begin : begin + BLOCK_ROWS + 1]))
        if not pc.all(pc.less_equal(block.slice(0, len(block) - 1), block.slice(1))).as_py():
            return False
    return True


def _ranks(texts: pa.LargeStringArray, rows: Places) -> npt.NDArray[np.uint64]:
    """Return for each key a number that ascends with its beginning, as far as 64 bits reach.

    Per position a character counts among those between the least and the greatest there, so a prefix that all keys
    share takes no room, and a digit little more than three bits.
    """
    offsets, _ = buffers(texts)
    width = min(int((offsets[rows + 1] - offsets[rows]).max()), WIDTH_MAX)
    least, most = np.full(width, 255, np.uint8), np.zeros(width, np.uint8)
    for _, block in _blocks(texts, rows, width):
        np.minimum(least, block.min(axis=0), out=least)
        np.maximum(most, block.max(axis=0), out=most)
    ranks, bound = np.zeros(len(rows), np.uint64), 1
    sizes = most - least + 1  # no byte of UTF-8 is above 0xF4
    used = []
    for position in np.flatnonzero(sizes > 1).tolist():
        if bound * int(sizes[position]) > RANK_MAX:
            break
        bound *= int(sizes[position])
        used.append(position)
    for begin, block in _blocks(texts, rows, width):
        part = ranks[begin : begin + len(block)]
        for position in used:
            part *= np.uint64(sizes[position])
            part += block[:, position] - least[position]
    return ranks


def _blocks(texts: pa.LargeStringArray, rows: Places, width: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield where a block begins, and the first `width` bytes of its keys, a row each, zeros behind shorter ones."""
    offsets, data = buffers(texts)
    for part in steps(len(rows), BLOCK_ROWS):
        of_block = rows[part].astype(np.int64)
        starts, lengths = offsets[of_block], offsets[of_block + 1] - offsets[of_block]
        if (lengths == width).all() and (np.diff(starts) == width).all():  # neighbours of one width: as they lie there
            yield part.start, data[starts[0] : starts[0] + width * len(starts)].reshape(len(starts), width)
            continue
        block = np.zeros((len(starts), width), np.uint8)
        for length in np.unique(np.minimum(lengths, width)):
            of_length = np.flatnonzero(np.minimum(lengths, width) == length)
            block[of_length, :length] = data[starts[of_length][:, None] + np.arange(length)]
        yield part.start, block
