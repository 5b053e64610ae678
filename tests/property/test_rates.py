"""The rate on networks as they are, on a virtual clock: near the limit, hardly ever refused, and fair to others."""

from __future__ import annotations

import math
import statistics
from itertools import chain, takewhile

import pytest
from rates import GOALS, WAYS, FixedWindow, SlidingWindow, TokenBucket, every, make_calls

from syncer.api.limits import UpdateLimiter

SEEDS = range(20)


def nights(way, **settings):
    return [make_calls(UpdateLimiter(10), WAYS[way], seed=seed, **settings) for seed in SEEDS]


@pytest.mark.parametrize("server", [SlidingWindow, FixedWindow, TokenBucket])
@pytest.mark.parametrize("way", WAYS)
def test_the_rate_is_reached_on_real_networks_and_hardly_a_call_is_refused(way, server):
    made = [make_calls(UpdateLimiter(10), WAYS[way], seed=seed, server=server()) for seed in SEEDS]
    assert statistics.mean(night.rate for night in made) >= GOALS[way]
    assert statistics.mean(night.throttled for night in made) <= 0.005
    # A refusal in 300 calls may cost more than there is room.
    assert sum(night.rate < GOALS[way] for night in made) <= 2


@pytest.mark.parametrize("way", WAYS)
def test_the_rate_lasts(way):
    made = [make_calls(UpdateLimiter(10), WAYS[way], calls=2000, seed=seed) for seed in range(6)]
    assert statistics.mean(night.rate for night in made) >= GOALS[way] + 0.01
    assert max(night.throttled for night in made) <= 0.005


def test_a_steady_network_is_never_refused_a_call():
    assert all(night.throttled == 0 for night in nights("75 ms", calls=1000))


def test_handshakes_cost_no_refusal():
    assert all(night.throttled == 0 for night in nights("75 ms", fresh_s=0.3))


@pytest.mark.parametrize("way", ["75 ms", "75 ± 19 ms"])
def test_another_program_gets_its_three_of_ten_and_we_the_rest(way):
    made = nights(way, other=every(1 / 3), calls=500)
    assert statistics.mean(night.theirs for night in made) >= 0.98
    assert statistics.mean(night.rate for night in made) >= (6.8 if way == "75 ms" else 6.3)
    assert max(night.throttled for night in made) <= 0.02


@pytest.mark.parametrize("way", ["75 ms", "75 ± 19 ms"])
def test_another_program_is_not_kept_out_by_a_place_that_was_taken_once(way):
    """Its calls come a little early or late: at times a place of its own is free, and whoever takes it keeps it out."""
    made = nights(way, other=every(1 / 3, 0.02), calls=1000)
    assert statistics.mean(night.theirs for night in made) >= 0.75
    assert statistics.mean(night.rate for night in made) >= (6.8 if way == "75 ms" else 6.1)
    assert max(night.throttled for night in made) <= 0.02


def test_what_another_program_left_is_taken_again():
    def for_a_minute(random):
        return chain(takewhile(lambda at_s: at_s < 60, every(1 / 3)(random)), [math.inf])

    limiter = UpdateLimiter(10)
    make_calls(limiter, WAYS["75 ms"], calls=3000, other=for_a_minute)
    assert limiter.share == 10


def test_the_api_s_own_work_narrows_the_rate_a_little_and_for_a_while():
    def work(random):
        return random.uniform(0.0, 0.4)

    short = make_calls(UpdateLimiter(10), WAYS["75 ms"], calls=300, work=work)
    long = make_calls(UpdateLimiter(10), WAYS["75 ms"], calls=4000, work=work)
    assert (short.throttled, long.throttled) == (0, 0)
    assert short.rate >= 8.4
    assert long.rate > short.rate + 0.3
