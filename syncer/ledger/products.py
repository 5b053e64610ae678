"""The copy of the company's products: written when a list was read whole, or a single product was looked up.

What always holds: a pull and its products are written in one transaction, so a pull that is recorded was whole; a
product is never taken out, its ``seen_at`` tells when it was last there. ``seen_at`` is the time at which reading
began, so a product was there at that time or later. Whatever the clock said before, no product that a pull judges and
did not list has a ``seen_at`` as late as the pull's.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from syncer.ledger.bulk import insert_rows, raw_cursor
from syncer.process.clock import utc_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncer.ledger.ledger import Ledger

_UPSERT = """
INSERT INTO products (id, sku, name, is_archived, campaign, data, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET sku = excluded.sku, name = excluded.name, is_archived = excluded.is_archived,
    campaign = excluded.campaign, data = excluded.data, seen_at = excluded.seen_at
"""
_SET_BACK = "UPDATE products SET seen_at = ? WHERE seen_at >= ? AND (? OR NOT is_archived)"
"""Times that an earlier clock put later than this pull are wrong: what was seen then was seen before it."""
_LAST_PULL = """
SELECT seen_at, ended_at, archived, products, rounds, requests FROM product_pulls
WHERE ?1 IS NULL OR archived = ?1 ORDER BY id DESC LIMIT 1
"""
_COLUMNS = "id, sku, name, is_archived, campaign, data, seen_at"


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product of the copy. ``campaign`` is its campaign's id; ``data`` is its whole JSON."""

    id: int
    sku: str
    name: str
    is_archived: bool
    campaign: int | None
    data: str
    seen_at: str


@dataclass(frozen=True, slots=True)
class PullRecord:
    """A list that was read whole; ``archived``: archived products too. ``rounds``: until it stood still."""

    seen_at: str
    ended_at: str
    archived: bool
    products: int
    rounds: int
    requests: int


def store_pull(ledger: Ledger, pull: PullRecord, products: Iterable[ProductRecord]) -> None:
    """Record a pull with all its products, in one transaction. Storing it again changes nothing but the list."""
    before = utc_text(datetime.fromisoformat(pull.seen_at).timestamp() - 0.001)
    with ledger.transaction() as connection:
        raw_cursor(connection).execute(_SET_BACK, (before, pull.seen_at, pull.archived))
        _upsert(connection, products)
        insert_rows(connection, "product_pulls", PullRecord.__slots__, [astuple(pull)])


def store_products(ledger: Ledger, products: Sequence[ProductRecord]) -> None:
    """Record products that were looked up one by one."""
    if products:
        with ledger.transaction() as connection:
            _upsert(connection, products)


def _upsert(connection: Connection, products: Iterable[ProductRecord]) -> None:
    raw_cursor(connection).executemany(
        _UPSERT, ((p.id, p.sku, p.name, p.is_archived, p.campaign, p.data, p.seen_at) for p in products)
    )


def last_pull(ledger: Ledger, *, archived: bool | None = None) -> PullRecord | None:
    """Return the last pull that was whole (``archived``: of those that read archived products too, or did not)."""
    with ledger.transaction() as connection:
        row = raw_cursor(connection).execute(_LAST_PULL, (archived,)).fetchone()
    if row is None:
        return None
    seen_at, ended_at, is_archived, *counts = row
    return PullRecord(seen_at, ended_at, bool(is_archived), *counts)


def known_names(ledger: Ledger, wanted: Iterable[str], *, since: str) -> set[str]:
    """Return those of `wanted` that a product seen at `since` or later bears: as its SKU, or as its id."""
    asked = json.dumps(sorted(wanted), ensure_ascii=False)
    statement = """
        SELECT w.value FROM json_each(?) w WHERE EXISTS (
            SELECT 1 FROM products p WHERE p.sku = w.value AND p.seen_at >= ?
        ) OR EXISTS (
            SELECT 1 FROM products p WHERE p.id = CAST(w.value AS INTEGER) AND CAST(p.id AS TEXT) = w.value
                AND p.seen_at >= ?
        )"""
    with ledger.transaction() as connection:
        return {row[0] for row in raw_cursor(connection).execute(statement, (asked, since, since))}


def products(ledger: Ledger, *, archived: bool | None = None, text: str = "") -> Iterator[ProductRecord]:
    """Stream the copy in the order of the SKUs; ``text``: only those whose SKU or name contains it, in any case."""
    wanted = _folded(text)
    statement = f"SELECT {_COLUMNS} FROM products WHERE ?1 IS NULL OR is_archived = ?1 ORDER BY sku, id"
    with ledger.transaction() as connection:
        for row in raw_cursor(connection).execute(statement, (archived,)):
            found = _record(row)
            if wanted in _folded(found.sku) or wanted in _folded(found.name):
                yield found


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def product(ledger: Ledger, sku: str) -> ProductRecord | None:
    """Return the product that last bore a SKU; None when the copy lacks it."""
    statement = f"SELECT {_COLUMNS} FROM products WHERE sku = ? ORDER BY seen_at DESC, id DESC LIMIT 1"
    with ledger.transaction() as connection:
        row = raw_cursor(connection).execute(statement, (sku,)).fetchone()
        return None if row is None else _record(row)


def ids_of(ledger: Ledger, sku: str, *, since: str) -> list[int]:
    """Return the ids of the products that were seen with a SKU at `since` or later; several when it changed hands."""
    with ledger.transaction() as connection:
        rows = raw_cursor(connection).execute("SELECT id FROM products WHERE sku = ? AND seen_at >= ?", (sku, since))
        return [int(row[0]) for row in rows]


def count(ledger: Ledger) -> int:
    """Count the products of the copy."""
    with ledger.transaction() as connection:
        return int(raw_cursor(connection).execute("SELECT count(*) FROM products").fetchone()[0])


def count_gone(ledger: Ledger, pull: PullRecord) -> int:
    """Count the products that a pull should have listed, were they still there, and did not."""
    statement = "SELECT count(*) FROM products WHERE seen_at < ? AND (? OR NOT is_archived)"
    with ledger.transaction() as connection:
        return int(raw_cursor(connection).execute(statement, (pull.seen_at, pull.archived)).fetchone()[0])


def _record(row: Sequence[object]) -> ProductRecord:
    number, sku, name, is_archived, campaign, data, seen_at = row
    return ProductRecord(
        int(str(number)),
        str(sku),
        str(name),
        bool(is_archived),
        None if campaign is None else int(str(campaign)),
        str(data),
        str(seen_at),
    )
