"""Each deliberate bug is found by the test that is named beside it: all in `make prove`, some in `make test`."""

from __future__ import annotations

import pytest
from sampling import WHOLE, covered, sample

from mutants.changed import ROOT, open_workshop
from mutants.planted import BUGS

SAMPLE = 4
PARTS = 4 if WHOLE else 1
FOLDERS = ("execute", "ledger", "plan", "mirror", "rows", "api", "source", "report")
NAMED = (
    "a cell of one blank is sent as text",
    "a composite call carries 1,001 values",
    '"earlier in doubt" does not make exit 3',
    "a resumed run's end is not recorded",
    "a carried value gets the line of another",
    "a task's time-out starts anew each night",
)
"""Bugs that were once planted from outside and found by nothing."""


def test_there_are_enough_and_each_can_be_planted():
    assert len(BUGS) >= 40
    assert len({bug.words for bug in BUGS}) == len({(bug.file, bug.new) for bug in BUGS}) == len(BUGS)
    assert {*NAMED} <= {bug.words for bug in BUGS}
    for bug in BUGS:
        there = (ROOT / bug.file).read_text(encoding="utf-8").count(bug.old)
        assert there == 1, f"{bug.words}: its old text stands {there} times in {bug.file}: plant it anew, or let it go"
        assert (ROOT / bug.test.partition("::")[0]).is_file(), bug.words


@pytest.mark.parametrize("part", range(PARTS))
def test_each_is_found_by_the_test_that_is_named_beside_it(part, record_property):
    chosen = sample(BUGS, SAMPLE, name="planted")[part::PARTS]
    with open_workshop() as workshop:
        most_s = {}
        for test in dict.fromkeys(bug.test for bug in chosen):  # what fails anyway finds nothing
            as_it_is = workshop.judge({}, [test], most_s=400)
            assert not as_it_is.found, f"{test} fails without a bug: {as_it_is.words}"
            most_s[test] = 60 + 3 * as_it_is.seconds  # what takes longer has found it: nobody else is that slow
        for bug in chosen:
            text = (ROOT / bug.file).read_text(encoding="utf-8")
            found = workshop.judge({bug.file: text.replace(bug.old, bug.new)}, [bug.test], most_s=most_s[bug.test])
            assert found.found, f"nobody noticed in {bug.file} that {bug.words}: {bug.test} passed"
    covered(record_property, "bugs put into the program by hand", len(chosen), len(BUGS) if part == 0 else 0)


def test_a_test_that_is_not_there_finds_nothing_and_one_of_the_program_as_it_is_passes():
    with open_workshop() as workshop:
        test = "tests/unit/test_lifecycle.py"
        assert not workshop.judge({}, [test]).found
        with pytest.raises(LookupError, match="no judgement"):
            workshop.judge({}, [f"{test}::test_that_nobody_wrote"])
        file = "syncer/lifecycle/machine.py"
        assert workshop.judge({file: (ROOT / file).read_text(encoding="utf-8") + "\nodd odd\n"}, [test]).found
        assert not workshop.judge({}, [test]).found
