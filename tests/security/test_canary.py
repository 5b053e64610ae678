"""The token stands in nothing that is written or shown, however it is given, however the program fails or dies."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import codes
from security.canary import CROOKED, PLAIN, leaking_files, leaks, writings

from syncer.sandbox.config import ALL_PERMISSIONS

HEADER = ("extended_id", "intended_market")
ROWS = [(f"K{n:06d}", "DE" if n < 150 else f"x{n}") for n in range(250)]
FAULTS = (
    {"kind": "status", "on": "sync", "nth": 1, "status_code": 500},
    {"kind": "garbage", "on": "async", "nth": 1},
    {"kind": "status", "on": "tasks", "nth": 1, "status_code": 429, "seconds": 1},
)
COMMANDS = (
    ("init",), ("-vv", "check"), ("plan", "a.csv", "-v"), ("--json", "plan", "a.csv"),
    ("-vv", "sync", "a.csv", "--results", "out"), ("resume", "-vv", "--log-format", "json"), ("sync", "missing.csv", "-vv"),
    ("-vv", "--log-format", "json", "sync", "--json", "b.csv"), ("status", "1"), ("--json", "status", "1"), ("audit", "show", "K000001"),
    ("audit", "export"), ("audit", "export", "--format", "jsonl", "--output", "history.jsonl"),
    ("ledger", "backup", "copy.db"), ("ledger", "check"), ("--json", "check"), ("-q", "sync", "a.csv", "--force", "--approve"), ("no-such-command",),
)  # fmt: skip
WAYS = ("environment", "token_file", "credentials")


def given(way, token, folder):
    """The variables that give a token in one of the three ways; files lie outside the folder that is searched."""
    folder.mkdir()
    name = "scantrust-token" if way == "credentials" else "token"
    (folder / name).write_text(token)
    (folder / name).chmod(0o600)
    return {
        "environment": {"SYNCER_API__TOKEN": token},
        "token_file": {"SYNCER_API__TOKEN": "", "SYNCER_API__TOKEN_FILE": str(folder / name)},
        "credentials": {"SYNCER_API__TOKEN": "", "CREDENTIALS_DIRECTORY": str(folder)},
    }[way]


def test_the_search_would_find_every_writing():
    for token in (PLAIN, CROOKED):
        assert len(writings(token)) >= 5
        for writing in writings(token):
            assert leaks(token, f"x{writing}x")
        assert not leaks(token, "[token]")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("token", [PLAIN, CROOKED], ids=["plain", "crooked"])
def test_no_command_shows_or_writes_it_at_any_level_in_any_form(night, forks, tmp_path_factory, way, token):
    variables = given(way, token, tmp_path_factory.mktemp("secret") / "given")
    with night(codes=codes(250), faults=FAULTS, tokens={token: ALL_PERMISSIONS}) as here:
        here.write("a.csv", HEADER, [*ROWS, ("", "x")])
        here.write("b.csv", HEADER, [(key, value + "2") for key, value in ROWS[200:]])
        ended = {}
        for arguments in COMMANDS:
            done = forks.run(here.folder, here.variables(**variables), *arguments)
            assert not leaks(token, done.out + done.err), arguments
            assert leaking_files(token, here.folder) == [], arguments
            ended[arguments] = done.code
        assert set(ended.values()) == {0, 2, 3}, ended
        assert any(logged.status_code == 200 for logged in here.box.requests)
        assert (here.folder / "history.jsonl").stat().st_size > 1000


SABOTAGED = (
    "syncer.config:load_settings", "syncer.config.access:find_token", "syncer.commands.runs:connection_of",
    "syncer.commands.runs:plan_with", "syncer.commands.runs:open_session", "syncer.commands.planned:write_results",
    "syncer.ledger.ledger:Ledger.open_to_write", "syncer.ledger.ledger:Ledger.store_plan", "syncer.ledger.ledger:Ledger.begin_run",
    "syncer.ledger.writer:Writer.end_run", "syncer.execute.engine:Engine.settle", "syncer.execute.engine:Engine.send",
    "syncer.execute.assemble:Connection.connect", "syncer.api.transport:Transport.__init__", "syncer.api.transport:Transport.call",
    "syncer.api.transport:Transport._exchange", "syncer.api.transport:Transport.close", "syncer.api.transport:_words", "syncer.api.connection:Watch.begin",
    "syncer.api.connection:Watch.end", "syncer.api.connection:Watch.finish", "syncer.api.connection:Watch.before_sending", "syncer.api.client:Client.upload_sync",
    "syncer.api.client:Client.upload_async", "syncer.api.client:Client.tasks", "syncer.api.client:Client._common", "syncer.api.wire:decode",
    "syncer.api.answers:retry_after_s", "syncer.execute.lanes:ThreadLanes.wait", "syncer.report.document:sync_document",
    "syncer.report.progress:ProgressReport.on_progress", "syncer.report.document:failure_document", "syncer.process.logs:configure",
    "http.client:HTTPConnection.putheader", "urllib3.connection:HTTPConnection.request", "socket:create_connection", "json:loads",
)  # fmt: skip
NOT_ALWAYS_PASSED = {
    "syncer.api.transport:Transport.close", "syncer.api.connection:Watch.end", "syncer.api.transport:_words", "syncer.report.document:failure_document",
    "syncer.commands.planned:write_results", "socket:create_connection", "json:loads", "syncer.config.access:find_token",
}  # fmt: skip


def test_no_failure_anywhere_shows_or_records_it(night, forks, record_property):
    with night(codes=codes(250), faults=({"kind": "hang", "on": "async", "nth": 2, "seconds": 1},)) as here:
        here.write("a.csv", HEADER, [*ROWS, ("", "x")])
        struck = 0
        forms = itertools.cycle(
            [
                ("-v", "sync", "a.csv", "--force", "--results", "out"),
                ("--json", "sync", "a.csv", "-vv", "--force", "--log-format", "json"),
            ]
        )
        variables = here.variables(
            SYNCER_API__TOKEN=CROOKED, CANARY=CROOKED, SYNCER_API__TIMEOUT_S="0.5", SYNCER_API__GIVE_UP_AFTER_S="1"
        )
        for place, arguments in zip(SABOTAGED, forms, strict=False):
            (here.folder / ".struck").unlink(missing_ok=True)
            here.box.faults.replace(here.box.config.faults)
            done = forks.run(here.folder, variables, *arguments, trap={"where": "sabotage", "do": place})
            if (here.folder / ".struck").exists():
                struck += 1
                assert done.code != 0, (place, done.err)
            else:
                assert place in NOT_ALWAYS_PASSED, (place, done.err)
            assert not leaks(CROOKED, done.out + done.err), (place, done.err)
            assert leaking_files(CROOKED, here.folder) == [], place
        assert struck >= len(SABOTAGED) - len(NOT_ALWAYS_PASSED)
        record_property("covered", ("failures of the program, searched for the token", struck))


def test_a_thread_that_dies_shows_a_traceback_without_it():
    script = (
        "import threading, sys, gc\n"
        "from syncer.safe.exposure import cover\n"
        "cover()\n"
        "class Dying:\n"
        "    def __del__(self): raise ValueError('Authorization: UAT ' + TOKEN)\n"
        "def fail(): raise ValueError('Authorization: UAT ' + TOKEN)\n"
        f"TOKEN = {CROOKED!r}\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "Dying(); gc.collect()\n"
        "fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SYNCER_API__TOKEN": CROOKED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("UAT [token]") == 3, done.stderr
    assert not leaks(CROOKED, done.stderr)


def until_called(here):
    until = time.monotonic() + 20
    while not here.box.requests and time.monotonic() < until:
        time.sleep(0.01)
    assert here.box.requests


def test_no_child_and_no_command_line_has_it(night, forks):
    with night(codes=codes(250), latency_s=0.5) as here:
        here.write("a.csv", HEADER, ROWS)
        process = here.start("sync", "a.csv", SYNCER_API__TOKEN=CROOKED)
        until_called(here)
        folder = Path(f"/proc/{process.pid}")
        assert not leaks(CROOKED, (folder / "cmdline").read_bytes())
        children = [child for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()]
        assert children == []
        process.communicate(timeout=30)
        for place in ("syncer.commands.runs:sync", "syncer.api.transport:Transport.call"):
            (here.folder / ".child").unlink(missing_ok=True)
            trap = {"where": "child", "do": place}
            forks.run(here.folder, here.variables(SYNCER_API__TOKEN=CROOKED), "sync", "a.csv", "--force", trap=trap)
            environment = (here.folder / ".child").read_bytes()
            assert b"SYNCER_API__BASE_URL" in environment
            assert not leaks(CROOKED, environment)


def unlimited_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY, reason="no core may be dumped here"
)
def test_a_crash_leaves_no_core_and_its_stack_dump_no_token(night, tmp_path_factory):
    control = tmp_path_factory.mktemp("control")
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=control, preexec_fn=unlimited_core, check=False)
    cores = list(control.iterdir())
    if not cores:
        pytest.skip("this system puts no core into the working folder, so that nothing would be shown")
    cores[0].unlink()
    with night(codes=codes(250), latency_s=2) as here:
        here.write("a.csv", HEADER, ROWS)
        for number in (signal.SIGABRT, signal.SIGSEGV):
            here.box.requests.clear()
            process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "syncer", "-vv", "sync", "a.csv"], cwd=here.folder, preexec_fn=unlimited_core,  # noqa: PLW1509
                env=here.variables(SYNCER_API__TOKEN=CROOKED), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            until_called(here)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            assert process.returncode == -number
            assert "most recent call first" in err
            assert not leaks(CROOKED, out + err)
            assert [path for path in here.folder.rglob("core*") if path.is_file()] == []
            assert leaking_files(CROOKED, here.folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has prctl")
def test_the_memory_of_a_command_is_nobodys_else():
    script = "import ctypes; from syncer.safe.exposure import hide_memory; d = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0); before = d(); hide_memory(); print(before, d())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("tok%40en-1", "tok%40en-1"), ('to"k\'en-1', 'to"k\'en-1'), ("  token-1  ", "token-1"), ("token-1\n", "token-1"),
        ("token-1\r\n", "token-1"), ("UAT token-1", "token-1"), ("tokén-1", None), ("token-1\ntoken-2", None), ("token 1", None),
        ('"token-1"', None), ("'token-1'", None), ("token\t1", None), ("token\x7f1", None), ("tok\udcffen-1", None), ("ｔoken-1", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_sent_as_it_is_or_refused_with_a_clear_word(tmp_path, written, sent, way):
    from syncer.config import load_settings
    from syncer.errors import ConfigError

    (tmp_path / "given").mkdir()
    file = tmp_path / "given" / ("scantrust-token" if way == "credentials" else "token")
    file.write_bytes(written.encode("utf-8", "surrogateescape"))
    file.chmod(0o600)
    environ = {
        "environment": {"SYNCER_API__TOKEN": written},
        "token_file": {"SYNCER_API__TOKEN_FILE": str(file)},
        "credentials": {"CREDENTIALS_DIRECTORY": str(file.parent)},
    }[way]
    if sent is not None:
        settings = load_settings(explicit=None, environ=environ, cwd=tmp_path)
        assert settings.api.require_token().reveal() == sent
        assert sent not in repr(settings) + str(settings)
        return
    with pytest.raises(ConfigError) as caught:
        load_settings(explicit=None, environ=environ, cwd=tmp_path)
    place = "SYNCER_API__TOKEN" if way == "environment" else str(file)
    assert place in caught.value.message
    assert "1" not in caught.value.message.replace(str(tmp_path), "")


def test_a_token_put_into_the_wrong_setting_is_not_repeated(night):
    with night() as here:
        wrong = (
            {"SYNCER_API__TOKEN_FILE": PLAIN, "SYNCER_API__TOKEN": ""},
            {"SYNCER_API__BASE_URL": f"https://user:{PLAIN}@api.scantrust.com"},
            {"SYNCER_LEDGER__URL": f"postgresql://user:{PLAIN}@db/syncer"},
            {"SYNCER_API__TIMEOUT_S": PLAIN, "SYNCER_API__TOKEN": PLAIN},
        )
        for variables in wrong:
            done = here.run("check", **variables)
            assert done.code == 2
            assert not leaks(PLAIN, done.out + done.err), done.out
        here.config(f'[api]\ntoken = "{PLAIN}"\n')
        done = here.run("check")
        assert (done.code, leaks(PLAIN, done.out + done.err)) == (2, [])
