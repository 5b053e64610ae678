"""The story of a value, told: where each field comes from, and what happened, moment by moment. Pure.

What always holds: a field's value is traced to the newest upload that is confirmed and said it, or to none (a reading
of the API, a write through another key); nothing is guessed. Moments are in the order of `report.story_order`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.lifecycle.batch import Bucket, Event
from syncer.report.story_order import Recorded
from syncer.report.words import many

if TYPE_CHECKING:
    from syncer.ledger.story import BatchEvent, FieldDoubt, Story
    from syncer.ledger.upload_values import CodeUpload
    from syncer.ledger.values import HistoryEntry

KNOWN, UNCERTAIN, REFUSED, UNCONFIRMED = "known", "uncertain", "not taken", "not confirmed"
WORDS_OF_EVENT: Mapping[Event, str] = {
    Event.START: "sent",
    Event.ACCEPTED: "accepted",
    Event.ALL_APPLIED: "confirmed",
    Event.MISCOUNTED: "counted",
    Event.REFUSED: "refused",
    Event.NOT_PROCESSED: "not processed",
    Event.ANSWER_LOST: "answer lost",
    Event.TASK_FOUND: "task found",
    Event.SHOWN_ABSENT: "shown absent",
    Event.SEND_AGAIN: "to be sent again",
    Event.TASK_FAILED: "task failed",
    Event.LET_GO: "let go of",
    Event.SEEN_ENDED: "ended late",
    Event.REPLANNED: "planned again",
}
"""What happened to a batch, in two words at most."""


@dataclass(frozen=True, slots=True)
class HeldField:
    """One field of a value as it stands, and where that comes from. None: nothing of ours explains it.

    ``scanned_at`` and ``scanned`` are the newest scan that saw the field, and what it saw. ``doubt`` is what made an
    uncertain one so; None: calls of its own key did.
    """

    field: str
    value: str | None
    state: str
    said: HistoryEntry | None
    file: str | None
    line: int | None
    answer: str | None
    scanned_at: str | None
    scanned: str | None
    doubt: FieldDoubt | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a value. ``what`` is two words at most, ``words`` the rest of the line."""

    at: str
    what: str
    words: str
    run_id: int | None = None
    batch_id: int | None = None


def held_fields(story: Story) -> list[HeldField]:
    """Return every field that was ever sent for a value, or is known of it, in the order of their names."""
    known: dict[str, str] = json.loads(story.now.known)
    said = {field for entry in story.entries for field in json.loads(entry.data)}
    return [_held(story, field, known.get(field)) for field in sorted({*known, *said, *story.now.uncertain})]


def _held(story: Story, field: str, value: str | None) -> HeldField:
    state = UNCERTAIN if field in story.now.uncertain else REFUSED if field in story.now.refused else UNCONFIRMED
    state = state if value is None else KNOWN
    entry = next((one for one in reversed(story.entries) if _says(one, field, value)), None)
    scan = next((one for one in reversed(story.scans) if field in one.scm), None)
    file, line = (None, None) if entry is None else _place(entry, field)
    return HeldField(
        field,
        value,
        state,
        entry,
        file,
        line,
        None if entry is None else _answer(story, entry),
        None if scan is None else scan.at,
        None if scan is None else str(scan.scm[field]),
        next((one for one in story.doubts if one.field == field), None),
    )


def _says(entry: HistoryEntry, field: str, value: str | None) -> bool:
    """Tell whether a field's state comes from this upload: the confirmed one that said it; else the newest of all."""
    data = json.loads(entry.data)
    return field in data and (value is None or (entry.outcome == Bucket.CONFIRMED and data[field] == value))


def _place(entry: HistoryEntry, field: str) -> tuple[str, int]:
    for origin in entry.origins:
        if field in origin["fields"]:  # type: ignore[operator]
            return str(origin["file"]), int(str(origin["line"]))
    return entry.file, entry.line


def _answer(story: Story, entry: HistoryEntry) -> str | None:
    """Return what the API said last of an upload's batch."""
    events = [event for event in story.events if event.batch_id == entry.batch_id and event.event != Event.START]
    return _event_words(events[-1]) if events else None


def moments(story: Story) -> list[Moment]:
    """Return what happened to a value, in the order of time, or as it was recorded where a clock was set back."""
    # One that goes on in a smaller batch was planned once.
    planned = {(one.run_id, one.file, one.line, one.data): one for one in reversed(story.entries)}
    order = Recorded(story.events, story.entries)
    told = [(at, _planned(entry)) for at, entry in order.of_plans(reversed(planned.values()))]
    told += [
        (at, Moment(event.at, WORDS_OF_EVENT[Event(event.event)], _event_words(event), event.run_id, event.batch_id))
        for at, event in order.events()
    ]
    counted = {event.batch_id for event in story.events if event.event == Event.MISCOUNTED}
    ended = [one for one in story.entries if one.batch_id in counted and one.outcome in _OF_THE_VALUE]
    told += [(order.of_end(entry), _ended(entry)) for entry in ended]
    others = [moment for upload in story.uploads for moment in _uploaded(upload)]
    others += [Moment(one.at, UNCERTAIN, f"{one.field}: {one.cause}") for one in story.doubts if one.at]
    for scan in story.scans:
        others.append(Moment(scan.at, "scanned", f"{_data(scan.scm)} (campaign {scan.campaign}, scan {scan.uuid})"))
    told += [(order.of_other(moment.at), moment) for moment in others]
    told.sort(key=lambda one: one[0])  # stable: what has one place keeps the order in which it was told
    return [moment for _, moment in told]


_OF_THE_VALUE = frozenset({Bucket.CONFIRMED.value, Bucket.UNMATCHED.value, Bucket.REJECTED.value})
"""How a value can end of whose batch only a part was applied; of others the batch's own end tells."""


def _planned(entry: HistoryEntry) -> Moment:
    places = [f"{entry.file}:{entry.line}"]
    places += [f"{', '.join(map(str, _fields(one)))} from {one['file']}:{one['line']}" for one in entry.origins]
    words = f"{', '.join(old_to_new(entry))}; {'; '.join(places)}; run {entry.run_id} of job {entry.job}"
    return Moment(entry.planned_at, "planned", words, entry.run_id, entry.batch_id)


def _fields(origin: Mapping[str, object]) -> Sequence[object]:
    fields = origin["fields"]
    return fields if isinstance(fields, list) else []


def _ended(entry: HistoryEntry) -> Moment:
    words = "this value was applied" if entry.outcome == Bucket.CONFIRMED else entry.message or "no reason was given"
    return Moment(entry.outcome_at, entry.outcome, f"batch {entry.batch_id}; {words}", entry.run_id, entry.batch_id)


def _event_words(event: BatchEvent) -> str:
    parts = [f"batch {event.batch_id}", event.detail or ""]
    if event.event == Event.START:
        parts.append(f"reference {event.reference}")
    elif event.event != Event.MISCOUNTED:  # what was said then is of other values of the batch
        parts += ["" if event.status_code is None else f"HTTP {event.status_code}", event.answer or ""]
    return "; ".join(part for part in dict.fromkeys(parts) if part)


def _uploaded(upload: CodeUpload) -> list[Moment]:
    data = {**json.loads(upload.defaults), **json.loads(upload.data)}
    where = f"upload {upload.upload_id}, part {upload.part}"
    words = f"own code: {_data(data)}; {upload.file}:{upload.line}; {where}"
    said = "; ".join(part for part in (where, f"record {upload.record_key}", upload.message or "") if part)
    return [Moment(upload.recorded_at, "uploaded", words), Moment(upload.changed_at, upload.state, said)]


def old_to_new(entry: HistoryEntry) -> list[str]:
    """Return the fields of an upload, old → new. ``?``: it was uncertain; no old value: it was never heard of."""
    words = []
    for field, new in json.loads(entry.data).items():
        old = entry.before.get(field)
        was = "" if field not in entry.before else f"{'?' if old is None else quoted(old)} → "
        words.append(f"{field}: {was}{quoted(new)}")
    return words


def _data(data: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {quoted(value)}" for name, value in data.items()) or "no data"


def quoted(value: object) -> str:
    """Return a value so that a blank one can be seen."""
    return json.dumps(value, ensure_ascii=False)


def values_shown(shown: int, count: int) -> str:
    """Return what a page says when it does not show all that is meant; empty where it does."""
    if shown == count:
        return ""
    return f"{shown:,} of {many(count, 'value')} are shown; all of them: syncer audit export --where FIELD=VALUE"
