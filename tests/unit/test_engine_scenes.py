"""What the engine does where calls, looks and guards meet: judged by what the server and the ledger's history hold.

The real engine, ledger and client on the simulator's virtual clock, as in test_execute_corners.py.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from plans import plan_of
from sim.scenes import ASYNC, SETTINGS, SOURCE, SYNC, TASKS, K, Scene, honest, singles

from syncer.errors import GuardError, SignalError, UnreachableError
from syncer.execute import send
from syncer.execute.lanes import ThreadLanes
from syncer.ledger import recovery
from syncer.lifecycle.batch import State
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import SystemClock, utc_text

DAY_S = 86_400.0


def is_task(path):
    return path.startswith(TASKS) and path != TASKS


def held(scene):
    """What the server holds: the value of `m` by code."""
    return {code.fields["extended_id"]: code.fields.get("m") for code in scene.api.world.codes}


def known(scene):
    """What the ledger knows of `m`, by key: the value, "uncertain", or nothing."""
    with scene.ledger.transaction() as connection:
        rows = connection.exec_driver_sql(
            "SELECT m.key, coalesce(d.data, p.uncertain) FROM mirror m LEFT JOIN payloads d ON d.id = m.picture "
            "LEFT JOIN pictures p ON p.id = -m.picture"
        ).fetchall()
    return dict(rows)


def let_go(scene, batch):
    return scene.context.writer.let_go(batch, utc_text(scene.clock.wall_s()), message="by hand")


# ── looks at what is in doubt ────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_in_doubt_that_no_look_can_settle_is_left_and_let_go_of_by_a_later_run():
    """The list of tasks refuses the question: no trouble of the API, and yet no look ever says anything."""

    def script(transport, path, really):
        if path == ASYNC:
            really()
            return transport.answer(None, b"")
        return transport.answer(400, {"reference": ["no"]}) if path == TASKS else really()

    scene = Scene(singles(6), script=script)
    scene.plan((K[:3], 0), (K[3:], -1))
    planned = scene.run
    begun_s = scene.clock.now_s
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 3, "confirmed": 3}
    assert scene.clock.now_s - begun_s <= SETTINGS.settle_s + SETTINGS.give_up_after_s + 10
    assert scene.lanes.transport.paths.count(ASYNC) == 1
    scene.clock.now_s += DAY_S
    assert scene.begin().settle() is None
    batch = scene.ledger.batches(run_id=planned.id)[0]
    assert batch.state is State.ABANDONED
    assert "no look settles it" in batch.message
    assert known(scene) == {**dict.fromkeys(K[:3], '["m"]'), **dict.fromkeys(K[3:], '{"m":"1"}')}


def test_reads_that_fail_for_too_long_end_the_run_and_the_next_one_settles_what_is_left():
    def script(transport, path, really):
        return transport.answer(500, b"oops") if path.startswith(TASKS) else really()

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    planned = scene.run
    begun_s = scene.clock.now_s
    error = scene.engine.send()
    assert isinstance(error, UnreachableError)
    assert scene.clock.now_s - begun_s <= 2 * SETTINGS.give_up_after_s
    assert scene.counts() == {"pending": 3}
    scene.script = honest
    assert scene.begin().settle() is None
    assert scene.ledger.bucket_counts(planned.id)["confirmed"] == 3
    assert scene.lanes.transport.paths.count(ASYNC) == 0


def test_what_stopped_while_earlier_runs_were_settled_lets_nothing_be_sent():
    scene = Scene(singles(3))
    scene.plan((K[:3], -1))
    scene.interrupt.signal_number = 15
    stopped = scene.engine.settle()
    assert isinstance(stopped, SignalError)
    assert scene.engine.send() is stopped
    assert scene.lanes.transport.paths == []
    assert set(held(scene).values()) == {None}


# ── what was let go of ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_end_wants_nothing_again_that_a_ledger_which_was_put_back_no_longer_relies_on():
    def script(transport, path, really):
        reply = really()
        for task in transport.api.world.tasks.values():
            task.stuck = path == ASYNC
        return reply

    scene = Scene(singles(3))
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None
    scene.begin()
    scene.plan((K[:3], 0))
    scene.script = script
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    assert batch.state is State.SUBMITTED
    recovery.forget(scene.ledger, at=utc_text(scene.clock.wall_s()))
    scene.script, scene.clock.now_s = honest, scene.clock.now_s + DAY_S
    assert scene.begin().settle() is None
    assert [one.state for one in scene.ledger.batches() if one.id == batch.id] == [State.ENDED_LATE]
    assert scene.ledger.waiting() == 0, "what was known before the ledger was put back may be older than what is there"


def test_a_sync_call_that_was_let_go_of_has_ended_by_the_next_run():
    scene = Scene(singles(3))
    scene.plan((K[:3], -1))
    planned = scene.run
    (batch,) = scene.ledger.batches(run_id=planned.id)
    scene.context.writer.start(batch, "a reference", utc_text(scene.clock.wall_s()))  # and the process dies
    scene.begin()
    (batch,) = scene.ledger.batches(run_id=planned.id)
    let_go(scene, batch)
    scene.begin()
    assert scene.engine.settle() is None
    assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [State.ENDED_LATE]
    assert scene.lanes.transport.paths == []  # there is nothing to look at
    assert known(scene) == dict.fromkeys(K[:3], '["m"]')


@pytest.mark.parametrize("how", ["listed", "alone", "by its reference"])
def test_a_task_that_ends_after_it_was_let_go_of_is_seen_to_have_ended_and_its_fields_are_sent_again(how):
    def script(transport, path, really):
        reply = really()
        if path == ASYNC and how == "by its reference":
            return transport.answer(None, b"")
        if path == ASYNC:
            for task in scene.api.world.tasks.values():
                task.stuck = True
        if path == TASKS and how == "alone":
            return transport.answer(200, {"count": 0, "next": None, "results": []})
        return reply

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.interrupt.signal_number = None
    engine = scene.engine
    engine.context.deadline_s = scene.clock.now_s + 1.0
    engine.send()
    (batch,) = scene.ledger.batches(run_id=planned.id)
    let_go(scene, batch)
    for task in scene.api.world.tasks.values():
        task.stuck = False
    scene.clock.now_s += 60.0
    assert scene.begin().settle() is None
    (batch,) = scene.ledger.batches(run_id=planned.id)
    assert batch.state is State.ENDED_LATE
    assert "has ended: complete" in batch.message
    assert known(scene) == dict.fromkeys(K[:3], '["m"]')  # it may have landed over newer data
    assert set(held(scene).values()) == {"1"}


@pytest.mark.parametrize(("account", "then"), [("account 1", State.ENDED_LATE), ("account 9", State.ABANDONED)])
def test_what_was_let_go_of_is_gone_only_when_nothing_can_come_any_more(account, then):
    """Let go of by hand soon after its answer was lost: the call may still arrive. Of another account's, always."""
    scene = Scene(
        singles(3), script=lambda transport, path, really: transport.answer(None, b"") if path == ASYNC else really()
    )
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.context.writer.account = "account 1"
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    (batch,) = scene.ledger.batches(run_id=planned.id)
    let_go(scene, batch)
    for pause_s, state in ((SETTINGS.settle_s / 2, State.ABANDONED), (SETTINGS.settle_s, then)):
        scene.clock.now_s += pause_s
        scene.begin()
        scene.context.writer.account = account
        assert scene.engine.settle() is None
        assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [state]


@pytest.mark.parametrize("made_by", ["account 1", None])
def test_a_task_that_another_account_made_has_not_failed_when_it_is_not_shown(made_by):
    """It may run, and write what is old over newer data: it is let go of, and never taken for one that is gone.

    So it is of a call that an older version made, which wrote down no account.
    """
    scene = Scene(singles(3))
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.context.writer.account = made_by
    scene.api.task_s = (100.0, 100.0)
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    (task,) = scene.api.world.tasks.values()
    task.forgotten = True
    for state in (State.SUBMITTED, State.ABANDONED, State.ABANDONED):
        scene.begin()
        scene.context.writer.account, scene.context.writer.sees_unsigned = "account 9", False
        assert scene.engine.settle() is None
        assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [state]
        scene.clock.now_s += SETTINGS.task_timeout_s
    assert "may be another account's" in scene.ledger.batches(run_id=planned.id)[0].message


def test_looks_at_what_was_let_go_of_are_made_once_a_run_and_keep_to_the_limit_of_reads():
    """15 tasks whose own addresses are odd: each is asked for once, none is taken for ended, and the run goes on."""
    scene = Scene(singles(20))

    def script(transport, path, really):
        reply = really()
        for task in scene.api.world.tasks.values():
            task.stuck = True
        if path == TASKS:
            return transport.answer(200, {"count": 0, "next": None, "results": []})
        return transport.answer(500, b"oops") if is_task(path) else reply

    scene.script = script
    scene.plan(*(([f"K{n}"], 0) for n in range(15)))
    planned = scene.run
    scene.engine.context.deadline_s = scene.clock.now_s + 3.0
    scene.engine.send()
    for batch in scene.ledger.batches(run_id=planned.id):
        let_go(scene, batch)
    scene.begin()
    begun_s = scene.clock.now_s
    assert scene.engine.settle() is None
    asked = [path for path in scene.lanes.transport.paths if is_task(path)]
    assert len(asked) == len(set(asked)) == 15
    assert {batch.state for batch in scene.ledger.batches(run_id=planned.id)} == {State.ABANDONED}
    assert scene.clock.now_s > begun_s


# ── guards, counts, refusals ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_that_the_reach_guard_has_stopped_is_left_alone_while_another_job_goes_on():
    scene = Scene(singles(6))
    scene.begin(settings=replace(SETTINGS, max_reach_factor=10.0))
    at = utc_text(scene.clock.wall_s())
    other = scene.ledger.ensure_job("other", ("lot",))
    begun = scene.ledger.begin_run(other, at=at, mode="auto", campaign=None, unique=False, program="t")
    scene.ledger.store_plan(begun, plan_of(["L1", "L2"], key=("lot",), varying=[0]), [SOURCE], at=at)
    scene.context.writer.learn_reach(other.id, {"high": 1.0, "stopped": "far too many (run 2)", "sync_refused": False})
    scene.plan((K[:3], -1))
    assert scene.engine.settle() is None
    error = scene.engine.send()
    assert isinstance(error, GuardError)
    assert "far too many" in error.message
    assert "--job other --approve" in error.next
    assert scene.counts() == {"confirmed": 3}
    assert [held(scene)[key] for key in K[:4]] == ["1", "1", "1", None]
    assert [batch.state for batch in scene.ledger.batches(run_id=begun.id)] == [State.PLANNED]
    scene.begin(settings=replace(SETTINGS, max_reach_factor=0.0))  # approved
    assert scene.engine.settle() is None
    assert scene.engine.send() is None
    assert [batch.state for batch in scene.ledger.batches(run_id=begun.id)] != [State.PLANNED]
    assert scene.ledger.reach(other)["stopped"] == ""


def test_one_value_whose_count_is_never_told_and_that_no_sync_call_can_name_is_let_go_of():
    def script(transport, path, really):
        reply = really()
        if not path.startswith(TASKS):
            return reply
        document = json.loads(reply.body)
        for task in document.get("results", [document]):
            task["codes_affected"] = None
        return transport.answer(200, document)

    codes = [{"extended_id": "K0", "case_no": "C1", "lot": "L1"}]
    scene = Scene(codes, key=("case_no", "lot"), unique=False, script=script)
    scene.plan(([KEY_SEPARATOR.join(["C1", "L1"])], 0))
    assert scene.engine.send() is None
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    assert batch.state is State.ABANDONED
    assert "does not say how many codes" in batch.message
    assert scene.counts() == {"in_doubt": 1}
    assert known(scene) == {KEY_SEPARATOR.join(["C1", "L1"]): '["m"]'}


def test_a_single_value_that_is_refused_first_waits_for_others_to_get_through_before_it_is_blamed():
    page = b"<html><title>Blocked</title></html>"

    def script(transport, path, really):
        return transport.answer(403, page) if path == SYNC and b"K0" in transport.body else really()

    scene = Scene(singles(4), script=script)
    scene.plan(*(([key], -1) for key in K[:4]))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3, "rejected": 1}
    assert held(scene) == {"K0": None, "K1": "1", "K2": "1", "K3": "1"}
    sent = [entry.outcome for entry in scene.ledger.history("K0")]
    assert sent[-1] == "rejected"
    # K0 was sent twice, the second time after a call without values: the others had begun before its refusal.
    assert scene.lanes.transport.paths.count(SYNC) == 6


@pytest.mark.parametrize("status", [None, 503])
def test_a_call_without_values_that_tells_nothing_is_made_again_before_anybody_is_blamed(status):
    asked = []

    def script(transport, path, really):
        if path != SYNC:
            return really()
        if b'"K0"' in transport.body:
            return transport.answer(403, b"<html><title>Blocked</title></html>")
        asked.append(scene.counts())
        return transport.answer(status, b"") if len(asked) == 1 else really()

    scene = Scene(singles(1), script=script)
    scene.plan((K[:1], -1))
    assert scene.engine.send() is None
    assert asked == [{"unsent": 1}] * 2
    assert scene.counts() == {"rejected": 1}


@pytest.mark.parametrize("others", range(4, 8))
def test_a_value_that_stands_aside_is_not_taken_in_hand_anew_when_more_of_the_plan_is_read(others, monkeypatch):
    """The part that carries it is younger than all batches of the plan, and the next page names it, too."""
    monkeypatch.setattr(send, "FEED_BATCHES", 1)
    calls = []

    def script(transport, path, really):
        if path != SYNC or b'"K0"' not in transport.body:
            return really()
        calls.append(transport.body)
        return transport.answer(403, b"<html><title>Blocked</title></html>")

    scene = Scene(singles(others + 2), script=script)
    scene.plan((K[:2], -1), *(([f"K{n}"], -1) for n in range(2, others + 2)))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": others + 1, "rejected": 1}
    assert len(calls) == 3  # with its neighbour, alone, and once more when others had got through


def test_an_answer_that_contradicts_itself_about_one_value_leaves_it_unmatched_and_uncertain():
    def script(transport, path, really):
        reply = really()
        if path != SYNC:
            return reply
        return transport.answer(200, {**json.loads(reply.body), "codes_affected": 2})

    scene = Scene(singles(1), script=script)
    scene.plan((K[:1], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"unmatched": 1}
    assert known(scene) == {"K0": '["m"]'}  # and not: nobody has this value


def test_a_lane_that_never_had_a_connection_ends_all_the_same():
    def refuse():
        raise OSError("no way there")

    lanes = ThreadLanes(refuse, 1, SystemClock())
    lanes.start(1, lambda client: None, 0.0)
    with pytest.raises(OSError, match="no way there"):
        lanes.wait(SystemClock().monotonic_s() + 10)
    (thread,) = [one for one in threading.enumerate() if one.name == "lane-1" and one._target.__self__ is lanes]
    lanes.close()
    thread.join(10)
    assert not thread.is_alive()


# ── what is known after each end ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", [-1, 0])
def test_what_a_lost_call_may_have_changed_is_known_no_longer(place):
    scene = Scene(singles(3))
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None
    assert known(scene) == dict.fromkeys(K[:3], '{"m":"1"}')
    scene.script = lambda transport, path, really: transport.answer(None, b"")
    scene.begin()
    scene.plan((K[:2], place))
    assert isinstance(scene.engine.send(), UnreachableError)
    assert known(scene) == {**dict.fromkeys(K[:2], '["m"]'), "K2": '{"m":"1"}'}


def test_a_task_that_lands_after_newer_data_makes_that_uncertain_and_wanted_again():
    """A2: let go of, newer data confirmed, and then the old task runs over it."""

    def script(_transport, path, really):
        reply = really()
        if path == ASYNC:
            for task in scene.api.world.tasks.values():
                task.stuck = True
        return reply

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    let_go(scene, scene.ledger.batches(run_id=planned.id)[0])
    scene.begin()
    scene.plan(([*reversed(K[:3])], -1))
    assert scene.engine.send() is None
    assert known(scene) == dict.fromkeys(K[:3], '{"m":"1"}')
    for task in scene.api.world.tasks.values():
        task.stuck = False
    scene.clock.now_s += 60.0
    scene.begin()
    assert scene.engine.settle() is None
    assert scene.ledger.batches(run_id=planned.id)[0].state is State.ENDED_LATE
    assert known(scene) == dict.fromkeys(K[:3], '["m"]')
    assert scene.ledger.waiting() == 3
    lines = "SELECT i.key, i.line FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.kind = 'wish'"
    with scene.ledger.transaction() as connection:  # of the newer words, which are wanted, and not of the old task's
        assert dict(connection.exec_driver_sql(lines).fetchall()) == {"K2": 2, "K1": 3, "K0": 4}


def test_each_call_bears_the_campaign_that_it_was_planned_with_and_none_where_there_was_none():
    """m21: by what was sent, since the API takes a call without a campaign, too."""
    sent = []

    def script(transport, path, really):
        if path == ASYNC:
            sent.append(json.loads(transport.body).get("campaign"))
        return really()

    scene = Scene(singles(6), script=script)
    at = utc_text(scene.clock.wall_s())
    scene.run = scene.ledger.begin_run(scene.run.job, at=at, mode="auto", campaign=11, unique=True, program="t")
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.begin()  # tonight's run has no campaign
    assert scene.engine.settle() is None
    assert scene.engine.send() is None
    assert sent == [11]
    scene.plan((K[3:], 0))
    assert scene.engine.send() is None
    assert sent == [11, None]
    assert {batch.campaign for batch in scene.ledger.batches(run_id=planned.id)} == {11}
