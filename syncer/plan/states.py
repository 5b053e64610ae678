"""What the ledger knows of some keys, and what of their wanted data has to be sent: once per distinct pair.

Many keys share what is known of them and what is wanted for them. A delta is worked out for every distinct pair of the
two, never for every key; and where the known payload *is* the wanted one, comparing two numbers is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from syncer.arrow import as_numpy, distinct_numbers, steps
from syncer.arrow import numbers as as_arrow
from syncer.mirror.picture import UNHEARD_OF, Campaigns, Moves, Picture, delta, may_move, overwrites, refused_words
from syncer.mirror.words import NOTHING, missing_words, only
from syncer.plan.keys import KeyGroups, group_keys

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from syncer.model import KnownBlock
    from syncer.plan.payloads import Payloads

    Numbers = npt.NDArray[np.int32]

KEYS_PER_STEP = 500_000
"""Keys judged at a time, so that the pairs of ten million never lie in memory at once."""
PAIRS_KEPT_MAX = 4_000_000
"""Pairs that are kept for the keys to come: beyond that, there is a set of data per key, and none is met again."""
PAIRS_PER_STEP = 65_536
"""Pairs whose pictures and texts are in memory at a time."""
SAME = -1
"""In place of a payload's number: nothing has to be sent."""
_BITS = np.int64(32)


class PictureBook(Protocol):
    """What the planner asks the ledger: pictures by their numbers, and what products tell of campaigns.

    ``campaigns`` None: that makes no difference, since no two are known. ``taken``: fields that some value took.
    """

    @property
    def moves(self) -> Moves: ...
    @property
    def campaigns(self) -> Campaigns | None: ...
    @property
    def taken(self) -> frozenset[str]: ...

    def pictures(self, numbers: Iterable[int]) -> Mapping[int, Picture]: ...

    def texts(self, ids: Iterable[int]) -> Mapping[int, str]:
        """Return what is known, where a number is greater than 0: then it is that of a payload, and nothing else."""


class EmptyBook:
    """Of a ledger that is not there."""

    moves = staticmethod(may_move)
    campaigns = None
    taken = frozenset[str]()

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
        pictures = book.pictures(distinct_numbers(self.picture[self.picture < 0]))
        blank = [number for number, picture in pictures.items() if picture.known == NOTHING]
        absent = [number for number, picture in pictures.items() if picture.absent]
        return (self.picture != 0) & ~np.isin(self.picture, blank), np.isin(self.picture, absent)


class Deltas:
    """Works out what has to be sent. ``ledger_ids[n]`` is the ledger's id of payload *n*, -1 when it has none."""

    def __init__(self, payloads: Payloads, ledger_ids: npt.NDArray[np.int64], book: PictureBook) -> None:
        self._payloads = payloads
        self._ledger_ids = ledger_ids.astype(np.int32)
        self._book = book
        self._forget()
        self.refused: set[str] = set()
        """The fields that are wanted and were not taken."""

    def of(self, pictures: Numbers, wanted: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return per key the number of the payload to send (`SAME`: none), and whether it overwrites a known value."""
        over = np.zeros(len(wanted), bool)
        if self._payloads.known_number(NOTHING) is None and not pictures.any():  # a first load: all of it goes
            return wanted, over
        send = wanted.copy()
        for part in steps(len(wanted), KEYS_PER_STEP):
            self._judge(pictures[part], wanted[part], send[part], over[part])
        return send, over

    def refusing(self, pictures: Numbers, fields: Iterable[str]) -> dict[str, list[int]]:
        """Return, by field, the numbers of those pictures whose values did not take it when it was last sent."""
        found = self._book.pictures(distinct_numbers(pictures[pictures < 0]))
        return {name: [number for number, picture in found.items() if name in picture.refused] for name in fields}

    def left_out(self, pictures: Numbers, wanted: Numbers) -> Numbers:
        """Return per key the number of what is wanted and left out, since it was not taken (`SAME`: nothing)."""
        left = np.full(len(wanted), SAME, np.int32)
        found = self._book.pictures(distinct_numbers(pictures[pictures < 0]))
        rows = np.flatnonzero(np.isin(pictures, [number for number, picture in found.items() if picture.refused]))
        pairs = (pictures[rows].astype(np.int64) << _BITS) | wanted[rows]
        distinct, of_row = np.unique(pairs, return_inverse=True)
        numbers = []
        for pair in distinct.tolist():
            text = only(self._payloads.data[pair & 0xFFFFFFFF], found[pair >> 32].refused)
            numbers.append(SAME if text == NOTHING else self._payloads.number(text))
        left[rows] = np.array(numbers, np.int32)[of_row]
        return left

    def _judge(self, pictures: Numbers, wanted: Numbers, send: Numbers, over: npt.NDArray[np.bool_]) -> None:
        ids = self._ledger_ids
        met = len(self._payloads) - len(ids)
        if met:  # since then: the ledger has none of them
            ids = self._ledger_ids = np.append(ids, -np.ones(met, np.int32))
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
        of_row, places = as_numpy(encoded.indices), self._places(as_numpy(encoded.dictionary))
        send[rows] = self._send[places][of_row]
        over[rows] = self._over[places][of_row]

    def _forget(self) -> None:
        """Begin anew with pairs that were worked out, ascending; ``_send`` and ``_over`` have what came of each."""
        self._pairs, self._send, self._over = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, bool)

    def _places(self, distinct: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where pairs stand among those that were worked out; those that were not are worked out now."""
        if len(self._pairs) > PAIRS_KEPT_MAX:
            self._forget()
        places = np.searchsorted(self._pairs, distinct)
        unseen = distinct[self._pairs.take(places, mode="clip") != distinct] if len(self._pairs) else distinct
        if not len(unseen):
            return places
        unseen = np.sort(unseen)  # so that neighbours are read together
        found = [self._compare(unseen[part]) for part in steps(len(unseen), PAIRS_PER_STEP)]
        between = np.searchsorted(self._pairs, unseen)
        self._pairs = np.insert(self._pairs, between, unseen)
        self._send = np.insert(self._send, between, np.concatenate([send for send, _ in found]))
        self._over = np.insert(self._over, between, np.concatenate([over for _, over in found]))
        return np.searchsorted(self._pairs, distinct)

    def _compare(self, pairs: npt.NDArray[np.int64]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        payloads, moves = self._payloads, self._book.moves
        send, over = np.full(len(pairs), SAME, np.int32), np.zeros(len(pairs), bool)
        numbers = np.unique(pairs >> _BITS).tolist()
        texts = self._book.texts([number for number in numbers if number > 0])
        pictures = self._book.pictures([number for number in numbers if number not in texts])
        for place, pair in enumerate(pairs.tolist()):
            number, wanted = pair >> 32, payloads.data[pair & 0xFFFFFFFF]
            plain = texts.get(number)
            missing = missing_words(pictures[number].known if plain is None else plain, wanted)
            if plain is not None and not missing:  # as most are; what follows takes longer
                continue
            picture = pictures[number] if plain is None else Picture(plain)
            self.refused.update(refused_words(picture, wanted))
            text = delta(picture, wanted, moves, missing=missing)
            if text != NOTHING:
                send[place], over[place] = payloads.number(text), overwrites(picture, missing)
        return send, over
