"""What an upload of own codes means for the mirror: it writes fields of codes that no SCM call names.

When the processing of a part may begin, what is known of the fields that it writes is uncertain; so it is once more
when it has ended, since a newer row may have been confirmed in between. That newer word stays wanted. In between, codes
may come under other keys' values at any moment: `coming` tells which, and of these nothing is known (`knowledge`).
A call that is open at the end may have been processed before it, whenever its answer comes: that makes nothing known
(`outlived`).

What always holds: nothing becomes known here; doubts are in the transaction that records the event of the part.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.crossing import Space, doubt_keys, spaces_of_fields, stamp
from syncer.ledger.mirror import forget_steps, not_written_since
from syncer.ledger.outlived import By, outlive
from syncer.ledger.pictures import intern, moves_of, read_pictures
from syncer.ledger.wishes import KnownWord, keep_wanting
from syncer.lifecycle.part import PartState
from syncer.mirror.picture import EVERY_FIELD, PRODUCT, Picture, asked_again, doubted
from syncer.mirror.words import NOTHING, canonical, fields_of, value_of, without
from syncer.model import KEY_SEPARATOR

if TYPE_CHECKING:
    from sqlalchemy import Connection

OWN_KEY = ("extended_id",)
"""An own code's id is its extended id (docs/api.md, "Own codes")."""
_WRITTEN = "SELECT DISTINCT c.data FROM upload_codes c WHERE c.part_id = ?"
_KNOWN = """
SELECT m.key, m.picture, m.batch_id, c.data FROM upload_codes c
CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = c.code WHERE c.part_id = ?2
"""
_MAY_COME = (PartState.STORED, PartState.STARTING, PartState.IN_DOUBT, PartState.PROCESSING)
"""States of a part whose codes may come to be; stored: a call that was to begin may still be on its way."""
_COMING = f"""
SELECT DISTINCT c.data, u.defaults FROM upload_parts p CROSS JOIN uploads u ON u.id = p.upload_id
CROSS JOIN upload_codes c ON c.part_id = p.id WHERE p.state IN ({", ".join(repr(state.value) for state in _MAY_COME)})
"""


def coming(connection: Connection, space_id: int) -> frozenset[str]:
    """Return the values of a space under which codes may come at any moment, or came since anybody looked.

    What a call through such a value wrote, a code that comes later does not have: its fields are what the upload gave.
    """
    cursor = raw_cursor(connection)
    rows = cursor.execute(_COMING).fetchall()
    space = spaces_of_fields(cursor).get(space_id) if rows else None
    if space is None or space.key == OWN_KEY:  # under its own id no code is before it comes
        return frozenset()
    texts = {_text(data, defaults) for data, defaults in rows}
    values = ([value_of(text, name) for name in space.key] for text in texts)
    return frozenset(KEY_SEPARATOR.join(map(str, cells)) for cells in values if all(cells))


def doubt_ingested(connection: Connection, part_id: int, at: str, *, ended: bool) -> None:
    """Make uncertain what a part of an upload writes, or may have written; ``ended``: it is over."""
    cursor = raw_cursor(connection)
    statement = "SELECT u.defaults, u.allow_duplicates FROM upload_parts p JOIN uploads u ON u.id = p.upload_id"
    defaults, may_overwrite = cursor.execute(f"{statement} WHERE p.id = ?", (part_id,)).fetchone()
    texts = {data: _text(data, defaults) for (data,) in cursor.execute(_WRITTEN, (part_id,)).fetchall()}
    spaces = spaces_of_fields(cursor)
    own = next((space for space in spaces.values() if space.key == OWN_KEY), None)
    if own is not None:
        _doubt_own(connection, own, part_id, texts, at, ended=ended)
    for other in spaces.values():
        if other.key != OWN_KEY:
            _doubt_other(connection, other, own, set(texts.values()), may_overwrite=bool(may_overwrite), ended=ended)
        elif ended and may_overwrite:
            codes = cursor.execute("SELECT code FROM upload_codes WHERE part_id = ?", (part_id,)).fetchall()
            outlive(cursor, other.id, [code for (code,) in codes], By.UPLOAD)
    forget_steps(connection)


def _text(data: str, defaults: str) -> str:
    """Return what is written to a code as a canonical text: its own cells over the defaults."""
    fields = {**json.loads(defaults), **{name: value for name, value in json.loads(data).items() if value != ""}}
    return canonical({name: str(value) for name, value in fields.items() if name != "id"})


def _doubt_own(
    connection: Connection, own: Space, part_id: int, texts: dict[str, str], at: str, *, ended: bool
) -> None:
    """Doubt what is known of the codes themselves; what was confirmed while the part was at work stays wanted."""
    cursor, moves = raw_cursor(connection), moves_of(connection)
    rows = cursor.execute(_KNOWN, (own.id, part_id)).fetchall()
    before = read_pictures(connection, {picture for _, picture, *_ in rows})
    pairs = {(picture, data) for _, picture, _, data in rows}
    after: dict[tuple[int, str], Picture] = {}
    for picture, data in pairs:
        under = asked_again(doubted(before[picture], texts[data], moves), fields_of(texts[data]))
        after[picture, data] = replace(under, absent=False)  # of a field that it may have taken, older words are none
    ids = intern(connection, list(after.values()))
    if ended:
        held = not_written_since(connection, own.id, {(picture, batch_id) for _, picture, batch_id, _ in rows}, {})
        words = [
            KnownWord(key, without(held[picture, batch_id].known, fields_of(after[picture, data].known)), batch_id)
            for key, picture, batch_id, data in rows
        ]
        keep_wanting(connection, [word for word in words if word.text != NOTHING], at)
    changes = ((ids[after[picture, data]], own.id, key) for key, picture, _, data in rows)
    cursor.executemany("UPDATE mirror SET picture = ? WHERE space_id = ? AND key = ?", changes)


def _doubt_other(
    connection: Connection, other: Space, own: Space | None, texts: set[str], *, may_overwrite: bool, ended: bool
) -> None:
    """Doubt what another space knows: of the values under which codes come, and of all where codes are overwritten."""
    cursor = raw_cursor(connection)
    written = {field for text in texts for field in fields_of(text)}
    following = cursor.execute("SELECT coalesce(max(id), 0) + 1 FROM events").fetchone()[0]
    scope = json.dumps({} if own is None else {"through": own.id})
    values: set[str] | None = None
    if may_overwrite:
        moving = PRODUCT in written or not written.isdisjoint(other.key)
        fields = [EVERY_FIELD] if moving else sorted(written & other.fields)
        for field in fields:
            stamp(cursor, other.id, field, scope, following, "written by an upload of own codes")
        values = None if fields else set()
    elif len(other.key) == 1:
        values = {value for text in texts if (value := value_of(text, other.key[0]))}
        doubt_keys(connection, other.id, values)
    elif not written.isdisjoint(other.key):
        stamp(cursor, other.id, EVERY_FIELD, scope, following, "an upload of own codes brought codes under its values")
    else:
        values = set()
    if ended:
        outlive(cursor, other.id, values, By.UPLOAD)
