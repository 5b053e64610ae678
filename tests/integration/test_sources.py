"""Every kind of source through the program: written, synced, and the server's state compared in full."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import sqlite3
import zipfile
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from conftest import codes
from workbooks import book, saved, shared

HEADER = ("extended_id", "lot", "production_date")
ROWS = [(f"K{number:06d}", f"{number % 7:05d}", f"2026-01-{1 + number % 28:02d}") for number in range(300)]
EXPECTED = {key: {"activation_status": "0", "lot": lot, "production_date": day} for key, lot, day in ROWS}
PASSWORD = "canary-9c1e"


def csv_bytes():
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER, *ROWS])
    return text.getvalue().encode()


def zip_bytes():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("night/export.csv", csv_bytes())
    return data.getvalue()


def typed_workbook():
    """As a person would fill it in: numbers by a format with zeros, days as days."""
    made = book(HEADER, *((key, int(lot), dt.date.fromisoformat(day)) for key, lot, day in ROWS))
    for line in range(2, len(ROWS) + 2):
        made.active.cell(line, 2).number_format = "00000"
    return saved(made)


def parquet_bytes():
    keys, lots, days = zip(*ROWS, strict=True)
    data = io.BytesIO()
    columns = [pa.array(keys), pa.array(lots).dictionary_encode(), pa.array(map(dt.date.fromisoformat, days))]
    pq.write_table(pa.table(columns, names=HEADER), data, row_group_size=64)
    return data.getvalue()


KINDS = {
    "a.xlsx": typed_workbook,
    "texts.xlsx": lambda: shared(saved(book(HEADER, *ROWS))),
    "a.parquet": parquet_bytes,
    "a.csv.gz": lambda: gzip.compress(csv_bytes()),
    "a.csv.zst": lambda: zstandard.ZstdCompressor().compress(csv_bytes()),
    "a.zip": zip_bytes,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_brings_the_server_to_its_state(night, name):
    with night(codes=codes(300)) as here:
        (here.folder / name).write_bytes(KINDS[name]())
        done = here.sync(name, "--results", "out")
        assert done.code == 0, done.err
        assert done.document["values"]["confirmed"] == done.document["rows"]["new"] == 300
        assert here.server() == EXPECTED
        assert here.sync(name).document["rows"]["unchanged"] == 300
        (here.folder / "same.csv").write_bytes(csv_bytes())
        assert here.sync("same.csv").document["rows"]["unchanged"] == 300
        with (here.folder / "out" / "confirmed.csv").open(newline="") as file:
            results = list(csv.DictReader(file))
        first = 1 if name.endswith(".parquet") else 2
        assert [(row["extended_id"], row["lot"], int(row["_line"])) for row in results] == [
            (key, lot, line) for line, (key, lot, _) in enumerate(ROWS, first)
        ]


def test_what_excel_spoiled_is_rejected_with_its_cell_or_refuses_the_file(night):
    with night(codes=codes(4)) as here:
        rows = [("K000000", "00001"), ("K000001", 1.5), ("K000002", "#N/A"), ("K000003", 1234567890123456)]
        (here.folder / "a.xlsx").write_bytes(saved(book(("extended_id", "lot"), *rows)))
        done = here.sync("a.xlsx", "--results", "out")
        assert done.code == 3
        assert done.document["rows"] | {"read": 4, "new": 1, "invalid": 3} == done.document["rows"]
        assert {key: fields.get("lot") for key, fields in here.server().items()} == {
            "K000000": "00001", "K000001": None, "K000002": None, "K000003": None,
        }  # fmt: skip
        with (here.folder / "out" / "error.csv").open(newline="") as file:
            errors = [(row["extended_id"], row["_line"], row["_code"]) for row in csv.DictReader(file)]
        assert errors == [("K000001", "3", "E122"), ("K000002", "4", "E124"), ("K000003", "5", "E121")]
        spoiled = book(("serial_number", "lot"), ("S1", "1"), (1.2e17, "2"))
        (here.folder / "b.xlsx").write_bytes(saved(spoiled))
        calls = len(here.box.calls("sync"))
        refused = here.sync("b.xlsx")
        assert refused.code == 2
        assert "b.xlsx:3:1" in refused.document["error"]["message"]
        assert "cell A3" in refused.document["error"]["message"]
        assert "as text in Excel" in refused.document["error"]["message"]
        assert len(here.box.calls("sync")) == calls


def test_a_job_names_its_sheet_and_its_columns(night):
    text = '[jobs.erp]\nsheet = "Export"\nkey = "Code"\n[jobs.erp.columns]\nCode = "extended_id"\nLot = "lot"\n'
    with night(codes=codes(2)) as here:
        here.config(text)
        made = book(["nothing"], Export=[["Code", "Weight", "Lot"], ["K000000", 1.5, "7"], ["K000001", 2.5, "8"]])
        (here.folder / "a.xlsx").write_bytes(saved(made))
        done = here.sync("a.xlsx", "--results", "out")
        assert done.code == 0, done.document  # the weights have no certain text, but nobody sends them
        assert {key: fields["lot"] for key, fields in here.server().items()} == {"K000000": "7", "K000001": "8"}
        assert "K000000,1.5,7," in (here.folder / "out" / "confirmed.csv").read_text()


def make_base(folder):
    with closing(sqlite3.connect(folder / "erp.db")) as base:
        base.execute("CREATE TABLE codes (serial TEXT, lot TEXT, day TEXT, weight REAL)")
        base.executemany("INSERT INTO codes VALUES (?, ?, ?, 1.5)", ROWS)
        base.commit()
    return (folder / "erp.db").read_bytes()


SELECT = "SELECT serial AS extended_id, lot, day AS production_date FROM codes ORDER BY serial"


def test_a_query_is_synced_when_no_file_is_named_and_its_password_stands_nowhere(night):
    url = f"sqlite:///erp.db?password={PASSWORD}"
    with night(codes=codes(300)) as here:
        before = make_base(here.folder)
        here.config(f'[jobs.Erp.source]\nquery = "{SELECT}"\n')
        secret = {"SYNCER_JOBS__ERP__SOURCE__URL": url}
        planned = here.run("plan", "--json", **secret)
        assert planned.document["rows"]["new"] == 300
        done = here.sync("--results", "out", "-vv", **secret)
        assert done.code == 0, done.document
        assert here.server() == EXPECTED
        again = here.sync(**secret)
        assert again.document["rows"]["unchanged"] == 300
        shown = [here.run(*words, **secret) for words in (["status", "1"], ["audit", "export"], ["check"])]
        assert "sqlite:///erp.db" in shown[1].out
        spoiled = here.run(
            "sync", "-vv", SYNCER_JOBS__ERP__SOURCE__QUERY="SELECT serial AS extended_id, weight FROM codes", **secret
        )
        assert (spoiled.code, "CAST(weight AS" in spoiled.out) == (2, True)
        missing = here.run("plan", "-vv", "--json", SYNCER_JOBS__ERP__SOURCE__URL=url.replace("erp.db", "none.db"))
        assert missing.code == 2
        for one in (planned, done, again, *shown, spoiled, missing):
            assert PASSWORD not in one.out + one.err
        for path in here.folder.rglob("*"):
            assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
        assert (here.folder / "erp.db").read_bytes() == before
        assert not (here.folder / "none.db").exists()


def test_a_named_file_wins_over_the_query_and_without_either_the_way_out_is_named(night):
    with night(codes=codes(300)) as here:
        (here.folder / "a.csv").write_bytes(csv_bytes())
        source = {
            "SYNCER_JOBS__DEFAULT__SOURCE__URL": "sqlite:///none.db",
            "SYNCER_JOBS__DEFAULT__SOURCE__QUERY": SELECT,
        }
        assert here.sync("a.csv", **source).code == 0
        for command in ("plan", "sync"):
            done = here.run(command, "--json")
            assert (done.code, done.document["error"]["code"]) == (2, "usage")
            assert "jobs.default.files or .source" in done.document["error"]["message"]
        half = here.sync(SYNCER_JOBS__DEFAULT__SOURCE__URL="sqlite:///none.db")
        assert (half.code, "both: url and query" in half.document["error"]["message"]) == (2, True)


def test_a_spoiled_address_is_refused_without_being_shown(night):
    with night() as here:
        here.config(f"[jobs.a.source]\nurl = ['{PASSWORD}']\nquery = 'SELECT 1'\n")
        done = here.run("sync", "--json", "-vv")
        assert done.code == 2
        assert "jobs.a.source.url is not shown" in done.document["error"]["message"]
        assert PASSWORD not in done.out + done.err
        assert json.loads(done.out)["error"]["next"]
