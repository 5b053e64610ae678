"""The limiters against a server that counts as the API does: no self-made 429, whatever is known late, at full rate."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.api.limits import (
    MARGIN_FIRST_S,
    MARGIN_MAX_S,
    MARGIN_MIN_S,
    PAIRS_MIN,
    ReadLimiter,
    UpdateLimiter,
)


def most_in(arrivals, window_s):
    """Return the most arrivals that any window of `window_s` holds: open at its start, closed at its end."""
    ordered = sorted(arrivals)
    first = most = 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True)
class Fate:
    """What happens to one call: when the caller comes to it, how its request travels, how long its answer takes."""

    idle_s: float
    jitter_s: float
    handshake_s: float
    latency_s: float


FATES = st.builds(
    Fate,
    idle_s=st.sampled_from([0.0, 0.0, 0.0, 0.03, 0.4, 2.0]),
    jitter_s=st.floats(0, MARGIN_MIN_S * 0.99),
    handshake_s=st.sampled_from([0.0, 0.0, 0.0, 0.02, 0.3, 0.9]),
    latency_s=st.sampled_from([0.0, 0.1, 1.5, 4.0]),
)


def drive(limiter, fates):
    """Make calls as the engine does: at the limiter's time, telling it of an arrival only when its answer is there."""
    now_s, starts, arrivals, answers = 50.0, [], [], []

    def learn(until_s):
        while answers and answers[0][0] <= until_s:
            answered_s, ticket, start_s, fresh = heapq.heappop(answers)
            took_s = None if fresh else answered_s - start_s
            limiter.answered(ticket, arrived_by_s=answered_s if fresh else start_s, took_s=took_s)

    for fate in fates:
        now_s += fate.idle_s
        learn(now_s)
        while (slot_s := limiter.next_s(now_s)) > now_s:
            now_s = min(slot_s, answers[0][0]) if answers else slot_s
            learn(now_s)
        arrival_s = now_s + fate.handshake_s + fate.jitter_s
        ticket = limiter.started(now_s)
        fresh = fate.handshake_s > 0
        latency_s = min(fate.latency_s, 0.05) if fresh else fate.latency_s  # its answer is there within the window
        heapq.heappush(answers, (arrival_s + latency_s, ticket, now_s, fresh))
        starts.append(now_s)
        arrivals.append(arrival_s)
    return starts, arrivals


@given(fates=st.lists(FATES, min_size=12, max_size=60), per_second=st.sampled_from([1, 3, 10]))
def test_no_window_holds_more_than_the_limit_though_arrivals_are_known_only_from_answers(fates, per_second):
    _, arrivals = drive(UpdateLimiter(per_second), fates)
    assert most_in(arrivals, 1.0) <= per_second


@given(fates=st.lists(FATES, min_size=12, max_size=40))
def test_calls_of_a_window_are_close_together_and_yet_in_order(fates):
    starts, _ = drive(UpdateLimiter(10), [Fate(2.0, 0.0, 0.0, 0.0), *[Fate(0.0, 0.0, 0.0, 0.0)] * 9, *fates])
    assert all(later - earlier >= 0.0099 for earlier, later in itertools.pairwise(starts))
    assert starts[9] - starts[0] == pytest.approx(0.09)


@pytest.mark.parametrize("latency_s", [0.0, 0.15, 2.0, 10.0])
def test_warm_connections_reach_98_percent_of_the_limit_at_any_latency(latency_s):
    starts, _ = drive(UpdateLimiter(10), [Fate(0.0, 0.0, 0.0, latency_s)] * 701)
    assert 500 / (starts[-1] - starts[200]) >= 9.8


def warmed(per_second, took_s=0.1):
    """Return a limiter that has learned that answers' times do not vary, and the time of its last call."""
    limiter, now_s = UpdateLimiter(per_second), 0.0
    for _ in range(per_second + PAIRS_MIN):
        now_s = limiter.next_s(now_s)
        limiter.answered(limiter.started(now_s), arrived_by_s=now_s, took_s=took_s)
    assert limiter.margin_s == MARGIN_MIN_S
    return limiter, now_s


def test_what_is_learned_late_about_a_call_of_long_ago_changes_nothing():
    limiter = UpdateLimiter(2)
    tickets = [limiter.started(at_s) for at_s in (0.0, 5.0, 10.0)]
    before_s = limiter.next_s(10.0)
    limiter.answered(tickets[0], arrived_by_s=9.0, took_s=None)
    assert limiter.next_s(10.0) == before_s


def test_a_call_that_turns_out_later_than_its_start_moves_the_window():
    limiter = UpdateLimiter(2)
    ticket = limiter.started(0.0)
    limiter.started(0.5)
    limiter.answered(ticket, arrived_by_s=0.3, took_s=None)
    assert limiter.next_s(0.6) == pytest.approx(1.3 + MARGIN_FIRST_S)


def test_an_answer_never_moves_a_window_back():
    limiter = UpdateLimiter(2)
    ticket = limiter.started(4.0)
    limiter.started(4.5)
    limiter.answered(ticket, arrived_by_s=3.0, took_s=None)
    assert limiter.next_s(4.6) == pytest.approx(5.0 + MARGIN_FIRST_S)


def test_the_margin_is_learned_from_answers_one_window_apart():
    limiter = UpdateLimiter(2)
    times = [0.1, 0.2, *[0.13, 0.22] * 6]  # of each place the first two differ, no later ones
    for number, took_s in enumerate(times):
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=took_s)
        assert (limiter.margin_s == MARGIN_FIRST_S) == (number - 1 < 5)  # so many pairs are the fewest that tell
    assert limiter.margin_s == MARGIN_MIN_S  # 2 of 12 differ: the pairs that 80 % keep do not


def test_the_margin_follows_the_difference_that_four_of_five_pairs_keep():
    limiter = UpdateLimiter(1)
    for number in range(50):
        took_s = 0.1 + (0.02 if number % 2 else 0.0)
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=took_s)
    assert limiter.margin_s == pytest.approx(MARGIN_MIN_S + 1.4 * 0.02, rel=0.03)


def test_wide_spreads_do_not_widen_the_margin_beyond_its_bound():
    limiter = UpdateLimiter(1)
    for number in range(50):
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=3.0 * (number % 2))
    assert 0.166 < limiter.margin_s <= 0.175
    limiter.throttled(60.0)
    assert limiter.margin_s == pytest.approx(0.175)


def test_answers_that_tell_nothing_of_the_way_teach_nothing():
    limiter, _ = warmed(2)
    for number in range(10, 20):
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=None)
    assert limiter.margin_s == MARGIN_MIN_S
    limiter.answered(limiter.started(20.0), arrived_by_s=20.0, took_s=9.0)  # the call before it in its place is unknown
    assert limiter.margin_s == MARGIN_MIN_S


def test_a_refusal_widens_a_learned_margin_and_calm_narrows_it_slowly():
    limiter = UpdateLimiter(1)
    margins = []
    for number in range(3000):
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=0.1 + 0.02 * (number % 2))
        margins.append(limiter.margin_s)
    assert margins[300] > margins[1500] > margins[2999] > MARGIN_MIN_S
    assert margins[1700] - MARGIN_MIN_S == pytest.approx((margins[300] - MARGIN_MIN_S) / 2, rel=0.05)
    limiter.throttled(3000.0)
    assert limiter.margin_s > margins[100]


def learn(limiter, differences_s, *, first=0):
    """Let a limiter of one call a second learn from these differences between one answer's time and the next one's."""
    took_s = 1.0
    for number, difference_s in enumerate([0.0, *differences_s], first):
        took_s += difference_s if number % 2 else -difference_s
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=took_s)


def test_what_was_learned_long_ago_is_forgotten():
    limiter = UpdateLimiter(1)
    learn(limiter, [0.0] * 1000)
    learn(limiter, [0.05] * 40, first=1001)  # the pair of both is as long ago as the second one's first
    assert limiter.margin_s > 0.04  # 40 of the last 200 differ: one fewer, or one more pair, and 80 % would not
    learn(other := UpdateLimiter(1), [0.0] * 1000)
    learn(other, [0.05] * 39, first=1001)
    assert other.margin_s == MARGIN_MIN_S


def test_a_quarter_of_the_pairs_is_not_overlooked():
    limiter = UpdateLimiter(1)
    learn(limiter, [0.0, 0.0, 0.0, 0.03] * 6)
    assert limiter.margin_s == pytest.approx(MARGIN_MIN_S + 1.4 * 0.03, rel=0.02)


def test_the_bound_holds_before_the_caution_so_that_calm_narrows_the_widest_margin_too():
    limiter = UpdateLimiter(1)
    learn(limiter, [2.0] * 104)
    assert limiter.margin_s == pytest.approx(MARGIN_MIN_S + (MARGIN_MAX_S - MARGIN_MIN_S) * 0.9995**100, rel=1e-4)


def test_each_refusal_widens_the_margin_by_a_tenth_and_all_by_half():
    limiter = UpdateLimiter(1)
    learn(limiter, [0.05] * 6)
    before_s, widened = limiter.margin_s - MARGIN_MIN_S, []
    for number in range(7):
        limiter.started(10.0 + number)
        limiter.throttled(10.5 + number)
        widened.append((limiter.margin_s - MARGIN_MIN_S) / before_s)
    assert widened == pytest.approx([1.1, 1.21, 1.331, 1.4641, 1.5, 1.5, 1.5], rel=0.002)


@pytest.mark.parametrize(("per_second", "shares"), [(205, [185, 165]), (5, [4, 3, 2, 2]), (1, [1, 1])])
def test_a_refusal_gives_up_a_tenth_of_the_limit_and_never_a_part_of_a_call(per_second, shares):
    limiter = UpdateLimiter(per_second)
    limiter.started(1.0)
    for share in shares:
        limiter.throttled(2.0)
        assert (limiter.share, type(limiter.share)) == (share, int)


@pytest.mark.parametrize(("per_minute", "at_once"), [(60, 7), (100, 11), (3000, 11), (5, 1)])
def test_so_many_reads_may_be_made_at_once(per_minute, at_once):
    limiter, starts = ReadLimiter(per_minute), []
    for _ in range(20):
        starts.append(limiter.next_s(100.0))
        limiter.started(100.0)
    assert sum(at_s < 100.0001 for at_s in starts) == at_once


def test_each_refusal_gives_up_a_place_and_at_most_half_of_all_at_once():
    limiter, now_s = warmed(10)
    for refused, left in enumerate([9, 8, 7, 6, 5, 5, 5], 1):
        limiter.throttled(now_s + 1 + refused / 100)
        assert limiter.share == left


def test_a_share_of_one_is_never_given_up():
    limiter, now_s = warmed(10)
    for _ in range(30):
        limiter.throttled(now_s + 1.0)
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
    assert limiter.share == 1


def test_no_window_holds_more_than_the_share():
    limiter, now_s = warmed(10)
    for _ in range(3):
        limiter.throttled(now_s + 1.0)
    starts = []
    for _ in range(14):
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts, 1.0) == 7
    assert starts[7] - starts[0] == pytest.approx(1 + MARGIN_MIN_S, abs=0.001)


def tries_of(limiter, now_s, seconds, *, refuse):
    """Return when a call more than the share was tried within so many seconds; ``refuse``: each of them is refused."""
    starts, tries, end_s = [], [], now_s + seconds
    while now_s < end_s:
        now_s = limiter.next_s(now_s)
        share = limiter.share
        limiter.started(now_s)
        if len(starts) >= share and starts[-share] + 1.0 > now_s:
            tries.append(now_s)
            if refuse:
                limiter.throttled(now_s + 1.0)
        starts.append(now_s)
    return tries


def test_a_greater_share_is_tried_again_soon_and_ever_later_when_that_is_vain():
    limiter, now_s = warmed(10)
    limiter.throttled(now_s + 1.0)
    tries = tries_of(limiter, now_s, 400.0, refuse=True)
    pauses_s = [later - earlier for earlier, later in itertools.pairwise([now_s, *tries])]
    due_s = [1 + 6, 1 + 30, *[1 + 60] * 5]  # a refusal's second, and what is learned; the next window tries
    assert all(0 < pause_s - due < 1.02 for pause_s, due in zip(pauses_s, due_s, strict=True))
    assert limiter.share == 9


def test_a_try_comes_before_the_oldest_call_leaves_the_window_and_leaves_the_share_as_it_is():
    limiter, now_s = warmed(10)
    limiter.throttled(now_s + 1.0)
    starts, shares = [], []
    while limiter.share == 9 and len(starts) < 200:
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
        shares.append(limiter.share)
    tries = [at_s for at_s, before_s in zip(starts[9:], starts, strict=False) if at_s - before_s < 1.0]
    assert len(tries) == 1
    place = starts.index(tries[0])
    assert starts[place] - starts[place - 9] == pytest.approx(1.0 - MARGIN_MIN_S, abs=0.001)
    assert most_in(starts[place - 9 : place + 9], 1.0) == 10
    assert shares[place] == 9


def test_a_call_after_a_pause_is_no_try():
    """The window was empty: that it was not refused says nothing."""
    limiter, now_s = warmed(10)
    limiter.throttled(now_s + 1.0)
    for pause in range(1, 40):
        limiter.started(now_s + 2.0 * pause)
    assert limiter.share == 9


def test_after_a_vain_try_a_place_is_ours_when_several_in_a_row_were_not_vain():
    limiter, now_s = warmed(10)
    limiter.throttled(now_s + 1.0)
    tries_of(limiter, now_s, 10.0, refuse=True)
    assert limiter.share == 9
    assert len(tries_of(limiter, now_s + 10.0, 60.0, refuse=False)) == 4
    assert limiter.share == 10


def test_a_place_that_one_try_won_is_given_up_when_the_next_is_vain():
    limiter, now_s = warmed(10)
    for _ in range(3):
        limiter.throttled(now_s + 1.0)
    assert len(tries_of(limiter, now_s, 10.0, refuse=False)) == 1
    now_s = limiter.next_s(now_s + 10.0)
    limiter.started(now_s)
    assert limiter.share == 8
    assert len(tries_of(limiter, now_s, 5.0, refuse=True)) == 1
    assert limiter.share == 7


def test_a_vain_try_widens_no_margin():
    limiter, now_s = warmed(10)
    limiter.throttled(now_s + 1.0)
    before_s = limiter.margin_s
    assert len(tries_of(limiter, now_s, 12.0, refuse=True)) == 1
    assert limiter.margin_s == before_s


def test_a_refusal_that_stands_alone_costs_no_place_where_the_ways_vary():
    limiter = UpdateLimiter(10)
    for number in range(40):
        limiter.answered(limiter.started(number / 8), arrived_by_s=number / 8, took_s=0.1 + 0.05 * (number // 10 % 2))
    shares = []
    for at_s in (10.0, 30.1, 50.1, 70.3):  # the third comes 20 s after the one before, and so is not alone
        limiter.started(at_s)
        limiter.throttled(at_s + 1.0)
        shares.append(limiter.share)
    assert shares == [10, 10, 9, 9]


@pytest.mark.parametrize(
    ("difference_s", "pairs", "share"),
    [(0.0108, 5, 2), (0.0108, 4, 1), (0.0107, 5, 1), (MARGIN_MIN_S / 1.4, 5, 1)],
)
def test_ways_vary_where_five_pairs_of_answers_differ_by_more_than_the_least_margin(difference_s, pairs, share):
    limiter = UpdateLimiter(2)
    for number in range(2 + pairs):
        took_s = difference_s * (number // 2 % 2)
        limiter.answered(limiter.started(number), arrived_by_s=number, took_s=took_s)
    limiter.throttled(9.0)
    assert limiter.share == share


def refused_once(*, per_second=2):
    """Return a limiter that was refused a call, and may make the next one at 10 s."""
    limiter = UpdateLimiter(per_second)
    limiter.started(9.0)
    limiter.throttled(10.0)
    assert limiter.share == per_second - 1
    return limiter


def call(limiter, *starts_s):
    """Make calls at these times; return the share after the last."""
    for at_s in starts_s:
        limiter.started(at_s)
    return limiter.share


def lose(limiter, *starts_s):
    """Make calls at these times, of which the last is refused for a second; return the share."""
    call(limiter, *starts_s)
    limiter.throttled(starts_s[-1] + 1.0)
    return limiter.share


@pytest.mark.parametrize(
    ("starts_s", "share"),
    [
        ((15.5, 16.01, 17.02), 2),
        ((15.5, 16.0, 17.02), 1),  # no more than six seconds after the refusal
        ((15.5, 16.5, 17.52), 1),  # the window no longer held the call before
        ((15.5, 16.25, 17.25), 1),  # its answer may still be a refusal
    ],
)
def test_a_call_within_the_window_of_the_share_tries_for_more_and_wins_it_a_second_later(starts_s, share):
    assert call(refused_once(), *starts_s) == share


def test_the_next_call_tries_only_while_the_oldest_one_is_in_the_window():
    limiter = refused_once()
    assert limiter.next_s(9.5) == pytest.approx(10.0 + limiter.margin_s)
    limiter.started(20.0)
    assert limiter.next_s(20.5) == pytest.approx(21.0 - limiter.margin_s)
    assert limiter.next_s(20.95) == 20.95
    assert limiter.next_s(21.0) == pytest.approx(21.0 + limiter.margin_s)


@pytest.mark.parametrize(("last_s", "widens"), [(22.99, False), (23.0, True)])
def test_a_refusal_within_three_seconds_of_a_try_is_of_the_try_and_widens_no_margin(last_s, widens):
    limiter = refused_once()
    before_s = limiter.margin_s
    assert lose(limiter, 19.5, 20.0, last_s) == 1
    assert (limiter.margin_s > before_s) == widens


@pytest.mark.parametrize(("pause_s", "share"), [(2.01, 2), (2.0, 1)])
def test_a_try_that_was_not_vain_is_followed_by_three_more_after_a_rest(pause_s, share):
    limiter, at_s = refused_once(), 60.0
    assert lose(limiter, 19.5, 20.0) == 1
    for _ in range(3):
        assert call(limiter, at_s - 0.5, at_s, at_s + 1.25) == 1
        at_s += 1.25 + pause_s
    assert call(limiter, at_s - 0.5, at_s, at_s + 1.25) == share


def test_a_place_that_was_won_by_four_tries_is_kept_when_the_next_is_vain_and_another_one_is_won_by_one():
    limiter = refused_once(per_second=4)
    assert lose(limiter, 10.5, 11.0) == 2
    assert lose(limiter, 29.0, 29.5, 29.75) == 2
    for at_s in (70.0, 74.0, 78.0, 82.0):
        share = call(limiter, at_s - 0.5, at_s - 0.25, at_s, at_s + 1.25)
    assert share == 3
    assert lose(limiter, 120.0, 120.25, 120.5, 120.75) == 3
    for at_s in (190.0, 194.0, 198.0, 202.0):
        share = call(limiter, at_s - 0.5, at_s - 0.25, at_s - 0.125, at_s, at_s + 1.25)
    assert share == 4  # all are ours: what was vain is forgotten
    assert lose(limiter, 250.0) == 3
    assert call(limiter, 260.0, 260.25, 260.5, 260.75, 262.0) == 4


def test_a_refusal_that_was_of_no_try_lets_the_next_try_come_soon_again():
    limiter = refused_once(per_second=3)
    assert lose(limiter, 19.0, 19.25, 19.5) == 2  # of a try: the next one after half a minute
    assert lose(limiter, 40.0) == 1
    assert call(limiter, 47.5, 48.0, 49.25) == 1  # and after six seconds now; but four have to win
    assert [call(limiter, at_s - 0.5, at_s, at_s + 1.25) for at_s in (52.0, 56.0, 60.0)] == [1, 1, 2]


def test_a_whole_share_is_never_tried():
    limiter = UpdateLimiter(1)
    before_s = limiter.margin_s
    assert lose(limiter, 1.0, 1.5) == 1
    assert limiter.margin_s > before_s  # as a refusal of any other call does


def test_a_try_never_makes_more_calls_than_the_limit():
    limiter = UpdateLimiter(25)
    assert [lose(limiter, 9.0) for _ in range(8)] == [23, 21, 19, 17, 15, 13, 12, 12]
    starts, now_s = [], 20.0
    while limiter.share < 25 and len(starts) < 2000:
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert limiter.share == most_in(starts, 1.0) == 25


def test_a_try_is_of_a_tenth_of_the_limit():
    limiter = UpdateLimiter(30)
    limiter.started(9.0)
    limiter.throttled(10.0)
    assert limiter.share == 27
    starts, now_s = [], 20.0
    while limiter.share == 27 and len(starts) < 200:
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts[:40], 1.0) == limiter.share == 30
    assert sum(later - earlier < 1.0 for earlier, later in zip(starts, starts[27:], strict=False)) == 3


def test_a_refusal_of_a_call_that_started_when_the_last_ones_pause_was_over_is_a_new_one():
    limiter = UpdateLimiter(10)
    assert [lose(limiter, 1.0) for _ in range(7)] == [9, 8, 7, 6, 5, 5, 5]
    before_s = limiter.margin_s
    assert lose(limiter, 2.0) == 4
    assert limiter.margin_s > before_s


def test_a_share_comes_back_whole_when_nobody_else_takes_it():
    limiter, now_s = warmed(10)
    for _ in range(4):
        limiter.throttled(now_s + 1.0)
    assert limiter.share == 6
    assert len(tries_of(limiter, now_s, 40.0, refuse=False)) == 4
    assert limiter.share == 10


def test_a_shorter_throttle_does_not_undo_a_longer_one():
    for limiter in (UpdateLimiter(10), ReadLimiter(3000)):
        limiter.throttled(9.0)
        limiter.throttled(4.0)
        assert limiter.next_s(0.0) == 9.0


def test_more_earlier_calls_than_the_limit_count_by_the_latest():
    limiter = UpdateLimiter(2)
    limiter.preload([3.0, 1.0, 2.0, 2.9])
    assert limiter.next_s(3.0) == pytest.approx(3.9 + MARGIN_FIRST_S)


@given(
    per_minute=st.sampled_from([1, 7, 60, 600]),
    idle=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 20.0, 90.0]), min_size=5, max_size=200),
)
def test_no_minute_holds_more_reads_than_the_limit(per_minute, idle):
    limiter, now_s, starts = ReadLimiter(per_minute), 0.0, []
    for pause_s in idle:
        now_s = limiter.next_s(now_s + pause_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts, 60.0) <= per_minute


def test_reads_at_full_speed_keep_their_minute_and_come_near_it():
    limiter, now_s, starts = ReadLimiter(3000), 0.0, []
    while now_s < 200 and len(starts) < 20_000:
        now_s = limiter.next_s(now_s)
        limiter.started(now_s)
        starts.append(now_s)
    assert most_in(starts, 60.0) <= 3000
    assert len(starts) / now_s * 60 >= 0.98 * 3000


def test_a_few_reads_at_once_need_not_wait():
    limiter = ReadLimiter(3000)
    for _ in range(5):
        assert limiter.next_s(100.0) == 100.0
        limiter.started(100.0)


def test_an_answer_that_took_several_calls_counts_them_all():
    one, many = ReadLimiter(60), ReadLimiter(60)
    for _ in range(20):
        one.started(5.0)
    many.started(5.0, calls=20)
    assert many.next_s(5.0) == pytest.approx(one.next_s(5.0))
    assert many.next_s(5.0) > 5.0
