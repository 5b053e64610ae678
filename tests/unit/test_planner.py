"""A whole plan, as it is written down: what travels by which call and on whose errand, what waits, what is told of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syncer.mirror.picture import Picture
from syncer.model import Errand, KnownBlock, Mode, RowCounts, ValidChunk, WantedBlock
from syncer.plan import batching, canary, planner
from syncer.plan.diff import Diff
from syncer.plan.planner import Asked, Send, make_plan
from syncer.plan.records import Gatherer
from syncer.plan.states import EmptyBook
from syncer.rejections import Rejection, Rejections

OWN, OTHER = Errand(1, 11, True), Errand(2, None, False)
A, AB = '{"a":"x"}', '{"a":"x","b":"y"}'
GONE, REFUSED, HELD_A = Picture(absent=True), Picture(refused=("a",)), Picture(A)


@pytest.fixture(autouse=True)
def small_calls(monkeypatch):
    """Calls of 6 and of 3 values, and two values that ask: a plan can be read."""
    monkeypatch.setattr(batching, "ASYNC_VALUES_MAX", 6)
    monkeypatch.setattr(batching, "SYNC_ITEMS_MAX", 3)
    monkeypatch.setattr(canary, "VALUES", 2)


class Book(EmptyBook):
    """Pictures by their numbers; products tell campaigns where there are any."""

    def __init__(self, pictures, campaigns):
        self._pictures, self.campaigns = pictures, campaigns

    def pictures(self, numbers):
        return {number: self._pictures.get(number, Picture()) for number in numbers}


def large(values):
    return pa.array(list(values), pa.large_string())


def compared(rows, *, known=None, held=(), older=(), campaigns=None, data=None):
    """Compare rows of (key, a, b, product), three to a file, with pictures of keys; ``older``: (key, data, errand)."""
    gatherer = Gatherer(("a", "b", "product"))
    for source, begin in enumerate(range(0, len(rows), 3)):
        part = [(*row, None, None, None)[:4] for row in rows[begin : begin + 3]]
        key, *fields = (pa.array([row[place] for row in part], pa.string()) for place in range(4))
        keys = (
            (key,)
            if all("+" not in row[0] for row in part)
            else tuple(pa.array([row[0].split("+")[place] for row in part], pa.string()) for place in (0, 1))
        )
        lines = np.arange(2, 2 + len(part), dtype=np.int64)
        faults = Rejections.of([Rejection(source, 99, "E201", "blank")])
        gatherer.add(
            ValidChunk(source, len(part) + 1, keys, tuple(f.dictionary_encode() for f in fields), lines, faults)
        )
    records = gatherer.records()
    numbers = {picture: -number for number, picture in enumerate(dict.fromkeys((known or {}).values()), 1)}
    book = Book({number: picture for picture, number in numbers.items()}, campaigns)
    diff = Diff(records, np.full(len(records.payloads), -1, np.int64), book)
    mirror = KnownBlock(large(known or ()), np.array([numbers[one] for one in (known or {}).values()], np.int64))
    diff.see_known(mirror)
    diff.see_open(large(held))
    texts = dict(enumerate(dict.fromkeys(text for _, text, _ in older), 10))
    ids = {text: number for number, text in texts.items()}
    for place, (one, text, errand) in enumerate(older, 1):
        block = WantedBlock(large([one]), *(np.array([n], np.int64) for n in (ids[text], place, place + 100)), errand)
        diff.see_wanted(block, lambda asked: {number: texts[number] for number in asked})
    if older and (carried := diff.carry()) is not None:
        carried.states.see_known(mirror)
        carried.states.see_open(large(held))
    diff.settle()
    return diff


def planned(rows, *, key=("k",), mode=Mode.AUTO, send=Send.CHANGES, asked=None, own=OWN, **ledger):
    more = {} if asked is None else {"asked": asked}
    return make_plan(
        compared(rows, **ledger), key=key, fields=("a", "b", "product"), mode=mode, names=["f", "g", "h"],
        own=own, send=send, **more,
    )  # fmt: skip


def values(items, plan):
    return [
        (key, plan.payloads[payload], source, line)
        for key, payload, source, line in zip(
            items.keys(0, len(items)), items.payload.tolist(), items.source.tolist(), items.line.tolist(), strict=True
        )
    ]


def calls(plan):
    """Each call: whether it is an async one, its errand, and the keys in it."""
    found, begin = [], 0
    for number, size in enumerate(plan.batches.sizes.tolist()):
        kind = "async" if plan.batches.is_async[number] else "sync"
        found.append((kind, plan.errands[plan.errand_of[number]], " ".join(plan.items.keys(begin, begin + size))))
        begin += size
    return found


def many(count, *row, first=0):
    return [(f"K{number}", *row) for number in range(first, first + count)]


def of_keys(items, plan):
    return {key: data for key, data, *_ in values(items, plan)}


def test_all_that_a_plan_tells():
    rows = [
        ("N", "x"), ("C", None, "y"), ("U", "x"),
        ("H", "x"), ("T", "x"), ("T", "y"),
        ("R", "x", "y"), ("N", "x"), ("V", "x"),
    ]  # fmt: skip
    other = Picture('{"a":"z"}')
    known = {"C": HELD_A, "U": HELD_A, "R": REFUSED, "O": other, "OT": REFUSED, "OH": HELD_A, "V": other}
    older = [
        ("O", A, OTHER), ("N", '{"b":"old"}', OWN), ("OH", '{"b":"y"}', OWN), ("OT", AB, OWN),
        ("O", '{"b":"y"}', OTHER), ("S", '{"b":"y"}', OWN), ("OH", '{"a":"w"}', OTHER),
    ]  # fmt: skip
    plan = planned(rows, known=known, held=["H", "OH"], older=older)
    assert (plan.key, plan.fields, plan.mode) == (("k",), ("a", "b", "product"), Mode.AUTO)
    assert plan.rows == RowCounts(read=12, new=2, changed=2, unchanged=1, duplicate=1, invalid=5, held=1)
    assert [(one.source, one.line, one.code) for one in plan.rejections] == [
        (0, 99, "E201"), (1, 3, "E210"), (1, 4, "E210"), (1, 99, "E201"), (2, 99, "E201"),
    ]  # fmt: skip
    assert calls(plan) == [
        ("sync", OWN, "R"),  # it asks whether `a` is taken by now
        ("async", OWN, "C OT S"),
        ("sync", OWN, "N V"),
        ("sync", OTHER, "O"),
    ]
    assert values(plan.items, plan) == [
        ("R", AB, 2, 2), ("C", '{"b":"y"}', 0, 3), ("OT", '{"b":"y"}', -4, 104), ("S", '{"b":"y"}', -6, 106),
        ("N", '{"a":"x","b":"old"}', 0, 2), ("V", A, 2, 4), ("O", AB, -5, 105),
    ]  # fmt: skip
    assert plan.items.before.tolist() == [-2, -1, -2, 0, 0, -3, -3]
    assert values(plan.wishes, plan) == [("H", A, 1, 2), ("OH", '{"a":"w","b":"y"}', -7, 107)]
    assert values(plan.untaken, plan) == [("R", A, 2, 2), ("OT", A, -4, 104)]
    columns = (plan.origins.row, plan.origins.source_id, plan.origins.line, plan.origins.fields)
    assert [
        (plan.items.texts[row].as_py(), source, line, plan.origins.names[fields])
        for row, source, line, fields in zip(*(column.tolist() for column in columns), strict=True)
    ] == [("N", 2, 102, ("b",)), ("O", 1, 101, ("a",)), ("OH", 3, 103, ("b",))]
    assert plan.errands == (OWN, OTHER)
    assert plan.changes == {"a": 4, "b": 6}
    assert (plan.known_keys, plan.overwritten, plan.minimum_updates) == (4, 1, 3)
    assert planned(rows, known=known, own=None).errands == (None,)


def test_of_nothing_nothing_is_planned():
    plan = planned([])
    assert (len(plan.items), len(plan.batches), plan.minimum_updates, plan.changes) == (0, 0, 0, {})
    assert plan.rows == RowCounts()
    assert plan.errand_of.tolist() == []


@pytest.mark.parametrize(
    ("send", "sent"),
    [
        (Send.CHANGES, {"C": '{"b":"y"}', "N": '{"b":"y"}'}),
        (Send.ROW, {"C": AB, "N": '{"b":"y"}'}),
        (Send.ALL, {"C": AB, "N": '{"b":"y"}', "U": A}),  # a row that says nothing has nothing to send
    ],
)
def test_how_much_of_a_row_is_sent(send, sent):
    rows = [("C", "x", "y"), ("U", "x"), ("E",), ("N", None, "y"), ("H", "x", "y")]
    plan = planned(rows, known={"C": HELD_A, "U": HELD_A, "E": HELD_A, "H": HELD_A}, held=["H"], send=send)
    assert of_keys(plan.items, plan) == sent
    assert of_keys(plan.wishes, plan) == {"H": AB}
    assert of_keys(planned(rows[:2], known={"U": HELD_A}, send=Send.ALL).items, plan) == {"C": AB, "U": A}
    assert [one.value for one in Send] == ["changes", "row", "all"]


def test_what_matched_nothing_travels_apart_and_other_errands_do_too():
    known = {"K1": GONE, "K3": GONE, "O2": GONE, "O3": GONE}
    older = [("O1", A, OTHER), ("O2", A, OTHER), ("O3", A, OWN)]
    plan = planned(many(4, "x"), known=known, older=older)
    assert calls(plan) == [
        ("sync", OWN, "K0 K2"),
        ("async", OWN, "K1 K3 O3"),
        ("sync", OTHER, "O1"),
        ("sync", OTHER, "O2"),
    ]
    assert plan.minimum_updates == 2
    assert calls(planned([], older=[("O1", A, OTHER)])) == [("sync", OTHER, "O1")]
    alone = planned([], known={"O1": GONE}, older=[("O1", A, OTHER)])
    assert (calls(alone), alone.errands) == ([("sync", OTHER, "O1")], (OWN, OTHER))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.AUTO, [("async", OWN, "K0 K1 K2 K3"), ("sync", OWN, "L")]),
        (Mode.ASYNC, [("async", OWN, "K0 K1 K2 K3"), ("async", OWN, "L")]),
        (Mode.SYNC, [("sync", OWN, "K0 K1 K2"), ("sync", OWN, "K3 L")]),
    ],
)
def test_a_mode_says_which_calls_there_are(mode, expected):
    plan = planned([("L", "y"), *many(4, "x")[::-1]], mode=mode)
    assert calls(plan) == expected
    assert plan.minimum_updates == len(expected)
    with_gone = planned([("L", "y"), *many(4, "x")], mode=mode, known={"L": GONE})
    assert {kind for kind, *_ in calls(with_gone)} == {kind for kind, *_ in expected}


def asking(plan):
    """The keys of the plan's first call, if that is a sync one: where others go by async calls, they ask."""
    first = calls(plan)[0]
    return first[2].split() if first[0] == "sync" else []


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        (Asked(), []),
        (Asked(unproven=frozenset({"a"})), ["K0", "K2"]),  # of which something was heard
        (Asked(of_fresh=frozenset({"a"})), ["K3", "K5"]),
        (Asked(unproven=frozenset({"a"}), of_fresh=frozenset({"a"})), ["K0", "K3"]),
        (Asked(unproven=frozenset({"b"}), of_fresh=frozenset({"b"})), []),
        (Asked(mixed=frozenset({"a"})), ["K0", "K1", "K2"]),  # all of them, three to a call
        (Asked(mixed=frozenset({"b"})), []),
    ],
)
def test_fields_of_which_a_count_proves_too_little_are_asked_for(asked, keys):
    known = dict.fromkeys(["K0", "K1", "K2"], Picture('{"b":"y"}'))
    plan = planned(many(6, "x")[::-1], known=known, asked={0: asked})
    assert asking(plan) == keys
    by_sync = [kind for kind, *_ in calls(plan)].count("sync")
    assert by_sync == (2 if asked.mixed == {"a"} else 1 if keys else 0)
    assert sorted(key for *_, keys in calls(plan) for key in keys.split()) == [f"K{n}" for n in range(6)]
    assert plan.minimum_updates == 1
    assert Asked() == Asked(frozenset(), frozenset(), frozenset())


def test_what_values_of_another_kind_show_proves_nothing_of_those_that_ask():
    """A sync call carries the field for a code of which something is known, or for one of another campaign."""
    ask = {0: Asked(of_fresh=frozenset({"a"}))}
    plan = planned([*many(4, "x"), ("L", "z")], known={"L": Picture('{"b":"y"}')}, asked=ask)
    assert calls(plan) == [("sync", OWN, "K0 K3"), ("sync", OWN, "K1 K2 L")]
    known = {"L": Picture('{"product":"P1"}'), **{key: Picture('{"b":"y"}') for key, *_ in many(4)}}
    ask = {0: Asked(unproven=frozenset({"a"}))}
    plan = planned([*many(4, "x"), ("L", "z")], known=known, asked=ask, campaigns={"P1": 7}.get)
    assert calls(plan) == [("sync", OWN, "K0 K3"), ("sync", OWN, "K1 K2 L")]


def test_what_does_not_ask_travels_as_the_mode_says():
    ask = {0: Asked(of_fresh=frozenset({"a"}))}
    plan = planned([*many(4, "x"), ("L", None, "y")], mode=Mode.ASYNC, asked=ask)
    assert calls(plan) == [("sync", OWN, "K0 K3"), ("async", OWN, "K1 K2"), ("async", OWN, "L")]


def test_each_campaign_is_asked_for_itself():
    """Codes of two campaigns stand in one file, not in the order of their keys; of a third no product tells."""
    rows = [(key, "x") for key in ("K5", "K1", "K4", "K0", "K3", "K2")]
    known = {
        **dict.fromkeys(["K0", "K1"], Picture('{"product":"P1"}')),
        **dict.fromkeys(["K2", "K5"], Picture('{"product":"P2"}')),
        **dict.fromkeys(["K3", "K4"], Picture('{"b":"y"}')),
    }
    campaigns = {"P1": 7, "P2": 8}.get
    ask = Asked(unproven=frozenset({"a"}))

    def asks(**asked):
        of_campaigns = {int(name[1:]): one for name, one in asked.items()}
        return asking(planned(rows, known=known, campaigns=campaigns, asked=of_campaigns))

    assert asks(c7=ask) == ["K0", "K1"]
    assert asks(c8=ask) == ["K2", "K5"]
    assert asks(c0=ask) == ["K3", "K4"]
    assert asks(c9=ask) == []
    assert asks(c7=ask, c8=ask) == ["K0", "K2"]
    assert asks(c8=Asked(mixed=frozenset({"a"}))) == ["K2", "K5"]
    assert asks(c8=Asked(mixed=frozenset({"a"})), c7=ask) == ["K0", "K1", "K2"]


def test_only_values_of_the_runs_own_errand_ask_also_such_as_matched_nothing():
    older = [(f"O{number}", A, OTHER) for number in range(3)]
    for one in (Asked(of_fresh=frozenset({"a"})), Asked(mixed=frozenset({"a"}))):
        assert [kind for kind, *_ in calls(planned([], older=older, asked={0: one}))] == ["async"]
    known = dict.fromkeys(["K0", "K1", "K2"], GONE)
    assert asking(planned(many(3, "x"), known=known, asked={0: Asked(unproven=frozenset({"a"}))})) == ["K0", "K2"]
    assert asking(planned(many(3, "x"), known=known, asked={0: Asked(mixed=frozenset({"a"}))})) == ["K0", "K1", "K2"]


def test_where_sync_calls_carry_it_anyway_or_nothing_else_can_nobody_asks_apart():
    ask = {0: Asked(unproven=frozenset({"a"}), of_fresh=frozenset({"a"}))}
    assert calls(planned(many(2, "x"), asked=ask)) == [("sync", OWN, "K0 K1")]
    assert calls(planned(many(4, "x"), asked=ask, mode=Mode.SYNC)) == [("sync", OWN, "K0 K1 K2"), ("sync", OWN, "K3")]
    mixed = {0: Asked(mixed=frozenset({"b"}))}
    rows = [*many(3, "x"), ("K3", None, "y")]
    assert calls(planned(rows, asked=mixed, mode=Mode.SYNC)) == [("sync", OWN, "K0 K1 K2"), ("sync", OWN, "K3")]


def test_a_key_that_asks_again_does_so_by_a_sync_call_if_there_are_any():
    known = dict.fromkeys(["K0", "K1", "K2", "K3"], REFUSED)
    rows = many(4, "x", "y")
    plan = planned(rows, known=known)
    (asker,) = asking(plan)
    assert of_keys(plan.items, plan) == {**dict.fromkeys(["K0", "K1", "K2", "K3"], '{"b":"y"}'), asker: AB}
    assert of_keys(plan.untaken, plan) == dict.fromkeys(["K0", "K1", "K2", "K3"], A)
    assert [kind for kind, *_ in calls(plan)] == ["sync", "async"]
    by_sync = planned(rows, known=known, mode=Mode.SYNC)
    assert [keys for *_, keys in calls(by_sync)] == ["K0 K1 K2", "K3"]
    assert [kind for kind, *_ in calls(planned(rows, known=known, mode=Mode.ASYNC))] == ["sync", "async"]
    gone = Picture(refused=("a",), absent=True)
    assert [kind for kind, *_ in calls(planned(rows, known=dict.fromkeys(known, gone)))] == ["sync", "async"]


def test_of_older_words_one_asks_again_too_but_not_on_anothers_errand():
    known = dict.fromkeys(["O0", "O1", "O2", "O3"], REFUSED)
    own = planned([], known=known, older=[(key, AB, OWN) for key in known])
    (asker,) = asking(own)
    assert of_keys(own.items, own) == {**dict.fromkeys(known, '{"b":"y"}'), asker: AB}
    assert of_keys(own.untaken, own) == dict.fromkeys(known, A)
    of_that_alone = planned([], known=known, older=[(key, A, OWN) for key in known])
    assert of_keys(of_that_alone.items, of_that_alone) == {asker: A}
    beside = planned(many(4, "x", "y"), known={"O": REFUSED}, older=[("O", AB, OWN)])
    assert calls(beside) == [("sync", OWN, "O"), ("async", OWN, "K0 K1 K2 K3")]
    others = planned([], known=known, older=[(key, AB, OTHER) for key in known])
    assert sorted(data for data in of_keys(others.items, others).values()) == [AB, *['{"b":"y"}'] * 3]
    assert [kind for kind, errand, _ in calls(others)] == ["async", "sync"]
    held = planned([], known=known, held=[*known], older=[(key, AB, OWN) for key in known])
    assert (of_keys(held.untaken, held), of_keys(held.wishes, held)) == ({}, dict.fromkeys(known, AB))


def test_what_is_held_or_contradicts_itself_is_not_told_as_not_taken():
    rows = [("H", "x", "y"), ("T", "x"), ("T", "y"), ("R", "x")]
    plan = planned(rows, known=dict.fromkeys(["H", "T", "R"], REFUSED), held=["H"])
    assert of_keys(plan.untaken, plan) == {"R": A}
    assert of_keys(planned(rows, held=["H"]).untaken, plan) == {}


def test_of_several_key_columns_one_varies_in_a_call_and_nobody_asks():
    rows = [("1+A", "x"), ("1+B", "x"), ("2+A", "x"), ("3+A", "x"), ("1+A", "x")]
    refused = {"1\x1fA": REFUSED}
    ask = {0: Asked(frozenset({"a"}), frozenset({"a"}), frozenset({"a"}))}
    plan = planned(rows, key=("k", "l"), known=refused, asked=ask)
    assert [(kind, keys.replace("\x1f", "+")) for kind, _, keys in calls(plan)] == [
        ("async", "1+A 2+A 3+A"),
        ("async", "1+B"),
    ]
    assert plan.batches.varying.tolist() == [0, 0]
    assert plan.minimum_updates == 2
    of_b = planned([("1+A", "x"), ("1+B", None, "y")], key=("k", "l"), asked={0: Asked(mixed=frozenset({"b"}))})
    assert [keys.replace("\x1f", "+") for *_, keys in calls(of_b)] == ["1+A", "1+B"]
    gone = planned(rows, key=("k", "l"), known={"2\x1fA": GONE})
    assert [keys.replace("\x1f", "+") for *_, keys in calls(gone)] == ["1+A 3+A", "1+B", "2+A"]


def test_changes_are_counted_in_blocks(monkeypatch):
    assert planner.BLOCK_ROWS == 1_048_576
    monkeypatch.setattr(planner, "BLOCK_ROWS", 2)
    rows = [*many(5, "x"), *many(2, None, "y", first=5), *many(3, "z", "y", first=7)]
    assert list(planned(rows).changes.items()) == [("a", 8), ("b", 5)]
    unsent = planned([("K", "x"), ("U", None, None, "P")], known={"U": Picture('{"product":"P"}')})
    assert unsent.changes == {"a": 1}
