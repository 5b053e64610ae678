"""A ledger that was pruned goes on as one that was not: what it sends, says and ends with are the same."""

from __future__ import annotations

import time

import pytest
from conftest import codes, open_night

KEY, MARKET, LOT = "extended_id", "market", "lot"
TWO = ("K000000", "K000001")
PRUNED = pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
WAITS = "[api]\ntask_timeout_s = 1\npoll_s = 0.2\nsettle_s = 0.5\n"


def night(here, name, header, *rows, mode=None, job=None, codes_of=TWO):
    """Sync a file in which each of some codes has the same words; return how it ended."""
    here.write(name, header, rows or [(key, *words_of(name, header)) for key in codes_of])
    chosen = [*(("--mode", mode) if mode else ()), *(("--job", job) if job else ())]
    return here.sync(name, "--approve", *chosen)


def words_of(name, header):
    return [f"{field}-{name[0]}" for field in header[1:]]


def prune(here, pruned):
    if pruned:
        assert here.run("ledger", "prune", "--keep", "0m", "--json").document["archive"]
        is_whole(here)


def is_whole(here):
    assert here.run("ledger", "check").code == 0
    assert here.run("audit", "verify").code == 0


def let_go_and_overtaken(here):
    """Let an async call wait for its task, be let go of, and be overtaken by newer words, which are confirmed."""
    assert night(here, "b.csv", (KEY, MARKET), mode="sync").code == 0
    both = [(key, "market-b", "lot-c") for key in TWO]
    assert night(here, "c.csv", (KEY, MARKET, LOT), *both, mode="sync").code == 0


def sent_again(here):
    """Wait until the old task has landed, and sync the newest file again, twice."""
    for _ in range(100):
        if here.server()["K000000"].get(MARKET) == "market-a":
            break
        time.sleep(0.1)
    ends = [here.sync("c.csv", "--mode", "sync", "--approve").code for _ in range(2)]
    return ends, [code[MARKET] for code in here.server().values()]


@PRUNED
def test_an_old_task_that_lands_after_history_was_moved_is_written_over_again(tmp_path, pruned):
    with open_night(tmp_path, codes=codes(2), task_run_s=6.0) as here:
        here.config(WAITS + '[jobs.erp]\nkey = "extended_id"\nknown_fields = ["market", "lot"]\n')
        assert night(here, "a.csv", (KEY, MARKET), mode="async").code == 3
        let_go_and_overtaken(here)
        prune(here, pruned)
        assert sent_again(here) == ([0, 0], ["market-b"] * 2)
        is_whole(here)


@PRUNED
def test_a_call_in_doubt_that_was_let_go_of_is_looked_up_after_history_was_moved(tmp_path, pruned):
    with open_night(tmp_path, codes=codes(2)) as here:
        here.config(WAITS + '[jobs.erp]\nkey = "extended_id"\nknown_fields = ["market", "lot"]\n')
        unseen = {"kind": "status", "on": "tasks", "every": 1, "status_code": 400}
        here.box.faults.replace([{"kind": "late", "on": "async", "every": 1, "seconds": 8}, unseen])
        here.write("a.csv", (KEY, MARKET), [(key, "market-a") for key in TWO])
        assert here.sync("a.csv", "--mode", "async", "--approve", "--deadline", "3").code not in {0, 1}
        assert here.run("abandon", "1").code == 0
        here.box.faults.replace([unseen])
        let_go_and_overtaken(here)
        prune(here, pruned)
        here.box.faults.replace([])
        ends, markets = sent_again(here)
        assert (ends[1], markets) == (0, ["market-b"] * 2)
        is_whole(here)


@PRUNED
def test_a_field_that_was_taken_away_is_noticed_by_its_older_word(tmp_path, pruned):
    """Keys of cases go by tasks, which name nothing: only a code that is read tells, by the word of three nights ago."""
    cases = tuple({KEY: f"K{n}", "case_no": f"C{n}"} for n in range(2))
    with open_night(tmp_path, codes=cases) as here:
        here.config('[api]\nsettle_s = 0.5\npoll_s = 0.2\n[jobs.case]\nkey = "case_no"\n')
        header = ("case_no", MARKET, LOT)
        for name, market, lot in (("a", "DE", "L1"), ("b", "DE", "L2"), ("c", "DE", "L3")):
            assert night(here, f"{name}.csv", header, ("C0", market, lot), ("C1", market, lot)).code == 0
        prune(here, pruned)
        here.box.world.campaigns = {1: frozenset({"case_no", LOT})}
        done = night(here, "d.csv", header, ("C0", "FR", "L3"), ("C1", "FR", "L3"))
        assert (done.code, done.document["discarded_fields"]) == (3, [MARKET])
        assert done.document["requests"]["updates"] == 1
        is_whole(here)


@PRUNED
def test_words_go_again_once_a_field_is_back_though_newer_ones_of_other_fields_are_known(tmp_path, pruned):
    many = [f"K{n:06d}" for n in range(130)]
    with open_night(tmp_path, codes=codes(131)) as here:
        here.config('[api]\nsettle_s = 0.5\npoll_s = 0.2\n[jobs.erp]\nkey = "extended_id"\nexport = "changes"\n')
        header, all_fields = (KEY, MARKET, LOT), frozenset({MARKET, LOT, "case_no"})
        here.box.world.campaigns = {1: all_fields}
        for name, lot in (("a", "L1"), ("b", "L2")):
            assert night(here, f"{name}.csv", header, *[(key, "DE", lot) for key in many]).code == 0
        assert night(here, "c.csv", (KEY, LOT), ("K000130", "L3")).code == 0
        prune(here, pruned)
        here.box.world.campaigns = {1: all_fields - {MARKET}}
        for code in here.box.world.codes:
            code.fields.pop(MARKET, None)
        assert night(here, "d.csv", header, (many[0], "FR", "L2")).code == 3
        here.box.world.campaigns = {1: all_fields}
        assert night(here, "e.csv", header, (many[0], "FR", "L5")).code == 0
        assert [here.server()[key].get(MARKET) for key in many] == ["FR", *["DE"] * 129]
        is_whole(here)


TWO_JOBS = WAITS + (
    '[jobs.weekly]\nkey = "extended_id"\nknown_fields = ["lot"]\n'
    '[jobs.erp]\nkey = "extended_id"\nknown_fields = ["market"]\n'
)


@PRUNED
def test_the_last_run_of_a_job_is_told_by_resume_as_it_ended(tmp_path, pruned):
    with open_night(tmp_path, codes=codes(2)) as here:
        here.config(TWO_JOBS)
        done = night(here, "w.csv", (KEY, LOT), ("K000000", "L1"), ("NOPE0009", "L1"), job="weekly")
        assert (done.code, done.document["values"]["unmatched"]) == (3, 1)
        for name in ("a.csv", "b.csv"):
            rows = [*((key, f"market-{name}") for key in TWO), ("NOPE0009", "DE")]
            night(here, name, (KEY, MARKET), *rows, job="erp")
        prune(here, pruned)
        told = here.run("resume", "--job", "weekly", "--json")
        assert (told.code, told.document["values"]) == (3, done.document["values"])


@PRUNED
def test_the_last_run_of_a_job_is_told_though_another_job_took_its_values_up(tmp_path, pruned):
    with open_night(tmp_path, codes=codes(2)) as here:
        here.config(TWO_JOBS)
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "every": 1}])
        assert night(here, "w.csv", (KEY, LOT), job="weekly", mode="async").code == 3
        here.box.faults.replace([])
        for name in ("a.csv", "b.csv", "c.csv"):
            assert night(here, name, (KEY, MARKET), job="erp").code == 0
        shown = here.run("status", "--json").document
        prune(here, pruned)
        assert here.run("status", "--json").document == shown
        told = here.run("resume", "--job", "weekly", "--json")
        assert told.code in {0, 3}, told.document["error"]
        assert told.document["error"] is None


@PRUNED
def test_what_was_dropped_on_the_way_back_is_asked_for_after_history_was_moved(tmp_path, pruned):
    """`resume` has nothing to go on with for that job: it names the run whose export is needed."""
    with open_night(tmp_path, codes=codes(2)) as here:
        here.config(TWO_JOBS)
        assert night(here, "a.csv", (KEY, MARKET), job="erp").code == 0
        here.box.faults.replace([{"kind": "status", "on": "sync", "every": 1, "status_code": 503}])
        assert night(here, "w.csv", (KEY, LOT), job="weekly").code == 5
        here.box.faults.replace([])
        assert here.run("ledger", "recover").code == 0
        for name in ("b.csv", "c.csv", "d.csv"):
            assert night(here, name, (KEY, MARKET), job="erp").code == 0
        prune(here, pruned)
        assert here.run("resume", "--job", "weekly", "--json").code == 2


def test_the_list_of_runs_counts_what_an_archive_holds_and_says_when_it_is_not_there(tmp_path):
    with open_night(tmp_path, codes=codes(2)) as here:
        rows = [("K000000", "DE"), ("NOPE0001", "DE")]
        assert night(here, "a.csv", (KEY, MARKET), *rows).code == 3
        for name in ("b.csv", "c.csv", "d.csv"):
            rows = [(key, f"market-{name}") for key in (*TWO, "NOPE0001")]
            night(here, name, (KEY, MARKET), *rows)
        shown = here.run("status", "--json").document["runs"]
        prune(here, True)
        assert here.run("status", "--json").document["runs"] == shown
        (here.folder / "syncer.db.archive-1").rename(here.folder / "elsewhere")
        refused = here.run("status", "--json")
        assert (refused.code, refused.document["error"]["code"]) == (13, "ledger-archive")
        assert here.run("status", "--last", "1", "--json").document["runs"] == shown[:1]
