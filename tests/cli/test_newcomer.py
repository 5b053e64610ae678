"""What somebody meets who does not know the program yet: every message says what is meant, and can be pasted."""

from __future__ import annotations

import pytest
from conftest import codes

HEADER = ("extended_id", "intended_market")


@pytest.fixture
def here(night):
    with night(codes=codes(250)) as opened:
        opened.write("night.csv", HEADER, [("K000001", "DE")])
        yield opened


@pytest.mark.parametrize("arguments", [(), ("audit",), ("ledger",)])
def test_a_group_without_a_command_shows_its_help_and_no_error(here, arguments):
    done = here.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: syncer")
    document = here.run(*arguments, "--json").document if not arguments else here.run("--json", *arguments).document
    assert document["error"]["message"] in {"no command is named", "Missing command."}
    assert document["error"]["next"] == " ".join(["syncer", *arguments, "--help"])


def test_a_file_that_is_not_there_names_its_nearest_neighbour_and_where_to_look(here):
    error = here.run("plan", "nigth.csv", "--json").document["error"]
    assert "did you mean 'night.csv'?" in error["message"]
    assert error["next"] == "ls -l ."
    (here.folder / "exports").mkdir()
    assert here.run("plan", "exports/x.csv", "--json").document["error"]["next"] == "ls -l exports"
    assert here.run("plan", "exports", "--json").document["error"]["next"] == "ls exports"
    assert here.run("codes", "upload", "none.csv", "--json").document["error"]["next"] == "ls -l ."


def test_a_configuration_that_is_not_there_can_be_made_by_what_is_shown(here):
    error = here.run("--config", "my config.toml", "plan", "night.csv", "--json").document["error"]
    assert error["next"] == "syncer init --config 'my config.toml'"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SYNCER_API__TIMEOUT_S", "abc", "api.timeout_s is 'abc'"),
        ("SYNCER_APPI__TIMEOUT_S", "1", "unknown key appi"),
        ("SYNCER_API__TIMEOUTS", "1", "unknown key api.timeouts"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(here, variable, value, words):
    message = here.run("plan", "night.csv", "--json", **{variable: value}).document["error"]["message"]
    assert words in message
    assert f"(the environment says so: {variable})" in message


def test_a_fault_of_the_file_names_no_variable(here):
    here.config("[api]\nconcurrency = 'abc'\n")
    message = here.run("plan", "night.csv", "--json").document["error"]["message"]
    assert "api.concurrency" in message
    assert "environment" not in message


def test_what_a_guard_says_next_names_the_file_and_the_job(here):
    here.config('[jobs.erp]\nkey = "extended_id"\n[jobs.other]\nkey = "serial_number"\n')
    rows = [(f"K{number:06d}", "DE") for number in range(200)]
    here.write("full.csv", HEADER, rows)
    assert here.sync("full.csv", "--job", "erp").code == 0
    here.write("other night.csv", HEADER, [(key, "FR") for key, _ in rows])
    error = here.sync("other night.csv", "--job", "erp").document["error"]
    assert error["next"] == "syncer sync 'other night.csv' --job erp --approve"
    assert all("FILE" not in stop["next"] for stop in error["stops"])


def test_what_helps_with_a_damaged_file_names_the_job_that_reads_it(here):
    (here.folder / "old.csv").write_bytes(b"extended_id,intended_market\nK000001,M\xfcnchen\n")
    error = here.run("plan", "old.csv", "--json").document["error"]
    assert "jobs.default.csv.encoding" in error["message"]


def test_rows_to_correct_are_told_with_the_command_for_their_file(here):
    here.write("a b.csv", HEADER, [("K000001", "DE"), ("", "DE")])
    assert here.run("sync", "a b.csv").out.count("\nnext: syncer sync 'a b.csv'  # ") == 1


def test_own_codes_are_told_nothing_of_settings_that_they_do_not_read(here):
    (here.folder / "own.csv").write_bytes(b"id;intended_market\nBOTTLE-1;M\xfcnchen\n")
    error = here.run("codes", "upload", "own.csv", "--json").document["error"]
    assert error["next"] == "iconv -f cp1252 -t utf-8 own.csv > codes-utf8.csv && syncer codes upload codes-utf8.csv"
    (here.folder / "sandbox.json").write_text("{", encoding="utf-8")
    error = here.run("sandbox", "--port", "0", "--faults", "sandbox.json", "--json").document["error"]
    assert (error["code"], error["next"]) == ("usage", "python3 -m json.tool sandbox.json")
    (here.folder / "sandbox.json").write_text("{}", encoding="utf-8")
    assert here.run("sandbox", "--port", "0", "--faults", "sandbox.json", "--json").code == 2


def test_a_plan_counts_the_calls_that_it_has(here):
    here.write("missing.csv", HEADER, [("NOBODY", "DE")])
    assert here.sync("missing.csv").code == 3
    here.write("all.csv", HEADER, [*((f"K{n:06d}", "DE") for n in range(200)), ("NOBODY", "DE")])
    document = here.run("plan", "all.csv", "--json").document
    calls = sum(document["batches"].values())
    assert f"in {calls} calls (" in here.run("plan", "all.csv").out
