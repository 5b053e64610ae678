"""Words that a campaign did not take: kept in the history, so that all of them are sent once it does.

A field that was not taken is left out of deltas, so newer words for it are in no call. What always holds: the newest
word of every value for such a field stands in an item with its file and line, in a batch that was sent or in a wish
that no plan takes up; a word that stands there already is not stored again. Of two words the greater source is newer.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import payload_texts, read_pictures
from syncer.ledger.wishes import KnownWord, keep_wanting
from syncer.mirror.picture import campaign_in
from syncer.mirror.words import NOTHING, fields_of, only
from syncer.model import Errand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from syncer.mirror.picture import Campaigns

_ITEMS = """
SELECT i.id, i.batch_id, i.source_id, i.line, i.payload_id FROM items i JOIN batches b ON b.id = i.batch_id
WHERE i.key = ?2 AND b.space_id = ?1 ORDER BY i.source_id DESC, i.id DESC
"""
_ORIGINS = "SELECT source_id, line, fields FROM item_origins WHERE item_id = ?"
_HOLDERS = "SELECT space_id, key, picture FROM mirror WHERE picture IN (SELECT value FROM json_each(?))"
_REFUSING = "SELECT -id FROM pictures WHERE refused <> '[]'"
_SOME_OF = "SELECT key FROM mirror WHERE space_id = ? AND picture = ? LIMIT ?"
_ERRAND = "SELECT job_id, campaign, unique_key FROM batches WHERE id = ?"
EXAMPLES = 2
"""Values that may ask for a field of one campaign, where tonight's rows do not."""


class Word(NamedTuple):
    """The newest word of a value for one field, as a canonical text, and where it came from."""

    text: str
    batch_id: int
    source_id: int
    line: int


def newest_words(connection: Connection, space_id: int, key: str, fields: Collection[str]) -> dict[str, Word]:
    """Return, by field, what was last said of a value; nothing of a field that no item names."""
    cursor, found = raw_cursor(connection), dict[str, Word]()
    rows = cursor.execute(_ITEMS, (space_id, key)).fetchall()
    for item_id, batch_id, source_id, line, payload_id in rows:
        if all(name in found and found[name].source_id >= source_id for name in fields):
            break
        text = payload_texts(connection, [payload_id])[payload_id]
        older = {name: (source, at) for source, at, names in cursor.execute(_ORIGINS, (item_id,)).fetchall()
                 for name in json.loads(names)}  # fmt: skip
        for name in {*fields}.intersection(fields_of(text)):
            source, at = older.get(name, (source_id, line))
            if name not in found or source > found[name].source_id:
                found[name] = Word(only(text, [name]), batch_id, source, at)
    return found


def is_said(connection: Connection, space_id: int, key: str, text: str) -> bool:
    """Tell whether each field of a text was last said to be what it says."""
    fields = fields_of(text)
    found = newest_words(connection, space_id, key, fields)
    return all(name in found and found[name].text == only(text, [name]) for name in fields)


def want_again(connection: Connection, pictures: Mapping[int, Collection[str]], at: str) -> None:
    """Let the newest words for fields that are taken by now wait for the next plan.

    ``pictures``: the fields, by the number of a picture that values have who did not take them.
    """
    cursor = raw_cursor(connection)
    values = cursor.execute(_HOLDERS, (json.dumps(list(pictures)),)).fetchall()
    found = (
        (key, word)
        for space_id, key, picture in values
        for word in newest_words(connection, space_id, key, pictures[picture]).values()
    )
    words = [KnownWord(key, word.text, word.batch_id, (word.source_id, word.line)) for key, word in found]
    keep_wanting(connection, words, at)


class AskingValue(NamedTuple):
    """A value that did not take a field, with the newest word for it and whose errand that was."""

    key: str
    word: Word
    errand: Errand


def examples(
    connection: Connection, space_id: int, fields: Collection[str], campaigns: Campaigns | None
) -> list[AskingValue]:
    """Return a few values of a space that did not take some fields: so many for each field and campaign."""
    cursor, asked = raw_cursor(connection), Counter[tuple[int | None, str]]()
    numbers = [number for (number,) in cursor.execute(_REFUSING).fetchall()]
    found: list[AskingValue] = []
    for number, picture in sorted(read_pictures(connection, numbers).items()):
        told = None if campaigns is None else campaign_in(picture, NOTHING, campaigns)
        wanted = [name for name in picture.refused if name in fields and asked[told, name] < EXAMPLES]
        for (key,) in cursor.execute(_SOME_OF, (space_id, number, EXAMPLES)).fetchall() if wanted else ():
            for name, word in newest_words(connection, space_id, key, wanted).items():
                job_id, campaign, unique = cursor.execute(_ERRAND, (word.batch_id,)).fetchone()
                found.append(AskingValue(key, word, Errand(job_id, campaign, bool(unique))))
                asked[told, name] += 1
    return found
