"""The tutorial and the how-tos: every command is run in their order, and prints what they show."""

from __future__ import annotations

from pathlib import Path

from walkthrough import follow, shape

DOCS = Path(__file__).parents[2] / "docs"


def words(text):
    """What is said, wherever the folder's name makes lines break."""
    return " ".join(shape(text)).split()


def test_the_morning_after_prints_what_it_shows(night):
    with night(updates_per_second=10) as here:
        followed = [words(printed) == words(shown) for _, shown, printed in follow(DOCS / "morning.md", here)]
        assert followed == [True] * 7


def test_the_tutorial_and_then_the_how_tos_print_what_they_show(night):
    with night(updates_per_second=10) as here:
        followed = 0
        for name in ("tutorial.md", "how-to.md"):
            for command, shown, printed in follow(DOCS / name, here):
                assert words(printed) == words(shown), (name, command)
                followed += 1
        assert followed > 25
