"""The program in real processes that start fast, and die where they are told to.

A server process imports the program once; every run is a fork of it: a process of its own, with its own descriptors,
its own SQLite connection and real HTTP. A run may be given a trap (traps.py), which counts the places that a run passes
and ends or disturbs the process at the n-th of them.

All that the program may load is loaded before the first fork, and what is loaded is left out of the collection of
garbage: a fork that looked through it would copy it.

What a fork cannot show is the start of the interpreter itself: what is read from the environment then (`AT_START`), and
what is loaded when. Whoever tests that starts a process of its own.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import marshal
import mmap
import os
import pkgutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coverage import Coverage
    from sqlalchemy import Connection

TESTS = Path(__file__).resolve().parent.parent
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OPENBLAS_", "OMP_")
"""What an interpreter, or a library that it has loaded, reads from the environment once."""
RUN_S_MAX = 120
MEASURED_BY = "TESTS_MEASURED_BY"
"""The variable in which the server is told how the coverage is measured, if it is: what is loaded counts, too."""


@dataclass(frozen=True)
class Ended:
    """A run that ended: its exit code (negative: the signal that killed it), the places passed, what it wrote."""

    code: int
    passed: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Forks:
    """Client of one server process. Use as a context manager; one thread at a time may run something (`free`)."""

    def __init__(self) -> None:
        self.free = threading.Lock()

    def __enter__(self) -> Forks:
        # The program of these tests' own checkout, or the changed one that is tried, whatever is installed.
        places = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"), str(TESTS.parent))))
        environment = {**os.environ, "PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment[MEASURED_BY] = environment.get("COVERAGE_PROCESS_CONFIG", "")
        for name in [name for name in environment if name.startswith(("COVERAGE", "COV_"))]:
            del environment[name]  # a process that is killed has nothing to report, and tracing makes each start slow
        self._server = subprocess.Popen(
            [sys.executable, "-m", "crash.forks"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(30)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def run(
        self,
        folder: Path,
        variables: dict[str, str],
        *arguments: str,
        trap: dict[str, Any] | None = None,
        measured: bool = False,
        terminals: dict[int, str] | None = None,
    ) -> Ended:
        """Run the program in `folder` to its end, whatever that is.

        It is ``measured`` for the coverage, where that is asked for; a standard stream that is named in ``terminals``
        is that terminal, and what is said there is not in the result.
        """
        request = {
            "folder": str(folder), "variables": variables, "arguments": arguments, "trap": trap, "measured": measured,
            "terminals": {str(number): name for number, name in (terminals or {}).items()},
        }  # fmt: skip
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        return Ended(**json.loads(self._server.stdout.readline()))


_shared = contextlib.ExitStack()


@functools.cache
def shared_forks() -> Forks:
    """Return the one server, of each process of pytest, whose forks the runs of the program are.

    It stands here and not in conftest.py: pytest loads that file for itself, and tests that import from it load it again.
    """
    return _shared.enter_context(Forks())


def end_shared_forks() -> None:
    """Let that server save what was measured, and end."""
    _shared.close()
    shared_forks.cache_clear()


def serve() -> None:
    """Fork a run for every line of standard input; answer with what became of it."""
    config = os.environ.pop(MEASURED_BY, "")
    measuring = _measuring(config) if config else None
    migrate = _load_all(measuring)
    passed = mmap.mmap(-1, 8)
    tables_at_once = _what_migrations_make()
    with tempfile.TemporaryDirectory() as kept:
        streams = [Path(kept) / "out", Path(kept) / "err"]
        seen = Path(kept) / "seen"
        gc.collect()
        gc.freeze()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            passed[:8] = struct.pack("q", 0)
            for path in (*streams, seen):
                path.write_bytes(b"")
            child = os.fork()
            if child == 0:
                if request["trap"] is None:
                    migrate.upgrade = tables_at_once
                _become(request, streams, passed, measuring if request["measured"] else None, seen)
            _, status = os.waitpid(child, 0)
            out, err = (path.read_text(encoding="utf-8") for path in streams)
            number = struct.unpack("q", passed[:8])[0]
            answer = {"code": os.waitstatus_to_exitcode(status), "passed": number, "out": out, "err": err}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            if measuring is not None:
                _take_up(measuring, seen.read_bytes())
    if measuring is not None:
        measuring.save()


def _load_all(measuring: Coverage | None) -> Any:
    """Load all that a run may load, measured where that is asked for; return the module of the migrations."""
    for name in ("alembic.command", "alembic.context", "pandas", "pyarrow.csv", "requests"):
        importlib.import_module(name)
    if measuring is not None:
        measuring.start()
    import syncer

    for found in pkgutil.walk_packages(syncer.__path__, "syncer."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    if measuring is not None:
        measuring.stop()
    return importlib.import_module("syncer.ledger.migrate")


def _what_migrations_make() -> Callable[[Connection], None]:
    """Return an `upgrade` that gives a new ledger at once what the migrations made of an empty one: it takes 60 ms less.

    A run with a trap, which counts the writes, has the migrations; so has a ledger that has a schema.
    """
    from syncer.ledger import migrate
    from syncer.ledger.ledger import Ledger

    migrations = migrate.upgrade
    with tempfile.TemporaryDirectory() as folder:
        Ledger.open_to_write(f"sqlite:///{folder}/syncer.db", at="2026-11-20T00:00:00.000Z").close()
        with closing(sqlite3.connect(f"{folder}/syncer.db")) as database:
            found = database.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                " ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'view' THEN 2 WHEN 'index' THEN 3 ELSE 4 END, rowid"
            )
            made = [statement for (statement,) in found]
            [(revision,)] = database.execute("SELECT version_num FROM alembic_version")

    def upgrade(connection: Connection) -> None:
        if migrate.revision(connection) is not None:
            migrations(connection)
            return
        for statement in made:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.exec_driver_sql("INSERT INTO ledger (id, position) VALUES (lower(hex(randomblob(6))), 0)")

    return upgrade


def _measuring(config: str) -> Coverage:
    """Return what measures the runs, ready to start in a fork: to make it takes longer than most runs do.

    It looks at the package alone, and for no file that a run never loads: pytest's own process does that once.
    """
    from coverage import Coverage

    measuring = Coverage(config_file=f":data:{config}")
    measuring.set_option("run:source_pkgs", [])
    measuring.set_option("run:include", [f"{TESTS.parent / 'syncer'}/*"])
    measuring.set_option("run:patch", [])
    measuring.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured", "module-not-imported"])
    return measuring


def _what_was_seen(measuring: Coverage) -> dict[str, set[Any]]:
    """Return what was measured and not yet saved: of each file, the lines or the ways from line to line.

    Coverage has no public name for it; a fork that saved a file of its own took four times as long as one that hands
    this to the server, which saves once.
    """
    collector: Any = measuring._collector
    seen: dict[str, set[Any]] = collector.data
    return seen


def _take_up(measuring: Coverage, written: bytes) -> None:
    """Add what a fork has seen; one that was killed has written nothing."""
    if written:
        all_seen = _what_was_seen(measuring)
        for name, seen in marshal.loads(written).items():
            all_seen.setdefault(name, set()).update(seen)


def _become(
    request: dict[str, Any], streams: list[Path], passed: mmap.mmap, measuring: Coverage | None, seen: Path
) -> None:
    """Be the program, in this forked process; never return."""
    code: Any = 70
    try:
        signal.alarm(RUN_S_MAX)  # nobody waits for ever for a run that hangs
        os.chdir(request["folder"])
        for place, path in enumerate([Path(os.devnull), *streams]):
            name = request["terminals"].get(str(place), path)
            descriptor = os.open(name, (os.O_WRONLY if place else os.O_RDONLY) | os.O_NOCTTY)
            os.dup2(descriptor, place)
            os.close(descriptor)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
        os.environ.clear()
        os.environ.update(request["variables"])
        time.tzset()
        if measuring is not None:
            for earlier in _what_was_seen(measuring).values():
                earlier.clear()
            measuring.start()
        sys.argv = ["syncer", *request["arguments"]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["trap"] is not None:
            from crash.traps import set_trap

            set_trap(request["trap"], passed)
        from syncer.cli import main

        main()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            if measuring is not None:
                measuring.stop()
                seen.write_bytes(
                    marshal.dumps({name: each for name, each in _what_was_seen(measuring).items() if each})
                )
        os._exit(code)


if __name__ == "__main__":
    serve()
