"""The way back of a ledger that is older than its own deeds: it believes nothing any more, and has a new id.

What always holds: it happens whole or not at all, in one transaction; what was never sent is dropped and listed, and
what was under way is let go of: each may have been overtaken by what was sent in the lost time. History stays.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import text

from syncer.errors import LedgerCorruptError, TargetChangedError, UsageError
from syncer.ledger import check, identity, migrate, mirror, reads, seals
from syncer.ledger.database import open_engine, refuse_planted, transaction
from syncer.ledger.lock import NO_WAIT, LedgerLock, LockWait, Stamp
from syncer.ledger.replacing import part_of, put_in_place
from syncer.ledger.schema import SCHEMA_REVISION
from syncer.ledger.transitions import change_state
from syncer.lifecycle.batch import OPEN, Event, State
from syncer.model import Target
from syncer.safe.files import Folder
from syncer.safe.trust import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Batch, LedgerIdentity

ID_BYTES = 6
"""Of a ledger's id, which is their hex digits: it stands in every reference."""
_ABOUT = text(
    """
    SELECT b.id, b.run_id, j.name AS job, b.state, b.size, s.name AS file, i.line, i.key FROM batches b
    JOIN jobs j ON j.id = b.job_id JOIN items i ON i.id = b.first_item_id JOIN sources s ON s.id = i.source_id
    WHERE b.id = :batch_id
    """
)
_RENEW = text("UPDATE ledger SET id = :id, position = position + 1, backup_at = NULL")
_NEWEST_RUN = text("SELECT max(id) FROM runs")
_UNWANTED = text("UPDATE batches SET wanted = false WHERE wanted")
_UNCERTAIN = text(
    "INSERT INTO stamps (space_id, field, scope, settled, cause) "
    "SELECT id, '', '', (SELECT coalesce(max(id), 0) + 1 FROM events), 'the ledger was put back' FROM spaces"
)
"""One stamp a code space, younger than all that was known until now: every field of every value is uncertain."""
_LEARNED = [
    *(text(f"DELETE FROM {table}") for table in ("proofs", "products", "product_pulls")),
    text("UPDATE jobs SET reach = '{}'"),
]
"""What answers of a target showed: which fields its campaigns take, its products, how many codes a value selects."""
_PULLS_LEFT = [
    text("DELETE FROM scan_seen"),
    text(
        "UPDATE scan_pulls SET chain = 0, parts = 0, scans = 0, repeated = 0, too_late = 0, chain_shown = 0, "
        "fields = '[]', watermark_us = NULL, seen_from_us = NULL, chain_newest_us = NULL"
    ),
]
"""Another target's scans begin with the first; a folder that holds those of this one is refused (`PartsFolder`)."""
_PULLS_PUT_BACK = text("UPDATE scan_pulls SET chain_query = NULL, chain_began_us = NULL")
"""Nobody knows any more what a pull of scans delivered last (`PullState.is_put_back`); it begins a new chain."""
_OPEN_UPLOADS = text(
    "SELECT DISTINCT upload_id FROM upload_parts WHERE state NOT IN ('complete', 'failed', 'refused') ORDER BY 1"
)
_UPLOADED = text("SELECT max(upload_id) FROM upload_parts WHERE state NOT IN ('failed', 'refused')")


@dataclass(frozen=True, slots=True)
class DroppedBatch:
    """A batch that was not at its end: where it stood, how many values it has, and the first of them."""

    batch_id: int
    run_id: int
    job: str
    state: State
    values: int
    file: str
    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the way back came to. ``replaced`` is where the ledger that was there, or its copy, lies now, if any."""

    ledger: Path
    old_id: str
    new_id: str
    position: int
    unsent: tuple[DroppedBatch, ...]
    let_go: tuple[DroppedBatch, ...]
    open_uploads: tuple[int, ...]
    replaced: Path | None = None


def recover(path: Path, *, at: str, wait: LockWait = NO_WAIT) -> Recovery:
    """Let the ledger that is there believe nothing any more, in place; one of an older schema is copied before."""
    refuse_planted(path)
    if not path.exists():
        raise UsageError(f"there is no ledger at {path}", next="syncer init")
    with LedgerLock(path, since=at, wait=wait) as lock:
        with closing(open_engine(path).connect()) as connection, transaction(connection):
            found = migrate.revision(connection)
        kept = None
        if found is not None and found < SCHEMA_REVISION:
            kept = check.before_upgrade(path, found, at)
        new_id = _new_id()
        lock.announce(new_id)
        done = _forget(path, path, at, new_id)
        lock.set_stamp(Stamp(done.new_id, done.position))
        return replace(done, replaced=kept)


def forget(ledger: Ledger, *, at: str, target: Target | None = None) -> Recovery:
    """Let an open ledger believe nothing any more: from now on it belongs to `target`. Then `advance` it.

    What was learned of another target goes too: its campaigns, its products, how far its scans were pulled. Raises
    `TargetChangedError` where own codes were uploaded there: at `target` they would be taken for created.
    """
    moves = target is not None and _moves(identity.identity_of(ledger), target)
    if target is not None and moves:
        _refuse_own_codes(ledger, target)
    new_id = _new_id()
    ledger.announce(new_id)
    with ledger.transaction() as connection:
        if target is not None:
            identity.pin(connection, target)
            for statement in (*_LEARNED, *(_PULLS_LEFT if moves else ())):
                connection.execute(statement)
        return _forget_in(connection, ledger.path, at, new_id)


def _moves(before: LedgerIdentity, target: Target) -> bool:
    """Tell whether a target may be another one than the ledger belongs to."""
    if before.base_url != target.base_url or before.company is None or target.company is None:
        return True
    return before.company.is_same(target.company) is not True


def _refuse_own_codes(ledger: Ledger, target: Target) -> None:
    with ledger.transaction() as connection:
        before = identity.read(connection)
        number = connection.execute(_UPLOADED).scalar_one_or_none()
    if number is None:
        return
    belongs = Target(before.base_url or "an address that it does not say", before.company)
    raise TargetChangedError(
        f"the own codes of upload {number} are at {belongs}; in this ledger {target} would seem to have them, too",
        remedy="let a ledger of its own belong there (ledger.url); this one goes on with the earlier address",
        next=f"syncer codes status {number}",
    )


def restore(path: Path, backup: Path, *, at: str, wait: LockWait = NO_WAIT) -> Recovery:
    """Put a backup in the ledger's place, let it believe nothing, and keep the ledger that was there aside."""
    if not backup.is_file():
        raise UsageError(f"there is no file {backup}", next=f"ls -lt {quoted(backup.parent)}")
    if path.exists() and os.path.samefile(path, backup):
        return recover(path, at=at, wait=wait)
    refuse_planted(path)
    part = part_of(path)
    with LedgerLock(path, since=at, wait=wait) as lock, Folder.above(path) as folder:
        folder.remove(part.name)
        try:
            with _blaming(backup):
                check.backup_of_copy(backup, part)
                new_id = _new_id()
                lock.announce(new_id)
                done = _forget(part, path, at, new_id, named=backup)
        except BaseException:
            folder.remove(part.name)
            raise
        replaced = put_in_place(folder, path, at)
        lock.set_stamp(Stamp(done.new_id, done.position))
    return replace(done, replaced=replaced)


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)


@contextmanager
def _blaming(backup: Path) -> Iterator[None]:
    """Say of a backup what is wrong with it: the ledger that is there may be whole, and stays."""
    try:
        yield
    except LedgerCorruptError as error:
        words = f"the backup {backup} cannot be put back: {error.message}"
        raise LedgerCorruptError(words, remedy="name another backup", next=f"ls -lt {quoted(backup.parent)}") from error


def _forget(file: Path, shown: Path, at: str, new_id: str, *, named: Path | None = None) -> Recovery:
    """Let the ledger in `file` believe nothing any more; errors call it ``named``, where it is the copy of that."""
    named = named or shown
    with closing(open_engine(file, named=named).connect()) as connection, migrate.upgrading(connection):
        found = migrate.revision(connection)
        if found is None:
            raise LedgerCorruptError(f"{named} is empty: there is nothing to go back to")
        damage = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
        if damage != "ok":
            raise LedgerCorruptError(f"{named} is damaged ({damage})", next="syncer ledger restore --help")
        if found < SCHEMA_REVISION:
            migrate.upgrade(connection)
            seals.add_for_old_runs(connection, at)
        migrate.require_current(connection)
        return _forget_in(connection, shown, at, new_id)


def _forget_in(connection: Connection, shown: Path, at: str, new_id: str) -> Recovery:
    before = identity.read(connection)
    unsent = _each(connection, reads.wanted_batches(connection))
    let_go = _each(connection, reads.batches_in(connection, states=sorted(OPEN)))
    _end_all(connection, at)
    newest_run = connection.execute(_NEWEST_RUN).scalar_one()
    if newest_run is not None:
        seals.add_what_is_new(connection, newest_run, at)
    connection.execute(_UNWANTED)
    connection.execute(text("DELETE FROM stamps"))
    connection.execute(_UNCERTAIN)
    connection.execute(_PULLS_PUT_BACK)
    mirror.forget_steps(connection)
    connection.execute(_RENEW, {"id": new_id})
    now = identity.read(connection)
    uploads = tuple(connection.execute(_OPEN_UPLOADS).scalars())
    return Recovery(shown, before.id, now.id, now.position, unsent, let_go, uploads)


def _each(connection: Connection, batches: Sequence[Batch]) -> tuple[DroppedBatch, ...]:
    found = []
    for batch in batches:
        row = connection.execute(_ABOUT, {"batch_id": batch.id}).one()
        found.append(DroppedBatch(row.id, row.run_id, row.job, State(row.state), row.size, row.file, row.line, row.key))
    return tuple(found)


def _end_all(connection: Connection, at: str) -> None:
    """Bring every batch that is not at its end to one, by the events that lead there."""
    planned = [batch for batch in reads.wanted_batches(connection) if batch.state is State.PLANNED]
    for batch in (*planned, *reads.batches_in(connection, states=sorted(OPEN))):
        here = batch
        for event in _WAY_OUT[batch.state]:
            here = _change(connection, here, event, at)


_WAY_OUT = {
    State.PLANNED: (Event.REPLANNED,),
    State.SENDING: (Event.ANSWER_LOST, Event.LET_GO),
    State.IN_DOUBT: (Event.LET_GO,),
    State.SUBMITTED: (Event.LET_GO,),
}


def _change(connection: Connection, batch: Batch, event: Event, at: str) -> Batch:
    return change_state(connection, batch, event, run_id=batch.run_id, at=at, detail=reads.PUT_BACK)
