"""A year of an integration engineer, through the program alone: scenes that no other test has.

Each looks at three things: the exit code, what the server holds, and whether what the screen says next is so and helps.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import closing
from sqlite3 import connect

import pytest
from conftest import codes

HEADER = ("extended_id", "market", "lot")
ANYTHING = "[limits]\nmax_changed_percent = 0\nmax_missing_percent = 0\n"
DOWN = [{"kind": "status", "status_code": 429, "seconds": 1, "on": call, "every": 1} for call in ("sync", "async")]


def night_file(here, name, market, lot, keys):
    return here.write(name, HEADER, [(f"K{n:06d}", market, lot) for n in keys])


def held(here, field):
    return [code.get(field) for code in here.server().values()]


def unsent(here, name):
    """Plan a file against an API that takes nothing; all of its values stay unsent."""
    here.box.faults.replace(DOWN)
    done = here.sync(name, SYNCER_API__GIVE_UP_AFTER_S="0.5")
    here.box.faults.replace([])
    assert (done.code, done.document["values"]["confirmed"]) == (5, 0), done
    return done


def follow(here, done, **extra):
    """Run what is said next, as it stands."""
    said = (
        done.document["error"]["next"]
        if done.document
        else re.findall(r"next: (syncer [^#\n]*)", done.out + done.err)[-1]
    )
    return here.run(*shlex.split(said)[1:], **extra)


# ── put back, moved, renamed ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["restore", "recover"])
def test_what_a_ledger_dropped_when_it_was_put_back_is_not_confirmed_by_resume(night, way):
    with night(codes=codes(150)) as here:
        here.config(ANYTHING)
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(150))).code == 0
        unsent(here, night_file(here, "n2.csv", "FR", "L2", range(150)))
        assert here.run("ledger", "backup", "b.db").code == 0
        back = here.run("ledger", way, *(["b.db"] if way == "restore" else []))
        assert (back.code, "dropped, never sent: 150 values" in back.out) == (0, True), back
        resumed = here.run("resume", "--json")
        assert resumed.code == 2, resumed
        assert "had not sent was dropped when the ledger was put back" in resumed.document["error"]["message"]
        assert held(here, "market") == ["DE"] * 150
        assert here.sync("n2.csv").code == 0
        assert here.run("resume").code == 0
        assert held(here, "market") == ["FR"] * 150


def test_beside_another_job_what_was_dropped_is_a_note_and_never_0(night):
    with night(codes=codes(40)) as here:
        here.config(ANYTHING + '[jobs.a]\nkey = "extended_id"\n[jobs.b]\nkey = "extended_id"\n')
        night_file(here, "n1.csv", "DE", "L1", range(20))
        here.write("n2.csv", ("extended_id", "colour"), [(f"K{n:06d}", "red") for n in range(20, 40)])
        here.box.faults.replace(DOWN)
        assert here.sync("n1.csv", "--job", "a", SYNCER_API__GIVE_UP_AFTER_S="0.5").code == 5
        assert here.run("ledger", "recover").code == 0
        assert here.sync("n2.csv", "--job", "b", SYNCER_API__GIVE_UP_AFTER_S="0.5").code == 5
        here.box.faults.replace([])
        resumed = here.run("resume", "--json")
        assert (resumed.code, resumed.document["values"]["confirmed"]) == (3, 20), resumed
        assert any("run 1 of job a had not sent was dropped" in note for note in resumed.document["notes"])


def test_a_ledger_that_is_gone_is_not_resumed_and_check_says_so(night):
    with night(codes=codes(30)) as here:
        unsent(here, night_file(here, "n1.csv", "DE", "L1", range(30)))
        (here.folder / "syncer.db").rename(here.folder / "elsewhere.db")
        for command in ("resume", "check"):
            done = here.run(command, "--json")
            assert done.code == 13, done
            assert "is not there, but" in done.document["error"]["message"]
        assert not (here.folder / "syncer.db").exists()
        (here.folder / "elsewhere.db").rename(here.folder / "syncer.db")
        assert here.run("resume").code == 0
        assert held(here, "market") == ["DE"] * 30


def test_a_job_that_nobody_knows_is_not_resumed(night):
    with night(codes=codes(5)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(5))).code == 0
        done = here.run("resume", "--job", "defualt", "--json")
        assert (done.code, "did you mean 'default'?" in done.document["error"]["message"]) == (2, True), done
        assert here.run("resume", "--job", "default").code == 0


# ── what a run leaves behind ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("setting", ['[report]\nout = "pages/last.html"\n', '[metrics]\nfile = "pages/last.prom"\n'])
def test_a_page_or_numbers_without_a_folder_are_found_by_check_and_take_nothing_from_the_run(night, setting):
    with night(codes=codes(30)) as here:
        here.config(setting)
        checked = here.run("check", "--json")
        assert (checked.code, checked.document["error"]["next"].startswith("mkdir -p ")) == (2, True), checked
        done = here.sync(night_file(here, "n1.csv", "DE", "L1", range(30)))
        assert (done.code, done.document["values"]["confirmed"], done.document["error"]["code"]) == (1, 30, "output")
        said = here.run("sync", "n1.csv")
        assert (said.code, "complete: everything is confirmed" in said.out) == (1, True), said
        assert "stopped before its end" not in said.out
        subprocess.run(shlex.split(done.document["error"]["next"]), check=True)
        assert (here.run("check").code, here.sync("n1.csv").code) == (0, 0)
        assert len(list((here.folder / "pages").iterdir())) == 1
        assert f"place of {next((here.folder / 'pages').iterdir()).name}" in here.run("check").out


def test_numbers_that_cannot_be_written_do_not_hide_why_nothing_was_sent(night):
    with night(codes=codes(30)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(30))).code == 0
        here.config('[metrics]\nfile = "pages/last.prom"\n')
        done = here.sync("nothere.csv")
        assert (done.code, done.document["error"]["code"]) == (2, "source"), done
        assert "last.prom cannot be written" in done.err


def test_of_a_night_of_steps_a_page_without_a_folder_is_told_after_them(night):
    with night(codes=codes(30)) as here:
        night_file(here, "n1.csv", "DE", "L1", range(30))
        here.config('[report]\nout = "pages/last.html"\n[nightly]\nsteps = [{sync = {files = ["n1.csv"]}}]\n')
        done = here.run("run", "--json")
        step = done.document["steps"][0]
        assert (done.code, step["exit_code"], done.document["error"]["code"]) == (1, 0, "output"), done
        said = here.run("run")
        assert (said.code, "last.html cannot be written" in said.out) == (1, True), said


def test_nothing_is_left_of_a_page_that_the_disk_does_not_take(night):
    with night(codes=codes(30)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(30))).code == 0
        for command in ("report --out r.html", "audit export --out r.csv", "ledger backup b.db"):
            small = f"ulimit -f 1; exec {sys.executable} -B -m syncer {command}"
            done = subprocess.run(
                ["bash", "-c", small],
                cwd=here.folder,
                env=here.variables(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == (13 if command.startswith("ledger") else 1), done
            assert re.search(r"(r\.html|r\.csv|backup b\.db) cannot be written", done.stderr), done
        assert not [name for name in os.listdir(here.folder) if name.startswith(("r.", "b."))]


def test_a_backup_under_a_name_that_is_taken_says_one_that_is_free(night):
    with night(codes=codes(5)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(5))).code == 0
        (here.folder / "kept").mkdir(mode=0o700)
        for name in ("b.db", "b.db", "kept"):
            done = here.run("ledger", "backup", name, "--json")
            if done.code:
                assert follow(here, done).code == 0
        assert (here.folder / "b-2.db").exists()
        assert (here.folder / "kept" / "syncer-1.db").exists()


# ── the API ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_uploads_that_meet_a_page_where_check_is_green_say_what_may_help(night):
    with night(codes=codes(30)) as here:
        here.config(ANYTHING)
        here.box.faults.replace([{"kind": "status", "on": "sync", "every": 1, "status_code": 405}])
        done = here.sync(night_file(here, "n1.csv", "DE", "L1", range(30)))
        words = done.document["error"]["message"]
        assert (done.code, "other calls are answered" in words, "a proxy" in words) == (5, True, True), done
        assert done.document["error"]["next"] == "syncer sync --json n1.csv"
        assert here.run("check").code == 0
        here.box.faults.replace([])
        assert here.sync("n1.csv").code == 0


def test_a_deployment_at_the_begin_of_a_night_is_waited_for_where_the_api_was_before(night):
    """e15's kind: the pages come before the night's first good answer, and the ledger knows the address."""
    page = {"kind": "status", "on": "any", "every": 1, "status_code": 404}
    with night(codes=codes(30)) as here:
        here.config(ANYTHING)
        here.box.faults.replace([page])
        first = here.sync(night_file(here, "n1.csv", "DE", "L1", range(30)))
        assert (first.code, "is not the API" in first.document["error"]["message"]) == (5, True), first
        here.box.faults.replace([])
        assert here.run("resume").code == 0
        here.box.faults.replace([{**page, "times": 4}])
        done = here.sync(night_file(here, "n2.csv", "FR", "L1", range(30)))
        assert (done.code, done.document["requests"]["retries"]) == (0, 2), done
        assert not [note for note in done.document["notes"] if "404" in note]
        assert held(here, "market") == ["FR"] * 30
        here.box.faults.replace([page])
        night_file(here, "n3.csv", "IT", "L1", range(30))
        done = here.sync("n3.csv", SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, "has failed for 0.5 s" in done.document["error"]["message"]) == (5, True), done
        assert "a deployment may be under way" in here.run("check").out
        here.box.faults.replace([])
        assert follow(here, done).code == 0
        assert held(here, "market") == ["IT"] * 30


def test_a_campaign_that_is_not_there_is_named_and_the_file_is_synced_once_it_is_corrected(night):
    job = '[jobs.a]\nkey = "extended_id"\nmode = "async"\ncampaign = '
    with night(codes=codes(250), campaigns={1: frozenset({"market", "lot"})}) as here:
        here.config(job + "77\n")
        done = here.sync(night_file(here, "n1.csv", "DE", "L1", range(250)))
        assert (done.code, 'Invalid pk "77"' in done.document["error"]["message"].replace("\\", "")) == (5, True), done
        here.config(job + "1\n")
        assert follow(here, done).code == 0
        assert held(here, "market") == ["DE"] * 250


def test_a_wait_that_the_api_asks_for_is_no_failure_of_so_long(night):
    with night(codes=codes(30)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(30))).code == 0
        here.box.faults.replace([{"kind": "status", "on": "any", "every": 1, "status_code": 429, "seconds": 100}])
        night_file(here, "n2.csv", "DE", "L2", range(30))
        done = here.sync("n2.csv", "--approve")
        assert done.code == 5
        assert "or asks for a longer wait than that; the last failure: throttled" in done.document["error"]["message"]
        checked = here.run("check")
        assert (checked.code, "which other programs use the token" in checked.out) == (5, True), checked
        assert "correct api.base_url" not in checked.out
        here.box.faults.replace([])
        assert follow(here, done).code == 0
        assert held(here, "lot") == ["L2"] * 30


# ── disk and clock ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_disk_that_is_full_before_the_plan_is_stored_asks_for_the_file_again(night):
    with night(codes=codes(3000)) as here:
        here.write("n1.csv", HEADER, [(f"K{n:06d}", "DE", f"L{n}") for n in range(3000)])
        small = f"ulimit -f 300; exec {sys.executable} -B -m syncer sync --json n1.csv"
        done = subprocess.run(
            ["bash", "-c", small], cwd=here.folder, env=here.variables(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, '"next": "syncer sync --json n1.csv"' in done.stdout) == (13, True), done
        assert here.sync("n1.csv").code == 0
        assert held(here, "lot") == [f"L{n}" for n in range(3000)]


def test_a_night_that_a_wrong_clock_dated_ahead_is_no_sign_that_later_ones_happened(night):
    with night(codes=codes(5)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(5))).code == 0
        with closing(connect(here.folder / "syncer.db")) as ledger, ledger:
            ledger.execute("UPDATE runs SET ended_at = '2099-01-01T00:00:00.000Z'")
        done = here.run("check", "--max-age", "26h", "--json")
        assert (done.code, done.document["error"]["code"]) == (3, "stale"), done
        assert here.sync("n1.csv").code == 0
        assert here.run("check", "--max-age", "26h").code == 0


def test_a_value_that_a_wrong_clock_dated_ahead_is_not_too_young_to_be_told(night):
    with night(codes=codes(5)) as here:
        assert here.sync(night_file(here, "n1.csv", "DE", "L1", range(4))).code == 0
        assert here.sync(night_file(here, "n2.csv", "DE", "L2", range(5)), SYNCER_RUN__DEADLINE_S="0").code == 10
        assert here.run("check", "--max-age", "26h").code == 0
        with closing(connect(here.folder / "syncer.db")) as ledger, ledger:
            ledger.execute("UPDATE runs SET started_at = '2099-01-01T00:00:00.000Z' WHERE id = 2")
        done = here.run("check", "--max-age", "26h", "--json")
        assert (done.code, done.document["error"]["next"]) == (3, "syncer resume"), done
        assert "since a time to come" in done.document["error"]["message"]
        assert here.run("resume").code == 0
        assert here.run("check", "--max-age", "26h").code == 0


# ── what is said next ────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_failed_task_what_is_said_next_sends_its_values_again(night):
    with night(codes=codes(150)) as here:
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        night_file(here, "n1.csv", "DE", "L1", range(150))
        done = here.run("sync", "n1.csv")
        assert (done.code, "next: syncer resume" in done.out) == (3, True), done
        assert follow(here, done).code == 0
        assert held(here, "market") == ["DE"] * 150


def test_a_plan_says_what_other_keys_left_unsent_of_the_same_codes(night):
    with night(codes=[{"extended_id": f"K{n:06d}", "serial_number": f"S{n}"} for n in range(150)]) as here:
        here.config(ANYTHING + '[jobs.erp]\nkey = "extended_id"\n')
        unsent(here, night_file(here, "n1.csv", "DE", "L1", range(150)))
        here.config(ANYTHING + '[jobs.erp]\nkey = "serial_number"\n')
        here.write("n2.csv", ("serial_number", "market"), [(f"S{n}", "FR") for n in range(100)])
        words = "values that earlier runs by extended_id left unsent go first, in calls of their own: 150"
        assert words in here.run("plan", "--json", "n2.csv").document["notes"]
        assert here.sync("n2.csv").code == 0
        assert sorted(set(held(here, "market"))) == ["DE", "FR"]
        assert held(here, "lot") == ["L1"] * 150
        assert words not in here.run("plan", "--json", "n2.csv").document["notes"]


def test_a_deadline_before_anything_was_sent_says_that_the_plan_is_kept(night):
    with night(codes=codes(30)) as here:
        done = here.sync(night_file(here, "n1.csv", "DE", "L1", range(30)), "--deadline", "0")
        assert done.code == 10
        assert done.document["error"]["message"] == "the deadline came before anything was sent"
        assert follow(here, done).code == 0
        assert held(here, "market") == ["DE"] * 30
