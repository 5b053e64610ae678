"""What the results folder says of each key: its own words, and never another's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from syncer.arrow import texts
from syncer.lifecycle.batch import Bucket
from syncer.plan.diff import Standing
from syncer.plan.keys import group_keys
from syncer.runs.results_folder import Fates

KEYS = [f"K{number}" for number in range(9)]


def fates(standing, outcomes, unsent=""):
    groups = group_keys(texts(KEYS))
    verdicts = np.array([standing.get(KEYS[row], Standing.NEW) for row in groups.leaders.tolist()], np.uint8)
    intake = SimpleNamespace(diff=SimpleNamespace(groups=groups, verdicts=lambda: verdicts))
    return Fates(intake, [(key, 0, 2, bucket, message) for key, bucket, message in outcomes], unsent)


def told(found, keys):
    return [found.told[number] for number in found.of_rows(texts(keys)).tolist()]


def test_each_key_bears_its_own_words_and_those_that_wait_are_not_confirmed():
    found = fates(
        {"K6": Standing.HELD, "K7": Standing.UNCHANGED},
        [
            *((key, Bucket.CONFIRMED, "") for key in KEYS[:2]),
            ("K2", Bucket.UNMATCHED, "no code has this value"),
            ("K3", Bucket.REJECTED, "not a country"),
            ("K4", Bucket.REJECTED, "not a country"),
            ("K5", Bucket.PENDING, ""),
            ("K8", Bucket.REJECTED, "no such lot"),
            ("stranger", Bucket.REJECTED, "of an earlier run"),
        ],
    )
    assert told(found, KEYS[::-1])[::-1] == [
        ("confirmed.csv", "confirmed", ""),
        ("confirmed.csv", "confirmed", ""),
        ("error.csv", "unmatched", "no code has this value"),
        ("error.csv", "rejected", "not a country"),
        ("error.csv", "rejected", "not a country"),
        ("unprocessed.csv", "pending", "its task was still at work: syncer resume"),
        ("unprocessed.csv", "held", "an earlier upload of this value is not settled yet"),
        ("confirmed.csv", "unchanged", "the same data was confirmed before"),
        ("error.csv", "rejected", "no such lot"),
    ]


def test_what_this_run_sent_and_confirmed_is_not_told_as_unchanged_since_its_last_plan_found_it_so():
    found = fates({"K0": Standing.UNCHANGED, "K1": Standing.UNCHANGED}, [("K0", Bucket.CONFIRMED, "")])
    assert [one.code for one in told(found, ["K0", "K1"])] == ["confirmed", "unchanged"]


def test_of_a_run_that_sent_nothing_all_that_is_not_unchanged_or_held_is_unsent():
    found = fates({"K6": Standing.HELD, "K7": Standing.UNCHANGED}, [], unsent="a guard stopped the run")
    assert [one.code for one in told(found, ["K0", "K6", "K7"])] == ["unsent", "held", "unchanged"]
    assert told(found, ["K1"]) == [("unprocessed.csv", "unsent", "a guard stopped the run")]
