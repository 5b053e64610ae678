"""What the ledger knows against what the files say: which keys are new, changed, unchanged, or held.

The ledger's side comes as blocks of columns, streamed past; the files' side is the sorted hashes of `KeyGroups`. What
earlier plans want and no row names is *carried*: judged as rows are. The order: known, open and wanted blocks, in any
order; then `settle`, once; then everything else may be asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from syncer.arrow import distinct_numbers, numbers
from syncer.mirror.elsewhere import OpenElsewhere
from syncer.mirror.picture import PRODUCT, campaign_in
from syncer.mirror.words import NOTHING, value_of
from syncer.model import Errand, KnownBlock, Origins, WantedBlock, shown_key
from syncer.plan.merging import Merger, OlderWords
from syncer.plan.records import Records, rejected_rows
from syncer.plan.states import SAME, Deltas, EmptyBook, KeyStates, PictureBook
from syncer.rejections import BLOCK_ROWS, RejectionCause, Rejections

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.plan.keys import KeyGroups

CONFLICT_CODE = "E210"
"""One key, different data (docs/rejections.md)."""
ABSENT_MAX = 100_000
"""Known keys without a row that are kept, for the guard on damaged keys."""
NOT_TOLD = -1
"""In place of a campaign: the data names no product."""
TONIGHT = np.iinfo(np.int64).max
"""In place of the source of a word that a row names: no other is newer."""
PROBES_MIXED = 2
"""Keys that ask for a field of one campaign, where some values take it: one more proves nothing of the others."""
LINES_NAMED_MAX = 10
"""Lines that one message names before it says how many more there are."""


class Standing(IntEnum):
    """What a key's rows mean, compared with the ledger."""

    NEW = 0
    CHANGED = 1
    UNCHANGED = 2
    HELD = 3
    CONFLICT = 4


class Side:
    """Some distinct keys with what is wanted for them, judged: the rows of the files, or the carried values.

    What has no value in the beginning is set when the comparison is settled.
    """

    wanted: npt.NDArray[np.int32]
    """Per group, the number of the payload that is wanted: older words under the row's."""
    send: npt.NDArray[np.int32]
    """Per group, the number of the payload that has to be sent; `SAME`: none."""
    overwrites: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    absent: npt.NDArray[np.bool_]
    origins: Origins

    def __init__(self, keys: pa.LargeStringArray) -> None:
        self.keys = keys
        self.states = KeyStates(keys)
        self.left_out: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        """Per group, the number of the payload that is wanted and was not taken; `SAME`: none. Empty: of no group."""
        self.probes = np.zeros(0, np.int64)
        """Groups whose whole wanted data is sent, to ask whether fields are taken by now."""
        self.campaign: npt.NDArray[np.int32] = np.zeros(len(self.states.groups), np.int32)
        """Per group, the campaign that its product tells; 0: none does, or it makes no difference."""

    def judge(self, deltas: Deltas, book: PictureBook) -> None:
        """Work out what has to be sent, once everything is known and wanted."""
        self.send, self.overwrites = deltas.of(self.states.picture, self.wanted)
        self.known, self.absent = self.states.kinds(book)


class Carried(Side):
    """Values that earlier plans want and no row names: their newest words, and where these came from."""

    def __init__(self, blocks: Sequence[tuple[WantedBlock, npt.NDArray[np.int32]]]) -> None:
        super().__init__(pa.concat_arrays([block.keys for block, _ in blocks]))
        payload = np.concatenate([numbers_ for _, numbers_ in blocks])
        columns = [np.concatenate([getattr(block, name) for block, _ in blocks]) for name in ("source_ids", "lines")]
        rows = OlderWords(self.states.groups.of_rows().astype(np.int64), payload, *columns)
        newest, ranks = rows.newest_first()
        heads = newest.taken(np.flatnonzero(ranks == 0))
        self.older = newest.taken(np.flatnonzero(ranks > 0))
        self.wanted, self.source_id, self.line = heads.payload, heads.source_id, heads.line
        self.errands: list[Errand] = list(dict.fromkeys(block.errand for block, _ in blocks))
        of_row = np.concatenate([np.full(len(block.keys), self.errands.index(block.errand)) for block, _ in blocks])
        order = np.lexsort((-rows.source_id, rows.group))
        self.errand = of_row[order][np.append(True, np.diff(rows.group[order]) > 0)[: len(order)]]


class Diff:
    """Compares the records of a run with the ledger, block by block.

    ``ledger_ids[n]`` is the ledger's id of payload *n*, -1 when the ledger has never seen that data.
    """

    def __init__(self, records: Records, ledger_ids: npt.NDArray[np.int64], book: PictureBook | None = None) -> None:
        self.records = records
        self.rows = Side(records.keys)
        self.carried: Carried | None = None
        self._book = book or EmptyBook()
        self._deltas = Deltas(records.payloads, ledger_ids, self._book)
        self._merger = Merger(records.payloads)
        self._conflict = self.groups.differing(records.payload)
        self._older: list[OlderWords] = []
        self._left: list[tuple[WantedBlock, npt.NDArray[np.int32]]] = []
        self.absent: list[pa.LargeStringArray] | None = None
        """The known keys that no row names, in blocks; None where they were not seen, or are too many."""
        self._absent_keys = 0
        self._elsewhere: list[OpenElsewhere] = []
        self._own_key: Sequence[str] = ()
        self._own_job = ""
        self._jobs: Mapping[int, str] = {}

    @property
    def groups(self) -> KeyGroups:
        """The distinct keys of the rows."""
        return self.rows.states.groups

    def see_known(self, block: KnownBlock) -> None:
        """Take a block of the mirror."""
        hits = self.rows.states.see_known(block)
        if block.of_all and self._absent_keys <= ABSENT_MAX:
            self._see_absent(block, np.flatnonzero(~hits))

    def _see_absent(self, block: KnownBlock, rows: npt.NDArray[np.int64]) -> None:
        """Keep known keys that no row names, as long as they are few: such a file is a full export."""
        self._absent_keys += len(rows)
        if self._absent_keys > ABSENT_MAX:
            self.absent = None
            return
        self.absent = self.absent or []
        if len(rows):
            self.absent.append(block.keys.take(numbers(rows)))

    def see_open(self, keys: pa.LargeStringArray) -> None:
        """Take keys whose earlier batch may still reach the API: their rows are held back."""
        self.rows.states.see_open(keys)

    def see_elsewhere(
        self, found: Sequence[OpenElsewhere], own_key: Sequence[str], own_job: str, jobs: Mapping[int, str]
    ) -> None:
        """Take what other code spaces have open: what may meet it waits.

        ``own_job`` names the job of the rows, ``jobs`` by their ids those whose words are carried.
        """
        self._elsewhere, self._own_key = list(found), own_key
        self._own_job, self._jobs = own_job, jobs

    def see_wanted(self, block: WantedBlock, texts: Callable[[Iterable[int]], dict[int, str]]) -> None:
        """Take values that earlier plans want; ``texts`` gives their data. What a valid row names anew is dropped.

        A key whose rows contradict each other is not sent from this file; the earlier, valid data still is.
        """
        payloads = self.records.payloads
        ids, of_row = np.unique(block.payload_ids, return_inverse=True)
        data = texts(ids.tolist())
        payload = np.array([payloads.number(data[one]) for one in ids.tolist()], np.int32)[of_row]
        found = self.groups.find(block.keys)
        named = np.flatnonzero((found >= 0) & ~self._conflict[found]) if len(self.groups) else found[:0]
        newer = self.records.payload[self.groups.leaders_of(found[named])]
        stays = named[~self._merger.covered(payload[named], newer)]
        if len(stays):
            self._older.append(OlderWords(found[stays], payload[stays], block.source_ids[stays], block.lines[stays]))
        left = np.ones(len(found), bool)
        left[named] = False
        rows = np.flatnonzero(left)
        if len(rows):
            columns = (block.payload_ids[rows], block.source_ids[rows], block.lines[rows])
            self._left.append((WantedBlock(block.keys.take(numbers(rows)), *columns, block.errand), payload[rows]))

    def carry(self) -> Carried | None:
        """Return the values that no row names; the ledger's known and open blocks of them are to be shown to it."""
        self.carried = Carried(self._left) if self._left else None
        return self.carried

    def settle(self) -> None:
        """Lay the rows over older words and work out what has to be sent: everything was seen."""
        rows_say = self.groups.of_leaders(self.records.payload)
        self.rows.wanted, self.rows.origins = self._merger.lay_over(OlderWords.joined(self._older), rows_say)
        self._hold(self.rows, np.broadcast_to(np.int64(TONIGHT), len(self.groups)))
        self.rows.judge(self._deltas, self._book)
        self._tell_campaigns(self.rows)
        if self.carried is not None:
            carried = self.carried
            carried.wanted, carried.origins = self._merger.lay_over(carried.older, carried.wanted)
            self._hold(self.carried, self.carried.source_id)
            self.carried.judge(self._deltas, self._book)
            self._tell_campaigns(self.carried)
        self._choose_probes()

    def _hold(self, side: Side, source_id: npt.NDArray[np.int64]) -> None:
        """Hold the keys whose words may meet older ones that another code space has open; no word holds nothing."""
        data = self.records.payloads.data
        for one in self._elsewhere:
            meets = self._newer(one, side, source_id) & self._may_meet(one, side)
            if one.by:
                pictures = self._book.pictures(np.unique(side.states.picture[meets]).tolist())
                known = {number: value_of(picture.known, one.by) for number, picture in pictures.items()}
                linked = [number for number, value in known.items() if value is None or value in one.values]
                meeting = np.unique(side.wanted[meets]).tolist()
                into = [number for number in meeting if value_of(data[number], one.by) in one.values]
                meets &= np.isin(side.states.picture, linked) | np.isin(side.wanted, into)
            side.states.held |= meets
        blank = self.records.payloads.known_number(NOTHING)
        if blank is not None:
            side.states.held &= side.wanted != blank

    def _may_meet(self, one: OpenElsewhere, side: Side) -> npt.NDArray[np.bool_]:
        """Tell whose words are of a job that may reach the codes of what another code space has open."""
        if isinstance(side, Carried):
            may_meet = [self._jobs.get(errand.job_id) not in one.apart for errand in side.errands]
            of_value: npt.NDArray[np.bool_] = np.array(may_meet, bool)[side.errand]
            return of_value
        return np.broadcast_to(np.bool_(self._own_job not in one.apart), len(side.states.groups))

    def _newer(self, one: OpenElsewhere, side: Side, source_id: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell whose words, each as old as its own source, may meet what another code space has open."""
        named = self.records.payloads.named()
        lists = named.of[side.wanted]
        newer = np.zeros(len(lists), bool)
        for source in np.unique(source_id).tolist():
            held = [one.holds(self._own_key, dict.fromkeys(fields, source)) for fields in named.lists]
            newer |= np.array(held, bool)[lists] & (source_id == source)
        origins, older = side.origins, defaultdict[int, dict[str, int]](dict)
        for place in np.flatnonzero(newer[origins.row]).tolist():
            fields = origins.names[int(origins.fields[place])]
            older[int(origins.row[place])].update(dict.fromkeys(fields, int(origins.source_id[place])))
        for group, words in older.items():
            own = dict.fromkeys(named.lists[int(lists[group])], int(source_id[group]))
            newer[group] = one.holds(self._own_key, own | words)
        return newer

    def _choose_probes(self) -> None:
        """Note what was not taken, and choose a few keys per campaign and field: they ask whether it is by now."""
        if not self._deltas.refused:
            return
        asked = Counter[tuple[int, str]]()
        for side in (self.rows, self.carried) if self.carried is not None else (self.rows,):
            side.left_out = self._deltas.left_out(side.states.picture, side.wanted)
            free = (side.left_out != SAME) & ~side.states.held
            if side is self.rows:
                free &= ~self._conflict
            for field, refusing in self._deltas.refusing(side.states.picture, self._deltas.refused).items():
                asks = free & np.isin(side.states.picture, refusing)
                asks &= self.records.payloads.named().any_of([field])[side.wanted]
                mixed = side.states.groups.by_hash  # neighbours in a file may be of one campaign that nothing tells
                for campaign in np.unique(side.campaign[asks]).tolist():
                    most = PROBES_MIXED if field in self._book.taken else 1
                    places = mixed[(asks & (side.campaign == campaign))[mixed]][: most - asked[campaign, field]]
                    asked[campaign, field] += len(places)
                    side.probes = np.union1d(side.probes, places)

    def _tell_campaigns(self, side: Side) -> None:
        """Work out of which campaign each key is: its product tells, the one that is wanted or the one that it has."""
        campaigns, payloads = self._book.campaigns, self.records.payloads
        if campaigns is None:
            return
        of_payload = np.full(len(payloads), NOT_TOLD, np.int32)
        for number in distinct_numbers(side.wanted):
            product = value_of(payloads.data[number], PRODUCT)
            if product is not None:
                of_payload[number] = campaigns(product) or 0
        side.campaign = of_payload[side.wanted]
        asking = np.flatnonzero(side.campaign == NOT_TOLD)
        numbers_, of_row = np.unique(side.states.picture[asking], return_inverse=True)
        pictures = self._book.pictures(numbers_.tolist())
        found = [campaign_in(pictures[number], NOTHING, campaigns) or 0 for number in numbers_.tolist()]
        side.campaign[asking] = np.array(found, np.int32)[of_row]

    @property
    def told_campaigns(self) -> list[int]:
        """The campaigns that products tell; 0: of some values none does."""
        if self._book.campaigns is None:
            return [0]
        sides = [side for side in (self.rows, self.carried) if side is not None]
        return sorted({0}.union(*(distinct_numbers(side.campaign) for side in sides)))

    @property
    def refused_fields(self) -> tuple[str, ...]:
        """Fields that rows name, and that the API did not take when they were last sent."""
        return tuple(sorted(self._deltas.refused))

    def store_pictures(self, stored: Callable[[npt.NDArray[np.int32]], npt.NDArray[np.int32]]) -> None:
        """Go over to the numbers under which the ledger has the pictures, once nobody asks for their content."""
        for side in (self.rows, self.carried):
            if side is not None:
                side.states.picture = stored(side.states.picture)

    def verdicts(self) -> npt.NDArray[np.uint8]:
        """Return the `Standing` of each key group."""
        verdicts = np.full(len(self.groups), Standing.NEW, np.uint8)
        verdicts[self.rows.known] = Standing.CHANGED
        verdicts[self.rows.send == SAME] = Standing.UNCHANGED
        verdicts[self.rows.states.held] = Standing.HELD
        verdicts[self._conflict] = Standing.CONFLICT
        return verdicts

    def new_leaders(self) -> npt.NDArray[np.int32]:
        """Return the first row of each key that the mirror does not have, and that no open batch holds."""
        return self.groups.leaders_of(np.flatnonzero(~self._there() & ~self.rows.states.held).astype(np.int32))

    def _there(self) -> npt.NDArray[np.bool_]:
        """Tell which of the files' keys the mirror has, and not as absent: what is uncertain of them is no matter."""
        there: npt.NDArray[np.bool_] = (self.rows.states.picture != 0) & ~self.rows.absent
        return there

    @property
    def known_keys(self) -> int:
        """How many of the files' keys the mirror has, though all of their fields may be uncertain."""
        return int(self._there().sum())

    @property
    def absent_keys(self) -> int:
        """How many of the files' keys matched no code when they were last asked for."""
        return int(self.rows.absent.sum())

    @property
    def overwritten(self) -> npt.NDArray[np.bool_]:
        """Which of the files' keys would get another value in a field that is known."""
        overwritten: npt.NDArray[np.bool_] = self.rows.overwrites & (self.verdicts() == Standing.CHANGED)
        return overwritten

    def conflicts(self, names: Sequence[str]) -> Rejections:
        """Reject every row of each key that stands with different data; each message names all its lines."""
        if not self._conflict.any():
            return Rejections.together([])
        rows, sizes = self.groups.rows_of(self._conflict)
        ends = np.append(0, np.cumsum(sizes))
        steps = range(0, len(sizes), BLOCK_ROWS)
        parts = [(ends[n : n + BLOCK_ROWS + 1], sizes[n : n + BLOCK_ROWS]) for n in steps]
        return Rejections.together([self._conflicting(rows[of[0] : of[-1]], of_each, names) for of, of_each in parts])

    def _conflicting(
        self, rows: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], names: Sequence[str]
    ) -> Rejections:
        """Reject the rows of some groups, which lie group by group; ``sizes`` are the numbers of rows of each."""
        records, causes, begin = self.records, list[RejectionCause](), 0
        keys = records.keys.take(numbers(rows[np.cumsum(sizes) - sizes])).to_pylist()
        for key, size in zip(keys, sizes.tolist(), strict=True):
            named = rows[begin : begin + min(size, LINES_NAMED_MAX)]
            places = [
                f"{names[source]}:{line}"
                for source, line in zip(records.source[named].tolist(), records.line[named].tolist(), strict=True)
            ]
            more = f" and {size - LINES_NAMED_MAX} more" if size > LINES_NAMED_MAX else ""
            words = f"key {shown_key(key)!r} stands with different data on {', '.join(places)}{more}: leave one of them"
            causes.append(RejectionCause(CONFLICT_CODE, words))
            begin += size
        return rejected_rows(records, rows, np.repeat(np.arange(len(causes)), sizes), causes)
