"""Whose ledger this is and where it stands in time: the one row of ``ledger``.

What always holds: the position only grows; it is in the ledger before it is in the lock file, so that a ledger which is
older than its lock file says is an older copy. The id stands in every reference, and a ledger that was put back gets a
new one: that stands in the lock file before it is in the ledger, so that whoever dies in between leaves no stranger.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import bindparam, exists, func, or_, select, update

from syncer.errors import LedgerCorruptError, LedgerError, LedgerOldError
from syncer.ledger import schema as t
from syncer.ledger.lock import read_stamp
from syncer.ledger.values import LedgerIdentity
from syncer.model import Company
from syncer.safe.trust import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection

    from syncer.ledger.lock import Stamp
    from syncer.model import Target

_IDENTITY = select(t.ledger)
_ADVANCE = update(t.ledger).values(position=t.ledger.c.position + 1).returning(t.ledger.c.position)
_PIN = update(t.ledger).values(base_url=bindparam("url"), company=bindparam("named"), counts_same=None)
_COUNTS = select(t.ledger.c.counts_same)
_LEARN_COUNTS = update(t.ledger).values(counts_same=bindparam("same"))
_ANY_ATTEMPT = select(t.attempts.c.id).limit(1)
_ANY_WORK = select(
    or_(*(exists().select_from(one) for one in (t.attempts, t.uploads, t.scan_pulls, t.products, t.product_pulls)))
)
_NEWEST_RECORD = (
    select(t.upload_parts.c.record_key)
    .where(t.upload_parts.c.record_key.is_not(None))
    .order_by(t.upload_parts.c.id.desc())
    .limit(1)
)
_UNDER_ID = select(t.attempts.c.id).where(t.attempts.c.reference.contains(bindparam("part"))).limit(1)
_NEWEST_TASK = (
    select(t.batches.c.task_id).where(t.batches.c.task_id.is_not(None)).order_by(t.batches.c.id.desc()).limit(1)
)
_KNOWN = select(t.attempts.c.reference, t.attempts.c.account).where(
    t.attempts.c.reference.in_(bindparam("given", expanding=True))
)


def read(connection: Connection) -> LedgerIdentity:
    """Return whose ledger this is."""
    row = connection.execute(_IDENTITY).one_or_none()
    if row is None:
        raise LedgerCorruptError("the ledger does not say whose it is: its table `ledger` is not one row")
    company = None if row.company is None else Company(**json.loads(row.company))
    return LedgerIdentity(row.id, row.position, row.base_url, company, row.backup_at)


def advance(connection: Connection) -> int:
    """Let the ledger's place in time grow by one; return it."""
    return int(connection.execute(_ADVANCE).scalar_one())


def learn_counts(connection: Connection, *, same: bool) -> None:
    """Remember whether the target's answers count what a call leaves as it was."""
    connection.execute(_LEARN_COUNTS, {"same": same})


class Transactional(Protocol):
    """A ledger that is open, whole or in part."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Give a connection in a transaction."""


def identity_of(ledger: Transactional) -> LedgerIdentity:
    """Return whose ledger this is, and where it stands in time."""
    with ledger.transaction() as connection:
        return read(connection)


def counts_same(ledger: Transactional) -> bool | None:
    """Tell whether the target's answers count and name what a call leaves as it was; None: no answer showed that."""
    with ledger.transaction() as connection:
        found: bool | None = connection.execute(_COUNTS).scalar_one()
        return found


def pin_target(ledger: Transactional, target: Target) -> None:
    """Write down to whom the ledger belongs from now on."""
    with ledger.transaction() as connection:
        pin(connection, target)


def pin(connection: Connection, target: Target) -> None:
    """Write down to whom the ledger belongs, in the caller's transaction."""
    company = target.company
    named = None if company is None else json.dumps(asdict(company), ensure_ascii=False)
    connection.execute(_PIN, {"url": target.base_url, "named": named})


def has_sent(ledger: Transactional) -> bool:
    """Tell whether any call was ever made for a batch of this ledger."""
    with ledger.transaction() as connection:
        return connection.execute(_ANY_ATTEMPT).first() is not None


def has_worked(ledger: Transactional) -> bool:
    """Tell whether a ledger knows anything that only its target could tell: of calls, uploads, scans or products."""
    with ledger.transaction() as connection:
        return bool(connection.execute(_ANY_WORK).scalar_one())


def has_sent_as(ledger: Transactional, ledger_id: str) -> bool:
    """Tell whether the ledger had an id when it made some call: each way back gives it a new one."""
    with ledger.transaction() as connection:
        return connection.execute(_UNDER_ID, {"part": f"-{ledger_id}."}).first() is not None


def newest_task(ledger: Transactional) -> str | None:
    """Return the id of the newest task that the ledger knows."""
    with ledger.transaction() as connection:
        found: str | None = connection.execute(_NEWEST_TASK).scalar_one_or_none()
        return found


def newest_record(ledger: Transactional) -> str | None:
    """Return the key of the newest record of own codes that the ledger knows."""
    with ledger.transaction() as connection:
        found: str | None = connection.execute(_NEWEST_RECORD).scalar_one_or_none()
        return found


def known_references(ledger: Transactional, references: Sequence[str]) -> dict[str, str | None]:
    """Return those of some references that are of this ledger's own calls, and who made each; None: it does not say."""
    with ledger.transaction() as connection:
        return {row.reference: row.account for row in connection.execute(_KNOWN, {"given": list(references)})}


def is_unused(connection: Connection, found: LedgerIdentity) -> bool:
    """Tell whether no run was ever recorded: such a ledger believes nothing."""
    return found.position == 0 and connection.execute(select(func.count()).select_from(t.runs)).scalar_one() == 0


def require_there(path: Path) -> None:
    """Raise `LedgerError` where there is no ledger, though its lock file knows of one: what that had to do is lost."""
    stamp = None if path.exists() else read_stamp(path)
    if stamp is not None:
        raise LedgerError(
            f"the ledger {path} is not there, but {stamp.id} was used here: what it had left to do is not known",
            remedy="put it back, or a backup of it (syncer ledger restore); without either sync the newest full export",
            next=f"ls -l {quoted(path.parent)}",
        )


def require_in_time(connection: Connection, stamp: Stamp | None, path: Path) -> None:
    """Raise `LedgerOldError` for a backup, and for a ledger that is older than its lock file says, or another one.

    ``stamp`` is what the lock file said before this transaction began; None: nothing.
    """
    found = read(connection)
    if found.backup_at is not None:
        raise LedgerOldError(
            f"the ledger {path} is a backup, made at {found.backup_at}: what was sent since is not in it",
            next=f"syncer ledger restore {path}",
        )
    if stamp is None or found.id == stamp.becoming or (found.id != stamp.id and is_unused(connection, found)):
        return
    if found.id != stamp.id:
        raise LedgerOldError(
            f"the ledger {path} is another one than was used here: an older copy, or one from elsewhere"
        )
    if found.position < stamp.position:
        raise LedgerOldError(
            f"the ledger {path} stands at {found.position}, but it came to {stamp.position} here: "
            "an older copy was put in its place"
        )
