"""Reading the company's products: the whole list, although it may change meanwhile, and single ones by their SKU.

The list comes in pages by offset: a product that appears or goes while pages are read shifts all later ones, so that
one is shown twice or not at all. What always holds of a `ProductPull`: its last reading had no product twice and as
many as the API counted on every page; and what takes several pages was read until two readings in a row showed the same
products in the same order. So no product that was there all the time is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.api.products import list_query, sku_query
from syncer.errors import UnreachableError
from syncer.ledger.products import ProductRecord, PullRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.api.client import Client, ProductsAnswer
    from syncer.api.products import Product
    from syncer.api.reading import Reader

log = logging.getLogger(__name__)
ROUNDS_MAX = 8
"""How often the list is read before it is given up that it stands still."""
PRODUCTS_MAX = 5_000_000
"""More than this is no list of products; it bounds what a server can make a client hold."""
UNREAD_SHOWN = 3
Observe = Callable[[int, int], None]
"""Is told how many products of how many are read."""


class UnreadProductError(UnreachableError):
    """The company has a product with this SKU, but the API shows it without an id, so it cannot be kept."""


@dataclass(frozen=True, slots=True)
class ProductPull:
    """A list that was read whole, with all its products."""

    record: PullRecord
    products: tuple[ProductRecord, ...]


@dataclass(frozen=True, slots=True)
class _ListReading:
    """One reading of the list, from its first page to its last. ``fault``: why it cannot be whole; empty: it may be.

    ``unread``: the SKUs of products without an id, which are left out.
    """

    products: tuple[Product, ...] = ()
    pages: int = 0
    fault: str = ""
    unread: tuple[str, ...] = ()

    @property
    def ids(self) -> list[int]:
        return [product.id for product in self.products]


def pull_products(reader: Reader[Client], *, archived: bool, observe: Observe = lambda done, of: None) -> ProductPull:
    """Read all products, with ``archived`` those too. Raises `UnreachableError` when the list does not stand still."""
    requests = reader.counts.reads
    queries = [list_query(archived=scope) for scope in ((False, True) if archived else (False,))]
    before: list[int] | None = None
    for number in range(1, ROUNDS_MAX + 1):
        seen_at = reader.at()
        reading = _read_all(reader, queries, observe)
        if not reading.fault and (reading.pages == 1 or before == reading.ids):
            products = tuple(record_of(product, seen_at) for product in reading.products)
            requests = reader.counts.reads - requests
            if reading.unread:
                shown = ", ".join(map(repr, reading.unread[:UNREAD_SHOWN]))
                log.warning("%d products have no id that can be read, and are left out: %s", len(reading.unread), shown)
            return ProductPull(PullRecord(seen_at, reader.at(), archived, len(products), number, requests), products)
        if reading.fault or before is not None:
            log.info("the products changed while their list was read (%s): reading it again", reading.fault or "others")
            if number < ROUNDS_MAX:
                reader.pause(reader.poll_s * number)  # longer each time: an import in the portal comes to its end
        before = None if reading.fault else reading.ids
    words = reading.fault or "each reading showed others"
    raise UnreachableError(
        f"the list of products kept changing while it was read, {ROUNDS_MAX} times in a row ({words}); "
        "nothing was recorded",
        remedy="wait until nobody is importing products",
    )


def _read_all(reader: Reader[Client], queries: Sequence[Mapping[str, str]], observe: Observe) -> _ListReading:
    """Read lists one after the other. A product in two of them (archived meanwhile, say) is as the later one has it."""
    products: dict[int, Product] = {}
    pages, unread = 0, tuple[str, ...]()
    for query in queries:
        reading = _read_list(reader, query, observe, len(products))
        if reading.fault:
            return reading
        pages += reading.pages
        unread += reading.unread
        products |= {product.id: product for product in reading.products}
    return _ListReading(tuple(products.values()), pages, unread=unread)


def _read_list(reader: Reader[Client], query: Mapping[str, str], observe: Observe, before: int) -> _ListReading:
    """Read one list from its first page to its last, or as far as it can be whole; ``before`` were read already."""
    products: list[Product] = []
    unread: list[str] = []
    seen: set[int] = set()
    asked, count, pages = query, -1, 0
    while True:  # bounded: every page brings products that were not seen yet, and there are `count` of them
        answer = _page(reader, asked)
        pages += 1
        if count not in {-1, answer.count}:
            return _ListReading(fault=f"there were {count} of them, then {answer.count}")
        count = answer.count
        ids = [product.id for product in answer.products]
        if len(set(ids)) < len(ids) or not seen.isdisjoint(ids):
            return _ListReading(fault="one came twice")
        products += answer.products
        unread += answer.unread
        seen.update(ids)
        came = len(products) + len(unread)
        observe(before + came, before + count)
        if answer.following is None:
            short = f"{came} of {count} came" if came != count else ""
            if unread and not products:
                short = "none of them has an id that can be read"
            return _ListReading(tuple(products), pages, short, tuple(unread))
        if not (ids or answer.unread) or came >= count or count > PRODUCTS_MAX:
            return _ListReading(fault=f"pages go on after {came} of {count}")
        asked = answer.following


def _page(reader: Reader[Client], query: Mapping[str, str]) -> ProductsAnswer:
    return reader.ask(lambda client: client.products(query))


def look_up(reader: Reader[Client], sku: str) -> ProductRecord | None:
    """Ask for one product by its exact SKU, among the archived ones too; None when there is none.

    Raises `UnreadProductError` when there is one that has no id.
    """
    at = reader.at()
    for archived in (False, True):
        page = _page(reader, sku_query(sku, archived=archived))
        if sku in page.unread:
            raise UnreadProductError(f"the API shows the product {sku!r} without an id that can be read")
        for product in page.products:
            if product.sku == sku:  # a filter that the API did not know would show others
                return record_of(product, at)
    return None


def record_of(product: Product, at: str) -> ProductRecord:
    """Return a product as the ledger keeps it."""
    return ProductRecord(product.id, product.sku, product.name, product.is_archived, product.campaign, product.data, at)
