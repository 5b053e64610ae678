"""docs/security.md names tests that exist; the systemd sample is hardened; what reads files of others is locked too."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "docs" / "examples" / "syncer.service"


def named(text):
    """The tests and files of tests that a text names; `…` stands for the rest of a name."""
    return re.findall(r"`((?:tests/\w+/)?test_[\w*…]+(?:\.py)?)`", text)


def exists(name):
    if name.endswith(".py"):
        place = name if "/" in name else f"tests/security/{name}"
        return bool(list(ROOT.glob(place)))
    start = f"def {name.rstrip('…')}"
    whole = "" if name.endswith("…") else "("
    return any(start + whole in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_test_that_the_promises_name_exists():
    names = named((ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(names) > 40
    assert [name for name in names if not exists(name)] == []
    assert not exists("test_that_nobody_wrote")


def test_the_service_is_hardened():
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(SERVICE.read_text(encoding="utf-8"))
    service = dict(unit["Service"])
    assert service["UMask"] == "0077"
    assert {service[name] for name in ("PrivateTmp", "NoNewPrivileges", "ProtectHome")} == {"yes"}
    assert (service["ProtectSystem"], service["MemoryMax"]) == ("strict", "2G")
    assert service["User"] != "root"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_takes_the_service_and_finds_it_safe():
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", str(SERVICE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "nknown" in done.stderr:
        pytest.skip("this systemd cannot judge a file")
    found = re.search(r"exposure level for \S+ ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) < 3


def test_what_the_extras_need_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        re.split(r"[^A-Za-z0-9._-]", need)[0].lower()
        for needs in project["optional-dependencies"].values()
        for need in needs
    }
    locked = {
        line.partition("==")[0]
        for line in (ROOT / "tools" / "extras.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert extras <= locked
