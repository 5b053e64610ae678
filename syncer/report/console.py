"""The console on which results are printed: whatever stands in them, it is text, and a terminal obeys none of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from syncer.safe.inert import inert, inert_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


UNFOLDED = 10_000
"""Columns of a file or pipe: what is searched, or sent on by mail, has one line per row."""


class InertConsole(Console):
    """A console for text of others: what it prints has no escape sequence but those that style it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, and write out what a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(inert_lines(segment.text), segment.style)

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does; in a file or pipe, lines end where their text does."""
        if self.is_terminal:
            super().print(*objects, **settings)
            return
        with self.capture() as captured:
            super().print(*objects, **settings)
        super().print(Text(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE)), end="")


def plain_console() -> InertConsole:
    """Return a console on standard output: coloured and folded on a terminal; whole lines of plain text elsewhere."""
    console = InertConsole(highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNFOLDED
    return console


def cell(text: str) -> Text:
    """Return a text of others for one cell or line: never markup, never emoji, never a second line."""
    return Text(inert(text))
