"""Whether a lock holds: whether every requirement of its requirements stands in it, extras included.

A lock is installed without a resolver, so nothing is ever asked for that it does not pin; what it lacks would be
missed only when somebody imports it. `pip check` looks for that, but knows nothing of extras. This looks at the
metadata of what is installed: from what was asked for (``pyproject.toml`` with all its extras, or a ``*.in`` file),
along every requirement whose marker holds, to the last one. Markers are tried for every Python that the program
supports, not only for the one that runs this.

It reads alone: no network, no resolver, and nothing is installed.

    python tools/locks.py LOCK --asked FILE [--asked FILE]

A project is asked for with all its extras, or with those that are named: ``--asked 'pyproject.toml[excel,zst]'``.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = (("linux", "Linux"), ("darwin", "Darwin"))
ENVIRONMENTS = tuple(
    {
        "python_version": version,
        "python_full_version": f"{version}.9",
        "os_name": "posix",
        "sys_platform": name,
        "platform_system": title,
    }
    for version in PYTHONS
    for name, title in SYSTEMS
)  # fmt: skip
"""Where the program runs. Of another Python's packages only the names are checked: they are not installed here."""

Asked = tuple[str, Requirement]
"""A requirement, and who asks for it."""


def pins(text: str) -> list[Requirement]:
    """Return what a lock pins, without the hashes."""
    joined = re.sub(r"\\\n", " ", text)
    lines = (re.sub(r"--hash=\S+", "", line).strip() for line in joined.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def asked_by(path: Path) -> Iterator[Asked]:
    """Give what a file asks for: a project, with its build's requirements and its extras; or a list."""
    name, _, named = path.name.removesuffix("]").partition("[")
    path = path.with_name(name)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        table = tomllib.loads(text)
        project = table["project"]
        needs = [*table["build-system"]["requires"], *project["dependencies"]]
        extras = project.get("optional-dependencies", {})
        needs += [need for extra in (named.split(",") if named else extras) for need in extras[extra]]
    else:
        needs = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    yield from ((path.name, Requirement(need)) for need in needs)


def faults(lock: Iterable[Requirement], asked: Iterable[Asked]) -> list[str]:
    """Return in words what a lock lacks, or pins as nobody can use it; nothing when it holds."""
    pinned, roots = list(lock), list(asked)
    found: dict[str, None] = {}
    for environment in range(len(ENVIRONMENTS)):
        here = {canonicalize_name(pin.name): pin for pin in pinned if _holds(pin, environment)}
        found |= dict.fromkeys(_faults_in(environment, here, list(roots)))
    return list(found)


def _faults_in(environment: int, pinned: dict[str, Requirement], left: list[Asked]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    while left:
        by, need = left.pop()
        name = canonicalize_name(need.name)
        if name not in pinned:
            yield f"{need.name} is not in the lock; {by} asks for {need}"
            continue
        version = next(iter(pinned[name].specifier)).version
        if not need.specifier.contains(version, prereleases=True):
            yield f"{name} is pinned to {version}; {by} asks for {need}"
        for extra in ("", *sorted(need.extras)):
            if (name, extra) not in seen:
                seen.add((name, extra))
                shown = f"{name}[{extra}]" if extra else name
                left += [(shown, each) for each in _needs(name, version, environment, extra)]


@cache
def _needs(name: str, version: str, environment: int, extra: str) -> list[Requirement]:
    """Return what an installed release asks for there; nothing when this release is for another Python or system."""
    return [need for need in _asked_for(name, version) if _holds(need, environment, extra)]


@cache
def _asked_for(name: str, version: str) -> list[Requirement]:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return []
    return [Requirement(line) for line in found.requires or ()] if found.version == version else []


def _holds(need: Requirement, environment: int, extra: str = "") -> bool:
    return need.marker is None or need.marker.evaluate({**ENVIRONMENTS[environment], "extra": extra})


def main() -> None:
    """Look at one lock; exit 1 with a line for each fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lock", type=Path)
    parser.add_argument("--asked", type=Path, action="append", required=True)
    options = parser.parse_args()
    lock = pins(options.lock.read_text(encoding="utf-8"))
    found = faults(lock, [each for path in options.asked for each in asked_by(path)])
    if found:
        sys.exit("\n".join([f"{options.lock}: {fault}" for fault in found] + ["  next: make lock"]))


if __name__ == "__main__":
    main()
