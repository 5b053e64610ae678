"""The commands about own codes and work orders: upload a file of them, resume, list; download an order's files."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.api.classify import Verdict
from syncer.api.ingestion import IngestionClient, work_orders_query
from syncer.codes.archive import extract
from syncer.codes.drive import Step, UploadDriver, UploadSettings
from syncer.codes.parts import PartsWriter, file_fault, spool_folder, sweep, write_missing
from syncer.codes.rules import PART_BYTES_MAX, fingerprint
from syncer.codes.upload_result import CodesResult
from syncer.commands.codes_errors import write_errors, write_rejects
from syncer.commands.codes_file import checked_file, defaults_of, form_of, opened, own_words, read_as, require_path
from syncer.commands.opening import open_to_write
from syncer.commands.places import require_place
from syncer.config.asked import require_sense
from syncer.errors import OutputError, SourceError, SyncerError, UploadFileError, UsageError
from syncer.ledger.identity import identity_of
from syncer.ledger.ledger import Ledger
from syncer.ledger.upload_values import CodeError, NewUpload, Upload
from syncer.lifecycle.part import FINAL, NOTHING_CREATED, PartState
from syncer.process.clock import Clock, SystemClock, utc_text
from syncer.process.help import configured
from syncer.process.signals import Interrupt
from syncer.request import UploadRequest
from syncer.runs.outside import REAL, Outside
from syncer.runs.readers import connection_of, reader_over
from syncer.runs.target import confirm_target, require_url
from syncer.safe.inert import inert
from syncer.source.files import BLOCK_BYTES
from syncer.source.inputs import look_at, open_input

if TYPE_CHECKING:
    from syncer.api.ingestion import WorkOrder, WorkOrdersAnswer
    from syncer.api.reading import Reader
    from syncer.api.transport import Transport
    from syncer.config import Settings
    from syncer.ledger.uploads import Uploads

_EXISTS = "duplicate_id_error"
SHOWN_MAX = 100
NOT_FOUND = 404
PAGES_MAX = 20
"""Pages of the list of work orders that are followed: bounds what a server can make a client do."""
PAGE_ORDERS_MAX = 100
FILE_TIMEOUT_S = 600.0
"""For the whole of a work order's file, when ``api.timeout_s`` is shorter."""


@dataclass(slots=True)
class CodesEnvironment:
    """What a command needs of the world."""

    clock: Clock = field(default_factory=SystemClock)
    interrupt: Interrupt = field(default_factory=Interrupt)
    on_rows: Callable[[int], None] = lambda rows: None
    on_step: Callable[[Step], None] = lambda step: None
    outside: Outside = REAL


def upload(settings: Settings, request: UploadRequest, environment: CodesEnvironment) -> CodesResult:
    """Check a file, record it, and bring it to its end; an upload of the same file that is open goes on."""
    require_path(request)
    try:
        return _upload(settings, request, environment)
    except SourceError as error:
        error.remedy, error.next = own_words(error, request)
        raise


def look_through(settings: Settings, request: UploadRequest, environment: CodesEnvironment) -> CodesResult:
    """Check a file as `upload` does, or say that it was uploaded; send and record nothing, and write no file."""
    require_path(request)
    try:
        defaults = defaults_of(settings, request)
        with Ledger.reading(settings.ledger.url) as ledger, closing(opened(settings, request)) as file:
            uploads = None if ledger is None else ledger.uploads()
            earlier = None if uploads is None else uploads.like(_mark(settings, request, defaults))
            if earlier is not None and earlier.state != "failed":
                return CodesResult("codes upload", (earlier,), notes=(_begun_before(request, earlier),))
            checked = checked_file(uploads, file, request, defaults, environment.on_rows)
    except SourceError as error:
        error.remedy, error.next = own_words(error, request)
        raise
    return CodesResult("codes upload", checked=checked, notes=("nothing was sent: the file was only checked",))


def _upload(settings: Settings, request: UploadRequest, environment: CodesEnvironment) -> CodesResult:
    started_s = environment.clock.monotonic_s()
    require_sense(request)
    require_place(request)
    defaults = defaults_of(settings, request)
    connection_of(settings, environment.outside)  # no token: nothing is recorded
    mark = _mark(settings, request, defaults)
    until_s = settings.run.until_s(request.deadline_s, started_s)
    with open_to_write(settings, environment, until_s=until_s) as ledger:
        require_url(identity_of(ledger), settings.api.base_url)
        uploads = ledger.uploads()
        earlier = uploads.like(mark)
        if earlier is not None and earlier.state != "failed":
            _write_missing(settings, ledger, request, earlier)
            result = CodesResult("codes upload", (earlier,), notes=(_begun_before(request, earlier),))
        else:
            result = _record(settings, ledger, request, defaults, mark, environment)
        result = replace(result, notes=(*result.notes, *_others_open(uploads, result)))
        return _drive(settings, ledger, result, request, environment, until_s)


def resume(settings: Settings, request: UploadRequest, environment: CodesEnvironment) -> CodesResult:
    """Bring the open uploads, or one of them, to their ends, from the ledger and its spool alone."""
    started_s = environment.clock.monotonic_s()
    require_place(request)
    connection_of(settings, environment.outside)
    until_s = settings.run.until_s(request.deadline_s, started_s)
    with open_to_write(settings, environment, until_s=until_s) as ledger:
        require_url(identity_of(ledger), settings.api.base_url)
        uploads = ledger.uploads()
        wanted = uploads.open_uploads()
        if request.upload_id is not None:
            wanted = [_known(uploads, request.upload_id)]
        result = CodesResult("codes resume", tuple(wanted))
        if not wanted:
            result = replace(result, notes=("there is no upload to resume",))
        return _drive(settings, ledger, result, request, environment, until_s)


def list_uploads(settings: Settings, *, most: int) -> list[Upload]:
    """Return the newest uploads, newest first."""
    with Ledger.reading(settings.ledger.url) as ledger:
        return [] if ledger is None else ledger.uploads().newest(most=most)


def status(settings: Settings, upload_id: int | None) -> tuple[Upload | None, list[CodeError]]:
    """Return one upload (None: the newest) and what was said against its codes."""
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None or (upload_id is None and not ledger.uploads().newest(most=1)):
            if upload_id is not None:
                raise UsageError(f"there is no upload {upload_id} in the ledger", next="syncer codes list")
            return None, []
        uploads = ledger.uploads()
        found = uploads.newest(most=1)[0] if upload_id is None else _known(uploads, upload_id)
        return found, uploads.errors(found.id, most=SHOWN_MAX)


def work_orders(
    settings: Settings, *, search: str | None, archived: bool, most: int, environment: CodesEnvironment
) -> tuple[list[WorkOrder], bool]:
    """Return work orders as the API lists them, and whether these are all."""
    with closing(connection_of(settings, environment.outside).transport(environment.clock)) as transport:
        reader = _reader(transport, settings, environment)
        asked: Mapping[str, str] = work_orders_query(
            search=search, archived=archived, page_orders=min(most, PAGE_ORDERS_MAX)
        )
        orders: list[WorkOrder] = []
        for _ in range(PAGES_MAX):
            answer = reader.ask(partial(_page_of_orders, asked), takes=(Verdict.REFUSED,))
            if answer.verdict is Verdict.REFUSED:
                raise UsageError(f"the API refused to list work orders: {answer.message}", next="syncer check")
            orders += answer.orders
            if answer.following is None or len(orders) >= most:
                break
            asked = answer.following
    return orders[:most], answer.following is None and len(orders) <= most


def _page_of_orders(asked: Mapping[str, str], client: IngestionClient) -> WorkOrdersAnswer:
    return client.work_orders(asked)


def download_work_order(settings: Settings, order_id: int, folder: Path, environment: CodesEnvironment) -> list[Path]:
    """Get a work order's zip and extract it into `folder`; return the files."""
    timeout_s = max(settings.api.timeout_s, FILE_TIMEOUT_S)
    with closing(connection_of(settings).transport(environment.clock, timeout_s=timeout_s)) as transport:
        reader = _reader(transport, settings, environment)
        answer = reader.ask(lambda client: client.work_order_file(order_id), takes=(Verdict.REFUSED, NOT_FOUND))
        if answer.status_code == NOT_FOUND:
            raise UsageError(f"the API has no file for work order {order_id}", next="syncer workorders list")
        if answer.verdict is Verdict.REFUSED:
            raise UsageError(f"the API refused the file: {answer.message}", next="syncer workorders list")
    return extract(answer.content, folder)


# ── parts of the above ───────────────────────────────────────────────────────────────────────────────────────────────


def _mark(settings: Settings, request: UploadRequest, defaults: Mapping[str, object]) -> str:
    form = form_of(settings, request)
    content = _sha256(request.file) if form is None else f"{_sha256(request.file)} {read_as(form)}"
    return fingerprint(content, defaults, request.url_prefix, allow_duplicates=request.allow_duplicates)


def _begun_before(request: UploadRequest, earlier: Upload) -> str:
    goes_on = "it would go on" if request.dry_run else "it goes on"
    words = "uploaded before: nothing was sent" if earlier.state == "complete" else f"begun before: {goes_on}"
    return f"{request.file} was {words} (upload {earlier.id})"


def _sha256(name: str) -> str:
    try:
        with open_input(Path(name), name) as file:
            digest = hashlib.sha256()
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
            return digest.hexdigest()
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=name, next=look_at(Path(name))) from error


def _record(
    settings: Settings,
    ledger: Ledger,
    request: UploadRequest,
    defaults: dict[str, object],
    mark: str,
    environment: CodesEnvironment,
) -> CodesResult:
    """Check the file; record it with its parts when there is something to upload."""
    uploads = ledger.uploads()
    with closing(opened(settings, request)) as file:
        checked = checked_file(uploads, file, request, defaults, environment.on_rows)
        result = CodesResult("codes upload", checked=checked)
        if checked.rejected:
            result = replace(result, error_file=write_rejects(request, file, checked.rejects))
        if checked.rejected and not request.skip_invalid:
            note = "nothing was sent: correct the rows, or upload the others with --skip-invalid"
            return replace(result, notes=(note,))
        if not checked.good.any():
            return replace(result, notes=("there is nothing to upload",))
        folder = spool_folder(ledger.path)
        sweep(folder, _wanted_files(uploads))
        sha256, size = file.identity
        new = NewUpload(
            file=request.file, sha256=sha256, size_bytes=size, fingerprint=mark, filetype=file.filetype,
            defaults=defaults, url_prefix=request.url_prefix, allow_duplicates=request.allow_duplicates,
            left_out={"invalid": checked.rejected, "duplicate": checked.ignored},
            program=f"syncer {__version__}, process {os.getpid()} on {socket.gethostname()}",
        )  # fmt: skip
        with PartsWriter(file, folder, mark[:16], limit=request.part_bytes or PART_BYTES_MAX) as writer:
            at = utc_text(environment.clock.wall_s())
            recorded = uploads.add(new, writer.rows(checked), lambda: writer.parts, at=at)
    return replace(result, uploads=(recorded,))


def _others_open(uploads: Uploads, result: CodesResult) -> list[str]:
    """Say which earlier uploads have not come to their end: their own file may not come again."""
    mine = {one.id for one in result.uploads}
    others = [one for one in uploads.open_uploads() if one.id not in mine]
    if not others:
        return []
    first = f"upload {others[0].id} of {inert(others[0].file)}"
    which = f"{first}, and {len(others) - 1:,} more, have" if others[1:] else f"{first} has"
    return [f"{which} not come to an end: {configured('syncer codes resume')}"]


def _write_missing(settings: Settings, ledger: Ledger, request: UploadRequest, upload: Upload) -> None:
    """Write the files of an open upload anew that its spool lacks (after a restore, say) or that were changed."""
    folder = spool_folder(ledger.path)
    parts = [part for part in upload.parts if part.state not in FINAL and file_fault(folder / part.spool, part.sha256)]
    if parts:
        with closing(opened(settings, request)) as file:
            codes = ledger.uploads().codes_of(upload.id)
            write_missing(file, folder, parts, codes, limit=request.part_bytes or PART_BYTES_MAX)


def _drive(
    settings: Settings,
    ledger: Ledger,
    result: CodesResult,
    request: UploadRequest,
    environment: CodesEnvironment,
    until_s: float | None,
) -> CodesResult:
    """Drive the uploads of a result; return it with how they stand, and what stopped the work as its ``error``."""
    uploads = ledger.uploads()
    folder = spool_folder(ledger.path)
    api = settings.api
    error: SyncerError | None = None
    any_open = any(one.open for one in result.uploads)
    try:
        if any_open:
            confirm_target(
                ledger, settings, environment.clock, environment.interrupt,
                deadline_s=request.deadline_s, outside=environment.outside,
            )  # fmt: skip
            ledger.advance()
        connection = connection_of(settings, environment.outside)
        with closing(connection.transport(environment.clock)) as transport:
            reader = _reader(transport, settings, environment, until_s)
            reader.again, reader.during = "syncer codes resume", "while codes were uploaded; what was done is recorded"
            for one in result.uploads:
                if one.open:
                    driver = UploadDriver(
                        uploads,
                        one,
                        environment.outside.storage(
                            timeout_s=api.timeout_s, user_agent=connection.user_agent, ca_file=connection.ca_file
                        ),
                        folder,
                        UploadSettings(settle_s=api.settle_s, poll_s=api.poll_s, task_timeout_s=api.task_timeout_s),
                        clock=environment.clock,
                        reader=reader,
                        interrupt=environment.interrupt,
                        on_step=environment.on_step,
                    )
                    try:
                        driver.run()
                    except UploadFileError as lost:  # the other uploads go on
                        error = lost
    except SyncerError as stopped:
        error = stopped
    if any_open:
        ledger.advance()
    now = tuple(_known(uploads, one.id) for one in result.uploads)
    sweep(folder, _wanted_files(uploads))
    errors = tuple(said for one in now for said in uploads.errors(one.id))
    shown = replace(result, uploads=now, errors=errors[:SHOWN_MAX], error=error)
    before = {one.id for one in result.uploads if one.open or request.errors is not None}
    return _told(shown, request, [(one, uploads.errors(one.id)) for one in now if one.id in before])


def _told(result: CodesResult, request: UploadRequest, fresh: Sequence[tuple[Upload, list[CodeError]]]) -> CodesResult:
    """Return a result with what people do about codes that were not created, and with the files that show them."""
    notes = [note for one in result.uploads for note in _notes_of(one)]
    notes += [note for one, said in fresh for note in _there_before(one, said)]
    try:
        files = write_errors(request, fresh)
    except UsageError as error:
        of = next(one.id for one, said in fresh if said)
        output = OutputError(error.message, remedy=error.remedy, next=f"syncer codes resume {of} --errors errors.csv")
        return replace(result, notes=(*result.notes, *notes), error=result.error or output)
    notes += [f"further rows with their errors: {path}" for path in files[:-1]]
    return replace(result, notes=(*result.notes, *notes), error_file=files[-1] if files else result.error_file)


def _notes_of(upload: Upload) -> list[str]:
    """Say of an upload what helps where parts do not end, or failed: what is missing beside the rows with errors."""
    notes = [
        f"part {part.number}: its record {part.record_key} has not ended since {part.changed_at}; if it never does, "
        "ask Scantrust about it: the part ends once the record does, also when it is cancelled"
        for part in upload.parts
        if part.state in {PartState.PROCESSING, PartState.IN_DOUBT}
    ]
    failed = [part for part in upload.parts if part.state in NOTHING_CREATED]
    if not failed:
        return notes
    parts = ", ".join(str(part.number) for part in failed)
    codes = sum(part.codes for part in failed)
    others = " with --skip-invalid, which leaves out what exists" if len(failed) < len(upload.parts) else ""
    words = f"this upload created none of the {codes:,} codes of part {parts}, right rows or not: correct the wrong"
    return [*notes, f"{words} ones in {upload.file}, or take them out, and upload it again{others}"]


def _there_before(upload: Upload, said: Sequence[CodeError]) -> Iterator[str]:
    """Say what it means where the API has every code of an upload already, though this ledger knows of none."""
    there = {one.code for one in said if one.name == _EXISTS}
    if len(there) == upload.codes:
        yield (
            f"the API has all {upload.codes:,} codes of {upload.file} already: another ledger created them, or this "
            "one did after the backup from which it was restored. There is nothing to upload; send their SCM data with "
            "syncer sync"
        )


def _wanted_files(uploads: Uploads) -> set[str]:
    return {part.spool for one in uploads.open_uploads() for part in one.parts if part.state not in FINAL}


def _known(uploads: Uploads, upload_id: int) -> Upload:
    found = uploads.upload(upload_id)
    if found is None:
        raise UsageError(f"there is no upload {upload_id} in the ledger", next="syncer codes list")
    return found


def _reader(
    transport: Transport, settings: Settings, environment: CodesEnvironment, deadline_s: float | None = None
) -> Reader[IngestionClient]:
    client = IngestionClient(transport)
    return reader_over(client, settings, environment.clock, environment.interrupt, deadline_s=deadline_s)
