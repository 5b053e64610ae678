"""The engine's rare ways, one by one: the real engine, ledger and client on the simulator's virtual clock.

Each test says what the server (or the way to it) does; what is checked is what the ledger and the server hold then.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from sim.scenes import ASYNC, SETTINGS, SYNC, TASKS, K, Scene, honest, singles
from sim.world import VirtualClock

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.limits import ReadLimiter
from syncer.api.reading import ForbiddenError, Reader
from syncer.api.transport import Reply
from syncer.errors import AGAIN, AccessError, DeadlineError, GuardError, SignalError, SyncerError, UnreachableError
from syncer.execute.assemble import quarantine_s
from syncer.execute.batch_call import LoadedBatch
from syncer.execute.doubt import LOST_MAX, look_for_task
from syncer.execute.engine import Engine
from syncer.execute.lanes import ThreadLanes
from syncer.execute.reconcile import Reach
from syncer.execute.registry import Doubt
from syncer.ledger.values import Item
from syncer.lifecycle.batch import Bucket, State
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import SystemClock, Uptime, utc_text
from syncer.process.signals import Interrupt
from syncer.products.check import CheckedProducts, by_copy
from syncer.products.pull import look_up

# ── calls whose answers are lost ─────────────────────────────────────────────────────────────────────────────────────


def test_absence_is_shown_by_two_looks_far_enough_apart():
    doubt = Doubt({"r": 1}, next_look_s=0.0, until_s=900.0)
    assert not doubt.saw_absence(101.0, 30.0)
    assert doubt.next_look_s == 131.0
    assert not doubt.saw_absence(130.9, 30.0)
    assert doubt.saw_absence(131.0, 30.0)


@pytest.mark.parametrize(("keys", "place", "path"), [(K[:3], -1, SYNC), (K[:1], 0, ASYNC)])
def test_a_batch_whose_answers_are_lost_again_and_again_is_left_to_the_next_run(keys, place, path):
    def script(transport, called, really):
        if called != path:
            return really()
        if path == SYNC:
            really()
        return transport.answer(None, b"")

    scene = Scene(singles(3), script=script)
    scene.plan((keys, place))
    error = scene.engine.send()
    if path == SYNC:  # nothing at all gets through: that is the API's fault, and has its own patience
        assert isinstance(error, UnreachableError)
    else:  # looks for the task do: the fault is this batch's
        assert error is None
        assert scene.lanes.transport.paths.count(path) == LOST_MAX + 1
    assert scene.counts() == {"in_doubt": len(keys)}  # sent, and perhaps applied: not unsent
    scene.script = honest
    planned = scene.run
    assert scene.begin().settle() is None
    assert scene.engine.send() is None
    assert scene.ledger.bucket_counts(planned.id)[Bucket.CONFIRMED] == len(keys)
    assert scene.ledger.problems() == []


def stopping_after(calls, answer):
    """Let so many update calls through; each further one gets this answer, and does nothing."""

    def script(transport, path, really):
        made = sum(one in {SYNC, ASYNC} for one in transport.paths)
        return transport.answer(*answer) if path in {SYNC, ASYNC} and made > calls else really()

    return script


def test_values_whose_call_was_processed_are_in_doubt_until_smaller_ones_tell_them_apart():
    scene = Scene(singles(2), script=stopping_after(1, (401, b"")))
    scene.plan((K[:3], 0))  # the third of them is no code: the count is short, and the pieces are never processed
    assert isinstance(scene.engine.send(), AccessError)
    assert scene.counts() == {"in_doubt": 3}
    assert {bucket for _, _, _, bucket, _ in scene.ledger.planned_outcomes(scene.run.id)} == {Bucket.IN_DOUBT}
    assert [concern[0] for concern in scene.ledger.concerns(scene.run.id)] == [Bucket.IN_DOUBT]


@pytest.mark.parametrize("answer", [(401, b""), (429, b"")])
def test_values_whose_calls_were_certainly_not_processed_are_unsent(answer):
    scene = Scene(singles(3), script=stopping_after(0, answer))
    scene.plan((K[:3], -1))
    assert isinstance(scene.engine.send(), AccessError | UnreachableError)
    assert scene.counts() == {"unsent": 3}
    assert {bucket for _, _, _, bucket, _ in scene.ledger.planned_outcomes(scene.run.id)} == {Bucket.UNSENT}


def lost_once(then):
    """Lose the answer to the first async call, which did its work; what is asked afterwards is told by `then`."""
    lost = []

    def script(transport, path, really):
        if path == ASYNC and not lost:
            lost.append(really())
            return transport.answer(None, b"")
        return then(transport, path, really)

    return script


def test_a_task_of_our_reference_with_other_details_stays_in_doubt_for_the_time_of_a_task():
    def other(transport, path, really):
        reply = really()
        if path.startswith(TASKS) and path != TASKS:
            document = json.loads(reply.body)
            document["details"]["scm_data"] = {"m": "somebody else's"}
            return transport.answer(200, document)
        return reply

    scene = Scene(singles(3), script=lost_once(other))
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 3}
    assert scene.lanes.transport.paths.count(ASYNC) == 1
    planned, sent_s = scene.run, scene.clock.now_s
    for later_s, state in ((SETTINGS.task_timeout_s / 2, State.IN_DOUBT), (SETTINGS.task_timeout_s, State.ABANDONED)):
        scene.clock.now_s = sent_s + later_s
        assert scene.begin().settle() is None
        assert [batch.state for batch in scene.ledger.batches(run_id=planned.id)] == [state]


@pytest.mark.parametrize(
    ("fault", "first_run"),
    [("no details", {"in_doubt": 3}), ("half a list", {"in_doubt": 3}), ("unreadable", {"confirmed": 3})],
)
def test_a_look_that_says_too_little_settles_nothing_and_sends_nothing_again(fault, first_run):
    """What failed is asked again in the same run; what was answered, and said too little, in the next one."""
    looks = []

    def too_little(transport, path, really):
        reply = really()
        if not path.startswith(TASKS) or looks:
            return reply
        document = json.loads(reply.body)
        if fault == "no details" and path != TASKS:
            looks.append(path)
            document.pop("details")
            return transport.answer(200, document)
        if fault == "half a list" and path == TASKS:
            looks.append(path)
            return transport.answer(200, {"count": 2, "next": "http://elsewhere.example/", "results": []})
        if fault == "unreadable":
            looks.append(path)
            return transport.answer(200, b"<html>")
        return reply

    scene = Scene(singles(3), script=lost_once(too_little))
    scene.plan((K[:3], 0))
    planned = scene.run
    assert scene.engine.send() is None
    assert scene.counts() == first_run
    assert scene.begin().settle() is None
    assert scene.ledger.bucket_counts(planned.id)[Bucket.CONFIRMED] == 3
    assert len(looks) == 1
    assert len(scene.api.world.tasks) == 1


def test_a_server_that_ignores_the_filter_lists_everybodys_tasks_and_ours_is_found_among_them():
    def everybody(transport, path, really):
        reply = really()
        if path != TASKS:
            return reply
        document = json.loads(reply.body)
        others = [{**task, "id": "other", "reference": "not ours"} for task in document["results"]]
        return transport.answer(200, {**document, "count": 2 * len(others), "results": others + document["results"]})

    scene = Scene(singles(3), script=lost_once(everybody))
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert scene.lanes.transport.paths.count(ASYNC) == 1


def test_the_looker_itself_never_takes_a_task_of_another_reference():
    scene = Scene(singles(1))
    client = scene.lanes.client
    created = client.upload_async({"extended_id": ["K0"]}, {"m": "1"}, "theirs", None)
    found = look_for_task(client, {"theirs": 5}, {"extended_id": ["K0"]}, {"m": "1"})
    assert (found.task_id, found.attempt_id) == (created.task_id, 5)
    assert look_for_task(client, {"ours": 6}, {"extended_id": ["K0"]}, {"m": "1"}).absent


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_lists_never_show_is_asked_for_by_itself():
    def hidden(transport, path, really):
        reply = really()
        return transport.answer(200, {"count": 0, "next": None, "results": []}) if path == TASKS else reply

    scene = Scene(singles(3), script=hidden)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert any(path.startswith(TASKS) and path != TASKS for path in scene.lanes.transport.paths)


def test_a_task_that_the_api_has_forgotten_is_rejected_only_after_two_looks_far_enough_apart():
    gone = []

    def forgotten(transport, path, really):
        reply = really()
        if path == TASKS:
            return transport.answer(200, {"count": 0, "next": None, "results": []})
        if path.startswith(TASKS):
            gone.append(transport.at_s)
            if len(gone) == 1:
                return transport.answer(503, b"busy")  # says nothing of the task
            return transport.answer(404, {"detail": "Not found."})
        return reply

    scene = Scene(singles(3), script=forgotten)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.states() == [State.FAILED]
    assert gone[-1] - gone[1] >= SETTINGS.settle_s
    assert scene.counts() == {"rejected": 3}


def test_a_task_that_does_not_end_is_left_pending_and_settled_by_the_next_run():
    scene = Scene(singles(3))
    scene.plan((K[:3], 0))

    def stuck(_transport, _path, really):
        reply = really()
        for task in scene.api.world.tasks.values():
            task.stuck = True
        return reply

    scene.script = stuck
    assert scene.engine.send() is None
    assert scene.counts() == {"pending": 3}
    planned, scene.script = scene.run, honest
    for task in scene.api.world.tasks.values():
        task.stuck = False
    assert scene.begin().settle() is None
    assert scene.ledger.bucket_counts(planned.id)[Bucket.CONFIRMED] == 3


def test_a_list_that_is_cut_short_says_nothing_of_the_tasks_it_does_not_show():
    """They are asked for first in the next look, and never counted as missing."""
    shown = []

    def cut(transport, path, really):
        reply = really()
        if path != TASKS:
            return reply
        first, *others = json.loads(reply.body)["results"]
        shown.append(first["id"])
        following = "http://elsewhere.example/" if others else None
        return transport.answer(200, {"count": 1 + len(others), "next": following, "results": [first]})

    scene = Scene(singles(6), script=cut)
    scene.plan((K[:3], 0), (K[3:], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}
    assert len(set(shown)) == 2
    assert all(path == TASKS for path in scene.lanes.transport.paths if path.startswith(TASKS))


# ── composite and non-unique keys ────────────────────────────────────────────────────────────────────────────────────


def pairs(*numbers):
    return [f"{n}{KEY_SEPARATOR}A" for n in numbers]


def boxed(numbers, each=1):
    return [{"extended_id": f"E{n}-{copy}", "lot": "A", "box": str(n)} for n in numbers for copy in range(each)]


def test_an_odd_count_of_a_composite_key_is_halved_until_the_missing_pair_is_found(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.PROOF_CODES", 2)  # the scene is small
    scene = Scene(boxed([0, 1, 2, 4, 5]), key=("box", "lot"), unique=True)
    scene.plan((pairs(0, 1, 2, 3, 4, 5), 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 5, "unmatched": 1}
    assert scene.lanes.transport.paths.count(SYNC) == 0


def test_a_multiple_proves_nothing_of_a_composite_key_whose_values_are_then_asked_for_one_by_one():
    scene = Scene(boxed(range(3), each=4), key=("box", "lot"), unique=False)
    scene.plan((pairs(0, 1, 2), 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert scene.context.reach(scene.run.job) == Reach(4.0)
    assert scene.lanes.transport.paths.count(ASYNC) == 4
    scene.begin()
    scene.plan((pairs(0, 1, 2), 0))
    assert scene.engine.send() is None
    assert scene.lanes.transport.paths.count(ASYNC) == 1  # now it is known how many codes each selects


def test_an_odd_count_waits_while_another_is_being_looked_into_and_is_judged_by_what_that_taught(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.PROOF_CODES", 2)  # the scene is small
    world = [{"extended_id": f"E{n}-{copy}", "case_no": f"C{n}"} for n in (0, 1, 3, 4) for copy in range(2)]

    def together(transport, _path, really):
        looks = transport.paths.count(TASKS)
        for task in scene.api.world.tasks.values():
            task.end_due_s = 0.0 if looks > 2 else 1e9  # both end before the same look
        return really()

    scene = Scene(world, key=("case_no",), unique=False, script=together)
    scene.plan((["C0", "C1", "C2"], 0), (["C3", "C4", "C5"], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 4, "unmatched": 2}
    held = {code.fields["case_no"] for code in scene.api.world.codes if code.fields.get("m") == "1"}
    assert held == {"C0", "C1", "C3", "C4"}
    assert scene.ledger.problems() == []


def test_a_batch_in_which_two_columns_vary_is_never_sent():
    items = tuple(Item(n, f"{n}{KEY_SEPARATOR}{n}", "{}") for n in range(2))
    loaded = LoadedBatch(
        SimpleNamespace(id=7, varying=1), items, SimpleNamespace(job=SimpleNamespace(key=("lot", "box")))
    )
    with pytest.raises(ValueError, match="batch 7: two constraints vary, 'lot'"):
        loaded.constraints()


def test_a_batch_that_reaches_far_more_than_ever_seen_stops_the_run_with_what_was_done_recorded():
    world = boxed([0, 1], each=2) + boxed([2, 3], each=50)
    scene = Scene(world, key=("box", "lot"), unique=False)
    settings = type(SETTINGS)(settle_s=30.0, poll_s=2.0, max_reach_factor=10.0)
    scene.begin(settings=settings)
    scene.plan((pairs(0, 1), 0))
    assert scene.engine.send() is None
    scene.begin(settings=settings)
    scene.plan((pairs(2), 0), (pairs(3), 0))
    error = scene.engine.send()
    assert isinstance(error, GuardError)
    assert "50.0 each" in str(error)
    assert scene.ledger.reach(scene.run.job)["high"] == 2.0
    stopped = scene.begin(settings=settings).settle()  # until it is approved
    assert isinstance(stopped, GuardError)
    assert "50.0 each" in str(stopped)
    assert scene.begin(settings=SETTINGS).settle() is None
    assert scene.engine.send() is None
    assert {code.fields.get("m") for code in scene.api.world.codes} == {"1"}


def test_a_refusal_is_narrowed_to_the_value_at_fault():
    def refusing(transport, path, really):
        at_fault = path in {SYNC, ASYNC} and "K1" in str(transport.body)
        return transport.answer(400, {"detail": "K1 is wrong"}) if at_fault else really()

    scene = Scene(singles(6), script=refusing)
    scene.plan((K[:3], -1), (K[3:], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 5, "rejected": 1}
    scene.begin()
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2, "rejected": 1}
    assert scene.ledger.problems() == []


# ── what stops a run ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(401, AccessError, "refused access"), (405, UnreachableError, "is not the API")],
)
def test_what_will_not_get_better_stops_the_run_and_leaves_all_unsent(status, kind, words):
    scene = Scene(singles(6), script=lambda transport, path, really: transport.answer(status, {"detail": "no"}))
    scene.plan(*(([key], -1) for key in K))
    error = scene.engine.send()
    assert isinstance(error, kind)
    assert words in str(error)
    assert scene.counts() == {"unsent": 6}


def test_an_api_that_never_answers_is_given_up():
    scene = Scene(singles(1), script=lambda transport, path, really: transport.answer(None, b"", sent=False))
    scene.plan((K[:1], -1))
    error = scene.engine.send()
    assert isinstance(error, UnreachableError)
    assert "without one success" in str(error)
    assert scene.counts() == {"unsent": 1}
    assert any(progress.waiting_for.startswith("the API fails") for progress in scene.seen)


def test_a_signal_and_a_deadline_end_a_run_with_what_was_under_way_recorded():
    keys = [f"K{n}" for n in range(30)]
    scene = Scene(singles(30))
    scene.plan(*(([key], -1) for key in keys))
    scene.script = lambda transport, path, really: (
        scene.interrupt.signal_number or scene.interrupt.arrived(15),
        really(),
    )[1]
    error = scene.engine.send()
    assert isinstance(error, SignalError)
    done = scene.counts()
    assert set(done) == {"confirmed", "unsent"}
    assert sum(done.values()) == 30
    scene.script = honest
    scene.begin()
    scene.plan(([K[0]], -1))
    engine = Engine(scene.context, interrupt=scene.interrupt, deadline_s=scene.clock.now_s)
    assert isinstance(engine.send(), DeadlineError)
    assert scene.counts() == {"unsent": 1}


def test_newer_data_waits_until_an_older_call_is_surely_over():
    scene = Scene(singles(1))
    scene.plan((K[:1], -1))
    begun_s = scene.clock.now_s
    assert scene.engine.send(not_before_s=begun_s + 25.0) is None
    assert scene.clock.now_s >= begun_s + 25.0
    assert scene.counts() == {"confirmed": 1}
    assert any("older call" in progress.waiting_for for progress in scene.seen)


@pytest.mark.parametrize("varying", [-1, 0])
def test_how_long_newer_data_waits_is_measured_by_the_steady_clock_of_the_same_boot(varying):
    """After a lost sync call; and after an async call in doubt that was let go of: until then it holds its own values."""

    def lost(transport, _path, _really):
        return transport.answer(None, b"")

    scene = Scene(singles(1), script=lost)
    scene.plan((K[:1], varying))
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    if varying == 0:
        assert quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock) == 0.0
        (batch,) = scene.ledger.batches(run_id=scene.run.id)
        scene.context.writer.let_go(batch, utc_text(scene.clock.wall_s()), message="by hand")
    (_, last), *_ = scene.ledger.lost_unheld([scene.run.job.id])
    waits_until_s = quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock)
    assert waits_until_s == pytest.approx(last.seconds + SETTINGS.settle_s)
    scene.clock.wall_offset_s += 1e6  # the wall clock is not asked about the same boot
    assert quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock) == waits_until_s
    scene.clock.wall_offset_s -= 1e6
    scene.clock.uptime = lambda: Uptime("another boot", 5.0)
    assert (
        quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock) == scene.clock.now_s + SETTINGS.settle_s
    )
    scene.clock.wall_offset_s += 1e6  # long past, whichever boot it was
    assert quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock) == 0.0
    scene.clock.wall_offset_s -= 1e6
    del scene.clock.uptime
    scene.clock.now_s += SETTINGS.settle_s + 0.1
    assert quarantine_s(scene.ledger, [scene.run.job.id], SETTINGS, scene.clock) == 0.0


# ── reads outside an engine ──────────────────────────────────────────────────────────────────────────────────────────


def reader(*replies, give_up_after_s=5.0):
    """A reader on a virtual clock, whose server gives these answers (status, body) one after the other."""
    clock, waiting = VirtualClock(), list(replies)
    transport = SimpleNamespace(base_url="http://sim", masked=lambda text: text)

    def call(*_, **__):
        clock.now_s += 0.1
        status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Reply(
            status_code=status, headers={}, body=body, failure=None if status else "reset", sent=True,
            fresh_connection=False, sent_s=clock.now_s - 0.1, answered_s=clock.now_s, arrived_by_s=clock.now_s,
            answered_wall_s=clock.wall_s(),
        )  # fmt: skip

    transport.call = call
    return Reader(Client(transport), clock, ReadLimiter(3000), Interrupt(graceful=True), give_up_after_s)


PAGE = b'{"count": 0, "next": null, "results": []}'


def test_a_read_is_made_again_until_it_is_answered_and_throttling_is_obeyed():
    asking = reader((503, b"busy"), (None, b""), (429, b'{"detail": "Expected available in 4 seconds."}'), (200, PAGE))
    begun_s = asking.clock.now_s
    assert asking.ask(lambda client: client.products({})).verdict is Verdict.OK
    assert (asking.counts.retries, asking.counts.throttled, asking.counts.reads) == (2, 1, 4)
    assert asking.clock.now_s - begun_s >= 4.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AccessError), (403, ForbiddenError), (404, UnreachableError), (400, SyncerError), (503, UnreachableError)],
)
def test_a_read_that_will_not_get_better_ends_with_its_reason(status, kind):
    asking = reader((status, b'{"detail": "no"}'))
    with pytest.raises(SyncerError) as caught:
        asking.ask(lambda client: client.products({}))
    assert type(caught.value) is kind


def test_a_signal_and_the_deadline_end_a_wait():
    asking = reader((200, PAGE))
    asking.deadline_s = asking.clock.now_s + 3.0
    with pytest.raises(DeadlineError):
        asking.pause(60.0)
    assert asking.clock.now_s == pytest.approx(asking.deadline_s)
    asking.interrupt.arrived(15)
    with pytest.raises(SignalError) as caught:
        asking.pause(60.0)
    assert caught.value.next == AGAIN


def test_rows_that_name_no_product_need_no_copy_of_the_products():
    vet = by_copy(None, wall_s=0.0, max_age_h=24.0)
    assert vet(frozenset()) == CheckedProducts()
    unchecked = vet(frozenset({"sku"}))
    assert (unchecked.unknown, len(unchecked.notes)) == (frozenset(), 1)


def test_a_look_up_takes_no_product_of_another_sku():
    other = {"id": 1, "sku": "other", "name": "n", "is_archived": False}
    page = json.dumps({"count": 1, "next": None, "results": [other]}).encode()
    assert look_up(reader((200, page)), "mine") is None
    assert look_up(reader((200, page)), "other").id == 1


# ── lanes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_defect_inside_a_lane_comes_out_of_wait_and_the_lane_goes_on():
    clock = SystemClock()
    lanes = ThreadLanes(lambda: "client", 2, clock)
    try:
        lanes.start(1, lambda client: 1 // 0, clock.monotonic_s())
        with pytest.raises(ZeroDivisionError):
            lanes.wait(clock.monotonic_s() + 60)
        assert lanes.free() == 2
        lanes.start(2, lambda client: client, clock.monotonic_s())
        assert lanes.wait(clock.monotonic_s() + 60) == [(2, "client")]
        assert lanes.wait(clock.monotonic_s()) == []
    finally:
        lanes.close()
