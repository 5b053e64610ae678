"""Bringing a ledger's schema to this program's: creating, upgrading (after a backup), and refusing a newer one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy import text

from syncer.errors import LedgerCorruptError, LedgerSchemaError
from syncer.ledger.database import transaction
from syncer.ledger.schema import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


def migrations_path() -> Path:
    """Return the folder of the migrations: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revision(connection: Connection) -> str | None:
    """Return the ledger's schema revision; None for a database without any table."""
    tables = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise LedgerCorruptError(
            "this database is not a ledger: it has other tables",
            remedy="point ledger.url at another file",
            next="syncer init",
        )
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found is None:  # a new ledger gets its tables and its revision in one transaction
        raise LedgerCorruptError("the ledger has tables, but says no schema revision")
    return found


@contextmanager
def upgrading(connection: Connection) -> Iterator[None]:
    """Give a transaction in which migrations may run: SQLite builds a table anew only while it minds no references.

    References are looked at before all of it is kept: `LedgerCorruptError` when one leads nowhere. A new ledger, whose
    tables are empty, needs none of this.
    """
    raw = cast(sqlite3.Connection, connection.connection.driver_connection)
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        with transaction(connection):
            yield
            broken = raw.execute("PRAGMA foreign_key_check").fetchone()
            if broken is not None:
                raise LedgerCorruptError(f"a row of the ledger's table {broken[0]} refers to no row of {broken[2]}")
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def upgrade(connection: Connection) -> None:
    """Run every migration that the ledger lacks, in a transaction of `upgrading`."""
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise LedgerSchemaError(
            f"the ledger's schema cannot be upgraded from {revision(connection)}: {error}",
            remedy="put back the newest good backup, or install the syncer that wrote this ledger",
            next="syncer ledger info",
        ) from error


def require_current(connection: Connection) -> None:
    """Raise `LedgerSchemaError` unless the ledger has exactly this program's schema."""
    found = revision(connection)
    if found == SCHEMA_REVISION:
        return
    if found is None or found < SCHEMA_REVISION:
        raise LedgerSchemaError(
            f"the ledger's schema is {found or 'empty'}; this program needs {SCHEMA_REVISION}",
            next="syncer ledger upgrade",
        )
    raise LedgerSchemaError(
        f"the ledger's schema {found} is newer than this program's ({SCHEMA_REVISION}): it was used by a newer syncer",
        remedy="install the newer syncer again",
        next="pip install --upgrade syncer",
    )
