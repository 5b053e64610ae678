"""The documents are true: README's commands print what it shows, tables are what the program says, nothing leaks."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from walkthrough import shape

from syncer import errors
from syncer.config.describing import configuration_table
from syncer.config.step_options import steps_table
from syncer.lifecycle.batch import mermaid
from syncer.process.signals import STOPPING
from syncer.rows.codes import CODES
from syncer.sandbox.faults import KINDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def steps():
    """The files that README writes and the commands that it shows, in its order."""
    names = iter(["night.csv", "night2.csv", "codes.csv"])
    for language, body in BLOCK.findall(README):
        if language == "csv":
            yield next(names), body, None
        if language == "toml" and body.startswith("# config.toml\n"):
            yield "config.toml", body, None
        if language == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield None, command, output


def test_the_first_run_prints_what_the_readme_shows(night):
    with night(updates_per_second=10, scans=500) as here:
        shown = 0
        for name, text, output in steps():
            if name:
                (here.folder / name).write_text(text)
            else:
                done = here.run(*shlex.split(text)[1:], COLUMNS="110")
                assert shape(done.out) == shape(output), text
                shown += 1
        assert shown >= 9


def test_the_readme_draws_the_lifecycle_as_it_is():
    assert mermaid() in README


def test_every_setting_rejection_code_and_fault_is_documented():
    assert configuration_table() in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"), "make docs"
    assert steps_table() in (ROOT / "docs" / "products.md").read_text(encoding="utf-8"), "make docs"
    rejections = (ROOT / "docs" / "rejections.md").read_text(encoding="utf-8")
    for code, (what, remedy) in CODES.items():
        assert f"| {code} | {what} | {remedy} |" in rejections
        assert f"{code} is used no more" not in rejections
    sandbox = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert {kind for kind in KINDS if f"`{kind}`" in sandbox} == KINDS


DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(document):
    """The names under which a document's headings can be linked to."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_local_link_leads_somewhere(document):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8")):
        there = document.parent / target if target else document
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), (target, anchor)


def test_every_document_can_be_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[A-Za-z-]+\.md)", README))
    assert linked == {f"docs/{document.name}" for document in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_test_that_a_document_names_is_there(document):
    named = re.findall(r"`(tests/[\w/.*]+)`", document.read_text(encoding="utf-8"))
    assert [place for place in named if not list(ROOT.glob(place))] == []


def test_the_readme_lists_the_exit_codes_as_they_are():
    table = README.partition("| code | what happened |")[2].partition("\n\n")[0]
    shown = [int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")]
    kinds = [errors.SyncerError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    signals = {128 + number for number in STOPPING}
    assert shown == sorted({0, errors.EXIT_NOT_CONFIRMED, *(kind.exit_code for kind in kinds), *signals})


def test_the_design_names_every_module_of_the_package_and_no_other():
    table = (
        (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("| where | what |")[2].partition("\n\n")[0]
    )
    named = set(re.findall(r"`([a-z_]+(?:\.py|/))`", table))
    package = ROOT / "syncer"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert named == folders | {path.name for path in package.glob("*.py")} - {"__init__.py"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout can be searched")
def test_no_index_address_machine_path_or_secret_stands_in_the_tree():
    hosts = "|".join(("py" + "pi", "python" + "hosted", "npm" + "js"))
    for pattern in (rf"https?://[^ ]*({hosts})\.", r"(^|[^a-z.])/(wo" + r"rk|ro" + r"ot)/"):
        found = subprocess.run(
            ["git", "grep", "-nIE", pattern, "--", "."], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert found.stdout == ""


def test_the_two_names_of_the_page_on_security_hold_the_same():
    assert (ROOT / "docs" / "SECURITY.md").read_bytes() == (ROOT / "docs" / "security.md").read_bytes()


def test_no_document_is_named_in_code_that_is_not_in_the_repository():
    documents = {path.name for path in DOCUMENTS} | {"CONTRIBUTING.md", "SECURITY.md"}
    places = [*(ROOT / "syncer").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]
    for place in places:
        named = set(re.findall(r"[\w-]+\.md\b", place.read_text(encoding="utf-8")))
        assert named <= documents, place


@pytest.mark.parametrize(
    ("page", "tool", "made_by"),
    [
        ("cli.md", "cli_reference", "reference"),
        ("json.md", "json_reference", "reference"),
        ("architecture.md", "picture", "page"),
    ],
)
def test_a_page_that_is_made_is_what_the_program_says(page, tool, made_by):
    made = subprocess.run(
        [sys.executable, "-c", f"import {tool}; print({tool}.{made_by}(), end='')"],
        cwd=ROOT / "tools", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout == (ROOT / "docs" / page).read_text(encoding="utf-8"), (
        "what it is made from has changed: make docs"
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_sentences_can_be_read_in_one_breath(document):
    if document.name in {"api.md", "cli.md", "json.md", "CHANGELOG.md"}:
        pytest.skip("facts with their sources, the program's own help, and single lines")
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^[|#].*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n|\n(?=[-*0-9])", text))
    sentences = (one for part in paragraphs for one in re.split(r"(?<=[.!?:;·])\s+", part))
    assert [one for one in sentences if len(one.split()) > 40] == []
