"""A query as source: read once, read-only, refused by column and row where a text is not certain, and never a password."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import sys
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import NoSuchModuleError

from syncer.errors import AGAIN, ConfigError, SignalError, SourceError
from syncer.source import query, query_text
from syncer.source.database import Mask, shown_address
from syncer.source.query import QuerySource
from syncer.source.statement import single_select

PASSWORD = "p@ss/wörd canary"
ROWS = [("K1", "007", 7), ("K2", None, 0), ("K3", "NA", None)]


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "erp.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE export (extended_id, lot, number)")
        connection.executemany("INSERT INTO export VALUES (?, ?, ?)", ROWS)
        connection.commit()
    return f"sqlite:///{path}"


def opened(url, query="SELECT * FROM export ORDER BY extended_id", **options):
    return QuerySource(url, query, job="erp", **options)


def read(source, wanted=None):
    with closing(source):
        chunks = list(source.chunks(wanted))
    return [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()], [
        line for chunk in chunks for line in chunk.lines.tolist()
    ]


def test_texts_whole_numbers_and_nulls_are_read_with_the_rows_numbers(base):
    source = opened(base)
    assert read(source) == ([("K1", "007", "7"), ("K2", "", "0"), ("K3", "NA", "")], [1, 2, 3])
    assert source.header == ("extended_id", "lot", "number")
    assert read(opened(base), ["lot"])[0] == [("007",), ("",), ("NA",)]
    assert read(opened(base, "SELECT * FROM export WHERE 0")) == ([], [])


def test_rows_that_no_temporary_file_takes_are_no_fault_of_the_query(base, monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    for spool, words in ((nowhere, "No usable temporary"), (partial(open, "/dev/full", "r+b"), "No space left")):
        monkeypatch.setattr(query, "spool", spool)
        with pytest.raises(SourceError, match=f"cannot be kept in a temporary file: {words}") as refused:
            opened(base)
        assert refused.value.remedy == "set TMPDIR to a folder with room"


def test_every_pass_sees_the_rows_of_the_one_reading(base):
    with closing(opened(base)) as source:
        first = [chunk.columns for chunk in source.chunks()]
        with closing(sqlite3.connect(base.removeprefix("sqlite:///"))) as connection:
            connection.execute("DELETE FROM export")
            connection.commit()
        assert [chunk.columns for chunk in source.chunks()] == first
        assert source.info.rows == 3
        same, other = source.info.sha256, opened(base)
        assert other.info.sha256 != same
        other.close()


def test_a_value_without_a_certain_text_is_refused_with_its_column_and_row_unless_nobody_wants_the_column(base):
    query = "SELECT extended_id, CASE extended_id WHEN 'K2' THEN 1.5 ELSE 'x' END AS \"an odd\" FROM export ORDER BY 1"
    with pytest.raises(SourceError, match="column 'an odd' has a value of type float") as raised:
        read(opened(base, query))
    assert raised.value.line == 2
    assert 'CAST("an odd" AS TEXT) AS "an odd"' in raised.value.remedy
    assert read(opened(base, query), ["extended_id"])[0] == [("K1",), ("K2",), ("K3",)]


DAY = "2026-01-02"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (dt.date(2026, 1, 2), (DAY, query_text.DAY)),
        (dt.date(1, 1, 1), ("0001-01-01", query_text.MOMENT)),
        (dt.date(1000, 1, 1), ("1000-01-01", query_text.DAY)),
        (dt.datetime.fromisoformat("0999-12-31T00:00"), ("0999-12-31", query_text.MOMENT)),
        (dt.datetime.fromisoformat("2026-01-02T00:00"), (DAY, query_text.DAY)),
        (dt.datetime.fromisoformat("2026-01-02T00:01"), (f"{DAY} 00:01:00", query_text.MOMENT)),
        (dt.datetime.fromisoformat("2026-01-02T00:00+00:00"), (f"{DAY} 00:00:00+00:00", query_text.ODD)),
        (b"K1", ("K1", query_text.TEXT)),
        (memoryview(b"K1"), ("K1", query_text.TEXT)),
        (b"\x01", ("\x01", query_text.BYTES)),
        (b"a\tb\n", ("a\tb\n", query_text.TEXT)),
        (b"K\xff", ("K\\xff", query_text.BYTES)),
        (decimal.Decimal(10**20), (str(10**20), query_text.TEXT)),
        (decimal.Decimal("1E+3"), ("1E+3", query_text.ODD)),
        (decimal.Decimal("1.50"), ("1.50", query_text.ODD)),
        (True, ("True", query_text.ODD)),
        ({"a": "\ud800"}, ("{'a': '\\ud800'}", query_text.ODD)),
    ],
)
def test_the_types_of_other_databases_are_read_or_told_alike(value, outcome):
    texts, marks = query_text.texts_of([value, None, "x"])
    assert ([*zip(texts, marks.tolist(), strict=True)]) == [outcome, ("", query_text.TEXT), ("x", query_text.TEXT)]


def test_a_time_and_bytes_that_are_no_text_reject_their_row_alone_as_in_parquet(base, monkeypatch):
    query = "SELECT extended_id, CASE extended_id WHEN 'K1' THEN CAST(x'4fff' AS TEXT) ELSE lot END AS lot FROM export"
    with closing(opened(base, query)) as source:
        (chunk,) = source.chunks()
    assert chunk.columns.to_pylist() == [{"extended_id": "K2", "lot": ""}, {"extended_id": "K3", "lot": "NA"}]
    assert [(one.line, one.code, one.message) for one in chunk.rejections] == [
        (1, "E106", "column 'lot' is no text in UTF-8: 'O\\\\xff'")
    ]
    moments = {"K1": dt.datetime(2026, 1, 2), "K2": dt.datetime(2026, 1, 2, 3)}  # noqa: DTZ001  as drivers give them
    monkeypatch.setattr(
        "syncer.source.query.texts_of", lambda cells: query_text.texts_of([moments.get(c, c) for c in cells])
    )
    with closing(opened(base, "SELECT extended_id AS made FROM export ORDER BY 1")) as source:
        (chunk,) = source.chunks()
    assert (chunk.columns.column("made").to_pylist(), chunk.days["made"].tolist()) == ([DAY, "K3"], [True, False])
    assert [(one.line, one.code) for one in chunk.rejections] == [(2, "E126")]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM export",
        "UPDATE export SET lot = 'x' RETURNING lot",
        "-- SELECT\nDROP TABLE export",
        "PRAGMA query_only = OFF",
        "",
    ],
)
def test_what_is_no_select_is_refused(base, query):
    with pytest.raises(ConfigError, match="must be a SELECT"):
        opened(base, query)
    assert len(read(opened(base))[0]) == 3


def test_the_database_itself_refuses_to_write(base):
    with pytest.raises(SourceError, match="query failed"):
        opened(base, "WITH x AS (SELECT 1) DELETE FROM export RETURNING lot")
    assert len(read(opened(base))[0]) == 3


def test_selects_are_known_behind_comments_and_colons_and_percents_stand_for_themselves(base):
    query = "-- of last night\n/* all */ (SELECT extended_id, '12:30 :x %s' AS t FROM export LIMIT 1);\n"
    assert read(opened(base, query.replace("(", "").replace(")", "")))[0] == [("K1", "12:30 :x %s")]
    assert single_select(query) == query[: query.rindex(";")]


def test_a_missing_file_is_refused_and_not_made(tmp_path):
    with pytest.raises(SourceError, match="unable to open"):
        opened(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_header_in_doubt_is_refused(base):
    with pytest.raises(SourceError, match="twice"):
        opened(base, "SELECT lot, lot FROM export")


def test_a_signal_ends_the_reading(base):
    def observe(rows):
        raise SignalError("interrupted", signal_number=2)

    with pytest.raises(SignalError):
        opened(base, observe=observe)


ADDRESSES = [
    "postgresql+nodriver://reader:p%40ss%2Fw%C3%B6rd%20canary@127.0.0.1:1/erp?sslpassword=p%40ss%2Fw%C3%B6rd+canary",
    "nosuch://reader:p%40ss%2Fw%C3%B6rd%20canary@127.0.0.1:1/erp",
    "postgresql://reader:p%40ss%2Fw%C3%B6rd%20canary@127.0.0.1:port/erp",
    "p%40ss%2Fw%C3%B6rd%20canary",
    "sqlite:////nowhere/p.db?password=p%40ss%2Fw%C3%B6rd+canary",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_password_stands_in_no_error(address):
    with pytest.raises((SourceError, ConfigError)) as raised:
        opened(address)
    shown = f"{raised.value} {raised.value.words} {raised.value.__cause__} {raised.value!r}"
    assert "canary" not in shown
    assert "w%C3%B6rd" not in shown
    assert raised.value.__suppress_context__


def test_names_and_masked_texts_hold_no_secret():
    address = make_url(ADDRESSES[0])
    assert shown_address(address) == "postgresql+nodriver://reader@127.0.0.1:1/erp"
    mask = Mask(ADDRESSES[0], address)
    for text in (PASSWORD, "p%40ss%2Fw%C3%B6rd%20canary", "p%40ss%2Fw%C3%B6rd+canary", ADDRESSES[0], repr(PASSWORD)):
        assert "canary" not in mask(f"login failed for {text}!")
    odbc = make_url("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3D%7Bcan%3Bary%7D%3BServer%3Dx")
    assert "can;ary" not in Mask("", odbc)("bad password {can;ary}")
    assert "can;ary" not in shown_address(odbc)


@pytest.mark.parametrize(
    ("driver", "remedy"),
    [("psycopg", "'syncer[postgresql]'"), ("psycopg2", "'syncer[psycopg2]'"), ("pg8000", "pg8000")],
)
def test_a_driver_that_is_not_installed_is_named(monkeypatch, driver, remedy):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(SourceError) as raised:
        opened(f"postgresql+{driver}://reader:x@127.0.0.1:1/erp")
    assert raised.value.next == f"pip install {remedy}"


@pytest.mark.parametrize(("backend", "helps"), [("sybase", AGAIN), ("duckdb", "pip install 'syncer[duckdb]'")])
def test_a_database_that_sqlalchemy_does_not_know_is_refused_with_what_to_install(monkeypatch, backend, helps):
    def unknown(*_, **__):
        raise NoSuchModuleError(f"Can't load plugin: sqlalchemy.dialects:{backend}")

    monkeypatch.setattr("sqlalchemy.create_engine", unknown)
    with pytest.raises(SourceError) as raised:
        QuerySource(f"{backend}://host/x", "SELECT 1", job="erp")
    assert (raised.value.next, backend in raised.value.message) == (helps, True)
