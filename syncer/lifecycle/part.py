"""The life of a part of an upload of own codes: its states, the events, and one table of transitions.

Theory first. A file of own codes goes out in one part, or in several when it is too large for one. Each part becomes
one *ingestion*: a record made by the API, a file put into storage, a processing started. Only the last step creates
codes, and it must happen once. The API helps: it starts processing for a record in state ``uploading`` alone, so for
one record it can be asked again; what must never happen is that a part's file is processed under two records. So a
part may change its record only while no processing can have been asked for under the old one.

    PLANNED     recorded with its codes; it has no record that could be used.
    RECORDED    the API made a record; its key and the form for storage are committed.
    STORING     the file may be on its way to storage. To repeat that is harmless: same form, same place, same bytes.
    STORED      storage answered that it has the file.
    STARTING    the call that starts the processing may be on its way. Committed before its first byte leaves.
    IN_DOUBT    the answer to that call was lost: only a look at the record can tell.
    PROCESSING  the API is at work (or said so).
    COMPLETE    the record says that the codes were created.                                                 (final)
    FAILED      the record says that there was an error: no code was created.                                (final)
    REFUSED     the API refused to make a record, or to start its processing, or it was let go of by hand before the
                file was in storage: no code was created.                                                     (final)

What always holds: a state changes by an event of this table and by nothing else; a final state has no way out; from
STARTING, IN_DOUBT and PROCESSING no event leads to PLANNED; FILE_MISSING leads to RECORDED, because the API has said
that it found nothing to begin with: the same form is posted again while it is valid.

Pure: nothing here reads, writes or waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from syncer.lifecycle.machine import draw, final_states, follow


class PartState(StrEnum):
    """Where a part of an upload stands."""

    PLANNED = "planned"
    RECORDED = "recorded"
    STORING = "storing"
    STORED = "stored"
    STARTING = "starting"
    IN_DOUBT = "in_doubt"
    PROCESSING = "processing"
    COMPLETE = "complete"
    FAILED = "failed"
    REFUSED = "refused"


class PartEvent(StrEnum):
    """What can happen to a part of an upload."""

    RECORD_MADE = "record_made"
    """The API answered get-post-data. A lost answer is no event: an empty record is harmless, another is made."""
    STORE = "store"
    """The file is about to be posted to storage."""
    STORED = "stored"
    """Storage answered 2xx."""
    FORM_SPENT = "form_spent"
    """The form's data expired, or storage refused the form: another record is needed. Nothing was processed."""
    START = "start"
    """The call that starts the processing is about to be made. Or the record of a part without a stored file shows that
    it was made: then the ledger was put back, and knows nothing of it."""
    STARTED = "started"
    """The API answered that call, or its record shows that it is at work."""
    NOT_PROCESSED = "not_processed"
    """That call was not processed, for certain: 429, 401, 403, connection refused, DNS, TLS."""
    ANSWER_LOST = "answer_lost"
    """Time-out, reset, 5xx, an answer that cannot be read; or the process that made the call died."""
    NOT_STARTED = "not_started"
    """The record is still ``uploading``: the same record may be asked for again."""
    FILE_MISSING = "file_missing"
    """The API refused to start: it found no file for the record."""
    REFUSED = "refused"
    """The API refused the request itself: 400, 406; or the part was let go of by hand (`syncer codes abandon`)."""
    CREATED = "created"
    """The record's status says that its codes were created."""
    ERRORED = "errored"
    """The record's status says that it ended in an error."""


_S, _E = PartState, PartEvent
TRANSITIONS: Mapping[tuple[PartState, PartEvent], PartState] = MappingProxyType(
    {
        (_S.PLANNED, _E.RECORD_MADE): _S.RECORDED,
        (_S.PLANNED, _E.REFUSED): _S.REFUSED,
        (_S.RECORDED, _E.STORE): _S.STORING,
        (_S.RECORDED, _E.FORM_SPENT): _S.PLANNED,
        (_S.RECORDED, _E.START): _S.STARTING,
        (_S.RECORDED, _E.REFUSED): _S.REFUSED,
        (_S.STORING, _E.STORE): _S.STORING,
        (_S.STORING, _E.STORED): _S.STORED,
        (_S.STORING, _E.FORM_SPENT): _S.PLANNED,
        (_S.STORING, _E.START): _S.STARTING,
        (_S.STORING, _E.REFUSED): _S.REFUSED,
        (_S.STORED, _E.START): _S.STARTING,
        (_S.STARTING, _E.STARTED): _S.PROCESSING,
        (_S.STARTING, _E.NOT_PROCESSED): _S.STORED,
        (_S.STARTING, _E.ANSWER_LOST): _S.IN_DOUBT,
        (_S.STARTING, _E.FILE_MISSING): _S.RECORDED,
        (_S.STARTING, _E.REFUSED): _S.REFUSED,
        (_S.IN_DOUBT, _E.STARTED): _S.PROCESSING,
        (_S.IN_DOUBT, _E.NOT_STARTED): _S.STORED,
        (_S.IN_DOUBT, _E.CREATED): _S.COMPLETE,
        (_S.IN_DOUBT, _E.ERRORED): _S.FAILED,
        (_S.PROCESSING, _E.NOT_STARTED): _S.STORED,
        (_S.PROCESSING, _E.CREATED): _S.COMPLETE,
        (_S.PROCESSING, _E.ERRORED): _S.FAILED,
    }
)
"""The whole life of a part. What is not here cannot happen."""

FINAL: frozenset[PartState] = final_states(PartState, TRANSITIONS)
NEEDS_FILE: frozenset[PartState] = frozenset({PartState.PLANNED, PartState.RECORDED, PartState.STORING})
"""States of a part whose file is still to be put into storage. Until then it can be let go of by hand: the API has
nothing of which it could make codes."""
NOTHING_CREATED: frozenset[PartState] = frozenset({PartState.FAILED, PartState.REFUSED})
"""Final states in which the part's codes do not exist: they may be uploaded again."""


def fate(state: PartState) -> str:
    """Return what became of a part's codes: ``created``, ``not_created`` or ``open``."""
    return "not_created" if state in NOTHING_CREATED else "created" if state in FINAL else "open"


def after(state: PartState, event: PartEvent) -> PartState:
    """Return the state that follows; raise `IllegalTransitionError` and change nothing when there is none."""
    return follow(TRANSITIONS, state, event)


def mermaid() -> str:
    """Draw `TRANSITIONS` as a Mermaid state diagram."""
    return draw(TRANSITIONS, PartState.PLANNED)
