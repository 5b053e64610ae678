"""Who is told what, over nights that fail, are killed, never start and recover; and the numbers for a monitor."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
import stat
import threading
from contextlib import closing

import pytest
from conftest import codes
from listeners import hooks, listening, wait_for
from prometheus_client.parser import text_string_to_metric_families

HEADER = ("extended_id", "market")


def test_nights_that_fail_are_killed_never_start_and_recover(night):
    """By whom: F the failing command itself, N the next command of its kind, C ``check`` from another timer, P the ping."""
    with night(codes=codes(300)) as here, listening() as (server, url):
        names = {"SYNCER_NOTIFY__WEBHOOK_URL": f"{url}/hook", "SYNCER_NOTIFY__PING_URL": f"{url}/ping"}
        here.environment.update(names)
        here.config(
            '[limits]\nmax_changed_percent = 100\ncheck_columns = false\n[nightly]\nsteps = [{sync = {files = ["n.csv"]}}]\n'
        )
        here.write("n.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(300)])

        def told(*arguments, code):
            server.told.clear()
            assert here.run(*arguments).code == code
            calls, documents = hooks(server.told)
            return [path for _, path in calls if "ping" in path], [
                (one["command"], one["exit_code"]) for one in documents
            ]

        well, stale = ("check", "--max-age", "26h"), ("check", "--max-age", "0m")
        assert told("init", code=0) == ([], [])
        assert told("run", code=0) == (["/ping/start", "/ping/0"], [])
        assert told(*well, code=0) == ([], [])
        # a night that fails: F, once
        here.box.faults.replace([{"kind": "status", "on": "any", "every": 1, "status_code": 503}])
        here.write("n.csv", HEADER, [(f"K{n:06d}", f"M{n}") for n in range(300)])
        for expected in ([("run", 5)], []):
            assert told("run", code=5) == (["/ping/start", "/ping/5"], expected)
        here.box.faults.replace([])
        # a night that is killed: no ping says that it ended; N tells it once
        server.told.clear()
        here.box.faults.replace([{"kind": "hang", "on": "sync", "every": 1, "seconds": 60}])
        process = here.start("run", SYNCER_API__TIMEOUT_S="60")
        wait_for(lambda: sent(here))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        here.box.faults.replace([])
        assert hooks(server.told)[0] == [("GET", "/ping/start")]
        pings, documents = told("run", code=0)
        assert pings == ["/ping/start", "/ping/0"]
        assert documents == [("run", 137), ("run", 0)]
        assert told("run", code=0)[1] == []
        # a night that never starts: C, once, and once when runs are back
        for expected in ([("check", 3)], []):
            assert told(*stale, code=3) == ([], expected)
        for expected in ([("check", 0)], []):
            assert told(*well, code=0) == ([], expected)
        assert "check" not in {work["kind"] for work in here.run("status", "--json").document["works"]}


@pytest.mark.parametrize("drips", [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"])
def test_an_address_that_drips_or_answers_oddly_costs_its_time_alone_and_is_not_shown(night, drips):
    """Of a night with three calls, each of which drips for as long as it may."""
    stop = threading.Event()

    def drip(listener):
        with contextlib.suppress(OSError):
            while not stop.is_set():
                connection, _ = listener.accept()
                threading.Thread(target=dripping, args=(connection,), daemon=True).start()

    def dripping(connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(drips)
            while not stop.wait(0.2):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener, night(codes=codes(3)) as here:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        secret = f"http://127.0.0.1:{listener.getsockname()[1]}/uuid-5ecret"
        here.write("n.csv", HEADER, [("K000001", "DE"), ("NOPE", "DE")])
        names = ("NOTIFY__PING_URL", "NOTIFY__WEBHOOK_URL", "TRACES__URL")
        done = here.sync("n.csv", SYNCER_NOTIFY__TIMEOUT_S="1", **{f"SYNCER_{name}": secret for name in names})
        stop.set()
    assert (done.code, done.document["values"]["confirmed"]) == (3, 1), done
    assert "5ecret" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("host", ["hc..example.invalid", "a" * 64 + ".example.invalid"])
def test_a_host_that_can_be_none_is_a_fault_of_the_setting(night, host):
    with night() as here:
        done = here.run("check", "--json", SYNCER_NOTIFY__PING_URL=f"https://{host}/uuid-5ecret")
        assert done.code == 2
        assert "notify.ping_url" in done.out
        assert "5ecret" not in done.out + done.err


def test_a_message_quotes_no_cell(night):
    with night(codes=codes(3)) as here, listening() as (server, url):
        here.write("n.csv", HEADER, [("1.23457E+11", "DE")])
        done = here.sync("n.csv", SYNCER_NOTIFY__WEBHOOK_URL=f"{url}/hook")
        assert done.code == 4
        assert "1.23457E+11" in done.document["error"]["message"]
        (document,) = hooks(server.told)[1]
        assert "1.23457E+11" not in str(document), document
        assert document["text"] == f"syncer sync: a guard stopped it ({done.document['error']['code']}) (exit code 4)"


def sent(here):
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database:
        return database.execute("SELECT count(*) FROM runs WHERE ended_at IS NULL AND planned").fetchone()[0]


def test_a_failure_that_comes_to_no_run_is_told_once_where_there_is_a_ledger(night):
    with night(codes=codes(1)) as here, listening() as (server, url):
        here.environment["SYNCER_NOTIFY__WEBHOOK_URL"] = f"{url}/hook"
        here.config("[jobs.a]\n[jobs.b]\n")
        here.run("init")
        for _ in range(2):
            assert here.sync("missing.csv", "--job", "a").code == 2
        file = here.write("a.csv", HEADER, [("K000000", "DE")])
        assert here.sync(file, "--job", "b").code == 0  # another job, another state
        assert here.sync(file, "--job", "a").code == 0
        documents = hooks(server.told)[1]
        assert [(one["exit_code"], one.get("job")) for one in documents] == [(2, None), (0, "a")]
        assert "--job a" not in documents[1]["text"]


def test_a_value_that_is_wanted_for_too_long_is_told_by_check(night):
    with night(codes=codes(1)) as here:
        file = here.write("a.csv", HEADER, [("K000000", "DE")])
        here.box.faults.replace([{"kind": "status", "on": "sync", "every": 1, "status_code": 503}])
        assert here.sync(file).code == 5
        here.box.faults.replace([])
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute("UPDATE runs SET started_at = '2020-01-01T00:00:00.000Z'")
        found = here.run("check", "--json", "--max-age", "26h").document
        (wanted,) = (one for one in found["findings"] if one["what"] == "wanted by default")
        assert (found["exit_code"], wanted["ok"], wanted["next"]) == (3, False, "syncer resume")
        assert "1 value not confirmed, the oldest for " in wanted["found"]
        assert here.run("resume").code == 0
        assert here.run("check", "--max-age", "26h").code == 0


def test_a_service_of_apprise_is_told_what_the_webhook_is(night):
    with night(codes=codes(1)) as here, listening() as (server, url):
        here.config(f'[notify]\napprise_urls = ["{url.replace("http", "json")}/secret-path"]\n')
        done = here.sync(here.write("a.csv", HEADER, [("NOPE0001", "DE")]))
        assert done.code == 3
        ((_, path, document, _),) = server.told
        assert path == "/secret-path"
        assert "some rows are not confirmed" in document["message"]
        assert "syncer status 1 --rows" in document["message"]
        assert "seal: " in document["message"]
        assert "NOPE0001" not in document["message"]
        assert "secret-path" not in done.out + done.err
        assert here.run("notify", "test").code == 0
        server.answer = 500
        assert here.run("notify", "test").code == 5


def numbers(path):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_the_numbers_for_a_monitor_are_those_of_the_run_and_readable_by_it(night):
    with night(codes=codes(3)) as here:
        here.config('[metrics]\nfile = "syncer.prom"\n')
        rows = [("K000000", "DE"), ("K000001", "FR"), ("NOPE0001", "FR")]
        assert here.sync(here.write("a.csv", HEADER, rows)).code == 3
        path, job = here.folder / "syncer.prom", ("job", "default")
        found = numbers(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert found["syncer_last_run_exit_code", job] == 3
        assert found["syncer_last_run_rows", ("bucket", "read"), job] == 3
        assert found["syncer_last_run_values", ("bucket", "confirmed"), job] == 2
        assert found["syncer_last_run_values", ("bucket", "unmatched"), job] == 1
        assert found["syncer_last_run_calls", job, ("kind", "updates")] >= 1
        assert found["syncer_last_run_calls", job, ("kind", "throttled")] == 0
        assert found["syncer_wanted_values", job] == 0
        assert (
            found["syncer_last_good_run_timestamp_seconds", job] == found["syncer_last_run_end_timestamp_seconds", job]
        )
        here.box.faults.replace([{"kind": "status", "on": "any", "every": 1, "status_code": 503}])
        assert here.sync(here.write("b.csv", HEADER, [("K000002", "DE")]), "--approve").code == 5
        later = numbers(path)
        assert later["syncer_last_run_exit_code", job] == 5
        assert (
            later["syncer_last_good_run_timestamp_seconds", job] == found["syncer_last_good_run_timestamp_seconds", job]
        )
        assert list(here.folder.glob("*.part")) == []
