"""What the program is built on: pinned, hashed, from no address that stands in the tree, under licences a company can use."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = ("requirements.txt", "tools/extras.txt", "tests/requirements.txt", "tools/requirements.txt")
REQUIREMENT = re.compile(
    r"([a-z0-9][a-z0-9._-]*)==([0-9][0-9a-z.]*)(?: ; ([a-z_]+ [<>=!]+ '[^']+'(?: (?:and|or) [a-z_]+ [<>=!]+ '[^']+')*))?((?: --hash=sha256:[0-9a-f]{64})+)"
)
USABLE = {
    "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "PSF-2.0", "MPL-2.0", "ISC", "Zlib", "CC0-1.0", "Unlicense", "Public Domain",
}  # fmt: skip
"""Permissive ones; and the MPL, which asks for the sources of changed files alone, and we change none."""
OF_EXTRAS = {
    "asyncssh": "EPL-2.0 OR GPL-2.0-or-later", "psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only",
    "psycopg2-binary": "LGPL with exceptions",
}  # fmt: skip
"""What only an extra brings. They ask, too, for the sources of changed files alone; nobody who leaves the extra out has them."""
IN_OLD_WORDS = {
    "MIT License": "MIT", "BSD License": "BSD-3-Clause", "Apache Software License": "Apache-2.0", "Apache License, Version 2.0": "Apache-2.0", "3-Clause BSD License": "BSD-3-Clause", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0", "ISC License (ISCL)": "ISC",
}  # fmt: skip


def entries(text):
    """The requirements of a file, each on one line."""
    joined = re.sub(r" *\\\n *", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def faults(text):
    return [line for line in entries(text) if not REQUIREMENT.fullmatch(line)]


@pytest.mark.parametrize("name", PINNED)
def test_every_requirement_is_pinned_and_hashed(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(entries(text)) > 20
    assert faults(text) == []


@pytest.mark.parametrize(
    "line",
    ["requests", "requests==2.0", "requests>=2.0 --hash=sha256:" + "0" * 64, "requests==2.* --hash=sha256:" + "0" * 64, "--index-url https://x.example/simple",
     "--find-links /somewhere", "-e .", "requests @ https://x.example/r.whl", "git+https://x.example/r", "requests==2.0 --hash=md5:" + "0" * 32, "--extra-index-url x"],
)  # fmt: skip
def test_a_requirement_that_is_not_would_be_found(line):
    assert faults(line + "\n") == [line]


def test_the_program_needs_nothing_that_is_not_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[^A-Za-z0-9._-]", need)[0].lower() for need in project["dependencies"]}
    assert wanted <= {
        line.partition("==")[0] for line in entries((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout can be searched")
def test_no_index_address_stands_in_a_tracked_file():
    options = "|".join(("--" + "index-url", "--extra-" + "index-url", "--find-" + "links"))
    hosts = "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", r"/sim" + "ple/?$", "index[-_]url *[=:]"))
    found = subprocess.run(
        ["git", "grep", "-nIE", rf"({hosts})|(^|[^-a-z])({options})[= ]", "--", ".", ":!tests/security/test_dependencies.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1, found.stdout + found.stderr


def licence_file(found: Distribution) -> str | None:
    """The text of the licence that a distribution carries, of one whose metadata names none."""
    return next((file.read_text() for file in found.files or () if file.name in {"LICENSE", "LICENSE.txt"}), None)


def licences(found: Distribution) -> set[str]:
    """The licences that a distribution declares: all that hold together; of alternatives, those we may choose."""
    metadata = found.metadata
    text = metadata.get("License-Expression")
    if text:
        parts = [part.strip("() ") for part in re.split(r"\bAND\b", text)]
        return {
            next((one.strip("() ") for one in part.split(" OR ") if one.strip("() ") in USABLE), part) for part in parts
        }
    classified = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    ]
    declared = (metadata.get("License") or licence_file(found) or "none is declared").strip().split("\n")[0]
    return {IN_OLD_WORDS.get(words, words) for words in classified or [declared]}


def test_every_licence_is_one_that_a_company_can_use(record_property):
    seen = 0
    for name in dict.fromkeys(
        line.partition("==")[0] for file in PINNED for line in entries((ROOT / file).read_text(encoding="utf-8"))
    ):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of another system, or of tools/, which ship nothing and have an environment of their own
        seen += 1
        if name in OF_EXTRAS:
            assert (found.metadata.get("License-Expression") or found.metadata.get("License")) == OF_EXTRAS[name]
            continue
        assert licences(found) <= USABLE, (name, licences(found))
    assert seen >= 45
    record_property("covered", ("licences of dependencies", seen))


def test_the_program_brings_no_code_of_others():
    """A dependency that was copied in would escape `make audit`."""
    assert not [path for path in (ROOT / "syncer").rglob("*") if path.name in {"vendor", "_vendor", "third_party"}]
