"""A failing seed is shrunk to what is needed for its failure, and what is told of it plays it again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from sim.mutations import mutated
from sim.promises import ViolationError
from sim.shrink import failure, shrink, told
from sim.test_mutations import FOUND_BY

ROOT = Path(__file__).parents[2]


@cache
def first_failing(bug):
    """Return a seed that finds a deliberate bug: which one is the first changes with the program."""
    with mutated(bug):
        return next(seed for seed in (FOUND_BY[bug], *range(200)) if isinstance(failure(seed)[0], ViolationError))


@pytest.mark.parametrize("bug", ["no settle wait", "take a lost answer for not processed"])
def test_only_what_is_needed_is_left(bug):
    seed = first_failing(bug)
    with mutated(bug):
        violation, kept, words = shrink(seed)
        assert isinstance(violation, ViolationError)
        assert len(words) == len(kept) < len(failure(seed)[1].fate.struck)
        assert str(failure(seed, frozenset(kept))[0]) == str(violation)
        for number in kept:
            assert not isinstance(failure(seed, frozenset(kept) - {number})[0], ViolationError)
    assert failure(seed, frozenset(kept))[0] is None


def test_a_clean_seed_has_nothing_to_shrink():
    assert shrink(1) == (None, (), [])
    assert told(1) == "seed 1 is clean"


def play(*arguments):
    command = [sys.executable, "-m", "sim", *arguments]
    return subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True, timeout=100).stdout


def test_what_is_told_has_the_form_that_the_documents_show_and_plays_it_again():
    document = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    command, _, shown = re.search(r"```console\n\$ PYTHONPATH=tests (.*?)```", document, re.DOTALL)[1].partition("\n")
    _, _, _, _, *arguments = shlex.split(command)
    bug = arguments[arguments.index("--bug") :][:2]
    told_now = play(str(first_failing(bug[1])), *arguments)
    form = re.compile(
        r"seed \d+: ViolationError: .+\nwhat has to go wrong for it:\n(  \d+: at [\d.]+ s .+\n)+"
        r"play it again: PYTHONPATH=tests python -m sim \d+ --only [\d,]+\n"
    )
    assert form.fullmatch(told_now)
    assert form.fullmatch(shown)
    violated = re.search(r"^seed \d+: (.*)$", told_now, re.MULTILINE)[1]
    again = shlex.split(re.search(r"python -m sim (.* --only .*)", told_now)[1])
    assert play(*again, *bug).splitlines()[-1] == violated
    assert play(*again).splitlines()[-1] == "all promises kept"
