"""Products as the API lists them, typed (docs/api.md, "Products"). Decoding only: `client` makes the calls.

What always holds: a product has an id, and a SKU, which is empty where the API names none; its whole JSON is kept as it
came, without white space, so that members which nobody here knows are not lost. Members that the company cannot rely on
for anything (images, labels, counts) are not checked: a surprise in them must not stop a night, nor may one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from syncer.api.identity import company_of
from syncer.api.wire import Count, UnreadableError, decode, whole_text
from syncer.model import Company

PRODUCTS_PATH = "/api/v2/products/"
PAGE_PRODUCTS = 100
"""Products asked for at once; the API may give fewer, and then its pages are smaller; its bound is not known [D]."""
ORDER = "-creation_date"
"""The one ordering that is documented: without any, pages of a database are in no certain order."""
_NAME_MAX = 10_000


class _Campaign(msgspec.Struct, frozen=True):
    id: Count


class _Product(msgspec.Struct, frozen=True):
    id: Count
    sku: Annotated[str, msgspec.Meta(max_length=_NAME_MAX)] | None
    name: str | None = None
    is_archived: bool = False
    campaign: _Campaign | None = None


class _ProductsPage(msgspec.Struct, frozen=True):
    count: Count
    results: list[msgspec.Raw]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a company. ``campaign`` is its campaign's id; ``data`` its whole JSON, compact."""

    id: int
    sku: str
    name: str
    is_archived: bool
    campaign: int | None
    data: str


@dataclass(frozen=True, slots=True)
class ProductPage:
    """A page: its products, how many there are on all pages, and the link to the next one (None: the last)."""

    count: int
    products: tuple[Product, ...]
    next: str | None


def decode_page(body: bytes) -> ProductPage:
    """Read a page of products; raise `UnreadableError` when it is none."""
    page = decode(whole_text(body), _ProductsPage)
    return ProductPage(page.count, tuple(map(_product, page.results)), page.next)


def decode_company(body: bytes) -> Company | None:
    """Return whose the products of a page are, as far as one says; raise `UnreadableError` when it is no JSON."""
    page = decode(body, object)
    listed = page.get("results") if isinstance(page, dict) else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = (company_of(entry.get("company")) for entry in entries)
    return next((company for company in named if company is not None), None)


def _product(raw: msgspec.Raw) -> Product:
    known = decode(bytes(raw), _Product)
    try:
        data = msgspec.json.format(bytes(raw), indent=-1).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableError(f"the answer cannot be read: {error}") from None
    campaign = known.campaign.id if known.campaign is not None else None
    return Product(known.id, known.sku or "", known.name or "", known.is_archived, campaign, data)


def list_query(*, archived: bool) -> dict[str, str]:
    """Return what to ask for the first page of all products: those that are archived, or those that are not."""
    return {"is_archived": "1" if archived else "0", "limit": str(PAGE_PRODUCTS), "offset": "0", "ordering": ORDER}


def sku_query(sku: str, *, archived: bool) -> dict[str, str]:
    """Return what to ask for the product with exactly this SKU."""
    return {"sku__exact": sku, **({"is_archived": "1"} if archived else {})}
