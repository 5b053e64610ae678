"""What can be known from the configuration alone is found before any file is read: by `check` and by every command."""

from __future__ import annotations

import pytest

from syncer.commands.checkup import check
from syncer.config import load_settings
from syncer.errors import ConfigError
from syncer.process.clock import SystemClock

CASES = {
    "two headers on one field": ('[jobs.x.columns]\nA = "market"\nB = "market"\n', "'A' and 'B' to one field, market"),
    "a field that the campaign lacks": (
        '[jobs.x]\nknown_fields = ["market"]\n[jobs.x.columns]\nS = "extended_id"\nM = "markte"\n',
        "not among jobs.x.known_fields, did you mean 'market'",
    ),
    "a forbidden name": ('[jobs.x.columns]\nS = "status"\n', "use activation_status instead"),
    "a key that selects nothing": ('[jobs.x]\nkey = "P"\n[jobs.x.columns]\nP = "product"\n', "cannot select codes"),
    "an identifier as data": (
        '[jobs.x]\nkey = "S"\n[jobs.x.columns]\nS = "extended_id"\nN = "serial_number"\n',
        "identifiers of codes cannot be changed",
    ),
    "a step of an unknown job": (
        '[nightly]\nsteps = [{sync = {job = "erq", files = ["a.csv"]}}]\n[jobs.erp]\n[jobs.erp.columns]\nA = "a"\n',
        "step 1 names a job that there is not: 'erq', did you mean 'erp'",
    ),
    "a step that does not say which job": (
        (
            '[nightly]\nsteps = [{sync = {files = ["a.csv"]}}]\n'
            '[jobs.a]\nkey = "k"\n[jobs.a.columns]\nk = "k"\nx = "x"\n[jobs.b]\nkey = "k"\n[jobs.b.columns]\nk = "k"\ny = "y"\n'
        ),
        "step 1 must say which job is meant: a, b",
    ),
}


@pytest.mark.parametrize(("text", "words"), CASES.values(), ids=CASES)
def test_a_fault_of_the_jobs_is_found_by_loading_and_by_check(text, words, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as found:
        load_settings(explicit=None, environ={}, cwd=tmp_path)
    assert words in found.value.message.replace("; did", ", did").replace(" (did", ", did")
    (finding,) = check(None, {}, tmp_path, SystemClock())
    assert finding.error is not None
    assert finding.error.message == found.value.message


def test_check_says_that_the_folder_of_the_ledger_is_missing(tmp_path):
    environ = {"SYNCER_LEDGER__URL": "sqlite:///nowhere/syncer.db"}
    finding = next(one for one in check(None, environ, tmp_path, SystemClock()) if one.what == "ledger")
    assert finding.error is not None
    assert "nowhere" in finding.error.message
    assert finding.error.next.startswith("mkdir -p ")
