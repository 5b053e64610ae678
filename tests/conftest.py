"""What many tests need: a sandbox over real HTTP, settings that point at it, a ledger file, and the program itself."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sampling
from crash.forks import AT_START, Forks, end_shared_forks, shared_forks
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings

from syncer.config.settings import ENVIRONMENT_PREFIX
from syncer.sandbox import Sandbox, SandboxConfig

hypothesis_settings.register_profile("default", deadline=None, max_examples=sampling.examples(100))
# Of a test that looks for a bug put in on purpose (tests/mutants), only whether it fails is asked: nothing is shrunk.
hypothesis_settings.register_profile(
    "of a change",
    deadline=None,
    max_examples=min(100, sampling.examples(100)),
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
hypothesis_settings.load_profile("of a change" if os.environ.get("TESTS_OF_A_CHANGE") else "default")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let Hypothesis draw by the seed of the samples, unless told another one: a commit's run can be repeated.

    What this machine's user has set for the program itself is nobody's business here: no test may see it.
    """
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        del os.environ[name]
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = sampling.seed_number()


TOKEN = "canary-4f9a1c"
TABLE_COLUMNS = 140
FAST = {
    "SYNCER_API__SETTLE_S": "0.3",
    "SYNCER_API__POLL_S": "0.2",
    "SYNCER_API__TIMEOUT_S": "2",
    "SYNCER_API__GIVE_UP_AFTER_S": "3",
    "SYNCER_API__UPDATES_PER_SECOND": "200",
}
"""A night in a second: the same rules with shorter waits."""


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV file and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@dataclass(frozen=True)
class Done:
    """A finished program: its exit code, its JSON document (None without --json), and what it wrote."""

    code: int
    document: Any
    out: str
    err: str


@dataclass
class Night:
    """A folder with a sandbox beside it, in which the program is run as a user would."""

    folder: Path
    box: Sandbox
    environment: dict[str, str] = field(default_factory=dict)
    _address: str = ""

    def variables(self, **extra: str) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        coverage = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "COV_"))}
        variables = {
            **inherited,
            **coverage,
            "SYNCER_API__BASE_URL": self.box.url,
            "SYNCER_API__TOKEN": TOKEN,
            **FAST,
            **self.environment,
            **extra,
        }
        self._move(variables["SYNCER_API__BASE_URL"])
        return variables

    def _move(self, address: str) -> None:
        """Tell the ledger that the server has moved: a front before it, or nobody, has another address."""
        before, self._address = self._address, address
        if before not in {"", address} and (self.folder / "syncer.db").exists():
            with (
                contextlib.suppress(sqlite3.Error),  # a ledger that is damaged, or not there yet
                contextlib.closing(sqlite3.connect(self.folder / "syncer.db", timeout=0)) as database,
                database,
            ):
                database.execute("UPDATE ledger SET base_url = ? WHERE base_url IS NOT NULL", (address,))

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "syncer", *arguments],
            cwd=self.folder,
            env=self.variables(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stopped_as_it_reads_back(self, *arguments: str, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        """Let a run send everything, and stop it by SIGTERM when it reads back; nothing goes wrong afterwards."""
        looked = len(self.box.calls("codes_download"))
        self.box.faults.replace([{"kind": "hang", "on": "codes_download", "every": 1, "seconds": 60}, *faults])
        with self.start(*arguments) as run:
            for _ in range(600):
                if len(self.box.calls("codes_download")) > looked:
                    break
                time.sleep(0.05)
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=60)
        assert run.returncode == 143
        self.box.faults.replace([])

    def on_terminal(
        self, *arguments: str, columns: int, streams: Sequence[int] = (2,), ends: int | None = 0, **extra: str
    ) -> str:
        """Run the program with a terminal as these standard streams; return what the terminal was sent.

        It must end with the exit code ``ends``; None: with any.
        """
        main, secondary = pty.openpty()
        seen: list[bytes] = []

        def watch() -> None:
            with contextlib.suppress(OSError):  # the other end of a pty ends with an error, not an end of file
                while part := os.read(main, 65536):
                    seen.append(part)

        watcher = threading.Thread(target=watch)
        watcher.start()
        variables = self.variables(**{"TERM": "xterm", "COLUMNS": str(columns), **extra})
        terminals = dict.fromkeys(streams, os.ttyname(secondary))
        ended = shared_forks().run(self.folder, variables, *arguments, measured=True, terminals=terminals)
        os.close(secondary)
        watcher.join(30)
        os.close(main)
        assert ends in {None, ended.code}
        return b"".join(seen).decode("utf-8", "replace")

    def run(self, *arguments: str, stdin: str | None = None, **extra: str) -> Done:
        """Run the program to its end: as a fork, unless the test is about what a fork cannot show, or runs two at once."""
        started = stdin is not None or any(name.startswith(AT_START) for name in {**self.environment, **extra})
        running = shared_forks()
        if started or not running.free.acquire(blocking=False):
            return self.run_anew(*arguments, stdin=stdin, **extra)
        try:
            ended = running.run(self.folder, self.variables(**extra), *arguments, measured=True)
        finally:
            running.free.release()
        return Done(ended.code, ended.document if "--json" in arguments else None, ended.out, ended.err)

    def run_anew(self, *arguments: str, stdin: str | None = None, **extra: str) -> Done:
        """Run the program from the start of its interpreter to its end."""
        finished = subprocess.run(
            [sys.executable, "-m", "syncer", *arguments],
            cwd=self.folder,
            env=self.variables(**extra),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        document = json.loads(finished.stdout) if "--json" in arguments else None
        return Done(finished.returncode, document, finished.stdout, finished.stderr)

    def sync(self, *arguments: str, **extra: str) -> Done:
        return self.run("sync", "--json", *arguments, **extra)

    def write(self, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        write_csv(self.folder / name, header, rows)
        return name

    def config(self, text: str) -> None:
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def server(self, key: str = "extended_id") -> dict[str, dict[str, str]]:
        """Everything that the server holds, by key, without what a code has from the start."""
        return {
            code[key]: {name: value for name, value in code.items() if name not in {key, "serial_number"}}
            for code in self.box.codes()
        }


OpenNight = Callable[..., Any]
_ports: dict[Path, int] = {}


@contextlib.contextmanager
def open_night(folder: Path, **config: Any) -> Iterator[Night]:
    """Open a night with a sandbox configured as given; it answers faster than the API would.

    Sandboxes of one folder, one after the other, have one address: the ledger there belongs to it.
    """
    config.setdefault("updates_per_second", 1000)
    config.setdefault("task_run_s", 0.02)
    config.setdefault("port", _ports.pop(folder, 0))
    with Sandbox(SandboxConfig(**config)) as box:
        yield Night(folder, box)
    _ports[folder] = urlsplit(box.url).port or 0


@pytest.fixture
def night(tmp_path: Path) -> Iterator[OpenNight]:
    """Return `open_night` for this test's folder."""

    def begin(**config: Any) -> Any:
        return open_night(tmp_path, **config)

    return begin


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return in how many processes `-n auto` runs the tests: half of their time they wait, so two for each processor."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop() -> Iterator[None]:
    """Let that process end after the last test: what its forks have seen is saved before the coverage is put together."""
    try:
        return (yield)
    finally:
        end_shared_forks()


@pytest.fixture
def forks() -> Forks:
    """Start the program as forks of one process that has loaded it: each a real process."""
    return shared_forks()


def codes(count: int, **fields: str) -> tuple[Mapping[str, str], ...]:
    """Return codes K000000 …, each with the same further fields."""
    return tuple({"extended_id": f"K{number:06d}", **fields} for number in range(count))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was covered by the tests that count it, and of how much; and print the tables that tests measured."""
    covered: dict[str, int] = {}
    tables: dict[str, list[str]] = {}
    there_are: dict[str, int] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "covered":
                words, count, *of = value
                covered[words] = covered.get(words, 0) + count
                there_are[words] = there_are.get(words, 0) + (of[0] if of else count)
            elif name == "table":
                tables.setdefault(value[0], []).append(value[1])
    for title, rows in sorted(tables.items()):
        terminalreporter.write_line(f"{title}:")
        for row in sorted(rows):
            terminalreporter.write_line(f"  {row[:TABLE_COLUMNS]}")
    for words, count in sorted(covered.items()):
        some = f"{count} of {there_are[words]}" if count != there_are[words] else f"{count}"
        terminalreporter.write_line(f"covered: {some} {words}")
    chose = "all there is" if sampling.WHOLE else "what this seed chose"
    terminalreporter.write_line(f"samples: {chose}; again: TESTS_SEED='{sampling.seed()}'")
