"""Text for people: what happened, what needs a person, what to type. Built with rich, which knows the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.errors import OutputError
from syncer.lifecycle.batch import OPEN, Bucket
from syncer.process.help import configured, help_lines
from syncer.process.owner import Life
from syncer.report.console import cell
from syncer.report.rows import changes_text, differences_text, rejections_text
from syncer.report.table import Facts, FittedTable
from syncer.report.words import many
from syncer.results import MEANING
from syncer.runs.paste import pasteable
from syncer.safe.inert import inert, inert_lines

if TYPE_CHECKING:
    from syncer.errors import SyncerError
    from syncer.ledger.values import Run
    from syncer.results import CheckResult, Concern, RunDetails, RunSummary, SyncResult

WORDS: Mapping[Bucket, str] = {
    Bucket.CONFIRMED: "confirmed",
    Bucket.UNMATCHED: "unmatched",
    Bucket.REJECTED: "rejected",
    Bucket.IN_DOUBT: "in doubt",
    Bucket.PENDING: "pending",
    Bucket.UNSENT: "unsent",
    Bucket.SUPERSEDED: "superseded",
}
NO_CODE = "no code has this value"
"""Why nearly every unmatched value is that (`execute/reconcile.py`)."""
OTHER_COUNT = (
    "the answer fits no single code: look at it in the portal; unique = false, where one value selects several"
)
WORDS_OF_STATE: Mapping[str, str] = {
    "complete": "complete: everything is confirmed",
    "incomplete": "finished, but some rows are not confirmed",
    "stopped": "stopped before its end",
}
STYLES: Mapping[str, str] = {
    "complete": "green",
    "incomplete": "yellow",
    "stopped": "red",
    "running": "cyan",
    "dead": "red",
}

DEFAULT_JOB = "default"
"""The job that need not be named, where it is the only one."""
_NO_END = {"dead": "no end: its process died", "unknown": "an end that is not known here: it is another machine's"}


def sync_text(result: SyncResult) -> RenderableType:
    """Return the summary of ``plan``, ``sync`` and ``resume``."""
    parts: list[RenderableType] = [*map(sync_text, result.before), _headline(result), _numbers(result)]
    if result.samples:
        parts.append(_samples(result))
    if result.differences is not None:
        parts.append(differences_text(result.differences))
    if result.changes and result.command == "plan":
        parts.append(changes_text(result.changes))
    if result.rejections:
        parts.append(rejections_text(result))
    if result.concerns and result.command != "plan":
        parts.append(_concerns(result.concerns))
    if result.discarded_fields:
        parts.append(
            Text(
                f"! DISCARDED by the campaign: {inert(', '.join(result.discarded_fields))}: the API took the codes, "
                "not these fields.\n  Define them in the campaign: the next run sends them. Or leave their columns out "
                f"([jobs.{inert(result.run.job.name) if result.run else '<name>'}.columns]).",
                style="bold yellow",
            )
        )
    if result.unproven_fields:
        parts.append(
            Text(
                f"! NOT PROVEN: {inert(', '.join(result.unproven_fields))}: the API counted the codes, and no answer "
                "showed that it took these fields.\n  See the notes; known_fields of the job vouches for them.",
                style="bold yellow",
            )
        )
    if result.waiting and result.command != "plan":
        words = f"! still to be sent, once older uploads of the same codes have ended: {many(result.waiting, 'value')}."
        parts.append(Text(words, style="yellow"))
    if result.earlier_in_doubt:
        parts.append(
            Text(f"! not settled yet, of earlier runs: {many(result.earlier_in_doubt, 'value')}.", style="yellow")
        )
    if any(result.earlier.values()):
        counts = _counts({WORDS[bucket]: count for bucket, count in result.earlier.items()}, first="unmatched")
        parts.append(Text(f"! of values that earlier runs planned: {counts}.", style="yellow"))
    parts += [Text(f"note: {inert(note)}", style="dim") for note in result.notes]
    if result.error is not None:
        parts.append(error_text(result.error))
    hint = _next(result)
    if hint:
        parts.append(Text(f"next: {hint}", "bold"))
    return Group(*parts)


def _headline(result: SyncResult) -> Text:
    if result.run is None:
        return Text(f"{result.command}: {'nothing was sent' if result.command == 'plan' else 'nothing to do'}", "bold")
    run = result.run
    is_done = isinstance(result.error, OutputError)  # it lacks a page, or a folder; the run itself came to its end
    state = (replace(result, error=None) if is_done else result).state
    if len(result.runs) > 1:
        named = ", ".join(f"{one.id} ({inert(one.job.name)})" for one in result.runs)
        return Text(f"runs {named}: {WORDS_OF_STATE[state]}", f"bold {STYLES[state]}")
    key = inert(" + ".join(run.job.key))
    return Text(f"run {run.id} of job {run.job.name} by {key}: {WORDS_OF_STATE[state]}", f"bold {STYLES[state]}")


def _numbers(result: SyncResult) -> Facts:
    rows, values, requests = result.rows, result.values, result.requests
    table = Facts()
    table.add_row("rows", _counts({name: getattr(rows, name) for name in rows.__slots__}, first="read"))
    if result.command == "plan":
        table.add_row(
            "to send",
            f"{many(sum(values.values()), 'value')} in {many(result.sync_batches + result.async_batches, 'call')}"
            f" ({result.sync_batches:,} sync, {result.async_batches:,} async),"
            f" at least {result.minimum_send_s:,.1f} s at the API's limit",
        )
    else:
        table.add_row("values", _counts({WORDS[bucket]: count for bucket, count in values.items()}, first="confirmed"))
        table.add_row(
            "calls",
            f"{many(requests.updates, 'update')} (least possible: {requests.minimum_updates:,}), "
            f"{many(requests.reads, 'read')}, "
            f"{requests.throttled:,} throttled, {requests.retries:,} repeated",
        )
    seconds = result.seconds
    table.add_row("time", f"{seconds.total:,.1f} s: plan {seconds.plan:,.1f} s, send {seconds.send:,.1f} s")
    return table


def _counts(counts: Mapping[str, int], *, first: str) -> str:
    others = [f"{count:,} {name}" for name, count in counts.items() if count and name != first]
    return (
        f"{counts.get(first, 0):,} {first}"
        + (": " if first == "read" and others else "")
        + (", ".join(others) if first == "read" else "".join(f", {other}" for other in others))
    )


def _samples(result: SyncResult) -> FittedTable:
    table = FittedTable("call", "values", "first values", "data")
    for sample in result.samples:
        for place, item in enumerate(sample.first):
            key, data = item["key"], json.dumps(item["data"], ensure_ascii=False)
            assert isinstance(key, Mapping)  # noqa: S101  made so in commands
            first = place == 0
            table.add_row(
                sample.kind if first else "",
                f"{sample.values:,}" if first else "",
                cell(" + ".join(key.values())),
                cell(data),
            )
    return table


def _concerns(concerns: Sequence[Concern]) -> FittedTable:
    table = FittedTable("not confirmed", "values", "why", "for example", "what it means")
    for concern in concerns:
        table.add_row(
            WORDS[concern.bucket],
            f"{concern.values:,}",
            cell(concern.message),
            cell(concern.example),
            meaning_of(concern) or "",
        )
    return table


def meaning_of(concern: Concern) -> str | None:
    """Return what it means that values are not confirmed; None where nothing more can be said."""
    if concern.bucket is Bucket.UNMATCHED and concern.message not in {"", NO_CODE}:
        return OTHER_COUNT
    return MEANING.get(concern.bucket)


def _next(result: SyncResult) -> str:
    if result.error is not None or result.own_exit_code == 0 or result.run is None:
        return ""
    hint = f"syncer status {result.run.id}"
    left = any(result.values.get(bucket) for bucket in (Bucket.PENDING, Bucket.UNSENT, Bucket.IN_DOUBT))
    if left or result.waiting or result.goes_again:
        hint = "syncer resume"
    elif result.unplanned:
        hint = f"syncer status {result.unplanned[0].id}"
    elif result.rejections:
        hint = "syncer sync FILE  # when the rows above are corrected: in the source, or in error.csv (--results DIR)"
    job = result.run.job.name
    words = pasteable(hint, result.named, job, job_named=job != DEFAULT_JOB, options=result.options)
    return inert(configured(words))


def error_text(error: SyncerError) -> Text:
    """Return an error: what happened, then what to do."""
    text = Text.assemble((f"error ({error.code}): ", "bold red"), said(error))
    for line in help_lines(error):
        label, _, words = line.partition(": ")
        text.append(f"\n  {label}: ", "bold").append(inert(words))
    return text


def said(error: SyncerError) -> str:
    """Return an error's message; its further lines are set in, so that none of them can pass for one of ours."""
    return inert_lines(error.message).replace("\n", "\n    ")


def check_text(findings: Sequence[CheckResult]) -> RenderableType:
    """Return the page of ``check``."""
    table = FittedTable("", "checked", "found")
    for finding in findings:
        mark = Text("ok", "green") if finding.error is None else Text("FAULT", "bold red")
        words = inert(finding.found)
        if finding.error is not None:
            words = "\n".join([said(finding.error), *map(inert, help_lines(finding.error))])
        table.add_row(mark, finding.what, Text(words))
    return table


def counts_by_word(summary: RunSummary) -> dict[str, int]:
    """Return a run's values by the word for where they are: while it is at work, a call's answer is no doubt yet."""
    words = {**WORDS, Bucket.IN_DOUBT: "under way"} if summary.life is Life.ALIVE else WORDS
    return {words[bucket]: count for bucket, count in summary.values.items()}


def run_text(details: RunDetails) -> RenderableType:
    """Return the page of ``status RUN``."""
    run, summary = details.summary.run, details.summary
    facts = Facts()
    for name, value in _run_facts(run, details):
        facts.add_row(name, cell(value))
    facts.add_row("rows", _counts(run.rows, first="read"))
    facts.add_row("values", _counts(counts_by_word(summary), first="confirmed"))
    parts: list[RenderableType] = [Text(f"run {run.id}: {run.state}", f"bold {STYLES.get(run.state, '')}"), facts]
    going_on = (Bucket.IN_DOUBT, Bucket.PENDING, Bucket.UNSENT) if summary.life is Life.ALIVE else ()
    if concerns := [one for one in details.concerns if one.bucket not in going_on]:
        parts.append(_concerns(concerns))
    if run.state == Life.DEAD:
        parts.append(Text(f"its process died\nnext: {after_death(run)}", "yellow"))
    batches = FittedTable("batch", "kind", "state", "values", "attempts", "codes", "task", "changed", "said")
    for batch in details.batches:
        batches.add_row(
            str(batch.id),
            batch.kind,
            batch.state.value,
            f"{batch.size:,}",
            str(batch.attempts),
            "" if batch.codes_affected is None else f"{batch.codes_affected:,}",
            cell(batch.task_id or ""),
            batch.changed_at[11:19],
            cell(batch.message or ""),
        )
    if details.batches:
        parts.append(batches)
    for batch in details.batches:
        if batch.state in OPEN:
            waits = f"waits since {batch.changed_at[:19].replace('T', ' ')} UTC" + (
                f" for task {inert(batch.task_id)}" if batch.task_id else ""
            )
            words = f"batch {batch.id} {waits}: syncer resume looks again; syncer abandon {batch.id} lets go of it"
            parts.append(Text(words, "yellow"))
    more = sum(details.batch_counts.values()) - len(details.batches)
    if more > 0:
        parts.append(Text(f"… and {more:,} more batches: syncer audit export --run {run.id} --format csv", "dim"))
    return Group(*parts)


def after_death(run: Run) -> str:
    """Return the command that helps when a run's process died: without a plan, nothing of it can be resumed."""
    job = shlex.quote(inert(run.job.name))
    return configured(f"syncer resume --job {job}" if run.rows else f"syncer sync FILE --job {job}")


def _run_facts(run: Run, details: RunDetails) -> list[tuple[str, str]]:
    facts = [
        ("job", f"{run.job.name}, by {' + '.join(run.job.key)}"),
        ("time", f"{run.started_at} to {run.ended_at or _NO_END.get(run.state, 'now')}"),
        ("program", run.program),
    ]
    facts += [
        ("file", f"{source.name}, {source.rows:,} rows, sha256 {source.sha256[:16]}…") for source in details.sources
    ]
    if run.error:
        facts.append(("stopped by", run.error))
    if run.discarded_fields:
        facts.append(("discarded", ", ".join(run.discarded_fields)))
    return facts
