"""The morning after: a page about the night, who is told how it ended, and what `check --max-age` says."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from contextlib import closing

import pytest
from conftest import codes
from listeners import hooks, listening

from syncer.errors import UsageError
from syncer.process.times import duration, parse_age

HEADER = ["extended_id", "market"]


def test_a_change_is_told_once_and_a_recovery_once(night):
    with night(codes=codes(2)) as here, listening() as (server, url):
        names = {"SYNCER_NOTIFY__WEBHOOK_URL": f"{url}/hook", "SYNCER_NOTIFY__PING_URL": f"{url}/ping"}
        well = here.write("a.csv", HEADER, [["K000000", "DE"]])
        unwell = here.write("b.csv", HEADER, [["K000000", "DE"], ["NOPE0001", "FR"]])
        told = []
        for file, code in ((well, 0), (unwell, 3), (unwell, 3), (well, 0), (well, 0)):
            server.told.clear()
            assert here.sync(file, "--approve", **names).code == code
            calls, documents = hooks(server.told)
            assert calls[0] == ("GET", "/ping/start")
            assert ("GET", f"/ping/{code}") in calls
            told.append([document["exit_code"] for document in documents])
            everything = json.dumps([(path, document, headers) for _, path, document, headers in server.told])
            assert here.variables()["SYNCER_API__TOKEN"] not in everything
            assert "K000000" not in everything
        assert told == [[], [3], [], [0], []]


def test_a_run_that_never_came_to_be_is_told_with_the_way_out(night):
    with night(codes=codes(1)) as here, listening() as (server, url):
        done = here.sync("missing.csv", SYNCER_NOTIFY__WEBHOOK_URL=f"{url}/hook")
        assert done.code == 2
        ((document,),) = (hooks(server.told)[1],)
        assert document["exit_code"] == 2
        assert done.document["error"]["code"] in document["text"]
        assert document["next"] == done.document["error"]["next"]


@pytest.mark.parametrize("answer", [302, 500])
def test_who_is_told_and_does_not_listen_changes_nothing(night, answer):
    with night(codes=codes(1)) as here, listening(answer) as (server, url):
        file = here.write("a.csv", HEADER, [["NOPE0001", "DE"]])
        done = here.sync(file, SYNCER_NOTIFY__WEBHOOK_URL=f"{url}/secret-path", SYNCER_NOTIFY__TIMEOUT_S="2")
        assert done.code == 3
        assert len(server.told) == 1
        assert "secret-path" not in done.out + done.err
        assert here.run("notify", "test", "--json", SYNCER_NOTIFY__WEBHOOK_URL=url).code == 5
    with night(codes=codes(1)) as here:
        assert here.sync(file, SYNCER_NOTIFY__WEBHOOK_URL="http://127.0.0.1:9/").code == 3
        assert here.run("notify", "test").code == 2


def test_check_says_when_no_run_has_ended_well_for_too_long(night):
    with night(codes=codes(1)) as here:
        file = here.write("a.csv", HEADER, [["K000000", "DE"]])
        never = here.run("check", "--json", "--max-age", "26h")
        assert never.code == 3
        assert "ever ended well" in never.document["error"]["message"]
        assert here.sync(file).code == 0
        assert here.run("check", "--json", "--max-age", "1m").code == 0
        assert here.run("check", "--json", "--max-age", "0m").code == 3
        assert here.run("check", "--max-age", "yesterday").code == 2


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("26h", 93_600), ("3d", 259_200)])
def test_an_age_is_a_number_with_a_unit(text, seconds):
    assert parse_age(text, "--max-age", "check") == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (0.44, "0.4 s"), (59.9, "59.9 s"), (125.5, "2 min 5 s"), (7200, "2 h"), (2_592_000.0, "30 d")],
)
def test_how_long_something_is_is_written_as_people_do(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize("text", ["", "26", "h", "-1h", "1.5h", "26 h", "1w"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(UsageError, match="--max-age"):
        parse_age(text, "--max-age", "check")


def test_the_page_says_the_verdict_what_helps_and_nothing_that_runs(night):
    evil = "<script>alert(1)</script>"
    with night(codes=codes(3)) as here:
        here.sync(here.write("a.csv", HEADER, [["K000000", "DE"]]))
        name = here.write("b & c.csv", HEADER, [["K000000", "FR"], [evil, "DE"], ["", "IT"]])
        assert here.sync(name, SYNCER_REPORT__OUT="page.html").code == 3
        page = (here.folder / "page.html").read_text()
        assert "Finished, but some rows are not confirmed. Exit code 3." in page
        assert "1 row not valid" in page
        assert "syncer audit show" in page
        assert evil not in page
        assert "b &amp; c.csv" in page
        assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
        assert not re.search(r"<script|<link|<img|\son\w+=|\sstyle=|https?://", page)
        assert (here.folder / "page.html").stat().st_mode & 0o777 == 0o600
        done = here.run("report", "1", "2", "--out", "two.html", "--json")
        assert (done.code, done.document["runs"]) == (0, [1, 2])
        assert "All is confirmed." in (here.folder / "two.html").read_text()
        (here.folder / "other.toml").write_text("[jobs.default]\n")
        assert here.run("report", "2", "--out", "other.html", "--config", "other.toml").code == 0
        assert "<code>syncer --config other.toml audit show" in (here.folder / "other.html").read_text()
        assert here.run("report", "99", "--out", "none.html").code == 2
        assert not (here.folder / "none.html").exists()


def test_a_run_whose_process_died_says_what_helps_and_what_earlier_runs_left(night):
    """A planless run cannot be resumed: its file is synced again. What older runs left needs a person, too."""
    with night(codes=codes(120)) as here:
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "nth": 1}])
        rows = [(f"K{n:06d}", "DE") for n in range(110)]
        first = here.sync(here.write("a.csv", HEADER, rows), "--mode", "async", "--deadline", "1")
        assert first.code == 10
        left = len(rows) - first.document["values"]["confirmed"]  # fewer are confirmed where the machine is slow
        with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
            database.execute(
                "INSERT INTO runs SELECT 2, job_id, 'running', 0, started_at, NULL, NULL, NULL, mode, campaign, unique_key,"
                " '{}', 0, '[]', replace(program, 'process ', 'process 999') FROM runs WHERE id = 1"
            )
        assert here.run("report", "--out", "page.html").code == 0
        page = html.unescape((here.folder / "page.html").read_text())
        assert "The process died before its end." in page
        assert "nothing of it was sent</p><code>syncer sync FILE --job default</code>" in page
        told = f"{left} values of earlier runs (1) of job default are not through</p><code>syncer resume --job default"
        assert told in page
        assert "Nothing does." not in page
        assert "Rows and values" not in page
        shown = here.run("status", "2").out
        assert "its process died\nnext: syncer sync FILE --job default" in shown
        assert "attempts" not in shown
        assert "run 2 died without recording an end: syncer sync FILE --job default" in here.run("status").out
