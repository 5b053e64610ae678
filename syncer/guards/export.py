"""Guards against a bad export: what is far from usual stops the run before anything is sent (exit 4).

Pure functions over columns and over what the ledger says of past nights; docs/guards.md has the rules. What always
holds: nothing is compared with earlier nights on a first run; a file that holds only changes is not taken for a damaged
full one, and one of the results folder (rows that were mended) for no export at all; a rejected row is no reason, and a
run that was approved no measure; every finding names counts, examples and what helps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from syncer.arrow import numbers
from syncer.errors import GuardError, Stop
from syncer.guards import keys as keyguard
from syncer.model import shown_key
from syncer.plan.diff import Diff, Standing

if TYPE_CHECKING:
    from syncer.guards.keys import Damage, LookUp
    from syncer.model import PastRun, Plan, RowCounts, SourceInfo, ValidChunk

PERCENT = 100
PAST_RUNS = 7
"""Completed runs that say what is usual: a week of nights, so that a weekly full export among small ones is no norm."""
SAME_MOMENT_S = 2.0
"""Moments of writing that are so near count as the same: some file systems keep no finer ones."""
SEVERAL = 2
EXAMPLES_MAX = 3


@dataclass(frozen=True, slots=True)
class Guards:
    """What stops a run. ``percent`` of the known keys changed, ``missing_percent`` of the rows missing; 0: never."""

    percent: float
    codes_min: int
    missing_percent: float = 0
    keys: bool = False
    columns: bool = False
    age: bool = False
    export: str = "auto"


@dataclass(frozen=True, slots=True)
class Past:
    """What the ledger says of earlier nights. ``runs`` are completed, newest first.

    ``known`` counts the known keys of the job's code space, up to a most; ``look_up`` gives known keys;
    ``content_runs`` the runs (id, moment, SHA-256) that read files of some contents; ``held`` what is known of some
    keys, field by field.
    """

    runs: Sequence[PastRun]
    known: Callable[[int | None], int]
    look_up: LookUp
    content_runs: Callable[[Sequence[str]], Sequence[tuple[int, str, str]]]
    held: Callable[[Sequence[str]], Mapping[str, Mapping[str, str]]]

    @property
    def measures(self) -> Sequence[PastRun]:
        """The runs that say what is usual: those that no guard would have stopped, as long as there is one."""
        return [run for run in self.runs if not run.approved] or self.runs


@dataclass(frozen=True, slots=True)
class Tonight:
    """What was read and planned."""

    diff: Diff
    plan: Plan
    infos: Sequence[SourceInfo]
    watch: ColumnWatch


class ColumnWatch:
    """Sees the columns pass and remembers at most two different values of each: enough to tell none, one, several."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.seen: dict[str, set[str]] = {field: set() for field in fields}
        self.blank: set[str] = set()
        """The fields that were blank in some row."""

    def see(self, chunk: ValidChunk) -> None:
        """Take the columns of a chunk."""
        for (field, seen), column in zip(self.seen.items(), chunk.fields, strict=True):
            if len(seen) < SEVERAL:
                used = pc.unique(column.indices)
                values = column.dictionary.take(used.drop_null()).to_pylist()
                seen.update([value for value in values if value][:SEVERAL])
                if used.null_count or "" in values:
                    self.blank.add(field)

    def varied(self) -> tuple[str, ...]:
        """Return the fields that have several values."""
        return tuple(field for field, seen in self.seen.items() if len(seen) >= SEVERAL)


def check(guards: Guards, tonight: Tonight, past: Past | None) -> GuardError | None:
    """Return one error that tells every finding; None when all is as usual."""
    found = list(_findings(guards, tonight, past))
    if not found:
        return None
    steps = list(dict.fromkeys(stop.remedy for stop in found))
    message = "; also: ".join(stop.message for stop in found)
    return GuardError(message, remedy="; ".join([*steps, "approve it if it is right"]), stops=found)


def _findings(guards: Guards, tonight: Tonight, past: Past | None) -> Iterator[Stop]:
    mended = all(info.is_correction for info in tonight.infos)
    if guards.keys:
        yield from _scientific(tonight)
    if guards.keys and not mended:
        yield from _keys(tonight, past)
    if past is None or mended:
        return
    full = _repeats(guards, past)
    if full is not False and not tonight.plan.rows.read:
        yield from _nothing(tonight, past)
        return
    if guards.age and past.runs and past.known(guards.codes_min) >= guards.codes_min:
        yield from _age(tonight, past)
    if guards.missing_percent and full is not False:
        yield from _rows(guards, tonight, past)
    if guards.columns and past.runs:
        yield from _columns(guards, tonight, past.measures, full)
    if guards.percent:
        yield from _changes(guards, tonight, past, full)


def holds_changes(guards: Guards, past: Past | None) -> bool:
    """Tell whether the job's files are known to hold only changes: as it is set, or as most earlier nights were."""
    return guards.export == "changes" or (past is not None and _repeats(guards, past) is False)


def _repeats(guards: Guards, past: Past) -> bool | None:
    """Tell whether the job's files repeat what is known (full exports), as it is set or as most earlier nights were.

    False: they hold only changes. None: nobody knows, since none of the runs had rows that were known before.
    """
    if guards.export != "auto":
        return guards.export == "full"
    habits = [_was_full(run.rows, past) for run in past.measures if run.rows.unchanged + run.rows.changed]
    return 2 * sum(habits) >= len(habits) if habits else None


def _was_full(rows: RowCounts, past: Past) -> bool:
    """Tell whether a night's rows were mostly unchanged, or were those of at least half of all known codes."""
    twice = 2 * (rows.unchanged + rows.changed + rows.new)
    return rows.unchanged > rows.changed or past.known(twice + 1) <= twice


def _scientific(tonight: Tonight) -> Iterator[Stop]:
    damage = keyguard.scientific(tonight.diff)
    if damage is not None:
        names = [info.name for info in tonight.infos]
        yield Stop(
            "keys",
            f"{damage.count} keys are in scientific notation, which a spreadsheet makes of long numbers: "
            f"{keyguard.show(damage, names, '')}; their digits are lost",
            "export the keys as text, and do not open the file in a spreadsheet",
        )


def _keys(tonight: Tonight, past: Past | None) -> Iterator[Stop]:
    diff, names = tonight.diff, [info.name for info in tonight.infos]
    damage = None if past is None else keyguard.altered(diff, past.look_up)
    if damage is not None:
        yield Stop(
            "keys",
            f"{_counted(damage)} unknown keys differ from a known key only in leading zeros or letter case: "
            f"{keyguard.show(damage, names, 'the ledger has')}",
            "export the keys as text, as they were in earlier files",
        )
        return
    damage = keyguard.against_custom(diff, keyguard.custom_of(diff), known=diff.known_keys > 0)
    if damage is not None:
        what = (
            f"have fewer than the {damage.width} digits of nearly all others, as if leading zeros were lost"
            if damage.width
            else "are in another letter case than nearly all others of their form"
        )
        yield Stop(
            "keys",
            f"{damage.count} unknown keys {what}: {keyguard.show(damage, names, 'perhaps')}",
            "export the keys as text, with their leading zeros and their letter case",
        )


def _counted(damage: Damage) -> str:
    looked = "" if damage.looked_at == damage.of else f" that were looked at, of {damage.of},"
    return f"{damage.count} of {damage.looked_at}{looked}"


def _nothing(tonight: Tonight, past: Past) -> Iterator[Stop]:
    """Find that nothing came at all, however little comes on other nights."""
    last = next((run for run in past.runs if run.rows.read), None)
    if last is not None:
        yield Stop(
            "rows",
            f"no rows are in {', '.join(info.name for info in tonight.infos[:EXAMPLES_MAX])}; run {last.id} read "
            f"{last.rows.read}",
            'see whether the export is complete; one that may be empty is told by jobs.<name>.export = "changes"',
        )


def _rows(guards: Guards, tonight: Tonight, past: Past) -> Iterator[Stop]:
    """Find that far fewer rows came than usual.

    What comes of a full export that was cut is mostly unchanged; a night's changes, or rows that were mended, are not.
    """
    rows, known, percent = tonight.plan.rows, tonight.plan.known_keys, guards.missing_percent
    ever = _most_codes(past) - tonight.diff.absent_keys
    if guards.export == "full":
        enough = known * PERCENT // (PERCENT - percent) if percent < PERCENT else known
        usual, here = min(ever, past.known(max(int(enough) + 1, guards.codes_min))), known
        what, which = "known codes of the job are in the files", "limits.max_missing_percent of a full export"
    elif rows.unchanged > rows.changed + rows.new:
        ascending = sorted(past.measures, key=lambda run: run.rows.read)
        if not ascending or not _far_fewer(guards, rows.read, ascending[-1].rows.read):
            return  # what follows counts the known codes
        smallest = next((run for run in ascending if _was_full(run.rows, past)), None)
        if smallest is None:
            return
        usual, here = smallest.rows.read, rows.read
        what = f"rows that even the smallest full export of the last runs had (run {smallest.id}) are there"
        which = "limits.max_missing_percent"
    else:
        return
    if not _far_fewer(guards, here, usual):
        return
    if guards.export == "full":
        usual = min(ever, past.known(None))  # it was counted only as far as it took to know
    files = ", ".join(f"{info.name} with {info.rows} rows" for info in tonight.infos[:EXAMPLES_MAX])
    yield Stop(
        "rows",
        f"only {here} of {usual} {what}: {PERCENT * (usual - here) / usual:.0f} % are missing, more than {which} = "
        f"{percent:g}; read: {files}",
        'see whether the export is complete; one that holds only changes is told by jobs.<name>.export = "changes"',
    )


def _most_codes(past: Past) -> int:
    """Return how many codes the largest of the job's last runs named: others may share its code space."""
    counts = [run.rows.new + run.rows.changed + run.rows.unchanged + run.rows.held for run in past.measures]
    return max(counts, default=0)


def _far_fewer(guards: Guards, here: int, usual: int) -> bool:
    return usual >= guards.codes_min and PERCENT * (usual - here) > guards.missing_percent * usual


def _columns(guards: Guards, tonight: Tonight, runs: Sequence[PastRun], full: bool | None) -> Iterator[Stop]:
    """Find columns that had several values in every recorded past run, and now have none, or one in all rows."""
    recorded = [run.varied for run in runs if run.varied is not None]
    rows = tonight.plan.rows.read - tonight.plan.rows.invalid
    if not recorded or rows < guards.codes_min:
        return
    usual = frozenset.intersection(*recorded)
    for field, seen in tonight.watch.seen.items():
        if field not in usual or len(seen) >= SEVERAL:
            continue
        if not seen:
            words = f"the column of {field} is empty: none of {rows} rows has a value"
        elif field in tonight.watch.blank or full is False or not (guards.export == "full" or _covers(tonight, runs)):
            continue  # few values among blanks, or among a night's changes, are no sign of damage
        else:
            words = f"the column of {field} has one value, {next(iter(seen))!r}, in all {rows} rows"
        yield Stop(
            "columns",
            f"{words}; it had several in the last {'run' if len(recorded) == 1 else f'{len(recorded)} runs'}",
            f"see what the export does with {field}",
        )


def _covers(tonight: Tonight, runs: Sequence[PastRun]) -> bool:
    """Tell whether the files have at least half as many rows as each of the last runs."""
    return 2 * tonight.plan.rows.read >= max(run.rows.read for run in runs)


def _age(tonight: Tonight, past: Past) -> Iterator[Stop]:
    if not tonight.plan.overwritten:
        return  # nothing that is known would get its old data back
    last, measure = past.runs[0], past.measures[0]
    contents = {info.sha256: info.name for info in tonight.infos if info.rows}
    if set(contents) <= set(last.files):
        return  # the files of the last run once more
    stale = [run for run in past.content_runs([*contents]) if run[2] not in measure.files and run[0] < measure.id]
    if stale:
        run_id, at, sha256 = stale[0]
        yield Stop(
            "age",
            f"{contents[sha256]} is the file that run {run_id} read on {at[:16]} (the same content), and run "
            f"{measure.id} has read a newer one since; {tonight.plan.overwritten} known codes would get their old "
            "data back",
            "name the newest export",
        )
        return
    newest = max((info for info in tonight.infos if info.mtime_s is not None), key=_written, default=None)
    if newest is None or measure.mtime_s is None or _written(newest) >= measure.mtime_s - SAME_MOMENT_S:
        return
    yield Stop(
        "age",
        f"{newest.name} was written on {_moment(_written(newest))}, before the files of run {measure.id} "
        f"({_moment(measure.mtime_s)}, {', '.join([*measure.files.values()][:EXAMPLES_MAX])})",
        "name the newest export",
    )


def _written(info: SourceInfo) -> float:
    return info.mtime_s or 0.0


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _changes(guards: Guards, tonight: Tonight, past: Past, full: bool | None) -> Iterator[Stop]:
    """Find that the files change far more than they usually can.

    Of a full export its own known codes are what is counted; of a night's changes all known codes of the job, since
    every row of such a file is a change. A change is a known value that gives way to another: what is uncertain, or was
    never heard of, is sent as well, but is none.
    """
    plan = tonight.plan
    known, changed = plan.known_keys, plan.overwritten
    if known < max(guards.codes_min, 1) or PERCENT * changed <= guards.percent * known:
        return
    if not full:
        if past.known(int(PERCENT * changed / guards.percent) + 1) * guards.percent >= PERCENT * changed:
            return  # it was counted only as far as it took to know
        known = past.known(None)
    yield Stop(
        "changes",
        f"{changed} of {known} known codes ({PERCENT * changed / known:.0f} %) have other data than was confirmed; "
        f"more than limits.max_changed_percent = {guards.percent:g}; for example: {_examples(tonight, past)}",
        "see whether the export writes the examples above as they are",
    )


def _examples(tonight: Tonight, past: Past) -> str:
    """Write some changed codes with file, line, and each field's old and new value."""
    diff, records = tonight.diff, tonight.diff.records
    rows = diff.groups.leaders_of(np.flatnonzero(diff.verdicts() == Standing.CHANGED)[:EXAMPLES_MAX])
    keys = records.keys.take(numbers(rows)).to_pylist()
    held, shown = past.held(keys), []
    for key, row in zip(keys, rows.tolist(), strict=True):
        new, old = json.loads(records.payloads.data[records.payload[row]]), held.get(key, {})
        fields = ", ".join(
            f"{name} {_quoted(old.get(name))} → {_quoted(value)}"
            for name, value in new.items()
            if value != old.get(name)
        )
        place = f"{tonight.infos[records.source[row]].name}:{records.line[row]}"
        shown.append(f"{shown_key(key)} ({place}): {fields or 'fewer fields'}")
    return "; ".join(shown)


def _quoted(value: str | None) -> str:
    return "nothing" if value is None else repr(value)
