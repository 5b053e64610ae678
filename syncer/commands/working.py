"""Recording what a command does as a work: that it began, in which process, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from syncer.errors import SyncerError
from syncer.ledger.works import Work, WorkLog
from syncer.process.clock import Clock, utc_text
from syncer.process.owner import this_process
from syncer.results import Requests, SyncResult

if TYPE_CHECKING:
    from syncer.config import Settings


class Outcome(Protocol):
    """What any command returns that did work."""

    @property
    def exit_code(self) -> int: ...
    @property
    def error(self) -> SyncerError | None: ...


R = TypeVar("R", bound=Outcome)


def recorded(
    settings: Settings,
    clock: Clock,
    kind: str,
    work: Callable[[int | None], R],
    *,
    subject: str = "",
    night_id: int | None = None,
) -> R:
    """Do a command's work, which is given the id of its record, and record how it ended; raise what it raises.

    ``subject``: the job that was asked for; ``night_id``: it is a step of that night.
    """
    works, began = WorkLog(settings.ledger.url), utc_text(clock.wall_s())
    work_id = works.begin(kind, began, subject=subject, parent_id=night_id)

    def end(exit_code: int, error: SyncerError | None, **more: Any) -> None:
        words = None if error is None else error.message
        ended = utc_text(clock.wall_s())
        works.end(
            Work(
                id=work_id or 0,
                kind=kind,
                started_at=began,
                owner=this_process(),
                parent_id=night_id,
                subject=subject,
                ended_at=ended,
                exit_code=exit_code,
                error=words,
                **more,
            )
        )

    try:
        result = work(work_id)
    except SyncerError as error:
        end(error.status, error)
        raise
    run = result.run.id if isinstance(result, SyncResult) and result.run is not None else None
    end(result.exit_code, result.error, run_id=run, counts=_counts(result))
    return result


def _counts(result: Outcome) -> dict[str, int]:
    """Return the calls that a command made, by kind, and what it came to; of a night they are its steps'."""
    calls, came_to = getattr(result, "requests", None), getattr(result, "came_to", {})
    names = ("updates", "reads", "throttled", "retries") if isinstance(calls, Requests) else ()
    return {**{name: getattr(calls, name) for name in names}, **came_to}
