"""Uploads of own codes in the ledger: the one writer of their states, and what is read about them.

Write order: an upload, its parts and all its codes are one commit, after their files lie in the spool; every later
method is one event, one transaction, one durable commit: compare-and-set on the old state, with the event beside it.
The form for storage is kept only until processing has begun: it is good for nothing after that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text, update

from syncer.errors import IllegalTransitionError, StaleStateError
from syncer.ledger import schema as t
from syncer.ledger.bulk import insert_rows, key_look_ups, raw_cursor
from syncer.ledger.ingested import doubt_ingested
from syncer.ledger.upload_values import CodeError, CodeUpload, NewPart, NewUpload, Part, Upload
from syncer.lifecycle.part import FINAL, NOTHING_CREATED, PartEvent, PartState, after

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Row

    from syncer.ledger.identity import Transactional

_NOTHING_CREATED = ", ".join(f"'{state.value}'" for state in sorted(NOTHING_CREATED))
MAY_WRITE = frozenset({PartEvent.START, PartEvent.CREATED, PartEvent.ERRORED})
"""Events from which on, or up to which, the API may have written the codes of a part."""
_FORM_USED_UP = FINAL | {PartState.PROCESSING, PartState.PLANNED}


class Uploads:
    """The uploads of one ledger. Methods that write need a ledger that is open to write."""

    def __init__(self, ledger: Transactional) -> None:
        self._ledger = ledger

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────

    def upload(self, upload_id: int) -> Upload | None:
        """Return one upload; None when there is none with this id."""
        found = self._uploads("WHERE id = :id", id=upload_id)
        return found[0] if found else None

    def newest(self, *, most: int) -> list[Upload]:
        """Return the newest uploads, newest first."""
        return self._uploads("ORDER BY id DESC LIMIT :most", most=most)

    def like(self, fingerprint: str) -> Upload | None:
        """Return the newest upload of the same file for which the same was asked."""
        found = self._uploads("WHERE fingerprint = :it ORDER BY id DESC LIMIT 1", it=fingerprint)
        return found[0] if found else None

    def open_uploads(self) -> list[Upload]:
        """Return the uploads that have not come to their end, oldest first."""
        final = ", ".join(f"'{state.value}'" for state in sorted(FINAL))
        return self._uploads(
            f"WHERE id IN (SELECT upload_id FROM upload_parts WHERE state NOT IN ({final})) ORDER BY id"
        )

    def known_codes(self, codes: pa.LargeStringArray) -> Iterator[tuple[pa.LargeStringArray, Any]]:
        """Stream those of `codes` that an earlier upload has created, or still may, with that upload's id."""
        statement = f"""
            SELECT c.code, p.upload_id FROM json_each(?) j
            CROSS JOIN upload_codes c ON c.code = j.value
            JOIN upload_parts p ON p.id = c.part_id AND p.state NOT IN ({_NOTHING_CREATED})
        """
        with self._ledger.transaction() as connection:
            for found, numbers in key_look_ups(connection, statement, [], codes):
                yield found, numbers[0]

    def product_skus(self) -> frozenset[str] | None:
        """Return the SKUs of the ledger's table of products; None when there is nothing in it."""
        with self._ledger.transaction() as connection:
            skus = connection.execute(text("SELECT DISTINCT sku FROM products WHERE sku IS NOT NULL")).scalars()
            return frozenset(map(str, skus)) or None

    def errors(self, upload_id: int, *, most: int | None = None) -> list[CodeError]:
        """Return what the API said against codes of an upload, by part and line."""
        statement = """
            SELECT p.number AS part, e.code, coalesce(c.line, 0) AS line, e.name, e.message,
                   coalesce(c.data, '{}') AS data
            FROM upload_errors e JOIN upload_parts p ON p.id = e.part_id
            LEFT JOIN upload_codes c ON c.part_id = e.part_id AND c.code = e.code
            WHERE p.upload_id = :id ORDER BY p.number, line, e.id LIMIT :most
        """
        with self._ledger.transaction() as connection:
            rows = connection.execute(text(statement), {"id": upload_id, "most": -1 if most is None else most})
            return [CodeError(*row) for row in rows]

    def history(self, code: str) -> list[CodeUpload]:
        """Return every upload of one own code, oldest first."""
        with self._ledger.transaction() as connection:
            return history(connection, code)

    def _uploads(self, clause: str, **parameters: object) -> list[Upload]:
        with self._ledger.transaction() as connection:
            rows = connection.execute(text(f"SELECT * FROM uploads {clause}"), parameters).all()
            return [_upload(row, self._parts(connection, row.id)) for row in rows]

    def _parts(self, connection: Connection, upload_id: int) -> tuple[Part, ...]:
        table = t.upload_parts
        rows = connection.execute(select(table).where(table.c.upload_id == upload_id).order_by(table.c.number))
        return tuple(Part(**{**row._asdict(), "state": PartState(row.state)}) for row in rows)

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        new: NewUpload,
        codes: Iterable[tuple[str, int, int, str]],
        parts: Callable[[], Sequence[NewPart]],
        *,
        at: str,
    ) -> Upload:
        """Record an upload whole. ``codes`` (code, part from 0, line, data) is read first, then ``parts`` is asked."""
        with self._ledger.transaction() as connection:
            values = {one.name: getattr(new, one.name) for one in fields(new)}
            values |= {"defaults": json.dumps(dict(new.defaults), ensure_ascii=False)}
            values |= {"left_out": json.dumps(dict(new.left_out))}
            statement = insert(t.uploads).values(**values, created_at=at, codes=0).returning(t.uploads.c.id)
            upload_id = connection.execute(statement).scalar_one()
            first = (connection.execute(select(func.max(t.upload_parts.c.id))).scalar_one() or 0) + 1
            rows = ((code, first + part, line, data) for code, part, line, data in codes)
            insert_rows(connection, "upload_codes", ("code", "part_id", "line", "data"), rows)
            for number, part in enumerate(parts()):
                connection.execute(
                    insert(t.upload_parts).values(
                        id=first + number, upload_id=upload_id, number=number + 1, state=PartState.PLANNED.value,
                        codes=part.codes, size_bytes=part.size_bytes, sha256=part.sha256, spool=part.spool,
                        changed_at=at,
                    )
                )  # fmt: skip
            counted = select(func.sum(t.upload_parts.c.codes)).where(t.upload_parts.c.upload_id == upload_id)
            connection.execute(
                update(t.uploads).where(t.uploads.c.id == upload_id).values(codes=counted.scalar_subquery())
            )
        found = self.upload(upload_id)
        assert found is not None  # noqa: S101  it was just committed
        return found

    def change(self, part: Part, event: PartEvent, *, at: str, detail: str | None = None, **columns: Any) -> Part:
        """Let `event` happen to `part`; return it as it stands then.

        Raises `IllegalTransitionError` when the event is not allowed, `StaleStateError` when the ledger holds another
        state or another record; nothing is written then.
        """
        with self._ledger.transaction() as connection:
            return self._change(connection, part, event, at=at, detail=detail, **columns)

    def ended(
        self, part: Part, event: PartEvent, errors: Iterable[tuple[str, str, str]], *, at: str, **columns: Any
    ) -> Part:
        """Record a part's end, with what was said against codes (code, name, message), in one transaction."""
        with self._ledger.transaction() as connection:
            rows = ((part.id, *error) for error in errors)
            insert_rows(connection, "upload_errors", ("part_id", "code", "name", "message"), rows)
            return self._change(connection, part, event, at=at, detail=columns.get("message"), **columns)

    def _change(
        self, connection: Connection, part: Part, event: PartEvent, *, at: str, detail: str | None, **columns: Any
    ) -> Part:
        state = after(part.state, event)
        if state in _FORM_USED_UP:
            columns |= {"form": None, "form_at": None}
        table = t.upload_parts
        changed = connection.execute(
            update(table)
            .where(
                table.c.id == part.id,
                table.c.state == part.state.value,
                table.c.record_key.is_not_distinct_from(part.record_key),
            )
            .values(state=state.value, changed_at=at, **columns)
        )
        if changed.rowcount != 1:
            raise StaleStateError(f"part {part.id} is no longer {part.state.value!r} in the ledger")
        connection.execute(
            insert(t.upload_events).values(
                at=at, part_id=part.id, event=event.value, old_state=part.state.value, new_state=state.value,
                detail=detail,
            )
        )  # fmt: skip
        if event in MAY_WRITE:
            doubt_ingested(connection, part.id, at, ended=event is not PartEvent.START)
        return replace(part, state=state, changed_at=at, **columns)

    def codes_like(self, part: Part, begin: str) -> list[str]:
        """Return the codes of a part that begin with a text: what an API that cuts codes may have meant."""
        statement = "SELECT code FROM upload_codes WHERE part_id = ? AND code >= ? AND code < ? ORDER BY code LIMIT 100"
        with self._ledger.transaction() as connection:
            end = begin[:-1] + chr(ord(begin[-1]) + 1) if begin else "\U0010ffff"
            rows = raw_cursor(connection).execute(statement, (part.id, begin, end))
            return [row[0] for row in rows]


_HISTORY = """
SELECT c.code, u.id, p.number, u.file, u.sha256, c.line, c.data, u.defaults, p.record_key, u.created_at,
       p.state, p.changed_at, coalesce(
         (SELECT e.name || ' ' || e.message FROM upload_errors e
          WHERE e.part_id = c.part_id AND e.code = c.code LIMIT 1), p.message)
FROM upload_codes c JOIN upload_parts p ON p.id = c.part_id JOIN uploads u ON u.id = p.upload_id
WHERE c.code = :code ORDER BY u.id
"""


def history(connection: Connection, code: str) -> list[CodeUpload]:
    """Return every upload of one own code, oldest first."""
    return [CodeUpload(*row) for row in connection.execute(text(_HISTORY), {"code": code})]


def _upload(row: Row[Any], parts: tuple[Part, ...]) -> Upload:
    values = row._asdict()
    values |= {name: json.loads(values[name]) for name in ("defaults", "left_out")}
    return Upload(**{**values, "allow_duplicates": bool(row.allow_duplicates), "parts": parts})


def problems(connection: Connection) -> list[str]:
    """Return what is wrong with the uploads of a ledger, in words: counts, and histories that cannot have been."""
    cursor = raw_cursor(connection)
    found = [
        f"part {row[0]} of an upload has {row[2]} codes instead of {row[1]}"
        for row in cursor.execute(
            """SELECT p.id, p.codes, coalesce(c.found, 0) FROM upload_parts p
               LEFT JOIN (SELECT part_id, count(*) AS found FROM upload_codes GROUP BY part_id) c ON c.part_id = p.id
               WHERE coalesce(c.found, 0) <> p.codes LIMIT 3"""
        )
    ]
    states: dict[int, str] = {}
    for part_id, event, old, new in cursor.execute(
        "SELECT part_id, event, old_state, new_state FROM upload_events ORDER BY id"
    ):
        here = states.get(part_id, PartState.PLANNED.value)
        try:
            legal = here == old and after(PartState(old), PartEvent(event)) == new
        except (IllegalTransitionError, ValueError):
            legal = False
        if not legal:
            found.append(f"part {part_id}: event {event!r} from {old!r} to {new!r} cannot follow {here!r}")
        states[part_id] = new
    for part_id, state in cursor.execute("SELECT id, state FROM upload_parts"):
        if states.get(part_id, PartState.PLANNED.value) != state:
            found.append(f"part {part_id} is {state!r}, which its events do not say")
    return found
