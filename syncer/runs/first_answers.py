"""What the API says to a first configuration: which of an export's products there are, which fields a code has.

What always holds: only reads, few of them, and not for longer than `PATIENCE_S`; what cannot be had is a note, never an
error, since a configuration can be written without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.api.client import Client
from syncer.api.code_data import CodeDataClient
from syncer.api.products import list_query
from syncer.errors import SignalError, SyncerError
from syncer.products.pull import look_up
from syncer.runs.code_rows import code_rows
from syncer.runs.outside import REAL, Outside
from syncer.runs.readers import connection_of, reader_over

if TYPE_CHECKING:
    from syncer.api.reading import Reader
    from syncer.api.storage import StorageHost
    from syncer.config import Settings
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

PATIENCE_S = 60.0
PRODUCTS_ASKED_MAX = 5
OWN_COLUMNS = frozenset(
    {
        "extended_id", "serial_number", "brand", "product", "sku", "status", "blacklist_reason", "scm_updated_by",
        "scm_updated_at", "activated_by", "activated_at", "workorder_id",
    }
)  # fmt: skip
"""Columns of code data that are no SCM fields (docs/api.md, "Code data download")."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found: ``notes`` in sentences, and the SCM ``fields`` that a code has (empty: nobody said)."""

    notes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


Ask = Callable[[Sequence[str], str | None], Findings]
"""Takes product SKUs and one code, as an export has them."""


def asker(settings: Settings, clock: Clock, interrupt: Interrupt, outside: Outside = REAL) -> Ask | None:
    """Return what asks the API; None without a token."""
    if settings.api.token is None:
        return None

    def ask(products: Sequence[str], code: str | None) -> Findings:
        notes: list[str] = []
        fields: tuple[str, ...] = ()
        until_s = clock.monotonic_s() + PATIENCE_S
        try:
            with closing(connection_of(settings, outside).transport(clock)) as transport:
                notes += _of_products(
                    reader_over(Client(transport), settings, clock, interrupt, deadline_s=until_s), products
                )
                if code is not None:
                    reader = reader_over(CodeDataClient(transport), settings, clock, interrupt, deadline_s=until_s)
                    fields = _fields_of(reader, _storage(settings, outside), code)
                    what = ", ".join(fields) if fields else "none"
                    notes.append(f"SCM fields in the code data of {code}: {what}")
        except SignalError:
            raise
        except SyncerError as error:
            notes.append(f"? the API could not tell more: {error.message}")
        return Findings(tuple(notes), fields)

    return ask


def _storage(settings: Settings, outside: Outside) -> StorageHost:
    return outside.storage(
        timeout_s=settings.api.timeout_s, user_agent=f"syncer/{__version__}", ca_file=settings.api.ca_file
    )


def _of_products(reader: Reader[Client], products: Sequence[str]) -> Iterator[str]:
    """Say which of the products there are; without any, which the company has."""
    if not products:
        page = reader.ask(lambda client: client.products(list_query(archived=False)))
        shown = ", ".join(repr(one.sku) for one in page.products[:PRODUCTS_ASKED_MAX])
        yield f"the company has {page.count:,} products" + (f", such as {shown}" if shown else "")
    for sku in products[:PRODUCTS_ASKED_MAX]:
        known = look_up(reader, sku) is not None
        yield f"the company has the product {sku!r}" if known else f"? no product of the company has the SKU {sku!r}"


def _fields_of(reader: Reader[CodeDataClient], storage: StorageHost, code: str) -> tuple[str, ...]:
    """Return the SCM fields that stand in the header of one code's data; empty where it cannot be had."""
    found = code_rows(reader, storage, [{"extended_id": code}])[0]
    return tuple(name for name in found.header if name and name not in OWN_COLUMNS) if found else ()
