"""The program with one change in its source, judged by some of its tests: found, or survived.

A workshop is a folder that looks like the checkout, with a copy of the package in it. A server process there has loaded
what others wrote (NumPy, pytest, …) and nothing of the program; every judgement is a fork of it, which loads the changed
package, runs pytest in itself, and ends. What a test starts (forks, processes) loads the changed package too.
A judgement of the program as it is leaves compiled forms for those that follow.

What always holds: the checkout is never changed; every judgement ends; a test that fails, that cannot be loaded, or that
takes too long has found the change; where nothing was run at all, an error is raised and nothing is called found.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOWN = (
    "tests",
    "migrations",
    "docs",
    "pyproject.toml",
    "config.example.toml",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
)
"""What a workshop shows of the checkout as it is."""
NOT_LOADED = 2
PASSED, FOUND = 0, {1, NOT_LOADED, -signal.SIGALRM}
"""Exit codes of pytest that say so: a test failed (1), could not be loaded (2), took too long. All others are a fault."""
PYTEST = (
    "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin",
    "-p", "no:unraisableexception",
    "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
)  # fmt: skip
"""How pytest is called: it ends with the first failure, and loads no plugin but the one that tests need.

Without its word on what was never closed, for whose sake it collects garbage five times and more, at half of the cost.
"""
APART_NS = 2_000_000_000
"""How much newer a changed file is at least, so that no compiled form of it as it is counts: these know seconds."""


@dataclass(frozen=True)
class Verdict:
    """What some tests said of a change: whether they found it, after how long, and pytest's last words."""

    found: bool
    seconds: float
    words: str


class Workshop:
    """One copy of the package, and the server that judges it. Use `open_workshop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "syncer", folder / "syncer")
        for name in SHOWN:
            (folder / name).symlink_to(ROOT / name)
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "tests")]), "TESTS_OF_A_CHANGE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        for name in [
            name for name in environment if name.startswith(("COVERAGE", "COV_", "PYTEST_XDIST", "PYTEST_CURRENT"))
        ]:
            del environment[name]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "mutants.changed"], cwd=folder, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def judge(self, changes: dict[str, str], tests: Sequence[str], *, most_s: float = 60.0) -> Verdict:
        """Return what `tests` (files, or ``FILE::NAME``) say of the package with some files' texts changed.

        Paths are as in the checkout. A test is chosen by a part of its name: where its file cannot even be loaded,
        pytest says so, while of a test that it cannot find it would say that there is none.
        """
        originals = {name: (self.folder / name).read_bytes() for name in changes}
        times = {name: (self.folder / name).stat().st_mtime_ns for name in changes}
        try:
            for name, text in changes.items():
                (self.folder / name).write_text(text, encoding="utf-8")
                os.utime(self.folder / name, ns=(times[name] + APART_NS, times[name] + APART_NS))
            files = [test.partition("::")[0] for test in tests]
            names = " or ".join(test.partition("::")[2] for test in tests if "::" in test)
            arguments = [*files, *(["-k", names] if names else [])]
            modules = [re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in changes]
            answer = self._ask({"arguments": arguments, "most_s": most_s, "changed": modules})
        finally:
            for name, content in originals.items():  # with its time, so that its compiled form counts again
                (self.folder / name).write_bytes(content)
                os.utime(self.folder / name, ns=(times[name], times[name]))
        if answer["code"] != PASSED and answer["code"] not in FOUND:
            raise LookupError(f"no judgement ({answer['code']}) by {[*tests]}: {answer['words']}")
        return Verdict(answer["code"] in FOUND, answer["seconds"], answer["words"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        """Let the server end."""
        with contextlib.suppress(OSError):
            assert self._server.stdin is not None
            self._server.stdin.close()
        self._server.wait(60)
        assert self._server.stdout is not None
        self._server.stdout.close()


@contextlib.contextmanager
def open_workshop() -> Iterator[Workshop]:
    """Give a workshop; its folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workshop = Workshop(Path(folder))
        try:
            yield workshop
        finally:
            workshop.close()


def serve() -> None:
    """Fork a judgement for every line of standard input; answer with pytest's exit code."""
    import hypothesis.strategies  # noqa: F401
    import pyarrow.compute
    import pytest
    import sqlalchemy.dialects.sqlite  # noqa: F401

    pyarrow.array(["x"])  # the first list that Arrow takes loads pandas, where there is one

    assert not any(name == "syncer" or name.startswith("syncer.") for name in sys.modules)
    gc.collect()
    gc.freeze()  # what is loaded stays: no judgement looks through it again
    for line in sys.stdin:
        question = json.loads(line)
        began_s = time.monotonic()
        with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory(prefix="judged-") as kept:
            child = os.fork()
            if child == 0:
                _become(question, said.fileno(), kept, pytest.main)
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(ProcessLookupError):  # what a test that was cut short has left behind
                os.killpg(child, signal.SIGKILL)
            said.seek(0)
            words = said.read().decode("utf-8", "replace")[-1500:]
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began_s, "words": words}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _become(question: dict[str, Any], said: int, kept: str, main: Any) -> None:
    """Run the tests in this forked process, a group of its own; never return."""
    code = 70
    try:
        os.setpgid(0, 0)
        signal.setitimer(signal.ITIMER_REAL, question["most_s"])  # the signal ends it: nobody handles it
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(said, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        sys.pycache_prefix = os.path.abspath("compiled")
        sys.dont_write_bytecode = bool(question["changed"])
        code = NOT_LOADED
        for name in question["changed"]:  # what cannot be loaded is found, also where pytest needs it before any test
            importlib.import_module(name)
        code = int(main([*PYTEST, f"--basetemp={kept}/t", *question["arguments"]]))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
