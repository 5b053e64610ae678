"""What a write through one code space means for the others: the server has one value per code and field.

Two spaces may name the same codes: by their ids, and by their case's number. So a field that was (or may have been)
written through one space is uncertain in every other that writes it, for all values that are older. One row per space
and field says so: a *stamp*, worked out when a plan is made (`knowledge`). Where the key of the one is a field of the
other, the link tells which values are meant, and what they hold now; the stamp then names the link.

The other way round, what is known of the codes that were written tells which case each is in. These cases are few, and
are marked at once: of a case that holds the very word already, nothing has changed. So they are where a field was
written that is their key: codes moved, and all that is known of the old and of the new case is uncertain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import intern, moves_of, payload_texts, read_pictures
from syncer.ledger.stamps import stamps_of, under_stamps
from syncer.lifecycle.batch import State
from syncer.mirror.picture import EVERY_FIELD, PRODUCT, Moves, Picture, moves_code, stamped
from syncer.mirror.words import field_of, fields_of, only, value_of, words_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

Span = tuple[int, int, int]
"""A space, and the first and last id of items in it."""
# What the items of a span were planned over, since which event that is known, and what they carry.
_STEPS = f"""
SELECT DISTINCT i.before_id, coalesce((
    SELECT max(b.settled) FROM items p JOIN batches b ON b.id = p.batch_id
    WHERE p.key = i.key AND p.id < i.id AND b.space_id = ?1 AND b.state = '{State.CONFIRMED}'), 0), i.payload_id
FROM items i WHERE i.id BETWEEN ?2 AND ?3
"""
_WRITER = f"""
SELECT b.job_id, b.state = '{State.ENDED_LATE}' FROM items i JOIN batches b ON b.id = i.batch_id WHERE i.id = ?
"""
_PLAIN_STEPS = "SELECT DISTINCT before_id, ?1, payload_id FROM items WHERE id BETWEEN ?2 AND ?3"


class Space(NamedTuple):
    """A code space: its key columns, and every field that its jobs ever planned to write."""

    id: int
    key: tuple[str, ...]
    fields: frozenset[str]


def spread(connection: Connection, spans: Sequence[Span]) -> bool:
    """Let what batches wrote make other spaces' knowledge uncertain; tell whether there was anything to do.

    In the transaction that records how the batches ended, after their own step was taken. So it is for jobs that are
    declared `disjoint`, too: about whose values a stamp is, its reader judges (`apart`); a declaration may change.
    """
    cursor = raw_cursor(connection)
    spaces = spaces_of_fields(cursor)
    if len(spaces) < 2:  # noqa: PLR2004
        return False
    now = cursor.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
    moves, done = moves_of(connection), False
    links = frozenset({EVERY_FIELD, PRODUCT}.union(*(space.key for space in spaces.values())))
    for space_id, first, last in spans:
        statement = "SELECT DISTINCT payload_id FROM items WHERE id BETWEEN ? AND ?"
        texts = payload_texts(connection, {number for (number,) in cursor.execute(statement, (first, last)).fetchall()})
        written = {field for text in texts.values() for field in fields_of(text)}
        source, planned = spaces[space_id], cache(partial(_planned_over, connection, (space_id, first, last), links))
        job_id, is_late = cursor.execute(_WRITER, (first,)).fetchone()
        for other in spaces.values():
            if other.id == space_id:
                continue
            shared = sorted(written & other.fields)
            reached = None
            is_linked = _links(other.key, source) and not _links(source.key, other)
            if shared and is_linked and not is_late:  # if late, its codes may be in other cases by now
                reached = _reached(planned(), texts, other)
            for field in shared:
                scope = _scope(source, job_id, other, marked=reached is not None)
                stamp(cursor, other.id, field, scope, now, f"written through {' + '.join(source.key)}")
                done = True
            if reached:
                _doubt_words(connection, other.id, reached)
            if written.intersection(other.key) or PRODUCT in written:
                moved = _moved(planned(), texts, other, moves)
                if moved == set():
                    continue
                if moved is None:
                    words = f"codes moved under other values of {' + '.join(other.key)}"
                    stamp(cursor, other.id, EVERY_FIELD, _of_job(source, job_id), now, words)
                else:
                    doubt_keys(connection, other.id, moved)
                done = True
    return done


def spaces_of_fields(cursor: sqlite3.Cursor) -> dict[int, Space]:
    """Return all code spaces, by id."""
    fields: dict[int, set[str]] = {}
    for space_id, names in cursor.execute("SELECT space_id, fields FROM jobs").fetchall():
        fields.setdefault(space_id, set()).update(json.loads(names))
    rows = cursor.execute("SELECT id, key FROM spaces").fetchall()
    return {number: Space(number, tuple(json.loads(key)), frozenset(fields.get(number, ()))) for number, key in rows}


def _scope(source: Space, job_id: int, other: Space, *, marked: bool) -> str:
    """Say through which space a stamp came, of which job, and by which field of the other space its values are linked.

    ``marked``: they are known, and marked.
    """
    about: dict[str, object] = {"by": source.key[0]} if _links(source.key, other) else {}
    if marked:
        about = {"marked": True}
    return _of_job(source, job_id, **about)


def _of_job(source: Space, job_id: int, **about: object) -> str:
    return json.dumps({"through": source.id, "job": job_id, **about}, sort_keys=True)


def _links(key: Sequence[str], space: Space) -> bool:
    """Tell whether the values of a space tell their value of another key."""
    return len(key) == 1 and key[0] in space.fields


def _reached(steps: Iterable[tuple[Picture, int]], texts: dict[int, str], other: Space) -> dict[str, set[str]] | None:
    """Return the words that codes of each value of `other` were given; None: it is not known of which values.

    A code without such a value is of none.
    """
    (name,), found = other.key, dict[str, set[str]]()
    for picture, payload in steps:
        words = words_of(only(texts[payload], other.fields))
        if not words:
            continue
        sent, known = value_of(texts[payload], name), value_of(picture.known, name)
        if known is None:  # it may have left any of them
            return None
        value = known if sent is None else sent
        if value:
            found.setdefault(value, set()).update(words)
    return found


def _doubt_words(connection: Connection, space_id: int, given: dict[str, set[str]]) -> None:
    """Make uncertain, of values of a space, fields of which their codes were given other words than are known."""
    _doubt(connection, space_id, given, lambda key, known: [field_of(word) for word in given[key] - {*words_of(known)}])


def stamp(cursor: sqlite3.Cursor, space_id: int, field: str, scope: str, settled: int, cause: str) -> None:
    """Make what a space knows of a field uncertain, up to the event `settled`; one stamp a scope is kept."""
    where = "space_id = ? AND field = ? AND scope = ?"
    cursor.execute(f"UPDATE stamps SET settled = ?, cause = ? WHERE {where}", (settled, cause, space_id, field, scope))
    if cursor.rowcount == 0:
        cursor.execute(
            "INSERT INTO stamps (space_id, field, scope, settled, cause) VALUES (?, ?, ?, ?, ?)",
            (space_id, field, scope, settled, cause),
        )


def _planned_over(connection: Connection, span: Span, fields: frozenset[str]) -> set[tuple[Picture, int]]:
    """Return what was known of the values of a span before their calls, each with the number of what they carry.

    What an item was planned over is stored without stamps: those of some fields that are younger than the value's place
    are laid over it here.
    """
    stamps = [one for one in stamps_of(connection, span[0]) if one.field in fields]
    steps = raw_cursor(connection).execute(_STEPS if stamps else _PLAIN_STEPS, span).fetchall()
    pictures = read_pictures(connection, {before for before, *_ in steps})
    return {(under_stamps(pictures[before], stamps, since), payload) for before, since, payload in steps}


def _moved(steps: Iterable[tuple[Picture, int]], texts: dict[int, str], other: Space, moves: Moves) -> set[str] | None:
    """Return the key values of `other` whose codes are not what they were: None when nobody knows which.

    Codes came under them or went, or a product moved them to another campaign, where fields may have stayed behind.
    """
    if len(other.key) > 1:
        return None
    (name,) = other.key
    moved = set[str]()
    for picture, payload in steps:
        sent = texts[payload]
        old, new = value_of(picture.known, name), value_of(sent, name)
        is_moved = moves_code(picture, sent, moves)
        if new is None and not is_moved:
            continue
        if name in picture.uncertain or (new is None and old is None):
            return None
        if old != new or is_moved:
            moved.update(value for value in (old, new) if value)
    return moved


def doubt_keys(connection: Connection, space_id: int, keys: Iterable[str]) -> None:
    """Make everything that is known of some values of a space uncertain."""
    _doubt(connection, space_id, keys, lambda key, known: [EVERY_FIELD])


def _doubt(
    connection: Connection, space_id: int, keys: Iterable[str], fields: Callable[[str, str], Iterable[str]]
) -> None:
    """Make fields of some values of a space uncertain; ``fields``: which, by the value and what is known of it."""
    cursor = raw_cursor(connection)
    statement = (
        "SELECT m.key, m.picture FROM json_each(?2) j CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = j.value"
    )
    rows = cursor.execute(statement, (space_id, json.dumps(sorted(keys), ensure_ascii=False))).fetchall()
    before = read_pictures(connection, {picture for _, picture in rows})
    after = {key: stamped(before[picture], fields(key, before[picture].known)) for key, picture in rows}
    ids: dict[Picture, int] = intern(connection, list(after.values()))
    changes = ((ids[picture], space_id, key) for key, picture in after.items())
    cursor.executemany("UPDATE mirror SET picture = ? WHERE space_id = ? AND key = ?", changes)
