"""Products for people and scripts: tables, JSON documents, and exports that appear whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.errors import AGAIN, OutputError
from syncer.report.document import SCHEMA
from syncer.report.table import Facts, FittedTable
from syncer.safe.files import replacing
from syncer.safe.formulas import neutral
from syncer.safe.inert import inert_json

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.products import ProductRecord
    from syncer.results import ProductsPullResult, ProductsView, ProductView

WHOLE = ("id", "code_count", "active_code_count", "blacklisted_code_count", "brand.id", "company.id", "campaign.id")
FLAGS = ("is_archived", "campaign.is_archived")
COLUMNS = (
    "id", "uuid", "sku", "name", "description", "label", "image", "brand.id", "brand.name", "brand.image", "company.id",
    "company.uuid", "company.name", "creation_date", "client_url", "is_archived", "code_count", "active_code_count",
    "blacklisted_code_count", "campaign.id", "campaign.name", "campaign.description", "campaign.is_archived",
    "smartlabel", "seen_at",
)  # fmt: skip
"""Columns of CSV and Parquet: members of the API's answer, with dots where they nest. JSON lines have everything."""

_PATHS = tuple((column, column.split(".")) for column in COLUMNS)


def pull_document(result: ProductsPullResult) -> dict[str, Any]:
    """Return what ``products pull --json`` says."""
    requests = {name: value for name, value in asdict(result.requests).items() if name in _READS}
    return {
        "schema": SCHEMA,
        "command": "products pull",
        "exit_code": result.exit_code,
        "pull": asdict(result.pull),
        "new": result.new,
        "gone": result.gone,
        "requests": requests,
        "out": str(result.out) if result.out else None,
        "format": result.format,
        "error": None,
    }


_READS = frozenset({"reads", "throttled", "retries"})


def pull_text(result: ProductsPullResult) -> RenderableType:
    """Return what ``products pull`` says."""
    pull = result.pull
    scope = "with the archived ones" if pull.archived else "without archived ones"
    lines = [
        f"{pull.products:,} products ({scope}) are kept in the ledger: {result.new:,} new, {result.gone:,} gone",
        f"read in {pull.requests:,} requests, {pull.rounds} rounds" if pull.rounds > 1 else "",
        f"written to {result.out}" if result.out else "",
    ]
    return "\n".join(line for line in lines if line)


def product_document(view: ProductView) -> dict[str, Any]:
    """Return one product: what is known of it by name, and everything that the API said."""
    return {**asdict(view.product), "data": json.loads(view.product.data), "listed": view.listed}


def products_document(view: ProductsView) -> dict[str, Any]:
    """Return what ``products list --json`` says."""
    return {
        "products": [product_document(one) for one in view.products],
        "total": view.total,
        "pull": asdict(view.pull) if view.pull else None,
    }


def products_text(view: ProductsView) -> RenderableType:
    """Return the table of ``products list``."""
    if view.pull is None and not view.products:
        return "there is no copy of the products yet\nnext: syncer products pull"
    if not view.total:
        return "no product of the copy is meant (syncer products list shows all that are not archived)"
    table = FittedTable("SKU", "name", "campaign", "id", "seen at", "", header_style="bold")
    for one in view.products:
        product = one.product
        state = "archived" if product.is_archived else "" if one.listed else "gone"
        campaign = "" if product.campaign is None else str(product.campaign)
        cells = (product.sku, product.name, campaign, str(product.id), product.seen_at[:19].replace("T", " "), state)
        table.add_row(*map(Text, cells))
    of = view.pull
    words = f"read whole at {of.ended_at[:19].replace('T', ' ')}" if of else "never read whole: syncer products pull"
    return Group(table, Text(f"{len(view.products):,} of {view.total:,} products; {words}", "dim"))


def product_text(view: ProductView) -> RenderableType:
    """Return one product, member by member."""
    table = Facts()
    for name, value in flat(view.product).items():
        if value not in (None, ""):
            table.add_row(Text(name, "bold"), _cell(value))
    return table if view.listed else Group(table, Text("the last whole list did not show it any more", "yellow"))


def flat(product: ProductRecord) -> dict[str, Any]:
    """Return a product by `COLUMNS`; None for what the API did not say."""
    data = json.loads(product.data)
    row: dict[str, Any] = {}
    for column, parts in _PATHS:
        value: Any = data
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        row[column] = value
    return {**row, "seen_at": product.seen_at}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_products(products: Iterable[ProductRecord], form: str, path: Path | None, stdout: TextIO) -> None:
    """Write products as ``csv``, ``jsonl`` or ``parquet`` to a file, or to `stdout` when there is no path.

    The file appears whole under its name, replacing an older one, or not at all. Raises `OutputError` when it cannot.
    """
    if path is None:
        _write_text(products, form, stdout)
        return
    try:
        with replacing(path) as part:
            if form == "parquet":
                _write_parquet(products, part.file)
            else:
                _write_text(products, form, part.text())
    except OSError as error:
        words = f"the products cannot be written to {path}: {error.strerror or error}; the ledger has them"
        raise OutputError(words, remedy="make room, give write access, or name another file", next=AGAIN) from error


def _write_text(products: Iterable[ProductRecord], form: str, file: TextIO) -> None:
    if form == "jsonl":
        for product in products:
            document = {**json.loads(product.data), "seen_at": product.seen_at}
            file.write(inert_json(json.dumps(document, ensure_ascii=False)) + "\n")
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for product in products:
        writer.writerow(neutral(value) if isinstance(value, str) else _cell(value) for value in flat(product).values())


def _write_parquet(products: Iterable[ProductRecord], file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [flat(product) for product in products]
    columns = {}
    for column in COLUMNS:
        values = [row[column] for row in rows]
        if column in WHOLE:
            columns[column] = pa.array([v if type(v) is int else None for v in values], pa.int64())
        elif column in FLAGS:
            columns[column] = pa.array([v if type(v) is bool else None for v in values], pa.bool_())
        else:
            columns[column] = pa.array([None if v is None else _cell(v) for v in values], pa.string())
    pq.write_table(pa.table(columns), file)
