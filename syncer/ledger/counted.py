"""What counts alone were believed to say of fields, until an answer named them for the first time.

A count says that codes were affected, not that every field was taken. What always holds: once a campaign is first seen
to take a field, or not to, what calls of processes that stopped had made believed of it counts no more; an
administrator may have defined the field in between. What counts had said of a field that a campaign lost goes again
once a value takes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncer.ledger.apart import Apart
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.pictures import intern, payload_texts, read_pictures, replace_pictures, told_campaigns
from syncer.ledger.stamps import stamps_of
from syncer.ledger.untaken import want_again_of
from syncer.lifecycle.batch import Event
from syncer.mirror.picture import campaign_in, not_taken, stamped
from syncer.mirror.words import NOTHING, fields_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from syncer.ledger.apart import Disjoint
    from syncer.mirror.picture import Campaigns, Picture

BEGUN_BEFORE = (
    f"NOT EXISTS (SELECT 1 FROM events e WHERE e.batch_id = b.id AND e.event = '{Event.START}' AND e.id > ?1)"
)
"""Whether no call of a batch was begun after an event."""
# A run without an error came to its end, and read back what no answer had named (`ledger.unproven`): not what ended
# after that, in this process or in another run, which was stopped.
_STOPPED = f"""
SELECT DISTINCT b.id, b.payload_id
FROM batches b JOIN events n ON n.id = b.settled JOIN runs r ON r.id IN (b.run_id, n.run_id)
WHERE b.state IN ('confirmed', 'mismatched') AND NOT b.split
AND (b.settled > ?1 OR r.ended_at IS NULL OR r.error IS NOT NULL) AND (?2 OR b.campaign IS ?3) AND {BEGUN_BEFORE}
"""
_VALUES = """
SELECT b.space_id, i.key, m.picture, json_group_array(DISTINCT b.job_id)
FROM json_each(?) j CROSS JOIN batches b ON b.id = j.value
CROSS JOIN items i ON i.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
CROSS JOIN mirror m ON m.space_id = b.space_id AND m.key = i.key GROUP BY 1, 2, 3
"""
# Values of which a field is uncertain, or was known by a count alone before an event (?3): after a task all of it is.
_LACKING = """
SELECT m.key FROM mirror m JOIN batches b ON b.id = m.batch_id
WHERE m.space_id = ?1 AND (m.picture IN (SELECT value FROM json_each(?2)) OR b.settled < ?3 AND (
    b.kind = 'async' AND m.picture IN (SELECT value FROM json_each(?4))
    OR m.picture IN (SELECT value FROM json_each(?5))))
"""
COUNTED = json.dumps({"counted": True})
"""The scope of a stamp that is about what was counted alone."""


def want_counted(
    connection: Connection, told: int | None, fields: Collection[str], at: str, disjoint: Disjoint
) -> None:
    """Let the newest words for fields that are taken again wait for the next plan, of values that counts confirmed.

    When the field was lost, a stamp made them uncertain: they have not refused it. ``told`` None: no product tells the
    campaign.
    """
    cursor, campaigns = raw_cursor(connection), told_campaigns(connection)
    waiting: list[tuple[int, str, Collection[str]]] = []
    pictures: dict[int, Picture] = {}
    for (space_id,) in cursor.execute("SELECT DISTINCT space_id FROM jobs").fetchall():
        for stamp in stamps_of(connection, space_id):
            if not stamp.counted or stamp.field not in fields:
                continue
            pictures = pictures or _of_campaign(connection, campaigns, {told, None})
            uncertain = [number for number, one in pictures.items() if stamp.field in one.uncertain]
            known = [number for number, one in pictures.items() if stamp.field in fields_of(one.known)]
            by_count = [number for number in known if stamp.field in pictures[number].counted]
            lists = [json.dumps(numbers) for numbers in (uncertain, known, by_count)]
            rows = cursor.execute(_LACKING, (space_id, lists[0], stamp.settled, *lists[1:])).fetchall()
            waiting += [(space_id, key, [stamp.field]) for (key,) in rows]
    want_again_of(connection, waiting, at, disjoint)


def _of_campaign(
    connection: Connection, campaigns: Campaigns | None, chosen: Collection[int | None]
) -> dict[int, Picture]:
    """Return the pictures that the mirror holds, of values of some campaigns; ``campaigns`` None: of all."""
    numbers = [number for (number,) in raw_cursor(connection).execute("SELECT DISTINCT picture FROM mirror").fetchall()]
    return {
        number: picture
        for number, picture in read_pictures(connection, numbers).items()
        if number and (campaigns is None or campaign_in(picture, NOTHING, campaigns) in chosen)
    }


def begun_before(connection: Connection, batch_id: int, since: int) -> bool:
    """Tell whether no call of a batch was begun after the event `since`."""
    cursor = raw_cursor(connection)
    row = cursor.execute(f"SELECT {BEGUN_BEFORE} FROM batches b WHERE b.id = ?2", (since, batch_id)).fetchone()
    return bool(row[0])


def doubt(
    connection: Connection,
    job: tuple[int, int],
    told: int | None,
    campaign: int | None,
    fields: Collection[str],
    since: int,
    at: str,
    disjoint: Disjoint,
) -> set[str]:
    """Doubt fields that a campaign is now first seen to take, of values that processes which stopped had counted.

    Their newest words wait for the next plan, in the space whose answer it was, and where another job's call never
    reaches its codes; those of others may be older than what this run writes to the same codes. ``job``: the ids of the
    job whose answer it was, and of its code space. ``told`` None: no product tells the campaign; `campaign` is that of
    the calls. ``since``: the last event before this process began: its own calls asked together with those that named
    the fields. Returns the fields that wait in this space.
    """
    if not fields:  # as after every answer but the first ones
        return set()
    cursor, campaigns = raw_cursor(connection), told_campaigns(connection)
    batches = cursor.execute(_STOPPED, (since, told is not None, campaign)).fetchall()
    texts = payload_texts(connection, {payload for _, payload in batches if payload is not None})
    meant = [
        batch
        for batch, payload in batches  # of a sync call, each value has its own
        if payload is None or not frozenset(fields).isdisjoint(fields_of(texts[payload]))
    ]
    values = cursor.execute(_VALUES, (json.dumps(meant),)).fetchall()
    pictures = read_pictures(connection, {picture for _, _, picture, _ in values})
    held = {
        number: _held(picture, fields)
        for number, picture in pictures.items()
        if campaigns is None or campaign_in(picture, NOTHING, campaigns) == told
    }
    after = {number: stamped(pictures[number], names) for number, names in held.items() if names}
    ids = intern(connection, after.values())
    shaken = [(space, key, picture, json.loads(sent)) for space, key, picture, sent in values if picture in after]
    (job_id, space_id), apart = job, Apart(connection, disjoint)
    never = apart.from_job(job_id)
    waiting = [
        (space, key, held[picture])
        for space, key, picture, senders in shaken
        if space == space_id or not never.isdisjoint(senders)
    ]
    want_again_of(connection, waiting, at, disjoint)
    changes = [(ids[after[picture]], space, key) for space, key, picture, _ in shaken]
    cursor.executemany("UPDATE mirror SET picture = ? WHERE space_id = ? AND key = ?", changes)
    return {name for space, _, names in waiting if space == space_id for name in names}


def refuse_all(connection: Connection, told: int | None, fields: Collection[str]) -> None:
    """Let all values of a campaign have refused some fields that nobody had seen taken: counts alone said otherwise.

    Those that took them, if the campaign defined them meanwhile, are asked again with all others.
    """
    if not fields:
        return
    found = _of_campaign(connection, told_campaigns(connection), {told})
    chosen = {
        number: picture
        for number, picture in found.items()
        if not frozenset(fields).isdisjoint(fields_of(picture.known))
    }
    after = {number: not_taken(one, _held(one, fields)) for number, one in chosen.items()}
    ids = intern(connection, after.values())
    replace_pictures(connection, {number: ids[picture] for number, picture in after.items()})


def _held(picture: Picture, fields: Iterable[str]) -> list[str]:
    known = fields_of(picture.known)
    return [name for name in fields if name in known]
