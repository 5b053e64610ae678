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

from sqlalchemy import func, insert, select, update

from syncer.errors import StaleStateError
from syncer.ledger import schema as t
from syncer.ledger import upload_reads
from syncer.ledger.bulk import insert_rows
from syncer.ledger.ingested import doubt_ingested
from syncer.ledger.upload_values import CodeError, CodeUpload, NewPart, NewUpload, Part, Upload
from syncer.lifecycle.part import FINAL, PartEvent, PartState, after

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Row, Select

    from syncer.ledger.identity import Transactional

MAY_WRITE = frozenset({PartEvent.START, PartEvent.CREATED, PartEvent.ERRORED})
"""Events from which on, or up to which, the API may have written the codes of a part."""
_UPLOADS = select(t.uploads)
_FORM_USED_UP = FINAL | {PartState.PROCESSING, PartState.PLANNED}


class Uploads:
    """The uploads of one ledger. Methods that write need a ledger that is open to write."""

    def __init__(self, ledger: Transactional) -> None:
        self._ledger = ledger

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────

    def upload(self, upload_id: int) -> Upload | None:
        """Return one upload; None when there is none with this id."""
        found = self._uploads(_UPLOADS.where(t.uploads.c.id == upload_id))
        return found[0] if found else None

    def newest(self, *, most: int) -> list[Upload]:
        """Return the newest uploads, newest first."""
        return self._uploads(_UPLOADS.order_by(t.uploads.c.id.desc()).limit(most))

    def like(self, fingerprint: str) -> Upload | None:
        """Return the newest upload of the same file for which the same was asked."""
        alike = _UPLOADS.where(t.uploads.c.fingerprint == fingerprint)
        found = self._uploads(alike.order_by(t.uploads.c.id.desc()).limit(1))
        return found[0] if found else None

    def open_uploads(self) -> list[Upload]:
        """Return the uploads that have not come to their end, oldest first."""
        parts = t.upload_parts.c
        unfinished = select(parts.upload_id).where(parts.state.not_in([state.value for state in FINAL]))
        return self._uploads(_UPLOADS.where(t.uploads.c.id.in_(unfinished)).order_by(t.uploads.c.id))

    def known_codes(self, codes: pa.LargeStringArray) -> Iterator[tuple[pa.LargeStringArray, Any]]:
        """Stream those of `codes` that an earlier upload has created, or still may, with that upload's id."""
        with self._ledger.transaction() as connection:
            yield from upload_reads.known_codes(connection, codes)

    def product_skus(self) -> frozenset[str] | None:
        """Return the SKUs of the ledger's table of products; None when there is nothing in it."""
        with self._ledger.transaction() as connection:
            return upload_reads.product_skus(connection) or None

    def errors(self, upload_id: int, *, most: int | None = None) -> list[CodeError]:
        """Return what the API said against codes of an upload, by part and line."""
        with self._ledger.transaction() as connection:
            return upload_reads.errors(connection, upload_id, -1 if most is None else most)

    def codes_of(self, upload_id: int) -> set[str]:
        """Return all codes of an upload."""
        with self._ledger.transaction() as connection:
            return upload_reads.codes_of(connection, upload_id)

    def codes_like(self, part: Part, begin: str) -> list[str]:
        """Return the codes of a part that begin with a text: what an API that cuts codes may have meant."""
        with self._ledger.transaction() as connection:
            return upload_reads.codes_like(connection, part.id, begin)

    def history(self, code: str) -> list[CodeUpload]:
        """Return every upload of one own code, oldest first."""
        with self._ledger.transaction() as connection:
            return upload_reads.history(connection, code)

    def _uploads(self, query: Select[Any]) -> list[Upload]:
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
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


def _upload(row: Row[Any], parts: tuple[Part, ...]) -> Upload:
    values = row._asdict()
    values |= {name: json.loads(values[name]) for name in ("defaults", "left_out")}
    return Upload(**{**values, "allow_duplicates": bool(row.allow_duplicates), "parts": parts})
