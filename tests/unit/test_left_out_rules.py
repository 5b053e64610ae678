"""What an answer left out, judged by what was read of it: each rule of `syncer.execute.left_out`, on values alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from syncer.execute import left_out
from syncer.execute.left_out import AskedCode, CodeSeen, LeftOut, Unsaid
from syncer.execute.reconcile import ALL_APPLIED, Finding, Judgement, Shown

M, S = frozenset({"m"}), frozenset({"s"})
KEYS = ["K0", "K1", "K2", "K3"]
GONE = CodeSeen(exists=False)
SAME = CodeSeen(exists=True, taken=M)
OTHER = CodeSeen(exists=True, differs=True)


def waiting(unmatched=(), *, sent_before=(), asked=(), fields=None, shown=None):
    judgement = Judgement(Finding.SOME, tuple(unmatched), "left out") if unmatched else ALL_APPLIED
    return LeftOut(None, 4, judgement, shown, 1, frozenset(sent_before), tuple(asked), fields or Unsaid())


def test_what_is_not_told_of_a_value_is_nothing():
    assert AskedCode(("k",), "K", "{}") == AskedCode(("k",), "K", "{}", named=False)
    nothing = CodeSeen(exists=True, taken=frozenset(), missing=frozenset(), differs=False, unread=False)
    assert CodeSeen(exists=True) == nothing
    assert Unsaid() == Unsaid({}, (), frozenset())
    assert LeftOut(None, 4, ALL_APPLIED, None, 1, frozenset(), ()) == waiting()
    assert left_out.see_nothing([AskedCode(("k",), "K", "{}")] * 2) == [None, None]


def test_what_is_read_of_a_value_is_all_of_it_and_of_a_named_one_what_was_not_named():
    items = [SimpleNamespace(id=100 + n, key=key, data='{"m":"1","s":"2"}') for n, key in enumerate(KEYS)]
    one = replace(waiting([1, 3], asked=[3], fields=Unsaid({0: S, 2: M}, (2,))), batch=SimpleNamespace(space_id=7))
    asked = []

    def earlier(space_id, places):
        asked.append((space_id, places))
        return {"K2": {"m": {"0"}}}

    assert one.to_read(("extended_id",), items, earlier) == [
        (3, AskedCode(("extended_id",), "K3", '{"m":"1","s":"2"}', named=False)),
        (2, AskedCode(("extended_id",), "K2", '{"m":"1"}', named=True, earlier={"m": {"0"}})),
    ]
    assert asked == [(7, [("K3", 103), ("K2", 102)])]


def test_fields_are_read_before_more_and_so_are_a_hundred_batches():
    assert not left_out.is_read_before_more([])
    assert not left_out.is_read_before_more([waiting([0], asked=[0])] * 99)
    assert left_out.is_read_before_more([waiting([0], asked=[0])] * 100)
    assert left_out.is_read_before_more([waiting([0]), waiting(fields=Unsaid({0: M}, (0,)))])
    assert not left_out.is_read_before_more([waiting(fields=Unsaid({0: M}, ()))])


@pytest.mark.parametrize(
    ("judgement", "leaves"),
    [
        (ALL_APPLIED, False),
        (Judgement(Finding.SOME, (0,)), True),
        (Judgement(Finding.SOME, (0,), contradicts=True), False),
        (Judgement(Finding.UNCLEAR), False),
    ],
)
def test_only_an_answer_that_does_not_contradict_itself_leaves_values_out(judgement, leaves):
    assert left_out.leaves_out(judgement) is leaves


def to_be_read(unmatched, sent_before=(), counts_same=None, room=20):
    return left_out.to_be_read(unmatched, frozenset(sent_before), counts_same=counts_same, room=room)


def test_where_changes_alone_are_told_all_is_read_up_to_a_hundred():
    assert to_be_read(range(7), counts_same=False, room=0) == tuple(range(7))
    assert to_be_read(range(10, 130), counts_same=False) == tuple(range(10, 110))


@pytest.mark.parametrize("counts_same", [None, True])
def test_elsewhere_what_was_sent_before_is_read_and_a_few_of_the_others(counts_same):
    assert to_be_read(range(9), {7, 2}, counts_same) == (2, 7, 0, 1, 4, 5, 8)
    assert to_be_read(range(200), {*range(120)}, counts_same, room=0) == tuple(range(100))
    assert to_be_read(range(4), (), counts_same) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("room", "read"),
    [(-1, ()), (0, ()), (1, (0,)), (2, (0, 9)), (3, (0, 4, 9)), (5, (0, 2, 4, 6, 9)), (20, (0, 2, 4, 6, 9))],
)
def test_few_are_spread_from_the_first_to_the_last(room, read):
    assert to_be_read(range(10), room=room) == read


def test_a_run_reads_twenty_values_that_are_new_to_it():
    assert left_out.FRESH_READ_RUN_MAX == 20


TOLD = {0: {"a": None, "b": True, "c": False}, 1: {"b": True}, 2: {"c": False}}


@pytest.mark.parametrize(
    ("counts_same", "by_place", "unheard_of"),
    [(True, {}, ""), (None, {0: "ab", 1: "b"}, "a"), (False, {0: "ac", 2: "c"}, "a")],
)
def test_of_which_fields_an_answer_says_nothing(counts_same, by_place, unheard_of):
    found = left_out.unsaid(TOLD, counts_same=counts_same, again=False, room=20)
    assert found.by_place == {place: frozenset(names) for place, names in by_place.items()}
    assert found.asked == tuple(by_place)
    assert found.unheard_of == frozenset(unheard_of)


def test_of_fields_as_many_values_are_read_as_of_values():
    many = {place: {"a": None} for place in range(150)}
    assert left_out.unsaid(many, counts_same=None, again=False, room=0).asked == ()
    assert left_out.unsaid(many, counts_same=None, again=True, room=0).asked == tuple(range(100))
    assert left_out.unsaid(many, counts_same=None, again=False, room=9).asked == (0, 37, 74, 111, 149)
    assert left_out.unsaid(many, counts_same=False, again=False, room=0).asked == tuple(range(100))


@pytest.mark.parametrize(
    ("seen", "sent_before", "counts_same", "read", "unmatched", "doubtful"),
    [
        ({0: SAME}, (), None, True, (), ()),
        ({0: GONE}, (), None, True, (0,), ()),
        ({0: OTHER}, (), None, True, (), (0,)),
        ({0: OTHER}, (), True, True, (), (0,)),
        ({}, (), None, True, (0,), ()),  # never sent before, and others were read
        ({}, (), None, False, (), (0,)),
        ({}, (0,), None, True, (), (0,)),
        ({}, (), False, True, (), (0,)),
        ({}, (0,), True, False, (0,), ()),  # what others showed: same data counts, so nothing has the value
    ],
)
def test_a_value_is_judged_by_what_was_read_of_it(seen, sent_before, counts_same, read, unmatched, doubtful):
    one = waiting([0], sent_before=sent_before)
    expected = Judgement(Finding.SOME, unmatched, "left out", doubtful) if unmatched or doubtful else ALL_APPLIED
    assert left_out.judge_again(one, seen, counts_same=counts_same, read=read) == expected


@pytest.mark.parametrize(
    ("found", "counts_same", "read", "doubtful"),
    [
        (None, None, True, False),
        (None, None, False, True),
        (None, True, True, False),
        (None, False, True, True),
        (GONE, False, True, True),
        (OTHER, False, True, True),
        (SAME, False, True, False),
        (SAME, None, False, False),
        (OTHER, None, True, False),
    ],
)
def test_a_value_whose_field_nobody_could_see_is_in_doubt_where_changes_alone_are_told(
    found, counts_same, read, doubtful
):
    one = waiting(fields=Unsaid({1: M}, (1,)))
    expected = Judgement(Finding.SOME, (), left_out.UNREAD, (1,)) if doubtful else ALL_APPLIED
    seen = {} if found is None else {1: found}
    assert left_out.judge_again(one, seen, counts_same=counts_same, read=read) == expected
    assert "could not be read back" in left_out.UNREAD


def test_what_is_in_doubt_for_either_reason_is_told_in_order_with_the_words_of_what_was_left_out():
    one = waiting([3, 0], sent_before=[3], fields=Unsaid({2: M, 1: S}, ()))
    judged = left_out.judge_again(one, {0: GONE}, counts_same=False, read=True)
    assert judged == Judgement(Finding.SOME, (0,), "left out", (1, 2, 3))


@pytest.mark.parametrize(
    ("found", "comes"),
    [
        (None, False),
        (GONE, False),
        (CodeSeen(exists=False, missing=M), False),
        (SAME, False),
        (CodeSeen(exists=True, missing=M), True),
        (CodeSeen(exists=True, unread=True), True),
        (CodeSeen(exists=True, missing=M, differs=True), False),
    ],
)
def test_a_code_that_does_not_show_all_of_it_may_have_come_after_the_call(found, comes):
    one, seen = waiting([1]), {} if found is None else {1: found}
    assert left_out.came_since(one, KEYS, seen, set()) == ([1] if comes else [])
    assert left_out.came_since(one, KEYS, seen, {"K0", "K2"}) == ([1] if comes else [])
    assert left_out.came_since(one, KEYS, seen, {"K1"}) == []
    assert "once more" in left_out.CAME_SINCE


SHOWN = Shown({"a": True, "m": False}, {"K0": frozenset({"a"})}, {"K1": M, "K2": frozenset({"m", "s"})})


def test_where_nothing_was_read_the_answer_shows_what_it_showed():
    assert left_out.shown_too(waiting([3], shown=SHOWN), KEYS, {}, ()) is SHOWN
    assert left_out.shown_too(waiting([3]), KEYS, {3: GONE}, ()) is None
    assert left_out.shown_too(waiting([3]), KEYS, {3: OTHER}, ()) is None


def test_a_value_that_was_left_out_shows_what_its_code_took_and_what_not():
    seen = {3: CodeSeen(exists=True, taken=S, missing=M)}
    assert left_out.shown_too(waiting([3]), KEYS, seen, ()) == Shown({"m": False, "s": True}, {"K3": S}, {"K3": M})
    assert left_out.shown_too(waiting([3], shown=SHOWN), KEYS, seen, ()) == Shown(
        {"a": True, "m": False, "s": True},
        {"K0": frozenset({"a"}), "K3": S},
        {"K1": M, "K2": frozenset({"m", "s"}), "K3": M},
    )
    taken_of_all = left_out.shown_too(waiting([3], shown=SHOWN), KEYS, {3: CodeSeen(exists=True, taken=M | S)}, ())
    assert taken_of_all.taken == {"a": True, "m": True, "s": True}  # some code takes it: the campaign does
    held = {3: CodeSeen(exists=True, taken=M | S, repeated=M)}  # it may have been held before
    assert left_out.shown_too(waiting([3]), KEYS, held, ()) == Shown({"s": True}, {"K3": S}, {})


@pytest.mark.parametrize(
    ("found", "doubtful", "refused"),
    [
        (None, (), {"K1": M, "K2": M | S}),
        (GONE, (), {"K1": M, "K2": M | S}),
        (CodeSeen(exists=True, taken=M, unread=True), (), {"K1": M}),  # nobody knows that its other field is missing
        (CodeSeen(exists=True, taken=M, missing=S), (), {"K1": M, "K2": S}),
        (CodeSeen(exists=True, missing=M | S), (), {"K1": M, "K2": M | S}),
        (CodeSeen(exists=True, taken=S, differs=True), (), {"K1": M, "K2": M}),
        (CodeSeen(exists=True, differs=True), (2,), {"K1": M}),
        (None, (2,), {"K1": M}),
    ],
)
def test_a_field_that_a_named_value_holds_is_refused_no_more_and_proves_nothing(found, doubtful, refused):
    one = waiting(fields=Unsaid({2: M | S}, (2,)), shown=SHOWN)
    shown = left_out.shown_too(one, KEYS, {} if found is None else {2: found}, doubtful)
    assert shown.refused == refused
    assert shown.accepted == SHOWN.accepted
    assert shown.taken == {"a": True, **dict.fromkeys(frozenset().union(*refused.values()), False)}


def test_no_value_is_refused_where_all_hold_what_was_sent():
    fields = Unsaid({1: M}, (1,))
    only_k1 = replace(SHOWN, refused={"K1": M})
    shown = left_out.shown_too(waiting(fields=fields, shown=only_k1), KEYS, {1: SAME}, ())
    assert shown == Shown({"a": True}, SHOWN.accepted, {})


@pytest.mark.parametrize(
    ("place", "found", "shows"),
    [
        (3, SAME, True),
        (3, GONE, False),
        (3, CodeSeen(exists=False, taken=M), False),
        (3, CodeSeen(exists=True, missing=M), False),
        (3, CodeSeen(exists=True, taken=M, differs=True), False),
        (1, SAME, True),
        (1, CodeSeen(exists=True, taken=M, differs=True), True),
        (1, CodeSeen(exists=True, taken=S), False),  # it was known of this one how it is taken
        (1, CodeSeen(exists=False, taken=M), False),
    ],
)
def test_a_code_that_holds_what_the_answer_left_out_shows_that_changes_alone_are_told(place, found, shows):
    one = waiting([3], fields=Unsaid({1: M | S}, (1,), M))
    assert left_out.shows_changes_alone(one, {place: found}) is shows
    assert left_out.shows_changes_alone(one, {0: GONE, place: found}) is shows
    assert not left_out.shows_changes_alone(one, {})
