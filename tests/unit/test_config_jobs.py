"""What can be known from the configuration alone is found before any file is read: by `check` and by every command."""

from __future__ import annotations

import os
import sys

import pytest

from syncer.commands.checkup import check
from syncer.config import load_settings
from syncer.errors import ConfigError, LedgerError
from syncer.ledger.ledger import Ledger
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
    "a field that two jobs write, one of them from a template": (
        (
            '[jobs.a.columns]\nE = "extended_id"\nM = "market"\n'
            '[jobs.b]\nkey = "serial_number"\n[jobs.b.fields.market]\nfrom = "{land}"\n'
        ),
        "jobs 'a' and 'b' both write market, by keys that nothing links",
    ),
    "a constant that another job writes": (
        (
            '[jobs.a.columns]\nE = "extended_id"\nM = "market"\n'
            '[jobs.b]\nkey = "serial_number"\n[jobs.b.constants]\nmarket = "DE"\n'
        ),
        "jobs 'a' and 'b' both write market, by keys that nothing links",
    ),
    "a constant that is no status": (
        "[jobs.x.constants]\nactivation_status = 7\n",
        "activation_status '7' is not 0, 1",
    ),
    "a constant that is no reason": (
        "[jobs.x.constants]\nblacklist_reason = 11\n",
        "'11' is not a number from 0 to 10",
    ),
    "a constant that is no day": (
        '[jobs.x.constants]\nday = "20.11.2026"\n[jobs.x.fields.day]\ntype = "date"\n',
        "jobs.x.constants.day '20.11.2026' is not a date like %Y-%m-%d",
    ),
    "a constant that is no choice": (
        '[jobs.x.constants]\nm = "c"\n[jobs.x.fields.m]\ntype = "choice"\nchoices = ["a", "b"]\n',
        "jobs.x.constants.m 'c' is not one of a, b",
    ),
    "a constant that is too long": (
        '[jobs.x.constants]\nm = "abc"\n[jobs.x.fields.m]\nmax_length = 2\n',
        "jobs.x.constants.m has 3 characters, 2 are allowed",
    ),
    "a constant of blanks": ('[jobs.x.constants]\nm = " "\n', "jobs.x.constants.m is blank"),
    "an identifier as a constant": (
        '[jobs.x.constants]\nextended_id = "A"\n',
        "identifiers of codes cannot be changed",
    ),
    "a constant without a name": ('[jobs.x.constants]\n"" = "A"\n', "white space, or a sign that nobody sees"),
    "a field whose name has an edge": ('[jobs.x.columns]\nA = "lot "\n', "nobody sees, stands in its name, 'lot '"),
    "a field whose name has what nobody sees": ('[jobs.x.columns]\nA = "lo\\u200bt"\n', "in its name, 'lo\\u200bt'"),
    "a header among the lines that are left out": (
        "[jobs.x.csv]\nskip_lines = 1\n[jobs.x.table]\nheader_row = 1\n",
        "jobs.x.table.header_row is 1, a line that jobs.x.csv.skip_lines = 1 leaves out",
    ),
    "a delimiter that is the quote": (
        '[jobs.x.csv]\ndelimiter = "\'"\nquote = "\'"\n',
        "jobs.x.csv.delimiter and jobs.x.csv.quote are one character",
    ),
    "a delimiter of columns that have widths": (
        '[jobs.x.csv]\nwidths = [3, 4]\ndelimiter = ";"\n',
        "jobs.x.csv.delimiter is set beside jobs.x.csv.widths",
    ),
    "columns that send nothing": (
        '[jobs.x]\nkey = "Serial"\n[jobs.x.columns]\nSerial = "extended_id"\n',
        "jobs.x.columns maps the key alone: beside it there is nothing to send",
    ),
    "a header of another width": (
        '[jobs.x.csv]\nwidths = [3, 4]\nheader = ["a"]\n',
        "jobs.x.csv.widths has 2 columns, jobs.x.csv.header 1",
    ),
    **{
        f"what is done in {done}, of {pattern}": (
            f"[jobs.x.files]\npattern = '{pattern}'\ndone = '{done}'\n",
            f"jobs.x.files.done is '{done}', where new files are waited for",
        )
        for pattern, done in (
            ("in/*", "in"),
            ("in/*.csv", "./in/"),
            ("in/../in/*.csv", "in"),
            ("*.csv", "."),
            ("in/*/*.csv", "in/done"),
            ("in/?[a-z]*/*.csv", "in/erp"),
            ("/srv/in/*.csv", "/srv/in"),
            ("s3://b/in/*.csv", "s3://b/in"),
            ("s3://b/*/a.csv", "s3://b/done/"),
            ("sftp://h/in/.x/*.csv", "sftp://h/in/.x"),
        )
    },
    **{
        f"what is done elsewhere, in {done}": (
            f"[jobs.x.files]\npattern = 's3://b/in/*.csv'\ndone = '{done}'\n",
            "jobs.x.files.done must be a name beside the files, or a URL of the same bucket or host",
        )
        for done in ("s3://other/done", "/srv/done", "../done", "sftp://b/done")
    },
    "a unit of a field that is not sent": (
        '[jobs.x.columns]\nS = "extended_id"\nC = "case_no"\n[jobs.x.units.case]\ncodes = 2\n',
        "jobs.x.units.case: 'case' is no field that is sent, did you mean 'case_no'",
    ),
    "a unit that compares what is not sent": (
        '[jobs.x.columns]\nS = "extended_id"\nC = "case_no"\n[jobs.x.units.case_no]\nsame = ["lot"]\n',
        "jobs.x.units.case_no: 'lot' is no field that is sent",
    ),
    "a template of a column that the declared header lacks": (
        '[jobs.x.csv]\nheader = ["extended_id", "Case"]\n[jobs.x.fields.case_no]\nfrom = "{Case}-{Palet}"\n',
        "jobs.x.fields.case_no.from: 'Palet' is not in jobs.x.csv.header",
    ),
    "a column of counts that the declared header lacks": (
        '[jobs.x]\nexpect = "Cods"\n[jobs.x.csv]\nheader = ["case_no", "Codes"]\n',
        "jobs.x.expect: 'Cods' is not in jobs.x.csv.header, did you mean 'Codes'",
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

STEPS = {
    'scans = {campaign = 1, timeframe = "5x", out = "s"}': "timeframe '5x' is no timeframe",
    'scans = {campaign = 1, from = "2026-13-01", out = "s"}': "from '2026-13-01' is no ISO date or time",
    'scans = {campaign = 1, to = "0001-01-01T00:00+02:00"}': "to '0001-01-01T00:00+02:00' lies before the year 1",
    'scans = {campaign = 1, from = "2026-11-20", timeframe = "2w"}': "timeframe stands for itself: leave from and to",
    'scans = {campaign = 1, from = "2026-11-27", to = "2026-11-20"}': "nothing lies between from 2026-11-27 and to 2026",
    "scans = {campaign = 1, where = {cursor = 7}}": "where is for SCM fields; cursor has an option of its own",
    'scans = {campaign = 1, out = "-"}': "out -: scans go into a folder, or with raw_csv into a file",
    'products = {out = "-"}': "out -: standard output is where an export goes without out",
    'products = {out = "p.xlsx"}': "out p.xlsx: the format cannot be told from its name; name it: format csv",
    'products = {out = "p.csv", format = "parquet"}': "out p.csv does not end as the format that is asked for, parquet",
    'products = {out = "p.zip", format = "csv"}': "out p.zip does not end as the format that is asked for, csv",
    'codes = {file = "c.csv", default = {extended_id = "x"}}': "default extended_id: not allowed, use 'id' in the file",
    'codes = {file = "c.csv", default = {activation_status = "active"}}': "default activation_status must be one of 0, 1",
    'codes = {file = "c.csv", errors = "./c.csv"}': "errors names the file itself",
    'sync = {files = "ftp://h/x.csv"}': "files must be a path of this machine, or a URL",
}
"""One step each, and what every command says of it."""
CASES |= {step: (f"[nightly]\nsteps = [{{products = {{}}}}, {{{step}}}]\n", words) for step, words in STEPS.items()}


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_of_a_step_names_it_by_its_key_and_its_number(step, tmp_path):
    (tmp_path / "config.toml").write_text(CASES[step][0])
    with pytest.raises(
        ConfigError, match=r"config.toml: nightly.steps: step 2 \((scans|products|codes|sync)\): "
    ) as found:
        load_settings(explicit=None, environ={}, cwd=tmp_path)
    assert "--" not in found.value.words, "a step has no options of a command line"


@pytest.mark.parametrize(
    "text",
    [
        "[jobs.x.csv]\nskip_lines = 1\n[jobs.x.table]\nheader_row = 2\n",
        '[jobs.x.csv]\nskip_lines = 1\nheader = ["a", "b"]\nwidths = [1, 2]\n[jobs.x.table]\nheader_row = 1\n',
        '[jobs.x.constants]\nactivation_status = "active"\nblacklist_reason = "010"\n',
        '[jobs.x.columns]\nS = "extended_id"\n[jobs.y.columns]\nS = "serial_number"\n[jobs.z.columns]\nS = "id"\n',
        '[jobs.x.fields.serial_number]\nfrom = "{S}-{T}"\n',
        *(
            f"[jobs.x.files]\npattern = '{pattern}'\ndone = '{done}'\n"
            for pattern, done in (
                ("in/*", "in/done"),
                ("in/*.csv", "done"),
                ("in/*/*.csv", "in/.done"),
                ("*.csv", "done"),
                ("s3://b/in/*.csv", "done"),
                ("s3://b/in/*.csv", "s3://b/done"),
                ("s3://b/[in]/*.csv", "s3://b/i"),
                ("in/*/*.csv", "done"),
                ("/srv/in/*.csv", "in"),
            )
        ),
    ],
)
def test_what_can_be_right_is_no_fault_of_a_job(text, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    assert "x" in load_settings(explicit=None, environ={}, cwd=tmp_path).jobs


@pytest.mark.parametrize("step", ['products = {out = "p.csv"}', 'products = {out = "p", format = "parquet"}'])
def test_a_step_that_can_be_done_is_none_of_them(step, tmp_path):
    (tmp_path / "config.toml").write_text(f"[nightly]\nsteps = [{{{step}}}]\n")
    assert len(load_settings(explicit=None, environ={}, cwd=tmp_path).nightly.steps) == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ('products = {out = "none/p.csv"}', "out none/p.csv cannot be written: its folder does not exist"),
        ('products = {out = "there", format = "csv"}', "out there cannot be written: it is a folder"),
        ('codes = {file = "c.csv", errors = "none/e.csv"}', "errors none/e.csv cannot be written"),
        ('scans = {campaign = 1, raw_csv = true, out = "none/s.csv"}', "out none/s.csv cannot be written"),
        ('scans = {campaign = 1, out = "config.toml"}', "out config.toml is a file; scans are written as parts"),
        ('sync = {files = ["n.csv"], results = "config.toml"}', "results config.toml is a file; results are written"),
    ],
)
def test_check_finds_that_a_step_has_no_place_for_what_it_writes(step, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "config.toml").write_text(f"[nightly]\nsteps = [{{products = {{}}}}, {{{step}}}]\n")
    finding = next(one for one in check(None, {}, tmp_path, SystemClock()) if one.what == "step 2 of the night")
    assert f"{step.split()[0]}): {words}" in finding.error.message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('[metrics]\nfile = "there"\n', "there cannot be written: it is a folder"),
        (
            '[jobs.x.files]\npattern = "in/*.csv"\ndone = "config.toml/done"\n',
            "jobs.x.files.done is 'config.toml/done', but must be a folder, and a file is there",
        ),
    ],
)
def test_check_finds_that_a_run_could_not_leave_behind_what_it_has_to(setting, words, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "config.toml").write_text(setting)
    finding = next(one for one in check(None, {}, tmp_path, SystemClock()) if one.what.startswith("place of"))
    assert finding.error.message.endswith(words)


@pytest.mark.parametrize(("text", "words"), CASES.values(), ids=CASES)
def test_a_fault_of_the_jobs_is_found_by_loading_and_by_check(text, words, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as found:
        load_settings(explicit=None, environ={}, cwd=tmp_path)
    assert words in found.value.message.replace("; did", ", did").replace(" (did", ", did")
    (finding,) = check(None, {}, tmp_path, SystemClock())
    assert finding.error is not None
    assert finding.error.message == found.value.message


def test_check_and_who_only_reads_say_that_the_folder_of_the_ledger_is_missing_u5(tmp_path):
    with (
        pytest.raises(LedgerError, match="folder of the ledger does not exist"),
        Ledger.reading(f"sqlite:///{tmp_path}/nowhere/syncer.db"),
    ):
        pass
    environ = {"SYNCER_LEDGER__URL": "sqlite:///nowhere/syncer.db"}
    finding = next(one for one in check(None, environ, tmp_path, SystemClock()) if one.what == "ledger")
    assert finding.error is not None
    assert "nowhere" in finding.error.message
    assert finding.error.next.startswith("mkdir -p ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("", None),
        ("[jobs.x.units.case_no]\ncodes = 2\n", None),
        ("[jobs.x.units.case]\ncodes = 2\n", "'case' is no field that is sent"),
        (
            '[jobs.x.fields.lot]\nfrom = "{Lot}-{case_no}"\n',
            "the column 'Lot' of jobs.x.fields.lot.from is missing",
        ),
        ('[jobs.x.columns]\nextended_id = "extended_id"\nlott = "lot"\n', "columns of jobs.x.columns are missing"),
    ],
)
def test_check_looks_at_the_names_in_the_newest_export(tmp_path, settings, words):
    (tmp_path / "old.csv").write_text("no export at all")
    os.utime(tmp_path / "old.csv", (1, 1))
    (tmp_path / "new.csv").write_text("extended_id,case_no\nA1,C1\n")
    (tmp_path / "config.toml").write_text('[jobs.x.files]\npattern = "*.csv"\n' + settings)
    finding = next(one for one in check(None, {}, tmp_path, SystemClock()) if one.what == "newest export of x")
    if words is None:
        assert finding.error is None
        assert "new.csv: its header has all" in finding.found
    else:
        assert words in finding.error.message
        assert "jobs.x" in finding.error.remedy


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("url = 'sqlite:///e.db'\nquery = 'DELETE FROM t'", "jobs.x.source.query "),
        ("url = 'no url'\nquery = 'SELECT 1'", "jobs.x.source.url is no address as SQLAlchemy writes it"),
        ("url = 'sqlite:///file:e.db%3Fmode=rwc'\nquery = 'SELECT 1'", "options of SQLite stand in the name"),
        (
            "url = 'postgresql://u:secret@h/d'\npassword = 'other'\nquery = 'SELECT 1'",
            "the password stands in the url and beside it",
        ),
        ("url = 'mysql+nodriver://u:secret@h/d'\nquery = 'SELECT 1'", "SQLAlchemy knows no database and driver"),
        ("url = 'postgres://u:secret@h/d'\nquery = 'SELECT 1'", "begins like postgresql+psycopg://"),
        ("url = 'postgresql+asyncpg://u:secret@h/d'\nquery = 'SELECT 1'", "like postgresql+psycopg://"),
    ],
)
def test_check_finds_that_a_query_can_never_be_asked(tmp_path, source, words):
    (tmp_path / "config.toml").write_text(f"[jobs.x.source]\n{source}\n")
    (tmp_path / "config.toml").chmod(0o600)
    finding = next(one for one in check(None, {}, tmp_path, SystemClock()) if one.what == "source of x")
    assert words in finding.error.words
    assert "secret" not in finding.error.words


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("postgresql+psycopg://h/d", "psycopg", "'syncer[postgresql]'"),
        ("mysql://h/d", "MySQLdb", "mysqlclient"),
        ("mysql+mysqlconnector://h/d", "mysql", "mysql-connector-python"),
        ("oracle+oracledb://h/d", "oracledb", "oracledb"),
    ],
)
def test_check_finds_that_the_driver_of_a_query_is_not_installed(tmp_path, monkeypatch, url, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "config.toml").write_text(f"[jobs.x.source]\nurl = '{url}'\nquery = 'SELECT 1'\n")
    finding = next(one for one in check(None, {}, tmp_path, SystemClock()) if one.what == "source of x")
    assert (finding.error.exit_code, finding.error.next) == (2, f"pip install {package}")


def test_check_says_nothing_of_a_query_that_can_be_asked_and_asks_nobody(tmp_path):
    (tmp_path / "config.toml").write_text("[jobs.x.source]\nurl = 'sqlite:////nowhere/e.db'\nquery = 'SELECT 1'\n")
    assert "source of x" not in [one.what for one in check(None, {}, tmp_path, SystemClock())]


def test_check_waits_for_no_export_and_leaves_other_systems_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", sys)  # something that asks nobody
    (tmp_path / "config.toml").write_text(
        '[jobs.x.files]\npattern = "*.csv"\n[jobs.y.files]\npattern = "s3://b/*.csv"\n'
    )
    found = {one.what: one for one in check(None, {}, tmp_path, SystemClock())}
    assert "none is there yet" in found["newest export of x"].found
    assert "newest export of y" not in found
    monkeypatch.setitem(sys.modules, "s3fs", None)
    found = {one.what: one for one in check(None, {}, tmp_path, SystemClock())}
    assert found["newest export of y"].error.next == "pip install 'syncer[s3]'"
