"""Reconciling: confirmed only where the answer proves it; contradictions never turn green; questions get smaller."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncer.execute.reconcile import Finding, Reach, halves, judge_count, judge_named, shown_fields, suspects

keys = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=12, unique=True)
reaches = st.builds(Reach, high=st.none() | st.floats(1, 60))
sums = st.none() | st.integers(1, 3000)
"""How many codes the values of a batch are known to select; None: of some it is not known."""


@given(values=st.integers(1, 1000), codes=st.none() | st.integers(0, 3000), expected=sums)
def test_a_unique_key_is_confirmed_by_count_only_when_every_value_is_accounted_for(values, codes, expected):
    judgement = judge_count(values, codes, unique=True, expected=expected)
    assert (judgement.finding is Finding.ALL) == (codes == values)


@given(values=st.integers(1, 1000), codes=st.none() | st.integers(0, 90_000), expected=sums)
def test_of_other_keys_only_a_single_value_or_the_sum_that_is_known_is_confirmed_by_count(values, codes, expected):
    """m15: 50 cases of two codes and 50 that do not exist have as many codes as values."""
    judgement = judge_count(values, codes, unique=False, expected=expected)
    if codes == 0:
        assert judgement.unmatched == tuple(range(values))
    else:
        proven = codes is not None and (values == 1 or codes == expected)
        assert (judgement.finding is Finding.ALL) == proven
        assert proven or values == 1 or judgement.finding is Finding.UNCLEAR


@given(keys=keys, data=st.data(), unique=st.booleans())
def test_names_confirm_exactly_the_values_they_name(keys, data, unique):
    named = data.draw(st.none() | st.sets(st.sampled_from(keys)))
    codes = data.draw(st.integers(0, 30))
    judgement = judge_named(keys, codes, named, unique=unique, expected=None)
    match judgement.finding:
        case Finding.ALL:
            assert named is None or named == set(keys)
            assert codes >= len(keys)
            assert codes == len(keys) or not unique
        case Finding.SOME:
            confirmed = {key for place, key in enumerate(keys) if place not in judgement.unmatched}
            assert confirmed <= (set() if named is None else named)
            assert codes >= len(confirmed)
        case Finding.UNCLEAR:
            assert len(keys) > 1


@given(keys=keys, named=st.sets(st.text(min_size=4), min_size=1), unique=st.booleans())
def test_an_answer_about_values_that_were_never_sent_is_never_green(keys, named, unique):
    judgement = judge_named(keys, len(keys), {*keys, *named}, unique=unique, expected=None)
    assert judgement.finding is not Finding.ALL


@given(keys=st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=40, unique=True), words=st.text(max_size=30))
def test_a_refused_batch_is_cut_into_two_smaller_parts_without_loss(keys, words):
    for parts in (suspects(keys, words), halves(len(keys))):
        first, second = map(list, parts)
        assert first
        assert second
        assert sorted(first + second) == list(range(len(keys)))


def test_values_named_by_the_apis_words_are_suspected():
    assert suspects(["K1", "K2", "K3"], '{"items": {"K2": "no such product"}}')[0] == (1,)


def test_a_field_is_refused_by_the_value_whose_name_comes_without_it_but_special_ones_never_are():
    shown = shown_fields({"a": {"lot", "colour", "product"}, "b": {"lot"}, "c": {"size"}}, {"a": ["lot"], "b": []})
    assert shown.refused == {"a": {"colour"}, "b": {"lot"}}
    assert shown.taken == {"lot": True, "colour": False}  # of the value that is not named nothing is shown


@given(reach=reaches, codes=st.integers(1, 1000), values=st.integers(1, 100))
def test_learning_only_widens_the_reach(reach, codes, values):
    learned = reach.learned(codes, values)
    assert learned.high is not None
    assert codes / values <= learned.high
    assert reach.high is None or reach.high <= learned.high
    assert not learned.exceeded(codes, values, 1.001)
