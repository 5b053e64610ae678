"""A night of several steps: one JSON document, or one text, with each step's own inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.codes.upload_result import CodesResult
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK
from syncer.report import codes, products, scans
from syncer.report.document import SCHEMA, error_document, sync_document
from syncer.report.text import error_text, sync_text
from syncer.results import ProductsPullResult, SyncResult
from syncer.scans.pull_result import RawResult, ScansPullResult

if TYPE_CHECKING:
    from syncer.results import NightResult, StepOutcome, StepResult


def night_document(result: NightResult) -> dict[str, Any]:
    """Return what ``run --json`` says; ``error`` is that of the step with the gravest exit code, if any."""
    error = result.error
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
    """Return the document that the step's own command would have printed; None when it came to no result."""
    match step.result:
        case SyncResult() as result:
            return sync_document(result)
        case ProductsPullResult() as result:
            return products.pull_document(result)
        case ScansPullResult() as result:
            return scans.pull_document(result)
        case RawResult() as result:
            return scans.raw_document(result)
        case CodesResult() as result:
            return codes.result_document(result)
        case _:
            return None


def _text(result: StepResult) -> RenderableType:
    match result:
        case SyncResult():
            return sync_text(result)
        case ProductsPullResult():
            return products.pull_text(result)
        case ScansPullResult():
            return scans.pull_text(result)
        case RawResult():
            return scans.raw_text(result)
        case CodesResult():
            return codes.result_text(result)
        case _:
            return Text("")


def night_text(result: NightResult) -> RenderableType:
    """Return what ``run`` says to people."""
    parts: list[RenderableType] = []
    for number, step in enumerate(result.steps, 1):
        ended = "skipped" if step.exit_code is None else f"exit code {step.exit_code}, {step.seconds:.1f} s"
        parts.append(Text(f"step {number} of {len(result.steps)}, {step.step}: {ended}", "bold"))
        if step.result is not None:
            parts.append(_text(step.result))
        elif step.error is not None:
            parts.append(error_text(step.error))
    if result.lacks is not None:
        parts.append(error_text(result.lacks))
    parts.append(Text(_verdict(result), "bold"))
    return Group(*parts)


def _verdict(result: NightResult) -> str:
    """Return how the night ended, in one line: of how many steps nothing is left to do, and which have something."""
    well = sum(step.exit_code == EXIT_OK for step in result.steps)
    words = f"{well} of {len(result.steps)} steps ended well"
    for name, chosen in (
        ("to be looked at", lambda code: code == EXIT_NOT_CONFIRMED),
        ("failed", lambda code: code not in {None, EXIT_OK, EXIT_NOT_CONFIRMED}),
        ("skipped", lambda code: code is None),
    ):
        numbered = enumerate(result.steps, 1)
        found = ", ".join(f"{number} ({step.step})" for number, step in numbered if chosen(step.exit_code))
        words += f"; {name}: {found}" if found else ""
    return f"{words}; exit code {result.exit_code}"
