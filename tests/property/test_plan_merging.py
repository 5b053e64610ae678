"""Older words under newer ones, against a model that lays one dictionary over the other."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.mirror.words import canonical
from syncer.plan.merging import Merger, OlderWords
from syncer.plan.payloads import Payloads

data = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
words = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 9), data), max_size=9, unique_by=lambda word: (word[0], word[1])
)
wanted = st.lists(data, min_size=3, max_size=3)


def older_words(payloads, said):
    """Older words as columns; the line of each tells its place."""
    group, source_id = (np.array([word[place] for word in said], np.int64) for place in (0, 1))
    payload = np.array([payloads.number(canonical(word[2])) for word in said], np.int32)
    return OlderWords(group, payload, source_id, np.arange(100, 100 + len(said)))


@example(said=[])
@example(said=[(1, 2, {}), (0, 3, {}), (1, 4, {}), (1, 3, {})])
@given(said=words)
def test_the_newest_word_of_each_group_comes_first_and_has_the_rank_of_none(said):
    rows, ranks = older_words(Payloads(), said).newest_first()
    expected = sorted(range(len(said)), key=lambda place: (said[place][0], -said[place][1]))
    assert (rows.line - 100).tolist() == expected
    assert rows.group.tolist() == [said[place][0] for place in expected]
    newer = [sum(group == one[0] and source > one[1] for group, source, _ in said) for one in said]
    assert ranks.tolist() == [newer[place] for place in expected]


@example(said=[], newest=[{}, {"a": "x"}, {}])
@example(  # the newest of the older words counts, whatever came first; a blank word adds nothing
    said=[
        (1, 2, {"a": "x", "b": "x"}),
        (1, 5, {"a": "y"}),
        (0, 1, {}),
        (2, 9, {"c": "x"}),
        (1, 3, {"b": "y", "c": "y"}),
    ],
    newest=[{}, {"c": "x"}, {"c": "y"}],
)
@given(said=words, newest=wanted)
def test_each_field_is_as_its_newest_word_has_it_and_remembers_where_that_stands(said, newest):
    payloads = Payloads()
    payloads.number(canonical({"z": "of no row"}))
    older = older_words(payloads, said)
    numbers = np.array([payloads.number(canonical(one)) for one in newest], np.int32)
    merger = Merger(payloads)
    for _ in range(2):  # pairs that were met before are the same again
        before = numbers.tolist()
        found, origins = merger.lay_over(older, numbers)
        assert numbers.tolist() == before
        whole, kept = [dict(one) for one in newest], []
        for place, (group, source, one) in sorted(enumerate(said), key=lambda word: -word[1][1]):
            left = sorted(one.keys() - whole[group].keys())
            whole[group] |= {field: one[field] for field in left}
            kept += [(group, source, 100 + place, tuple(left))] if left else []
        assert [json.loads(payloads.data[number]) for number in found.tolist()] == whole
        columns = (origins.row, origins.source_id, origins.line, origins.fields)
        told = [(*one, origins.names[fields]) for *one, fields in zip(*(c.tolist() for c in columns), strict=True)]
        assert sorted(told) == sorted(kept)


@given(pairs=st.lists(st.tuples(data, data), max_size=6))
def test_older_words_are_covered_where_the_newer_name_each_field(pairs):
    payloads = Payloads()
    older, newer = (np.array([payloads.number(canonical(pair[n])) for pair in pairs], np.int32) for n in (0, 1))
    found = Merger(payloads).covered(older, newer)
    assert found.tolist() == [one.keys() <= other.keys() for one, other in pairs]


def test_several_columns_of_older_words_are_one():
    payloads = Payloads()
    parts = [older_words(payloads, [(1, 2, {"a": "x"}), (0, 1, {})]), older_words(payloads, [(2, 7, {"a": "x"})])]
    joined = OlderWords.joined(parts)
    assert joined.group.tolist() == [1, 0, 2]
    assert joined.payload.tolist() == [0, 1, 0]
    assert joined.source_id.tolist() == [2, 1, 7]
    assert joined.line.tolist() == [100, 101, 100]
    none = OlderWords.joined([])
    assert [len(column) for column in (none.group, none.payload, none.source_id, none.line)] == [0, 0, 0, 0]
