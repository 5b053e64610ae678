"""No batch is lost or kept for ever: after every run, however it ends, what is in hand is what the ledger has open."""

from __future__ import annotations

from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sim.scenes import ASYNC, SYNC, TASKS, K, Scene, singles
from sim.world import Crash

from syncer.execute.engine import Engine
from syncer.execute.registry import FOLLOWED, Registry
from syncer.lifecycle.batch import FINAL, State

ANSWERS = {
    "lost after the work": (None, b""),
    "500 after the work": (500, b"oops"),
    "refused": (400, {"detail": "no"}),
    "refused by a page": (403, b"<html>blocked</html>"),
    "too large": (413, b""),
    "throttled": (429, {"detail": "wait"}),
    "unpaid": (402, b""),
    "not known": (404, {"detail": "Not found."}),
}
ONE_BY_ONE = st.lists(st.sampled_from(["good", "good", "never sent", *ANSWERS]), max_size=12)
FOR_EVER = st.tuples(st.sampled_from(["no", "updates", "tasks"]), st.sampled_from(["never sent", *ANSWERS]))
FATES = st.tuples(ONE_BY_ONE, FOR_EVER)
STOPS = st.tuples(st.sampled_from(["nothing", "signal", "deadline", "death"]), st.integers(1, 60))
UNASKED, NEVER = ("tasks", "refused"), ("nothing", 1)
STEPS_MAX = 20_000
PLANS = st.sampled_from([[(K, 0)], [(K, -1)], [(K[:3], 0), (K[3:], -1)], [((key,), -1) for key in K]])


def meddling(fates):
    """Give the calls of a scene these fates, one after the other; then all of one kind a fate for ever."""
    left, (kind, at_last) = [*fates[0]], fates[1]

    def script(transport, path, really):
        if path.startswith(TASKS) or path in {SYNC, ASYNC}:
            for_ever = kind == ("tasks" if path.startswith(TASKS) else "updates")
            fate = left.pop(0) if left else at_last if for_ever else "good"
        else:
            fate = "good"
        if fate == "never sent":
            return transport.answer(None, b"", sent=False)
        if fate.endswith("after the work"):
            really()
        return transport.answer(*ANSWERS[fate]) if fate in ANSWERS else really()

    return script


def run(scene, stop=("nothing", 0)):
    """Let the scene's process settle and send; return what stopped it, and what it left to a later run."""
    what, when = stop
    steps, left = [], set()
    leave = Registry.leave

    def at_step(step):
        steps.append(step)
        assert len(steps) < STEPS_MAX  # else something is kept for ever
        if what == "death" and len(steps) == when:
            raise Crash(step)
        if what == "signal" and len(steps) == when:
            scene.interrupt.arrived(15)

    def noted(self, batch, why):
        left.add(batch.id)
        leave(self, batch, why)

    scene.at_step = at_step
    deadline_s = scene.clock.now_s + when if what == "deadline" else None
    scene.engine = Engine(scene.context, interrupt=scene.interrupt, deadline_s=deadline_s)
    with mock.patch.object(Registry, "leave", noted):
        stopped = scene.engine.settle() or scene.engine.send()
    scene.at_step = lambda step: None
    return stopped, left


def in_hand(scene):
    registry = scene.context.registry
    found = {entry.batch.id: entry.batch for state in State for entry in registry.of(state)}
    assert len(found) == len(registry)  # each in one place
    return found


def check_accounted(scene, stopped, left):
    """Every open batch is in hand as the ledger has it, left to a later run, or was never begun by a run that stopped."""
    ledger = {batch.id: batch for batch in scene.ledger.batches()}
    found = in_hand(scene)
    assert found == {batch_id: ledger[batch_id] for batch_id in found}
    assert not {State.SENDING, *FINAL} & {batch.state for batch in found.values()}
    assert stopped or not found
    for batch in ledger.values():
        if batch.state in FOLLOWED and batch.id not in found:
            never_begun = batch.state is State.PLANNED and batch.changed_at <= scene.run.started_at
            assert batch.id in left or (stopped and never_begun), batch


@settings(max_examples=40)
@example([(K, 0)], ([], UNASKED), NEVER, (["good"], UNASKED))
@example([(K, 0)], (["lost after the work"], UNASKED), NEVER, ([], UNASKED))
@given(PLANS, FATES, STOPS, FATES)
def test_at_the_end_of_every_run_what_is_in_hand_is_accounted_for_and_a_later_run_ends_it(plan, first, stop, second):
    scene = Scene(singles(5), script=meddling(first))  # K5 is no code
    scene.plan(*plan)
    try:
        stopped, left = run(scene, stop)
    except Crash:
        scene.die()
    else:
        check_accounted(scene, stopped, left)
    for fates in (second, ([], ("no", ""))):
        scene.clock.now_s += 86_400.0
        scene.script = meddling(fates)
        scene.begin()
        check_accounted(scene, *run(scene))
    assert not in_hand(scene)
    assert {batch.state for batch in scene.ledger.batches()} <= {*FINAL, State.ABANDONED}
    assert scene.ledger.problems() == []
