"""A night of several steps: one JSON document, or one text, with each step's own inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.report.document import SCHEMA, error_document, sync_document
from syncer.report.products import pull_document, pull_text
from syncer.report.text import error_text, sync_text
from syncer.results import SyncResult

if TYPE_CHECKING:
    from syncer.results import NightResult, StepOutcome


def night_document(result: NightResult) -> dict[str, Any]:
    """Return what ``run --json`` says; ``error`` is that of the step with the gravest exit code."""
    error = result.gravest.error
    return {
        "schema": SCHEMA,
        "command": "run",
        "exit_code": result.exit_code,
        "on_failure": result.on_failure,
        "steps": [
            {
                "step": step.step,
                "skipped": step.exit_code is None,
                "exit_code": step.exit_code,
                "seconds": round(step.seconds, 3),
                "summary": _summary(step),
                "error": error_document(step.error) if step.error else None,
            }
            for step in result.steps
        ],
        "error": error_document(error) if error else None,
    }


def _summary(step: StepOutcome) -> dict[str, Any] | None:
    if step.result is None:
        return None
    return sync_document(step.result) if isinstance(step.result, SyncResult) else pull_document(step.result)


def night_text(result: NightResult) -> RenderableType:
    """Return what ``run`` says to people."""
    parts: list[RenderableType] = []
    for number, step in enumerate(result.steps, 1):
        ended = "skipped" if step.exit_code is None else f"exit code {step.exit_code}, {step.seconds:.1f} s"
        parts.append(Text(f"step {number} of {len(result.steps)}, {step.step}: {ended}", "bold"))
        if isinstance(step.result, SyncResult):
            parts.append(sync_text(step.result))
        elif step.result is not None:
            parts.append(pull_text(step.result))
        elif step.error is not None:
            parts.append(error_text(step.error))
            parts.append(Text(f"next: {step.error.next}", "bold"))
    return Group(*parts)
