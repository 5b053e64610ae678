"""The limiter: no self-made 429 whatever the jitter within its bounds, and the API's full rate."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.api.limits import MARGIN_MIN_S, ReadLimiter, UpdateLimiter


def most_in_a_second(arrivals):
    ordered = sorted(arrivals)
    return max(sum(begin - 1.0 < at <= begin for at in ordered) for begin in ordered)


@settings(max_examples=examples(150))
@given(
    jitter=st.lists(st.floats(0, MARGIN_MIN_S * 0.99), min_size=40, max_size=40),
    idle=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.7, 3.0]), min_size=40, max_size=40),
    fresh=st.sets(st.integers(0, 39), max_size=8),
    handshake=st.floats(0, 0.5),
)
def test_no_window_of_a_second_ever_sees_more_than_the_limit(jitter, idle, fresh, handshake):
    limiter = UpdateLimiter(10)
    now, arrivals = 100.0, []
    for number in range(40):
        now = limiter.next_s(now + idle[number])
        ticket = limiter.started(now)
        arrival = now + jitter[number] + (handshake if number in fresh else 0.0)
        arrivals.append(arrival)
        if number in fresh:
            limiter.answered(ticket, arrived_by_s=arrival + 0.001, took_s=None)
    assert most_in_a_second(arrivals) <= 10


def test_the_rate_stays_within_two_percent_of_the_limit():
    limiter, now = UpdateLimiter(10), 0.0
    for _ in range(1001):
        now = limiter.next_s(now)
        limiter.answered(limiter.started(now), arrived_by_s=now, took_s=0.1)
    assert 1000 / now >= 9.8


def test_calls_of_an_earlier_process_count():
    limiter = UpdateLimiter(10)
    limiter.preload([99.5 + number / 20 for number in range(10)])
    assert limiter.next_s(100.0) >= 100.5


def test_a_throttle_holds_every_call():
    limiter, reads = UpdateLimiter(10), ReadLimiter(3000)
    limiter.throttled(7.0)
    reads.throttled(8.0)
    assert (limiter.next_s(0.0), reads.next_s(0.0)) == (7.0, 8.0)


@example(rate=0.5)
@example(rate=1.5)
@given(rate=st.floats(0.1, 200))
def test_any_rate_is_kept(rate):
    limiter, starts, now, places = UpdateLimiter(rate), [], 0.0, max(1, int(rate))
    for _ in range(2 * places + 30):
        now = limiter.next_s(now)
        limiter.started(now)
        starts.append(now)
    assert all(later - earlier > places / rate for earlier, later in zip(starts, starts[places:], strict=False))
    assert all(later > earlier for earlier, later in pairwise(starts))


def test_reads_keep_their_limit_per_minute():
    limiter, now = ReadLimiter(60), 0.0
    for _ in range(130):
        now = limiter.next_s(now)
        limiter.started(now)
    assert now >= 118
