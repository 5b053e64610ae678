"""Every file is its owner's alone, whatever the umask; no planted link is followed; nothing half-made is left."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest
from conftest import codes
from crash.forks import Forks

from syncer.errors import LedgerBusyError, LedgerUntrustedError
from syncer.ledger.ledger import Ledger
from syncer.safe.files import Folder, new_file

HEADER = ("extended_id", "a")
ROWS = [(f"K{n:06d}", "x" if n < 20 else str(n)) for n in range(40)]
VICTIM = "somebody else's: not to be touched"
OURS = (
    "config.toml",
    "syncer.db",
    "syncer.db.lock",
    "copy.db",
    "history.csv",
    "out/confirmed.csv",
    "out/error.csv",
    "out/unprocessed.csv",
)


def mode(path):
    return stat.S_IMODE(path.stat(follow_symlinks=False).st_mode)


def run_all(forks, here):
    """Every command that makes files."""
    for arguments in (
        ("init",),
        ("sync", "a.csv", "--results", "out"),
        ("ledger", "backup", "copy.db"),
        ("audit", "export", "--output", "history.csv"),
    ):
        yield arguments, forks.run(here.folder, here.variables(), *arguments)


@pytest.mark.parametrize("umask", [0o000, 0o377], ids=oct)
def test_files_are_for_their_owner_alone_whatever_the_umask(night, umask):
    before = os.umask(umask)
    try:
        with Forks() as forks:  # it, and every run, inherits the umask
            os.umask(before)
            with night(codes=codes(40)) as here:
                here.write("a.csv", HEADER, ROWS)
                for arguments, done in run_all(forks, here):
                    assert done.code == 0, (arguments, done.err)
                for name in OURS:
                    assert mode(here.folder / name) == 0o600, name
                assert mode(here.folder / "out") & 0o077 == 0
                assert list(here.folder.rglob("*.part")) == []
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "planted",
    [*OURS, *(f"{name}.part" for name in OURS[3:]), "syncer.db-journal", "syncer.db-wal", "syncer.db-shm"],
)  # fmt: skip
@pytest.mark.parametrize("dangling", [False, True], ids=["leads to a file", "leads to nothing"])
def test_no_planted_link_is_followed(night, forks, tmp_path_factory, planted, dangling):
    victim = tmp_path_factory.mktemp("others") / "victim"
    if not dangling:
        victim.write_text(VICTIM)
        victim.chmod(0o644)
    with night(codes=codes(40)) as here:
        here.write("a.csv", HEADER, ROWS)
        (here.folder / "out").mkdir()
        (here.folder / planted).symlink_to(victim)
        for arguments, done in run_all(forks, here):
            assert done.code in {0, 2, 13}, (arguments, done.err)
            assert "unexpected" not in done.err
        if dangling:
            assert not victim.exists()
        else:
            assert victim.read_text() == VICTIM
            assert mode(victim) == 0o644


def test_the_backup_before_an_upgrade_follows_no_link_either(tmp_path):
    from syncer.errors import UsageError
    from syncer.ledger.check import backup

    with Ledger.open_to_write(f"sqlite:///{tmp_path / 'a.db'}", at="2026-01-01T00:00:00Z") as ledger:
        (tmp_path / "b.db").symlink_to(tmp_path / "nowhere")
        with pytest.raises(UsageError, match="never replaces"):
            backup(ledger.path, tmp_path / "b.db")
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "b.db.part").exists()


def test_a_ledger_has_one_lock_by_whatever_name_it_is_called(tmp_path):
    (tmp_path / "data").mkdir()
    real, alias = tmp_path / "data" / "syncer.db", tmp_path / "alias.db"
    Ledger.open_to_write(f"sqlite:///{real}", at="2026-01-01T00:00:00Z").close()
    alias.symlink_to(real)
    with Ledger.open_to_write(f"sqlite:///{alias}", at="2026-01-01T00:00:00Z"), pytest.raises(LedgerBusyError):
        Ledger.open_to_write(f"sqlite:///{real}", at="2026-01-01T00:00:00Z")


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_a_lock_that_is_no_plain_file_is_said_at_once(tmp_path, kind):
    lock = tmp_path / "syncer.db.lock"
    lock.mkdir() if kind == "folder" else os.mkfifo(lock)
    with pytest.raises(LedgerUntrustedError, match="lock is no plain file"):
        Ledger.open_to_write(f"sqlite:///{tmp_path / 'syncer.db'}", at="2026-01-01T00:00:00Z")


def test_what_could_not_be_finished_is_taken_away(night, forks):
    with night(codes=codes(40)) as here:
        here.write("a.csv", HEADER, ROWS)
        (here.folder / "out" / "error.csv").mkdir(parents=True)  # the second of three files cannot get its name
        (here.folder / "history.csv").mkdir()
        done = forks.run(here.folder, here.variables(), "sync", "a.csv", "--results", "out")
        assert (done.code, "results cannot be written" in done.out + done.err) == (1, True), done.err
        done = forks.run(here.folder, here.variables(), "audit", "export", "--output", "history.csv")
        assert (done.code, "cannot be written" in done.err) == (2, True), done.err
        assert forks.run(here.folder, here.variables(), "ledger", "backup", "no/copy.db").code == 2
        assert list(here.folder.rglob("*.part")) == []


def test_a_new_file_is_beside_its_name_and_gone_after_a_failure(tmp_path):
    def fail():
        with Folder.open(tmp_path) as folder, new_file(folder, "a") as part:
            assert (part.path.parent, mode(part.path)) == (tmp_path, 0o600)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_given_to_a_file_only_once(tmp_path, monkeypatch):
    def no_links(*_arguments, **_settings):
        raise PermissionError(1, "no hard links here")

    with Folder.open(tmp_path) as folder:
        for name in ("linked", "renamed"):
            if name == "renamed":
                monkeypatch.setattr(os, "link", no_links)
            for text, fails in ((b"first", False), (b"second", True)):
                with new_file(folder, name) as part:
                    part.file.write(text)
                    with pytest.raises(FileExistsError) if fails else contextlib.nullcontext():
                        part.keep(new=True)
            assert (tmp_path / name).read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linked", "renamed"]
