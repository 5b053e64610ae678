"""The catalogue of faults: a ledger that goes while a run writes to it, and two runs that want the same one."""

from __future__ import annotations

import os
import shutil
import signal
import threading

import pytest
from catalogue.front import Act, Front
from catalogue.kept import FACTS, Ends, assert_nothing_lost, sent, strike


@pytest.fixture
def place(second_night):
    return second_night


def moved(folder):
    (folder / "syncer.db").rename(folder / "moved")


def replaced(folder):
    (folder / "syncer.db").rename(folder / "moved")
    shutil.copy(folder / "backup", folder / "syncer.db")


def replaced_by_another(folder):
    (folder / "syncer.db").rename(folder / "moved")
    (folder / "syncer.db").write_bytes(b"")


def without_lock(folder):
    (folder / "syncer.db.lock").unlink()


DURING = {
    "deleted": (moved, 13, "was deleted, moved or replaced during the run"),
    "replaced by its backup": (replaced, 13, "was deleted, moved or replaced during the run"),
    "replaced by an empty file": (replaced_by_another, 13, "was deleted, moved or replaced during the run"),
    "its lock's file deleted": (without_lock, 11, "was removed or replaced during the run"),
}


@pytest.mark.parametrize("call_name", ["async", "sync", "tasks"])
@pytest.mark.parametrize("name", DURING)
def test_a_ledger_that_goes_during_the_run(place, forks, record_property, name, call_name):
    """It must not end well: what the run did after that would be known to nobody. The file put back, all goes on."""
    change, code, words = DURING[name]
    once = []

    def bend(call):
        if call.name == call_name and not once:
            once.append(change(place.folder))

    with Front(place.box.port, bend) as front:
        strike(place, forks, Ends(code, (words,), ("syncer resume",)), SYNCER_API__BASE_URL=front.url)
    if (place.folder / "moved").exists():
        (place.folder / "moved").replace(place.folder / "syncer.db")
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


@pytest.mark.parametrize("end", ["ends by itself", "is killed"])
def test_two_runs_at_once(place, forks, record_property, end):
    """The second is told who has the ledger, and sends nothing; the owner's death frees it at once."""
    reached, go_on = threading.Event(), threading.Event()

    def say(front, connection, answer):
        reached.set()
        go_on.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        return True

    with Front(place.box.port, lambda call: Act(say) if call.name == "async" else None) as front:
        first = place.start(
            "sync",
            "--json",
            "a.csv",
            "--approve",
            SYNCER_API__BASE_URL=front.url,
            SYNCER_API__TIMEOUT_S="30",
            SYNCER_API__CONCURRENCY="1",
        )
        assert reached.wait(20)
        calls = sent(place)
        for command in (("sync",), ("resume",), ("ledger", "upgrade")):
            strike(place, forks, Ends(11, (f"process {first.pid} on",), ("syncer status",)), command=command)
        assert sent(place) == calls
        if end == "is killed":
            os.kill(first.pid, signal.SIGKILL)
            first.communicate(timeout=20)
        go_on.set()
        if end != "is killed":
            out, err = first.communicate(timeout=30)
            assert first.returncode == 0, (out, err)
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)
