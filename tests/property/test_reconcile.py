"""Reconciling: confirmed only where the answer proves it; contradictions never turn green; questions get smaller."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.execute.reconcile import (
    Finding,
    Judgement,
    Reach,
    Shown,
    halves,
    judge_count,
    judge_named,
    named_in,
    named_or_counted,
    shown_fields,
    suspects,
)

keys = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=12, unique=True)
near = st.integers(0, 8)
"""Small counts: that one equals another, or is one more, is no rare case then."""


@example(values=2, codes=None, unique=True, expected=None)
@example(values=2, codes=0, unique=True, expected=None)
@example(values=2, codes=1, unique=True, expected=None)
@example(values=1, codes=1, unique=True, expected=None)
@example(values=1, codes=2, unique=True, expected=None)
@example(values=2, codes=4, unique=False, expected=4)
@example(values=2, codes=4, unique=False, expected=None)
@example(values=2, codes=4, unique=False, expected=5)
@given(values=st.integers(1, 6), codes=st.none() | near, unique=st.booleans(), expected=st.none() | near)
def test_a_count_proves_what_the_rule_says_and_nothing_else(values, codes, unique, expected):
    """m15: 50 cases of two codes and 50 that do not exist have as many codes as values."""
    judgement = judge_count(values, codes, unique=unique, expected=expected)
    wanted = values if unique else expected
    if codes is None:
        assert judgement == Judgement(
            Finding.UNCLEAR, (), f"the API does not say how many codes {values} values affected"
        )
    elif codes == 0:
        assert judgement == Judgement(Finding.SOME, tuple(range(values)), "no code has this value")
    elif codes == wanted or (values == 1 and not unique):
        assert judgement == Judgement(Finding.ALL)
    elif wanted is None:
        words = f"{codes} codes affected; how many each of {values} values selects is not known"
        assert judgement == Judgement(Finding.UNCLEAR, (), words)
    else:
        assert judgement == contradicted(values, codes, wanted)


def contradicted(values, codes, wanted):
    words = f"{codes} codes affected, {wanted} expected for {values} values"
    lone = Judgement(Finding.SOME, (0,), words, contradicts=True)
    return lone if values == 1 else Judgement(Finding.UNCLEAR, (), words)


@example(keys=["a", "b"], named={"a", "b"}, codes=3, unique=True, expected=None)
@example(keys=["a", "b"], named={"a"}, codes=2, unique=True, expected=None)
@example(keys=["a", "b"], named={"a"}, codes=1, unique=False, expected=None)
@example(keys=["a", "b"], named={"a"}, codes=2, unique=False, expected=4)
@example(keys=["a", "b"], named={"a", "b"}, codes=1, unique=False, expected=None)
@example(keys=["a", "b"], named=set(), codes=1, unique=False, expected=None)
@example(keys=["a", "b"], named=set(), codes=0, unique=False, expected=None)
@example(keys=["a", "b"], named=None, codes=2, unique=True, expected=None)
@example(keys=["a"], named={"a"}, codes=2, unique=True, expected=None)
@example(keys=["a"], named={"b"}, codes=0, unique=True, expected=None)
@given(
    keys=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
    named=st.none() | st.sets(st.sampled_from("abcde")),
    codes=near,
    unique=st.booleans(),
    expected=st.none() | near,
)
def test_names_and_count_together_prove_what_the_rule_says_and_nothing_else(keys, named, codes, unique, expected):
    judgement = judge_named(keys, codes, named, unique=unique, expected=expected)
    if named is None:
        assert judgement == judge_count(len(keys), codes, unique=unique, expected=expected)
        return
    applied = [key for key in keys if key in named]
    strangers = named - set(keys)
    count_fits = codes == len(applied) if unique else (codes >= len(applied) if applied else codes == 0)
    if strangers or not count_fits:
        words = f"the answer contradicts itself: {codes} codes for one value"
        if unique and applied and not strangers and codes > 1:
            words = f"the API counts {codes} codes for this value, where the job expects one (jobs.<name>.unique)"
        lone = Judgement(Finding.SOME, (0,), words, contradicts=True)
        assert judgement == (lone if len(keys) == 1 else contradicted(len(keys), codes, len(applied)))
    elif len(applied) == len(keys):
        assert judgement == Judgement(Finding.ALL)
    else:
        missing = tuple(place for place, key in enumerate(keys) if key not in named)
        assert judgement == Judgement(Finding.SOME, missing, "no code has this value")


@given(keys=keys, named=st.sets(st.text(min_size=4), min_size=1), unique=st.booleans())
def test_an_answer_about_values_that_were_never_sent_is_never_green(keys, named, unique):
    judgement = judge_named(keys, len(keys), {*keys, *named}, unique=unique, expected=None)
    assert judgement.finding is not Finding.ALL


def test_a_finding_alone_says_nothing_else():
    assert repr(Judgement(Finding.ALL)) == repr(Judgement(Finding.ALL, (), "", (), contradicts=False))


@given(st.integers(0, 2000))
def test_halves_are_halves(count):
    first, second = halves(count)
    assert [*first, *second] == list(range(count))
    assert len(first) - len(second) in {0, 1}


@example(keys=["a", "b", "c"], words="b")
@example(keys=["a", "b", "c"], words="a c")
@example(keys=["a", "b", "c"], words="a b c")
@example(keys=["a", "b", "c"], words=" ")
@given(
    keys=st.lists(st.text("abc", min_size=1, max_size=2), min_size=2, max_size=6, unique=True), words=st.text("abc ")
)
def test_a_refused_batch_is_cut_into_those_that_the_words_name_and_the_others(keys, words):
    named = tuple(place for place, key in enumerate(keys) if key in words.split())
    others = tuple(place for place, key in enumerate(keys) if key not in words.split())
    assert suspects(keys, words) == ((named, others) if named and others else None)
    assert named_in(keys, words) == named


@pytest.mark.parametrize(
    ("words", "is_named"),
    [
        ("11", True), ('"11"', True), ("a 11: b", True), ("(11)", True), ("-11-", True), ("11 1", True), ("x 11", True),
        ("", False), ("1", False), ("111", False), ("1111", False), ("E11", False), ("11f", False), ("ä11", False),
        ("111 211 11", True), ("11f 11", True), ("x11y11", False), ("x11-11y", False), ("1 1", False), ("111-11", True),
        ("11 111", True), ("x11 11 x11", True),
    ],
)  # fmt: skip
def test_a_value_is_named_where_it_is_no_part_of_a_longer_word(words, is_named):
    assert named_in(["11"], words) == ((0,) if is_named else ())
    assert named_in(["--"], "a---") == (0,)  # each place is looked at, also where two overlap


fields = st.sets(st.sampled_from(["lot", "size", "product", "activation_status", "blacklist_reason"]))


@given(sent=st.dictionaries(st.sampled_from("abc"), fields), named=st.dictionaries(st.sampled_from("abcd"), fields))
def test_a_field_is_refused_by_the_value_whose_name_comes_without_it_but_special_ones_never_are(sent, named):
    asked = {key: sent.get(key, set()) & {"lot", "size"} for key in named}
    refused = {key: asked[key] - named[key] for key in named}
    taken = set().union(*(asked[key] & named[key] for key in named))
    shown = shown_fields(sent, named)
    assert shown.refused == {key: missing for key, missing in refused.items() if missing}
    assert shown.taken == {name: name in taken for name in set().union(*asked.values())}
    assert {key: fields for key, fields in shown.accepted.items() if fields} == {
        key: asked[key] & named[key] for key in named if asked[key] & named[key]
    }
    assert Shown() == Shown({}, {}, {})


STATUS = ("activation_status",)


@pytest.mark.parametrize(
    ("sent", "named", "codes", "unique", "added"),
    [
        ({"a": ("m",), "b": STATUS}, {"a": ("m",)}, 2, True, {"b"}),
        ({"a": ("m",), "b": STATUS}, {"a": ("m",)}, 1, True, set()),
        ({"a": ("m",), "b": STATUS, "c": STATUS}, {"a": ("m",)}, 2, True, set()),
        ({"a": ("m",), "b": ("m", *STATUS)}, {"a": ("m",)}, 2, True, set()),
        ({"a": ("m",), "b": STATUS}, {}, 2, True, {"a", "b"}),
        ({"a": ("m",)}, {}, 0, True, set()),
        ({"a": ("m",)}, {}, 24, True, set()),
        ({"a": ("m",)}, {}, 24, False, {"a"}),
        ({"a": ("m",)}, {}, 1, False, {"a"}),
        ({"a": ("m",)}, {}, 0, False, set()),
        ({"a": ("m",), "b": ("m",)}, {}, 48, False, set()),
    ],
)
def test_only_a_count_that_leaves_nobody_out_stands_for_names(sent, named, codes, unique, added):
    found = named_or_counted(sent, named, codes, unique=unique)
    assert found == {**named, **dict.fromkeys(added, ())}


@example(high=1, codes=2, values=1, factor=1)
@example(high=2, codes=12, values=2, factor=3)
@example(high=2, codes=13, values=2, factor=3)
@example(high=None, codes=13, values=2, factor=3)
@example(high=2, codes=13, values=2, factor=0)
@given(high=st.none() | st.integers(1, 9), codes=st.integers(0, 90), values=st.integers(1, 9), factor=st.integers(0, 9))
def test_the_reach_is_the_greatest_average_and_exceeded_beyond_its_multiple(high, codes, values, factor):
    reach = Reach(high=high)
    assert reach.learned(codes, values) == Reach(high=max(1, codes / values, high or 0))
    stopped = Reach(high, "words", sync_refused=True)
    assert stopped.learned(codes, values) == Reach(max(1, codes / values, high or 0), "words", sync_refused=True)
    assert reach.exceeded(codes, values, factor) is bool(factor and high and codes > factor * high * values)
    assert not Reach(high=0).exceeded(1, 1, 1)  # as earlier versions learned it where an API counts changes alone
    taken = Reach(high, sync_taken=True)
    assert taken.learned(codes, values).sync_taken
    assert Reach() == Reach(None, "", sync_refused=False, sync_taken=False)


def test_the_words_of_a_finding_stay_the_same():
    """They stand in the log."""
    assert [finding.value for finding in Finding] == ["all", "some", "unclear"]
    assert Judgement(Finding.ALL) == Judgement(Finding.ALL, (), "")
