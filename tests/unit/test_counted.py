"""What counts were believed to say of a field, by a process that stopped, until a later one sees its name for the first time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sim.scenes import ASYNC, SYNC, TASKS, K, Scene, honest, singles

from syncer.ledger.bulk import raw_cursor
from syncer.ledger.counted import doubt, refuse_all, want_counted
from syncer.ledger.proofs import taken_again
from syncer.mirror.picture import UNHEARD_OF
from syncer.process.clock import utc_text

UNDEFINED, DEFINED = {1: frozenset({"s"})}, {1: frozenset({"m", "s"})}
AT = "2026-01-01T00:00:00.000Z"
PRODUCTS = "INSERT INTO products VALUES (1, 'P', 'P', FALSE, 7, '{}', ''), (2, 'Q', 'Q', FALSE, 8, '{}', '')"
BOTH = '{"m":"1","s":"2"}'


class DeathError(BaseException):
    """The process is killed."""


def pictures(scene, keys):
    with scene.ledger.knowledge(scene.run.job.space_id) as known:
        found = known.view(keys)
    return [(one.known, one.uncertain, one.refused) for one in (found.get(key, UNHEARD_OF) for key in keys)]


def wanted(scene):
    """Return the values that wait for the next plan, with their words."""
    with scene.ledger.knowledge(scene.run.job.space_id) as known:
        found = [(block.keys.to_pylist(), block.payload_ids.tolist()) for block in known.wanted()]
        texts = known.texts(number for _, numbers in found for number in numbers)
    return sorted((key, texts[one]) for keys, numbers in found for key, one in zip(keys, numbers, strict=True))


def ended(scene, error=None):
    """Let the scene's run come to its end, or be stopped by an error."""
    end = {"at": utc_text(scene.clock.wall_s()), "state": "complete", "exit_code": 0, "error": error}
    scene.context.writer.end_run(scene.run.id, **end, discarded_fields=())


def counted(**options):
    """Give a scene whose first process counted three values in a task; nobody read anything back. Then it is defined."""
    scene = Scene(singles(6), **options)
    scene.api.world.campaigns = UNDEFINED
    scene.plan((K[:3], 0), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3
    scene.api.world.campaigns = DEFINED
    return scene


def test_what_a_count_said_before_a_name_says_it_is_sent_again():
    scene = counted()
    scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:5]) == [("{}", ("m", "s"), ())] * 3 + [(BOTH, (), ())] * 2
    assert scene.context.fields.taken_again == {"m", "s"}
    assert wanted(scene) == sorted((key, word) for key in K[:3] for word in ('{"m":"1"}', '{"s":"2"}'))


def test_a_run_that_came_to_its_end_is_believed():
    """It read back what no answer had named."""
    scene = counted()
    end = {"at": utc_text(scene.clock.wall_s()), "state": "complete", "exit_code": 0, "error": None}
    scene.context.writer.end_run(scene.run.id, **end, discarded_fields=())
    scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3
    assert wanted(scene) == []


def test_of_fields_that_calls_of_that_process_never_named_nothing_is_doubted():
    scene = counted()
    scene.begin()
    scene.plan((K[3:5], -1), data='{"other":"1"}')
    scene.api.world.campaigns = {1: frozenset({"other"})}
    assert scene.engine.send() is None
    assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3


@pytest.mark.parametrize(("told", "campaign"), [(None, 7), (7, None)], ids=["the job's", "that of its product"])
def test_another_campaign_says_nothing_of_this_one(told, campaign):
    scene = counted()
    with scene.ledger.transaction() as connection:
        connection.exec_driver_sql(PRODUCTS)
        assert doubt(connection, (1, 1), told, campaign, ["m"], 10**6, AT, {}) == set()
    assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3


@pytest.mark.parametrize("first", ["names", "count"])
def test_a_task_of_a_process_that_was_killed_is_asked_again_where_a_name_came_first(first):
    """Its count says nothing of a field that was defined after the call."""
    dead = []

    def script(transport, path, really):
        if path == TASKS and not dead:
            dead.append(path)
            raise DeathError
        if path == TASKS and first == "names" and transport.paths.count(SYNC) == 0:
            return transport.answer(503, b"busy")
        return really()

    scene = Scene(singles(6), script=script)
    scene.api.world.campaigns = UNDEFINED
    scene.plan((K[:3], 0), data=BOTH)
    with pytest.raises(DeathError):
        scene.engine.send()
    scene.die()
    scene.clock.now_s += 60.0
    scene.api.advance(scene.clock.now_s)
    scene.api.world.campaigns = DEFINED
    scene.begin()
    if first == "count":
        assert scene.engine.settle() is None
        assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    held = {code.fields["extended_id"]: code.fields.get("m") for code in scene.api.world.codes}
    if first == "count":
        assert pictures(scene, K[:3]) == [("{}", ("m", "s"), ())] * 3
        assert [key for key, _ in wanted(scene)] == [key for key in K[:3] for _ in "ms"]
        assert (held["K0"], held["K3"]) == (None, "1")
        return
    assert held["K0"] is None
    assert scene.engine.settle() is None
    assert scene.engine.send() is None
    assert scene.lanes.transport.paths.count(ASYNC) == 0
    assert [code.fields.get("m") for code in scene.api.world.codes] == ["1"] * 5 + [None]
    assert pictures(scene, K[:5]) == [(BOTH, (), ())] * 5
    assert scene.ledger.problems() == []


def test_a_task_of_this_process_is_believed_beside_the_call_that_names_its_fields():
    scene = Scene(singles(6))
    scene.api.world.campaigns = DEFINED
    scene.plan((K[:3], 0), (K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:5]) == [(BOTH, (), ())] * 5
    assert scene.lanes.transport.paths.count(SYNC) == 1


def test_a_name_that_is_missing_at_first_speaks_against_what_was_counted_before():
    """Else those values would be believed to hold the field once it is defined."""
    scene = counted()
    scene.api.world.campaigns = UNDEFINED
    scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:5]) == [("{}", ("s",), ("m",))] * 3 + [('{"s":"2"}', (), ("m",))] * 2
    scene.api.world.campaigns = DEFINED
    scene.begin()
    scene.plan((K[3:4], -1), data='{"m":"1"}')
    assert scene.engine.send() is None
    assert {*K[:3], K[4]} <= {key for key, word in wanted(scene) if word == '{"m":"1"}'}


def test_where_some_take_a_field_and_others_do_not_what_counts_said_before_is_uncertain():
    scene = Scene([{**code, "campaign": str(1 + n % 2)} for n, code in enumerate(singles(6))])
    scene.api.world.campaigns = {1: frozenset({"m", "s"}), 2: frozenset({"s"})}
    scene.plan((K[:3], 0), data=BOTH)
    assert scene.engine.send() is None
    scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert [uncertain for _, uncertain, _ in pictures(scene, K[:3])] == [("m", "s")] * 3


@pytest.mark.parametrize(("disjoint", "waits"), [({}, False), ({"other": ["job"]}, True)], ids=["perhaps", "never"])
def test_words_of_another_key_are_doubted_and_wait_where_it_never_reaches_the_same_codes(disjoint, waits):
    """Elsewhere they may be older than what this run writes to the same codes: they would go over it."""
    scene = counted()
    other = scene.ledger.ensure_job("other", ("serial_number",))
    with scene.ledger.transaction() as connection:
        assert doubt(connection, (other.id, other.space_id), None, None, ["m"], 10**6, AT, disjoint) == set()
    assert pictures(scene, K[:3]) == [('{"s":"2"}', ("m",), ())] * 3
    assert wanted(scene) == ([(key, '{"m":"1"}') for key in K[:3]] if waits else [])


def lost(scene, *keys):
    """Let the campaign lose the field m, and values of it show that, one by one."""
    scene.api.world.campaigns = UNDEFINED
    scene.begin()
    scene.plan(*(([key], -1) for key in keys), data='{"m":"9"}')
    assert scene.engine.send() is None


def given_back(scene):
    """Let the campaign have the field again; K4, which did not take it, asks. Return what others want then."""
    scene.api.world.campaigns = DEFINED
    scene.begin()
    scene.plan((K[4:5], -1), data='{"m":"9"}')
    assert scene.engine.send() is None
    return [(key, word) for key, word in wanted(scene) if key != "K4"]


def proven(**options):
    """Give a scene of a campaign whose fields were named once, for K0."""
    scene = Scene(singles(6), **options)
    scene.api.world.campaigns = DEFINED
    scene.plan((K[:1], -1), data=BOTH)
    assert scene.engine.send() is None
    return scene


def nameless(transport, path, really):
    reply = really()
    if path == SYNC:
        return replace(reply, body=json.dumps({"codes_affected": json.loads(reply.body)["codes_affected"]}).encode())
    return reply


def test_what_a_count_confirmed_stays_counted_when_another_field_is_named_later():
    """The kind of a value's last batch says nothing of a field that it did not carry."""
    scene = proven()
    scene.begin()
    scene.plan((K[1:4], 0), data=BOTH)
    assert scene.engine.send() is None
    scene.begin()
    scene.plan((K[2:4], -1), data='{"s":"3"}')
    assert scene.engine.send() is None
    assert pictures(scene, K[:4]) == [(BOTH, (), ())] * 2 + [('{"m":"1","s":"3"}', (), ())] * 2
    lost(scene, K[4])
    assert pictures(scene, K[:4]) == [
        (BOTH, (), ()), ('{"s":"2"}', ("m",), ()), *[('{"s":"3"}', ("m",), ())] * 2
    ]  # fmt: skip
    scene.begin()
    scene.plan((K[1:2], -1), data='{"s":"4"}')
    assert scene.engine.send() is None
    assert given_back(scene) == [(key, '{"m":"1"}') for key in K[1:4]]


def test_what_a_sync_call_counted_without_names_is_counted():
    scene = proven()
    scene.script = nameless
    scene.begin()
    scene.plan((K[1:3], -1), data=BOTH)
    assert scene.engine.send() is None
    scene.script = honest
    scene.begin()
    scene.plan((K[2:3], -1), data='{"m":"2"}')
    assert scene.engine.send() is None
    lost(scene, K[4])
    assert pictures(scene, K[:3]) == [(BOTH, (), ()), ('{"s":"2"}', ("m",), ()), ('{"m":"2","s":"2"}', (), ())]
    assert given_back(scene) == [("K1", '{"m":"1"}')]


def test_a_nameless_sync_call_of_a_process_that_stopped_is_doubted_where_a_name_comes_first():
    scene = Scene(singles(6), script=nameless)
    scene.api.world.campaigns = UNDEFINED
    scene.plan((K[:2], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:2]) == [(BOTH, (), ())] * 2
    scene.script, scene.api.world.campaigns = honest, DEFINED
    scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    assert scene.engine.send() is None
    assert pictures(scene, K[:2]) == [("{}", ("m", "s"), ())] * 2


@pytest.mark.parametrize(("campaign", "waits"), [(7, True), (8, False)], ids=["its own", "another"])
def test_what_was_counted_in_another_campaign_does_not_wait(campaign, waits):
    scene = proven()
    with scene.ledger.transaction() as connection:
        connection.exec_driver_sql(PRODUCTS)
    scene.begin()
    scene.plan((K[1:3], 0), data='{"m":"1","product":"P"}')
    assert scene.engine.send() is None
    lost(scene, K[4])
    with scene.ledger.transaction() as connection:
        want_counted(connection, campaign, ["m", "other"], AT, {})
    assert wanted(scene) == ([(key, '{"m":"1"}') for key in K[1:3]] if waits else [])


@pytest.mark.parametrize("seen", ["by a run that was stopped", "by this run", "by this run, which had come to its end"])
def test_a_task_that_a_run_left_pending_is_no_more_believed_by_who_sees_its_end(seen):
    """The run that sent it came to its end, and could read nothing back of it."""
    busy = [True]

    def script(transport, path, really):
        return transport.answer(503, b"busy") if path.startswith(TASKS) and busy else really()

    scene = Scene(singles(6), script=script)
    scene.api.world.campaigns = UNDEFINED
    scene.plan((K[:3], 0), data=BOTH)
    scene.engine.send()
    assert [state.value for state in scene.states()] == ["submitted"]
    ended(scene)
    busy.clear()
    scene.api.world.campaigns = DEFINED
    scene.begin()
    assert scene.engine.settle() is None
    assert pictures(scene, K[:3]) == [(BOTH, (), ())] * 3
    if "stopped" in seen:
        ended(scene, "stopped")
        scene.begin()
    scene.plan((K[3:5], -1), data=BOTH)
    if "end" in seen:  # `resume` goes on with such a run
        ended(scene)
    assert scene.engine.send() is None
    assert pictures(scene, K[:3]) == [("{}", ("m", "s"), ())] * 3


@pytest.mark.parametrize("way", ["refused", "taken again"])
def test_values_that_each_hold_data_of_their_own_are_changed_by_one_statement(way):
    """One a picture read the whole mirror for each: 20,000 values took half a minute, a million a day."""
    scene = Scene(singles(6))
    scene.api.world.campaigns = UNDEFINED if way == "taken again" else DEFINED
    for number, key in enumerate(K[:4]):
        scene.begin()
        scene.plan(([key], -1), data=f'{{"m":"{number}","s":"{number}"}}')
        assert scene.engine.send() is None
    statements = []
    with scene.ledger.transaction() as connection:
        raw_cursor(connection).connection.set_trace_callback(statements.append)
        if way == "refused":
            refuse_all(connection, None, ["m"])
        else:
            item = raw_cursor(connection).execute("SELECT id FROM items WHERE key = 'K0'").fetchone()[0]
            assert taken_again(connection, 1, None, {item: ["m"]}, AT, {}) == ["m"]
        raw_cursor(connection).connection.set_trace_callback(None)
    assert sum(one.lstrip().startswith("UPDATE mirror") for one in statements) == 1
    lacking = ("m",) if way == "refused" else ()
    assert pictures(scene, K[:4]) == [(f'{{"s":"{number}"}}', (), lacking) for number in range(4)]
    assert scene.ledger.problems() == []
