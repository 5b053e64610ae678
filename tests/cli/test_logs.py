"""Log lines as the program really writes them: what they are about, their time, the journal's levels, cron, the token."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import warnings

import pytest
from conftest import TOKEN, codes

from syncer.process import logs
from syncer.safe import masking

HEADER = ("extended_id", "market")
ROWS = [(f"K{n:06d}", "DE" if n < 150 else f"x{n}") for n in range(250)]


def test_each_line_says_in_json_what_it_is_about(night):
    with night(codes=codes(250), faults=({"kind": "status", "on": "async", "nth": 1, "status_code": 503},)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("sync", "-vv", "--log-format", "json", "a.csv")
        lines = [json.loads(line) for line in done.err.splitlines()]
        changes = [line for line in lines if " -> " in line["message"]]
        assert {(line["run"], line["job"]) for line in changes} == {(1, "default")}
        assert {line["batch"] for line in changes} == {int(line["message"].split()[1].rstrip(":")) for line in changes}
        (failed,) = (line for line in lines if "a call failed" in line["message"])
        assert (failed["level"], failed["run"], failed["batch"]) == ("warning", 1, 1)
        progress = [line for line in lines if "planned:" in line["message"]]
        assert progress
        assert {line["run"] for line in progress} == {1}
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"]) for line in lines)


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "n.csv", "--mode", "fast"), ("abandon",), ("sync", "--nothing"), ("sync", "n.csv", ""), (), ("ledger",),
        ("ledger", "check"), ("--config", "none.toml", "status"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("asked", [("--log-format", "json"), ("--log-format=json",)])
def test_whatever_ends_a_command_every_line_is_json(night, words, asked):
    with night() as here:
        for said in (here.run(*asked, *words), here.run(*words, *asked)) if words else (here.run(*asked),):
            lines = [json.loads(line) for line in said.err.splitlines()]
            assert said.code in {2, 13}
            assert {line["level"] for line in lines} == {"error"}
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"]) for line in lines)


BROKEN = """
import sys
from syncer.cli import program, setup
def broken(**_options):
    raise RuntimeError("one\\ntwo")
setup.check_command.callback = broken
sys.argv[0] = "syncer"
program.main()
"""


def test_a_failure_that_nobody_foresaw_is_json_too_with_its_traceback():
    words = [sys.executable, "-c", BROKEN, "--log-format", "json", "check", "-v"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [json.loads(line)["message"] for line in said.stderr.splitlines()]
    assert (said.returncode, len(lines)) == (1, 2)
    assert ["Traceback" in lines[0], "unexpected failure" in lines[1]] == [True, True]


def test_a_usage_error_begins_with_the_time_where_lines_do(night):
    with night() as here:
        said = here.run("abandon", "--log-time").err
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ error \(usage\): ", said), said
        assert here.run("abandon", "--", "--log-time").err.startswith("error (usage): ")


def test_lines_begin_with_the_time_and_on_request_with_date_and_zone(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        lines = here.run("sync", "-v", "a.csv").err.splitlines()
        assert any("planned: " in line for line in lines)
        assert all(re.match(r"\d\d:\d\d:\d\dZ ", line) for line in lines)
        lines = here.run("sync", "-v", "--log-time", "a.csv").err.splitlines()
        assert lines
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)


def test_the_journal_gets_the_level_of_each_line_and_no_time(night):
    with night(codes=codes(250), faults=({"kind": "status", "on": "async", "nth": 1, "status_code": 503},)) as here:
        here.write("a.csv", HEADER, ROWS)

        def lines_of(*arguments, stream=""):
            with (here.folder / "journal").open("w+b") as file:
                found = os.fstat(file.fileno())
                variables = here.variables(JOURNAL_STREAM=stream or f"{found.st_dev}:{found.st_ino}")
                subprocess.run([sys.executable, "-m", "syncer", *arguments], cwd=here.folder, env=variables, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=file, check=False)  # fmt: skip
                return (here.folder / "journal").read_text().splitlines()

        lines = lines_of("sync", "-vv", "a.csv")
        assert {line[:3] for line in lines} == {"<4>", "<6>", "<7>"}
        assert any(line.startswith("<4>WARNING a call failed") for line in lines)
        assert any(line.startswith("<6>planned: ") for line in lines)
        lines = lines_of("status", "99")
        assert [line[:3] for line in lines] == ["<3>", "<3>"]  # the error, and what helps
        assert lines[0].startswith("<3>error (usage): ")
        assert all(not line.startswith("<") for line in lines_of("status", "99", stream="1:2"))  # another's stream


def test_under_cron_plain_lines_alone_are_written_and_with_q_nothing_when_all_is_well(night):
    with night(codes=codes(250)) as here:
        here.write("a.csv", HEADER, ROWS)
        done = here.run("sync", "a.csv")
        assert not {"\r", "\x1b"} & {*done.err, *done.out}
        quiet = here.run("sync", "-q", here.write("b.csv", HEADER, [("K000001", "FR")]), "--approve")
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
        loud = here.run("sync", "-q", here.write("c.csv", HEADER, [("NOPE0001", "FR")]), "--approve")
        assert (loud.code, "unmatched" in loud.out) == (3, True)


@contextlib.contextmanager
def configured(**options):
    """Logs as the program configures them, and as they were afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("syncer")
    before = [(one, one.handlers[:], one.level, one.propagate) for one in (root, ours)]
    try:
        logs.configure(**{"verbose": 0, "quiet": False, "form": "text", "full_time": False, **options})
        yield
    finally:
        logging.captureWarnings(capture=False)
        logging.raiseExceptions = True
        logs.configure(verbose=0, quiet=False, form="text", full_time=False)
        logging.captureWarnings(capture=False)
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


def test_the_token_is_masked_last_whoever_logs_it_and_however(capsys):
    masking.remember(TOKEN)
    error = RuntimeError(f"refused: {TOKEN}")
    for form in ("text", "json"):
        with configured(form=form, verbose=2):
            logs.say(f"for people: {TOKEN}")
            logging.getLogger("syncer.x").warning("ours: %s", TOKEN)
            logging.getLogger(f"library.{TOKEN}").error("theirs, in the logger's name")
            logging.getLogger("library").error("an object: %s", {"headers": [f"UAT {TOKEN}".encode()]})
            logging.getLogger("syncer.x").error("batch", extra={"batch": TOKEN})
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn(f"of Python: {TOKEN}", stacklevel=1)
            with logs.about(job=TOKEN):
                logs.say("about it")
            try:
                raise error
            except RuntimeError:
                logging.getLogger("library").exception("with a traceback")
        written = capsys.readouterr().err
        assert TOKEN not in written
        assert "RuntimeError" in written
        assert written.count("[token]") >= 5
        if form == "json":
            assert [json.loads(line)["level"] for line in written.splitlines()]
        else:
            assert written.count("\n") == 8
