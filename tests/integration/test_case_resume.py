"""Runs that were cut, and who finishes them: each batch by its own job, and what ends tonight is told tonight."""

from __future__ import annotations

import csv

from conftest import codes

TWO_JOBS = """
[jobs.erp]
key = "id"
campaign = 11
columns = {id = "extended_id", market = "market"}
[jobs.cases]
key = "case"
mode = "async"
campaign = 12
columns = {case = "case_no", pallet = "pallet"}
"""
CAMPAIGNS = {11: frozenset({"market", "pallet"}), 12: frozenset({"market", "case_no", "pallet"})}
"""A call that selects by `case_no` is refused with campaign 11: each job has to send its own."""
CUT = ("--deadline", "0")


def world(count):
    return tuple({"extended_id": f"K{n:06d}", "case_no": f"C{n:04d}"} for n in range(count))


def errors_of(here, folder="out"):
    with (here.folder / folder / "error.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_resume_finishes_all_open_runs_of_all_jobs_each_with_its_own_name_key_and_campaign(night):
    """m16."""
    with night(codes=world(300), campaigns=CAMPAIGNS) as here:
        here.config(TWO_JOBS)
        here.write("erp.csv", ("id", "market"), [(f"K{n:06d}", "DE") for n in range(300)])
        here.write("cases.csv", ("case", "pallet"), [(f"C{n:04d}", "P1") for n in range(300)])
        assert here.sync("erp.csv", "--job", "erp", *CUT).code == 10
        assert here.sync("cases.csv", "--job", "cases", *CUT, SYNCER_JOBS__CASES__UNIQUE="true").code == 10
        done = here.run("resume", "--json")
        assert done.code == 0, (done.document, done.err)
        assert done.document["values"]["confirmed"] == 600
        assert [run["job"] for run in done.document["runs"]] == ["cases", "erp"]
        sent = {(task.reference.split("-r")[0], *task.constraints) for task in here.box.world.tasks.values()}
        assert sent == {("erp", "extended_id"), ("cases", "case_no")}
        assert [run["state"] for run in here.run("status", "--json").document["runs"]] == ["complete", "complete"]
        assert all(code["market"] == "DE" and code["pallet"] == "P1" for code in here.box.codes())


def test_resume_of_one_job_leaves_the_others_as_they_are(night):
    with night(codes=world(300), campaigns=CAMPAIGNS) as here:
        here.config(TWO_JOBS)
        here.write("erp.csv", ("id", "market"), [(f"K{n:06d}", "DE") for n in range(300)])
        here.write("cases.csv", ("case", "pallet"), [(f"C{n:04d}", "P1") for n in range(300)])
        assert here.sync("erp.csv", "--job", "erp", *CUT).code == 10
        assert here.sync("cases.csv", "--job", "cases", *CUT, SYNCER_JOBS__CASES__UNIQUE="true").code == 10
        done = here.run("resume", "--json", "--job", "erp")
        assert (done.code, done.document["values"]["confirmed"]) == (0, 300)
        assert {code.get("pallet") for code in here.box.codes()} == {None}


def test_a_run_that_was_never_planned_is_said_and_is_never_0(night):
    """m19: the second file ended before its plan was stored."""
    with night(codes=codes(250)) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(250)])
        # Its first rows are right, so that it is refused only while the run reads it.
        (here.folder / "b.csv").write_text("extended_id,lot\n" + "K000000,L0\n" * 200 + "cut\n" * 50)
        assert here.sync("a.csv").code == 0
        assert here.sync("b.csv").code == 2
        done = here.run("resume", "--json")
        assert done.code == 2
        assert done.document["error"]["message"].startswith("run 2 of job default ended before its plan was stored")
        assert "jobs.default.table.short_rows" in done.document["error"]["message"]
        assert done.document["error"]["next"] == "syncer status 2"
        here.write("c.csv", ("extended_id", "lot"), [])
        stopped = here.sync("c.csv")
        assert stopped.code == 4
        told = here.run("resume", "--json").document["error"]
        assert "run 3 of job default was stopped by a guard" in told["message"]
        assert stopped.document["error"]["stops"][0]["message"] in told["message"]
        assert (told["message"].endswith("syncer sync FILE --job default --approve"), told["next"]) == (
            True,
            "syncer status 3",
        )
        told = here.run("resume", "--json", SYNCER_JOBS__DEFAULT__FILES__PATTERN="*.csv").document["error"]
        assert told["next"] == "syncer sync --job default --approve"


def test_what_a_run_died_of_is_said_once_however_often_it_is_resumed(night, forks):
    with night(codes=codes(3)) as here:
        here.write("a.csv", ("extended_id", "lot"), [("K000000", "L0")])
        trap = {"where": "calls", "of": ["syncer.ledger.door_writes:WritesDoor.store_plan"], "do": "kill", "at": 1}
        assert forks.run(here.folder, here.variables(), "sync", "a.csv", trap=trap).code == -9
        told = [here.run("resume", "--json").document["error"]["message"] for _ in range(3)]
        assert [message.count("ended before its plan was stored") for message in told] == [1, 1, 1], told


def test_what_an_earlier_run_planned_and_tonight_ends_is_told_tonight_with_its_line(night):
    """m20: two values of night 1 end unmatched while night 2 settles them."""
    with night(codes=codes(250), faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.config('[jobs.default]\nexport = "changes"\nknown_fields = ["market"]\n')
        first = [(f"K{n:06d}", "DE") for n in range(248)] + [("Z000001", "DE"), ("Z000002", "DE")]
        here.write("a.csv", ("extended_id", "market"), first)
        assert here.sync("a.csv", SYNCER_API__TASK_TIMEOUT_S="1").code == 3
        for task in here.box.world.tasks.values():
            task.stuck = False
        here.write("b.csv", ("extended_id", "market"), [("K000249", "FR")])
        done = here.sync("b.csv", "--results", "out", SYNCER_API__TASK_TIMEOUT_S="60")
        assert (done.code, done.document["values"]["confirmed"]) == (3, 1)
        assert done.document["earlier"] == {"unmatched": 2, "rejected": 0}
        told = [
            (row["extended_id"], row["market"], row["_file"], row["_line"], row["_code"]) for row in errors_of(here)
        ]
        assert told == [("Z000001", "DE", "a.csv", "250", "unmatched"), ("Z000002", "DE", "a.csv", "251", "unmatched")]
        assert "a.csv:250" in done.document["concerns"][0]["message"]
        again = here.sync("b.csv")
        assert (again.code, again.document["earlier"]) == (0, {"unmatched": 0, "rejected": 0}), again.document["error"]


def test_batches_of_an_earlier_run_go_out_with_the_campaign_that_they_were_planned_with(night):
    """m21."""
    with night(codes=codes(3000), campaigns=CAMPAIGNS) as here:
        here.config('[jobs.default]\nkey = "extended_id"\ncampaign = 11\n')
        here.write("a.csv", ("extended_id", "market"), [(f"K{n:06d}", "DE") for n in range(3000)])
        assert here.sync("a.csv", *CUT).code == 10
        here.config('[jobs.default]\nkey = "extended_id"\ncampaign = 99\n')
        assert here.run("resume", "--json").code == 0  # the API knows no campaign 99


def test_values_of_a_renamed_job_are_not_sent_after_newer_ones_of_its_new_name(night):
    """e16."""
    rows = [(f"K{n:06d}", "old") for n in range(1800)]
    with night(codes=codes(1800)) as here:
        here.config('[jobs.before]\nkey = "extended_id"\n')
        here.write("a.csv", ("extended_id", "market"), rows)
        assert here.sync("a.csv", *CUT).code == 10
        here.config('[jobs.after]\nkey = "extended_id"\n')
        here.write("b.csv", ("extended_id", "market"), [(key, "new") for key, _ in rows[:1790]])
        done = here.sync("b.csv")
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1800)
        assert here.run("resume", "--json", "--job", "before").code == 0
        held = [code["market"] for code in here.box.codes()]
        assert (held.count("new"), held.count("old")) == (1790, 10)
        assert here.run("ledger", "check").code == 0
