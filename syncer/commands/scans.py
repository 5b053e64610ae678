"""The commands about scans: pull what is new, pass the API's own CSV through, compare with what was uploaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.limits import ReadLimiter
from syncer.api.reading import ForbiddenError, Reader
from syncer.api.scans import ScansAnswer, ScansClient, csv_query
from syncer.commands.environment import Environment
from syncer.commands.opening import left_s, lock_wait
from syncer.config import Settings
from syncer.config.asked import scan_filters
from syncer.errors import (
    AccessError,
    LedgerError,
    SyncerError,
    UsageError,
)
from syncer.ledger.database import ledger_path
from syncer.ledger.identity import identity_of, pin_target
from syncer.ledger.ledger import Ledger
from syncer.ledger.products import ids_of
from syncer.ledger.scans import IN_LEDGER, ScanLedger, StoredScan, resolved, stored_scans
from syncer.ledger.sent_values import discarded_fields, incomparable_fields, uploads
from syncer.model import Target
from syncer.process.clock import Clock, utc_text
from syncer.products.pull import look_up
from syncer.request import ScansRequest
from syncer.runs.readers import connection_of, reader_of, reader_over
from syncer.runs.target import refuse_other_company, require_url
from syncer.scans.columns import microseconds
from syncer.scans.compare import IDENTIFIERS, Comparison, compare
from syncer.scans.parts import Destination, PartsFolder, Tables
from syncer.scans.pull import NoCampaignError, PullSettings, ScanPull, refusal
from syncer.scans.pull_result import RawResult, ScansPullResult
from syncer.scans.pulled import pulled_scans
from syncer.scans.raw_csv import RawCsv

EVERYTHING = "2000-01-01T00:00:00.000000Z"
"""``date_from`` when nothing bounds the time: the API asks for a bound (docs/api.md, "Scans")."""
CSV_TIMEOUT_S = 6 * 3600.0
"""For the API's own CSV, which comes in one answer of any length."""
PERMISSION = "scans_download"
HOUR_US = 3_600_000_000
HOUR_S = 3600.0


def pull(settings: Settings, request: ScansRequest, environment: Environment) -> ScansPullResult:
    """Pull what is new since the last time; returns a result whenever the pull began, with what stopped it."""
    clock, started_s = environment.clock, environment.clock.monotonic_s()
    folder = resolved(request.out or Path(f"scans-{request.campaign}"))
    until_s = settings.run.until_s(request.deadline_s, started_s)
    connection, wait = connection_of(settings), lock_wait(settings, environment.interrupt, left_s(until_s, clock))
    with (
        closing(ScansClient(connection.transport(clock))) as client,
        ScanLedger.open(settings.ledger.url, at=utc_text(clock.wall_s()), wait=wait) as ledger,
    ):
        refuse_other_company(ledger, settings, clock, environment.interrupt, deadline_s=request.deadline_s)
        reads = ReadLimiter(settings.api.reads_per_minute)
        parameters = _parameters(settings, request, environment, reads, started_s)
        form = "ledger" if request.into_ledger else request.form
        scope = json.dumps({**parameters, "format": form}, sort_keys=True, ensure_ascii=False)
        name = IN_LEDGER + scope if request.into_ledger else str(folder)
        destination: Destination = Tables(request.campaign) if request.into_ledger else PartsFolder(folder, form)
        reader = reader_over(
            client,
            settings,
            clock,
            environment.interrupt,
            deadline_s=until_s,
            limiter=reads,
        )
        reader.needs = PERMISSION
        reader.during = "while scans were pulled; every scan so far is recorded"
        current = ScanPull(
            reader,
            ledger,
            ledger.ensure(name, scope, at=utc_text(clock.wall_s())),
            destination,
            _pull_settings(settings, request, parameters),
            clock,
            observe=lambda scans: environment.on_list("scans", scans, None),
        )
        error: SyncerError | None = None
        try:
            current.run()
            _adopt(ledger, settings.api.base_url)
        except SyncerError as caught:
            error = _blamed(caught, settings, request, environment)
        shown = str(ledger_path(settings.ledger.url)) if request.into_ledger else str(folder)
        return ScansPullResult(shown, form, clock.monotonic_s() - started_s, current.counts, current.state, error)


def _blamed(error: SyncerError, settings: Settings, request: ScansRequest, environment: Environment) -> SyncerError:
    """Return the error of a pull: where a campaign is not found because the address is wrong, that of the address."""
    if isinstance(error, NoCampaignError):
        clock = environment.clock
        started_s, deadline_s = clock.monotonic_s(), request.deadline_s
        reader = reader_of(settings, clock, environment.interrupt, started_s=started_s, deadline_s=deadline_s)
        try:
            with closing(reader):
                reader.ask(lambda client: client.me(), takes=(Verdict.REFUSED, Verdict.DENIED))
        except SyncerError as other:
            return other
    return error


def _adopt(ledger: ScanLedger, base_url: str) -> None:
    """Let a ledger that does not say to whom it belongs belong to the address that scans came from."""
    found = identity_of(ledger)
    if found.base_url is None:
        pin_target(ledger, Target(base_url, found.company))


def _pull_settings(settings: Settings, request: ScansRequest, parameters: dict[str, str]) -> PullSettings:
    return PullSettings(
        parameters={
            "date_from": EVERYTHING,
            **{name: text for name, text in parameters.items() if name != "timeframe"},
        },
        timeframe=parameters.get("timeframe"),
        begin_us=None if request.begin is None else microseconds(parameters["date_from"]),
        overlap_us=int(settings.scans.overlap_h * HOUR_US),
        page_rows=settings.scans.page_rows,
        part_rows=settings.scans.part_rows,
    )


def raw_csv(settings: Settings, request: ScansRequest, environment: Environment) -> RawResult:
    """Pass the API's own CSV through into a file, and count the lines that its missing quotes break."""
    clock, started_s = environment.clock, environment.clock.monotonic_s()
    with Ledger.reading(settings.ledger.url) as ledger:
        require_url(None if ledger is None else identity_of(ledger), settings.api.base_url)
    connection = connection_of(settings)
    deadline_s = settings.run.until_s(request.deadline_s, started_s)
    timeout_s = max(CSV_TIMEOUT_S, connection.timeout_s)
    timeout_s = timeout_s if deadline_s is None else min(timeout_s, deadline_s - started_s + 1)
    reads = ReadLimiter(settings.api.reads_per_minute)
    client = ScansClient(connection.transport(clock, timeout_s=timeout_s))
    with closing(client):
        parameters = _parameters(settings, request, environment, reads, started_s)
        if "timeframe" not in parameters and request.begin is None:
            parameters["date_from"] = EVERYTHING
        file = RawCsv((request.out or Path(f"scans-{request.campaign}.csv")).absolute())
        try:
            reader = reader_over(client, settings, clock, environment.interrupt, deadline_s=deadline_s, limiter=reads)
            _read_csv(reader, csv_query(parameters), parameters["campaign_id"], file, environment)
        except NoCampaignError as error:
            raise _blamed(error, settings, request, environment) from None
        finally:
            file.drop()
    seconds = clock.monotonic_s() - started_s
    return RawResult(file.path, file.lines, file.size_bytes, file.broken, tuple(file.broken_lines), seconds)


def _read_csv(reader: Reader[ScansClient], query: str, campaign: str, file: RawCsv, environment: Environment) -> None:
    """Read the CSV whole, from its beginning as often as it breaks off."""
    reader.needs, reader.during = PERMISSION, "while the CSV was read; nothing of it is kept"

    def take(part: bytes) -> None:
        reader.check()
        file.take(part)
        environment.on_list("lines", file.lines, None)

    def read(client: ScansClient) -> ScansAnswer:
        file.begin()
        answer = client.csv(query, take)
        if answer.verdict is Verdict.OK and not file.ended():
            return replace(answer, verdict=Verdict.UNKNOWN, message="the answer is not the API's CSV of scans")
        return answer

    answer = reader.ask(read, takes=(Verdict.REFUSED,))
    if answer.verdict is Verdict.REFUSED:
        raise refusal(answer, campaign)
    file.finish()


def compare_scans(
    settings: Settings, *, campaign: int | None, folder: Path | None, skew_s: float, environment: Environment
) -> Comparison:
    """Compare what scans saw, in a folder or in the ledger's tables, with what the ledger says was confirmed."""
    ledger = Ledger.open_to_read(settings.ledger.url)
    if ledger is None:
        raise LedgerError(f"there is no ledger yet at {ledger_path(settings.ledger.url)}", next="syncer init")
    with ExitStack() as stack:
        stack.enter_context(ledger)
        history = stack.enter_context(ledger.transaction())
        skip = dict.fromkeys(sorted(discarded_fields(history)), "the campaign discards it")
        for name, keys in incomparable_fields(history, IDENTIFIERS).items():
            skip[name] = f"also written by {', '.join(keys)}: nobody can tell which codes that reached"
        if folder is None:
            # A second connection: one streams scans while the other looks uploads up.
            other = Ledger.open_to_read(settings.ledger.url)
            assert other is not None  # noqa: S101  it was there just now
            stack.enter_context(other)
            scans = stored_scans(stack.enter_context(other.transaction()), campaign)
        else:
            scans = pulled_scans(folder)
        result = compare(
            _watched(scans, environment),
            lambda column, keys: uploads(history, column, keys),
            skip=skip,
            skew_us=int(skew_s * 1e6),
        )
    if not result.scans and folder is None:
        whose = "" if campaign is None else f" of campaign {campaign}"
        raise UsageError(
            f"the ledger has no scans{whose}, so there is nothing to compare",
            remedy="name the folder of a pull, or pull into the ledger (syncer scans pull --into-ledger)",
            next="syncer scans compare --help",
        )
    return result


def _watched(scans: Iterator[StoredScan], environment: Environment) -> Iterator[StoredScan]:
    for number, scan in enumerate(scans, 1):
        if number % 1000 == 0:
            environment.interrupt.check("while comparing; nothing was changed")
            environment.on_list("scans", number, None)
        yield scan


def _parameters(
    settings: Settings, request: ScansRequest, environment: Environment, reads: ReadLimiter, started_s: float
) -> dict[str, str]:
    found = scan_filters(request)
    if request.product is None:
        return found
    with closing(
        reader_of(
            settings,
            environment.clock,
            environment.interrupt,
            started_s=started_s,
            deadline_s=request.deadline_s,
            limiter=reads,
        )
    ) as reader:
        return {**found, "product": str(_product(settings, request.product, reader))}


def _product(settings: Settings, given: str, reader: Reader[Client]) -> int:
    """Return a product's id. A SKU may be made of digits alone, so it is looked up first; ``id:332`` says which."""
    kind, _, rest = given.partition(":")
    if kind == "id" and rest.isdecimal():
        return int(rest)
    sku = rest if kind == "sku" else given
    known = _product_of_copy(settings, sku, reader.clock)
    if known is not None:
        return known
    may_be_id = kind != "sku" and given.isdecimal()
    by_id = "name its id: --product id:332 (syncer products list)"
    try:
        product = look_up(reader, sku)
    except ForbiddenError as error:
        if may_be_id:
            return int(given)
        words = f"the SKU {sku!r} cannot be looked up, because the token lacks product_view: {error.message}"
        raise AccessError(words, remedy=by_id) from error
    if product is not None:
        return product.id
    if may_be_id:
        return int(given)
    raise UsageError(f"no product has the SKU {sku!r}", remedy=by_id)


def _product_of_copy(settings: Settings, sku: str, clock: Clock) -> int | None:
    """Return the id that the ledger's copy knows for a SKU, when it was seen within ``products.max_age_h``."""
    since = utc_text(clock.wall_s() - settings.products.max_age_h * HOUR_S)
    try:
        with Ledger.reading(settings.ledger.url, whole=True) as ledger:
            found = [] if ledger is None else ids_of(ledger, sku, since=since)
    except LedgerError:  # a copy that cannot be read answers nothing; what needs the ledger says what is wrong
        return None
    return found[0] if len(found) == 1 else None
