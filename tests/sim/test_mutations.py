"""The simulator can fail: each deliberate bug is found, each by the seed that found it first, within 2,000 schedules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sim.mutations import MUTATIONS, mutated
from sim.promises import ViolationError, check_history, check_reach
from sim.schedule import Schedule

TESTING = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
SCHEDULES_MAX = 2000
FOUND_BY = {
    "send before commit": 9,
    "advance the state on sending": 1,
    "take a lost answer for not processed": 9,
    "trust any count of a task": 20,
    "send newer data before a lost call is surely over": 202,
    "leave the calls of a dead process": 15,
    "make the delta against what was sent": 1,
    "call a row unchanged for one field": 3,
    "no settle wait": 155,
    "repeat a POST in the transport": 9,
    "forget what was never sent": 1,
    "trust any sync answer": 33,
    "drop the compare-and-set": 13,
    "go on knowing what may have been overwritten": 2,
    "send older words in place of newer ones": 84,
    "a lost call leaves what was known": 212,
    "a late end leaves what was known": 163,
    "one name for proof": 33,
    "a refusal without words blames the whole call": 13,
    "a doubt is about one field": 100,
    "a signal is a good end": 1,
    "no count for proof": 20,
    "a failed task is a complete one": 49,
    "a refusal that names a value blames the whole call": 26,
    "what matched nothing is known": 33,
    "a deadline is a good end": 46,
    "a whole multiple for proof": 443,
    "forget wanted fields": 26,
    "see to the own job alone": 87,
    "a write through one key is about that key alone": 27,
    "a product moves nothing": 65,
    "an upgrade leaves what was under way known": 134,
    "an upgrade believes each of several jobs": 367,
    "an upgrade keeps what another job's newer word has overtaken": 87,
    "of old history only what explains the mirror stays": 24,
}


def test_every_deliberate_bug_has_its_seed_here_and_in_the_documents():
    assert FOUND_BY.keys() == MUTATIONS.keys()
    documented = re.findall(r"^\| ([^|]+) \| (\d+) \|$", TESTING, re.MULTILINE)
    assert {name: int(seed) for name, seed in documented} == FOUND_BY


@pytest.mark.parametrize("name", FOUND_BY)
def test_a_deliberate_bug_is_found(name):
    with mutated(name):
        for seed in [FOUND_BY[name], *range(SCHEDULES_MAX)]:
            try:
                Schedule(seed).run()
            except (ViolationError, ValueError) as violation:  # it may also end a run that should go on
                print(f"{name}: seed {seed}: {violation}")
                return
    pytest.fail(f"{SCHEDULES_MAX} schedules did not find it")


@pytest.mark.parametrize("seed", sorted(set(FOUND_BY.values())))
def test_the_same_seed_is_clean_without_the_bug(seed):
    Schedule(seed).run()


def test_a_value_that_was_sent_and_is_not_in_the_history_is_found():
    schedule = Schedule(0)
    schedule.run()
    assert schedule.api.sent
    schedule.api.sent.add(("K00000", ("m", "another value")))
    with pytest.raises(ViolationError, match=r"K00000 was sent as \('m', 'another value'\)"):
        check_history(schedule.database, schedule.api.sent)


def test_a_value_that_was_written_though_no_file_asked_for_it_is_found():
    check_reach({"K00000": {"a"}}, {"K00000": {"a", "b"}})
    for stray in ({"K00000": {"a", "c"}}, {"K00001": {"a"}}):
        with pytest.raises(ViolationError, match="no file asked"):
            check_reach(stray, {"K00000": {"a", "b"}})
