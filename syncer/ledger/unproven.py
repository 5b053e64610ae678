"""Values whose fields nobody proved: what a count confirmed, and no names ever showed to be taken.

A count says that codes were affected, not that every field was taken. What sync calls do not name is read back: this
module says which few values to read, and records what was seen. Of a field that was taken in another run, and that no
answer of this one named, a value of each campaign is read: an administrator may have taken the field away.

What always holds: reads choose among values that the
mirror calls known (or refused: they ask whether they are taken by now); a field that was read back and is not there is
refused for all values of its campaign that were confirmed by counts alone.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from syncer.ledger import counted, proofs
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.endings import told_until
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.known_keys import earlier_words
from syncer.ledger.mirror import forget_steps
from syncer.ledger.pictures import payload_texts, read_pictures, told_campaigns
from syncer.mirror.picture import PRODUCT, UNHEARD_OF, campaign_in
from syncer.mirror.words import NOTHING, fields_of, value_of
from syncer.model import KEY_SEPARATOR, SPECIAL_FIELDS, UNIQUE_KEYS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.values import Run
    from syncer.mirror.picture import Campaigns, Picture

BATCHES_LOOKED_AT = 200
"""Confirmed batches among which values are chosen, spread over all."""
OF_A_KIND = 3
"""Values that are read back for a field of one campaign and product."""
VALUES_MAX = 20
"""Values that are read back at all, in one run."""
TAKERS_MIN = 2
"""Values that have to hold a field that others of their campaign did not take, before all are asked again."""
_CONFIRMED = "state IN ('confirmed', 'mismatched') AND NOT split"
# Of a batch that an archive holds whole no value is left to be chosen.
_ALL = f"""
SELECT id, first_item_id, size, kind FROM batches b WHERE job_id = ? AND {_CONFIRMED}
AND EXISTS (SELECT 1 FROM items i WHERE i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1) ORDER BY id DESC
"""
_NEXT_TO = """
SELECT coalesce(
    (SELECT min(i.id) FROM items i WHERE i.id BETWEEN p.place AND p.last),
    (SELECT max(i.id) FROM items i WHERE i.id BETWEEN p.first AND p.place))
FROM (SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS place,
             json_extract(value, '$[2]') AS last FROM json_each(?) ORDER BY key) p
"""
_ENDED_SINCE = f"""
SELECT id, first_item_id, size, kind FROM batches WHERE id IN (SELECT batch_id FROM events WHERE id > ?1)
AND job_id = ?2 AND settled > ?1 AND {_CONFIRMED} ORDER BY id DESC
"""
# What a run that was stopped sent, nobody read back: those since the job's last run that came to its end.
_FIRST_UNREAD = """
SELECT coalesce(min(id), ?2) FROM runs WHERE job_id = ?1 AND id < ?2 AND id > (
    SELECT coalesce(max(id), 0) FROM runs WHERE job_id = ?1 AND id < ?2 AND ended_at IS NOT NULL AND error IS NULL)
"""
_LAST_EVENT_BEFORE = "SELECT id FROM events WHERE run_id < ? ORDER BY id DESC LIMIT 1"
_ITEMS = f"""
SELECT i.id, i.key, i.payload_id, i.before_id, b.kind, {counted.BEGUN_BEFORE}
FROM json_each(?2) j CROSS JOIN items i ON i.id = j.value JOIN batches b ON b.id = i.batch_id
"""
_PROBES = f"""
SELECT i.id FROM batches b CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
JOIN mirror m ON m.space_id = b.space_id AND m.key = i.key JOIN pictures q ON q.id = -m.picture
WHERE b.run_id = ? AND b.settled > ? AND b.{_CONFIRMED} AND q.refused <> '[]' LIMIT {BATCHES_LOOKED_AT}
"""


@dataclass(frozen=True, slots=True)
class Unproven:
    """One value to be read back: its key, the campaign that its product tells, and what it should hold."""

    item_id: int
    key: str
    told: int | None
    product: str | None
    words: Mapping[str, str]
    """By field that nobody proved, the value that it was given; none is blank."""
    unheard_of: bool = False
    """Whether nothing was known of the value before: its campaign may be another than that of all others."""
    proven: frozenset[str] = frozenset()
    """Those of the fields that their campaign was seen to take, in another run, and this value did not refuse."""
    is_older: bool = False
    """Whether another process sent it, and nobody has read back since: names of this one prove nothing of it."""
    uncertain: frozenset[str] = frozenset()
    """Those of the fields that something else may have written since."""
    earlier: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By field, all that the value was given before, the newest word last."""
    heard_of: frozenset[str] = frozenset()
    """Those of the fields that values of the campaign took or refused before."""
    refused: frozenset[str] = frozenset()
    """Those of the fields that the value had refused when it was planned."""

    def repeats(self, name: str) -> bool:
        """Tell whether the value may have held this word of a field before: that it holds it proves nothing.

        The last word before is another matter where that was refused: it was not held.
        """
        given = self.earlier.get(name, ())
        held = given[:-1] if name in self.refused else given
        return name in self.heard_of and self.words[name] in held


@dataclass(slots=True)
class ValuesSeen:
    """What was read back, of the values of one campaign (None: no product tells it)."""

    taken: set[str] = field(default_factory=set)
    refused: dict[int, set[str]] = field(default_factory=dict)
    """By item, fields that its codes do not hold."""
    accepted: dict[int, set[str]] = field(default_factory=dict)
    """By item, fields that its codes hold."""


def unproven(
    connection: Connection,
    run: Run,
    fields: Collection[str] | None,
    named: Mapping[int | None, Collection[str]],
    declared: Collection[str],
    begun: int,
    disjoint: Disjoint,
) -> list[Unproven]:
    """Return values to be read back after a run, the most telling first; none where all fields are proven.

    ``fields`` are those that rows name, and earlier batches are looked at for them, too; None: what the run sent.
    ``named`` are fields that answers of the run named as taken, by campaign; ``declared``: those that ``known_fields``
    vouches for; ``begun``: the last event before this process began.
    """
    campaigns = told_campaigns(connection)
    names = {run.campaign or proofs.UNKNOWN_CAMPAIGN}
    if campaigns is not None:
        rows = raw_cursor(connection).execute("SELECT DISTINCT campaign FROM products WHERE campaign IS NOT NULL")
        names.update(campaign for (campaign,) in rows.fetchall())
    taken = {campaign: {name for name, is_taken in proofs.read(connection, campaign).items() if is_taken}
             for campaign in names}  # fmt: skip
    if not run.unique:  # of a value of many codes an answer names what any of them took
        named = {}
    asks_of_fresh = run.campaign is None and (len(run.job.key) > 1 or run.job.key[0] not in UNIQUE_KEYS)
    ever_refused = proofs.refusing(connection, ever=True)
    looked = _Looked(
        fields,
        taken,
        {campaign: taken[campaign].intersection((*declared, *named.get(campaign or None, ()))) for campaign in names},
        frozenset(declared),
        begun,
        disjoint,
        fresh=asks_of_fresh, ever_refused=ever_refused,
        earlier=fields is not None and not all(taken[one] >= set(fields) for one in names),
    )  # fmt: skip
    few = _few([*_chosen(connection, run, campaigns, looked)], told=run.campaign is not None)
    earlier = earlier_words(connection, run.job.space_id, [(one.key, one.item_id) for one in few])
    return [replace(one, earlier=_earlier(one, earlier.get(one.key, {}))) for one in few]


def _earlier(one: Unproven, words: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return what a value was given before, by field; of one that is uncertain another key's word proves nothing."""
    return {name: given for name, given in words.items() if name not in one.uncertain}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What values are looked for; ``taken`` and ``named`` are fields that a campaign took: ever, and in this run."""

    fields: Collection[str] | None
    taken: Mapping[int, Collection[str]]
    named: Mapping[int, Collection[str]]
    declared: frozenset[str]
    begun: int
    disjoint: Disjoint
    fresh: bool
    ever_refused: Mapping[int | None, Collection[str]]
    earlier: bool
    """Whether earlier batches are looked at, too."""


def _chosen(
    connection: Connection,
    run: Run,
    campaigns: Campaigns | None,
    looked: _Looked,
) -> Iterator[Unproven]:
    cursor = raw_cursor(connection)
    since = _last_read_back(connection, run)
    ids = _spread_items(cursor, cursor.execute(_ENDED_SINCE, (since, run.job.id)).fetchall())
    if looked.ever_refused:
        ids += [item for (item,) in cursor.execute(_PROBES, (run.id, since)).fetchall()]
    tonight = {*ids}
    if looked.earlier:
        ids += _spread_items(cursor, cursor.execute(_ALL, (run.job.id,)).fetchall())
    rows = cursor.execute(_ITEMS, (looked.begun, json.dumps(list(dict.fromkeys(ids))))).fetchall()
    views = Knowledge(connection, run.job.space_id, looked.disjoint).view(key for _, key, *_ in rows)
    texts = payload_texts(connection, {payload for _, _, payload, *_ in rows})
    before = read_pictures(connection, {number for *_, number, _, _ in rows})
    for item, key, payload, before_id, kind, begun_before in rows:
        picture, sent = views.get(key, UNHEARD_OF), texts[payload]
        told = None if campaigns is None else campaign_in(picture, sent, campaigns)
        campaign = told or run.campaign or proofs.UNKNOWN_CAMPAIGN
        taken, tonights, over = looked.taken.get(campaign, ()), item in tonight, before[before_id]
        is_older = tonights and bool(begun_before)
        proven = taken if not tonights else looked.named.get(campaign, ())
        if is_older:
            proven = looked.declared.intersection(taken)
        is_fresh = looked.fresh and told is None and kind == "async" and tonights and over.known == NOTHING
        words = {
            name: value
            for name, value in _words(picture, sent, retried=tonights, is_older=is_older)
            if (looked.fields is None or name in looked.fields)
            and (is_fresh or name in picture.refused or name not in proven)
        }
        if words:
            product = value_of(picture.known, PRODUCT)
            again = frozenset() if is_older else frozenset(taken).intersection(words).difference(picture.refused)
            unsure = frozenset(picture.uncertain).intersection(words)
            heard_of = frozenset(words).intersection((*taken, *looked.ever_refused.get(told, ())))
            yield Unproven(
                item, key, told, product, words, is_fresh, again, is_older, unsure,
                heard_of=heard_of, refused=frozenset(over.refused).intersection(words),
            )  # fmt: skip


def _last_read_back(connection: Connection, run: Run) -> int:
    """Return the last event after which nothing that ended was read back; 0: that is all there is."""
    if run.ended_at is not None and run.error is None:  # it read back then; what it is resumed for ended since
        return told_until(connection)
    cursor = raw_cursor(connection)
    first = cursor.execute(_FIRST_UNREAD, (run.job.id, run.id)).fetchone()
    row = cursor.execute(_LAST_EVENT_BEFORE, first).fetchone()
    return row[0] if row is not None else 0


def _words(picture: Picture, sent: str, *, retried: bool, is_older: bool) -> Iterator[tuple[str, str]]:
    """Yield what a value should hold: what is known, and what was sent once more of fields that it had refused.

    ``is_older``: of fields that are uncertain by now, too. Who lacks one never had it, whoever wrote it since.
    """
    for name in fields_of(sent):
        asks = (retried and name in picture.refused) or (is_older and name in picture.uncertain)
        value = value_of(picture.known, name) or (value_of(sent, name) if asks else None)
        if value and name not in SPECIAL_FIELDS:
            yield name, value


def _spread_items(cursor: sqlite3.Cursor, batches: Sequence[tuple[int, int, int, str]]) -> list[int]:
    """Return the first, middle and last items of some batches, spread over all; where one was moved, the next to it."""
    step = max(1, -(-len(batches) // BATCHES_LOOKED_AT))
    places = [
        (first, place, first + size - 1)
        for _, first, size, _ in batches[::step]
        for place in (first, first + size // 2, first + size - 1)
    ]
    rows = cursor.execute(_NEXT_TO, (json.dumps(places),)).fetchall()
    return [item_id for (item_id,) in rows if item_id is not None]


def _few(found: Sequence[Unproven], *, told: bool) -> list[Unproven]:
    """Return few of many values: some for each field of each campaign and product, from all over.

    Of a field that was taken in another run one is enough, where anybody tells the campaign; ``told``: the job does.
    """
    asked: Counter[tuple[object, ...]] = Counter()
    few: list[Unproven] = []
    for place in _halving(len(found)):
        one = found[place]
        again = frozenset[str]() if one.unheard_of else one.proven
        alike = (one.product, one.unheard_of, one.is_older)
        kinds = {name: (one.told, name in again or alike, name) for name in one.words}
        enough = 1 if told or one.told is not None else OF_A_KIND
        needed = [name for name, kind in kinds.items() if asked[kind] < (enough if name in again else OF_A_KIND)]
        if needed and len(few) < VALUES_MAX:
            few.append(one)
            asked.update(kinds.values())
    return few


def _halving(count: int) -> Iterator[int]:
    """Yield the places 0…count-1: the ends first, then what lies half-way between any two, and so on."""
    seen = set[int]()
    parts = 1
    while len(seen) < count:
        for number in range(parts + 1):
            place = number * (count - 1) // parts
            if place not in seen:
                seen.add(place)
                yield place
        parts *= 2


def record(
    connection: Connection, run: Run, seen: Mapping[int | None, ValuesSeen], at: str, disjoint: Disjoint
) -> list[str]:
    """Record what was read back; return the fields that a value refused before, and holds now."""
    again, refusing = set[str](), proofs.refusing(connection)
    for told, one in seen.items():
        campaign = run.campaign if told is None else told
        refused = frozenset().union(*one.refused.values()) if one.refused else frozenset()
        before = proofs.read(connection, campaign)
        mixed = {name for name in refusing.get(told, ()) if before.get(name)}
        proofs.revoke(connection, campaign, refused)
        proofs.record(connection, campaign, {**dict.fromkeys(refused, False), **dict.fromkeys(one.taken, True)}, at)
        for name in one.taken - refused:
            takers = {item: {name} for item, names in one.accepted.items() if name in names}
            if name not in mixed or len(takers) >= TAKERS_MIN:
                again.update(proofs.taken_again(connection, run.job.space_id, told, takers, at, disjoint))
        proofs.refuse(connection, run.job.space_id, one.refused)
        counted.refuse_all(connection, told, {name for name in refused if not before.get(name)})
    forget_steps(connection)
    return sorted(again)


def forget(connection: Connection, campaign: int | None, fields: Collection[str]) -> None:
    """Forget that fields were proven: values of which nobody can tell came to them."""
    statement = "DELETE FROM proofs WHERE campaign = ? AND field = ?"
    raw_cursor(connection).executemany(statement, [(campaign or proofs.UNKNOWN_CAMPAIGN, name) for name in fields])


def codes_query(key: Sequence[str], value: str) -> dict[str, str]:
    """Return the filters of code data that select the codes of one key value (docs/api.md, "Code data download").

    The job's campaign is none of them: an upload reaches codes of other campaigns, too.
    """
    parts = zip(key, value.split(KEY_SEPARATOR), strict=True)
    return {name if name in UNIQUE_KEYS else f"scm_{name}": part for name, part in parts}
