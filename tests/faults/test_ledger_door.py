"""One door to the ledger: an error of SQLite inside any of its subjects is the ledger's (13), and nothing is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncer.errors import LedgerError
from syncer.ledger import products, recovery, scans, uploads
from syncer.ledger.ledger import Ledger
from syncer.ledger.products import ProductRecord, PullRecord, store_products, store_pull
from syncer.ledger.recovery import recover
from syncer.ledger.scans import ScanLedger
from syncer.ledger.upload_values import NewUpload

AT = "2026-11-20T05:00:00.000Z"
PRODUCT = ProductRecord(1, "SKU", "name", False, None, "{}", AT)


def broken(*_, **__):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_WRITE"
    raise error


def store_a_pull(url, monkeypatch):
    monkeypatch.setattr(products, "raw_cursor", broken)
    with Ledger.open_to_write(url, at=AT) as ledger:
        store_pull(ledger, PullRecord(AT, AT, False, 1, 1, 1), [PRODUCT])


def store_a_product(url, monkeypatch):
    monkeypatch.setattr(products, "raw_cursor", broken)
    with Ledger.open_to_write(url, at=AT) as ledger:
        store_products(ledger, [PRODUCT])


def add_an_upload(url, monkeypatch):
    monkeypatch.setattr(uploads, "insert_rows", broken)
    new = NewUpload("f.csv", "0" * 64, 1, "mark", "csv", {}, None, False, {}, "test")
    with Ledger.open_to_write(url, at=AT) as ledger:
        ledger.uploads().add(new, [], list, at=AT)


def record_a_pull_of_scans(url, monkeypatch):
    Ledger.open_to_write(url, at=AT).close()
    monkeypatch.setattr(scans, "_state", broken)
    with ScanLedger.open(url, at=AT) as ledger:
        ledger.ensure("folder", "{}", at=AT)


def recover_a_ledger(url, monkeypatch):
    Ledger.open_to_write(url, at=AT).close()
    monkeypatch.setattr(recovery, "_forget_in", broken)
    recover(Path(url.removeprefix("sqlite:///")), at=AT)


def write_a_batch(url, _):
    with Ledger.open_to_write(url, at=AT) as ledger, ledger.writer(1).together():
        broken()


@pytest.mark.parametrize(
    "deed", [store_a_pull, store_a_product, add_an_upload, record_a_pull_of_scans, recover_a_ledger, write_a_batch]
)
def test_an_error_of_the_driver_is_the_ledgers_in_every_subject(tmp_path, monkeypatch, deed):
    path = tmp_path / "l.db"
    Ledger.open_to_write(f"sqlite:///{path}", at=AT).close()
    with closing(sqlite3.connect(path)) as database:
        before = list(database.iterdump())
    with pytest.raises(LedgerError, match="the disk reports an error") as caught:
        deed(f"sqlite:///{path}", monkeypatch)
    assert caught.value.status == 13
    assert str(path) in caught.value.message
    with closing(sqlite3.connect(path)) as database:
        left = list(database.iterdump())
    assert [line for line in left if "scan_pulls" not in line] == [line for line in before if "scan_pulls" not in line]
