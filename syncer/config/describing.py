"""Every setting, described: for `config.example.toml` and the table in docs/configuration.md (`make docs`).

What always holds: words, type, default, example and "change it when" stand once, beside the setting itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from typing import Any

from syncer.config.checks import name_of
from syncer.config.input_settings import CsvSettings, FilesSettings, SourceSettings, TableSettings
from syncer.config.job_settings import FieldSettings, JobSettings, UnitSettings
from syncer.config.settings import ENVIRONMENT_PREFIX, SECTIONS

GROUPS: tuple[tuple[str, type[Any]], ...] = (
    *SECTIONS.items(),
    ("jobs.<name>", JobSettings),
    ("jobs.<name>.csv", CsvSettings),
    ("jobs.<name>.table", TableSettings),
    ("jobs.<name>.source", SourceSettings),
    ("jobs.<name>.files", FilesSettings),
    ("jobs.<name>.units.<key>", UnitSettings),
    ("jobs.<name>.fields.<key>", FieldSettings),
)
LINE_WIDTH = 118
HEAD = """\
# Configuration of syncer: every setting with its default; what is commented out is not set.
# Each can also come from the environment: api.timeout_s is SYNCER_API__TIMEOUT_S.
# The token never stands here: set SYNCER_API__TOKEN, or token_file below, or systemd's LoadCredential.
# Made by `make docs` from what the program says of each setting.
"""
_TYPES = {
    "str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Secret": "text",
    "tuple[str, ...]": "list of texts", "tuple[int, ...]": "list of whole numbers", "tuple[Step, ...]": "list of steps",
    "tuple[Secret, ...]": "list of texts", "Mapping[str, str]": "table of texts", "int | str": "whole number or text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Description:
    """One setting. ``default`` is None or () when it is not set; ``example`` is a value as TOML writes it."""

    key: str
    variable: str
    type: str
    default: Any
    meaning: str
    example: str
    when: str

    @property
    def is_set(self) -> bool:
        """Whether it has a default."""
        return self.default not in (None, ())


def describe() -> Iterator[Description]:
    """Describe every setting, in the order of the documents."""
    for prefix, kind in GROUPS:
        for one in fields(kind):
            if "meaning" in one.metadata:
                yield _description(f"{prefix}.{name_of(one)}", one)


def _description(key: str, one: Field[Any]) -> Description:
    about = one.metadata
    choices = getattr(about["check"], "keywords", {}).get("of")
    kind = " or ".join(choices) if choices else _TYPES[str(one.type).removesuffix(" | None")]
    example = about["example"] or _toml(one.default)
    variable = ENVIRONMENT_PREFIX + key.upper().replace(".", "__")
    return Description(key, variable, kind, one.default, about["meaning"], example, about["when"])


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def configuration_table() -> str:
    """Return the table of docs/configuration.md."""
    head = "| key | environment | type | default | meaning | change it when |\n| --- | --- | --- | --- | --- | --- |\n"
    rows = (
        f"| `{one.key}` | `{one.variable}` | {one.type} | {f'`{_toml(one.default)}`' if one.is_set else ''} "
        f"| {_cell(one.meaning)} | {_cell(one.when)} |\n"
        for one in describe()
    )
    return head + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def example_configuration() -> str:
    """Return `config.example.toml`. What belongs to one field, file or unit is commented out as a whole."""
    parts = [HEAD]
    described = list(describe())
    for prefix, kind in GROUPS:
        optional = prefix.count(".") > 1
        name = prefix.replace("<name>", "default")
        name = name.replace("<key>", "case_no" if ".units." in name else "production_date")
        about = (kind.__doc__ or "").partition("\n")[0]
        parts.append(f"\n{'# ' if optional else ''}[{name}]\n{_prose(about)}\n")
        for one in described:
            if one.key.rpartition(".")[0] == prefix:
                setting = f"{one.key.rpartition('.')[2]} = {one.example}"
                parts.append(f"{_prose(f'{one.meaning}; change it when {one.when}')}")
                parts.append(f"{'# ' if optional or not one.is_set else ''}{setting}\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def _prose(text: str) -> str:
    return "".join(f"## {line}\n" for line in textwrap.wrap(text, LINE_WIDTH - 3, break_long_words=False))
