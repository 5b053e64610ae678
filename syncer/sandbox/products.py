"""The emulated company's products, and the two ways to select them (docs/api.md, "Products"; seed 003).

What always holds: a SKU is unique; an answer has every member of the seed's example; counts are those of the codes
that bear the SKU. With no products configured every SKU is known: looking one up makes it, and lists show those that
codes or look-ups have named so far. What the documents leave open is decided here, each marked [D].
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncer.sandbox.world import World

FIRST_ID = 6001
FIRST_DATE = datetime(2021, 2, 1, 3, 24, 42, 468939, UTC)
BRAND = {"id": 1115, "name": "Sandbox Brand", "image": None}
COMPANY = {"id": 446, "uuid": "d7210852-db2c-4e91-b783-ca608cdfbe32", "name": "Sandbox Company"}
CAMPAIGN = {"id": 1, "name": "Sandbox", "description": "", "is_archived": False}
ORDERINGS = frozenset({"id", "sku", "name", "creation_date"})
_ARCHIVED = {"1": True, "true": True, "True": True, "0": False, "false": False, "False": False}
Given = str | Mapping[str, Any]
"""A product as tests and people give it: its SKU, or any of its members, ``sku`` among them."""


class Catalogue:
    """The products by SKU. ``known`` is what an upload may name, live: SKUs and ids; None: anything.

    ``scanned`` are those of the made-up scans: with none configured, they are there under the ids that scans show.
    """

    def __init__(
        self, products: Iterable[Given] | None, codes: Iterable[Mapping[str, str]], scanned: Iterable[Given] = ()
    ) -> None:
        self._by_sku: dict[str, dict[str, Any]] = {}
        self._made = 0
        self.known: set[str] | None = None if products is None else set()
        named = {code["product"]: None for code in codes if code.get("product")}
        for given in scanned if products is None else ():
            named.pop(self.add(given)["sku"], None)
        configured = named if products is None else products
        for product in sorted(configured, key=str) if isinstance(configured, (set, frozenset)) else configured:
            self.add(product)

    def add(self, given: Given) -> dict[str, Any]:
        """Add a product, newest of all unless it brings a ``creation_date``; raise `ValueError` for a SKU in use."""
        members = {"sku": given} if isinstance(given, str) else dict(given)
        sku = members.get("sku")
        if not isinstance(sku, str) or not sku or sku in self._by_sku:
            raise ValueError(f"a product needs a SKU of its own, not {sku!r}")
        self._made += 1
        created = FIRST_DATE + timedelta(minutes=self._made)
        product = {
            "id": FIRST_ID + self._made,
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, sku)),
            "sku": sku,
            "image": None,
            "name": sku,
            "description": "",
            "label": members.get("name", sku),
            "brand": BRAND,
            "company": COMPANY,
            "creation_date": created.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "client_url": "",
            "is_archived": False,
            "campaign": CAMPAIGN,
            "smartlabel": None,
            **members,
        }
        self._by_sku[sku] = product
        if self.known is not None:
            self.known |= {sku, str(product["id"])}
        return product

    def remove(self, sku: str) -> None:
        """Remove a product; raise `ValueError` when there is none."""
        product = self._by_sku.pop(sku, None)
        if product is None:
            raise ValueError(f"there is no product {sku!r}")
        if self.known is not None:
            self.known -= {sku, str(product["id"])}

    def change(self, sku: str, members: Mapping[str, Any]) -> None:
        """Change members of a product, ``is_archived`` for example."""
        if sku not in self._by_sku or "sku" in members or "id" in members:
            raise ValueError(f"there is no product {sku!r}, or its identity would change")
        self._by_sku[sku].update(members)

    def select(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the products that a query's filters select, in its order.

        Archived ones are listed alone, with ``is_archived=1`` [D]; without ``ordering`` the newest comes first [D].
        """
        archived = _ARCHIVED.get(query.get("is_archived", "0"), False)
        sku = query.get("sku__exact")
        if sku and self.known is None and sku not in self._by_sku:
            self.add(sku)
        chosen = self._by_sku.values() if sku is None else filter(None, [self._by_sku.get(sku)])
        found = [product for product in chosen if product["is_archived"] is archived]
        wanted = query.get("ordering", "-creation_date")
        order = wanted.removeprefix("-")
        if order not in ORDERINGS:
            wanted, order = "-creation_date", "creation_date"
        return sorted(found, key=lambda product: (product[order], product["id"]), reverse=wanted.startswith("-"))


def body(product: Mapping[str, Any], world: World) -> dict[str, Any]:
    """Write a product as the API shows it, its counts as they are now."""
    codes = [world.codes[number] for number in world.select({"product": [str(product["sku"])]})]
    states = [code.fields.get("activation_status", "0") for code in codes]
    counts = {
        "code_count": len(codes),
        "active_code_count": states.count("1"),
        "blacklisted_code_count": states.count("2"),
    }
    return {**counts, **product}


def act(catalogue: Catalogue, document: Any) -> dict[str, Any]:
    """Take a call of the control door: ``{"add": [product, …], "remove": [sku, …], "change": {sku: members}}``."""
    if not isinstance(document, dict) or not document.keys() <= {"add", "remove", "change"}:
        raise ValueError("an object with add, remove, change is expected")
    for sku in document.get("remove", ()):
        catalogue.remove(sku)
    for product in document.get("add", ()):
        catalogue.add(product)
    for sku, members in document.get("change", {}).items():
        catalogue.change(sku, members)
    return {"products": len(catalogue.select({})) + len(catalogue.select({"is_archived": "1"}))}
