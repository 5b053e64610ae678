"""Which fields a campaign was seen to take, and what of that the mirror remembers value by value.

Fields that a campaign does not define are discarded silently; only the names in a sync answer tell. A field that was
not taken is *refused*: it is left out of deltas, and one real value asks again every night. Once such a value takes
it, the campaign defines it now, and it is asked for everywhere again.

Values of one file may be of several campaigns. A product that is known tells which; else it is that of the job, or
nobody says. Where of one campaign some values take a field and others do not, a count proves nothing of it any more;
what was believed by counts until then is uncertain.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.counted import COUNTED, doubt, refuse_all, want_counted
from syncer.ledger.crossing import stamp
from syncer.ledger.mirror import forget_steps
from syncer.ledger.pictures import intern, payload_texts, read_pictures, replace_pictures, told_campaigns
from syncer.ledger.untaken import want_again
from syncer.mirror.picture import asked_again, campaign_in, not_taken
from syncer.mirror.words import NOTHING
from syncer.process.clock import utc_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.ledger.values import Batch, SeenFields

UNKNOWN_CAMPAIGN = 0
BELIEVED_S = 43_200.0
"""How long it is believed, without being asked, that a campaign takes a field: every night asks, no run does twice."""
_RECORD = """
INSERT INTO proofs (campaign, field, taken, at) VALUES (?, ?, ?, ?)
ON CONFLICT (campaign, field) DO UPDATE SET taken = max(taken, excluded.taken), at = excluded.at
"""
_HELD = """
SELECT i.id, m.picture FROM json_each(?2) j CROSS JOIN items i ON i.id = j.value
CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = i.key WHERE m.picture < 0
"""
_REFUSING = """
SELECT DISTINCT m.picture FROM mirror m JOIN pictures q ON q.id = -m.picture WHERE m.picture < 0 AND q.refused <> '[]'
"""
_EVER_REFUSING = "SELECT -id FROM pictures WHERE refused <> '[]'"


def read(connection: Connection, campaign: int | None) -> dict[str, bool]:
    """Return the fields that a campaign was asked about, and whether it took them."""
    statement = "SELECT field, taken FROM proofs WHERE campaign = ?"
    rows = raw_cursor(connection).execute(statement, (campaign or UNKNOWN_CAMPAIGN,)).fetchall()
    return {field: bool(taken) for field, taken in rows}


def taken_lately(connection: Connection, campaign: int | None, wall_s: float) -> frozenset[str]:
    """Return the fields that a campaign was seen to take in the last `BELIEVED_S`.

    What is older is to be shown anew: an administrator may have taken the field away. So is what a clock that went
    back calls yet to come.
    """
    since, until = utc_text(wall_s - BELIEVED_S), utc_text(wall_s)
    statement = "SELECT field FROM proofs WHERE campaign = ? AND taken AND at BETWEEN ? AND ?"
    rows = raw_cursor(connection).execute(statement, (campaign or UNKNOWN_CAMPAIGN, since, until)).fetchall()
    return frozenset(field for (field,) in rows)


def taken(connection: Connection) -> frozenset[str]:
    """Return the fields that any campaign was seen to take."""
    rows = raw_cursor(connection).execute("SELECT DISTINCT field FROM proofs WHERE taken").fetchall()
    return frozenset(field for (field,) in rows)


def record(connection: Connection, campaign: int | None, seen: Mapping[str, bool], at: str) -> None:
    """Record what an answer showed of fields; one that was ever taken is one that the campaign defines."""
    rows = [(campaign or UNKNOWN_CAMPAIGN, field, taken, at) for field, taken in sorted(seen.items())]
    raw_cursor(connection).executemany(_RECORD, rows)


def refusing(connection: Connection, *, ever: bool = False) -> dict[int | None, frozenset[str]]:
    """Return per campaign (None: no product tells it) the fields that some value did not take when it was last asked.

    ``ever``: those too that all values may take by now.
    """
    cursor = raw_cursor(connection)
    if cursor.execute("SELECT 1 FROM pictures WHERE refused <> '[]' LIMIT 1").fetchone() is None:
        return {}  # of nearly every ledger: the mirror need not be read
    numbers = [number for (number,) in cursor.execute(_EVER_REFUSING if ever else _REFUSING).fetchall()]
    campaigns, found = told_campaigns(connection), dict[int | None, set[str]]()
    for picture in read_pictures(connection, numbers).values():
        campaign = None if campaigns is None else campaign_in(picture, NOTHING, campaigns)
        found.setdefault(campaign, set()).update(picture.refused)
    return {campaign: frozenset(fields) for campaign, fields in found.items() if fields}


def told(connection: Connection, first_item_id: int, size: int) -> dict[int, int]:
    """Return the campaigns of items, as far as their products tell; empty where that makes no difference."""
    campaigns = told_campaigns(connection)
    if campaigns is None:
        return {}
    statement = "SELECT id, before_id, payload_id FROM items WHERE id BETWEEN ? AND ?"
    rows = raw_cursor(connection).execute(statement, (first_item_id, first_item_id + size - 1)).fetchall()
    pictures = read_pictures(connection, {before for _, before, _ in rows})
    texts = payload_texts(connection, {payload for *_, payload in rows})
    pairs = {(before, payload): campaign_in(pictures[before], texts[payload], campaigns) for _, before, payload in rows}
    found = ((item, pairs[before, payload]) for item, before, payload in rows)
    return {item: campaign for item, campaign in found if campaign is not None}


def saw(
    connection: Connection, batch: Batch, told: int | None, seen: SeenFields, since: int, at: str, disjoint: Disjoint
) -> set[str]:
    """Record what an answer showed of fields; return those that values want again, now that they are taken.

    ``told`` None: no product tells the campaign of the values. ``since``: the last event before this process began.
    """
    campaign = batch.campaign if told is None else told
    before = read(connection, campaign)
    first = {name: taken for name, taken in seen.taken.items() if name not in before}
    named = [name for name in first if first[name]]
    revoke(connection, campaign, seen.refused, first=named)
    refuse_all(connection, told, first.keys() - named)
    record(connection, campaign, seen.taken, at)
    again = doubt(connection, (batch.job_id, batch.space_id), told, campaign, named, since, at, disjoint)
    again |= {*taken_again(connection, batch.space_id, told, seen.accepted, at, disjoint)}
    if again or first:  # what is known of values that others are linked to has changed
        forget_steps(connection)
    return again


def revoke(connection: Connection, campaign: int | None, fields: Collection[str], first: Collection[str] = ()) -> None:
    """Make uncertain what was believed by counts of fields that are refused now, and were proven before.

    ``first`` are fields that other values are seen to take at the same time. To be called before the answer itself is
    recorded.
    """
    proven = read(connection, campaign)
    against = sorted(field for field in fields if proven.get(field) or field in first)
    if not against:
        return
    cursor = raw_cursor(connection)
    following = cursor.execute("SELECT coalesce(max(id), 0) + 1 FROM events").fetchone()[0]
    for (space,) in cursor.execute("SELECT DISTINCT space_id FROM jobs").fetchall():
        for field in against:
            stamp(cursor, space, field, COUNTED, following, "a value did not take it")
    forget_steps(connection)


def taken_again(
    connection: Connection,
    space_id: int,
    campaign: int | None,
    by_item: Mapping[int, Collection[str]],
    at: str,
    disjoint: Disjoint,
) -> list[str]:
    """Want fields again, in the whole campaign, that a value refused before, and takes now; return them.

    What counts had said of them until then is uncertain, and wanted again, too.

    ``by_item`` are the fields taken; ``campaign`` None: no product tells it. To be called before the confirmation of
    the values is applied.
    """
    cursor = raw_cursor(connection)
    rows = cursor.execute(_HELD, (space_id, json.dumps(sorted(by_item)))).fetchall()
    pictures = read_pictures(connection, {picture for _, picture in rows})
    again = sorted({field for item, picture in rows for field in pictures[picture].refused if field in by_item[item]})
    if again:
        campaigns = told_campaigns(connection)
        numbers = cursor.execute(_EVER_REFUSING).fetchall()
        found = read_pictures(connection, {number for (number,) in numbers})
        found = {
            number: picture
            for number, picture in found.items()
            if campaigns is None or campaign_in(picture, NOTHING, campaigns) in {campaign, None}
        }
        after = {number: asked_again(picture, again) for number, picture in found.items()}
        ids = intern(connection, after.values())
        changed = {number: picture for number, picture in found.items() if after[number] != picture}
        refused = {number: frozenset(again).intersection(picture.refused) for number, picture in changed.items()}
        want_again(connection, refused, at, disjoint)
        want_counted(connection, campaign, again, at, disjoint)
        replace_pictures(connection, {number: ids[after[number]] for number in changed})
    return again


def refuse(connection: Connection, space_id: int, by_item: Mapping[int, Collection[str]]) -> None:
    """Record that some values did not take some fields, after what was confirmed of them was applied."""
    cursor = raw_cursor(connection)
    statement = (
        "SELECT i.id, i.key, m.picture FROM json_each(?2) j CROSS JOIN items i ON i.id = j.value "
        "CROSS JOIN mirror m ON m.space_id = ?1 AND m.key = i.key"
    )
    rows = cursor.execute(statement, (space_id, json.dumps(sorted(by_item)))).fetchall()
    before = read_pictures(connection, {picture for *_, picture in rows})
    after = {(item, key): not_taken(before[picture], by_item[item]) for item, key, picture in rows}
    ids = intern(connection, after.values())
    changes = ((ids[picture], space_id, key) for (_, key), picture in after.items())
    cursor.executemany("UPDATE mirror SET picture = ? WHERE space_id = ? AND key = ?", changes)
