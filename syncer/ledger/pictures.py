"""Pictures and payloads by number: read, and written once per distinct content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.mirror.picture import UNHEARD_OF, Campaigns, Moves, Picture
from syncer.mirror.words import NOTHING, fingerprint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection

_PAYLOADS = "SELECT p.id, p.data FROM json_each(?) j CROSS JOIN payloads p ON p.id = j.value"
_PAYLOADS_BETWEEN = "SELECT id, data FROM payloads WHERE id BETWEEN ? AND ?"
SCAN_FROM_IDS, SCAN_SPAN_MAX = 1_000, 2
"""From so many ids, of which so many times as many lie between the first and the last, reading all is faster."""
_BY_FINGERPRINT = "SELECT p.data, p.id FROM json_each(?) j CROSS JOIN payloads p ON p.fingerprint = j.value"
_PICTURES = """
SELECT q.id, coalesce(p.data, '{}'), q.uncertain, q.refused, q.absent, q.counted
FROM json_each(?) j CROSS JOIN pictures q ON q.id = -j.value LEFT JOIN payloads p ON p.id = q.known_payload_id
"""
_PICTURE = """
SELECT id FROM pictures WHERE known_payload_id = ? AND uncertain = ? AND refused = ? AND absent = ? AND counted = ?
"""
_REPLACE = """
UPDATE mirror SET picture = (SELECT r.after FROM temp.replaced r WHERE r.before = mirror.picture)
WHERE picture IN (SELECT before FROM temp.replaced)
"""
_CONTENT = attrgetter("known", "uncertain", "refused", "absent", "counted")
_NEW_PICTURE = """
INSERT INTO pictures (known_payload_id, uncertain, refused, absent, counted) VALUES (?, ?, ?, ?, ?) RETURNING id
"""


def payload_texts(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the canonical texts of payloads, by id."""
    wanted = sorted({*ids})
    cursor = raw_cursor(connection)
    if len(wanted) < SCAN_FROM_IDS or wanted[-1] - wanted[0] >= SCAN_SPAN_MAX * len(wanted):
        return dict(cursor.execute(_PAYLOADS, (json.dumps(wanted),)).fetchall())
    found = dict(cursor.execute(_PAYLOADS_BETWEEN, (wanted[0], wanted[-1])).fetchall())
    return {number: found[number] for number in wanted if number in found}


def read_pictures(connection: Connection, numbers: Iterable[int]) -> dict[int, Picture]:
    """Return pictures by the numbers that the mirror has for them; 0 is that of a value it does not have."""
    found = {0: UNHEARD_OF}
    wanted = list(numbers)
    plain = payload_texts(connection, [number for number in wanted if number > 0])
    found.update((number, Picture(text)) for number, text in plain.items())
    others = json.dumps([number for number in wanted if number < 0])
    for picture_id, known, uncertain, refused, absent, counted in raw_cursor(connection).execute(_PICTURES, (others,)):
        lists = (tuple(json.loads(uncertain)), tuple(json.loads(refused)))
        found[-picture_id] = Picture(known, *lists, bool(absent), tuple(json.loads(counted)))
    return found


def intern(connection: Connection, pictures: Iterable[Picture]) -> dict[Picture, int]:
    """Return the mirror's numbers of pictures, giving a number to those that have none."""
    distinct = set(pictures)
    ids = payload_numbers(connection, {picture.known for picture in distinct if picture.known != NOTHING})
    return {
        picture: ids[picture.known]
        if picture.is_plain and picture.known != NOTHING
        else -_picture_number(connection, picture, ids.get(picture.known, 0))
        for picture in sorted(distinct, key=_CONTENT)
    }


def replace_pictures(connection: Connection, after: Mapping[int, int]) -> None:
    """Give all values that have some pictures other ones, by number; one statement: the mirror is read once."""
    cursor = raw_cursor(connection)
    cursor.execute("CREATE TEMP TABLE IF NOT EXISTS replaced (before INTEGER PRIMARY KEY, after INTEGER NOT NULL)")
    insert_rows(connection, "temp.replaced", ("before", "after"), after.items())
    cursor.execute(_REPLACE)
    cursor.execute("DELETE FROM temp.replaced")


def payload_numbers(connection: Connection, texts: Iterable[str]) -> dict[str, int]:
    """Return the ids of payloads by their canonical texts, storing those that are new."""
    wanted = sorted(texts)
    prints = [fingerprint(text) for text in wanted]
    cursor = raw_cursor(connection)
    ids = dict(cursor.execute(_BY_FINGERPRINT, (json.dumps(prints),)).fetchall())
    first = cursor.execute("SELECT coalesce(max(id), 0) + 1 FROM payloads").fetchone()[0]
    new = [(text, one) for text, one in zip(wanted, prints, strict=True) if text not in ids]
    rows = [(number, one, text) for number, (text, one) in enumerate(new, first)]
    insert_rows(connection, "payloads", ("id", "fingerprint", "data"), rows)
    ids.update((text, number) for number, _, text in rows)
    return ids


def _picture_number(connection: Connection, picture: Picture, known_id: int) -> int:
    uncertain, refused, counted = (
        json.dumps(fields, ensure_ascii=False) for fields in (picture.uncertain, picture.refused, picture.counted)
    )
    content = (known_id, uncertain, refused, picture.absent, counted)
    cursor = raw_cursor(connection)
    found = cursor.execute(_PICTURE, content).fetchone() or cursor.execute(_NEW_PICTURE, content).fetchone()
    return int(found[0])


def campaigns_of(connection: Connection) -> Campaigns:
    """Return what tells a product's campaign (by SKU or id), as far as the copy of the company's products says."""
    campaigns: dict[str, int | None] = {}

    def campaign(product: str) -> int | None:
        if product not in campaigns:
            statement = "SELECT campaign FROM products WHERE sku = ?1 OR CAST(id AS TEXT) = ?1"
            rows = set(raw_cursor(connection).execute(statement, (product,)).fetchall())
            campaigns[product] = rows.pop()[0] if len(rows) == 1 else None
        return campaigns[product]

    return campaign


def told_campaigns(connection: Connection) -> Campaigns | None:
    """Return what tells a product's campaign; None where that makes no difference: there are no two."""
    rows = raw_cursor(connection).execute("SELECT DISTINCT campaign FROM products WHERE campaign IS NOT NULL LIMIT 2")
    return campaigns_of(connection) if len(rows.fetchall()) > 1 else None


def moves_of(connection: Connection) -> Moves:
    """Return what tells whether a change of product may move a code, by what is known of the company's products."""
    campaign = campaigns_of(connection)

    def moves(old: str | None, new: str) -> bool:
        if old == new:
            return False
        before, after = (None if old is None else campaign(old)), campaign(new)
        return before is None or after is None or before != after

    return moves


def payload_ids(connection: Connection, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the ledger's id of each canonical text, -1 where it has never seen that data."""
    import numpy as np

    ids = np.full(len(texts), -1, np.int64)
    cursor = raw_cursor(connection)
    if not cursor.execute("SELECT EXISTS (SELECT 1 FROM payloads)").fetchone()[0]:
        return ids  # a first load has a million of them
    statement = "SELECT j.key, p.id FROM json_each(?) j CROSS JOIN payloads p ON p.fingerprint = j.value"
    for begin in range(0, len(texts), 10_000):
        block = json.dumps([fingerprint(text) for text in texts[begin : begin + 10_000]])
        for place, payload_id in cursor.execute(statement, (block,)):
            ids[begin + place] = payload_id
    return ids
