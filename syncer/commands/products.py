"""The commands about products: pull them all, list and show the copy. Nothing here prints.

What always holds: what is written appears whole or not at all (the ledger in one transaction, a file by its renaming),
the ledger first; so a pull that was interrupted has changed nothing, or has only its file to be written again.
"""

from __future__ import annotations

import shlex
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from syncer.commands.environment import Environment
from syncer.commands.opening import open_to_write
from syncer.commands.places import require_place
from syncer.config.asked import products_format
from syncer.errors import LedgerBusyError, UsageError
from syncer.ledger import products as copy
from syncer.ledger.identity import identity_of
from syncer.ledger.ledger import Ledger
from syncer.process import streams
from syncer.products.pull import look_up, pull_products
from syncer.report.products import write_products
from syncer.request import ProductsRequest
from syncer.results import ProductsPullResult, ProductsView, ProductView, Requests
from syncer.runs.readers import reader_of
from syncer.runs.target import confirm_target, require_url

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.products import ProductRecord, PullRecord


def pull(settings: Settings, request: ProductsRequest, environment: Environment) -> ProductsPullResult:
    """Read all products, keep them in the ledger, export them. Raises before anything is kept, or is done."""
    clock, started_s = environment.clock, environment.clock.monotonic_s()
    form = products_format(request)
    require_place(request)
    reader = reader_of(settings, clock, environment.interrupt, started_s=started_s)
    with closing(reader), open_to_write(settings, environment) as ledger:
        confirm_target(ledger, settings, clock, environment.interrupt)
        found = pull_products(reader, archived=request.archived, observe=partial(environment.on_list, "products"))
        before = copy.count(ledger)
        copy.store_pull(ledger, found.record, found.products)
        new = copy.count(ledger) - before
        gone = copy.count_gone(ledger, found.record)
    if form is not None:
        write_products(found.products, form, request.out, streams.utf8_stdout())
    counts = reader.counts
    requests = Requests(reads=counts.reads, throttled=counts.throttled, retries=counts.retries)
    return ProductsPullResult(found.record, new, gone, requests, request.out, form)


def list_products(settings: Settings, *, archived: bool, text: str, most: int) -> ProductsView:
    """Return the products of the copy, in the order of their SKUs, and when it was read as a whole."""
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None:
            return ProductsView((), 0, None)
        with ledger.transaction():  # all of one moment
            active, whole = copy.last_pull(ledger), copy.last_pull(ledger, archived=True)
            chosen = list(copy.products(ledger, archived=None if archived else False, text=text))
        views = tuple(_view(product, active, whole) for product in chosen[:most])
        return ProductsView(views, len(chosen), active)


def show(settings: Settings, sku: str, environment: Environment, *, fresh: bool = False) -> ProductView:
    """Return the product with this SKU: from the copy, or, when that lacks it (or `fresh`), from the API."""
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is not None:
            require_url(identity_of(ledger), settings.api.base_url)
        if ledger is not None and not fresh:
            known = copy.product(ledger, sku)
            if known is not None:
                return _view(known, copy.last_pull(ledger), copy.last_pull(ledger, archived=True))
    reader = reader_of(settings, environment.clock, environment.interrupt, started_s=environment.clock.monotonic_s())
    with closing(reader):
        product = look_up(reader, sku)
    if product is None:
        raise UsageError(f"no product has the SKU {sku!r}", next=f"syncer products list --search {shlex.quote(sku)}")
    _keep(settings, product, environment)
    return ProductView(product, listed=True)


def _keep(settings: Settings, product: ProductRecord, environment: Environment) -> None:
    """Keep what was looked up; not while another run holds the ledger: it is a copy, and can be asked for again."""
    try:
        with open_to_write(settings, environment) as ledger:
            confirm_target(ledger, settings, environment.clock, environment.interrupt)
            copy.store_products(ledger, [product])
    except LedgerBusyError:
        return


def _view(product: ProductRecord, active: PullRecord | None, whole: PullRecord | None) -> ProductView:
    pull = whole if product.is_archived else active
    return ProductView(product, listed=pull is None or product.seen_at >= pull.seen_at)
