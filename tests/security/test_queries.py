"""A query only reads: one statement, in a session that cannot write; its address tells nobody the password."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from security.others import needs_root
from sqlalchemy import make_url

from syncer.errors import ConfigError, SourceError
from syncer.safe.addresses import holds_secret, is_ambiguous
from syncer.source.database import HIDDEN, Mask
from syncer.source.query import QuerySource
from syncer.source.statement import single_select

STACKED = [
    "SELECT 1; COMMIT; INSERT INTO t VALUES (2); SELECT 1",
    "SELECT 1) AS x; COMMIT; INSERT INTO t VALUES (2); SELECT * FROM (SELECT 1",
    "SELECT 1; INSERT INTO t VALUES (2)",
    "SELECT ';' ; INSERT INTO t VALUES (2)",
    "SELECT 1 /* ; */ ; INSERT INTO t VALUES (2)",
    "SELECT $$;$$ ; INSERT INTO t VALUES (2)",
    "SELECT $a$ $$ $a$ ; INSERT INTO t VALUES (2)",
    "SELECT E'\\'' ; INSERT INTO t VALUES (2); SELECT ''",
    "SELECT '\\' ; INSERT INTO t VALUES (2); SELECT '",
    "SELECT 1 /* /* */ ; INSERT INTO t VALUES (2) /* */ */",
    "SELECT 1 /*! ; INSERT INTO t VALUES (2) */",
    'SELECT "a\\"" ; INSERT INTO t VALUES (2); SELECT "',
    "SELECT 1 -- x\n; INSERT INTO t VALUES (2)",
]
ONE = [
    "SELECT 1", "select 1;", "SELECT 1 ; ; -- all\n", "(SELECT 1)", "((SELECT 1) UNION (SELECT 2))", "VALUES (1)", "TABLE t",
    "WITH x AS (SELECT ';' AS a) SELECT * FROM x", "SELECT ';--/*', \"a;b\", `c;d` FROM t", "SELECT $x$ ; $x$, $$ ' ; $$",
    "SELECT E'\\';' AS a", "SELECT x FROM t WHERE a LIKE '%\\_%' ESCAPE '\\'", "SELECT a[1], 5 % 2, 'it''s' FROM t",
    "/* of ; the night */ -- ;\n SELECT 1 /* end; */",
]  # fmt: skip


@pytest.mark.parametrize("query", STACKED)
def test_more_than_one_statement_is_refused(query):
    with pytest.raises(ValueError, match=r"must be|has a|closes a"):
        single_select(query)


@pytest.mark.parametrize("query", ONE)
def test_one_statement_is_taken_as_it_is(query):
    taken = single_select(query)
    assert query.startswith(taken)
    assert not query[len(taken) :].replace("all", "").replace("end", "").strip("; -/*\n")


@pytest.mark.parametrize(
    "query",
    ["/**/" * 200_000 + "x", "/*" * 200_000, "'" * 400_001, "(" * 400_000, "$" * 400_000, "-- \n" * 100_000, "e'" + "\\" * 400_000, " " * 400_000 + "x"],
    ids=lambda query: repr(query[:4]),
)  # fmt: skip
def test_no_query_takes_long(query):
    begun_s = time.process_time()
    with pytest.raises(ValueError, match=r"must be|has a"):
        single_select(query)
    assert time.process_time() - begun_s < 5


@given(st.text(st.sampled_from("sSeElLcCtT '\";()/*-$\\\n;x1"), max_size=40))
def test_what_is_taken_is_one_statement_to_sqlite_too(query):
    try:
        taken = single_select("SELECT 1 " + query)
    except ValueError:
        return
    with closing(sqlite3.connect(":memory:")) as base:
        try:
            base.execute(taken)
        except sqlite3.Warning as several:  # of Python 3.11; later it is a ProgrammingError
            pytest.fail(str(several))
        except sqlite3.Error as error:
            assert "one statement" not in str(error)


@pytest.fixture
def base(tmp_path):
    with closing(sqlite3.connect(tmp_path / "erp.db")) as connection:
        connection.execute("CREATE TABLE t (k)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
    return f"sqlite:///{tmp_path / 'erp.db'}"


@pytest.mark.parametrize(
    "query", [*STACKED, "WITH x AS (SELECT 1) INSERT INTO t SELECT 2", "ATTACH 'made.db' AS m", "VACUUM INTO 'made.db'"]
)
def test_sqlite_is_only_read(base, tmp_path, query, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SourceError, ConfigError)):
        QuerySource(base, query, job="erp")
    with closing(sqlite3.connect(base.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT k FROM t").fetchall() == [(1,)]
    assert [path.name for path in tmp_path.iterdir()] == ["erp.db"]


BREAKOUT = "SELECT 1) AS x; COMMIT; INSERT INTO t VALUES (2); SELECT * FROM (SELECT 1"
"""Leaves the brackets that it is put into."""


@pytest.mark.parametrize("query", [*STACKED, BREAKOUT, "INSERT INTO t VALUES (2)", "COMMIT", "PRAGMA query_only = OFF"])
def test_sqlite_holds_even_where_the_look_at_the_text_fails(base, query, monkeypatch):
    monkeypatch.setattr("syncer.source.query.single_select", lambda query: query)
    with suppress(SourceError, ConfigError):
        QuerySource(base, query, job="erp").close()
    with closing(sqlite3.connect(base.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT k FROM t").fetchall() == [(1,)]


def test_a_wrapped_query_gives_the_columns_and_rows_of_the_query(base):
    query = """WITH x AS (SELECT 2 AS k UNION SELECT 1) SELECT k, k + 1 AS "k:7" FROM x ORDER BY k DESC -- all"""
    with pytest.raises(SourceError, match="k"), closing(QuerySource(base, query, job="erp")):
        pass  # SQLite itself gives the name k:7 to a second k, so which it is nobody knows
    with pytest.raises(SourceError, match="'k'"):
        QuerySource(base, "SELECT k, 2 AS k FROM t", job="erp").close()
    with closing(QuerySource(base, query.replace("k:7", "n:7"), job="erp")) as source:
        assert source.header == ("k", "n:7")
        rows = [tuple(row.values()) for chunk in source.chunks() for row in chunk.columns.to_pylist()]
    assert rows == [("2", "3"), ("1", "2")]


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///new.db", "sqlite:///new.db?mode=rwc", "sqlite:///file:new.db?mode=rwc&uri=true",
        "sqlite:///file:new.db%3Fmode=rwc", "sqlite:///file:new.db%3Fmode%3Drwc&uri=true", "sqlite:///new.db%3Fmode=rwc",
        "sqlite:///file:new.db%23?uri=true", "sqlite:///file:new.db%253Fmode=rwc?uri=true",
    ],
)  # fmt: skip
def test_no_address_of_sqlite_makes_a_file(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SourceError, ConfigError)):
        QuerySource(address, "SELECT 1 AS k", job="erp")
    assert list(tmp_path.iterdir()) == []


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:hun@ter2@db.example.com/erp", "postgresql://reader:@@db/erp", "mysql://r:a@b@c@db/erp",
        "postgresql://reader:hun/ter2@db.example.com/erp", "postgresql://reader:hun/te@r2@db/erp",
    ],
)  # fmt: skip
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="two ways") as refused:
        QuerySource(url, "SELECT 1", job="erp")
    shown = f"{refused.value} {refused.value.words}"
    assert not any(part in shown for part in ("hun", "ter2", "r2@"))
    assert "%40 for @" in refused.value.remedy


@pytest.mark.parametrize(
    "url",
    ["postgresql://reader:hun%40ter2@db/erp", "postgresql://reader@db/erp", "postgresql:///erp", "sqlite:////srv/erp@2.db", "sqlite:///erp.db",
     "postgresql://reader:x@[::1]:5432/erp?a=b@c", "mssql+pyodbc:///?odbc_connect=UID%3Dme@x"],
)  # fmt: skip
def test_other_addresses_are_not(url):
    assert not is_ambiguous(url)
    make_url(url)


def test_which_addresses_hold_a_secret():
    assert holds_secret("postgresql://reader:x@db/erp")
    assert holds_secret("postgresql://db/erp?password=x")
    assert not holds_secret("postgresql://reader@db:5432/erp?password=")
    assert not holds_secret("sqlite:////srv/erp.db")


@pytest.mark.parametrize("password", ["a", "er", "abc12"])
def test_a_short_password_is_not_replaced_letter_by_letter(password):
    mask = Mask("", make_url("postgresql://reader@db/erp").set(password=password))
    assert mask(f"authentication failed: {password}, it was") == HIDDEN
    assert mask("xyz") == "xyz"
    assert "***" not in mask("authentication failed for user reader")


def test_the_password_beside_the_address_is_used_and_not_shown():
    with pytest.raises(SourceError) as refused:
        QuerySource("postgresql+nodriver://reader@127.0.0.1:1/erp", "SELECT 1", job="erp", password="p@ss/word canary")
    assert "canary" not in f"{refused.value} {refused.value.words}"
    with pytest.raises(ConfigError, match="in the url and beside it"):
        QuerySource("postgresql://reader:x@127.0.0.1:1/erp", "SELECT 1", job="erp", password="y")


# ── PostgreSQL, where there is one ───────────────────────────────────────────────────────────────────────────────────


def programs():
    """The newest folder of PostgreSQL's programs; None: there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A server of its own on a socket in a folder; PostgreSQL does not run as root, so the tests must be root."""
    folder = tmp_path_factory.mktemp("pg")
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    os.chown(folder, 65534, 65534)

    def run(program, *arguments):
        subprocess.run(
            [programs() / program, *arguments],
            user=65534,
            group=65534,
            extra_groups=[],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    run("initdb", "-D", "data", "-A", "trust", "-U", "reader", "--no-sync")
    run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", f"-c listen_addresses='' -k {folder}", "start")
    yield folder
    run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")


@needs_root
@pytest.mark.skipif(programs() is None, reason="there is no PostgreSQL on this machine: apt-get install postgresql")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_postgresql_is_only_read(postgres, driver):
    from sqlalchemy import create_engine, text

    url = f"postgresql+{driver}://reader@/postgres?host={postgres}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS t"))
        connection.execute(text("CREATE TABLE t (k int)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    writes = [*STACKED, "WITH x AS (INSERT INTO t VALUES (2) RETURNING k) SELECT * FROM x", "SELECT k FROM t FOR UPDATE",
              "SELECT set_config('transaction_read_only', 'off', false)", "SELECT 1 INTO made"]  # fmt: skip
    for query in writes:
        with pytest.raises((SourceError, ConfigError)):
            QuerySource(url, query, job="erp").close()
    with pytest.MonkeyPatch.context() as patch:  # the session holds even where the look at the text fails
        patch.setattr("syncer.source.query.single_select", lambda query: query)
        with pytest.raises(SourceError, match=r"read-only|multiple commands|syntax"):
            QuerySource(url, BREAKOUT, job="erp").close()
    with closing(QuerySource(url, "TABLE t -- all\n;", job="erp")) as source:
        assert [chunk.columns.to_pylist() for chunk in source.chunks()] == [[{"k": "1"}]]
    with closing(QuerySource(url, "SELECT g AS k FROM generate_series(1, 5) g ORDER BY g DESC", job="erp")) as source:
        rows = [row["k"] for chunk in source.chunks() for row in chunk.columns.to_pylist()]
    assert rows == ["5", "4", "3", "2", "1"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT k FROM t")).scalars().all() == [1]
    engine.dispose()
