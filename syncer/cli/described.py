"""Options that a night's step may give, too, made from their one description (`syncer.config.step_options`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from syncer.cli.numbers import Finite
from syncer.config.step_options import (
    COUNT,
    DEADLINE,
    FIELDS,
    FORMAT,
    PATH,
    SECONDS,
    STEP_KINDS,
    SWITCH,
    TEXTS,
    StepOption,
    ValueKind,
)
from syncer.request import EXPORT_FORMATS

F = TypeVar("F", bound=Callable[..., Any])
_TAKEN: dict[ValueKind, dict[str, Any]] = {
    SWITCH: {"is_flag": True},
    COUNT: {"type": click.IntRange(min=1)},
    FORMAT: {"type": click.Choice(EXPORT_FORMATS)},
    TEXTS: {"multiple": True},
    FIELDS: {"multiple": True, "metavar": "FIELD=VALUE"},
    PATH: {"type": click.Path(path_type=Path)},
    SECONDS: {"type": Finite(min=0), "metavar": "SECONDS"},
}
"""How the command line takes a value of each kind; a text as it is."""


def _described(option: StepOption, **more: Any) -> Callable[[F], F]:
    taken = _TAKEN.get(option.kind, {})
    words = f"{option.meaning.removesuffix('.')}; repeatable." if "multiple" in taken else option.meaning
    given = {**taken, "required": option.needed, "help": words, **more}
    return click.option(f"--{option.name.replace('_', '-')}", option.member or option.name, **given)


deadline_option = _described(DEADLINE)
"""Of every command that may run for long."""


def step_option(step: str, name: str, **more: Any) -> Callable[[F], F]:
    """Return click's option of this name of a step; ``more`` is what the command line alone says of it."""
    return _described(STEP_KINDS[step].options[name], **more)


def step_options(step: str, *names: str) -> Callable[[F], F]:
    """Return several options of a step, in this order."""

    def add(function: F) -> F:
        for name in reversed(names):
            function = step_option(step, name)(function)
        return function

    return add
