"""A request to the emulated API, and the route that takes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from syncer.sandbox.scm import Answer
from syncer.sandbox.state import SandboxState


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed access and limits. ``document`` is the decoded body of a POST."""

    sandbox: SandboxState
    method: str
    path: str
    arguments: Mapping[str, str]
    query: dict[str, str]
    document: Any
    now_s: float
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the API."""

    name: str
    pattern: re.Pattern[str]
    methods: frozenset[str]
    permissions: frozenset[str]
    is_update: bool
    handle: Callable[[Request], Answer]
