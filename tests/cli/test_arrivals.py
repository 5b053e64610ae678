"""``syncer sync`` without FILE: the job's files, each once, moved when they are done; exit 14 when none has come."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import time

from conftest import codes
from listeners import wait_for

HEADER = ("extended_id", "lot")
CONFIG = """
[jobs.erp.files]
pattern = "in/*.csv"
settle_s = 0
"""


def test_a_night_without_a_named_file_takes_the_newest_once_and_says_when_none_has_come(night):
    with night(codes=codes(9)) as here:
        here.config(CONFIG + 'done = "done"\n')
        missing = here.sync()
        assert (missing.code, missing.document["error"]["code"]) == (14, "not-arrived")
        assert here.run("plan", "--json").code == 14
        (here.folder / "in").mkdir()
        here.write("in/a.csv", HEADER, [(f"K{n:06d}", "L1") for n in range(5)])
        assert here.run("plan", "--json").document["rows"]["new"] == 5
        assert here.sync().document["values"]["confirmed"] == 5
        assert [path.name for path in (here.folder / "done").iterdir()] == ["a.csv"]
        assert here.sync().code == 14
        (here.folder / "in" / "b.csv").write_bytes((here.folder / "done" / "a.csv").read_bytes())
        again = here.sync()  # the same content under another name
        assert (again.code, again.document["run"]) == (0, None)
        assert "nothing to do" in again.document["notes"][0]


def test_a_deadline_ends_every_wait_before_a_run_and_counts_from_the_begin_of_the_command(night):
    """For a file it waited an hour, and gave the run that followed a deadline of its own; for the lock it waited, too."""
    with night(codes=codes(9), faults=[{"kind": "hang", "on": "sync", "nth": 1, "seconds": 6}]) as here:
        here.config(CONFIG.replace("settle_s = 0", "settle_s = 0\nwait_s = 3600"))
        began_s = time.monotonic()
        missing = here.sync("--job", "erp", "--deadline", "1")
        assert (missing.code, missing.document["error"]["code"]) == (10, "deadline")
        assert missing.document["error"]["next"] == "syncer sync --job erp"
        assert "no file matches in/*.csv" in missing.document["error"]["message"]
        with here.start("sync", "--deadline", "4", SYNCER_API__TIMEOUT_S="60", SYNCER_API__CONCURRENCY="1") as waiting:
            time.sleep(2)
            (here.folder / "in").mkdir()
            here.write("in/a.csv", HEADER, [(f"K{n:06d}", "L1") for n in range(5)])
            wait_for(lambda: here.box.calls("sync"))
            busy = here.sync("--deadline", "0.7", SYNCER_LEDGER__LOCK_WAIT_S="3600")
            waiting.communicate()
        assert (busy.code, waiting.returncode) == (11, 10)
        assert time.monotonic() - began_s < 30


def test_a_file_that_brings_back_older_data_is_never_passed_over_with_0(night):
    with night(codes=codes(30)) as here:
        here.config(CONFIG + "[limits]\nmax_changed_percent = 0\n")
        (here.folder / "in").mkdir()
        for number, lot in enumerate(("L1", "L2", "L1")):
            here.write(f"in/{number}.csv", HEADER, [(f"K{n:06d}", lot) for n in range(30)])
            os.utime(here.folder / "in" / f"{number}.csv", (time.time() + number,) * 2)
            done = here.sync()
        assert (done.code, done.document["error"]["stops"][0]["guard"]) == (4, "age"), done
        assert here.run(*shlex.split(done.document["error"]["next"])[1:]).code == 0
        assert {code["lot"] for code in here.server().values()} == {"L1"}
        assert (here.sync().code, here.sync().document["run"]) == (0, None)


def test_a_file_that_a_wrong_clock_dated_ahead_hides_no_later_night(night):
    """Every later night ended with 0 and read nothing; one that was named was stopped, night by night, by its age."""
    with night(codes=codes(30)) as here:
        here.config(CONFIG + "[limits]\nmax_changed_percent = 0\n")
        (here.folder / "in").mkdir()
        for name, lot, ahead_s in (("z", "L1", 9 * 86_400), ("b", "L2", 0), ("c", "L3", 0), ("d", "L0", -3600)):
            here.write(f"in/{name}.csv", HEADER, [(f"K{n:06d}", lot) for n in range(30)])
            if ahead_s:
                os.utime(here.folder / "in" / f"{name}.csv", (time.time() + ahead_s,) * 2)
            if lot != "L0":
                assert here.sync().code == 0, name
                assert {code["lot"] for code in here.server().values()} == {lot}
        done = here.sync("in/d.csv")  # an old one is still one
        assert (done.code, done.document["error"]["stops"][0]["guard"]) == (4, "age"), done


def test_an_older_file_that_nobody_has_read_is_told_and_never_overwrites_a_newer_one(night):
    """A night was missed, and in the next one no export comes; of so few codes no guard on old files looks."""
    with night(codes=codes(9)) as here:
        here.config(CONFIG + 'done = "done"\n')
        (here.folder / "in").mkdir()
        for number in (1, 2, 3, 4):
            here.write(f"in/{number}.csv", HEADER, [("K000001", f"L{number}")])
            os.utime(here.folder / "in" / f"{number}.csv", (time.time() - 60 + number,) * 2)
        done = here.sync()
        (note,) = [note for note in done.document["notes"] if note.startswith("not read")]
        assert "1.csv" in note
        assert note.endswith("3.csv")
        assert here.server()["K000001"]["lot"] == "L4"
        assert here.sync().code == 14
        assert here.server()["K000001"]["lot"] == "L4"
        assert len([*(here.folder / "done").iterdir()]) == 4


def test_every_file_of_changes_is_read_though_nothing_says_so(night):
    with night(codes=codes(9)) as here:
        config = CONFIG.replace("[jobs.erp.files]", '[jobs.erp]\nexport = "changes"\n[jobs.erp.files]')
        here.config(config + 'take = "newest"\n')
        refused = here.sync()
        assert (refused.code, '"each", or "all"' in str(refused.document["error"])) == (2, True), refused
        here.config(config)
        (here.folder / "in").mkdir()
        for number in (1, 2):
            here.write(f"in/{number}.csv", HEADER, [(f"K00000{number}", "L1")])
        assert here.sync().code == 0
        assert [here.server()[f"K00000{number}"].get("lot") for number in (1, 2)] == ["L1", "L1"]


def test_each_file_has_a_run_of_its_own_and_one_that_stops_ends_the_command(night):
    with night(codes=codes(9)) as here:
        here.config(CONFIG + 'take = "each"\ndone = "done"\n')
        (here.folder / "in").mkdir()
        for number in (1, 2, 3):
            here.write(f"in/{number}.csv", HEADER, [("K000001", f"L{number}"), (f"K{number}", "unknown")])
        (here.folder / "in" / "4.csv").write_text("a,a\n")
        done = here.sync()
        before = done.document["before"]
        assert (done.code, [one["exit_code"] for one in before]) == (2, [3, 3, 3]), done
        for one in before:
            counts = [one["values"][bucket] for bucket in ("confirmed", "unmatched")]
            assert (one["rows"]["read"], counts) == (2, [1, 1])
        assert sum(one["requests"]["updates"] for one in before) == len(here.box.calls("sync")) > 2
        assert [run["id"] for run in done.document["runs"]] == [1, 2, 3]
        assert here.server()["K000001"]["lot"] == "L3"
        assert sorted(path.name for path in (here.folder / "in").iterdir()) == ["4.csv"]


def test_a_pattern_on_the_command_line_that_matches_several_full_exports_is_refused(night):
    with night(codes=codes(9)) as here:
        for name in ("a", "b"):
            here.write(f"{name}.csv", HEADER, [("K000001", name)])
        done = here.sync("?.csv")
        assert (done.code, done.document["error"]["next"]) == (2, "syncer sync --job default b.csv")
        planned = here.run("plan", "--json", "?.csv", "--results", "my results").document["error"]["next"]
        assert planned == "syncer plan --job default b.csv --results 'my results'"  # a look never leads to an upload
        assert here.sync("b.*").code == 0
        here.config('[jobs.default]\nexport = "changes"\n')
        assert here.run("plan", "--json", "?.csv").document["rows"]["read"] == 2


CHOICE = '[jobs.erp.fields.lot]\ntype = "choice"\nchoices = ["L1"]\n'


def test_what_is_not_confirmed_is_no_nothing_to_do(night):
    """No new file has come. A rule is mended, a task ends: the next command without a file brings it to its end."""
    with night(codes=codes(160)) as here:
        (here.folder / "in").mkdir()
        here.config(CONFIG + CHOICE)
        here.write("in/a.csv", HEADER, [("K000001", "L1"), ("K000002", "L2")])
        assert here.sync().code == 3
        told = here.sync()  # nothing was mended
        assert (told.code, told.document["rows"]["invalid"]) == (3, 1), told
        assert here.run("plan", "--json").document["rows"]["invalid"] == 1
        here.config(CONFIG + CHOICE.replace('"L1"', '"L1", "L2"'))
        assert here.sync().code == 0
        assert here.server()["K000002"]["lot"] == "L2"
        assert (here.sync().code, here.sync().document["run"]) == (0, None)

        here.config('mode = "async"\n'.join(["[jobs.erp]\n", CONFIG]))
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
        here.write("in/b.csv", HEADER, [(f"K{n:06d}", "L3") for n in range(150)])
        stuck = {"SYNCER_API__TASK_TIMEOUT_S": "0.5"}
        assert here.sync(**stuck).code == 3
        assert here.sync(**stuck).code == 3
        here.box.faults.replace([])
        assert here.sync("in/b.csv", **stuck).code in {0, 3}


def test_what_another_run_of_the_job_left_open_is_told_though_every_file_was_synced(night):
    with night(codes=codes(160)) as here:
        (here.folder / "in").mkdir()
        here.config('mode = "async"\n'.join(["[jobs.erp]\n", CONFIG]))
        here.write("in/a.csv", HEADER, [("K000001", "L1")])
        assert here.sync().code == 0
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
        here.write("by-hand.csv", HEADER, [(f"K{n:06d}", "L3") for n in range(150)])
        stuck = {"SYNCER_API__TASK_TIMEOUT_S": "0.5"}
        assert here.sync("by-hand.csv", "--job", "erp", **stuck).code == 3
        left = here.sync(**stuck)
        assert (left.document["command"], left.code) == ("sync", 3), left
        assert left.document["values"]["pending"] > 0
        assert here.run("plan", "--json").code == 0


def test_what_helps_after_a_file_was_moved_names_where_it_is(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        (here.folder / "done").mkdir()
        here.config(CONFIG + 'done = "done"\n' + CHOICE)
        here.write("done/a.csv", HEADER, [("K000001", "L0")])
        here.write("in/a.csv", HEADER, [("K000001", "L1"), ("K000002", "L2")])
        done = here.run("sync")
        assert done.code == 3
        (command,) = [line.split("next: ")[1] for line in done.out.splitlines() if "next: " in line]
        here.config(CONFIG + 'done = "done"\n')
        assert "done/a.csv.1" in command
        assert here.run(*shlex.split(command.partition("  #")[0])[1:]).code == 0
        assert here.server()["K000002"]["lot"] == "L2"


def test_an_export_without_rows_is_read_once(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        here.config(CONFIG.replace("[jobs.erp.files]", '[jobs.erp]\nexport = "changes"\n[jobs.erp.files]'))
        here.write("in/a.csv", HEADER, [])
        assert (here.sync().code, here.sync().document["run"]) == (0, None)


def test_each_run_of_a_command_has_the_state_of_its_own_outcome(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        here.config(CONFIG + 'take = "each"\n' + CHOICE)
        here.write("in/a.csv", HEADER, [("K000001", "L1"), ("K000002", "L2")])
        here.write("in/b.csv", HEADER, [("K000003", "L1")])
        done = here.run("sync", "--json")
        assert (done.code, done.document["run"]["state"]) == (3, "complete"), done
        assert [run["state"] for run in done.document["runs"]] == ["incomplete", "complete"]
        here.write("in/c.csv", HEADER, [("K000001", "L1"), ("K000004", "L2")])
        here.write("in/d.csv", HEADER, [("K000003", "L1"), ("K000005", "L1")])
        words = here.run("sync")
        assert words.code == 3
        assert words.out.count("not confirmed") == 1


def arrives(here, name, lot, age_s=0.0, code="K000001"):
    here.write(f"in/{name}.csv", HEADER, [(code, lot)])
    os.utime(here.folder / "in" / f"{name}.csv", (time.time() - age_s,) * 2)


def test_what_comes_behind_a_new_file_is_read_though_an_older_run_has_read_the_same(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        changes = CONFIG.replace("[jobs.erp.files]", '[jobs.erp]\nexport = "changes"\n[jobs.erp.files]\ndone = "done"')
        here.config(changes)
        arrives(here, "1", "L1")
        assert here.sync().code == 0
        arrives(here, "2", "L2")
        arrives(here, "3", "L1")
        assert here.sync().code == 0
        assert here.server()["K000001"]["lot"] == "L1"


def test_an_export_in_parts_that_goes_back_is_read_and_so_is_one_behind_another_job(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        here.config(CONFIG + 'take = "all"\n[jobs.lab]\n')
        for lot in ("L1", "L2", "L1"):
            arrives(here, "1", lot)
            arrives(here, "2", lot, code="K000002")
            assert here.sync("--job", "erp").code == 0
            assert [here.server()[f"K00000{n}"]["lot"] for n in (1, 2)] == [lot, lot]
        assert here.sync("--job", "erp").document["run"] is None
        here.write("lab.csv", HEADER, [("K000001", "L9")])
        assert here.sync("lab.csv", "--job", "lab").code == 0
        assert here.sync("--job", "erp").document["run"] is None  # the files have only stayed where they were
        arrives(here, "1", "L1", age_s=3600)  # by `cp -p` of a copy that was made before
        assert here.sync("--job", "erp").code == 0
        assert here.server()["K000001"]["lot"] == "L1"


def test_what_the_ledger_has_forgotten_was_never_synced_and_another_address_is_refused(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        here.config(CONFIG)
        arrives(here, "1", "L1")
        assert here.sync().code == 0
        assert (here.sync().code, here.sync("--force").document["requests"]["updates"]) == (0, 1)
        assert here.run("ledger", "recover").code == 0
        again = here.sync()
        assert (again.code, again.document["requests"]["updates"]) == (0, 1), again
        assert here.sync().document["run"] is None
        with contextlib.closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute("UPDATE ledger SET base_url = 'https://api.example.com'")
        for command in ("sync", "plan"):
            refused = here.run(command, "--json")
            assert (refused.code, refused.document["error"]["code"]) == (2, "target-changed"), refused


def test_a_job_that_was_given_another_name_has_read_its_files(night):
    with night(codes=codes(9)) as here:
        (here.folder / "in").mkdir()
        changes = CONFIG.replace("[jobs.erp.files]", '[jobs.erp]\nexport = "changes"\n[jobs.erp.files]')
        here.config(changes)
        arrives(here, "1", "L1")
        arrives(here, "2", "L2")
        here.write("fix.csv", HEADER, [("K000001", "L3")])
        assert (here.sync().code, here.sync("fix.csv").code) == (0, 0)
        here.config(changes.replace("erp", "sap"))
        assert here.sync().document["run"] is None
        assert here.server()["K000001"]["lot"] == "L3"
