"""What decides where the token goes must be ours, and nobody else's to change; secrets come from where they are safe."""

from __future__ import annotations

import os
import stat
import sys

import pytest
from security.others import as_stranger, needs_root, open_to_all

from syncer.config import load_settings
from syncer.errors import ConfigError

CONFIG = '[api]\nbase_url = "https://evil.example"\n'
URL = "postgresql://reader:{}@db.example.com/erp"


def loaded(folder, config=None, **environ):
    return load_settings(explicit=config, environ=environ, cwd=folder)


def config(folder, text=CONFIG, mode=0o644):
    path = folder / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@needs_root
@pytest.mark.parametrize("mode", [0o666, 0o644, 0o600])
@pytest.mark.parametrize("named", [False, True])
def test_a_configuration_of_another_account_is_refused(tmp_path, night, mode, named):
    shared = open_to_all(tmp_path / "shared")

    def plant():
        config(shared, mode=mode)

    assert as_stranger(plant)
    with pytest.raises(ConfigError, match=r"config\.toml is not used: .*uid 65534.*mode 0") as refused:
        loaded(shared, shared / "config.toml" if named else None)
    path = shared / "config.toml"
    assert refused.value.next == f"ls -ld {path}  # if what is in it is yours: chown root {path}"


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o644, True), (0o600, True), (0o400, True), (0o666, False), (0o602, False), (0o620, False)]
)
def test_a_configuration_is_nobody_elses_to_change(tmp_path, mode, fine):
    path = config(tmp_path, mode=mode)
    if fine:
        assert loaded(tmp_path).api.base_url == "https://evil.example"
        return
    with pytest.raises(ConfigError, match=f"mode {mode:04o}") as refused:
        loaded(tmp_path)
    assert refused.value.next == f"chmod go-w {path}"


@pytest.mark.parametrize(("mode", "fine"), [(0o777, False), (0o1777, True), (0o755, True)])
def test_the_folder_of_a_configuration_that_nobody_named_counts_too(tmp_path, mode, fine):
    (tmp_path / "here").mkdir()
    config(tmp_path / "here")
    (tmp_path / "here").chmod(mode)
    if fine:
        loaded(tmp_path / "here")
    else:
        with pytest.raises(ConfigError, match="mode 0777") as refused:
            loaded(tmp_path / "here")
        assert refused.value.next.startswith(f"chmod go-w {tmp_path / 'here'}")
    loaded(tmp_path, tmp_path / "here" / "config.toml")  # this one was named


def test_a_configuration_may_be_a_link_of_ours(tmp_path):
    (tmp_path / "etc").mkdir()
    config(tmp_path / "etc")
    (tmp_path / "config.toml").symlink_to(tmp_path / "etc" / "config.toml")
    assert loaded(tmp_path).api.base_url == "https://evil.example"


@pytest.mark.parametrize("command", ["check", "status"])
def test_every_command_says_it_and_what_helps(night, forks, command):
    with night() as here:
        here.config("[run]\ndeadline_s = 5\n")
        (here.folder / "config.toml").chmod(0o666)
        done = forks.run(here.folder, here.variables(), command)
        told = done.out + done.err
        assert (done.code, "mode 0666" in told, "chmod go-w" in told) == (2, True, True), told
        assert not here.box.requests


@pytest.mark.parametrize(("setting", "text"), [("ca_file", "-----BEGIN CERTIFICATE-----"), ("token_file", "token-1")])
@pytest.mark.parametrize("fault", ["writable", "pipe", "theirs"])
def test_what_a_setting_names_is_trusted_no_more(tmp_path, setting, text, fault):
    path = tmp_path / "named"
    if fault == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.write_text(text)
        path.chmod(0o622 if fault == "writable" else 0o600)
    if fault == "theirs":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away; the tests run as another account")
        os.chown(path, 65534, 65534)
    words = {"writable": "mode 0622", "pipe": "is no plain file", "theirs": "uid 65534"}[fault]
    with pytest.raises(ConfigError, match=words) as refused:
        loaded(tmp_path, **{f"SYNCER_API__{setting.upper()}": str(path)})
    assert str(path) in refused.value.next


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────────────────────


def source(**settings):
    lines = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    return f"[jobs.erp.source]\nquery = 'SELECT 1'\n{lines}"


@pytest.mark.parametrize(
    ("settings", "holding"),
    [
        ({"url": URL.format("hunter2")}, "jobs.erp.source.url"),
        ({"url": "mssql+pyodbc:///?odbc_connect=PWD%3Dx"}, "jobs.erp.source.url"),
        ({"url": "postgresql://reader@db.example.com/erp?sslpassword=x"}, "jobs.erp.source.url"),
        ({"url": "sqlite:///erp.db", "password": "hunter2"}, "jobs.erp.source.password"),
        ({"url": "postgresql://reader@db.example.com:5432/erp?sslmode=require"}, None),
        ({"url": "sqlite:////srv/a:b/erp@2.db"}, None),
    ],
)  # fmt: skip
def test_a_configuration_with_a_password_is_for_nobody_else(tmp_path, settings, holding):
    path = config(tmp_path, source(**settings))
    if holding is None:
        loaded(tmp_path)
        return
    with pytest.raises(ConfigError, match=holding) as refused:
        loaded(tmp_path)
    assert ("hunter2" in refused.value.message, refused.value.next) == (False, f"chmod 600 {path}")
    path.chmod(0o600)
    loaded(tmp_path)


def password(folder, **environ):
    found = loaded(folder, **environ).jobs["erp"].source.password
    return None if found is None else found.reveal()


def test_a_password_comes_from_where_the_token_does(tmp_path):
    (tmp_path / "pw").write_text("from the file\n")
    (tmp_path / "pw").chmod(0o600)
    (tmp_path / "source-erp").write_text("from systemd")
    print_it = [sys.executable, "-c", "print('from a vault')"]
    base = source(url="postgresql://reader@db/erp")
    config(tmp_path, base)
    assert password(tmp_path) is None
    assert password(tmp_path, SYNCER_JOBS__ERP__SOURCE__PASSWORD="from the environment") == "from the environment"
    assert password(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)) == "from systemd"
    config(tmp_path, source(url="postgresql://reader@db/erp", password_command=print_it))
    assert password(tmp_path) == "from a vault"
    config(tmp_path, source(url="postgresql://reader@db/erp", password_command=print_it, password_file="pw"))
    assert password(tmp_path) == "from the file"
    (tmp_path / "pw").chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others") as refused:
        password(tmp_path)
    assert refused.value.next == f"chmod 600 {tmp_path / 'pw'}"


def test_a_token_may_come_from_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNCER_JOBS__ERP__SOURCE__PASSWORD", "not for the command")
    script = "import os; assert not [n for n in os.environ if n.startswith('SYNCER_')]; print('UAT token-1'); open('ran', 'a').write('x')"
    config(tmp_path, f"[api]\ntoken_command = {[sys.executable, '-c', script]!r}\n")
    monkeypatch.chdir(tmp_path)
    token = loaded(tmp_path).api.require_token()
    assert not (tmp_path / "ran").exists()  # only when it is needed
    assert [token.reveal(), token.reveal(), repr(token)] == ["token-1", "token-1", "Secret(…)"]
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/no/such/program"], "cannot be started"),
        ([sys.executable, "-c", "import sys; print('secret-word'); sys.exit(3)"], "exit code 3"),
        ([sys.executable, "-c", ""], "is not a token"),
        ([sys.executable, "-c", "print('two words')"], "is not a token"),
        ([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"], "prints no text"),
        (["cat", "/dev/zero"], "prints more than 64 KiB"),
    ],
)
def test_a_command_that_gives_none_is_told_without_its_words(tmp_path, command, words):
    config(tmp_path, f"[api]\ntoken_command = {command!r}\n")
    with pytest.raises(ConfigError, match=words) as refused:
        loaded(tmp_path).api.require_token().reveal()
    assert "secret-word" not in refused.value.message
    assert "token_command" in refused.value.message


def test_init_writes_for_its_owner_alone(night, forks):
    with night() as here:
        (here.folder / "config.toml").unlink(missing_ok=True)
        assert forks.run(here.folder, here.variables(), "init").code == 0
        assert stat.S_IMODE((here.folder / "config.toml").stat().st_mode) == 0o600
        done = forks.run(here.folder, here.variables(), "check")
        assert (done.code, "which no other account can change" in done.out) == (0, True), done.out
