"""Letting go by hand: of open batches (their values are uncertain then), of what waits to be sent, of own codes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from syncer.api.ingestion import IngestionClient
from syncer.codes.drive import begun
from syncer.commands.opening import open_to_write
from syncer.errors import UsageError
from syncer.lifecycle.batch import OPEN, State
from syncer.lifecycle.part import FINAL, NEEDS_FILE, PartEvent, PartState
from syncer.process.clock import utc_text
from syncer.runs.readers import connection_of, reader_over
from syncer.runs.target import confirm_target

if TYPE_CHECKING:
    from syncer.commands.environment import Environment
    from syncer.config import Settings
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.upload_values import Part, Upload
    from syncer.ledger.values import Batch


def abandon(settings: Settings, batch_ids: Sequence[int], environment: Environment) -> list[Batch]:
    """Let go of batches; return them as they stand then. Raises `UsageError` when any is not open: then none is.

    A call that a dead process left behind is in doubt from now on, as every run that begins finds it.
    """
    at = utc_text(environment.clock.wall_s())
    with open_to_write(settings, environment) as ledger:
        found = [_open(ledger, batch_id) for batch_id in dict.fromkeys(batch_ids)]
        ledger.doubt_interrupted(found[0].run_id, at=at, uptime=environment.clock.uptime())
        gone = []
        for batch in found:
            now = ledger.batch(batch.id) or batch
            gone.append(ledger.writer(batch.run_id).let_go(now, at, message="let go of by hand (syncer abandon)"))
        ledger.seal(found[0].run_id, at)
        return gone


def _open(ledger: Ledger, batch_id: int) -> Batch:
    batch = ledger.batch(batch_id)
    if batch is None:
        raise UsageError(f"there is no batch {batch_id} in the ledger", next="syncer status")
    if batch.state is State.PLANNED:
        raise UsageError(f"batch {batch_id} was not sent: there is nothing to let go of", next="syncer resume")
    if batch.state not in OPEN or batch.split:
        raise UsageError(
            f"batch {batch_id} is {batch.state.value}, not open: there is nothing to let go of",
            next=f"syncer status {batch.run_id}",
        )
    return batch


def drop(settings: Settings, fields: Sequence[str], environment: Environment) -> int:
    """Drop what waits to be sent of some fields; return how many values named them. `UsageError` when none does."""
    at = utc_text(environment.clock.wall_s())
    with open_to_write(settings, environment) as ledger:
        dropped = ledger.drop_words(fields, at)
    if not dropped:
        raise UsageError(f"nothing waits to be sent of {', '.join(fields)}", next="syncer status")
    return dropped


def abandon_upload(settings: Settings, upload_id: int, environment: Environment) -> tuple[Upload, list[Part]]:
    """Let go of the parts of an upload whose file is not in storage; return it as it stands then, and these parts.

    None of their codes was created: the records of a ledger that was put back are looked at. What the API may be at
    work at cannot be let go of: only `codes resume` sees its end. Raises `UsageError` where nothing can be let go of.
    """
    at = utc_text(environment.clock.wall_s())
    with open_to_write(settings, environment) as ledger:
        uploads = ledger.uploads()
        found = uploads.upload(upload_id)
        if found is None:
            raise UsageError(f"there is no upload {upload_id} in the ledger", next="syncer codes list")
        at_work_at = _begun(settings, ledger, found, environment)
        words = "let go of by hand (syncer codes abandon)"
        gone = [
            uploads.change(part, PartEvent.REFUSED, at=at, detail=words, message=words)
            for part in found.parts
            if part.state in NEEDS_FILE and part.number not in at_work_at
        ]
        if not gone and found.open:
            at_work = ", ".join(str(part.number) for part in found.parts if part.state not in FINAL)
            message = f"upload {upload_id}: the API may be at work at part {at_work}, which is not let go of"
            records = ", ".join(part.record_key or "" for part in found.parts if part.state not in FINAL)
            remedy = f"its codes may still come: ask Scantrust to end or cancel its record ({records}); then go on"
            raise UsageError(message, remedy=remedy, next=f"syncer codes resume {upload_id}")
        if not gone:
            raise UsageError(f"upload {upload_id} is not open: there is nothing to let go of", next="syncer codes list")
        return uploads.upload(upload_id) or found, gone


def _begun(settings: Settings, ledger: Ledger, upload: Upload, environment: Environment) -> set[int]:
    """Return the numbers of the parts whose record has begun, though the ledger knows nothing of it."""
    if all(part.state is PartState.PLANNED or part.state in FINAL for part in upload.parts):
        return set()
    clock, interrupt, outside = environment.clock, environment.interrupt, environment.outside
    confirm_target(ledger, settings, clock, interrupt, outside=outside)
    with closing(connection_of(settings, outside).transport(clock)) as transport:
        reader = reader_over(IngestionClient(transport), settings, clock, interrupt, deadline_s=None)
        return {part.number for part in upload.parts if part.state in NEEDS_FILE and begun(reader, part)}
