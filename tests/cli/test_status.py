"""``status``: every kind of work is told, a dead one is called dead, refused rows are kept, and watching stops nobody."""

from __future__ import annotations

import csv
import os
import signal
import socket
import sqlite3
from contextlib import closing

import pytest
from conftest import codes
from listeners import wait_for

from syncer.process.owner import Life, Owner, life_of, this_process

HEADER = ("extended_id", "market")


def listed(here):
    document = here.run("status", "--json").document
    return document["runs"], document["works"]


def test_every_kind_of_work_is_told_and_a_night_with_its_steps(night):
    with night(codes=codes(2), products=("a",)) as here:
        here.write("n.csv", HEADER, [("K000000", "DE")])
        here.config('[nightly]\nsteps = [{products = {}}, {sync = {files = ["n.csv"]}}]\n')
        assert here.run("init").code == 0
        assert here.run("run").code == 0
        assert here.run("products", "pull").code == 0
        assert here.run("scans", "pull", "--campaign", "999999").code != 11
        assert here.sync("missing.csv").code == 2
        runs, works = listed(here)
        assert [(run["id"], run["state"]) for run in runs] == [(1, "complete")]
        told = [(work["kind"], work["state"], work["exit_code"]) for work in works]
        assert told[0] == ("sync", "ended", 2)  # it came to no run
        assert ("products pull", "ended", 0) in told
        assert "scans pull" in {kind for kind, _, _ in told}
        (one,) = (work for work in works if work["kind"] == "run")
        assert [work["kind"] for work in works if work["parent_id"] == one["id"]] == ["products"]  # the other is run 1
        pulled = next(work["counts"] for work in works if work["kind"] == "products pull")
        assert pulled["products"] >= 1
        assert pulled["reads"] >= 1
        text = here.run("status").out
        for words in (
            "(night)",
            "(night: products)",
            "(products pull)",
            "missing.csv",
            f"{pulled['products']} products",
        ):
            assert words in text


def test_a_killed_run_is_dead_and_the_next_one_finds_it_so(night):
    with night(codes=codes(300), faults=({"kind": "hang", "on": "sync", "nth": 3, "seconds": 60},)) as here:
        here.write("a.csv", HEADER, [(f"K{n:06d}", f"M{n}") for n in range(300)])
        assert here.run("init").code == 0
        process = here.start("sync", "a.csv", SYNCER_API__TIMEOUT_S="60", SYNCER_API__CONCURRENCY="1")
        runs = wait_for(lambda: [run for run in listed(here)[0] if sum(run["values"].values())])
        assert [run["state"] for run in runs] == ["running"]
        assert listed(here)[1] == []  # the run is the work
        assert "in doubt" not in here.run("status").out + here.run("status", "1").out  # calls in flight are none
        process.send_signal(signal.SIGKILL)
        process.communicate()
        here.box.faults.replace([])
        assert [run["state"] for run in listed(here)[0]] == ["dead"]
        said = here.run("status").out
        assert "dead" in said
        assert "syncer resume --job default" in said
        assert "its process died" in here.run("status", "1").out
        here.run("resume")
        assert "dead" not in {run["state"] for run in listed(here)[0]}


def test_what_another_machine_does_is_told_as_unknown(night):
    with night(codes=codes(1)) as here:
        here.sync(here.write("a.csv", HEADER, [("K000000", "DE")]))
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute(
                "UPDATE runs SET ended_at = NULL, state = 'running', program = 'syncer 1, process 1 on elsewhere'"
            )
            database.execute("UPDATE works SET ended_at = NULL, run_id = NULL, host = 'elsewhere', pid = 1")
        runs, works = listed(here)
        assert ([run["state"] for run in runs], [work["state"] for work in works]) == (["unknown"], [])
        assert here.run("status", "--watch").code == 0  # nobody here is at work


@pytest.mark.parametrize(
    ("owner", "life"),
    [
        (this_process(), Life.ALIVE),
        (Owner(socket.gethostname(), os.getpid(), "another boot 1"), Life.DEAD),
        (Owner(socket.gethostname(), 2**22 + 1), Life.DEAD),
        (Owner(socket.gethostname(), os.getpid()), Life.ALIVE),
        (Owner("elsewhere", os.getpid()), Life.UNKNOWN),
    ],
)
def test_a_process_is_told_by_its_machine_its_number_and_its_begin(owner, life):
    assert life_of(owner) is life


def test_refused_rows_are_kept_with_the_run_and_what_is_left_out_is_counted(night):
    with night(codes=codes(1)) as here:
        here.config('[jobs.default]\nkey = "extended_id"\n[jobs.default.fields.market]\nmax_length = 2\n')
        rows = [("K000000", "DE"), ("NOPE0001", "FR"), *((f"K{n:06d}", "longer") for n in range(1, 1003))]
        assert here.sync(here.write("a.csv", HEADER, rows), "--approve").code == 3
        found = here.run("status", "1", "--rows", "--json").document
        assert (len(found["invalid"]), found["left_out"]) == (1000, {"invalid": 2, "rejected": 0})
        first = found["invalid"][0]
        assert (first["file"], first["line"], first["key"], first["code"][0]) == ("a.csv", 4, "K000001", "E")
        assert [(row["key"], row["line"], row["code"]) for row in found["rejected"]] == [("NOPE0001", 3, "unmatched")]
        text = here.run("status", "1", "--rows").out
        assert "1,002 rows not valid" in text
        assert "and 2 more" in text
        assert here.run("ledger", "check").code == 0
        assert (here.run("status", "--rows").code, here.run("status", "9", "--rows").code) == (2, 2)


def test_refused_rows_are_kept_when_a_guard_stops_the_run(night):
    with night(codes=codes(40)) as here:
        here.sync(here.write("a.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(40)]))
        assert here.sync(here.write("b.csv", HEADER, [("", "FR"), *((f"K{n:06d}", "FR") for n in range(40))])).code == 4
        assert [row["line"] for row in here.run("status", "2", "--rows", "--json").document["invalid"]] == [2]


def shown(here):
    """The lines of the table, split into words, by the first word that is no id."""
    return [line.split() for line in here.run("status").out.splitlines()]


def test_a_run_of_which_nobody_knows_the_rows_does_not_say_none(night):
    with night(codes=codes(60)) as here:
        here.sync(here.write("a.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(60)]))
        assert here.sync(here.write("b.csv", HEADER, [(f"K{n:06d}", "FR") for n in range(60)])).code == 4
        rows = {words[0]: words[-3] for words in shown(here) if words and words[0] in {"1", "2"}}
        assert rows == {"1": "60", "2": "-"}


def test_a_command_that_ended_otherwise_than_its_run_is_told_beside_it(night):
    with night(codes=codes(2)) as here:
        here.write("a.csv", HEADER, [("K000000", "DE")])
        (here.folder / "out" / "error.csv").mkdir(parents=True)
        assert here.sync("a.csv", "--results", "out").code == 1
        runs, works = listed(here)
        assert [(one["id"], one["exit_code"]) for one in runs] == [(1, 0)]
        assert [(one["kind"], one["run_id"], one["exit_code"]) for one in works] == [("sync", 1, 1)]
        assert "results cannot be written" in works[0]["error"]
        assert ["(sync)", "1"] in [[words[0], words[4]] for words in shown(here) if len(words) > 4]


def test_a_run_that_was_resumed_says_the_last_word_alone(night):
    with night(codes=codes(2)) as here:
        here.write("a.csv", HEADER, [("K000000", "DE")])
        here.box.faults.replace([{"kind": "status", "on": "sync", "every": 1, "status_code": 503}])
        stopped = here.sync("a.csv", "--results", "out", SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert stopped.code == 5
        (concern,) = stopped.document["concerns"]
        assert concern["message"].startswith("n"), "each reason has words"
        assert here.run("status", "1", "--json").document["concerns"] == [concern]
        with (here.folder / "out" / "unprocessed.csv").open(encoding="utf-8-sig", newline="") as file:
            assert [(row["_code"], row["_message"]) for row in csv.DictReader(file)] == [
                (concern["bucket"], concern["message"])
            ]
        here.box.faults.replace([])
        assert here.run("resume").code == 0
        runs, works = listed(here)
        assert ([one["exit_code"] for one in runs], works) == ([0], [])


def test_the_steps_of_the_night_that_made_the_ledger_are_its_own(night):
    with night(codes=codes(2), products=("a",)) as here:
        here.write("n.csv", HEADER, [("K000000", "DE")])
        here.config(
            '[nightly]\nsteps = [{products = {}}, {sync = {files = ["n.csv"]}}, {scans = {campaign = 1, out = "s"}}]\n'
        )
        here.run("run")
        assert here.run("products", "pull").code == 0
        works = {one["kind"]: one for one in listed(here)[1]}
        assert works["scans"]["parent_id"] == works["products"]["parent_id"] == works["run"]["id"]
        assert (works["run"]["parent_id"], works["products pull"]["parent_id"]) == (None, None)


def test_a_watch_ends_with_the_run_and_never_stops_it(night):
    with night(codes=codes(800), latency_s=0.05) as here:
        here.write("a.csv", HEADER, [(f"K{n:06d}", f"M{n}") for n in range(800)])
        assert here.run("init").code == 0
        # eight calls, one a second: time enough for the watcher to start on a busy machine
        writer = here.start("sync", "a.csv", SYNCER_API__UPDATES_PER_SECOND="1", SYNCER_API__CONCURRENCY="1")
        wait_for(lambda: listed(here)[0])
        watcher = here.start("status", "--watch")
        assert writer.wait(60) == 0
        out, _ = watcher.communicate(timeout=20)
        writer.communicate()
        assert watcher.returncode == 0
        lines = out.splitlines()
        assert "run 1 of job default" in lines[0]
        assert lines[-1].endswith("the last run, 1 of job default, is complete")
        assert all(line[2] == ":" and line[8] == "Z" for line in lines)
        assert here.run("status", "--watch", "1").code == 2
        screen = here.on_terminal("status", "--watch", columns=100, streams=(1, 2))
        assert "complete" in screen


def test_work_goes_on_where_it_cannot_be_recorded(night):
    with night(codes=codes(1)) as here:
        here.write("a.csv", HEADER, [("K000000", "DE")])
        assert here.run("init").code == 0
        with closing(sqlite3.connect(here.folder / "syncer.db", isolation_level=None)) as database:
            database.execute("CREATE TRIGGER no_works BEFORE INSERT ON works BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert here.sync("a.csv").code == 0
        assert listed(here)[1] == []


def test_rows_that_are_refused_for_one_reason_are_not_all_listed_to_people(night):
    with night(codes=codes(120)) as here:
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        rows = [(f"K{n:06d}", "DE") for n in range(120)] + [("", "DE")]
        assert here.sync(here.write("a.csv", ("extended_id", "market"), rows), "--mode", "async").code == 3
        shown = here.run("status", "1", "--rows").out
        assert shown.count("a.csv:") == 21
        assert "… 50 more: --json" in shown  # 50 of 120 values asked by sync calls which fields are taken
        assert len(here.run("status", "1", "--rows", "--json").document["rejected"]) == 70
