"""The stories of values as a document, as text for a terminal of any width, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.model import KEY_SEPARATOR, PRINTED_SEPARATOR, shown_key
from syncer.report.console import cell
from syncer.report.story import (
    KNOWN,
    HeldField,
    Moment,
    held_fields,
    moments,
    quoted,
    values_shown,
)
from syncer.report.table import FittedTable
from syncer.report.words import many
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from syncer.ledger.story import Story

STYLES = {"confirmed": "green", "complete": "green", "scanned": "cyan", "planned": "", "sent": ""}
"""How what happened is coloured; what is not here is yellow."""


def title_of(story: Story) -> str:
    """Return what a value is called: its columns and its parts."""
    return f"{' + '.join(story.columns)} {shown_key(story.key)}"


def is_called(story: Story, asked: str) -> bool:
    """Tell whether a value has this key, as it is or as it is printed, its parts in any order."""
    parts = story.key.split(KEY_SEPARATOR)
    return asked == story.key or sorted(parts) == sorted(asked.split(PRINTED_SEPARATOR))


def story_document(story: Story) -> dict[str, Any]:
    """Return a story as a document: what each field holds and why, then every moment."""
    return {
        "columns": list(story.columns),
        "key": story.key.split(KEY_SEPARATOR),
        "absent": story.now.absent,
        "fields": [_field_document(one) for one in held_fields(story)],
        "moments": [
            {"at": one.at, "what": one.what, "words": one.words, "run": one.run_id, "batch": one.batch_id}
            for one in moments(story)
        ],
    }


def _field_document(held: HeldField) -> dict[str, Any]:
    said = held.said
    return {
        "field": held.field,
        "value": held.value,
        "state": held.state,
        "since": said.outcome_at if said else None,
        "file": held.file,
        "line": held.line,
        "sha256": said.sha256 if said and held.file == said.file else None,
        "run": said.run_id if said else None,
        "batch": said.batch_id if said else None,
        "reference": said.reference if said else None,
        "task": said.task_id if said else None,
        "answer": held.answer,
        "scanned_at": held.scanned_at,
        "scanned": held.scanned,
        "doubt": held.doubt.cause if held.doubt else None,
        "doubted_at": held.doubt.at if held.doubt else None,
    }


def stories_text(stories: Sequence[Story], count: int, asked: Sequence[str]) -> RenderableType:
    """Return the page of ``audit show``: what each value holds and why, then what happened, oldest first.

    ``asked`` are the words of the command line.
    """
    if not stories:
        several = f"; {len(asked)} words are the parts of one key: ask for one value at a time"
        return Text(f"nothing was ever sent or planned for this value{several if len(asked) > 1 else ''}")
    parts: list[RenderableType] = []
    if len(asked) == 1 and not any(is_called(story, asked[0]) for story in stories):
        words = f"no key is {asked[0]}: {many(count, 'value')} were ever sent it, or have it in their key"
        parts += [Text(inert(words), "dim"), Text("")]
    for story in stories:
        parts += [Text(inert(title_of(story)), "bold"), *_story_text(story), Text("")]
    left = values_shown(len(stories), count)
    return Group(*(parts if left else parts[:-1]), *([Text(left, "dim")] if left else []))


def _story_text(story: Story) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if story.now.absent:
        parts.append(Text("no code had this value when it was last asked for", "yellow"))
    held = held_fields(story)
    if held:
        fields = FittedTable("field", "holds now", "because")
        for one in held:
            style = "" if one.state == KNOWN else "yellow"
            fields.add_row(cell(one.field), Text(inert(value_words(one)), style), cell(because(one)))
        parts.append(fields)
    table = FittedTable("when (UTC)", "what", "how")
    for moment in moments(story):
        what = Text(inert(moment.what), STYLES.get(moment.what, "yellow"))
        table.add_row(_clock(moment), what, cell(moment.words))
    return [*parts, table]


def _clock(moment: Moment) -> str:
    return moment.at[:19].replace("T", " ")


def value_words(held: HeldField) -> str:
    """Return what a field holds, or why that is not known."""
    return held.state if held.value is None else quoted(held.value)


def because(held: HeldField) -> str:
    """Return where a field's value comes from: file and line, run, batch, task, since when; and who scanned it."""
    said, parts = held.said, list[str]()
    if said is None:
        parts.append("no upload of this key explains it: it was read back, or written through another key")
    else:
        verb = "confirmed" if held.value is not None else said.outcome
        parts.append(f"{held.file}:{held.line}, run {said.run_id}, batch {said.batch_id}")
        parts += [f"task {said.task_id}"] if said.task_id else []
        parts.append(f"{verb} {said.outcome_at[:19].replace('T', ' ')}")
    if held.doubt is not None:
        since = "" if held.doubt.at is None else f" since {held.doubt.at[:19].replace('T', ' ')}"
        parts.append(f"uncertain{since}: {held.doubt.cause}")
    if held.scanned_at is not None:
        differs = "" if held.value in {None, held.scanned} else f", which saw {quoted(held.scanned)}"
        parts.append(f"last scan {held.scanned_at[:19].replace('T', ' ')}{differs}")
    return "; ".join(parts)


def stories_html(stories: Sequence[Story], count: int, *, asked: str, made_at: str, program: str) -> str:
    """Return the stories as one page that needs nothing else; ``asked`` says of what they are."""
    from syncer.report.html import rendered

    shown = [
        {
            "title": title_of(story),
            "absent": story.now.absent,
            "fields": [(one, value_words(one), because(one)) for one in held_fields(story)],
            "moments": moments(story),
        }
        for story in stories
    ]
    left = values_shown(len(stories), count)
    return rendered("story.html.j2", stories=shown, asked=asked, left=left, made_at=made_at, program=program)
