"""Values that an answer leaves out: no code has them, or they held it before and the API counts changes alone."""

from __future__ import annotations

import json

import pytest
from sim.scenes import ASYNC, SYNC, K, Scene, singles

from syncer.errors import SignalError, UnreachableError
from syncer.execute.left_out import Unsaid, unsaid
from syncer.ledger.identity import counts_same
from syncer.mirror.picture import UNHEARD_OF
from syncer.runs.code_rows import CodeRows
from syncer.runs.left_out import LeftOutReader


class WorldReader:
    """Reads code data of a scene's server; ``silent``: nothing can be had; ``deaf``: its filter is ignored."""

    def __init__(self, scene, *, silent=False, deaf=False):
        self.scene, self.silent, self.deaf, self.asked, self.pauses = scene, silent, deaf, [], 0

    def rows(self, queries):
        self.asked += queries
        if self.silent:
            return [None] * len(queries), "no document"
        return [self._rows(query) for query in queries], ""

    def _rows(self, query):
        codes = [code.fields for code in self.scene.api.world.codes]
        chosen = [one for one in codes if self.deaf or query.items() <= one.items()]
        header = tuple(sorted({name for one in chosen for name in one}))
        if self.deaf:
            chosen = [one for one in chosen if not query.items() <= one.items()]
        return CodeRows(header or ("extended_id",), tuple(chosen))

    def pause(self):
        self.pauses += 1
        self.scene.clock.sleep_s(30.0)


def scene_of(codes, *, changes_only=True, script=None, **reading):
    scene = Scene(codes, **({"script": script} if script else {}))
    scene.api.world.changes_only = changes_only
    return scene, attach(scene, **reading)


def attach(scene, **reading):
    reader = WorldReader(scene, **reading)
    scene.engine.look = LeftOutReader(reader)
    return reader


def held(keys, value="1"):
    return [{"extended_id": key, "m": value} for key in keys]


def picture(scene, key):
    with scene.ledger.knowledge(scene.run.job.space_id) as known:
        return known.view([key]).get(key, UNHEARD_OF)


@pytest.mark.parametrize("place", [-1, 0], ids=["sync", "async"])
def test_what_holds_its_data_already_is_confirmed_and_what_no_code_has_is_unmatched(place):
    """The portal had written it before: an API that counts changes alone names nobody."""
    scene, reader = scene_of(held(K[:3]) + held(K[3:4], "0"))
    scene.plan((K[:5], place))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 4, "unmatched": 1}
    assert counts_same(scene.ledger) is False
    assert picture(scene, "K0").known == '{"m":"1"}'
    assert picture(scene, "K4").absent
    assert {query["extended_id"] for query in reader.asked} >= {"K0", "K1", "K2", "K4"}
    assert scene.ledger.problems() == []


def test_batches_wait_for_few_others_and_for_nobody_once_these_were_read(monkeypatch):
    """A first load with a missing code here and there: a death in it asks few calls again, not all of them."""
    monkeypatch.setattr("syncer.execute.left_out.HELD_MAX", 2)
    monkeypatch.setattr("syncer.execute.outcome.FRESH_READ_RUN_MAX", 2)
    keys = [f"K{n}" for n in range(60)]
    scene, reader = scene_of([{"extended_id": key} for key in keys[::2]])
    scene.plan(*((keys[n : n + 2], -1) for n in range(0, 60, 2)))
    waiting, record = [], scene.engine.context.registry.hold

    def hold(batch):
        record(batch)
        waiting.append(len(scene.engine.context.left_out))

    monkeypatch.setattr(scene.engine.context.registry, "hold", hold)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 30, "unmatched": 30}
    assert len({query["extended_id"] for query in reader.asked}) == 2
    assert waiting == [*range(1, len(waiting) + 1)]  # they were read once
    assert len(waiting) < 10  # with the calls that were under way then
    assert scene.ledger.problems() == []


def test_where_nothing_can_be_read_a_value_that_was_never_sent_is_unmatched_as_the_documents_say():
    scene, reader = scene_of(singles(2), silent=True)
    scene.plan((K[:3], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2, "unmatched": 1}
    assert counts_same(scene.ledger) is None
    assert len(reader.asked) == 1


def lost_once(path):
    """Lose the first answer of a path after the call was processed."""
    seen = []

    def script(transport, called, really):
        reply = really()
        if called == path and not seen:
            seen.append(called)
            return transport.answer(None, {})
        return reply

    return script


def test_what_may_hold_it_and_cannot_be_read_is_in_doubt_and_wanted_until_it_can():
    scene, _ = scene_of(singles(3), script=lost_once(SYNC), silent=True)
    scene.plan((K[:4], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 4}
    assert scene.ledger.waiting() == 4
    assert picture(scene, "K0").uncertain == ("m",)
    assert scene.ledger.problems() == []
    scene.begin()
    attach(scene)
    scene.plan((K[:4], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3, "unmatched": 1}
    assert counts_same(scene.ledger) is False


def test_what_was_known_of_a_value_in_doubt_is_known_no_more():
    scene, _ = scene_of(singles(2), silent=True)
    scene.plan((K[:2], -1))
    assert scene.engine.send() is None
    assert picture(scene, "K0").known == '{"m":"1"}'
    for code in scene.api.world.codes:
        code.fields["m"] = "2"  # by the portal
    scene.begin()
    attach(scene, silent=True)
    scene.plan((K[:2], -1), data='{"m":"2"}')
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 2}
    assert (picture(scene, "K0").known, picture(scene, "K0").uncertain) == ("{}", ("m",))


def test_a_call_that_is_counted_once_more_shows_that_same_data_counts(monkeypatch):
    """Then what is left out has no code, and nothing need be read."""
    monkeypatch.setattr("syncer.execute.outcome.PROOF_CODES", 2)  # the scene is small
    scene, reader = scene_of(singles(5), changes_only=False)
    scene.plan((K, 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 5, "unmatched": 1}
    assert counts_same(scene.ledger) is True
    assert not reader.asked


@pytest.mark.parametrize("defined", [True, False])
def test_a_field_that_the_code_held_before_is_no_field_that_was_not_taken(defined):
    """The first value that is sent has its market already, so an API that names changes alone names the shipment."""
    scene, reader = scene_of(held(K[:1]) + singles(3)[1:])
    scene.api.world.campaigns = {1: frozenset({"m", "s"} if defined else {"s"})}
    scene.plan((K[:1], -1), (K[1:3], 0), data='{"m":"1","s":"2"}')
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert [query["extended_id"] for query in reader.asked[:1]] == ["K0"]
    assert picture(scene, "K0").known == '{"m":"1","s":"2"}'
    assert not scene.context.fields.refused
    assert counts_same(scene.ledger) is False
    assert scene.ledger.proofs(None) == {"s": True}  # whether the campaign takes it, who reads back has to show


def test_a_field_that_the_code_does_not_hold_was_not_taken_and_is_read_once():
    """One look is enough, and what the campaign is known not to take is not read the next night."""
    scene, reader = scene_of(singles(3), changes_only=False)
    scene.api.world.campaigns = {1: frozenset({"s"})}
    scene.plan((K[:2], -1), (K[2:3], 0), data='{"m":"1","s":"2"}')
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 3}
    assert (len(reader.asked), reader.pauses) == (2, 0)
    assert [picture(scene, key).refused for key in K[:3]] == [("m",)] * 3
    assert scene.context.fields.refused == {"m"}
    assert counts_same(scene.ledger) is None
    scene.begin()
    reader = attach(scene)
    scene.plan((K[:1], -1), data='{"m":"2","s":"3"}')
    assert scene.engine.send() is None
    assert picture(scene, "K0").refused == ("m",)
    assert not reader.asked


BOTH = '{"m":"1","s":"2"}'


def test_once_one_value_shows_how_the_api_answers_all_are_read_whose_fields_it_did_not_name(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.FRESH_READ_RUN_MAX", 1)
    scene, reader = scene_of(held(K))
    scene.plan((K[:3], -1), (K[3:6], -1), data=BOTH)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}
    assert [query["extended_id"] for query in reader.asked] == [K[0], *K]
    assert {picture(scene, key) for key in K} == {picture(scene, K[0])}
    assert picture(scene, K[0]).known == BOTH
    assert not scene.context.fields.refused


def test_what_others_took_meanwhile_need_not_be_read(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.FRESH_READ_RUN_MAX", 1)
    scene, reader = scene_of([*held(K[:3]), *singles(6)[3:]])
    scene.plan((K[:3], -1), (K[3:6], -1), data=BOTH)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 6}
    assert len(reader.asked) == 1
    assert scene.ledger.proofs(None) == {"m": True, "s": True}
    assert not scene.context.fields.refused


def stopping(_queries):
    raise SignalError("stopped by signal 15", signal_number=15)


def different(queries):
    return [CodeRows(("extended_id", "m"), ({**query, "m": "7"},)) for query in queries], ""


def nothing(queries):
    return [None] * len(queries), "no document"


@pytest.mark.parametrize(("knows", "rows"), [(False, stopping), (True, different), (True, nothing)])
def test_a_value_whose_field_nobody_could_see_stays_in_doubt_and_wanted(knows, rows):
    """A signal comes, somebody else writes the field as well, or the API names changes alone and shows no code."""
    scene, reader = scene_of(held(K[:1]))
    if knows:
        scene.context.learn_counts(same=False)
    really, reader.rows = reader.rows, rows
    scene.plan((K[:1], -1), data=BOTH)
    scene.engine.send()
    assert scene.counts() == {"in_doubt": 1}
    assert picture(scene, "K0").uncertain == ("m", "s")
    assert not scene.context.fields.refused
    assert "m" not in scene.ledger.proofs(None)
    scene.begin()
    attach(scene).rows = really
    scene.plan((K[:1], -1), data=BOTH)
    assert scene.engine.send() is None
    assert picture(scene, "K0").known == BOTH


@pytest.mark.parametrize("rows", [different, nothing])
def test_a_field_that_is_not_named_was_not_taken_where_nothing_says_otherwise(rows):
    """As the API's documents say: a campaign that does not define it leaves what was there before."""
    scene, reader = scene_of(held(K[:1]))
    reader.rows = rows
    scene.plan((K[:1], -1), data=BOTH)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 1}
    assert picture(scene, "K0").refused == ("m",)
    assert scene.context.fields.refused == {"m"}


def test_where_same_data_counts_a_field_that_is_not_named_was_not_taken():
    scene, reader = scene_of(singles(1), changes_only=False)
    scene.api.world.campaigns = {1: frozenset({"s"})}
    scene.context.learn_counts(same=True)
    scene.plan((K[:1], -1), data=BOTH)
    assert scene.engine.send() is None
    assert picture(scene, "K0").refused == ("m",)
    assert not reader.asked


@pytest.mark.parametrize(
    ("refused", "counts_same", "named"),
    [
        ({0: {"a": None, "b": True, "c": False}}, None, {"a", "b"}),
        ({0: {"a": None, "b": True, "c": False}}, False, {"a", "c"}),
    ],
)
def test_nothing_is_said_of_a_field_that_may_have_been_so_before(refused, counts_same, named):
    found = unsaid(refused, counts_same=counts_same, again=False, room=1)
    assert found == Unsaid({0: frozenset(named)}, (0,), frozenset({"a"}))


def test_a_call_that_was_made_again_refuses_no_field_that_its_codes_hold_by_then():
    """The first was processed, and its answer lost; what is named after the second is what that changed: nothing."""
    calls = []

    def script(transport, path, really):
        reply = really()
        calls.append(path)
        if path == SYNC and calls.count(SYNC) == 2:
            return transport.answer(None, b"")
        if path == SYNC and calls.count(SYNC) == 3:
            return transport.answer(200, {**json.loads(reply.body), "items": {key: [] for key in K[1:5]}})
        return reply

    scene, _ = scene_of(singles(5), changes_only=False, script=script)
    scene.plan((K[:1], -1))
    assert scene.engine.send() is None
    scene.begin()
    attach(scene)
    scene.plan((K[1:5], -1))
    assert scene.engine.send() is None
    assert (scene.counts(), scene.context.fields.refused) == ({"confirmed": 4}, set())
    assert [picture(scene, key).known for key in K[:5]] == ['{"m":"1"}'] * 5


def test_of_many_values_as_many_are_read_as_there_is_room_for():
    many = {place: {"a": None} for place in range(150)}
    assert unsaid(many, counts_same=None, again=False, room=0).asked == ()
    assert unsaid(many, counts_same=None, again=True, room=0).asked == tuple(range(100))
    assert unsaid(many, counts_same=None, again=False, room=9).asked == (0, 37, 74, 111, 149)
    assert unsaid(many, counts_same=False, again=False, room=0).asked == tuple(range(100))


def test_a_field_that_was_cleared_and_was_empty_already_is_known_to_be_so():
    scene, _ = scene_of(singles(1))
    scene.plan((K[:1], -1), data='{"m":"","s":"2"}')
    assert scene.engine.send() is None
    assert picture(scene, "K0").known == '{"m":"","s":"2"}'
    assert not scene.context.fields.refused


def test_codes_that_somebody_else_wrote_meanwhile_do_not_show_that_same_data_counts():
    """Two codes are counted in the call, and in its parts once more: what the portal had put there was written over."""
    keys = [f"K{n}" for n in range(8)]

    def script(transport, path, really):
        if path == SYNC:
            for number in (1, 2):
                scene.api.world.codes[number].fields["m"] = "theirs"
        return really()

    scene, reader = scene_of(held(keys[:6]) + singles(8)[6:], script=script)
    for code in scene.api.world.codes[6:]:
        code.fields["m"] = "old"
    scene.plan(([*keys, "GONE"], 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 8, "unmatched": 1}
    assert counts_same(scene.ledger) is False
    assert reader.asked
    assert scene.ledger.problems() == []


def test_what_is_learned_meanwhile_settles_what_waits(monkeypatch):
    monkeypatch.setattr("syncer.execute.outcome.PROOF_CODES", 2)  # the scene is small
    scene, reader = scene_of(singles(5), changes_only=False, script=lost_once(SYNC))
    scene.plan((["GONE"], -1), (K, 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 5, "unmatched": 2}
    assert not reader.asked


def test_a_field_that_two_looks_miss_was_not_taken():
    scene, reader = scene_of(singles(1))
    scene.api.world.campaigns = {1: frozenset({"s"})}
    scene.plan((K[:1], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 1}
    assert scene.context.fields.refused == {"m"}
    assert picture(scene, "K0").refused == ("m",)
    assert reader.pauses == 2  # it was asked for once more: the code might have come after the call


@pytest.mark.parametrize("changes_only", [False, True])
@pytest.mark.parametrize("data", ['{"m":"1"}', '{"product":"P1"}', '{"m":"1","product":"P1"}'])
def test_a_code_that_comes_after_the_call_is_asked_for_once_more(data, changes_only):
    """An upload of own codes brings it before the value is read: what the call carried, it does not hold."""
    scene, reader = scene_of(singles(2), changes_only=changes_only)
    rows, coming = reader.rows, [{"extended_id": "K2", "m": "theirs"}, {"extended_id": "K3"}, {"extended_id": "K4"}]

    def come(queries):
        while coming:
            scene.api.world.add_code(coming.pop())
        return rows(queries)

    reader.rows = come
    scene.plan((K, -1), data=data)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 5, "unmatched": 1}
    for code in scene.api.world.codes:
        assert code.fields.items() >= json.loads(data).items()
        assert picture(scene, code.fields["extended_id"]).known == data
    assert not scene.context.fields.refused
    assert counts_same(scene.ledger) is not True  # the codes that came are counted for the first time
    assert scene.ledger.problems() == []


def test_a_filter_that_is_ignored_says_nothing_of_the_value():
    scene, _ = scene_of(singles(3), script=lost_once(SYNC), deaf=True)
    scene.plan((K[:2], -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 2}


def test_a_code_that_holds_something_else_is_in_doubt():
    """Somebody writes it, too: it is sent again."""
    scene, reader = scene_of(held(K[:2], "1"))
    rows = reader.rows
    reader.rows = lambda queries: ([CodeRows(("extended_id", "m"), ({**query, "m": "7"},)) for query in queries], "")
    scene.plan((K[:2], -1))
    assert rows
    assert scene.engine.send() is None
    assert scene.counts() == {"in_doubt": 2}


def test_a_signal_while_values_are_read_leaves_them_in_doubt():
    scene, reader = scene_of(held(K[:2]))

    def stopped(_queries):
        raise SignalError("stopped by signal 15", signal_number=15)

    reader.rows = stopped
    scene.plan((K[:2], -1))
    assert isinstance(scene.engine.send(), SignalError)
    assert scene.counts() == {"in_doubt": 2}
    assert scene.ledger.waiting() == 2


def test_values_are_read_before_a_refusal_without_a_reason_stops_the_run():
    """Nobody can tell whose fault that is, night after night; what became of the other value can be told."""

    def script(transport, path, really):
        refused = path == SYNC or (
            path == ASYNC and b'"K1"' in transport.body
        )  # so would be what shows whose fault it is
        return transport.answer(400, {"detail": "Invalid data."}) if refused else really()

    scene, reader = scene_of([], script=script)
    scene.plan((K[:1], 0), (K[1:2], 0))
    assert isinstance(scene.engine.send(), UnreachableError)
    assert [query["extended_id"] for query in reader.asked] == ["K0"]
    assert scene.counts() == {"unmatched": 1, "unsent": 1}


def test_a_process_that_dies_before_values_are_read_asks_again():
    scene, reader = scene_of(held(K[:2]))

    def dies(_queries):
        raise KeyboardInterrupt

    reader.rows = dies
    scene.plan((K[:2], -1))
    with pytest.raises(KeyboardInterrupt):
        scene.engine.send()
    scene.die()
    scene.begin()
    attach(scene)
    assert scene.engine.settle() is None
    assert {batch.state.value for batch in scene.ledger.batches(run_id=1)} == {"confirmed"}


def test_a_large_batch_whose_values_may_hold_it_is_asked_in_sync_calls():
    """A document for each value would take longer than the calls that name what changed."""
    many = [f"K{n}" for n in range(150)]
    scene, reader = scene_of(held(many))
    scene.context.learn_counts(same=False)
    scene.plan((many, 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 150}
    assert len(reader.asked) == 150
    assert [batch.kind for batch in scene.ledger.batches(run_id=1) if not batch.split] == ["sync", "sync"]
