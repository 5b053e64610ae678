"""Products as the API lists them, typed (docs/api.md, "Products"). Decoding only: `client` makes the calls.

What always holds: a product has an id, and a SKU, which is empty where the API names none; its whole JSON is kept as it
came, without white space, so that members which nobody here knows are not lost. No member is believed to be of the type
that is documented: what cannot be read of a product is unknown, and one without an id is left out by itself. A surprise
in one product must not stop a night.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from syncer.api.identity import company_of
from syncer.api.wire import CODES_MAX, Count, UnreadableError, decode, encode, whole_text
from syncer.model import Company

PRODUCTS_PATH = "/api/v2/products/"
PAGE_PRODUCTS = 100
"""Products asked for at once; the API may give fewer, and then its pages are smaller; its bound is not known [D]."""
ORDER = "-creation_date"
"""The one ordering that is documented: without any, pages of a database are in no certain order."""
T = TypeVar("T")
_NAME_MAX = 10_000
_DIGITS_MAX = 19
_YES = frozenset({"true", "1"})


class _Product(msgspec.Struct, frozen=True):
    id: object = None
    sku: object = None
    name: object = None
    is_archived: object = None
    campaign: object = None


class _Campaign(msgspec.Struct, frozen=True):
    id: object = None


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
    """A page: its products, how many there are on all pages, and the link to the next one (None: the last).

    ``unread``: the SKUs of those that have no id, as they came; they are counted, too.
    """

    count: int
    products: tuple[Product, ...]
    next: str | None
    unread: tuple[str, ...] = ()


def decode_page(body: bytes) -> ProductPage:
    """Read a page of products; raise `UnreadableError` when it is none."""
    page = decode(whole_text(body), _ProductsPage)
    listed = [(raw, _as(raw, _Product)) for raw in page.results]
    products = [_product(raw, members) for raw, members in listed]
    unread = tuple(
        _text(members.sku) for (_, members), product in zip(listed, products, strict=True) if product is None
    )
    return ProductPage(page.count, tuple(one for one in products if one is not None), page.next, unread)


def decode_company(body: bytes) -> Company | None:
    """Return whose the products of a page are, as far as one says; raise `UnreadableError` when it is no JSON."""
    page = decode(body, object)
    listed = page.get("results") if isinstance(page, dict) else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = (company_of(entry.get("company")) for entry in entries)
    return next((company for company in named if company is not None), None)


def _as(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Read an object as far as it is one; else nothing is known of its members."""
    return decode(bytes(raw), kind) if bytes(raw).lstrip()[:1] == b"{" else kind()


def _product(raw: msgspec.Raw, members: _Product) -> Product | None:
    """Return a product; None where it has no id."""
    number = _number(members.id)
    if number is None:
        return None
    try:
        data = msgspec.json.format(bytes(raw), indent=-1).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableError(f"the answer cannot be read: {error}") from None
    campaign = _number(members.campaign)
    if campaign is None:
        campaign = _number(_as(encode(members.campaign), _Campaign).id)
    is_archived = _text(members.is_archived).lower() in _YES
    return Product(number, _text(members.sku), _text(members.name), is_archived, campaign, data)


def _number(value: object) -> int | None:
    """Return an id, which may be written as a text; None where it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _DIGITS_MAX:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= CODES_MAX else None


def _text(value: object) -> str:
    """Return a text or a whole number as a text; empty where it is neither, or too long to be a name."""
    text = str(value) if isinstance(value, (str, int)) else ""
    return text if len(text) <= _NAME_MAX else ""


def list_query(*, archived: bool) -> dict[str, str]:
    """Return what to ask for the first page of all products: those that are archived, or those that are not."""
    return {"is_archived": "1" if archived else "0", "limit": str(PAGE_PRODUCTS), "offset": "0", "ordering": ORDER}


def sku_query(sku: str, *, archived: bool) -> dict[str, str]:
    """Return what to ask for the product with exactly this SKU."""
    return {"sku__exact": sku, **({"is_archived": "1"} if archived else {})}
