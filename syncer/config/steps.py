"""The steps of a night, as ``nightly.steps`` names them: read from the configuration, every fault named. Pure.

A step is a table with one member, its name: ``{sync = {job = "erp", files = ["/data/*.csv"]}}``. What a step does
stands in `syncer.commands.nightly`, what may be said of it in `step_options`. A step that is a command's own request
is the same value that the command line makes, so that neither can ask for something that the other cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from syncer.config.asked import require_sense
from syncer.config.step_options import STEP_KINDS, texts_of
from syncer.errors import UsageError
from syncer.request import STATUSES, ProductsRequest, ScansRequest, Step, SyncStep, UploadRequest, name_of


def parse_steps(value: Any) -> tuple[Step, ...]:
    """Read ``nightly.steps``; raise `ValueError` with words that continue "must be …"."""
    if not isinstance(value, list) or not all(isinstance(table, dict) and len(table) == 1 for table in value):
        raise ValueError('a list of steps, each a table with one member: {products = {}} or {sync = {files = ["…"]}}')
    return tuple(_step(number, *next(iter(table.items()))) for number, table in enumerate(value, 1))


def step_faults(steps: Sequence[Step]) -> Iterator[str]:
    """Yield what of the steps could never be done, whatever the files and the API hold."""
    for number, step in enumerate(steps, 1):
        try:
            require_sense(step, str)  # in a step an option stands under its own name
        except UsageError as error:
            yield f"{place_of(number, step)}: {error.words}"


def place_of(number: int, step: Step) -> str:
    """Return how messages name a step (from 1 on): by its key, its number and what it does."""
    return f"nightly.steps: step {number} ({name_of(step)})"


def _step(number: int, name: str, options: Any) -> Step:
    if not isinstance(options, dict):
        raise ValueError(f"a list of steps with tables of options (step {number}: {name} = {{…}})")
    if name not in STEP_KINDS:
        raise ValueError(f"a list of steps that exist: {', '.join(STEP_KINDS)} (step {number} is {name!r})")
    described = STEP_KINDS[name].options
    unknown = sorted(options.keys() - described.keys())
    if unknown:
        known = ", ".join(sorted(described))
        raise ValueError(f"a list of steps with known options (step {number}: {name} has {known}; not {unknown[0]!r})")
    for option in described.values():
        if option.needed and option.name not in options:
            raise ValueError(f"a list of steps in which {name} has {option.name} (step {number})")
        if option.name in options and not option.kind.fits(options[option.name]):
            raise ValueError(f"a list of steps in which {option.name} {option.kind.must} (step {number}: {name})")
    return _MAKE[name](number, options)


def _members(step: str, options: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return options as members of a step's request; ``others`` are those that are not taken as they are."""
    described = STEP_KINDS[step].options
    found = {described[name].member or name: value for name, value in options.items()}
    found |= {name: Path(found[name]) for name in ("out", "errors") if name in found}
    return found | others


def _products(number: int, options: Mapping[str, Any]) -> ProductsRequest:
    if "format" in options and "out" not in options:
        raise ValueError(f"a list of steps in which format stands beside out (step {number})")
    return ProductsRequest(**_members("products", options))


def _sync(number: int, options: Mapping[str, Any]) -> SyncStep:  # noqa: ARG001  one form for all
    return SyncStep(**{**options, "files": texts_of(options.get("files"))})


def _scans(number: int, options: Mapping[str, Any]) -> ScansRequest:
    ways = [name for name in ("into_ledger", "raw_csv") if options.get(name)]
    if len(ways) > 1 or ("into_ledger" in ways and "out" in options):
        raise ValueError(f"a list of steps in which into_ledger stands alone, without raw_csv and out (step {number})")
    if "format" in options and ways:
        raise ValueError(f"a list of steps in which format is not beside {ways[0]} (step {number})")
    return ScansRequest(
        **_members(
            "scans",
            options,
            flags=texts_of(options.get("flag")),
            where={name: str(value) for name, value in options.get("where", {}).items()},
            status=STATUSES[options["status"]] if "status" in options else None,
        )
    )


def _codes(number: int, options: Mapping[str, Any]) -> UploadRequest:  # noqa: ARG001  one form for all
    defaults = tuple(f"{name}={value}" for name, value in options.get("default", {}).items())
    return UploadRequest(**_members("codes", options, defaults=defaults))


_MAKE: Mapping[str, Callable[[int, Mapping[str, Any]], Step]] = {
    "products": _products,
    "sync": _sync,
    "scans": _scans,
    "codes": _codes,
}
