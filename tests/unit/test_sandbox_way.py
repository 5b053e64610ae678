"""The sandbox's network: what each form of `--way` draws."""

from __future__ import annotations

import statistics
from random import Random

import pytest

from syncer.sandbox.way import parse_way


def drawn(text, count=4000):
    draw, random = parse_way(text), Random(7)
    return [draw(random) for _ in range(count)]


def test_a_number_is_always_the_same_and_uses_no_chance():
    random = Random(7)
    before = random.getstate()
    assert {parse_way("75")(random), parse_way("75.0")(random)} == {0.075}
    assert random.getstate() == before


@pytest.mark.parametrize("text", ["75±19", "75+-19"])
def test_a_normal_way_has_its_mean_and_deviation(text):
    seconds = drawn(text)
    assert statistics.mean(seconds) == pytest.approx(0.075, abs=0.002)
    assert statistics.stdev(seconds) == pytest.approx(0.019, abs=0.001)
    assert min(drawn("5±19")) == 0.0  # nothing arrives before it left


def test_an_even_way_keeps_its_bounds():
    seconds = drawn("75-225")
    assert 0.075 <= min(seconds) < 0.08
    assert 0.22 < max(seconds) <= 0.225


def test_a_lognormal_way_has_a_least_and_a_long_tail():
    seconds = drawn("40+lognormal(-3.2,0.6)")
    assert min(seconds) > 0.04
    assert statistics.median(seconds) == pytest.approx(0.04 + 0.0408, abs=0.003)
    assert max(seconds) > 0.2


@pytest.mark.parametrize("text", ["", "fast", "-75", "75±", "225-", "40+lognormal(x)", "75ms"])
def test_any_other_text_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="75±19"):
        parse_way(text)
