"""What every fault of the catalogue has in common: how it must end, and the proof that nothing was lost.

A fault is brought about once, with the program as a real process. It must end with its exit code and say what happened
and what helps; then one run without the fault completes, and the server's own record is right: every value there, no
batch in two tasks, the ledger whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conftest import TOKEN

from syncer.ledger.check import problems
from syncer.ledger.database import open_engine

HEADER = ("extended_id", "intended_market")
CODES = 130
SHORT = {
    "SYNCER_API__SETTLE_S": "0.05",
    "SYNCER_API__POLL_S": "0.05",
    "SYNCER_API__TIMEOUT_S": "0.4",
    "SYNCER_API__GIVE_UP_AFTER_S": "0.4",
}
FACTS = ("faults in the catalogue", 1)


@dataclass(frozen=True)
class Ends:
    """How a fault must end: the exit code, words of the message, words of what helps."""

    code: int
    words: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


def rows_of(version: int = 1) -> list[tuple[str, str]]:
    """Return rows that need one async call (110 equal values) and one sync call (20 values of their own)."""
    return [(f"K{n:06d}", f"{'A' if n < 110 else n}-{version}") for n in range(CODES)]


def assert_ends(done: Any, ends: Ends, *, case: object = "") -> None:
    """Hold the exit code, the words of its message, and what may never be seen, against what was defined."""
    said = (case, done.code, done.out[-2000:], done.err[-2000:])
    assert done.code == ends.code, said
    assert "Traceback" not in done.out + done.err, said
    assert TOKEN not in done.out + done.err, said
    document = done.document
    assert document["exit_code"] == ends.code, said
    error = document["error"]
    if ends.code in {0, 3}:
        assert error is None, said
        return
    for word in ends.words:
        assert word in error["message"], (word, *said)
    assert error["next"], said
    for word in ends.next:
        assert word in f"{error['message']} {error['next']}", (word, *said)
    assert "unexpected" not in error["code"], said


def strike(
    place: Any, forks: Any, ends: Ends, *, command: Sequence[str] = ("sync",), trap: Any = None, **extra: str
) -> Any:
    """Run a command into a fault; hold how it ends, and return it."""
    arguments = [*command, "--json", *(["a.csv", "--approve"] if command == ("sync",) else [])]
    done = forks.run(place.folder, place.variables(**extra), *arguments, trap=trap)
    assert_ends(done, ends, case=command)
    return done


def sent(place: Any) -> int:
    """Return how many update calls reached the server."""
    return len(place.box.calls("sync")) + len(place.box.calls("async"))


def assert_right(here: Any, version: int = 1) -> None:
    """Hold the server's own record against the file: all there, nothing twice, the ledger whole."""
    assert {key: fields.get("intended_market") for key, fields in here.server().items()} == dict(rows_of(version))
    with here.box.lock:
        references = [task.reference for task in here.box.world.tasks.values()]
        # A ledger that was put back counts its batches on, under a new id.
        batches = [(one.rsplit("-", 2)[0], one.rsplit("-", 1)[1].split(".")[0]) for one in references]
        newest: dict[int, int] = {}
        for write in here.box.world.journal:
            if write.field == "intended_market":
                written = int(write.new.rpartition("-")[2])
                assert written >= newest.get(write.code, 0), "older data landed over newer"
                newest[write.code] = written
    assert len(batches) == len(set(batches)), "a batch created two tasks"
    assert here.box.world.violations == []
    engine = open_engine(here.folder / "syncer.db", read_only=True)
    with engine.connect() as connection:
        assert problems(connection) == []


def assert_nothing_lost(here: Any, forks: Any, version: int = 1, *, runs: int = 1, **extra: str) -> Any:
    """Run the same file without the fault; it completes (within ``runs`` runs), and the server's record is right."""
    for number in itertools.count(1):
        done = forks.run(here.folder, here.variables(**extra), "sync", "--json", "a.csv", "--approve")
        if done.code == 0 or number == runs:
            break
    assert done.code == 0, (done.code, done.out, done.err)
    assert_right(here, version)
    return done
