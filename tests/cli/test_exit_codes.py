"""Every exit code of the contract, produced by the program itself; with --json each prints exactly one document."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import codes
from listeners import wait_for

from syncer.ledger.ledger import Ledger

HEADER = ("extended_id", "intended_market")
ROWS = [(f"K{n:06d}", f"m{n}") for n in range(250)]


def test_0_all_confirmed_and_nothing_to_do(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.sync("a.csv").code == 0
        assert here.sync("a.csv").code == 0
        resumed = here.run("resume", "--json")
        assert (resumed.code, resumed.document["run"]["state"]) == (0, "complete")


def test_0_resume_without_any_run(night):
    with night() as here:
        done = here.run("resume", "--json")
        assert (done.code, done.document["run"]) == (0, None)


def test_1_an_unexpected_failure_is_a_document_too(night):
    with night() as here:
        here.write("a.csv", HEADER, ROWS)
        sabotage = (
            "import sys, syncer.plan.planner as p, syncer.cli as c; p.batch = None; sys.argv[0] = 'syncer'; c.main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", sabotage, "plan", "--json", "a.csv"],
            cwd=here.folder, env=here.variables(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert '"code": "unexpected"' in done.stdout


def test_2_usage_and_configuration_send_nothing(night):
    with night() as here:
        here.write("a.csv", HEADER, ROWS)
        here.write("nokey.csv", ("id", "intended_market"), [("1", "a")])
        here.write("status.csv", ("extended_id", "status"), [("K000000", "1")])
        for arguments in (
            ["sync", "--json"], ["sync", "--json", "missing.csv"], ["sync", "--json", "a.csv", "--mode", "fast"],
            ["sync", "--json", "a.csv", "--job", "nope"], ["sync", "--json", "nokey.csv"], ["sync", "--json", "status.csv"],
            ["status", "--json", "99"], ["nonsense", "--json"], ["sync", "--json", "a.csv", "--key", "nope"],
        ):  # fmt: skip
            done = here.run(*arguments)
            assert done.code == done.document["exit_code"] == 2 or "status" in arguments, (arguments, done)
            assert done.document["error"]["next"]
        for command in ("sync", "plan"):
            assert here.run(command, "--json").document["error"]["next"] == f"syncer {command} --help"
        for folder, looked_at in (("/dev/full", "/dev/full"), ("a.csv/out", "a.csv")):
            following = here.run("sync", "--json", "a.csv", "--results", folder).document["error"]["next"]
            assert following.startswith("ls -ld /")
            assert following.endswith(looked_at)
        no_token = here.run("sync", "--json", "a.csv", SYNCER_API__TOKEN="")
        assert no_token.code == 2
        assert "SYNCER_API__TOKEN" in no_token.document["error"]["message"]
        assert here.run("sync", "--json", "a.csv", SYNCER_API__BASE_URL="http://example.com").code == 2
        assert here.run("sync", "--json", "a.csv", SYNCER_API__TIMEOUT="5").document["error"]["code"] == "configuration"
        assert len(here.box.requests) == 0


def test_3_some_rows_are_not_confirmed(night):
    with night(codes=codes(249)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.sync("a.csv")
        assert (done.code, done.document["run"]["state"]) == (3, "incomplete")
        assert done.document["values"]["unmatched"] == 1


def test_3_a_stuck_task_is_left_pending_and_let_go_of_by_the_next_run(night):
    with night(codes=codes(150), faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.config('[jobs.default]\nknown_fields = ["intended_market"]\n')
        here.write("a.csv", HEADER, [(key, "DE") for key, _ in ROWS[:150]])
        done = here.sync("a.csv", SYNCER_API__TASK_TIMEOUT_S="0.5")
        assert (done.code, done.document["values"]["pending"]) == (3, 150)
        assert any("syncer abandon 1" in note for note in done.document["notes"])
        again = here.sync("a.csv", SYNCER_API__TASK_TIMEOUT_S="0.5")
        assert (again.code, again.document["rows"]["held"], again.document["earlier_in_doubt"]) == (0, 0, 0)
        assert len(here.box.calls("async")) == 2


def test_4_a_guard_stops_a_run_in_which_too_much_changed(night):
    with night(codes=codes(250)) as here:
        here.config("[limits]\nmax_changed_min_codes = 100\n")
        here.write("a.csv", HEADER, ROWS)
        here.write("b.csv", HEADER, [(key, "other") for key, _ in ROWS])
        assert here.sync("a.csv").code == 0
        requests = len(here.box.requests)
        done = here.sync("b.csv")
        assert (done.code, done.document["run"]["state"]) == (4, "stopped")
        assert len(here.box.requests) == requests
        assert here.sync("b.csv", "--approve").code == 0


def test_4_a_key_value_that_selects_far_more_codes_than_ever_stops_the_run(night):
    world = [{"extended_id": f"K{n:06d}", "case_no": f"C{n // 2}"} for n in range(20)]
    world += [{"extended_id": f"Z{n:06d}", "case_no": "0"} for n in range(100)]
    with night(codes=tuple(world)) as here:
        here.config('[jobs.cases]\nkey = "case_no"\nmode = "async"\n')
        here.write("a.csv", ("case_no", "intended_market"), [(f"C{n}", "DE") for n in range(10)])
        assert here.sync("a.csv").code == 0
        here.write("b.csv", ("case_no", "intended_market"), [("0", "FR")])
        done = here.sync("b.csv")
        assert (done.code, done.document["error"]["code"]) == (4, "guard")


def test_5_the_api_is_down(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.sync("a.csv", SYNCER_API__BASE_URL="http://127.0.0.1:9", SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
        assert done.document["values"]["unsent"] == 250
        assert here.run("resume", "--json").code == 0
        assert here.server()["K000249"]["intended_market"] == "m249"


def test_10_the_deadline_comes_first_and_resume_finishes(night):
    with night(codes=codes(250), latency_s=1.2) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.sync("a.csv", "--deadline", "2", SYNCER_API__CONCURRENCY="1", SYNCER_API__TIMEOUT_S="9")
        assert (done.code, done.document["error"]["next"]) == (10, "syncer resume")
        assert here.run("resume", "--json").document["values"]["confirmed"] == 250


@pytest.mark.parametrize("on", ["me", "tasks"])
def test_10_the_deadline_ends_a_read_that_is_never_answered(night, on):
    """It lasted until api.timeout_s, a minute: also where nothing had begun yet."""
    with night(codes=codes(3), faults=[{"kind": "hang", "on": on, "every": 1, "seconds": 60}]) as here:
        here.write("a.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(3)])
        began_s = time.monotonic()
        done = here.sync("a.csv", "--mode", "async", "--deadline", "2", SYNCER_API__TIMEOUT_S="60")
        assert (done.code, done.document["error"]["code"]) == (10, "deadline")
        assert time.monotonic() - began_s < 20
        here.box.faults.replace([])
        assert here.run("resume", "--json").code == 0
        assert {code["intended_market"] for code in here.server().values()} == {"DE"}


def test_11_another_run_holds_the_ledger(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        with Ledger.open_to_write(f"sqlite:///{here.folder}/syncer.db", at="2026-11-20T05:00:00.000Z"):
            done = here.sync("a.csv")
            assert (done.code, done.document["error"]["code"]) == (11, "ledger-busy")
            assert str(os.getpid()) in done.document["error"]["message"]
            assert here.run("status", "--json").code == 0
            assert "in use" in str(here.run("check", "--json").document["findings"])
        assert len(here.box.calls("sync")) == 0
        assert here.sync("a.csv").code == 0


def test_12_the_token_or_a_permission_is_refused(night):
    with night(codes=codes(250), tokens={"other": frozenset()}) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.sync("a.csv").code == 12
        done = here.sync("a.csv", SYNCER_API__TOKEN="other")
        assert (done.code, done.document["values"]["unsent"]) == (12, 250)
        assert here.run("check", "--json").code == 12


def test_what_stops_a_resume_that_has_nothing_to_finish_shows_no_run_that_is_complete(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        assert here.sync("a.csv").code == 0
        here.box.faults.replace([{"kind": "status", "on": "any", "every": 1, "status_code": 401}])
        done = here.run("resume", "--json")
        document = done.document
        assert (done.code, document["run"], document["runs"]) == (12, None, [])
        assert not any((*document["rows"].values(), *document["values"].values(), *document["batches"].values()))
        assert document["requests"]["reads"] > 0
        text = here.run("resume")
        assert (text.code, "complete" in text.out) == (12, False)
        here.box.faults.replace([])
        assert here.run("resume", "--json").document["run"]["state"] == "complete"


def test_13_the_ledger_cannot_be_used(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        (here.folder / "syncer.db").write_bytes(b"this is no database, whatever its name says" * 100)
        done = here.sync("a.csv")
        assert (done.code, done.document["error"]["code"]) == (13, "ledger-corrupt")
        (here.folder / "syncer.db").unlink()
        assert here.sync("a.csv").code == 0
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        done = here.sync("a.csv")
        assert (done.code, done.document["error"]["code"]) == (13, "ledger-schema")


def test_130_and_143_interrupted_by_a_signal_and_resumable(night):
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with night(codes=codes(250), latency_s=0.4) as here:
            name = here.write(f"{code}.csv", HEADER, [(key, f"{cell}-{code}") for key, cell in ROWS])
            process = here.start("sync", "--json", "--approve", name, SYNCER_API__CONCURRENCY="1")
            wait_for(lambda box=here.box: box.requests)
            os.kill(process.pid, number)
            out, err = process.communicate(timeout=30)
            assert process.returncode == code, (out, err)
            assert f'"exit_code": {code}' in out
            done = here.run("resume", "--json")
            assert (done.code, done.document["values"]["confirmed"]) == (0, 250)


def test_143_a_signal_ends_a_read_that_hangs_at_once_and_not_after_its_timeout(night):
    with night(codes=codes(3)) as here, socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        slow = {"SYNCER_API__BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "SYNCER_API__TIMEOUT_S": "60"}
        here.write("a.csv", ("extended_id", "market"), [("K000001", "DE")])
        for command in (("products", "pull"), ("sync", "a.csv")):
            process = here.start(*command, "--json", **slow)
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(4) == b"GET "
                began_s = time.monotonic()
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=30)
            assert (process.returncode, time.monotonic() - began_s < 8) == (143, True), (out, err)
            assert "stopped by signal 15 " in json.loads(out)["error"]["message"]
        assert here.sync("a.csv").code == 0


def test_130_a_signal_while_reading_ends_it_before_anything_is_sent(night):
    with night() as here:
        with (here.folder / "big.csv").open("w") as file:
            file.write("extended_id,lot\n")
            file.writelines(f"K{n:09d},L{n}\n" for n in range(2_000_000))
        process = here.start("plan", "--json", "big.csv")
        wait_for(lambda: Path(f"/proc/{process.pid}/statm").exists() and rss_mib(process.pid) > 100)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, (out, err)
        assert '"exit_code": 130' in out


def rss_mib(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20


def test_a_second_signal_stops_at_once(night):
    with night(codes=codes(250), faults=({"kind": "hang", "on": "sync", "every": 1, "seconds": 30},)) as here:
        here.write("a.csv", HEADER, ROWS)
        process = here.start("sync", "a.csv", SYNCER_API__TIMEOUT_S="30")
        wait_for(lambda: here.box.calls("sync"))
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        # another one: two that are alike are one to a process that had no turn in between
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 143
