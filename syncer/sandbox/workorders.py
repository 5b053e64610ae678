"""The emulated work orders, and the documents of code data that are made on demand.

Documented: the list of work orders and `codes.csv` inside the zip; the three calls of a code data download. Decided
here: the path of the zip's download, the members of a document's answer, the words of states, and that the header of
code data names all fields of its codes' campaigns.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncer.sandbox.world import Code, World

CODES_HEADER = ("extended_id", "serial_number", "sequence", "batch", "url")
DOCUMENT_HEADER = (
    "extended_id", "serial_number", "brand", "product", "sku", "status", "blacklist_reason", "scm_updated_by",
    "scm_updated_at", "activated_by", "activated_at", "workorder_id",
)  # fmt: skip
_ATTRIBUTES = {"extended_id", "serial_number", "product", "activation_status", "blacklist_reason"}


@dataclass(slots=True)
class StoredWorkOrder:
    """One work order: the codes that one ingestion made."""

    id: int
    reference: str
    codes: list[str]
    url_prefix: str
    created_s: float
    is_archived: bool = False
    evil: tuple[tuple[str, bytes], ...] = ()
    """Further entries of its zip, for tests of those who extract it."""


@dataclass(slots=True)
class Document:
    """A file of code data: what was asked for, and whether it was made yet."""

    key: str
    query: dict[str, str]
    done_s: float


class WorkOrders:
    """All work orders and documents of one sandbox."""

    def __init__(self) -> None:
        self.orders: dict[int, StoredWorkOrder] = {}
        self.documents: dict[str, Document] = {}

    def add(self, record_key: str, codes: list[str], url_prefix: str, at_s: float) -> StoredWorkOrder:
        """Make the work order of a finished ingestion."""
        number = 1290 + len(self.orders)
        order = StoredWorkOrder(number, f"Code ingestion {record_key}", codes, url_prefix, at_s)
        self.orders[number] = order
        return order

    def list(self, query: Mapping[str, str]) -> list[StoredWorkOrder]:
        """Return the orders that the filters let through, newest first."""
        archived = {"0": False, "1": True}.get(query.get("is_archived", ""))
        search = query.get("search", "").lower()
        return [
            order
            for order in reversed(self.orders.values())
            if (archived is None or order.is_archived == archived) and search in order.reference.lower()
        ]


def order_body(order: StoredWorkOrder, iso: Callable[[float], str]) -> dict[str, Any]:
    """Write a work order as the list shows it."""
    return {
        "id": order.id,
        "reference": order.reference,
        "state": "complete",
        "quantity": len(order.codes),
        "is_archived": order.is_archived,
        "creation_date": iso(order.created_s),
        "url_prefix": order.url_prefix,
        "remarks": "",
    }


def order_zip(order: StoredWorkOrder, world: World) -> bytes:
    """Return the zip of a work order: ``codes.csv``, and an example image."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(CODES_HEADER)
    by_id = {code.fields.get("extended_id", ""): code for code in world.codes}
    for sequence, code in enumerate(order.codes, 1):
        serial = by_id[code].fields.get("serial_number", "") if code in by_id else ""
        writer.writerow((code, serial, sequence, 1, order.url_prefix + code))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.csv", table.getvalue())
        archive.writestr("example.png", b"\x89PNG\r\n\x1a\n")
        for name, data in order.evil:
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def document_csv(document: Document, orders: WorkOrders, world: World, iso: Callable[[float], str]) -> str:
    """Return the code data that a document holds: what the world has now, filtered as it was asked for."""
    order_of = {code: order.id for order in orders.orders.values() for code in order.codes}
    updated_s = {write.code: write.at_s for write in world.journal}
    chosen = [code for code in world.codes if _wanted(code, document.query, order_of, updated_s, iso)]
    defined = world.campaigns or {}
    campaigns = {code.campaign for code in chosen}
    known = {name for code in chosen for name in code.fields}.union(*(defined.get(one, ()) for one in campaigns))
    scm = sorted(known - _ATTRIBUTES)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow((*DOCUMENT_HEADER, *scm))
    for code in chosen:
        fields = code.fields
        order = order_of.get(fields.get("extended_id", ""))
        cells = {
            **{name: fields.get(name, "") for name in (*DOCUMENT_HEADER, *scm)},
            "sku": fields.get("product", ""),
            "status": fields.get("activation_status", ""),
            "scm_updated_at": iso(updated_s[code.number]) if code.number in updated_s else "",
            "workorder_id": "" if order is None else str(order),
        }
        writer.writerow([cells[name] for name in (*DOCUMENT_HEADER, *scm)])
    return table.getvalue()


def _wanted(
    code: Code,
    query: Mapping[str, str],
    order_of: Mapping[str, int],
    updated_s: Mapping[int, float],
    iso: Callable[[float], str],
) -> bool:
    fields = code.fields
    have = {
        "campaign": str(code.campaign),
        "products": fields.get("product", ""),
        "workorder": str(order_of.get(fields.get("extended_id", ""), "")),
        "status": fields.get("activation_status", ""),
        "extended_id": fields.get("extended_id", ""),
        "serial_number": fields.get("serial_number", ""),
    }
    have |= {f"scm_{name}": value for name, value in fields.items()}
    for name, wanted in query.items():
        if name == "updated_at":
            first, _, last = wanted.partition(",")
            at = iso(updated_s[code.number]) if code.number in updated_s else ""
            if not at or at < first or (last and at >= last):
                return False
        elif have.get(name, "") != wanted:
            return False
    return True
