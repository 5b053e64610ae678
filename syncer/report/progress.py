"""Progress on standard error: a live bar on a terminal, a plain line now and then elsewhere.

Only the bar needs rich: where nobody watches, as in most nights, it is not loaded.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from syncer.process.logs import say
from syncer.report.words import many
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from syncer.execute.engine import Progress as EngineProgress
    from syncer.model import Plan

BAR_WIDTH_MAX = 40
PLAIN_EVERY_S = 10.0
"""How often a plain line is written while nothing else is said."""


class ProgressReport:
    """Shows how far a run has come. ``quiet`` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = None if quiet or not sys.stderr.isatty() else live_bar()
        self._values = 0
        self._first_call_s = time.monotonic()
        self._last_line_s = time.monotonic()
        self._last_words = ""

    def __enter__(self) -> ProgressReport:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def on_rows(self, rows: int) -> None:
        """Show how many rows were read and validated."""
        self._update(words=f"{rows:,} rows read")
        self._plain(f"{rows:,} rows read")

    def on_list(self, what: str, done: int, of: int | None) -> None:
        """Show how much of a list was read; ``of`` None: nobody says how long it is."""
        self._update(description=f"reading {what}", total=of, completed=done, words="")
        self._plain(f"{done:,} {what} read" if of is None else f"{done:,} of {of:,} {what} read")

    def on_plan(self, plan: Plan) -> None:
        """Show what is going to be sent."""
        self._values = len(plan.items)
        words = f"planned: {many(self._values, 'value')} in {many(len(plan.batches), 'call')}"
        self._update(description="sending", total=len(plan.batches), completed=0, words="")
        self._plain(words, now=True)

    def on_progress(self, progress: EngineProgress) -> None:
        """Show how the engine is getting on."""
        tally = progress.tally
        of = f" of {self._values:,}" if self._values else ""
        called = "call" if progress.updates == 1 else "calls"
        words = f"{called}{self._rate(progress.updates)}; {tally.confirmed:,}{of} values confirmed"
        for count, more in (
            (tally.unmatched, f"{tally.unmatched:,} unmatched"),
            (tally.rejected, f"{tally.rejected:,} rejected"),
            (progress.tasks_pending, f"{many(progress.tasks_pending, 'task')} pending"),
            (progress.in_doubt, f"{many(progress.in_doubt, 'batch')} in doubt"),
            (progress.throttled, f"{progress.throttled:,} throttled"),
        ):
            words += f", {more}" if count else ""
        if progress.waiting_for:
            words += f"; waiting for {progress.waiting_for}"
        description = "settling earlier runs" if progress.phase == "settle" else "sending"
        self._update(description=description, completed=progress.updates, words=words)
        self._plain(f"{progress.updates:,} {words}")

    def on_words(self, words: str, *, done: int = 0, of: int = 0) -> None:
        """Show what is being done, in words, and how far it is when that can be counted."""
        self._update(description="working", total=of or None, completed=done, words=words)
        self._plain(words)

    def _update(self, **fields: Any) -> None:
        """Show something else on the bar, where there is one."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], **fields)

    def _rate(self, updates: int) -> str:
        """Say how many calls were made a second since the first."""
        now_s = time.monotonic()
        if not updates:
            self._first_call_s = now_s
        seconds = now_s - self._first_call_s
        return f" ({updates / seconds:.1f}/s)" if updates and seconds > 1 else ""

    def _plain(self, words: str, *, now: bool = False) -> None:
        now_s = time.monotonic()
        if self._bar is not None or self._quiet or words == self._last_words:
            return
        if now or now_s - self._last_line_s >= PLAIN_EVERY_S:
            self._last_line_s = now_s
            self._last_words = words
            say(inert(words), timed=True)


def live_bar(console: Console | None = None) -> Progress:
    """Return a bar with one task: its numbers on one line, its words beneath. In little room, it gives way."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    from syncer.report.console import cell

    class Live(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            yield from (cell(task.fields["words"]) for task in self.tasks if task.fields["words"])

    bar = Live(
        SpinnerColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(max_width=BAR_WIDTH_MAX)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        console=console or Console(stderr=True, highlight=False),
        transient=True,
    )
    bar.add_task("reading", total=None, words="")
    return bar
