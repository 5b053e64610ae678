"""What a job says about rows, as values: columns, constants, and the rules of each field. Words alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REJECT, KEEP = "reject", "keep"
"""What ``map_else`` says of a value that is not in the map; any other text is sent in its place."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How a cell becomes the value of a field; each step is left out where its member is as it stands here.

    They are taken in the order of these members, whatever the order in the configuration. ``origin`` is a column, or a
    template of several (None: the column that is mapped to the field).
    """

    origin: str | None = None
    trim: bool = False
    null: tuple[str, ...] = ()
    strip_prefix: tuple[str, ...] = ()
    strip_suffix: tuple[str, ...] = ()
    extract: str | None = None
    upper: bool = False
    lower: bool = False
    pad: int = 0
    map: Mapping[str, str] | None = None
    map_else: str = REJECT


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Rules of one field, as ``jobs.<name>.fields.<key>`` declares them; its type counts after its steps."""

    type: str = "text"
    formats: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    required: bool = False
    max_length: int | None = None
    steps: Steps = Steps()


@dataclass(frozen=True, slots=True)
class RowRules:
    """What a job says about rows. ``key`` names columns of the header, or SCM keys that are made of some.

    ``columns`` maps header names to SCM keys (None: each to its own); ``constants`` SCM keys to values of every row.
    ``expect`` is a column that says how many codes a value selects: it is read, and not sent.
    """

    key: tuple[str, ...]
    columns: Mapping[str, str] | None = None
    blank: str = "omit"
    fields: Mapping[str, FieldRule] = field(default_factory=dict)
    known_fields: frozenset[str] | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    expect: str | None = None
