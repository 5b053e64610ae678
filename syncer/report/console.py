"""The console on which results are printed: whatever stands in them, it is text, and a terminal obeys none of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.segment import Segment
from rich.text import Text

from syncer.safe.inert import inert, inert_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


_COMMAND = re.compile(r"^\s*next: ", re.MULTILINE)
UNFOLDED = 10_000
"""Columns of a file or pipe: what is searched, or sent on by mail, has one line per row."""


class InertConsole(Console):
    """A console for text of others: what it prints has no escape sequence but those that style it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, and write out what a terminal would obey."""
        folds = options is None or (options.max_width == self.width and not options.no_wrap)
        if folds and isinstance(renderable, Text) and not renderable.no_wrap and _COMMAND.search(renderable.plain):
            renderable = _kept_whole(renderable)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(inert_lines(segment.text), segment.style)

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does, cutting nothing off; in a file or pipe, lines end where their text does."""
        if self.is_terminal:
            super().print(*objects, crop=False, **settings)
            return
        with self.capture() as captured:
            super().print(*objects, crop=False, **settings)
        plain = re.sub(r" +$", "", captured.get(), flags=re.MULTILINE)
        super().print(Text(plain), end="", soft_wrap=True)


def _kept_whole(text: Text) -> Group:
    """Return text whose lines that name a command are never folded: they are pasted as they stand."""
    lines = text.split("\n", allow_blank=True)
    for line in lines:
        if _COMMAND.search(line.plain):
            line.no_wrap, line.overflow = True, "ignore"
    return Group(*lines)


def plain_console() -> InertConsole:
    """Return a console on standard output: coloured and folded on a terminal; whole lines of plain text elsewhere.

    Where ``COLUMNS`` is set, it is as wide as that says. Lines are folded between words.
    """
    console = InertConsole(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNFOLDED
    return console


def cell(text: str) -> Text:
    """Return a text of others for one cell or line: never markup, never emoji, never a second line."""
    return Text(inert(text))
