"""What every command did that did work: when, in which process, how it ended, with how many calls.

A work is more than a run: a night of several steps, a pull, an upload, and a sync that never came to have a run. What
always holds: a record is one short transaction of its own beside whoever holds the ledger's lock, since no other table
depends on it; a ledger that cannot take it is left as it is, and the work goes on. Nothing here makes a ledger.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from syncer.errors import LedgerBusyError, LedgerError
from syncer.ledger import identity, migrate
from syncer.ledger import schema as t
from syncer.ledger.database import ledger_path, open_engine, refuse_planted, transaction
from syncer.ledger.lock import read_stamp
from syncer.process.owner import Owner, this_process

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Row

log = logging.getLogger(__name__)
RECORD_WAIT_S = 2
"""How long a record waits for the short locks of others; then it is left out."""
_BEGIN = insert(t.works).returning(t.works.c.id)
_END = update(t.works).where(t.works.c.id == bindparam("work_id"))
_ADOPT = (
    update(t.works)
    .where(
        t.works.c.id < bindparam("night_id"),
        t.works.c.parent_id.is_(None),
        t.works.c.started_at >= bindparam("began"),
        t.works.c.host == bindparam("own_host"),
        t.works.c.pid == bindparam("own_pid"),
    )
    .values(parent_id=bindparam("night_id"))
)
"""Of a night whose begin could not be recorded (one of its steps made the ledger): all that its process did in it."""
NIGHT = "run"
"""The kind of a work that has steps."""
DIED = "the process died before it could record why"
_PROGRAM = re.compile(r"process (\d+) on (.*)")


@dataclass(frozen=True, slots=True)
class Work:
    """One command's work. ``parent_id`` is the night that it was a step of; ``counts`` are its calls, by kind."""

    id: int
    kind: str
    started_at: str
    owner: Owner
    parent_id: int | None = None
    subject: str = ""
    """The job that was asked for; empty: all."""
    run_id: int | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    error: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


class WorkLog:
    """Records works in the ledger that a URL names."""

    def __init__(self, url: str) -> None:
        self._path = ledger_path(url)

    def begin(self, kind: str, at: str, *, subject: str = "", parent_id: int | None = None) -> int | None:
        """Record that a work began; return its id, None where it could not be recorded."""
        new = {"kind": kind, "started_at": at, "subject": subject, "parent_id": parent_id, **_process()}
        found = self._record(lambda connection: connection.execute(_BEGIN, new).scalar_one())
        return None if found is None else int(found)

    def mark_dead(self, work: Work, at: str) -> None:
        """Record that the process of a work died: its next of kind finds it so."""
        values = {"ended_at": at, "error": DIED}
        self._record(lambda connection: connection.execute(_END.values(**values), {"work_id": work.id}))

    def end(self, work: Work) -> None:
        """Record how a work ended; one whose begin was not recorded (id 0) is recorded as a whole."""
        ended = {
            "ended_at": work.ended_at,
            "exit_code": work.exit_code,
            "error": work.error,
            "run_id": work.run_id,
            "counts": json.dumps(dict(work.counts)),
        }
        begun = {
            "kind": work.kind,
            "started_at": work.started_at,
            "parent_id": work.parent_id,
            "subject": work.subject,
            **_process(),
        }

        def write(connection: Connection) -> int:
            if work.id and connection.execute(_END.values(**ended), {"work_id": work.id}).rowcount:
                return work.id
            new_id = int(connection.execute(_BEGIN, {**begun, **ended}).scalar_one())
            if work.kind == NIGHT:
                own = {"own_host": begun["host"], "own_pid": begun["pid"]}
                connection.execute(_ADOPT, {"night_id": new_id, "began": work.started_at, **own})
            return new_id

        self._record(write)

    def _record(self, write: Any) -> Any:
        try:
            return _in_transaction(self._path, write)
        except (LedgerError, LedgerBusyError) as error:  # the work itself will say so
            log.debug("what was done is not recorded as a work: %s", error.message)
            return None


def _process() -> dict[str, object]:
    owner = this_process()
    return {"host": owner.host, "pid": owner.pid, "born": owner.born}


def _in_transaction(path: Path, write: Any) -> Any:
    """Do one short write, where there is a ledger of this program's schema in its own place in time."""
    refuse_planted(path)
    if not path.exists() or path.stat().st_size == 0:
        return None
    stamp = read_stamp(path)
    with open_engine(path, read_only=True, wait_s=RECORD_WAIT_S).connect() as looking, transaction(looking):
        migrate.require_current(looking)
        identity.require_in_time(looking, stamp, path)
    with open_engine(path, wait_s=RECORD_WAIT_S).connect() as connection, transaction(connection):
        return write(connection)


def newest(connection: Connection, *, most: int, kinds: tuple[str, ...] | None = None) -> list[Work]:
    """Return the newest works, newest first; of some kinds, or of all but what only looked (``check``)."""
    query = select(t.works).order_by(t.works.c.id.desc()).limit(most)
    query = query.where(t.works.c.kind != "check" if kinds is None else t.works.c.kind.in_(kinds))
    return [_work(row) for row in connection.execute(query)]


def _work(row: Row[Any]) -> Work:
    return Work(
        row.id, row.kind, row.started_at, Owner(row.host, row.pid, row.born), row.parent_id, row.subject, row.run_id,
        row.ended_at, row.exit_code, row.error, json.loads(row.counts),
    )  # fmt: skip


def owner_of_program(program: str) -> Owner | None:
    """Return the process that a run's record names; None where it names none."""
    found = _PROGRAM.search(program)
    return None if found is None else Owner(found[2], int(found[1]))
