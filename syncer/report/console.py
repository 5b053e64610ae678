"""The console on which results are printed: whatever stands in them, it is text, and a terminal obeys none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from syncer.inert import inert, inert_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


class InertConsole(Console):
    """A console for text of others: what it prints has no escape sequence but those that style it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, and write out what a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(inert_lines(segment.text), segment.style)


def plain_console() -> InertConsole:
    """Return a console on standard output: coloured on a terminal, plain text elsewhere."""
    return InertConsole(highlight=False, soft_wrap=True)


def cell(text: str) -> Text:
    """Return a text of others for one cell or line: never markup, never emoji, never a second line."""
    return Text(inert(text))
