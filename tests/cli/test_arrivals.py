"""``syncer sync`` without FILE: the job's files, each once, moved when they are done; exit 14 when none has come."""

from __future__ import annotations

import os
import shlex
import time

from conftest import codes

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
