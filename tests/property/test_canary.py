"""The canary: before a count is believed for a field, a few of tonight's values ask for it, spread over the plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.model import Mode
from syncer.plan.batching import batch
from syncer.plan.canary import VALUES, Question, canary
from syncer.plan.payloads import Payloads

DATA = ['{"lot":"1"}', '{"market":"DE"}', '{"lot":"1","market":"DE"}', '{"size":"3"}']
OF_PRODUCTS = [f'{{"lot":"1","product":"P{number}"}}' for number in range(3)]


def ask(payload, questions, mode, data=DATA):
    """The places that ask these questions (whose masks are, who else proves it, the fields), and the plan's batches."""
    payload, payloads = np.array(payload, np.int32), Payloads()
    for text in data:
        payloads.number(text)
    batches = batch(payload, mode)
    masks = [(np.array(own, bool), np.array(alike, bool), frozenset(fields)) for own, alike, fields in questions]
    return canary(payload, batches, payloads, [Question(*one) for one in masks]), batches


def asked(payload, own, mode, unproven):
    places, batches = ask(payload, [(own, own, unproven)], mode, DATA + OF_PRODUCTS)
    sync = set(batches.order[np.repeat(~batches.is_async, batches.sizes)].tolist())
    return places.tolist(), {field for place in sync for field in (DATA + OF_PRODUCTS)[payload[place]].split('"')[1::4]}


@example([(0, True)] * 120 + [(1, True)] * 3 + [(3, False)] * 3, Mode.AUTO, {"lot", "market", "size"})
@example([(1, False), (0, True), (2, True)], Mode.ASYNC, {"market", "size"})
@example([(0, True)] * 3, Mode.ASYNC, set())
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=300),
    st.sampled_from([Mode.AUTO, Mode.ASYNC]),
    st.sets(st.sampled_from(["lot", "market", "size"])),
)
def test_every_unproven_field_is_asked_for_by_tonights_values_unless_sync_calls_carry_it_anyway(rows, mode, unproven):
    payload, own = zip(*rows, strict=True)
    places, shown = asked(payload, own, mode, unproven)
    assert places == sorted(set(places))
    assert len(places) <= VALUES
    assert all(own[place] for place in places)
    for field in unproven - shown:
        carriers = [place for place, number in enumerate(payload) if own[place] and f'"{field}"' in DATA[number]]
        assert any(place in carriers for place in places) == bool(carriers) or len(places) == VALUES
    wanted = {f'"{field}"' for field in unproven - shown}
    assert all(any(field in DATA[payload[place]] for field in wanted) for place in places)


@pytest.mark.parametrize("count", [100, 1000, 20_000])
def test_those_who_ask_are_spread_from_the_first_value_to_the_last(count):
    """A second campaign in the last part of the plan must not be believed for the first one's sake."""
    places, _ = asked([0] * count, [True] * count, Mode.ASYNC, {"lot"})
    assert (places[0], places[-1], len(places)) == (0, count - 1, 50)
    assert max(np.diff(places)) <= count / 49 + 1
    few, _ = asked([0] * count, [place > count - 4 for place in range(count)], Mode.ASYNC, {"lot"})
    assert few == [count - 3, count - 2, count - 1]


def test_one_value_of_each_product_asks_beside_those_that_are_spread():
    """Codes of several campaigns may stand in one file: their products tell them apart, however few there are."""
    payload = [len(DATA)] * 5000
    rare = {2500: len(DATA) + 1, 2503: len(DATA) + 1, 4001: len(DATA) + 2}
    for place, number in rare.items():
        payload[place] = number
    payload[2601] = 0  # without a product
    places, _ = asked(payload, [True] * len(payload), Mode.ASYNC, {"lot"})
    assert VALUES < len(places) <= VALUES + len(OF_PRODUCTS)
    assert {2500, 4001} <= {*places}
    assert not {1, 2, 3, 2601} & {*places}
    assert {payload[place] for place in places} == {len(DATA), *rare.values()}


def test_of_many_products_the_first_fifty_ask_once_each_by_the_first_value_of_each():
    data = [f'{{"lot":"{lot}","product":"P{number:02}"}}' for lot in "12" for number in range(60)]
    payload = [number for number in range(60) for _ in range(3)] + [60 + number for number in range(60)]
    own = [True] * 240
    places = set(ask(payload, [(own, own, {"lot"})], Mode.ASYNC, data)[0].tolist())
    firsts = set(range(0, 150, 3))
    assert firsts <= places
    assert len(places - firsts) <= VALUES
    assert 150 not in places


def test_only_what_is_alike_proves_anything_and_each_question_has_its_share_of_those_who_ask():
    """Of 120 values that go by an async call and two that a sync call carries: is the second half alike with these?"""
    payload = [0] * 120 + [2] * 2
    first, second = ([place // 60 == half for place in range(120)] + [False] * 2 for half in (0, 1))
    with_sync = [*second[:120], True, True]
    one = ask(payload, [(first, first, {"lot"}), (second, with_sync, {"lot"})], Mode.AUTO)[0]
    assert len(one) == 50
    assert set(one) < set(range(60))
    both = ask(payload, [(first, first, {"lot"}), (second, second, {"lot"})], Mode.AUTO)[0]
    assert [sum(both < 60), sum((both >= 60) & (both < 120)), len(both)] == [25, 25, 50]
    assert not len(ask(payload, [(first, first, {"size"}), (with_sync, with_sync, {"market"})], Mode.AUTO)[0])


def test_of_more_questions_than_there_are_places_the_first_ask_by_one_value_each():
    payload = [0] * 180
    masks = [[place // 3 == number for place in range(180)] for number in range(60)]
    places = ask(payload, [(mask, mask, {"lot"}) for mask in masks], Mode.ASYNC)[0]
    assert places.tolist() == list(range(0, 150, 3))
