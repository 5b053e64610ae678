"""How far each pull of scans has come: watermark, the page chain in progress, what was delivered, and stored scans.

What always holds: a part's scans, their ids and the cursor behind them are committed together, in one transaction,
after the part's files are durable; so what the ledger says was delivered is delivered, and nothing else. A pull is
found by its destination, however that is spelled, and a destination belongs to one scope from its first scan on.

Pulls have a lock of their own beside the ledger's: scans touch no batch, so a pull may go on while a sync runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from syncer.errors import LedgerCorruptError, UsageError
from syncer.ledger import migrate
from syncer.ledger import schema as t
from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.ledger.database import ledger_path, open_engine, refuse_planted, set_cache, transaction
from syncer.ledger.identity import require_in_time
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import NO_WAIT, LedgerLock, LockWait, read_stamp

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import Connection, Row

IN_LEDGER = "ledger: "
"""Begins the destination of a pull into the tables of the ledger; its scope follows."""
CACHE_KIB = 16 * 1024
"""Less than a sync has: pulls promise to need little memory."""
ROW_COLUMNS = ("pull_id", "uuid", "campaign", "at_us", "extended_id", "serial_number", "scm", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullState:
    """A pull as committed. Times are microseconds since the Unix epoch; see `schema.scan_pulls`."""

    id: int
    destination: str
    scope: str
    fields: tuple[str, ...] = ()
    watermark_us: int | None = None
    seen_from_us: int | None = None
    chain: int = 0
    chain_query: str | None = None
    chain_began_us: int | None = None
    chain_newest_us: int | None = None
    chain_shown: int = 0
    parts: int = 0
    scans: int = 0
    repeated: int = 0
    too_late: int = 0

    @property
    def is_put_back(self) -> bool:
        """Whether the ledger was put back since the last chain began: what was delivered after that is not known."""
        return self.chain > 0 and self.chain_began_us is None


@dataclass(frozen=True, slots=True)
class Seen:
    """Ids that were delivered: 16 bytes each, with their times, 8 bytes each; ``chain`` delivered them."""

    chain: int
    uuids: bytes
    times: bytes


@dataclass(frozen=True, slots=True)
class StoredScan:
    """What `compare` needs of a scan; ``scm`` is None for a field that the scan shows as empty."""

    uuid: str
    at_us: int
    extended_id: str
    serial_number: str
    scm: dict[str, Any]


class ScanLedger:
    """The part of a ledger that belongs to scans, open for writing."""

    def __init__(self, connection: Connection, lock: LedgerLock) -> None:
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, url: str, *, at: str, wait: LockWait = NO_WAIT) -> ScanLedger:
        """Open the ledger, creating it where there is none. Raises `LedgerBusyError` when another pull goes on."""
        path = ledger_path(url)
        if not path.exists() or path.stat().st_size == 0:
            Ledger.open_to_write(url, at=at, wait=wait).close()
        refuse_planted(path)
        stamp = read_stamp(path)
        lock = LedgerLock(path.with_name(path.name + ".scans"), since=at, wait=wait)
        with ExitStack() as stack:
            stack.callback(lock.release)
            connection = stack.enter_context(closing(open_engine(path).connect()))
            with transaction(connection):
                set_cache(raw_cursor(connection), CACHE_KIB)
                migrate.require_current(connection)
                require_in_time(connection, stamp, path)
            stack.pop_all()  # from here on it is the ledger that closes them
        return cls(connection, lock)

    def __enter__(self) -> ScanLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction."""
        with transaction(self._connection) as connection:
            yield connection

    def find(self, destination: str) -> PullState | None:
        """Return the pull that delivers to a destination, under whatever spelling; None when there is none yet.

        Of several, which an older version took for different ones, it is the one that was last at work.
        """
        wanted = _spelled(destination)
        statement = select(t.scan_pulls).order_by(t.scan_pulls.c.changed_at.desc(), t.scan_pulls.c.id.desc())
        with self.transaction() as connection:
            states = [_state(row) for row in connection.execute(statement)]
        return next((state for state in states if _spelled(state.destination) == wanted), None)

    def ensure(self, destination: str, scope: str, *, at: str) -> PullState:
        """Return the pull of a destination, recording it when it is new.

        One that has delivered nothing takes a new scope, and begins anew; of another one, raise `UsageError`.
        """
        known = self.find(destination)
        new = {"scope": scope, "fields": "[]", "changed_at": at, "chain_shown": 0, "repeated": 0, "too_late": 0}
        c = t.scan_pulls.c
        if known is None:
            with self.transaction() as connection:
                connection.execute(
                    insert(t.scan_pulls).values(
                        destination=destination, created_at=at, chain=0, parts=0, scans=0, **new
                    )
                )  # fmt: skip
            known = self.find(destination)
        assert known is not None  # noqa: S101  it was inserted here
        if _scope(known.scope) == _scope(scope):
            return known
        if known.scans or known.parts:
            raise UsageError(
                f"{destination} holds the scans of another pull: {known.scope}; this one is {scope}",
                remedy="name another --out, or repeat the options of that pull",
                next="syncer scans pull --help",
            )
        nothing = dict.fromkeys(("watermark_us", "seen_from_us", "chain_query", "chain_newest_us"))
        with self.transaction() as connection:
            connection.execute(update(t.scan_pulls).where(c.id == known.id).values(**new, **nothing))
        return PullState(
            id=known.id,
            destination=known.destination,
            scope=scope,
            chain=known.chain,
            chain_began_us=known.chain_began_us,
        )

    def seen(self, state: PullState) -> Iterator[Seen]:
        """Stream what was delivered from ``seen_from_us`` on, a part at a time."""
        c = t.scan_seen.c
        with self.transaction() as connection:
            numbers = (
                connection.execute(select(c.number).where(c.pull_id == state.id).order_by(c.number)).scalars().all()
            )
        for number in numbers:
            statement = select(c.chain, c.uuids, c.times).where(c.pull_id == state.id, c.number == number)
            with self.transaction() as connection:
                row = connection.execute(statement).one()
            yield Seen(*row)

    def commit(
        self,
        before: PullState,
        after: PullState,
        *,
        at: str,
        delivered: Seen | None = None,
        kept: Sequence[Seen] | None = None,
        rows: Iterable[Sequence[Any]] = (),
    ) -> None:
        """Record a step of a pull in one transaction.

        ``delivered`` are the ids of the part; ``kept``, when a chain has ended, replaces all ids; ``rows`` are scans to
        store (`ROW_COLUMNS`). Raises `LedgerCorruptError` when the pull is no longer as `before` says.
        """
        c = t.scan_pulls.c
        with self.transaction() as connection:
            if kept is not None:
                connection.execute(delete(t.scan_seen).where(t.scan_seen.c.pull_id == before.id))
            for seen in (*(kept or ()), *(() if delivered is None else (delivered,))):
                self._add_seen(connection, before.id, seen)
            insert_rows(connection, "scans", ROW_COLUMNS, rows, or_ignore=True)
            changed = connection.execute(
                update(t.scan_pulls)
                .where(
                    c.id == before.id, c.parts == before.parts, c.chain == before.chain, c.scans == before.scans,
                    c.chain_query.is_(None) if before.chain_query is None else c.chain_query == before.chain_query,
                )
                .values(
                    fields=json.dumps(list(after.fields), ensure_ascii=False),
                    changed_at=at,
                    **{name: getattr(after, name) for name in _COUNTED},
                )
            )  # fmt: skip
            if changed.rowcount != 1:
                raise LedgerCorruptError(f"the pull into {before.destination} was changed by somebody else meanwhile")

    @staticmethod
    def _add_seen(connection: Connection, pull_id: int, seen: Seen) -> None:
        last = connection.execute(select(func.max(t.scan_seen.c.number)).where(t.scan_seen.c.pull_id == pull_id))
        connection.execute(
            insert(t.scan_seen).values(
                pull_id=pull_id,
                number=(last.scalar_one() or 0) + 1,
                chain=seen.chain,
                uuids=seen.uuids,
                times=seen.times,
            )
        )


_COUNTED = (
    "watermark_us", "seen_from_us", "chain", "chain_query", "chain_began_us", "chain_newest_us", "chain_shown", "parts",
    "scans", "repeated", "too_late",
)  # fmt: skip


def resolved(folder: Path) -> Path:
    """Return the one spelling of a folder's path: absolute, and without links but for the folder's own name."""
    whole = folder.absolute()
    if whole.name == "..":
        return Path(os.path.realpath(whole))
    return Path(os.path.realpath(whole.parent)) / whole.name


def _spelled(destination: str) -> str:
    """Return the one spelling of a destination; ledgers hold others, of the versions that wrote them."""
    if destination.startswith(IN_LEDGER):
        return IN_LEDGER + _scope(destination.removeprefix(IN_LEDGER))
    return str(resolved(Path(destination)))


def _scope(scope: str) -> str:
    """Return the one spelling of a scope: flags are a set."""
    known = json.loads(scope)
    if "flags" in known:
        known["flags"] = ",".join(sorted(set(known["flags"].split(","))))
    return json.dumps(known, sort_keys=True, ensure_ascii=False)


def _state(row: Row[Any]) -> PullState:
    known = row._asdict()
    return PullState(
        id=known["id"],
        destination=known["destination"],
        scope=known["scope"],
        fields=tuple(json.loads(known["fields"])),
        **{name: known[name] for name in _COUNTED},
    )


def stored_scans(connection: Connection, campaign: int | None) -> Iterator[StoredScan]:
    """Stream the scans of the ledger: of one campaign, or of all."""
    columns = (t.scans.c.uuid, t.scans.c.at_us, t.scans.c.extended_id, t.scans.c.serial_number, t.scans.c.scm)
    statement = select(*columns).order_by(t.scans.c.id)
    if campaign is not None:
        statement = statement.where(t.scans.c.campaign == campaign)
    for uuid, at_us, extended_id, serial_number, scm in connection.execution_options(yield_per=5_000).execute(
        statement
    ):
        yield StoredScan(uuid.hex(), at_us, extended_id or "", serial_number or "", json.loads(scm))
