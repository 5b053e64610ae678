"""The catalogue of faults: the process and what is around it. Signals in every phase, closed and full outputs.

Everything here is the installed program in processes of its own, started as a shell or cron would start it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from catalogue.front import Act, Front
from catalogue.kept import CODES, FACTS, Ends, assert_ends, assert_nothing_lost, assert_right
from catalogue.shell import PROGRAM, shell
from conftest import codes

from syncer.ledger.ledger import Ledger

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


PHASES = ("reading", "settling", "sending", "polling", "looking for a lost task", "backing off")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_each_phase(place, forks, record_property, phase, number):
    """The signal comes when the phase has surely been reached: the server has seen its call, or the pipe its first rows."""
    reached = threading.Event()
    wanted = {"settling": "tasks", "polling": "tasks", "looking for a lost task": "list", "backing off": "sync"}
    extra = {}

    def bend(call):
        if phase == "backing off":
            if call.number > 2:
                reached.set()
            return Act(lambda front, connection, answer: False, pass_on=False)
        if phase == "looking for a lost task" and call.name == "async":
            return Act(lambda front, connection, answer: False)
        if call.name == wanted.get(phase, "sync"):
            reached.set()
        if phase == "sending" and call.name in {"sync", "async"}:
            reached.set()
        return None

    if phase in {"settling", "polling"}:
        place.box.config = place.box.config.__class__(codes=codes(CODES), task_run_s=3600)
    if phase == "settling":
        assert forks.run(
            place.folder, place.variables(SYNCER_API__TASK_TIMEOUT_S="0.1"), "sync", "--json", "a.csv"
        ).code == 3  # fmt: skip
    if phase == "looking for a lost task":
        extra = {"SYNCER_API__SETTLE_S": "30"}
    arguments = ["-"] if phase == "reading" else ["a.csv"]
    with Front(place.box.port, bend) as front:
        variables = place.variables(SYNCER_API__BASE_URL=front.url, SYNCER_API__GIVE_UP_AFTER_S="60", **extra)
        process = subprocess.Popen(
            [sys.executable, "-c", RESET + "import sys, syncer.cli; sys.argv[0] = 'syncer'; syncer.cli.main()", "sync", "--json", *arguments],
            cwd=place.folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if phase == "reading":
            wait_until_it_reads(process)
        else:
            assert reached.wait(20), process.communicate(timeout=20)
        os.kill(process.pid, number)
        process.wait(20)  # while its standard input stays open: nothing else may end it
        out, err = process.communicate(timeout=20)
    done = Ended(process.returncode, out, err)
    code = SIGNALS[number]
    again = f"syncer sync --json {arguments[0]}"  # while no plan is stored, only the file can go on
    goes_on = again if phase in {"reading", "settling"} else "syncer resume"
    assert_ends(done, Ends(code, (f"by signal {number}",), (goes_on,)))
    with place.box.lock:
        for task in place.box.world.tasks.values():
            task.end_due_s = min(task.end_due_s, place.box.now_s())
    place.box.config = place.box.config.__class__(codes=codes(CODES), task_run_s=0.01)
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


RESET = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGHUP, signal.SIG_DFL);"
"""So that the tests mean the same in the background of a shell, which lets its children ignore SIGINT."""


class Ended:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def document(self):
        return json.loads(self.out)


def wait_until_it_reads(process):
    """Feed a pipe until the program has taken more than a pipe holds: it reads. Then leave it waiting for more."""
    process.stdin.write("extended_id,intended_market\n")
    for n in range(20_000):
        process.stdin.write(f"K{n:06d},m\n")
    process.stdin.flush()


def test_a_hangup_that_is_to_be_ignored_ends_nothing(place, record_property):
    """`nohup syncer …`: the signal is ignored from the start, and stays so."""
    reached, go_on = threading.Event(), threading.Event()

    def say(front, connection, answer):
        go_on.wait(10)
        return False

    def bend(call):
        if call.number == 1 and call.name in {"sync", "async"}:
            reached.set()
            return Act(say)
        return None

    with Front(place.box.port, bend) as front:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"trap '' HUP; exec {PROGRAM} sync --json a.csv"],
            cwd=place.folder, env=place.variables(SYNCER_API__BASE_URL=front.url, SYNCER_API__TIMEOUT_S="10"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reached.wait(20)
        os.kill(process.pid, signal.SIGHUP)
        go_on.set()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, (out, err)
    assert_right(place)
    record_property("covered", FACTS)


CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">&- 2>&-", "2>/dev/full")


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("json_too", ["--json", ""])
def test_closed_and_full_streams_change_neither_the_run_nor_its_exit_code(
    place, forks, record_property, closed, json_too
):
    """A document that is asked for and cannot be printed is told; the summary for people is not missed."""
    lost = bool(json_too) and ">&-" in closed.replace("2>&-", "")
    done = shell(place, f"exec syncer sync {json_too} -v a.csv --results out {closed}")
    assert done.returncode == (1 if lost else 0), (done.stdout, done.stderr)
    if lost and "2>&-" not in closed:
        assert "standard output cannot be written: it is closed" in done.stderr
        assert "next: syncer status" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert_right(place)
    assert (place.folder / "out" / "confirmed.csv").read_text().count("\n") == CODES + 1
    assert set(os.listdir(place.folder)) == {"a.csv", "out", "syncer.db", "syncer.db.lock"}
    assert (place.folder / "syncer.db.lock").read_text().startswith("{"), "something else was written into the lock"
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


READERS = (
    "status",
    "status 1",
    "check",
    "audit show K000000",
    "audit export",
    "audit export --format jsonl",
    "ledger check",
    "plan a.csv",
)


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>/dev/full"])
def test_no_command_minds_closed_streams(place, forks, record_property, closed):
    assert forks.run(place.folder, place.variables(), "sync", "a.csv").code == 0
    for words in READERS:
        done = shell(place, f"exec syncer {words} {closed}")
        lost = ">&-" in closed and words.startswith("audit export")  # data, and not words for people
        assert done.returncode == (1 if lost else 0), (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


@pytest.mark.parametrize("json_too", ["--json", ""])
@pytest.mark.parametrize("full", [">/dev/full", ">/dev/full 2>/dev/full"])
def test_a_full_standard_output_is_told_and_the_run_is_recorded(place, forks, record_property, json_too, full):
    done = shell(place, f"exec syncer sync {json_too} a.csv {full}")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if "2>" not in full:
        assert "standard output" in done.stderr
        assert "No space left" in done.stderr
        assert "next: syncer status" in done.stderr
    assert_right(place)
    with Ledger.open_to_read(f"sqlite:///{place.folder}/syncer.db") as ledger:
        assert [(run.state, run.exit_code) for run in ledger.runs()] == [("complete", 0)]
    for words in READERS[::3]:
        done = shell(place, f"exec syncer {words} {full}")
        assert done.returncode == 1, words
        assert "Traceback" not in done.stderr
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_a_reader_that_goes_away_changes_nothing_of_the_run(place, forks, record_property):
    done = shell(place, "syncer sync --json a.csv | true")
    assert "Traceback" not in done.stderr
    assert "its reader is gone" in done.stderr
    done = shell(place, "syncer audit export | head -n 1")
    assert "Traceback" not in done.stderr
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)
