"""What the ledger knows of some keys, and what of their wanted data has to be sent: once per distinct pair.

Many keys share what is known of them and what is wanted for them. A delta is worked out for every distinct pair of the
two, never for every key; and where the known payload *is* the wanted one, comparing two numbers is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from syncer.arrow import as_numpy
from syncer.arrow import numbers as as_arrow
from syncer.mirror.picture import UNHEARD_OF, Moves, Picture, delta, may_move, overwrites, refused_words
from syncer.mirror.words import NOTHING, missing_words
from syncer.plan.keys import KeyGroups, group_keys

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from syncer.model import KnownBlock
    from syncer.plan.payloads import Payloads

    Numbers = npt.NDArray[np.int32]

KEYS_PER_STEP = 1 << 20
"""Keys judged at a time, so that the pairs of ten million never lie in memory at once."""
PAIRS_PER_STEP = 1 << 16
"""Pairs whose pictures and texts are in memory at a time."""
SAME = -1
"""In place of a payload's number: nothing has to be sent."""
NO_DELTA = (SAME, False)
"""What is sent, and whether it overwrites a known value, where there is nothing to send."""
_BITS = np.int64(32)


class PictureBook(Protocol):
    """What the planner asks the ledger: pictures by their numbers, and whether a product may move a code."""

    @property
    def moves(self) -> Moves: ...

    def pictures(self, numbers: Iterable[int]) -> Mapping[int, Picture]: ...

    def texts(self, ids: Iterable[int]) -> Mapping[int, str]:
        """Return what is known, where a number is greater than 0: then it is that of a payload, and nothing else."""


class EmptyBook:
    """Of a ledger that is not there."""

    moves = staticmethod(may_move)

    def pictures(self, numbers: Iterable[int]) -> Mapping[int, Picture]:
        """See `PictureBook`."""
        return dict.fromkeys(numbers, UNHEARD_OF)

    def texts(self, ids: Iterable[int]) -> Mapping[int, str]:
        """See `PictureBook`."""
        return dict.fromkeys(ids, NOTHING)


class KeyStates:
    """The distinct keys among some rows: how much is known of each, and whether an open batch holds it."""

    def __init__(self, keys: pa.LargeStringArray) -> None:
        self.groups: KeyGroups = group_keys(keys)
        self.picture: Numbers = np.zeros(len(self.groups), np.int32)
        """Numbers of pictures; 0: the mirror does not have the key."""
        self.held: npt.NDArray[np.bool_] = np.zeros(len(self.groups), bool)

    def see_known(self, block: KnownBlock) -> npt.NDArray[np.bool_]:
        """Take a block of the mirror; return which of its keys are among these."""
        found = self.groups.find(block.keys)
        hits = found >= 0
        self.picture[found[hits]] = block.pictures[hits]
        return hits

    def see_open(self, keys: pa.LargeStringArray) -> None:
        """Take keys whose earlier batch may still reach the API: they are held."""
        found = self.groups.find(keys)
        self.held[found[found >= 0]] = True

    def kinds(self, book: PictureBook) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return of which keys a field is known, and which matched no code when they were last asked for."""
        others = np.unique(self.picture[self.picture < 0])
        pictures = book.pictures(others.tolist())
        blank = [number for number, picture in pictures.items() if picture.known == NOTHING]
        absent = [number for number, picture in pictures.items() if picture.absent]
        known = (self.picture != 0) & ~np.isin(self.picture, blank) if blank else self.picture != 0
        return known, np.isin(self.picture, absent) if absent else np.zeros(len(self.picture), bool)


class Deltas:
    """Works out what has to be sent. ``ledger_ids[n]`` is the ledger's id of payload *n*, -1 when it has none."""

    def __init__(self, payloads: Payloads, ledger_ids: npt.NDArray[np.int64], book: PictureBook) -> None:
        self._payloads = payloads
        self._ledger_ids = ledger_ids.astype(np.int32)
        self._book = book
        self._found: dict[int, tuple[int, bool]] = {}
        self.refused: dict[str, int] = {}
        """The fields that are wanted and were not taken, each with one pair (picture, payload) as an example."""

    def of(self, pictures: Numbers, wanted: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return per key the number of the payload to send (`SAME`: none), and whether it overwrites a known value."""
        send, over = wanted.copy(), np.zeros(len(wanted), bool)
        for begin in range(0, len(wanted), KEYS_PER_STEP):
            part = slice(begin, begin + KEYS_PER_STEP)
            self._judge(pictures[part], wanted[part], send[part], over[part])
        return send, over

    def _judge(self, pictures: Numbers, wanted: Numbers, send: Numbers, over: npt.NDArray[np.bool_]) -> None:
        ids = self._ledger_ids
        if len(ids) < len(self._payloads):  # payloads that were met since: the ledger has none of them
            ids = self._ledger_ids = np.append(ids, np.full(len(self._payloads) - len(ids), -1, np.int32))
        same = (pictures > 0) & (pictures == ids[wanted])
        blank = self._payloads.known_number(NOTHING)
        if blank is not None:
            same |= wanted == blank
        send[same] = SAME
        rows = np.flatnonzero(~same & (pictures != 0))
        if not len(rows):
            return
        pairs = (pictures[rows].astype(np.int64) << _BITS) | wanted[rows]
        encoded = as_arrow(pairs).dictionary_encode()  # np.unique sorts: that takes several times as long
        of_row, found = as_numpy(encoded.indices), self._pairs(encoded.dictionary.to_pylist())
        send[rows] = np.array([number for number, _ in found], np.int32)[of_row]
        over[rows] = np.array([overwriting for _, overwriting in found], bool)[of_row]

    def _pairs(self, distinct: list[int]) -> list[tuple[int, bool]]:
        known = self._found
        if len(known) > KEYS_PER_STEP:  # a set of data per key: what was worked out is not met again
            known.clear()
        unseen = sorted(pair for pair in distinct if pair not in known)  # so that neighbours are read together
        for begin in range(0, len(unseen), PAIRS_PER_STEP):
            self._compare(unseen[begin : begin + PAIRS_PER_STEP])
        return [known[pair] for pair in distinct]

    def _compare(self, pairs: list[int]) -> None:
        known, payloads, moves = self._found, self._payloads, self._book.moves
        numbers = {pair >> 32 for pair in pairs}
        texts = self._book.texts([number for number in numbers if number > 0])
        pictures = self._book.pictures([number for number in numbers if number < 0])
        for pair in pairs:
            number, wanted = pair >> 32, payloads.data[pair & 0xFFFFFFFF]
            if number > 0 and not missing_words(texts[number], wanted):  # as most are; what follows takes longer
                known[pair] = NO_DELTA
                continue
            picture = Picture(texts[number]) if number > 0 else pictures[number]
            text = delta(picture, wanted, moves)
            for field in refused_words(picture, wanted) if picture.refused else ():
                self.refused.setdefault(field, pair)
            known[pair] = NO_DELTA if text == NOTHING else (payloads.number(text), overwrites(picture, text))
