"""Migrated equals declared; a newer ledger is refused; an upgrade keeps a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from syncer.errors import LedgerCorruptError, LedgerSchemaError
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.ledger.migrate import migrations_path
from syncer.ledger.products import last_pull, products
from syncer.ledger.schema import APPEND_ONLY, SCHEMA_REVISION, append_only_triggers, metadata
from syncer.ledger.views import view_statements

AT = "2026-11-20T05:00:00.000Z"


def declared():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        for statement in [*append_only_triggers(), *view_statements()]:
            connection.exec_driver_sql(statement)
        found = objects(connection.connection.driver_connection)
    engine.dispose()
    return found


def objects(database):
    rows = database.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'").fetchall()
    return {
        (kind, name): [] if sql is None else clauses(" ".join(sql.replace('"', "").split())) for kind, name, sql in rows
    }


def clauses(sql):
    """The parts of a statement, whatever the order of a table's constraints."""
    parts, depth, part = [], 0, ""
    for character in sql:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 1:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    *others, last = [*parts, part.strip()]
    body, _, end = last.rpartition(")")
    return sorted([*others, body.strip(), end.strip()])


def test_all_migrations_together_arrive_at_the_declared_schema(tmp_path):
    Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT).close()
    with closing(sqlite3.connect(tmp_path / "l.db")) as database:
        assert objects(database) == declared()
    engine = create_engine(f"sqlite:///{tmp_path}/l.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_program_knows_the_newest_migration():
    assert ScriptDirectory(str(migrations_path())).get_current_head() == SCHEMA_REVISION


def test_every_ledger_has_an_id_of_its_own(tmp_path):
    found = set()
    for name in ("a.db", "b.db"):
        Ledger.open_to_write(f"sqlite:///{tmp_path}/{name}", at=AT).close()
        with closing(sqlite3.connect(tmp_path / name)) as database:
            found |= set(database.execute("SELECT id, length(id), position, base_url FROM ledger").fetchall())
    assert len(found) == 2
    assert {row[1:] for row in found} == {(12, 0, None)}


def test_history_cannot_be_changed_through_any_door(tmp_path):
    Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT).close()
    with closing(sqlite3.connect(tmp_path / "l.db")) as database:
        database.execute("PRAGMA foreign_keys=OFF")
        database.execute("INSERT INTO payloads VALUES (1, 'f', '{}')")
        database.execute("INSERT INTO items VALUES (1, 1, 'k', 1, 1, 1, 0)")
        database.execute("INSERT INTO outcomes VALUES (1, 'unmatched', '')")
        database.execute(
            "INSERT INTO events (id, at, run_id, batch_id, event, old_state, new_state) VALUES (1,'',1,1,'start','planned','sending')"
        )
        database.execute("INSERT INTO item_origins VALUES (1, 1, 2, '[]')")
        database.execute("INSERT INTO upload_codes VALUES ('ABCDEFGH', 1, 2, '{}')")
        database.execute("INSERT INTO upload_errors VALUES (1, 1, 'ABCDEFGH', 'duplicate_id_error', '')")
        database.execute(
            "INSERT INTO upload_events (id, at, part_id, event, old_state, new_state) VALUES (1,'',1,'start','stored','starting')"
        )
        database.execute("INSERT INTO seals VALUES (1, 1, '', '{}', '{}', '', '')")
        database.execute("INSERT INTO rejections VALUES (1, 1, 'a.csv', 2, 'E101', 'k', '')")
        for table in APPEND_ONLY:
            column = metadata.tables[table].columns[0].name
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = 2"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    database.execute(statement)


def test_a_newer_or_foreign_database_is_refused_and_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    Ledger.open_to_write(url, at=AT).close()
    with closing(sqlite3.connect(tmp_path / "l.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    for opening in (
        lambda: Ledger.open_to_write(url, at=AT),
        lambda: Ledger.open_to_read(url),
        lambda: upgrade_ledger(url, at=AT),
    ):
        with pytest.raises(LedgerSchemaError, match="newer"):
            opening()
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE people (name)")
    with pytest.raises(LedgerCorruptError, match="not a ledger"):
        Ledger.open_to_write(f"sqlite:///{tmp_path}/other.db", at=AT)


def test_an_upgrade_of_a_current_ledger_changes_nothing_and_creates_a_missing_one(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    first, second = upgrade_ledger(url, at=AT), upgrade_ledger(url, at=AT)
    assert (first.before, first.after) == (None, SCHEMA_REVISION)
    assert (second.before, second.backup) == (SCHEMA_REVISION, None)
    assert (tmp_path / "l.db").stat().st_mode & 0o777 == 0o600


def test_a_picture_of_an_older_ledger_stays_what_it_was_and_has_counted_nothing(tmp_path):
    path = tmp_path / "l.db"
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        for statement in (
            "INSERT INTO spaces VALUES (1, '[\"extended_id\"]')",
            "INSERT INTO payloads VALUES (4, 'f', '{}')",
            """INSERT INTO pictures VALUES (3, 4, '["lot"]', '["memo"]', 0), (7, 0, '[]', '[]', 1)""",
            "INSERT INTO mirror VALUES (1, 'K1', -3, 1)",
        ):
            connection.exec_driver_sql(statement)
        before = connection.exec_driver_sql("SELECT * FROM v_codes").fetchall()
        command.upgrade(config, "head")
        rows = connection.exec_driver_sql("SELECT * FROM pictures").fetchall()
        assert connection.exec_driver_sql("SELECT * FROM v_codes").fetchall() == before
    engine.dispose()
    assert rows == [(3, 4, '["lot"]', '["memo"]', 0, "[]"), (7, 0, "[]", "[]", 1, "[]")]
    assert [row[2:6] for row in before] == [("{}", '["lot"]', '["memo"]', 0)]


def test_an_upgrade_from_0001_keeps_everything_and_leaves_a_backup(tmp_path):
    """A ledger of the first schema, with a night in it: refused as it is, upgraded with a backup, nothing lost."""
    path, url = tmp_path / "l.db", f"sqlite:///{tmp_path}/l.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            """INSERT INTO jobs VALUES (1, 'erp', '["extended_id"]', '["lot"]', '{}')""",
            """INSERT INTO runs (id, job_id, state, planned, started_at, mode, unique_key, rows, minimum_updates,
               discarded_fields, program) VALUES (1, 1, 'complete', 1, 'at', 'auto', 1, '{"read": 1}', 1, '[]', 'old')""",
            "INSERT INTO payloads VALUES (1, 'f', '{}')",
            "INSERT INTO current VALUES (1, 'K1', 1, 1)",
        ):
            connection.execute(text(statement))
    engine.dispose()
    with closing(sqlite3.connect(path)) as database:
        before = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in ("jobs", "runs", "current")}
        assert all(before.values())
    with pytest.raises(LedgerSchemaError) as refused:
        Ledger.open_to_write(url, at=AT)
    assert refused.value.next == "syncer ledger upgrade"
    done = upgrade_ledger(url, at=AT)
    assert (done.before, done.after, done.backup) == ("0001", SCHEMA_REVISION, tmp_path / "l.db.0001.backup")
    with closing(sqlite3.connect(done.backup)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in before} == before
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (SCHEMA_REVISION,)
        assert database.execute("SELECT * FROM runs").fetchall() == before["runs"]
        assert database.execute("SELECT * FROM mirror").fetchall() == before["current"]
        assert objects(database) == declared()
    with Ledger.open_to_write(url, at=AT) as ledger:
        assert ledger.jobs()[0].name == "erp"
        assert list(products(ledger)) == []
        assert last_pull(ledger) is None
    assert upgrade_ledger(url, at=AT).backup is None
    path.write_bytes(done.backup.read_bytes())  # somebody went back, and used the program of then for a while
    again = upgrade_ledger(url, at=AT)
    assert (again.before, again.backup) == ("0001", tmp_path / "l.db.0001-2.backup")
