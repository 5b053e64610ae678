"""The seam of all sources: what every kind of input is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncer.model import Chunk, SourceInfo


class Source(Protocol):
    """One input, which can be read any number of times from its beginning, each time alike.

    ``position`` is its place on the command line, from 0; ``name`` and ``header`` are for messages and the validator.
    """

    @property
    def position(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def header(self) -> tuple[str, ...]: ...
    @property
    def info(self) -> SourceInfo:
        """What is known of the input after a full pass of `chunks`."""
        ...

    @property
    def form_note(self) -> str:
        """How the input is read, and how sure that is; empty where its form leaves no doubt."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the last full pass of `chunks` noticed and people should know."""
        ...

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read from the beginning; ``wanted`` names the columns to keep (None: all).

        Which rows are rejected is decided by the columns that the first pass wanted, in every later pass too.
        """
        ...

    def close(self) -> None:
        """Let go of what the input holds."""
        ...
