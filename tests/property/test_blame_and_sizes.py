"""Whom a refusal is charged to, and how large a call may be: against the rules, written a second time as tables."""

from __future__ import annotations

import itertools
import json

from hypothesis import example, given
from hypothesis import strategies as st

from syncer.execute.blame import FORBIDDEN, JUDGED, OF_THE_CALL, TOO_LARGE, Blame, blame
from syncer.execute.reconcile import named_in
from syncer.execute.sizes import GOOD_CALLS, Sizes

MEMBERS = ("items", "data_key", "scm_data", "constraints", "detail")
OF_CALLS = ({"campaign"}, {"reference"}, {"campaign", "reference"}, {"campaign", "items"}, {"reference", "data_key"})
COLUMNS = ("extended_id", "serial_number", "case_no", "")


STATUSES = (400, 403, 406, 409, 413, 422, None)
SETS = [*(set(chosen) for count in range(6) for chosen in itertools.combinations(MEMBERS, count)), *OF_CALLS]


def test_a_refusal_is_charged_to_what_its_words_name():
    either = (False, True)
    for case in itertools.product(STATUSES, SETS, ("", "K1", "K9", "K12"), either, either, COLUMNS, either):
        check_blame(*case)


def check_blame(status, members, says, page, is_sync, column, is_taken):
    words = json.dumps(dict.fromkeys(sorted(members), says))
    found = blame(status, words, ["K1", "K2"], page=page, is_sync=is_sync, column=column, is_taken=is_taken)
    other_key = is_sync and column in {"case_no", ""}
    if status == 413:
        expected = Blame.SIZE
    elif status not in {400, 406, 422} or page:
        expected = Blame.UNKNOWN
    elif other_key and "data_key" in members:
        expected = Blame.KEY
    elif members and not members - {"campaign", "reference"}:
        expected = Blame.UNKNOWN
    elif says == "K1" and members:
        expected = Blame.VALUES
    elif not is_sync and "scm_data" in members and "constraints" not in members:
        expected = Blame.DATA
    elif other_key and "items" not in members and not is_taken:
        expected = Blame.PERHAPS_KEY
    else:
        expected = Blame.UNKNOWN
    assert found is expected, (status, members, says, page, is_sync, column, is_taken)


@example(words="3", is_sync=True)
@given(words=st.text() | st.sampled_from(["[1]", "3", '"items"', "{", "[" * 100_000]), is_sync=st.booleans())
def test_words_that_are_no_object_name_no_members(words, is_sync):
    found = blame(400, words, ["\0"], page=False, is_sync=is_sync, column="extended_id", is_taken=False)
    assert found is (Blame.VALUES if named_in(["\0"], words) else Blame.UNKNOWN)


EVENTS = st.tuples(st.sampled_from(["refused", "timed_out", "answered"]), st.sampled_from("sa"), st.integers(1, 40))


@given(st.lists(EVENTS, max_size=12))
def test_a_call_is_never_larger_than_what_was_refused_and_halves_with_each_time_out(events):
    sizes = Sizes()
    refused, slow = {}, {}
    for what, kind, size in events:
        if what == "refused":
            sizes.refused(kind, size)
            refused[kind] = max(1, size // 2)
        elif what == "timed_out":
            sizes.timed_out(kind, size)
            slow[kind] = max(1, size // 2)
        else:  # so few good calls teach nothing
            sizes.answered(kind, size)
        for one in "sa":
            for asked in (1, 7, 1000):
                assert sizes.most(one, asked) == min(asked, refused.get(one, asked), slow.get(one, asked))


@given(st.integers(2, 64), st.integers(1, 3))
def test_after_enough_good_calls_twice_the_size_is_tried_and_each_time_out_asks_for_twice_as_many(size, times):
    sizes = Sizes()
    for _ in range(times):
        sizes.timed_out("s", size)
    half = max(1, size // 2)
    needed = GOOD_CALLS * 2**times
    for good in range(needed):
        assert sizes.most("s", 1000) == half, good
        sizes.answered("s", half - 1)  # smaller calls tell nothing of that size
        sizes.answered("a", half)  # nor do those of another kind
        sizes.answered("s", half)
    assert sizes.most("s", 1000) == 2 * half
    assert sizes.most("a", 1000) == 1000
    sizes.timed_out("s", 2 * half)
    assert sizes.most("s", 1000) == half


def test_good_calls_are_counted_from_the_last_time_out():
    sizes = Sizes()
    sizes.timed_out("s", 10)
    for _ in range(2 * GOOD_CALLS - 1):
        sizes.answered("s", 5)
    sizes.timed_out("s", 10)
    for _ in range(4 * GOOD_CALLS - 1):
        sizes.answered("s", 5)
    assert sizes.most("s", 100) == 5
    sizes.answered("s", 5)
    assert sizes.most("s", 100) == 10
    for _ in range(4 * GOOD_CALLS - 1):
        sizes.answered("s", 10)
    assert sizes.most("s", 100) == 10
    sizes.answered("s", 10)
    assert sizes.most("s", 100) == 20


def test_what_one_kind_of_call_carries_in_time_says_nothing_of_another():
    sizes = Sizes()
    sizes.timed_out("s", 10)
    sizes.timed_out("a", 10)
    for _ in range(4 * GOOD_CALLS - 1):
        sizes.answered("s", 5)
    sizes.answered("a", 5)
    assert (sizes.most("s", 100), sizes.most("a", 100)) == (5, 5)
    sizes.answered("s", 5)
    assert (sizes.most("s", 100), sizes.most("a", 100)) == (10, 5)
    sizes.timed_out("a", 5)  # the calls of the other kind were none the worse
    for _ in range(8 * GOOD_CALLS):
        sizes.answered("s", 10)
    assert (sizes.most("s", 100), sizes.most("a", 100)) == (20, 2)


def test_the_statuses_are_those_of_http_and_the_words_those_of_the_log():
    assert (FORBIDDEN, TOO_LARGE, {*JUDGED}) == (403, 413, {400, 404, 406, 422})
    assert {*OF_THE_CALL} == {"campaign", "reference"}
    assert GOOD_CALLS == 20
    assert [one.value for one in Blame] == ["values", "data", "key", "perhaps_key", "size", "unknown"]
