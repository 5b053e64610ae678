"""The steps of a night, as ``nightly.steps`` names them: read from the configuration, every fault named. Pure.

A step is a table with one member, its name: ``{sync = {job = "erp", files = ["/data/*.csv"]}}``. What a step does
stands in `syncer.commands.nightly`; here is only what may be said about it. A step that is a command's own request is
the same value that the command line makes, so that neither can ask for something that the other cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from syncer.request import EXPORT_FORMATS, STATUSES, ProductsRequest, ScansRequest, Step, SyncStep, UploadRequest

_TEXT = "is a text"
_SWITCH = "is true or false"
_TIME = "is a number of seconds"
_TEXTS = "is a text, or a list of them"
_FIELDS = "is a table of texts or whole numbers"
_FORMAT = f"is one of {', '.join(EXPORT_FORMATS)}"
_STATUS = f"is one of {', '.join(STATUSES)}"
_COUNT = "is a whole number from 1 on"
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    _TEXT: lambda value: isinstance(value, str) and value != "",
    _SWITCH: lambda value: isinstance(value, bool),
    _TIME: lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"),
    _TEXTS: lambda value: bool(_texts(value)) and all(isinstance(one, str) and one for one in _texts(value)),
    _FIELDS: lambda value: isinstance(value, dict) and all(type(one) in {str, int} for one in value.values()),
    _FORMAT: lambda value: isinstance(value, str) and value in EXPORT_FORMATS,
    _STATUS: lambda value: isinstance(value, str) and value in STATUSES,
    _COUNT: lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
}
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "products": {"archived": _SWITCH, "format": _FORMAT, "out": _TEXT},
    "sync": {"files": _TEXTS, "job": _TEXT, "results": _TEXT},
    "scans": {
        "campaign": _COUNT, "from": _TEXT, "to": _TEXT, "timeframe": _TEXT, "flag": _TEXTS, "status": _STATUS,
        "product": _TEXT, "where": _FIELDS, "format": _FORMAT, "out": _TEXT, "into_ledger": _SWITCH,
        "raw_csv": _SWITCH, "deadline": _TIME,
    },
    "codes": {
        "file": _TEXT, "default": _FIELDS, "url_prefix": _TEXT, "allow_duplicates": _SWITCH, "skip_invalid": _SWITCH,
        "errors": _TEXT, "deadline": _TIME,
    },
}  # fmt: skip
"""What each step may say, and of which kind it must be."""
_NEEDED = {"sync": "files", "scans": "campaign", "codes": "file"}


def parse_steps(value: Any) -> tuple[Step, ...]:
    """Read ``nightly.steps``; raise `ValueError` with words that continue "must be …"."""
    if not isinstance(value, list) or not all(isinstance(table, dict) and len(table) == 1 for table in value):
        raise ValueError('a list of steps, each a table with one member: {products = {}} or {sync = {files = ["…"]}}')
    return tuple(_step(number, *next(iter(table.items()))) for number, table in enumerate(value, 1))


def _step(number: int, name: str, options: Any) -> Step:
    if not isinstance(options, dict):
        raise ValueError(f"a list of steps with tables of options (step {number}: {name} = {{…}})")
    if name not in _OPTIONS:
        raise ValueError(f"a list of steps that exist: {', '.join(_OPTIONS)} (step {number} is {name!r})")
    unknown = sorted(options.keys() - _OPTIONS[name].keys())
    if unknown:
        known = ", ".join(sorted(_OPTIONS[name]))
        raise ValueError(f"a list of steps with known options (step {number}: {name} has {known}; not {unknown[0]!r})")
    needed = _NEEDED.get(name)
    if needed is not None and needed not in options:
        raise ValueError(f"a list of steps in which {name} has {needed} (step {number})")
    for option, given in options.items():
        kind = _OPTIONS[name][option]
        if not _KINDS[kind](given):
            raise ValueError(f"a list of steps in which {option} {kind} (step {number}: {name})")
    return _MAKE[name](number, options)


def _texts(value: Any) -> tuple[Any, ...]:
    """Return a text, or a list, as a tuple; nothing for what is neither."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()


_RENAMED = {
    "from": "begin",
    "to": "end",
    "flag": "flags",
    "deadline": "deadline_s",
    "format": "form",
    "default": "defaults",
}
"""Options whose names in a request are others; so are those of the command line."""


def _members(options: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return options as members of a request; ``others`` are those that are not taken as they are."""
    found = {_RENAMED.get(name, name): value for name, value in options.items()}
    found |= {name: Path(found[name]) for name in ("out", "errors") if name in found}
    return found | others


def _products(number: int, options: Mapping[str, Any]) -> ProductsRequest:
    if "format" in options and "out" not in options:
        raise ValueError(f"a list of steps in which format stands beside out (step {number})")
    return ProductsRequest(**_members(options))


def _sync(number: int, options: Mapping[str, Any]) -> SyncStep:  # noqa: ARG001  one form for all
    return SyncStep(**{**options, "files": _texts(options["files"])})


def _scans(number: int, options: Mapping[str, Any]) -> ScansRequest:
    ways = [name for name in ("into_ledger", "raw_csv") if options.get(name)]
    if len(ways) > 1 or ("into_ledger" in ways and "out" in options):
        raise ValueError(f"a list of steps in which into_ledger stands alone, without raw_csv and out (step {number})")
    if "format" in options and ways:
        raise ValueError(f"a list of steps in which format is not beside {ways[0]} (step {number})")
    return ScansRequest(
        **_members(
            options,
            flags=_texts(options.get("flag")),
            where={name: str(value) for name, value in options.get("where", {}).items()},
            status=STATUSES[options["status"]] if "status" in options else None,
        )
    )


def _codes(number: int, options: Mapping[str, Any]) -> UploadRequest:  # noqa: ARG001  one form for all
    defaults = tuple(f"{name}={value}" for name, value in options.get("default", {}).items())
    return UploadRequest(**_members(options, defaults=defaults))


_MAKE: Mapping[str, Callable[[int, Mapping[str, Any]], Step]] = {
    "products": _products,
    "sync": _sync,
    "scans": _scans,
    "codes": _codes,
}
