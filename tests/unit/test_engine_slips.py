"""One-line slips of the engine that nothing else would notice, each shown by what the server and the ledger hold."""

from __future__ import annotations

import json

import pytest
from plans import plan_of
from sim.scenes import ASYNC, SETTINGS, SOURCE, SYNC, TASKS, K, Scene, singles

from syncer.execute.reconcile import Reach
from syncer.ledger.values import SeenFields
from syncer.lifecycle.batch import State
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import utc_text


def test_an_answer_that_contradicts_itself_proves_no_field():
    """It names a stranger: who knows whose fields those are."""
    proven = []

    def script(transport, path, really):
        reply = really()
        if path != SYNC:
            return reply
        proven.append(dict(scene.ledger.proofs(None)))
        document = json.loads(reply.body)
        if len(proven) == 1:
            document["items"]["stranger"] = document["items"]["K0"]
        return transport.answer(200, document)

    scene = Scene(singles(2), script=script)
    scene.plan((K[:2], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2}
    assert proven[:2] == [{}, {}]
    assert scene.ledger.proofs(None) == {"m": True}


@pytest.mark.parametrize(
    ("data", "missing", "proofs"),
    [('{"activation_status":"1"}', 0, {}), ('{"activation_status":"1"}', 1, {}), ('{"m":"1"}', 0, {"m": False}), ('{"m":"1"}', 2, {"m": False})],
)  # fmt: skip
def test_values_that_an_answer_counts_and_does_not_name_are_there_and_took_no_field_for_certain(data, missing, proofs):
    """Special fields stand in no answer for certain; and a value that took no field may stand in none.

    Whether a code has a value that a second call did not count is to be read back; here nothing can be.
    """

    def script(transport, path, really):
        reply = really()
        return transport.answer(200, {**json.loads(reply.body), "items": {}}) if path == SYNC else reply

    scene = Scene(singles(6 - missing), script=script)
    scene.plan((K, -1), data=data)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6 - missing, **({"in_doubt": missing} if missing else {})}
    assert scene.lanes.transport.paths.count(SYNC) <= (11 if missing else 1)
    assert scene.ledger.proofs(None) == proofs
    assert scene.ledger.problems() == []


def test_a_count_that_fits_nothing_teaches_no_reach():
    def script(transport, path, really):
        reply = really()
        if not path.startswith(TASKS):
            return reply
        document = json.loads(reply.body)
        for task in document.get("results", [document]):
            if task["state"] == "complete" and task["codes_affected"] == 2:
                task["codes_affected"] = 90
        return transport.answer(200, document)

    pairs = [f"{n}{KEY_SEPARATOR}A" for n in range(2)]
    scene = Scene(
        [{"extended_id": f"E{n}", "lot": "A", "box": str(n)} for n in range(2)], key=("box", "lot"), unique=False,
        script=script,
    )  # fmt: skip
    scene.plan((pairs, 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2}
    assert scene.context.reach(scene.run.job) == Reach(high=1.0)


def test_a_task_that_was_shown_again_is_not_gone():
    """Its address said 404, long ago; what counts is how long nobody has seen it."""
    looks = []

    def script(transport, path, really):
        reply = really()
        if path == TASKS:
            return transport.answer(200, {"count": 0, "next": None, "results": []})
        if not path.startswith(TASKS):
            return reply
        looks.append(transport.at_s)
        for task in scene.api.world.tasks.values():
            task.stuck = transport.at_s - looks[0] < 2 * SETTINGS.settle_s
        late = looks[0] + 1.5 * SETTINGS.settle_s
        first_late = transport.at_s >= late and not any(late <= at_s < transport.at_s for at_s in looks)
        return transport.answer(404, {"detail": "Not found."}) if len(looks) == 1 or first_late else reply

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.states() == [State.CONFIRMED]


def test_a_count_that_comes_a_moment_after_its_task_has_ended_is_waited_for():
    looks = []

    def script(transport, path, really):
        reply = really()
        if not path.startswith(TASKS):
            return reply
        document = json.loads(reply.body)
        for task in document.get("results", [document]):
            if task["state"] == "complete":
                looks.append(path)
                task["codes_affected"] = None if len(looks) == 1 else task["codes_affected"]
        return transport.answer(200, document)

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert SYNC not in scene.lanes.transport.paths


@pytest.mark.parametrize("campaign", [11, None])
def test_the_parts_of_a_batch_bear_its_campaign_and_its_uniqueness(campaign):
    sent = []

    def script(transport, path, really):
        if path == ASYNC:
            sent.append(
                (len(json.loads(transport.body)["constraints"]["lot"]), json.loads(transport.body).get("campaign"))
            )
        return really()

    scene = Scene(
        [{"extended_id": f"E{n}", "lot": f"L{n}", "size": "S"} for n in range(3)], key=("lot", "size"), script=script
    )
    at = utc_text(scene.clock.wall_s())
    scene.run = scene.ledger.begin_run(scene.run.job, at=at, mode="auto", campaign=campaign, unique=True, program="t")
    scene.plan(([f"L{n}{KEY_SEPARATOR}S" for n in range(4)], 0))
    assert scene.engine.send() is None
    batches = scene.ledger.batches(run_id=scene.run.id)
    assert len(batches) > 1
    assert {(batch.campaign, batch.unique) for batch in batches} == {(campaign, True)}
    assert {said for _, said in sent} == {campaign}


def test_the_parts_of_a_batch_vary_in_the_column_in_which_it_varies(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.PROOF_CODES", 2)  # the scene is small
    world = [{"extended_id": f"E{n}", "lot": str(n), "box": "B"} for n in (0, 1, 3)]
    scene = Scene(world, key=("box", "lot"), unique=True)
    plan = plan_of(
        [f"B{KEY_SEPARATOR}{n}" for n in range(4)], key=scene.key, varying=[1], fields=("m",), payloads=['{"m":"1"}']
    )
    scene.ledger.store_plan(scene.run, plan, [SOURCE], at=utc_text(scene.clock.wall_s()))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3, "unmatched": 1}
    assert {batch.varying for batch in scene.ledger.batches(run_id=scene.run.id)} == {1}
    assert {code.fields["lot"]: code.fields.get("m") for code in scene.api.world.codes} == dict.fromkeys("013", "1")


def test_a_lost_call_that_was_let_go_of_has_ended_once_its_task_has():
    """Nobody knew its task, so nothing was adopted: it is found by its reference."""
    blind = [True]

    def script(transport, path, really):
        reply = really()
        if path == ASYNC:
            return transport.answer(None, b"")
        return transport.answer(503, b"busy") if path == TASKS and blind else reply

    scene = Scene(singles(3), script=script)
    scene.plan((K[:3], 0))
    planned = scene.run
    scene.engine.context.deadline_s = scene.clock.now_s + 1.0
    scene.engine.send()
    (batch,) = scene.ledger.batches(run_id=planned.id)
    assert batch.state is State.IN_DOUBT
    scene.context.writer.let_go(batch, utc_text(scene.clock.wall_s()), message="by hand")
    scene.clock.now_s += 2 * SETTINGS.settle_s
    blind.clear()
    assert scene.begin().settle() is None
    (batch,) = scene.ledger.batches(run_id=planned.id)
    assert batch.state is State.ENDED_LATE
    assert batch.message.endswith("has ended: complete")


def test_where_no_call_names_values_a_field_that_some_take_and_others_do_not_counts_as_not_taken():
    scene = Scene([{"extended_id": f"E{n}", "lot": f"L{n}"} for n in range(2)], key=("lot",), unique=False)
    at = utc_text(scene.clock.wall_s())
    scene.plan((["L0"], 0))
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    writer = scene.context.writer
    sending, attempt_id = writer.start(batch, "a reference", at)
    writer.saw_fields(sending, {None: SeenFields({"m": True}, {}, frozenset())}, 0, at)
    writer.confirmed(sending, 1, at, attempt_id=attempt_id, refused={batch.first_item_id: {"m"}})
    scene.begin()
    scene.context.learn_reach(scene.run.job, Reach(sync_refused=True))
    scene.plan((["L1"], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 1}
    view = "SELECT m.key, p.refused FROM mirror m JOIN pictures p ON p.id = -m.picture ORDER BY m.key"
    with scene.ledger.transaction() as connection:
        assert connection.exec_driver_sql(view).fetchall() == [("L0", '["m"]'), ("L1", '["m"]')]
    assert {code.fields["lot"]: code.fields.get("m") for code in scene.api.world.codes} == {"L0": None, "L1": "1"}


def test_values_that_matched_nothing_are_counted_apart():
    scene = Scene(singles(2))
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2, "unmatched": 1}
    assert (scene.context.tally.confirmed, scene.context.tally.unmatched) == (2, 1)
