"""Every wait ends (cases e1 to e6, e11, e15): whatever is answered, the run ends, and says what it is left with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sim.scenes import ASYNC, SETTINGS, SYNC, TASKS, K, Scene, honest, singles

from syncer.errors import AccessError, DeadlineError, UnreachableError
from syncer.execute.engine import Engine
from syncer.lifecycle.batch import State
from syncer.runs.summing import open_notes

DAY_S = 86_400.0


def is_task(path):
    return path.startswith(TASKS) and path != TASKS


def stuck(scene, *, places=(0,)):
    """Let some tasks never end."""

    def script(_transport, _path, really):
        reply = really()
        for place, task in enumerate(scene.api.world.tasks.values()):
            task.stuck = place in places
        return reply

    return script


def of_first_task(scene, path):
    first = next(iter(scene.api.world.tasks), "")
    return is_task(path) and first in path


@pytest.mark.parametrize(
    ("status", "document"),
    [(400, {"detail": "no"}), (410, b"<title>Gone</title>"), (404, {"error": "odd"}), (500, b"oops")],
)
def test_a_task_whose_own_address_is_odd_keeps_no_other_waiting_and_is_let_go_of_later(status, document):
    """e1."""

    def odd(transport, path, really):
        reply = really()
        if of_first_task(scene, path):
            return transport.answer(status, document)
        if path == TASKS:
            page = json.loads(reply.body)
            first = next(iter(scene.api.world.tasks), "")
            page["results"] = [task for task in page["results"] if task["id"] != first]
            page["count"] = len(page["results"])
            return transport.answer(200, page)
        return reply

    scene = Scene(singles(6))
    scene.script = odd
    scene.plan((K[:3], 0), (K[3:], 0))
    begun_s = scene.clock.now_s
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3, "pending": 3}
    assert scene.clock.now_s - begun_s < SETTINGS.task_timeout_s
    planned = scene.run
    scene.clock.now_s += DAY_S
    assert scene.begin().settle() is None
    assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [State.ABANDONED, State.CONFIRMED]
    assert "cannot be asked about" in scene.ledger.batches(run_id=planned.id)[0].message
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None  # newer data for its rows is not held
    assert scene.counts() == {"confirmed": 3}


def test_tasks_are_asked_about_one_by_one_when_the_api_refuses_the_question_about_many():
    """e2."""

    def refusing(transport, path, really):
        return transport.answer(400, {"task_ids": ["no"]}) if path == TASKS and transport.body else really()

    scene = Scene(singles(6), script=refusing)
    scene.plan((K[:3], 0), (K[3:], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}


ODD = [
    (405, {"detail": 'Method "POST" not allowed.'}),
    (404, {"detail": "Not found."}),
    (404, b"<title>Not Found</title>"),
    (403, {"detail": "You do not have permission to perform this action."}),
    (500, b"oops"),
    (200, b"<title>Log in</title>"),
    (None, b""),
]


def odd_together(status, document):
    def script(transport, path, really):
        return transport.answer(status, document) if path == TASKS and transport.body else really()

    return script


@pytest.mark.parametrize(("status", "document"), ODD)
@pytest.mark.parametrize("place", [-1, 0])
def test_tasks_are_asked_about_one_by_one_whatever_the_question_about_many_is_answered(status, document, place):
    """e2: in the night that sent them, in one that only settles, and when somebody let go of them."""
    scene = Scene(singles(6), script=odd_together(status, document))
    scene.plan((K[:3], 0), (K[3:], place))
    begun_s = scene.clock.now_s
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}
    assert scene.clock.now_s - begun_s < 30.0
    for task in scene.api.world.tasks.values():
        assert task.state == "complete"


@pytest.mark.parametrize(("status", "document"), ODD)
@pytest.mark.parametrize("stay", [False, True])
def test_what_earlier_nights_left_is_settled_one_by_one_or_let_go_of_whatever_the_question_about_many_is_answered(
    status, document, stay
):
    """e2: no night is stopped by it; and what was let go of is still seen to end."""
    scene = Scene(singles(6))
    scene.script = stuck(scene, places=(0, 1))
    scene.plan((K[:3], 0), (K[3:], 0))
    planned = scene.run
    assert scene.engine.send() is None
    scene.clock.now_s += DAY_S
    if not stay:
        for task in scene.api.world.tasks.values():
            task.stuck = False
    scene.script = odd_together(status, document)
    assert scene.begin().settle() is None
    states = {batch.state for batch in scene.ledger.batches(run_id=planned.id)}
    assert states == ({State.ABANDONED} if stay else {State.CONFIRMED})
    for task in scene.api.world.tasks.values():
        task.stuck = False
    assert scene.begin().settle() is None
    assert len(scene.lanes.transport.paths) == (3 if stay else 0)  # once about many, then once about each
    assert all(batch.state in {State.ENDED_LATE, State.CONFIRMED} for batch in scene.ledger.batches(run_id=planned.id))
    assert scene.ledger.problems() == []


@pytest.mark.parametrize(("status", "document"), [*ODD[:3], (410, {"error": "gone"}), (None, b"")])
def test_looks_at_what_was_let_go_of_stop_no_run_whatever_they_are_answered(status, document):
    """e2: abandoning helps, though no call about any task is answered as it should."""
    scene = Scene(singles(6))
    scene.script = stuck(scene, places=(0, 1))
    scene.plan((K[:3], 0), (K[3:], 0))
    planned = scene.run
    scene.engine.send()
    for batch in scene.ledger.batches(run_id=planned.id):
        scene.context.writer.let_go(batch, scene.context.at(), message="by hand")

    def odd(transport, path, really):
        return transport.answer(status, document) if path.startswith(TASKS) else really()

    for _ in range(2):
        scene.clock.now_s += DAY_S
        scene.script = odd
        assert scene.begin().settle() is None
        is_known_to_be_gone = document == ODD[1][1]
        states = [State.ENDED_LATE if is_known_to_be_gone else State.ABANDONED] * 2
        assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == states
        scene.plan((K, -1))
        assert scene.engine.send() is None
        assert scene.counts() == {"confirmed": 6}


def test_looks_at_what_was_let_go_of_end_when_none_is_answered_for_too_long():
    scene = Scene(singles(100))
    scene.script = stuck(scene, places=range(100))
    scene.plan(*(([f"K{n}"], 0) for n in range(100)))
    planned = scene.run
    scene.engine.send()
    for batch in scene.ledger.batches(run_id=planned.id):
        scene.context.writer.let_go(batch, scene.context.at(), message="by hand")

    def slow(transport, path, _really):
        assert path.startswith(TASKS)
        transport.at_s += 60.0
        return transport.answer(None, b"")

    scene.script = slow
    scene.begin()
    begun_s = scene.clock.now_s
    assert scene.engine.settle() is None
    assert SETTINGS.give_up_after_s <= scene.clock.now_s - begun_s < SETTINGS.give_up_after_s + 90.0
    assert {batch.state for batch in scene.ledger.batches(run_id=planned.id)} == {State.ABANDONED}


def test_a_token_that_nobody_accepts_stops_looks_at_what_was_let_go_of():
    scene = Scene(singles(3))
    scene.script = stuck(scene)
    scene.plan((K[:3], 0))
    scene.engine.send()
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    scene.context.writer.let_go(batch, scene.context.at(), message="by hand")
    scene.script = lambda transport, _path, _really: transport.answer(401, {"detail": "Invalid token."})
    assert isinstance(scene.begin().settle(), AccessError)


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, {"detail": "oops"}), (410, {"error": "gone"}), (404, b"<title>Not Found</title>"), (403, {"detail": "No."})],
)
def test_a_call_in_doubt_whose_task_has_an_odd_address_stops_no_night_and_is_let_go_of_later(status, document):
    """e1: the list names the task, and its own address says nothing."""
    scene = Scene(singles(6))

    def odd(transport, path, really):
        reply = really()
        if path == ASYNC and len(scene.api.world.tasks) == 1:
            return transport.answer(None, b"")
        return transport.answer(status, document) if of_first_task(scene, path) else reply

    scene.script = odd
    scene.plan((K[:3], 0), (K[3:], 0))
    planned = scene.run
    begun_s = scene.clock.now_s
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3, "in_doubt": 3}
    assert scene.clock.now_s - begun_s < SETTINGS.settle_s
    scene.clock.now_s += DAY_S
    assert scene.begin().settle() is None
    for _ in range(2):
        assert scene.ledger.batches(run_id=planned.id)[0].state is State.ABANDONED
        scene.plan((K[:3], -1))
        assert scene.engine.send() is None  # newer data for its rows is not held
        assert scene.counts() == {"confirmed": 3}
        assert scene.begin().settle() is None


def test_a_lost_update_is_no_failing_api_while_none_is_left_to_send():
    """The task of the last update is found, and takes longer than anybody waits for a call to get through."""
    scene = Scene(singles(3))
    scene.api.task_s = (2 * SETTINGS.give_up_after_s, 2 * SETTINGS.give_up_after_s)
    scene.begin(settings=replace(SETTINGS, task_timeout_s=3 * SETTINGS.give_up_after_s))

    def lost(transport, path, really):
        reply = really()
        return transport.answer(None, b"") if path == ASYNC else reply

    scene.script = lost
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert scene.lanes.transport.paths.count(ASYNC) == 1


def test_a_list_without_the_tasks_and_without_a_link_to_more_leads_to_their_own_addresses():
    """e2."""

    def empty(transport, path, really):
        reply = really()
        return transport.answer(200, {"results": []}) if path == TASKS else reply

    scene = Scene(singles(3), script=empty)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}


@pytest.mark.parametrize(
    ("asked", "named"), [("2592000", "30 d (2592000 s)"), ("30.5", "30.5 s"), ("0", "0 s"), (None, "1 s")]
)
@pytest.mark.parametrize("place", [-1, 0])
def test_throttling_without_end_ends_the_run_with_the_time_that_was_asked_for(asked, named, place):
    """e3: reads are answered meanwhile, and do not hide that no update is."""

    def throttling(transport, path, really):
        if path not in {ASYNC, SYNC}:
            return really()
        reply = transport.answer(429, b"{}")
        if asked is not None:
            object.__setattr__(reply, "headers", {"Retry-After": asked})
        return reply

    scene = Scene(singles(3), script=throttling)
    scene.plan((K[:3], place))
    begun_s = scene.clock.now_s
    error = scene.engine.send()
    assert isinstance(error, UnreachableError)
    assert f"asks to wait {named}" in error.message
    assert scene.clock.now_s - begun_s <= SETTINGS.give_up_after_s + 40.0
    assert len(scene.lanes.transport.paths) < 60
    assert scene.counts() == {"unsent": 3}


def test_a_moment_of_throttling_costs_no_more_than_was_asked_for():
    asked = []

    def once(transport, path, really):
        if path == ASYNC and not asked:
            asked.append(path)
            return transport.answer(429, {"detail": "Expected available in 2.5 seconds."})
        return really()

    scene = Scene(singles(3), script=once)
    scene.plan((K[:3], 0))
    begun_s = scene.clock.now_s
    assert scene.engine.send() is None
    assert 2.5 <= scene.clock.now_s - begun_s < 10.0


@pytest.mark.parametrize(
    "change", [{"state": "cancelled"}, {"state": None}, {"codes_affected": None}, {"codes_affected": -1}]
)
def test_an_odd_task_does_not_hold_its_values_for_ever(change):
    """e4: a state that nobody knows is let go of in time; a count that is none leads to calls that name values."""

    def odd(transport, path, really):
        reply = really()
        if not path.startswith(TASKS):
            return reply
        document = json.loads(reply.body)
        for task in document.get("results", [document]):
            if task["state"] == "complete":
                task.update(change)
        return transport.answer(200, document)

    scene = Scene(singles(6), script=odd)
    scene.plan((K[:3], 0))
    planned = scene.run
    assert scene.engine.send() is None
    if "state" not in change:
        assert scene.counts() == {"confirmed": 3}
        return
    assert scene.counts() == {"pending": 3}
    scene.clock.now_s += DAY_S
    assert scene.begin().settle() is None
    (batch,) = scene.ledger.batches(run_id=planned.id)
    assert batch.state is State.ABANDONED
    assert f"is {change['state'] or 'not told'!r}" in batch.message
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None  # newer data for its rows is not held
    assert scene.counts() == {"confirmed": 3}


@pytest.mark.parametrize(
    "change",
    [{"state": "COMPLETE"}, {"state": "Complete"}, *({"details": one} for one in (7, "x", {}, {"scm_data": {"f": 1}}))],
)
def test_a_complete_task_counts_whatever_its_letters_and_however_its_details_are_written(change):
    """Details are compared where a lost call's task is looked for, and nowhere else."""

    def odd(transport, path, really):
        reply = really()
        if not path.startswith(TASKS):
            return reply
        document = json.loads(reply.body)
        for task in document.get("results", [document]):
            if task["state"] == "complete":
                task.update(change)
        return transport.answer(200, document)

    scene = Scene(singles(6), script=odd)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}


def test_a_task_that_was_let_go_of_is_looked_at_once_in_every_run_until_it_ends():
    """e5."""
    scene = Scene(singles(3))
    scene.script = stuck(scene)
    scene.plan((K[:3], 0))
    planned = scene.run
    assert scene.engine.send() is None
    for state, looks in ((State.ABANDONED, None), (State.ABANDONED, 1), (State.ENDED_LATE, 1), (State.ENDED_LATE, 0)):
        scene.clock.now_s += DAY_S
        if state is State.ENDED_LATE:
            scene.script = honest
            for task in scene.api.world.tasks.values():
                task.stuck = False
        scene.begin()
        assert scene.engine.settle() is None
        assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [state]
        assert looks is None or len(scene.lanes.transport.paths) == looks
    assert scene.ledger.problems() == []


def test_a_task_that_was_let_go_of_and_is_gone_has_ended():
    scene = Scene(singles(3))
    scene.script = stuck(scene)
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.engine.send()
    scene.clock.now_s += DAY_S
    scene.begin().settle()
    for task in scene.api.world.tasks.values():
        task.forgotten = True
    scene.begin().settle()
    (batch,) = scene.ledger.batches(run_id=planned.id)
    assert (batch.state, "no longer knows" in batch.message) == (State.ENDED_LATE, True)


def test_all_tasks_that_ended_while_nobody_looked_are_settled_at_once():
    """e6."""
    scene = Scene(singles(100))
    scene.script = stuck(scene, places=range(100))
    scene.plan(*(([f"K{n}"], 0) for n in range(100)))
    planned = scene.run
    scene.engine.send()
    assert scene.counts() == {"pending": 100}
    for task in scene.api.world.tasks.values():
        task.stuck = False
    scene.script = honest
    scene.clock.now_s += DAY_S
    assert scene.begin().settle() is None
    states = {batch.state for batch in scene.ledger.batches(run_id=planned.id)}
    assert states == {State.CONFIRMED}
    assert scene.lanes.transport.paths == [TASKS]


@pytest.mark.parametrize("seconds", [3.0, 30.0, 200.0])
@pytest.mark.parametrize("place", [-1, 0])
def test_losses_while_the_api_is_down_do_not_use_up_the_tries(seconds, place):
    """e11."""
    scene = Scene(singles(6))
    until_s = scene.clock.now_s + seconds

    def down(transport, _path, really):
        return transport.answer(503, b"busy") if transport.at_s < until_s else really()

    scene.script = down
    scene.plan((K[:3], place), (K[3:], place))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}


def test_pages_of_a_deployment_are_waited_for_once_the_api_was_seen_at_work():
    """e15."""
    scene = Scene(singles(60))
    window = {}

    def deploying(transport, path, really):
        if len(transport.paths) > 10:
            window.setdefault("until_s", transport.at_s + 2.0)
        return (
            transport.answer(404, b"<html><title>Not Found</title>")
            if transport.at_s < window.get("until_s", 0)
            else really()
        )

    scene.script = deploying
    scene.plan(*(([f"K{n}"], -1) for n in range(60)))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 60}
    assert "until_s" in window


@pytest.mark.parametrize(("sent", "ends"), [(3, None), (0, None), (60, DeadlineError)])
def test_a_deadline_matters_only_when_something_is_left(sent, ends):
    """e12: it passes while the last answer is on its way, when there was nothing to do, and in the midst of the work."""
    scene = Scene(singles(60))
    scene.engine = Engine(scene.context, interrupt=scene.interrupt, deadline_s=scene.clock.now_s + 0.01)
    if sent:
        scene.plan(*(([f"K{n}" for n in range(begin, min(begin + 3, sent))], -1) for begin in range(0, sent, 3)))
    else:
        scene.clock.now_s += 1.0
    error = scene.engine.settle() or scene.engine.send()
    assert (None if error is None else type(error)) is ends
    assert (scene.counts().get("confirmed", 0) == sent) == (ends is None)


def test_an_open_batch_is_named_with_its_age_and_the_command_that_lets_go_of_it():
    scene = Scene(singles(3))
    scene.script = stuck(scene)
    scene.plan((K[:3], 0))
    scene.engine.send()
    scene.clock.now_s += DAY_S
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    (note,) = open_notes([batch], scene.clock.wall_s())
    assert f"batch {batch.id} of run {scene.run.id} (3 values) has been submitted for 1 d:" in note
    assert batch.task_id in note
    assert f"syncer abandon {batch.id}" in note
    assert len(open_notes([batch] * 9, scene.clock.wall_s())) == 6
