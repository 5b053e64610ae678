"""The documents are true: README's commands print what it shows, tables are what the program says, nothing leaks."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from syncer.config import describe
from syncer.lifecycle import mermaid
from syncer.sandbox.faults import KINDS
from syncer.validate import CODES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def shape(text):
    """What must be the same: words and layout, not times, ids and padding."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "WHEN", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{9,}", "TASK", text)
    text = re.sub(r"\d+\.\d s", "SECONDS", text)
    return [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]


def steps():
    """The files that README writes and the commands that it shows, in its order."""
    names = iter(["night.csv", "night2.csv"])
    for language, body in BLOCK.findall(README):
        if language == "csv":
            yield next(names), body, None
        if language == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield None, command, output


def test_the_first_run_prints_what_the_readme_shows(night):
    with night(updates_per_second=10) as here:
        shown = 0
        for name, text, output in steps():
            if name:
                (here.folder / name).write_text(text)
            else:
                done = here.run(*shlex.split(text)[1:], COLUMNS="110")
                assert shape(done.out) == shape(output), text
                shown += 1
        assert shown >= 5


def test_the_readme_draws_the_lifecycle_as_it_is():
    assert mermaid() in README


def test_every_setting_rejection_code_and_fault_is_documented():
    configuration = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for key, variable, default, meaning in describe():
        assert (
            f"| `{key}` | `{variable}` | {'' if default in (None, ()) else f'`{default}`'} | {meaning} |"
            in configuration
        )
    rejections = (ROOT / "docs" / "rejections.md").read_text(encoding="utf-8")
    for code, (what, remedy) in CODES.items():
        assert f"| {code} | {what} | {remedy} |" in rejections
    sandbox = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert {kind for kind in KINDS if f"`{kind}`" in sandbox} == KINDS


def test_every_local_link_leads_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), (document.name, target)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout can be searched")
def test_no_index_address_machine_path_or_secret_stands_in_the_tree():
    hosts = "|".join(("py" + "pi", "python" + "hosted", "npm" + "js"))
    for pattern in (rf"https?://[^ ]*({hosts})\.", r"(^|[^a-z.])/(wo" + r"rk|ro" + r"ot)/"):
        found = subprocess.run(
            ["git", "grep", "-nIE", pattern, "--", "."], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert found.stdout == ""
