"""A failing seed is shrunk to what is needed for its failure, and what is told of it plays it again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sim.mutations import mutated
from sim.promises import ViolationError
from sim.shrink import failure, shrink, told

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("bug", "seed"),
    [
        ("no settle wait", 71),
        ("repeat a POST in the transport", 5),
        ("take a lost answer for not processed", 0),
    ],
)
def test_only_what_is_needed_is_left(bug, seed):
    with mutated(bug):
        violation, kept, words = shrink(seed)
        assert isinstance(violation, ViolationError)
        assert len(words) == len(kept) < len(failure(seed)[1].fate.struck)
        assert str(failure(seed, frozenset(kept))[0]) == str(violation)
        for number in kept:
            assert failure(seed, frozenset(kept) - {number})[0] is None
    assert failure(seed, frozenset(kept))[0] is None


def test_a_clean_seed_has_nothing_to_shrink():
    assert shrink(1) == (None, (), [])
    assert told(1) == "seed 1 is clean"


def play(*arguments):
    command = [sys.executable, "-m", "sim", *arguments]
    return subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True, timeout=100).stdout


def test_what_is_told_is_what_the_documents_show_and_plays_it_again():
    document = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    command, _, shown = re.search(r"```console\n\$ PYTHONPATH=tests (.*?)```", document, re.DOTALL)[1].partition("\n")
    _, _, _, *arguments = shlex.split(command)
    assert play(*arguments) == shown
    violated = re.search(r"^seed \d+: (.*)$", shown, re.MULTILINE)[1]
    again = shlex.split(re.search(r"python -m sim (.* --only .*)", shown)[1])
    bug = arguments[arguments.index("--bug") :][:2]
    assert play(*again, *bug).splitlines()[-1] == violated
    assert play(*again).splitlines()[-1] == "all promises kept"
