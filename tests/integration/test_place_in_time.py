"""A ledger knows its place in time: backups, older copies, twins and moves are noticed before anything is sent (m9)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress

import pytest
from conftest import codes
from places import Place, held_by

from syncer.commands import ledger as commands
from syncer.commands import recovery
from syncer.commands.environment import Environment
from syncer.errors import LedgerCorruptError, LedgerOldError, TargetChangedError, UsageError
from syncer.ledger import recovery as ledger_recovery
from syncer.ledger.identity import pin_target
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import LedgerLock, lock_path, read_stamp
from syncer.model import Target
from syncer.process.clock import SystemClock
from syncer.process.signals import Interrupt
from syncer.runs import target
from syncer.runs.readers import reader_of
from syncer.runs.target import LOOK_PAGES_MAX, TargetCheck
from syncer.safe.files import Folder
from syncer.sandbox import Sandbox, SandboxConfig

ASYNC = 250
"""Codes with the same data: they travel in an async call."""


def sandbox(**config):
    return Sandbox(SandboxConfig(updates_per_second=1000, task_run_s=0.02, **config))


def night(market, count=ASYNC):
    return {f"K{number:06d}": market for number in range(count)}


def backup(place, name="copy.db"):
    file = place.folder / name
    commands.backup(place.settings(), file, SystemClock())
    return file


def is_old(document, *words):
    error = document["error"]
    assert (document["exit_code"], error["code"]) == (13, "ledger-old"), document
    return [word for word in words if word not in error["message"] + error["next"]] == []


def updates(box):
    return len(box.calls("sync")) + len(box.calls("async"))


@pytest.fixture
def box():
    with sandbox(codes=codes(ASYNC + 10)) as running:
        yield running


def test_a_backup_in_the_ledgers_place_is_noticed_and_restore_is_the_way_back_m9(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    slow = {**place.extra, "SYNCER_API__UPDATES_PER_SECOND": "0.5"}
    place.extra = slow
    each_its_own = {f"K{n:06d}": f"old-{n}" for n in range(ASYNC)}
    cut = place.sync(each_its_own, deadline_s=1.2)
    assert cut["values"]["unsent"] > 0
    place.extra = {}
    saved = backup(place)
    assert place.run("resume")["exit_code"] == 0
    assert place.sync(night("new"), approve=True)["exit_code"] == 0
    shutil.copy(saved, place.ledger)
    before = updates(box)
    small = place.export({"K000001": "newest"}, "small.csv")
    for command, files in (("sync", [small]), ("plan", [small]), ("resume", [])):
        assert is_old(place.run(command, *files), "is a backup", f"syncer ledger restore {place.ledger}")
    assert updates(box) == before
    done = recovery.restore(place.settings(), saved, Environment())
    assert sum(batch.values for batch in done.unsent) == cut["values"]["unsent"]
    assert {batch.file for batch in done.unsent} == {str(place.folder / "night.csv")}
    assert done.new_id != done.old_id
    assert done.replaced is not None
    assert done.replaced.exists()
    assert place.sync({"K000001": "newest"})["values"]["confirmed"] == 1
    assert held_by(box)["K000000"] == "new"
    assert place.sync(night("new"), approve=True)["exit_code"] == 0
    assert held_by(box) == {**night("new"), **{f"K{n:06d}": "" for n in range(ASYNC, ASYNC + 10)}}
    assert commands.check(place.settings()) == []


def test_after_a_restore_nothing_is_unchanged_until_it_was_sent_again_m9(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 50))["exit_code"] == 0
    saved = backup(place)
    assert place.sync(night("FR", 50), approve=True)["exit_code"] == 0
    recovery.restore(place.settings(), saved, Environment())
    again = place.sync(night("DE", 50), approve=True)
    assert (again["exit_code"], again["rows"]["unchanged"], again["values"]["confirmed"]) == (0, 0, 50)
    assert held_by(box)["K000049"] == "DE"
    assert place.sync(night("DE", 50))["rows"]["unchanged"] == 50


def test_a_plain_copy_that_is_put_back_is_older_than_its_lock_file(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    copy = shutil.copy(place.ledger, place.folder / "copy.db")
    assert place.sync(night("FR", 3))["exit_code"] == 0
    shutil.copy(copy, place.ledger)
    before = updates(box)
    assert is_old(place.sync(night("FR", 3)), "an older copy was put in its place", "syncer ledger recover")
    assert is_old(place.run("plan", place.export(night("FR", 3))))
    assert updates(box) == before
    old = recovery.info(place.settings()).identity
    done = recovery.recover(place.settings(), Environment())
    assert (done.old_id, done.unsent, done.let_go) == (old.id, (), ())
    assert place.sync(night("FR", 3))["values"]["confirmed"] == 3
    assert commands.check(place.settings()) == []


def test_another_ledger_in_its_place_is_noticed(tmp_path, box):
    one, other = Place(tmp_path / "one", box.url), Place(tmp_path / "other", box.url)
    for place in (one, other):
        assert place.sync(night("DE", 3))["exit_code"] == 0
    shutil.copy(other.ledger, one.ledger)
    assert is_old(one.sync(night("DE", 3)), "another one than was used here")


def test_a_ledger_that_died_before_its_lock_file_was_written_is_not_old(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    before = lock_path(place.ledger).read_bytes()
    assert place.sync(night("FR", 3))["exit_code"] == 0
    lock_path(place.ledger).write_bytes(before)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    assert read_stamp(place.ledger).position == recovery.info(place.settings()).identity.position


def test_a_ledger_that_was_deleted_begins_anew_and_is_no_older_copy(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    place.ledger.unlink()
    assert place.sync(night("DE", 3))["values"]["confirmed"] == 3
    assert place.sync(night("DE", 3))["rows"]["unchanged"] == 3


@pytest.mark.parametrize("strangers", [0, 45], ids=["alone", "other tasks between"])
def test_an_old_copy_on_another_machine_is_noticed_by_the_newest_tasks(tmp_path, box, strangers):
    place, elsewhere = Place(tmp_path / "srv", box.url), Place(tmp_path / "new", box.url)
    assert place.sync(night("DE"))["exit_code"] == 0
    shutil.copy(place.ledger, elsewhere.ledger)
    assert place.sync(night("FR"), approve=True)["exit_code"] == 0
    for number in range(strangers):
        box.world.create_task(
            {"extended_id": ["K000129"]}, {"lot": "L"}, f"theirs-{number}", now_s=0, start_s=0, run_s=0
        )
    before, details = updates(box), len(box.calls("task"))
    done = elsewhere.sync(night("FR"), approve=True)
    assert is_old(done, "bears this ledger's id", "syncer ledger recover")
    assert (updates(box), len(box.calls("task"))) == (before, details)
    assert done["run"]["state"] == "stopped"


def test_a_twin_is_noticed_by_the_first_of_the_two_that_runs_after_the_other(tmp_path, box):
    one, twin = Place(tmp_path / "one", box.url), Place(tmp_path / "twin", box.url)
    assert one.sync(night("DE"))["exit_code"] == 0
    shutil.copy(one.ledger, twin.ledger)
    assert twin.sync(night("FR"), approve=True)["exit_code"] == 0
    assert is_old(one.sync(night("DE")))
    recovery.recover(one.settings(), Environment())
    assert one.sync(night("DE"), approve=True)["exit_code"] == 0
    assert held_by(box)["K000000"] == "DE"


def test_a_twin_that_made_sync_calls_alone_leaves_no_sign_as_the_documents_say(tmp_path, box):
    one, twin = Place(tmp_path / "one", box.url), Place(tmp_path / "twin", box.url)
    assert one.sync(night("DE", 3))["exit_code"] == 0
    shutil.copy(one.ledger, twin.ledger)
    assert twin.sync(night("FR", 3))["exit_code"] == 0
    assert one.sync(night("DE", 3))["rows"]["unchanged"] == 3


def put_back_over_a_task(place, box):
    """Restore a backup while a task that it does not know is under way; return that task."""
    assert place.sync(night("DE"))["exit_code"] == 0
    saved = backup(place)
    box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
    place.extra = {"SYNCER_API__TASK_TIMEOUT_S": "0.2"}
    assert place.sync(night("FR"), approve=True)["values"]["pending"] == ASYNC
    box.faults.replace([])
    place.extra = {}
    recovery.restore(place.settings(), saved, Environment())
    return [*box.world.tasks.values()][-1]


def test_a_task_of_the_lost_time_that_is_under_way_is_waited_for_since_it_would_land_over_newer_data(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    task = put_back_over_a_task(place, box)
    before = updates(box)
    for done in (place.sync(night("US")), place.run("resume")):
        error = done["error"]
        assert (done["exit_code"], error["code"], updates(box)) == (13, "ledger-old", before)
        assert f"task {task.reference} is 'pending'" in error["message"]
        assert error["message"].endswith("--approve")
    task.stuck = False
    assert place.sync(night("US"))["exit_code"] == 0
    assert held_by(box)["K000000"] == "US"


def test_a_task_of_the_lost_time_that_never_ends_stops_nothing_once_somebody_said_so(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    put_back_over_a_task(place, box)
    assert place.sync(night("US"))["exit_code"] == 13
    assert place.sync(night("US"), approve=True)["exit_code"] == 0
    assert place.sync({**night("US"), "K000001": "DE"})["exit_code"] == 0


def test_a_task_of_the_lost_time_that_ended_since_it_was_listed_is_not_waited_for(tmp_path, box, monkeypatch):
    place = Place(tmp_path / "srv", box.url)
    task = put_back_over_a_task(place, box)

    def end(*asked, ask=target._one_task):
        task.stuck = False
        return ask(*asked)

    monkeypatch.setattr(target, "_one_task", end)
    assert place.sync(night("US"))["exit_code"] == 0


def test_a_task_under_way_that_is_no_ledgers_or_another_ones_stops_no_ledger_that_was_put_back(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE"))["exit_code"] == 0
    recovery.recover(place.settings(), Environment())
    for reference in ("theirs", "erp-r1-b1-a1-0123456789ab.89abcdef"):
        made = box.world.create_task({"extended_id": ["K000129"]}, {"lot": "L"}, reference, now_s=0, start_s=0, run_s=0)
        made.stuck = True
    assert place.sync(night("DE"))["exit_code"] == 0


def test_the_look_at_the_newest_tasks_is_bounded(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    for number in range(20 * LOOK_PAGES_MAX + 50):
        box.world.create_task(
            {"extended_id": ["K000129"]}, {"lot": "L"}, f"theirs-{number}", now_s=0, start_s=0, run_s=0
        )
    assert place.sync(night("DE", 3))["exit_code"] == 0
    assert len(box.calls("tasks")) == LOOK_PAGES_MAX


def test_every_reference_bears_the_ledgers_id(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    ledger_id = place.sync(night("DE"))["ledger"]["id"]
    assert [f"-{ledger_id}." in task.reference for task in box.world.tasks.values()] == [True]


def test_restore_keeps_what_is_there_when_the_file_is_no_ledger(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    broken = place.folder / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerCorruptError):
        recovery.restore(place.settings(), broken, Environment())
    with pytest.raises(UsageError):
        recovery.restore(place.settings(), place.folder / "missing.db", Environment())
    assert place.sync(night("DE", 3))["rows"]["unchanged"] == 3


def test_restore_on_a_machine_without_a_ledger(tmp_path, box):
    place, elsewhere = Place(tmp_path / "srv", box.url), Place(tmp_path / "new", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    saved = backup(place)
    done = recovery.restore(elsewhere.settings(), saved, Environment())
    assert done.replaced is None
    assert elsewhere.sync(night("DE", 3))["values"]["confirmed"] == 3
    assert place.sync(night("DE", 3))["rows"]["unchanged"] == 3


def test_a_backup_may_be_read_and_checked_but_not_used(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    place.extra["SYNCER_LEDGER__URL"] = f"sqlite:///{backup(place)}"
    assert recovery.info(place.settings()).identity.backup_at is not None
    assert commands.check(place.settings()) == []
    assert len(commands.audit_show(place.settings(), ["K000000"])[0][0].entries) == 1
    with pytest.raises(LedgerOldError):
        commands.init(place.settings(), place.folder, Environment())


def test_a_move_of_the_same_company_keeps_what_is_known(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE"))["exit_code"] == 0
    with sandbox(codes=codes(ASYNC)) as moved:
        moved.world.codes, moved.world.tasks = box.world.codes, box.world.tasks
        place.url = moved.url
        assert place.sync(night("DE"))["error"]["code"] == "target-changed"
        found = recovery.adopt_target(place.settings(), Environment())
        assert (found.identity.base_url, found.forgotten) == (moved.url, None)
        assert place.sync(night("DE"))["rows"]["unchanged"] == ASYNC


def test_a_target_that_does_not_know_the_ledgers_tasks_is_adopted_with_nothing_known(tmp_path, box):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE"))["exit_code"] == 0
    with sandbox(codes=codes(ASYNC)) as other:
        place.url = other.url
        found = recovery.adopt_target(place.settings(), Environment())
        assert found.forgotten is not None
        assert place.sync(night("DE"))["values"]["confirmed"] == ASYNC
        assert held_by(other) == night("DE")


def without_target(place):
    """Make a ledger as an upgrade from an earlier schema leaves it: it does not say to whom it belongs."""
    with closing(sqlite3.connect(place.ledger)) as database, database:
        database.execute("UPDATE ledger SET base_url = NULL, company = NULL")
        database.execute("UPDATE attempts SET account = NULL")


def sees_unsigned(place):
    """Look at the target as a run does: whether the token sees tasks of calls that do not say who made them."""
    settings = place.settings()
    with (
        closing(reader_of(settings, SystemClock(), Interrupt(), started_s=SystemClock().monotonic_s())) as reader,
        Ledger.open_to_write(settings.ledger.url, at="2026-11-20T05:00:00.000Z") as ledger,
    ):
        check = TargetCheck(ledger, reader, settings.api.base_url, settings.api.require_token().reveal)
        with suppress(TargetChangedError):
            check.confirm()
        pin_target(ledger, Target(None, None))
    return check.sees_unsigned


@pytest.mark.parametrize("count", [ASYNC, 3], ids=["its newest task is found", "it has no task"])
def test_an_upgraded_ledger_adopts_its_target_where_its_newest_task_is_found(tmp_path, box, count):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", count))["exit_code"] == 0
    without_target(place)
    with sandbox(codes=codes(ASYNC)) as other:
        place.url = other.url
        refused = place.sync(night("DE", count))
        assert (refused["exit_code"], refused["error"]["code"]) == (2, "target-changed")
        assert updates(other) == 0
    place.url = box.url
    assert sees_unsigned(place) is (count == ASYNC)
    done = place.sync(night("DE", count))
    assert done["exit_code"] == (0 if count == ASYNC else 2)
    approved = place.sync(night("DE", count), approve=True)
    assert (approved["exit_code"], approved["rows"]["unchanged"]) == (0, count)
    assert place.sync(night("DE", count))["exit_code"] == 0


def test_absence_counts_only_for_the_account_that_sent(tmp_path):
    """What another account's token sent is never shown absent: it is let go of after the time of a task."""
    with sandbox(codes=codes(ASYNC), faults=({"kind": "drop_before", "on": "async", "nth": 1},)) as box:
        place = Place(tmp_path / "srv", box.url, extra={"SYNCER_API__SETTLE_S": "60"})
        first = place.sync(night("DE"), deadline_s=8.0)
        lost = first["values"]["in_doubt"]
        assert lost > 0
        with closing(sqlite3.connect(place.ledger)) as database, database:
            assert database.execute("SELECT DISTINCT account FROM attempts").fetchall() == [("account 1638",)]
            database.execute("UPDATE attempts SET account = 'account 7'")
        place.extra = {"SYNCER_API__SETTLE_S": "0.1"}
        waiting = place.run("resume")
        assert (waiting["exit_code"], waiting["values"]["in_doubt"]) == (3, lost)
        assert box.world.tasks == {}
        place.extra["SYNCER_API__TASK_TIMEOUT_S"] = "0.001"
        let_go = place.run("resume")
        # What was let go of is wanted still: the run that lets go sends it and is complete, or leaves it to the next.
        assert let_go["exit_code"] == (0 if let_go["values"]["confirmed"] == len(night("DE")) else 3)
        done = place.sync(night("DE"), approve=True)
        assert let_go["values"]["confirmed"] + done["values"]["confirmed"] + done["rows"]["unchanged"] >= lost
        assert held_by(box) == night("DE")


class DeathError(BaseException):
    """The process dies: nothing of it runs any more."""


def die(*_arguments, **_options):
    raise DeathError


def dead(monkeypatch, whose, name, command, *arguments):
    """Run a command whose process dies where it would call something."""
    with monkeypatch.context() as patched:
        patched.setattr(whose, name, die)
        with pytest.raises(DeathError):
            command(*arguments)


@pytest.mark.parametrize("how", ["recover", "restore", "adopt"])
def test_who_dies_before_the_lock_file_knows_the_new_id_leaves_no_stranger(tmp_path, box, how, monkeypatch):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    assert place.sync(night("FR"), approve=True)["exit_code"] == 0
    saved = backup(place)
    if how == "adopt":
        box.world.tasks.clear()
        dead(monkeypatch, Ledger, "advance", recovery.adopt_target, place.settings(), Environment())
    elif how == "recover":
        dead(monkeypatch, LedgerLock, "set_stamp", recovery.recover, place.settings(), Environment())
    else:
        dead(monkeypatch, LedgerLock, "set_stamp", recovery.restore, place.settings(), saved, Environment())
    planned = place.run("plan", place.export(night("FR"), "new.csv"))
    assert (planned["exit_code"], planned["rows"]["unchanged"]) == (0, 0), planned
    done = place.sync(night("FR"), approve=True)
    assert (done["exit_code"], done["rows"]["unchanged"], done["values"]["confirmed"]) == (0, 0, ASYNC), done
    assert place.sync(night("FR"))["rows"]["unchanged"] == ASYNC
    assert read_stamp(place.ledger).becoming == ""


def test_who_dies_before_the_new_id_is_in_the_ledger_has_changed_nothing(tmp_path, box, monkeypatch):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    with sandbox(codes=codes(3)) as other:
        place.url = other.url
        dead(monkeypatch, ledger_recovery, "_forget_in", recovery.adopt_target, place.settings(), Environment())
        assert place.sync(night("DE", 3))["error"]["code"] == "target-changed"
    place.url = box.url
    dead(monkeypatch, ledger_recovery, "_forget_in", recovery.recover, place.settings(), Environment())
    assert place.sync(night("DE", 3))["rows"]["unchanged"] == 3


def test_a_restore_that_dies_while_it_exchanges_the_ledgers_is_finished_by_the_next_run(tmp_path, box, monkeypatch):
    place = Place(tmp_path / "srv", box.url)
    assert place.sync(night("DE", 3))["exit_code"] == 0
    saved = backup(place)
    assert place.sync(night("FR", 3), approve=True)["exit_code"] == 0
    journal = place.ledger.with_name(place.ledger.name + "-journal")
    journal.write_bytes(b"")
    move = Folder.move

    def move_until_the_journal(folder, name, *others, **options):
        if name == journal.name:
            raise DeathError
        move(folder, name, *others, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "move", move_until_the_journal)
        with pytest.raises(DeathError):
            recovery.restore(place.settings(), saved, Environment())
    assert (place.ledger.exists(), journal.exists()) == (False, True)
    done = place.sync(night("DE", 3), approve=True)
    assert (done["exit_code"], done["values"]["confirmed"]) == (0, 3), done
    assert commands.check(place.settings()) == []
    with Ledger.reading(place.settings().ledger.url) as ledger:
        assert [run.exit_code for run in ledger.runs(most=9)] == [0, 0], "what the backup knew is there"
    assert sorted(file.name.partition(".replaced")[2] for file in place.folder.glob("*.replaced*")) == ["", "-journal"]
