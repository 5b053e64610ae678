"""Drives the parts of uploads through their life, one remote step at a time, each recorded before and after it.

Write order: `STORE` and `START` are committed before the first byte of their request leaves; a record's key and form
are committed before anything is done with them; an outcome is committed with all that was said against codes. So
whoever finds a part in a state knows what may have happened, and `syncer.lifecycle.part` says what may follow.
The driver never prints, and asks its `Clock` for time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.api.ingestion import STORAGE_VALID_S
from syncer.api.storage import StorageVerdict
from syncer.codes.parts import file_fault
from syncer.codes.rules import FILE_TYPES
from syncer.errors import UnreachableError, UploadFileError
from syncer.lifecycle.part import FINAL, NEEDS_FILE, PartEvent, PartState
from syncer.process.clock import Clock, seconds_between, utc_text

if TYPE_CHECKING:
    from syncer.api.ingestion import IngestionClient, IngestionRecord
    from syncer.api.reading import Reader
    from syncer.api.storage import StorageHost
    from syncer.ledger.upload_values import Part, Upload
    from syncer.ledger.uploads import Uploads
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
FORM_MARGIN_S = 60.0
"""A form that has less than this left is not used any more: storage's clock may be ahead of this one."""
FORMS_MAX = 3
"""Forms that one process asks for, for one part: storage that refuses three refuses more."""
REFUSED = frozenset({Verdict.REFUSED})
"""A refusal is an answer that says something about a part."""
NOT_FOUND = 404
"""The API does not know a record: it was taken away, and nobody can say what became of its codes."""
STARTS_MAX = 10
"""How often one process asks for the processing of one part, when it does not learn what came of it."""
STEPS_MAX = 1000
"""Steps of one part in one process: `Reader` gives up long before."""


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """How the driver behaves; the meaning of each is that of the setting with the same name."""

    settle_s: float
    poll_s: float
    task_timeout_s: float


@dataclass(slots=True)
class Step:
    """What progress shows: which part of how many, what is being done, and how far it is in bytes."""

    part: int
    parts: int
    words: str
    done_bytes: int = 0
    all_bytes: int = 0


@dataclass(slots=True)
class _Tries:
    forms: int = 0
    starts: int = 0
    uploading_since_s: float | None = None
    unknown_since_s: float | None = None
    """When the API first said that it does not know the record; None: it was not the last that it said."""


def begun(reader: Reader[IngestionClient], part: Part) -> IngestionRecord | None:
    """Return the record of a part without a stored file when the API is at work at it, or has created its codes.

    Then the ledger is older than what was sent by it: it was put back. Of a record that ended badly there is no code.
    """
    if part.state is PartState.PLANNED or part.record_key is None:
        return None
    key = part.record_key
    record = reader.ask(lambda client: client.record(key), takes=REFUSED | {NOT_FOUND}).record
    return None if record is None or record.uploading or record.ended is False else record


class UploadDriver:
    """Brings the parts of one upload to their ends."""

    def __init__(
        self,
        uploads: Uploads,
        upload: Upload,
        storage: StorageHost,
        folder: Path,
        settings: UploadSettings,
        *,
        clock: Clock,
        reader: Reader[IngestionClient],
        interrupt: Interrupt,
        on_step: Callable[[Step], None],
    ) -> None:
        self._uploads = uploads
        self._upload = upload
        self._storage = storage
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._reader = reader
        self._interrupt = interrupt
        self._on_step = on_step

    def run(self) -> None:
        """Drive every part: first all to the API, then wait for all. Raises `SyncerError` for what stops it.

        A part whose processing does not end within ``task_timeout_s`` is left as it is, for the next run, which looks
        at it once. One whose file is lost stops no other: `UploadFileError` is raised after them.
        """
        waiting, lost = [], None
        for part in self._upload.parts:
            try:
                waiting += [] if part.state in FINAL else [self._send(part)]
            except UploadFileError as error:
                lost = error
        now_s = self._clock.monotonic_s()
        until_s = [now_s + self._left_s(part) for part in waiting]
        for part, end_s in zip(waiting, until_s, strict=True):
            self._await(part, end_s)
        if lost is not None:
            raise lost

    def _send(self, part: Part) -> Part:
        """Drive a part until its processing was asked for."""
        if part.state is PartState.STARTING:  # the process that asked died before it knew
            words = "the process that asked for the processing ended before the answer"
            part = self._change(part, PartEvent.ANSWER_LOST, words)
        if part.state in NEEDS_FILE and (record := begun(self._reader, part)) is not None:
            words = (
                f"its record is {record.remote_status!r}: what asked for that is not in the ledger, which was put back"
            )
            part = self._change(part, PartEvent.START, words)
            return self._change(part, PartEvent.STARTED, words, remote_status=record.remote_status)
        tries = _Tries()
        for _ in range(STEPS_MAX):
            match part.state:
                case PartState.PLANNED:
                    part = self._make_record(part, tries)
                case PartState.RECORDED | PartState.STORING:
                    part = self._store(part)
                case PartState.STORED:
                    part = self._start(part, tries)
                case PartState.IN_DOUBT:
                    part = self._look(part, tries)
                    if tries.unknown_since_s is not None:
                        return part
                case _:
                    return part
            self._reader.rest()
        raise UnreachableError(
            f"part {part.number} of upload {part.upload_id} makes no progress: {part.message or part.state.value}",
            next="syncer codes resume",
        )

    def _await(self, part: Part, until_s: float) -> None:
        """Poll a part's record until it ends, or `until_s` has come, or the API has not known it for ``settle_s``."""
        tries = _Tries()
        while part.state not in FINAL:
            if part.state in {PartState.PROCESSING, PartState.IN_DOUBT}:
                part = self._look(part, tries)
            else:  # the API says that nothing has begun, though it answered: ask again, for the same record
                part, tries = self._send(part), _Tries()
            if part.state in FINAL:
                return
            now_s = self._clock.monotonic_s()
            if tries.unknown_since_s is not None and now_s - tries.unknown_since_s >= self._settings.settle_s:
                log.warning(
                    "the API does not know record %s any more: whether the codes of part %d of upload %d were created "
                    "is not known", part.record_key, part.number, part.upload_id,
                )  # fmt: skip
                return
            if tries.unknown_since_s is None and now_s >= until_s:
                log.warning("part %d of upload %d is still %s", part.number, part.upload_id, part.state.value)
                return
            self._show(part, "waiting for the API to create the codes")
            poll_s = self._settings.poll_s
            self._reader.pause(poll_s if now_s >= until_s else min(poll_s, until_s - now_s))

    def _make_record(self, part: Part, tries: _Tries) -> Part:
        tries.forms += 1
        if tries.forms > FORMS_MAX:
            raise UnreachableError(
                f"storage took none of {FORMS_MAX} forms for part {part.number}: {part.message}",
                next="syncer codes resume",
            )
        self._show(part, "asking for a record")
        answer = self._reader.ask(lambda client: client.get_post_data(self._upload.filetype), takes=REFUSED)
        if answer.verdict is Verdict.REFUSED:
            return self._uploads.ended(
                part, PartEvent.REFUSED, [("", "refused", answer.message)], at=self._at(), message=answer.message
            )
        form = json.dumps({"url": answer.url, "fields": answer.fields}, ensure_ascii=False)
        return self._change(
            part,
            PartEvent.RECORD_MADE,
            f"record {answer.record_key}",
            record_key=answer.record_key,
            form=form,
            form_at=self._at(),
        )

    def _store(self, part: Part) -> Part:
        """Post the file. It may have been posted before: the same bytes go to the same place."""
        path = self._folder / part.spool
        fault = file_fault(path, part.sha256)
        if fault is not None:
            remedy = f"{UploadFileError.default_remedy}; where both are lost: syncer codes abandon {part.upload_id}"
            raise UploadFileError(fault, remedy=remedy, next=f"syncer codes resume {part.upload_id}")
        valid_s = self._valid_s(part)
        if part.form is None or valid_s <= 0:
            return self._change(part, PartEvent.FORM_SPENT, "the form for storage has expired")
        form = json.loads(part.form)
        part = self._change(part, PartEvent.STORE)
        step = Step(part.number, len(self._upload.parts), "uploading", 0, part.size_bytes)

        def on_bytes(count: int) -> None:
            self._interrupt.check("while a file was uploaded", next=f"syncer codes resume {part.upload_id}")
            step.done_bytes += count
            self._on_step(step)

        answer = self._storage.post(
            form["url"],
            form["fields"],
            path,
            content_type=FILE_TYPES[self._upload.filetype],
            valid_s=valid_s,
            on_bytes=on_bytes,
        )
        if answer.verdict is StorageVerdict.STORED:
            self._reader.succeeded()
            return self._change(part, PartEvent.STORED)
        log.warning("storage did not take part %d: %s", part.number, answer.message)
        if answer.verdict is StorageVerdict.REFUSED:
            return self._change(part, PartEvent.FORM_SPENT, answer.message, message=answer.message)
        self._reader.failed(answer.message)
        return part

    def _start(self, part: Part, tries: _Tries) -> Part:
        if tries.starts >= STARTS_MAX or part.record_key is None:
            raise UnreachableError(
                f"the API does not begin with part {part.number}: {part.message}", next="syncer codes resume"
            )
        self._show(part, "asking for the codes to be created")
        self._reader.turn()
        part = self._change(part, PartEvent.START)
        upload, key = self._upload, part.record_key or ""
        answer = self._reader.client.process(
            key, upload.defaults, upload.url_prefix, allow_duplicates=upload.allow_duplicates
        )
        message = answer.message or None
        match answer.verdict:
            case Verdict.OK:
                self._reader.note(answer)
                return self._change(part, PartEvent.STARTED)
            case Verdict.REFUSED if answer.wrong_state:  # it was begun before: the record tells the rest
                return self._change(part, PartEvent.ANSWER_LOST, message)
            case Verdict.REFUSED if answer.file_not_found:
                tries.starts += 1
                return self._change(part, PartEvent.FILE_MISSING, message, message=message)
            case Verdict.REFUSED:
                errors = [("", "refused", answer.message)]
                return self._uploads.ended(part, PartEvent.REFUSED, errors, at=self._at(), message=message)
            case Verdict.UNKNOWN:
                tries.starts += 1
                part = self._change(part, PartEvent.ANSWER_LOST, message)
            case _:
                part = self._change(part, PartEvent.NOT_PROCESSED, message)
        self._reader.note(answer)
        return part

    def _look(self, part: Part, tries: _Tries) -> Part:
        """Look at a part's record, and record what it tells. A part in doubt may be asked for again when it can be."""
        answer = self._reader.ask(lambda client: client.record(part.record_key or ""), takes=REFUSED | {NOT_FOUND})
        record, now_s = answer.record, self._clock.monotonic_s()
        if answer.status_code == NOT_FOUND and not answer.page:
            tries.unknown_since_s = now_s if tries.unknown_since_s is None else tries.unknown_since_s
            return part
        tries.unknown_since_s = None
        if record is None:
            self._reader.failed(answer.message)
            return part
        if record.ended is not None:
            return self._end(part, record)
        if part.state is PartState.IN_DOUBT:
            event = PartEvent.NOT_STARTED if record.uploading else PartEvent.STARTED
            return self._change(part, event, f"status {record.remote_status!r}", remote_status=record.remote_status)
        if record.uploading:
            if tries.uploading_since_s is None:
                tries.uploading_since_s = now_s
            elif now_s - tries.uploading_since_s >= self._settings.settle_s:
                return self._change(part, PartEvent.NOT_STARTED, "the record still waits for its processing")
        return part

    def _end(self, part: Part, record: IngestionRecord) -> Part:
        errors = list(self._errors(part, record))
        event = PartEvent.CREATED if record.ended else PartEvent.ERRORED
        names = sorted({name for _, name, _ in errors})
        message = f"the API found errors: {', '.join(names)}" if errors else None
        if not record.ended and not errors:
            message = f"the record ended as {record.remote_status!r}, without a reason"
        return self._uploads.ended(
            part, event, errors, at=self._at(), remote_status=record.remote_status, message=message
        )

    def _errors(self, part: Part, record: IngestionRecord) -> Iterator[tuple[str, str, str]]:
        """Give the record's errors by code. The seed shows codes cut by an ellipsis: those that begin so are meant."""
        for error in record.errors:
            if not error.ids:
                yield "", error.name, error.words
            for shown in error.ids:
                if not shown.endswith("…"):
                    yield shown, error.name, ""
                    continue
                meant = self._uploads.codes_like(part, shown[:-1])
                for code in meant or [shown]:
                    yield code, error.name, f"the API wrote {shown}" + (f", one of {len(meant)}" if meant[1:] else "")

    def _valid_s(self, part: Part) -> float:
        """Return how long the form of a part can still be used; a clock that was set back makes it no younger."""
        if part.form_at is None:
            return 0.0
        age_s = seconds_between(part.form_at, self._clock.wall_s())
        return STORAGE_VALID_S - FORM_MARGIN_S - age_s if age_s >= 0 else 0.0

    def _left_s(self, part: Part) -> float:
        """Return how long the end of a part is still waited for; a clock that was set back makes it no longer."""
        age_s = max(0.0, seconds_between(part.changed_at, self._clock.wall_s()))
        return max(0.0, self._settings.task_timeout_s - age_s)

    def _change(self, part: Part, event: PartEvent, detail: str | None = None, **columns: object) -> Part:
        return self._uploads.change(part, event, at=self._at(), detail=detail, **columns)

    def _show(self, part: Part, words: str) -> None:
        self._on_step(Step(part.number, len(self._upload.parts), words))

    def _at(self) -> str:
        return utc_text(self._clock.wall_s())
