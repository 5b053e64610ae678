"""The canary: before a count is believed for a field, a few of tonight's values ask for it, spread over the plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import Mode
from syncer.plan.batching import batch
from syncer.plan.canary import VALUES, Question, canary
from syncer.plan.payloads import Payloads

DATA = ['{"lot":"1"}', '{"market":"DE"}', '{"lot":"1","market":"DE"}', '{"size":"3"}']
OF_PRODUCTS = [f'{{"lot":"1","product":"P{number}"}}' for number in range(3)]


def asked(payload, own, mode, unproven):
    payload = np.array(payload, np.int32)
    batches = batch(payload, mode)
    payloads, mine = Payloads(), np.array(own, bool)
    for text in DATA + OF_PRODUCTS:
        payloads.number(text)
    places = canary(payload, batches, payloads, [Question(mine, mine, frozenset(unproven))])
    sync = set(batches.order[np.repeat(~batches.is_async, batches.sizes)].tolist())
    return places.tolist(), {field for place in sync for field in payloads.data[payload[place]].split('"')[1::4]}


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
    assert (places[0], places[-1], len(places)) == (0, count - 1, VALUES)
    assert max(np.diff(places)) <= count / (VALUES - 1) + 1
    few, _ = asked([0] * count, [place > count - 4 for place in range(count)], Mode.ASYNC, {"lot"})
    assert few == [count - 3, count - 2, count - 1]


def test_one_value_of_each_product_asks_beside_those_that_are_spread():
    """Codes of several campaigns may stand in one file: their products tell them apart, however few there are."""
    payload = [len(DATA)] * 5000
    rare = {2500: len(DATA) + 1, 2503: len(DATA) + 1, 4001: len(DATA) + 2}
    for place, number in rare.items():
        payload[place] = number
    places, _ = asked(payload, [True] * len(payload), Mode.ASYNC, {"lot"})
    assert VALUES < len(places) <= VALUES + len(OF_PRODUCTS)
    assert {2500, 4001} <= {*places}
    assert {payload[place] for place in places} == {len(DATA), *rare.values()}
