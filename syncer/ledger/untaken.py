"""Words that a campaign did not take: kept in the history, so that all of them are sent once it does.

A field that was not taken is left out of deltas, so newer words for it are in no call. What always holds: the newest
word of every value for such a field stands in an item with its file and line, in a batch that was sent or in a wish
that no plan takes up; a word that stands there already is not stored again. Of two words the greater source is newer.
A word counts only as long as nothing of ours may have written the field since: what a stamp is younger than was perhaps
overwritten by another key, by an upload, or in the time that a ledger which was put back has lost.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.apart import Apart
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import payload_texts, read_pictures
from syncer.ledger.stamps import stamps_of
from syncer.ledger.wishes import KnownWord, keep_wanting
from syncer.mirror.picture import EVERY_FIELD, campaign_in
from syncer.mirror.words import NOTHING, fields_of, only
from syncer.model import Errand

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.mirror.picture import Campaigns

_ITEMS = """
SELECT i.id, i.batch_id, i.source_id, i.line, i.payload_id FROM items i JOIN batches b ON b.id = i.batch_id
WHERE i.key = ?2 AND b.space_id = ?1 ORDER BY i.source_id DESC, i.id DESC
"""
_NEWEST = """
SELECT j.value, i.id, i.batch_id, max(i.source_id), i.line, i.payload_id
FROM json_each(?2) j CROSS JOIN items i ON i.key = j.value JOIN batches b ON b.id = i.batch_id
WHERE b.space_id = ?1 GROUP BY j.value
"""
"""With ``max``, SQLite takes the other columns from the row that has the greatest."""
_NOTHING = (0, 0, 0, 0, 0)
_MERGED = "SELECT DISTINCT item_id FROM item_origins WHERE item_id IN (SELECT value FROM json_each(?))"
_ORIGINS = "SELECT source_id, line, fields FROM item_origins WHERE item_id = ?"
_HOLDERS = "SELECT space_id, key, picture FROM mirror WHERE picture IN (SELECT value FROM json_each(?))"
_REFUSING = "SELECT -id FROM pictures WHERE refused <> '[]'"
_HOLDERS_OF = "SELECT key, picture FROM mirror WHERE space_id = ? AND picture IN (SELECT value FROM json_each(?))"
_ERRAND = "SELECT job_id, campaign, unique_key FROM batches WHERE id = ?"
_PLACE = "SELECT coalesce(settled, 0), job_id FROM batches WHERE id = ?"
BLOCK_VALUES, LOOKED_AT_FIRST = 10_000, 100
EXAMPLES = 2
"""Values that may ask for a field of one campaign, where tonight's rows do not."""


class Word(NamedTuple):
    """The newest word of a value for one field, as a canonical text, and where it came from."""

    text: str
    batch_id: int
    source_id: int
    line: int


class AskedValue(NamedTuple):
    """A value, and the fields whose newest words are asked for."""

    key: str
    fields: frozenset[str]


def newest_words(
    connection: Connection, space_id: int, asked: Iterable[AskedValue], disjoint: Disjoint
) -> Iterator[dict[str, Word]]:
    """Yield for each value, by field, what was last said of it; nothing of a field that no item names.

    Most values were never merged of several rows, and their newest item names all: these are read many at a time.
    """
    apart = Apart(connection, disjoint)
    cursor, rest, overwritten = raw_cursor(connection), iter(asked), _Overwritten(connection, space_id, apart)
    while block := [*islice(rest, BLOCK_VALUES)]:
        keys = json.dumps([one.key for one in block], ensure_ascii=False)
        newest = {key: row for key, *row in cursor.execute(_NEWEST, (space_id, keys)).fetchall()}
        items = json.dumps([item_id for item_id, *_ in newest.values()])
        merged = {item_id for (item_id,) in cursor.execute(_MERGED, (items,)).fetchall()}
        texts = payload_texts(connection, {payload_id for *_, payload_id in newest.values()})
        words: dict[tuple[int, frozenset[str]], dict[str, str]] = {}
        for key, fields in block:
            item_id, batch_id, source_id, line, payload_id = newest.get(key, _NOTHING)
            said = words.get((payload_id, fields))
            if said is None:
                text = texts.get(payload_id, NOTHING)
                said = words[payload_id, fields] = {
                    name: only(text, [name]) for name in fields_of(text) if name in fields
                }
            if item_id in merged or len(said) < len(fields):
                found = _of_all_items(connection, space_id, key, fields)
            else:
                found = {name: Word(text, batch_id, source_id, line) for name, text in said.items()}
            yield {name: word for name, word in found.items() if not overwritten.may_be(name, word.batch_id)}


class _Overwritten:
    """Which words of a space are older than a stamp of their field."""

    def __init__(self, connection: Connection, space_id: int, apart: Apart) -> None:
        self._cursor = raw_cursor(connection)
        # One that counts tells of a field that was believed to be taken: nobody wrote it.
        self._stamps = [stamp for stamp in stamps_of(connection, space_id) if not stamp.counted]
        self._apart = apart
        self._newest: dict[int, dict[str, int]] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def may_be(self, field: str, batch_id: int) -> bool:
        """Tell whether a field may have been written since a batch was settled."""
        if not self._stamps:
            return False
        place = self._places.get(batch_id)
        if place is None:
            place = self._places[batch_id] = self._cursor.execute(_PLACE, (batch_id,)).fetchone()
        settled, job_id = place
        return max(self._newest_of(job_id).get(name, 0) for name in (field, EVERY_FIELD)) > settled

    def _newest_of(self, job_id: int) -> dict[str, int]:
        """Return by field the youngest stamp that may be about a job's words."""
        if job_id not in self._newest:
            found = self._newest[job_id] = {}
            for stamp in self._apart.concerning(self._stamps, job_id):
                found.setdefault(stamp.field, stamp.settled)
        return self._newest[job_id]


def _of_all_items(connection: Connection, space_id: int, key: str, fields: frozenset[str]) -> dict[str, Word]:
    """Return the newest words of one value, of whichever items name them."""
    cursor, found = raw_cursor(connection), dict[str, Word]()
    rows = cursor.execute(_ITEMS, (space_id, key)).fetchall()
    for item_id, batch_id, source_id, line, payload_id in rows:
        if all(name in found and found[name].source_id >= source_id for name in fields):
            break
        text = payload_texts(connection, [payload_id])[payload_id]
        older = {name: (source, at) for source, at, names in cursor.execute(_ORIGINS, (item_id,)).fetchall()
                 for name in json.loads(names)}  # fmt: skip
        for name in fields.intersection(fields_of(text)):
            source, at = older.get(name, (source_id, line))
            if name not in found or source > found[name].source_id:
                found[name] = Word(only(text, [name]), batch_id, source, at)
    return found


def not_said(connection: Connection, space_id: int, keys: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Return the places of those values of which a field was last said to be something else, or nothing."""
    fields = {text: frozenset(fields_of(text)) for text in {*texts}}
    wanted = {text: {name: only(text, [name]) for name in names} for text, names in fields.items()}
    asked = (AskedValue(key, fields[text]) for key, text in zip(keys, texts, strict=True))
    newest = zip(texts, newest_words(connection, space_id, asked, {}), strict=True)
    return [
        place
        for place, (text, found) in enumerate(newest)
        if wanted[text] != {name: word.text for name, word in found.items()}
    ]


def want_again(connection: Connection, pictures: Mapping[int, Collection[str]], at: str, disjoint: Disjoint) -> None:
    """Let the newest words for fields that are taken by now wait for the next plan.

    ``pictures``: the fields, by the number of a picture that values have who did not take them.
    """
    holders = raw_cursor(connection).execute(_HOLDERS, (json.dumps(list(pictures)),)).fetchall()
    values = [(space_id, key, pictures[picture]) for space_id, key, picture in holders]
    want_again_of(connection, values, at, disjoint)


def want_again_of(
    connection: Connection, values: Iterable[tuple[int, str, Collection[str]]], at: str, disjoint: Disjoint
) -> None:
    """Let the newest words for some fields of values wait for the next plan; ``values``: space, key, fields."""
    words: list[KnownWord] = []
    for space_id, group in groupby(sorted(values, key=lambda value: value[:2]), lambda value: value[0]):
        asked = [AskedValue(key, frozenset(fields)) for _, key, fields in group]
        for (key, _), found in zip(asked, newest_words(connection, space_id, asked, disjoint), strict=True):
            words += [KnownWord(key, one.text, one.batch_id, (one.source_id, one.line)) for one in found.values()]
    keep_wanting(connection, words, at)


class AskingValue(NamedTuple):
    """A value that did not take a field, with the newest word for it and whose errand that was."""

    key: str
    word: Word
    errand: Errand


def examples(
    connection: Connection,
    space_id: int,
    fields: Collection[str],
    campaigns: Campaigns | None,
    disjoint: Disjoint,
) -> list[AskingValue]:
    """Return a few values of a space that did not take some fields: so many for each field and campaign."""
    lacking = _lacking(connection, fields, campaigns)
    if not lacking:
        return []
    # Most pictures may be nobody's any more, so the values are read once, for all pictures.
    holders = raw_cursor(connection).execute(_HOLDERS_OF, (space_id, json.dumps([*lacking])))
    sought = {(told, name) for told, names in lacking.values() for name in names}
    cursor, asked, found, size = raw_cursor(connection), Counter[tuple[int | None, str]](), [], LOOKED_AT_FIRST
    while any(asked[one] < EXAMPLES for one in sought) and (block := holders.fetchmany(size)):
        size, askers = BLOCK_VALUES, [AskedValue(key, lacking[picture][1]) for key, picture in block]
        for (key, picture), words in zip(block, newest_words(connection, space_id, askers, disjoint), strict=True):
            for name in [name for name in words if asked[lacking[picture][0], name] < EXAMPLES]:
                job_id, campaign, unique = cursor.execute(_ERRAND, (words[name].batch_id,)).fetchone()
                found.append(AskingValue(key, words[name], Errand(job_id, campaign, bool(unique))))
                asked[lacking[picture][0], name] += 1
    return found


def _lacking(
    connection: Connection, fields: Collection[str], campaigns: Campaigns | None
) -> dict[int, tuple[int | None, frozenset[str]]]:
    """Return, by the number of a picture, its campaign and those of some fields that its values did not take."""
    numbers = [number for (number,) in raw_cursor(connection).execute(_REFUSING).fetchall()]
    found = {}
    for number, picture in read_pictures(connection, numbers).items():
        names = frozenset(fields).intersection(picture.refused)
        if names:
            found[number] = (None if campaigns is None else campaign_in(picture, NOTHING, campaigns), names)
    return found
