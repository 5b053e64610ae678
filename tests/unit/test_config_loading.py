"""Settings: their order, every fault named, and a token that nothing shows."""

from __future__ import annotations

import pickle
import re
import tomllib
from dataclasses import fields, replace

import pytest

from syncer.config import SECTIONS, Settings, example_text, load_settings, pick_job
from syncer.config.building import build
from syncer.config.checks import name_of
from syncer.config.describing import GROUPS, describe, example_configuration
from syncer.errors import ConfigError
from syncer.safe.masking import Secret

TOKEN = "tok-3f9c"


def load(tmp_path, text="", environ=None, explicit=None):
    if text:
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return load_settings(explicit=explicit, environ=environ or {}, cwd=tmp_path)


def fault(tmp_path, text, environ=None):
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text, environ)
    return raised.value.message


def test_without_a_file_everything_has_its_default(tmp_path):
    settings = load(tmp_path)
    assert settings == Settings()
    assert (settings.api.base_url, settings.api.updates_per_second) == ("https://api.scantrust.com", 10)
    assert pick_job(settings, None).name == "default"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    text = "[api]\ntimeout_s = 5\npoll_s = 7\n[jobs.Erp]\nmode = 'sync'\n"
    environ = {"SYNCER_API__TIMEOUT_S": "9", "SYNCER_JOBS__ERP__MODE": "async", "SYNCER_JOBS__ERP__KEY": '["a", "b"]'}
    settings = load(tmp_path, text, environ)
    assert (settings.api.timeout_s, settings.api.poll_s, settings.api.settle_s) == (9, 7, 30)
    assert (settings.jobs["Erp"].mode, settings.jobs["Erp"].key) == ("async", ("a", "b"))


def test_a_variable_means_one_job_or_none(tmp_path):
    environ = {"SYNCER_JOBS__LINE_2__MODE": "async"}
    assert load(tmp_path, "[jobs.Line-2]\nmode = 'sync'\n", environ).jobs["Line-2"].mode == "async"
    for other in ("Line_2", "line-2"):
        words = fault(tmp_path, f"[jobs.Line-2]\nmode = 'sync'\n[jobs.{other}]\nmode = 'sync'\n", environ)
        assert f"SYNCER_JOBS__LINE_2__MODE may mean each of the jobs Line-2, {other}" in words


@pytest.mark.parametrize(
    "text", ["1_000", "0x1F", "0b10", "0o17", "+5", "-0", "5 # five", "5\nmode = 3", "007", "1" * 5000]
)
def test_a_constant_of_the_environment_is_sent_as_it_is_written(tmp_path, text):
    settings = load(tmp_path, environ={"SYNCER_JOBS__ERP__CONSTANTS__LOT": text})
    assert settings.jobs["erp"].constants == {"lot": text}
    with pytest.raises(ConfigError, match="must be a number"):
        load(tmp_path, environ={"SYNCER_API__TIMEOUT_S": text})


@pytest.mark.parametrize("text", ["2026-11-20", "05:00:00", "1.50", "true", "[1]", "{a = 1}", "null", " x "])
def test_whatever_a_constant_of_the_environment_looks_like_it_is_a_text(tmp_path, text):
    environ = {"SYNCER_JOBS__ERP__CONSTANTS__LOT": text, "SYNCER_JOBS__ERP__FIELDS__M__MAP__De": text}
    job = load(tmp_path, environ=environ).jobs["erp"]
    assert (job.constants, job.fields["m"].map) == ({"lot": text}, {"De": text})


def test_a_name_of_the_environment_is_the_one_that_the_configuration_has(tmp_path):
    text = (
        "[jobs.My-Job.columns]\nA = 'Market'\nS = 'extended_id'\n[jobs.My-Job.constants]\nbrandName = 'x'\n"
        "[jobs.My-Job.fields.Market]\npad = 2\n[jobs.My-Job.units.Case-No]\ncodes = 2\n"
        "[jobs.My-Job.fields.Case-No]\nfrom = 'C'\n"
    )
    job = "SYNCER_JOBS__MY_JOB__"
    environ = {
        f"{job}FIELDS__MARKET__REQUIRED": "true",
        f"{job}UNITS__CASE_NO__CODES": "3",
        f"{job}CONSTANTS__BRANDNAME": "y",
        f"{job}CONSTANTS__lotNumber": "z",
        f"{job}CONSTANTS__WEEK": "48",
        f"{job}COLUMNS__Lieferant": "supplier",
        f"{job}FIELDS__SUPPLIER__MAP__Acme": "A",
    }
    found = load(tmp_path, text, environ).jobs["My-Job"]
    assert (found.fields["Market"].required, found.fields["Market"].pad) == (True, 2)
    assert (list(found.units), found.units["Case-No"].codes) == (["Case-No"], 3)
    assert found.constants == {"brandName": "y", "lotNumber": "z", "week": "48"}
    assert found.columns == {"A": "Market", "S": "extended_id", "Lieferant": "supplier"}
    assert found.fields["supplier"].map == {"Acme": "A"}


def test_a_variable_means_one_field_or_none(tmp_path):
    text = "[jobs.x.fields.lot-no]\npad = 2\n[jobs.x.fields.Lot_No]\npad = 2\n"
    assert load(tmp_path, text, {"SYNCER_JOBS__X__FIELDS__lot-no__PAD": "3"}).jobs["x"].fields["lot-no"].pad == 3
    words = fault(tmp_path, text, {"SYNCER_JOBS__X__FIELDS__LOT_NO__PAD": "3"})
    assert "SYNCER_JOBS__X__FIELDS__LOT_NO__PAD may mean each of the fields Lot_No, lot-no" in words


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("SYNCER_JOBS__MY_JOB__CONSTANTS__LOT", "", "jobs.my-job.constants.LOT is '', but must be a text that is not"),
        ("SYNCER_JOBS__MY_JOB__COLUMNS__Lot", "", "jobs.my-job.columns.Lot is '', but must be an SCM key"),
        ("SYNCER_JOBS__MY_JOB__KEY__X", "b", "jobs.my-job.key is {'x': 'b'}, but must be"),
        ("SYNCER_JOBS__MY_JOB__CAMPAIGN", "2026-11-20", "jobs.my-job.campaign is '2026-11-20', but must be a whole"),
        ("SYNCER_JOBS__MY_JOB__FIELDS__LOT__PAD", "x", "jobs.my-job.fields.LOT.pad is 'x', but must be a whole"),
        (
            "SYNCER_JOBS__MY_JOB__CONSTANTS",
            "{D = 2026-11-20}",
            "jobs.my-job.constants.D is 2026-11-20, but must be a t",
        ),
    ],
)
def test_a_fault_of_a_variable_names_it(tmp_path, name, text, words):
    message = fault(tmp_path, "[jobs.my-job.fields.LOT]\ntrim = true\n", {name: text})
    assert words in message
    assert f"(the environment says so: {name})" in message


def test_a_number_of_the_environment_is_one(tmp_path):
    for text, number in ((" 9 ", 9), ("10", 10), ("0.5", 0.5)):
        assert load(tmp_path, environ={"SYNCER_API__TIMEOUT_S": text}).api.timeout_s == number
    assert load(tmp_path, environ={"SYNCER_JOBS__ERP__UNIQUE": "true"}).jobs["erp"].unique is True


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SYNCER_JOBS__ERP__KEY": "a", "SYNCER_JOBS__ERP__KEY__X": "b"}, "SYNCER_JOBS__ERP__KEY__X names a part of key,"),
        ({"SYNCER_JOBS__ERP": "a", "SYNCER_JOBS__ERP__KEY": "b"}, "SYNCER_JOBS__ERP__KEY names a part of erp,"),
        ({"SYNCER_API__TIMEOUT_S": "5", "SYNCER_API__TIMEOUT_S__X__Y": "5"}, "SYNCER_API__TIMEOUT_S__X__Y names a part of timeout_s,"),
    ],
)  # fmt: skip
def test_a_variable_within_another_one_is_refused_by_its_name(tmp_path, environ, words):
    assert words in fault(tmp_path, "", environ)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"jobs = 3\n", "jobs must be tables"),
        (b"[[jobs]]\nsheet = 'a'\n", "jobs must be tables"),
        (b"jobs = []\n", "jobs must be tables"),
        (b"jobs = false\n", "jobs must be tables"),
        (b"[jobs.x]\nexport = 'changes'\nfiles = 3\n", "jobs.x.files must be a table"),
        ("[api]\n".encode("utf-16"), "config.toml:1: byte 0xff is not utf-8"),
        ("[jobs.a]\n\nsheet = 'M\u00e4rz'\n".encode("cp1252"), "config.toml:3: byte 0xe4 is not utf-8"),
        (b"x = " + b"1" * 5000, "not valid TOML"),
        (b"x = " + b"[" * 5000, "not valid TOML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_words(tmp_path, content, words):
    (tmp_path / "config.toml").write_bytes(content)
    assert words in fault(tmp_path, "")


def test_the_mark_that_windows_writes_before_a_file_is_no_part_of_it(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf[api]\r\ntimeout_s = 7\r\n")
    assert load(tmp_path).api.timeout_s == 7


def test_the_file_is_the_named_one_or_the_variables_or_the_folders(tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("[api]\npoll_s = 11\n")
    assert load(tmp_path, "[api]\npoll_s = 7\n", {"SYNCER_CONFIG": str(other)}).api.poll_s == 11
    assert load(tmp_path, explicit=other).api.poll_s == 11
    for missing in ({"SYNCER_CONFIG": "none.toml"},):
        assert "none.toml" in fault(tmp_path, "", missing)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[api]\ntimout_s = 5\n", "unknown key api.timout_s (did you mean 'timeout_s'?)"),
        ("[apis]\n", "unknown key apis (did you mean 'api'?)"),
        ("[api]\ntimeout_s = '60'\n", "api.timeout_s is '60', but must be a number"),
        ("[api]\nconcurrency = true\n", "api.concurrency is True, but must be a whole number"),
        ("[api]\nconcurrency = 0\n", "between 1 and 64"),
        ("[api]\nbase_url = 'http://example.com'\n", "plain http is for loopback alone"),
        ("[api]\nbase_url = 'https://user:pass@example.com'\n", "must be an address"),
        ("[ledger]\nurl = 'postgresql://x/y'\n", "not supported yet"),
        ("[jobs.a]\nmode = 'fast'\n", "one of auto, sync, async"),
        ("[jobs.a]\nkey = ['a','b']\nmode = 'sync'\n", "several key columns need async calls"),
        ("[jobs.a]\nkey = ['a','b','c','d','e','f']\n", "at most 5"),
        ("[jobs.'a b']\n", "a job's name is made of"),
        ("[jobs.a.fields.d]\ntype = 'date'\nformats = ['%H']\n", "must name day, month and year"),
        ("[jobs.a.fields.d]\ntype = 'date'\nformats = ['%m.%Y']\n", "must name day, month and year"),
        ("[jobs.a.fields.d]\ntype = 'date'\nformats = ['%Y%%m%d']\n", "must name day, month and year"),
        ("[jobs.a.fields.d]\ntype = 'date'\nformats = ['%d.%m.%Y %Q']\n", "is no format of strptime"),
        ("[jobs.a.fields.d]\ntype = 'choice'\n", "choices is missing"),
        ("[jobs.a.csv]\ndelimiter = ''\n", "1 to 8 characters"),
        ("[jobs.a.csv]\nquote = ';;'\n", "one character"),
        ("[jobs.a.csv]\nwidths = [3, 0]\n", "a list of widths"),
        ("[jobs.a.csv]\nencoding = 'base64'\n", "name of an encoding"),
        ("[jobs.a.table]\nskip = ['']\n", "none empty"),
        ("[jobs.a.csv]\nencoding = 'klingon'\n", "name of an encoding"),
        ("[api\n", "not valid TOML"),
        ("api = 3\n", "api must be a table"),
    ],
)
def test_every_fault_is_named_with_its_key(tmp_path, text, words):
    message = fault(tmp_path, text)
    assert words in message
    assert "config.toml" in message


HOOK = "https://prod-12.westeurope.logic.example.com:443/workflows/a1/invoke?api-version=1&sp=%2Ftriggers&sig=x-Y_z"


@pytest.mark.parametrize("url", [HOOK, "https://hc.example.com/key/night?create=1", "http://127.0.0.1:9/hooks/T0"])
def test_the_address_of_a_hook_may_have_a_query(tmp_path, url):
    notify = load(tmp_path, f"[notify]\nwebhook_url = '{url}'\n").notify
    assert notify.webhook_url.reveal() == url


@pytest.mark.parametrize(
    "url", ["https://user:pw@h.example/x", "http://h.example/x", "ftp://h/x", "https://h.example/x#y", "https://h /x"]
)
def test_the_address_of_a_hook_is_refused_without_being_shown(tmp_path, url):
    message = fault(tmp_path, f"[notify]\nwebhook_url = '{url}'\n")
    assert "notify.webhook_url is not shown, but must be an" in message
    assert url not in message


def test_a_day_may_be_named_in_several_ways(tmp_path):
    formats = ["%d-%b-%y", "%d. %B %Y", "%Y-%j", "%G-W%V-%u"]
    faults = []
    build({"jobs": {"a": {"fields": {"d": {"type": "date", "formats": formats}}}}}, faults)
    assert faults == []


def test_all_faults_are_reported_at_once(tmp_path):
    message = fault(tmp_path, "[api]\ntimout_s = 5\npoll_s = 'x'\n[jobs.a]\nmode = 'y'\n", {"SYNCER_API__NOPE": "1"})
    assert all(words in message for words in ("timout_s", "poll_s", "jobs.a.mode", "api.nope"))


def test_an_unknown_environment_variable_is_named(tmp_path):
    assert "SYNCER_TYPO" in fault(tmp_path, "", {"SYNCER_TYPO": "1"})
    for meant, written in (
        ("SYNCER_API__TOKEN", ("SYNCER_API_TOKEN", "SYNCER_API__TOKN", "SYNCER_TOKEN")),
        ("SYNCER_LEDGER__URL", ("SYNCER_LEDGER_URL",)),
        ("SYNCER_API__BASE_URL", ("SYNCER_API_BASE_URL", "SYNCER_API__BASEURL")),
        ("SYNCER_CONFIG", ("SYNCER_CONF",)),
    ):
        for name in written:
            assert meant in fault(tmp_path, "", {name: "1"}).partition("did you mean")[2].replace("base_url", meant), (
                name
            )


def test_the_token_never_comes_from_the_file_and_is_never_shown(tmp_path):
    message = fault(tmp_path, f"[api]\ntoken = '{TOKEN}'\n")
    assert "api.token may not stand in the file" in message
    assert TOKEN not in message
    (tmp_path / "config.toml").unlink()
    settings = load(tmp_path, environ={"SYNCER_API__TOKEN": f"UAT {TOKEN}\n"})
    assert settings.api.require_token().reveal() == TOKEN
    for shown in (repr(settings), str(settings.api.token), f"{settings.api.token}"):
        assert TOKEN not in shown
    with pytest.raises(TypeError):
        pickle.dumps(settings.api.token)


def test_the_tokens_other_places(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "token").chmod(0o600)
    text = "[api]\ntoken_file = 'token'\n"
    assert load(tmp_path, text).api.require_token().reveal() == TOKEN
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(ConfigError, match="read by others") as raised:
        load(tmp_path, text)
    assert "chmod 600" in raised.value.next
    (tmp_path / "config.toml").unlink()
    (tmp_path / "scantrust-token").write_text(TOKEN)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(tmp_path, environ=environ).api.require_token().reveal() == TOKEN
    with pytest.raises(ConfigError, match="SYNCER_API__TOKEN"):
        load(tmp_path).api.require_token()


@pytest.mark.parametrize("bad", ["two words", "ümlaut", "   ", "line\nbreak"])
def test_what_is_no_token_is_refused_without_being_shown(tmp_path, bad):
    message = fault(tmp_path, "", {"SYNCER_API__TOKEN": bad})
    assert bad.strip() == "" or bad not in message


def test_two_jobs_may_write_one_field_by_one_key_since_the_ledger_knows_who_wrote_last(tmp_path):
    shared = "[jobs.a]\nkey='k'\n[jobs.a.columns]\nk='extended_id'\nx='lot'\n[jobs.b]\nkey='k'\n[jobs.b.columns]\nk='extended_id'\n"
    assert set(load(tmp_path, shared + "y='lot'\n").jobs) == {"a", "b"}


def test_a_job_is_picked_by_name_or_because_it_is_the_only_one(tmp_path):
    settings = load(tmp_path, "[jobs.a]\nkey='x'\n[jobs.b]\nkey='y'\n")
    assert pick_job(settings, "b").name == "b"
    for name in (None, "c"):
        with pytest.raises(ConfigError, match="a, b"):
            pick_job(settings, name)


def test_the_example_lists_every_setting_and_loads_with_the_defaults(tmp_path):
    text = example_text()
    assert text == example_configuration(), "make docs"
    settings = load(tmp_path, text)
    assert replace(settings, path=None) == Settings()
    whole = tomllib.loads(re.sub(r"^# (?=[a-z_\[])", "", text.partition("\n\n")[2], flags=re.MULTILINE))
    for one in describe():
        section = whole
        for name in one.key.replace("<name>", "default").rpartition(".")[0].split("."):
            section = section[{"<key>": "case_no" if ".units." in one.key else "production_date"}.get(name, name)]
        assert one.key.rpartition(".")[2] in section, one.key


@pytest.mark.parametrize("one", list(describe()), ids=lambda one: one.key)
def test_every_setting_is_described_and_its_example_is_what_it_takes(one):
    check = next(
        field.metadata["check"]
        for prefix, kind in GROUPS
        for field in fields(kind)
        if "check" in field.metadata and f"{prefix}.{name_of(field)}" == one.key
    )
    taken = check(tomllib.loads(f"it = {one.example}")["it"])
    assert one.when
    assert one.is_set is (one.default not in (None, ()))
    assert not one.is_set or taken == one.default


def test_settings_are_frozen_and_described(tmp_path):
    settings = load(tmp_path)
    with pytest.raises(AttributeError):
        settings.api.poll_s = 1
    described = {one.key for one in describe() if one.meaning}
    for name, kind in SECTIONS.items():
        for one in fields(kind):
            assert f"{name}.{one.name}" in described or one.name == "token"


def test_a_secret_says_nothing():
    assert TOKEN not in repr(Secret(TOKEN)) + str(Secret(TOKEN)) + f"{Secret(TOKEN)!s}"


def test_a_file_of_another_account_says_who_may_read_it(tmp_path, monkeypatch):
    """`check` would only say the same once more."""

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("syncer.config.loading.read_trusted", denied)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as raised:
        load(tmp_path, "[api]\n")
    assert (raised.value.next, "account" in raised.value.remedy) == (f"ls -l {tmp_path / 'config.toml'}", True)
