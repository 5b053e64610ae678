"""Locks that hold: a newer release of anything changes nothing, and what a lock lacks is found.

The Makefile's own lines install a lock here, from a folder that stands for the index. Its distributions are made by the
test; of each there is a newer release that nothing pins, as there will be of everything some day.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.locks import asked_by, faults, pins

ROOT = Path(__file__).parents[2]
LOCKS = {
    "requirements.txt": "pyproject.toml[excel,zst]",
    "tools/extras.txt": "pyproject.toml",
    "tests/requirements.txt": "tests/requirements.in",
    "tools/requirements.txt": "tools/requirements.in",
    "tests/benchmarks/requirements.txt": "tests/benchmarks/requirements.in",
}
NEEDS = {
    # "plan" asks for an extra of "cover", as pytest-cov does of coverage; the extra asks for "read".
    "plan": ("cover[toml]>=1",),
    "cover": ("read>=1 ; extra == 'toml'",),
    "read": (),
}


def lock_of(name):
    return pins((ROOT / name).read_text(encoding="utf-8"))


def wheel(folder, name, version, needs=()):
    """Write a distribution with one module that says its version."""
    info = f"{name}-{version}.dist-info"
    extras = {found for need in needs for found in re.findall(r"extra == '(\w+)'", need)}
    metadata = "".join(
        [
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            *(f"Provides-Extra: {extra}\n" for extra in extras),
            *(f"Requires-Dist: {need}\n" for need in needs),
        ]
    )
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def packaging_wheel(folder):
    """Pack the `packaging` that runs here: the look at a lock needs it, as every environment of this project has it."""
    import packaging

    source = Path(packaging.__file__).parent
    path = folder / f"packaging-{packaging.__version__}-py3-none-any.whl"
    info = f"packaging-{packaging.__version__}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for each in source.rglob("*.py"):
            archive.write(each, f"packaging/{each.relative_to(source)}")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: packaging\nVersion: {packaging.__version__}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return packaging.__version__, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def project(tmp_path):
    """A folder with the Makefile, a lock of `NEEDS`, and an index in which everything has a newer release."""
    index = tmp_path / "index"
    for folder in ("index", "tools", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for path in ("Makefile", "tools/locks.py"):
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    version, digest = packaging_wheel(index)
    lines = [f"packaging=={version} --hash=sha256:{digest}"]
    for name, needs in NEEDS.items():
        lines.append(f"{name}==1.0 --hash=sha256:{wheel(index, name, '1.0', needs)}")
        wheel(index, name, "2.0", needs)
    (tmp_path / "tools" / "requirements.in").write_text("plan\npackaging\n", encoding="utf-8")
    (tmp_path / "tools" / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def install(project):
    """Have the Makefile install the tools' lock, with the folder as the only index."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS", "COV"))
    }
    environment = {
        **inherited,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(project / "index"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return subprocess.run(
        ["make", ".venv/.audit"], cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_an_index_in_which_everything_has_a_newer_release_changes_nothing(project):
    done = install(project)
    assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run(
        [project / ".venv/tools/bin/python", "-c", "import plan, cover, read; print(plan.version, cover.version, read.version)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["1.0", "1.0", "1.0"]


@pytest.mark.parametrize(("missing", "words"), [("read", "cover[toml] asks for read>=1"), ("cover", "asks for cover")])
def test_a_lock_from_which_one_line_is_missing_is_found_when_it_is_installed(project, missing, words):
    lock = project / "tools" / "requirements.txt"
    lines = lock.read_text(encoding="utf-8").splitlines()
    lock.write_text("\n".join(line for line in lines if not line.startswith(missing)), encoding="utf-8")
    done = install(project)
    assert done.returncode != 0
    # What pip itself finds, without extras, it says in its own words.
    assert words in done.stderr or f"plan 1.0 requires {missing}, which is not installed" in done.stderr
    assert "next: make" in done.stderr
    assert not (project / ".venv" / ".audit").exists()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_requirements_ask_for_extras_included(name):
    assert faults(lock_of(name), asked_by(ROOT / LOCKS[name])) == []


@pytest.mark.parametrize("name", ["requirements.txt", "tools/extras.txt", "tests/requirements.txt"])
def test_every_line_that_somebody_asks_for_would_be_missed(name):
    """Each line is left out once. What is not missed, nobody here asks for: another system's, or an unused extra's."""
    lock = lock_of(name)
    asked = list(asked_by(ROOT / LOCKS[name]))
    names = {pin.name for pin in lock}
    missed = {gone for gone in names if faults([pin for pin in lock if pin.name != gone], asked)}
    assert names - missed <= {"tzdata", "colorama"}


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt"])
def test_what_two_locks_of_one_environment_pin_is_the_same(name):
    first, second = lock_of("tools/extras.txt"), lock_of(name)
    both = {pin.name for pin in first} & {pin.name for pin in second}
    assert len(both) > 10
    # Other markers are no contradiction: tests may need on every system what the program needs on some.
    versions = [{(pin.name, str(pin.specifier)) for pin in lock if pin.name in both} for lock in (first, second)]
    assert versions[0] == versions[1]


def test_the_extras_are_pinned_too_since_what_they_read_is_hostile():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        canonicalize_name(Requirement(need).name)
        for extra in project["optional-dependencies"].values()
        for need in extra
    }
    assert wanted
    assert wanted <= {pin.name for pin in lock_of("tools/extras.txt")}


def test_what_few_need_is_not_installed_for_all():
    assert len(lock_of("requirements.txt")) < len(lock_of("tools/extras.txt")) / 2


def test_every_install_of_the_makefile_goes_the_same_way():
    """One line installs locks; any other could ask a resolver."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    installs = [line for line in lines if re.search(r"\binstall --|pip install", line)]
    assert len(installs) == 2
    assert all("--no-deps" in line for line in installs)
    assert sum("--require-hashes" in line for line in installs) == 1
    assert any("--editable ." in line for line in installs)
