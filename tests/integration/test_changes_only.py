"""An API whose answers count and name only what a call changed: nights as on any other, over real HTTP."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import requests
from conftest import open_night

HEADER = ["extended_id", "market", "lot"]


def populated(count, **fields):
    """Return codes that another integration wrote before: all have their market."""
    return tuple({"extended_id": f"K{n:07d}", "market": "DE", **fields} for n in range(count))


def rows(count, market="DE", lot="L1"):
    return [[f"K{n:07d}", market, lot] for n in range(count)]


def held(here, *names):
    return {tuple(code.get(name, "") for name in names) for code in here.box.codes()}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_first_night_of_a_company_whose_codes_hold_a_part_of_it_already(tmp_path, mode):
    with open_night(tmp_path, codes=populated(120), changes_only=True) as here:
        file = here.write("a.csv", HEADER, rows(120))
        done = here.sync(file, "--mode", mode)
        assert (done.code, done.document["discarded_fields"], done.document["values"]["confirmed"]) == (0, [], 120)
        assert held(here, "market", "lot") == {("DE", "L1")}
        again = here.sync(file, "--mode", mode)
        assert (again.code, again.document["rows"]["unchanged"], again.document["requests"]["updates"]) == (0, 120, 0)


def test_a_field_that_the_campaign_does_not_define_is_discarded_there_too(tmp_path):
    fields = {1: frozenset({"lot"})}
    with open_night(tmp_path, codes=populated(30), campaigns=fields, changes_only=True) as here:
        file = here.write("a.csv", HEADER, rows(30, market="FR"))
        done = here.sync(file)
        assert (done.code, done.document["discarded_fields"]) == (3, ["market"])
        assert held(here, "market", "lot") == {("DE", "L1")}


def test_after_a_recovery_the_same_file_costs_its_calls_and_ends_well(tmp_path):
    with open_night(tmp_path, codes=populated(30), changes_only=True) as here:
        file = here.write("a.csv", HEADER, rows(30))
        assert here.sync(file).code == 0
        here.run("ledger", "recover", "--json")
        assert here.sync(file).code == 0
        assert here.sync(file).document["rows"]["unchanged"] == 30
        changed = here.write("b.csv", HEADER, rows(30, lot="L2"))
        assert here.sync(changed, "--approve").code == 0
        assert held(here, "market", "lot") == {("DE", "L2")}


@pytest.mark.parametrize(("options", "counted"), [((), 1), (("--changes-only",), 0)])
def test_the_sandbox_of_the_command_line_is_such_a_server_when_it_is_told_so(tmp_path, options, counted):
    (tmp_path / "codes.csv").write_text("extended_id,market\nK1,DE\n")
    command = [sys.executable, "-m", "syncer", "sandbox", "--port", "0", "--codes", "codes.csv", *options]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://\S+:\d+", process.stdout.readline())[0]
            body = {"items": [{"extended_id": "K1", "market": "DE"}]}
            headers = {"Authorization": "UAT any"}
            answer = requests.post(f"{url}/api/v2/scm/upload/", json=body, headers=headers, timeout=5).json()
        finally:
            process.terminate()
    assert (answer["total_updates"], answer["codes_affected"]) == (1, counted)
