"""What the command line says of itself and how it takes options: help, completion, times, formats, quiet, log lines."""

from __future__ import annotations

import json
import re
import socket
from datetime import date, datetime, timedelta

import click
import pytest
from click.testing import CliRunner
from conftest import codes
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.cli.frame import COMMON_OPTIONS
from syncer.cli.program import cli
from syncer.errors import UsageError
from syncer.process import help as helping
from syncer.process.clock import moment_text
from syncer.process.times import day_later, parse_moment
from syncer.sandbox.api import ROUTES
from syncer.sandbox.faults import CALLS, Faults


def commands(group=cli, path=()):
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_help_shows_a_commands_own_options_before_those_of_every_command(words, command):
    shown = CliRunner().invoke(cli, [*words, "--help"]).output
    own, _, common = shown.partition("Options of every command:")
    own = own.partition("Options:")[2].partition("Examples:")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            is_common = parameter.name in COMMON_OPTIONS
            assert (parameter.opts[-1] in common) is is_common, parameter.name
            assert (parameter.opts[-1] in own) is not is_common, parameter.name


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_help_has_examples_that_call_the_command_itself_by_options_that_it_has(words, command):
    assert command.examples
    shown = " ".join(CliRunner().invoke(cli, [*words, "--help"]).output.split())
    known = {name for one in command.params for name in one.opts}
    for line in command.examples:
        assert re.search(rf"\bsyncer( --json)? {' '.join(words)}\b", line), line
        assert set(re.findall(r"--[a-z-]+", line)) <= known, line
        assert line in shown


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef syncer"), ("fish", "complete ")]
)
def test_completion_prints_a_script_for_each_shell(shell, sign):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert sign in done.output
    assert "_SYNCER_COMPLETE" in done.output


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T05:00:00Z", "2026-11-20T05:00:00+00:00"),
        ("2026-11-25T19:00:00+02:00", "2026-11-25T17:00:00+00:00"),
        ("2026-11-25 19:00", "2026-11-25T19:00:00+00:00"),
        ("2026-11-25T19:00:00.5-0330", "2026-11-25T22:30:00.500000+00:00"),
    ],
)
def test_a_time_is_utc_unless_it_names_an_offset(text, utc):
    assert parse_moment(text, "--since", "audit export").isoformat() == utc


@pytest.mark.parametrize(
    "text", ["25.11.2026", "yesterday", "2026-13-01", "2026-11-31", "20261125", "2026-W48", "", "2026-11-25T25:00"]
)
def test_what_is_no_time_is_refused_by_name(text):
    with pytest.raises(UsageError, match="--since"):
        parse_moment(text, "--since", "audit export")


@given(
    at=st.datetimes().map(lambda one: one.isoformat(sep=" ")),
    offset=st.sampled_from(["", "Z", "+00:00", "-23:59", "+23:59", "+0200"]),
)
@example("0001-01-01T00:00", "+02:00")
@example("9999-12-31T23:59:59", "-05:00")
@example("9999-12-31T23:59:59.999999", "Z")
def test_a_time_is_a_moment_of_the_ledger_or_is_refused(at, offset):
    try:
        found = parse_moment(at + offset, "--since", "audit export")
    except UsageError as error:
        assert offset not in {"", "Z", "+00:00"}, error
        assert "before the year 1 or after the year 9999" in error.message
        return
    assert datetime.fromisoformat(moment_text(found)) == found.replace(microsecond=found.microsecond // 1000 * 1000)
    later = day_later(found)
    assert (later is None) is (found.date() == date.max)
    assert later is None or parse_moment(later, "--until", "audit export") - found == timedelta(days=1)


@pytest.mark.parametrize(
    ("typed", "following"),
    [
        (["a", "--out", "x.csv", "--job=n"], "syncer a --job=n --out y.csv"),
        (["--json", "a", "--output=x.csv", "b c"], "syncer --json a 'b c' --out y.csv"),
        (["a", "--out=x.csv", "--", "--out"], "syncer a --out y.csv -- --out"),
        (["a", "--out"], "syncer a --out y.csv"),
        ([], ""),
    ],
)
def test_what_helps_is_the_command_that_was_typed_with_other_values(monkeypatch, typed, following):
    monkeypatch.setattr(helping, "_typed", typed)
    assert helping.again_with({"--output": None, "--out": "y.csv"}) == following


@pytest.mark.parametrize(
    "words",
    [
        ("status", "9" * 20),
        ("abandon", "1", "9" * 20),
        ("status", "--last", "9" * 20),
        ("audit", "show", "\udcff"),
        ("sync", "--job", "\udcff", "n.csv"),
    ],
)
def test_what_no_ledger_can_hold_is_refused_as_it_is_typed(words):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "larger than any number" in done.output or "no text in UTF-8" in done.output


@pytest.mark.parametrize(
    "words",
    [
        *(("sync", "n.csv", "--deadline", number) for number in ("-5", "nan", "inf")),
        ("resume", "--deadline", "-1"),
        ("scans", "pull", "--campaign", "1", "--deadline", "-1"),
        ("codes", "upload", "n.csv", "--deadline", "-1"),
        ("codes", "upload", "n.csv", "--max-part-mb", "nan"),
        ("sync", "n.csv", "--lock-wait", "nan"),
        ("scans", "compare", "--skew", "inf"),
        ("sandbox", "--latency", "-1"),
        ("sandbox", "--task-delay", "nan"),
    ],
)
def test_what_no_clock_can_wait_for_is_refused(words):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert words[-2] in done.output
    assert "range" in done.output or "not a valid float" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("sync", ""),
        ("sync", "n.csv", "--results", ""),
        ("plan", "n.csv", "--results="),
        ("audit", "show", ""),
        ("status", "--config", ""),
    ],
)
def test_an_empty_argument_is_no_name_and_not_this_folder(words):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "is empty" in done.output
    assert "variable" in done.output


def test_an_option_may_end_with_a_sign_of_its_value(night):
    with night(codes=codes(1)) as here:
        assert here.sync(here.write("n.csv", ["extended_id", "lot"], [["K000000", "7"]])).code == 0
        assert here.run("audit", "show", "--where=lot=").code == 3


@pytest.mark.parametrize("columns", ["0", "000", "", "wide", "-1"])
def test_a_width_that_is_none_hides_nothing(night, columns):
    with night(codes=codes(1)) as here:
        assert here.sync(here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"]])).code == 0
        shown = here.run("status").out
        assert "complete" in shown
        assert here.run("status", COLUMNS=columns).out == shown


def test_the_audit_tells_a_wrong_question_from_an_empty_answer(night):
    with night(codes=codes(2)) as here:
        here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"], ["K000001", "FR"]])
        assert here.sync("n.csv").code == 0
        assert here.run("audit", "export", "--run", "99").code == 2
        assert here.run("audit", "export", "--since", "25.11.2026").code == 2
        unknown = here.run("audit", "show", "NOPE", "--json")
        assert (unknown.code, unknown.document["exit_code"], unknown.document["entries"]) == (3, 3, [])
        later = here.run("audit", "export", "--since", "2099-01-01T00:00:00+02:00")
        assert (later.code, later.out.count("\n")) == (0, 1)
        assert here.run("audit", "export", "--since", "2020-01-01T00:00:00+02:00").out.count("\n") == 3


def test_an_export_is_written_as_asked_or_refused_u12(night):
    with night(codes=codes(1)) as here:
        here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"]])
        assert here.sync("n.csv").code == 0
        assert here.run("audit", "export", "--out", "a.tsv").code == 2
        assert here.run("audit", "export", "--out", "a.csv", "--format", "jsonl").code == 2
        assert not list(here.folder.glob("a.*"))
        refused = here.run("audit", "export", "--json")
        assert (refused.code, refused.document["error"]["code"]) == (2, "usage")
        done = here.run("audit", "export", "--json", "--out", "b.jsonl")
        assert (done.code, done.document["entries"], done.document["format"]) == (0, 1, "jsonl")
        assert json.loads((here.folder / "b.jsonl").read_text())["key"] == ["K000000"]
        piped = here.run("audit", "export", "--out", "-", "--format", "jsonl")
        assert (piped.code, piped.out) == (0, (here.folder / "b.jsonl").read_text())
        for command in (["report"], ["audit", "show", "K000000"], ["audit", "export", "--format", "csv"]):
            lost = here.run(*command, "--json", "--out", f"no where/a.{'html' if len(command) < 4 else 'csv'}")
            assert (lost.code, lost.document["error"]["next"]) == (2, "mkdir -p 'no where'"), command


def test_quiet_says_nothing_when_all_is_well_and_everything_when_it_is_not_u24(night):
    with night(codes=codes(1)) as here:
        here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"]])
        well = here.run("sync", "-q", "n.csv")
        assert (well.code, well.out, well.err) == (0, "", "")
        here.write("m.csv", ["extended_id", "market"], [["K000000", "FR"], ["NOPE0001", "FR"]])
        unwell = here.run("sync", "-q", "m.csv")
        assert unwell.code == 3
        assert "NOPE0001" in unwell.out
        assert here.run("status", "-q").out != ""
        for well in (["init"], ["check"], ["ledger", "check"], ["ledger", "backup", "b.db"], ["audit", "verify"]):
            done = here.run(*well, "-q")
            assert (done.code, done.out, done.err) == (0, "", ""), well


def test_with_json_logs_every_line_of_standard_error_is_json(night):
    with night(codes=codes(1)) as here:
        here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"]])
        lines = here.run("sync", "-v", "--log-format", "json", "n.csv").err.splitlines()
        lines += here.run("sync", "--log-format", "json", "missing.csv").err.splitlines()
        assert len(lines) > 2
        assert all(json.loads(line)["message"] for line in lines)
        assert all(json.loads(line)["at"] for line in lines)


def test_lines_begin_with_date_and_time_on_request(night):
    with night(codes=codes(1)) as here:
        here.write("n.csv", ["extended_id", "market"], [["K000000", "DE"]])
        lines = here.run("sync", "-v", "--log-time", "n.csv").err.splitlines()
        assert lines
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)


def test_a_second_sandbox_on_the_same_port_is_told_apart_from_a_defect(night):
    with night() as here, socket.create_server(("127.0.0.1", 0)) as taken:
        done = here.run("sandbox", "--port", str(taken.getsockname()[1]))
        assert done.code == 2
        assert "--port" in done.err


def test_every_call_of_the_sandbox_can_be_named_in_a_rule():
    assert {route.name for route in ROUTES} | {"storage", "any"} == CALLS


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status"},
        {"kind": "status", "nth": 0},
        {"kind": "status", "every": 1, "times": 0},
        {"kind": "status", "probability": 0},
        {"kind": "status", "every": 1, "on": "snyc"},
    ],
)
def test_a_fault_that_could_never_strike_is_refused(rule):
    with pytest.raises(ValueError, match=r"never strike|probability"):
        Faults([rule], 0)
