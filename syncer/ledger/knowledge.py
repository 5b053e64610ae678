"""What the ledger knows of a code space when a plan is made: pictures under their stamps, open keys, wanted values.

The one place where stamps, open batches and codes to come are laid over the mirror: the plan, the audit and the
simulator's oracle all ask here. What always holds: nothing is written; a field that any of these may have changed is
never known.

Numbers of pictures that something lies over stand for themselves and what does (`Knowledge.pictures` resolves both);
they exist in memory alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger import proofs, reads, untaken
from syncer.ledger.apart import Apart
from syncer.ledger.bulk import key_blocks, key_look_ups, raw_cursor, state_blocks
from syncer.ledger.crossing import spaces_of_fields
from syncer.ledger.elsewhere import open_elsewhere
from syncer.ledger.ingested import coming
from syncer.ledger.pictures import moves_of, payload_texts, read_pictures, told_campaigns
from syncer.ledger.stamps import KnownSince, Stamps, places_of
from syncer.lifecycle.batch import OPEN, State
from syncer.mirror.elsewhere import OpenElsewhere
from syncer.mirror.picture import EVERY_FIELD, UNHEARD_OF, Picture, doubted, stamped
from syncer.mirror.words import fields_of, only, without
from syncer.model import Errand, KnownBlock, WantedBlock

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint

# SQLite cannot know how long a json_each() is, and would rather scan the whole state: CROSS JOIN fixes the order.
SCAN_FROM_KEYS = 50_000
"""With at least this many rows in the files, reading the whole mirror beats looking each key up."""
STAMPED = 1 << 30
"""Numbers below minus this stand for a picture and what lies over it."""
NOTHING_OVER = -1
"""Stands for the place in time of a value that no stamp lies over."""
_ITEMS = "FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1"
_OPEN = f"{_ITEMS} WHERE b.space_id = ?1 AND NOT b.split AND b.state IN ({', '.join(repr(s.value) for s in OPEN)})"
_IS_WANTED = f"b.space_id = ?1 AND NOT b.split AND (b.state = '{State.PLANNED.value}' OR b.wanted)"
_WANTED = f"""SELECT i.key, i.payload_id, i.source_id, i.line {_ITEMS}
    WHERE {_IS_WANTED} AND b.job_id = ?2 AND b.campaign IS ?3 AND b.unique_key = ?4"""
_MERGED = "EXISTS (SELECT 1 FROM item_origins o WHERE o.item_id = i.id)"
_LOOK_UP = "SELECT m.key, {columns} FROM json_each(?2) j CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = j.value"


class _Under(NamedTuple):
    """A picture, the place in time (and the job) that tells its stamps, and whether codes may come under its value."""

    picture: int
    settled: int = NOTHING_OVER
    counted: bool = False
    job: int = 0
    is_coming: bool = False


class Knowledge:
    """What one ledger knows of one code space. Use it inside one transaction: then it is of one moment."""

    def __init__(self, connection: Connection, space_id: int, disjoint: Disjoint | None = None) -> None:
        """``disjoint`` tells which jobs never reach the same codes, though they write the same fields."""
        self._connection = connection
        self._space_id = space_id
        self._disjoint = disjoint or {}
        self._apart = Apart(connection, self._disjoint)
        self._stamps = Stamps(connection, space_id, self._apart)
        self._coming = coming(connection, space_id)
        self._under: dict[_Under, int] = {}
        self._parts: dict[int, str] = {}
        self.moves = moves_of(connection)
        self.campaigns = told_campaigns(connection)
        self.taken = proofs.taken(connection)

    # ── known ────────────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, keys: pa.LargeStringArray) -> Iterator[KnownBlock]:
        """Stream the pictures of `keys` (or, when they are many, of all keys of the space)."""
        columns = ("picture", "batch_id") if self._stamps else ("picture",)
        if len(keys) >= SCAN_FROM_KEYS:
            for block, numbers in state_blocks(self._connection, self._space_id, columns):
                yield KnownBlock(block, self._under_coming(block, self._under_stamps(*numbers)), of_all=True)
            return
        statement = _LOOK_UP.format(columns=", ".join(f"m.{column}" for column in columns))
        for block, numbers in key_look_ups(self._connection, statement, [self._space_id], keys):
            yield KnownBlock(block, self._under_coming(block, self._under_stamps(*numbers)))

    def tally(self) -> dict[int, int]:
        """Count the values of the space by picture; codes to come are not laid over them."""
        import numpy as np

        columns = ("picture", "batch_id") if self._stamps else ("picture",)
        statement = "SELECT count(*), {0} FROM mirror WHERE space_id = ?1 GROUP BY {0}".format(", ".join(columns))
        rows = raw_cursor(self._connection).execute(statement, (self._space_id,)).fetchall()
        counts, *numbers = np.array(rows, np.int64).reshape(-1, 1 + len(columns)).T
        found: dict[int, int] = {}
        for number, count in zip(self._under_stamps(*numbers).tolist(), counts.tolist(), strict=True):
            found[number] = found.get(number, 0) + count
        return found

    @property
    def is_plain(self) -> bool:
        """Whether nothing lies over the mirror: what it says of a value is all that is known."""
        return not (self._stamps or self._coming)

    def _under_stamps(
        self, pictures: npt.NDArray[np.int64], batch_ids: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """Give other numbers to the pictures of values that are older than a stamp of their space."""
        if batch_ids is None:
            return pictures
        import numpy as np

        batches, of_row = np.unique(batch_ids, return_inverse=True)
        places = places_of(self._connection, batches.tolist())
        matter = [self._stamps.matters(places[batch]) or (NOTHING_OVER, False, 0) for batch in batches.tolist()]
        overs = np.array(matter, np.int64).reshape(-1, 3)[of_row]
        stale = np.flatnonzero(overs[:, 0] != NOTHING_OVER)
        if len(stale):
            columns = np.concatenate([pictures[stale, None], overs[stale]], axis=1)
            under, of_stale = np.unique(columns, axis=0, return_inverse=True)
            numbers = [self._number(_Under(*whole)) for whole in under.tolist()]
            pictures[stale] = np.array(numbers, np.int64)[of_stale.reshape(-1)]
        return pictures

    def _under_coming(self, keys: pa.LargeStringArray, pictures: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give other numbers to the pictures of values under which codes may come."""
        if not self._coming:
            return pictures
        import numpy as np
        import pyarrow.compute as pc

        from syncer.arrow import texts as as_texts

        meant = pc.is_in(keys, value_set=as_texts(sorted(self._coming)))
        plain = {number: under for under, number in self._under.items()}
        for row in np.flatnonzero(meant.to_numpy(zero_copy_only=False)).tolist():
            number = int(pictures[row])
            pictures[row] = self._number(plain.get(number, _Under(number))._replace(is_coming=True))
        return pictures

    def _number(self, under: _Under) -> int:
        """Return the number that stands for a picture and what lies over it."""
        return self._under.setdefault(under, -STAMPED - 1 - len(self._under))

    def pictures(self, numbers: Iterable[int]) -> dict[int, Picture]:
        """Return pictures by the numbers that `known` gave for them."""
        wanted = list(numbers)
        if not self._under:
            return read_pictures(self._connection, wanted)
        known = {number: under for under, number in self._under.items()}
        plain = {number: known.get(number, _Under(number)) for number in wanted}
        found = read_pictures(self._connection, {under.picture for under in plain.values()})
        resolved = {}
        for asked, under in plain.items():
            picture = found[under.picture]
            if under.settled != NOTHING_OVER:
                picture = self._stamps.laid_over(picture, KnownSince(under.settled, bool(under.counted), under.job))
            resolved[asked] = stamped(picture, [EVERY_FIELD]) if under.is_coming else picture
        return resolved

    def stored(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the numbers under which the ledger itself has the pictures."""
        if not self._under:
            return numbers
        import numpy as np

        real = np.array([0, *(under.picture for under in self._under)], np.int32)
        return np.where(numbers < -STAMPED, real[np.maximum(-numbers - STAMPED, 0)], numbers).astype(np.int32)

    def view(self, keys: Iterable[str]) -> dict[str, Picture]:
        """Return what is known of each key, with stamps, codes to come and open batches laid over the mirror."""
        wanted = set(keys)
        statement = _LOOK_UP.format(columns="m.picture, m.batch_id")
        chosen = json.dumps(sorted(wanted), ensure_ascii=False)
        rows = raw_cursor(self._connection).execute(statement, (self._space_id, chosen)).fetchall()
        pictures = read_pictures(self._connection, {picture for _, picture, _ in rows})
        places = places_of(self._connection, {batch for *_, batch in rows})
        found = {key: self._stamps.laid_over(pictures[picture], places[batch]) for key, picture, batch in rows}
        for key in self._coming & found.keys():
            found[key] = stamped(found[key], [EVERY_FIELD])
        for key in wanted & self._open_texts.keys():
            found[key] = doubted(found.get(key, UNHEARD_OF), self._open_texts[key], self.moves)
        others, names = self.elsewhere(unsent=False), self.job_names
        by = {key: names.get(places[batch].job, "") for key, _, batch in rows}
        for other in others:
            for key in [key for key in found if by.get(key, "") not in other.apart]:
                found[key] = other.laid_over(found[key], self._own_key)
        return found

    @cached_property
    def job_names(self) -> dict[int, str]:
        """The names of all jobs, by their ids."""
        return {job.id: job.name for job in reads.jobs(self._connection)}

    @cached_property
    def _own_key(self) -> frozenset[str]:
        return frozenset(spaces_of_fields(raw_cursor(self._connection))[self._space_id].key)

    @cached_property
    def _open_texts(self) -> dict[str, str]:
        """What open batches carry, by key."""
        statement = f"SELECT i.key, p.data {_OPEN.replace(' WHERE', ' JOIN payloads p ON p.id = i.payload_id WHERE')}"
        return dict(raw_cursor(self._connection).execute(statement, (self._space_id,)).fetchall())

    # ── open and wanted ──────────────────────────────────────────────────────────────────────────────────────────

    def open_keys(self) -> Iterator[pa.LargeStringArray]:
        """Stream the keys whose batch may have reached the API, or still may: their newer rows are held back."""
        for block, _ in key_blocks(self._connection, f"SELECT i.key {_OPEN}", [self._space_id]):
            yield block

    def elsewhere(self, *, unsent: bool) -> list[OpenElsewhere]:
        """Return what other code spaces have open, and may reach the same codes (`open_elsewhere`)."""
        return open_elsewhere(self._connection, self._space_id, self._apart, unsent=unsent)

    def wanted(self) -> Iterator[WantedBlock]:
        """Stream the newest words that are not known to be held, as earlier plans left them: whose errand each is too.

        A key may stand more than once; the greater source is the newer word.
        """
        cursor = raw_cursor(self._connection)
        errands = cursor.execute(
            f"SELECT DISTINCT b.job_id, b.campaign, b.unique_key FROM batches b WHERE {_IS_WANTED} ORDER BY 1, 2, 3",
            (self._space_id,),
        ).fetchall()
        merged = cursor.execute("SELECT EXISTS (SELECT 1 FROM item_origins)").fetchone()[0]
        for job_id, campaign, unique in errands:
            errand = Errand(job_id, campaign, bool(unique))
            parameters = [self._space_id, *errands[errands.index((job_id, campaign, unique))]]
            whole = f"{_WANTED} AND NOT {_MERGED}" if merged else _WANTED
            for keys, (ids, source_ids, lines) in key_blocks(self._connection, whole, parameters):
                yield WantedBlock(keys, ids, source_ids, lines, errand)
            if merged:
                yield from self._merged(parameters, errand)

    def _merged(self, parameters: Sequence[object], errand: Errand) -> Iterator[WantedBlock]:
        """Take apart what several files said of one value: each field keeps its own file and line."""
        from syncer.arrow import texts as as_texts

        cursor = raw_cursor(self._connection)
        statement = _WANTED.replace("SELECT i.key", "SELECT i.id, i.key") + f" AND {_MERGED}"
        rows: list[tuple[str, int, int, int]] = []
        for item_id, key, payload_id, source_id, line in cursor.execute(statement, parameters).fetchall():
            text = payload_texts(self._connection, [payload_id])[payload_id]
            found = "SELECT source_id, line, fields FROM item_origins WHERE item_id = ?"
            origins = [(s, n, json.loads(fields)) for s, n, fields in cursor.execute(found, (item_id,)).fetchall()]
            older = {field for *_, fields in origins for field in fields}
            parts = [(only(text, fields), source, number) for source, number, fields in origins]
            parts.append((without(text, older), source_id, line))
            rows += [(key, self._part(part), source, number) for part, source, number in parts if fields_of(part)]
        if rows:
            import numpy as np

            keys, ids, sources, lines = zip(*rows, strict=True)
            columns = (np.array(ids, np.int64), np.array(sources, np.int64), np.array(lines, np.int64))
            yield WantedBlock(as_texts(keys), *columns, errand)

    def untaken(self, fields: Collection[str]) -> Iterator[WantedBlock]:
        """Stream a few values that did not take some fields: one of them has to ask whether they are taken by now."""
        from syncer.arrow import texts as as_texts

        about = self._space_id, fields, self.campaigns, self._disjoint
        for key, word, errand in untaken.examples(self._connection, *about):
            import numpy as np

            part, source, line = (np.array([n]) for n in (self._part(word.text), word.source_id, word.line))
            yield WantedBlock(as_texts([key]), part, source, line, errand)

    def _part(self, text: str) -> int:
        number = -1 - len(self._parts)
        self._parts[number] = text
        return number

    def texts(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the canonical texts of payloads by the ids that `wanted` gave for them."""
        wanted = list(ids)
        found = payload_texts(self._connection, [number for number in wanted if number > 0])
        found.update((number, self._parts[number]) for number in wanted if number < 0)
        return found
