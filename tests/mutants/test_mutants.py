"""Every mutant of the pure modules is found, but for those that are listed with a reason: all in `make prove`, some in `make test`."""

from __future__ import annotations

from collections import Counter

import pytest
from sampling import WHOLE, covered, sample

from mutants.changed import ROOT, open_workshop
from mutants.operators import mutants_of
from mutants.subjects import SHARE_MAX, SUBJECTS, survivors

SAMPLE = 8
PARTS = 8 if WHOLE else 1


def all_mutants():
    return [mutant for file in SUBJECTS for mutant in mutants_of(file, (ROOT / file).read_text(encoding="utf-8"))]


def test_the_list_of_survivors_is_short_and_each_is_a_mutant_of_the_source_as_it_is():
    names = {file: set() for file in SUBJECTS}
    for mutant in all_mutants():
        names[mutant.file].add(mutant.name)
    gone = {(file, name) for file, listed in survivors().items() for name in listed if name not in names.get(file, ())}
    assert not gone, "these lines have changed: judge their mutants anew (make mutate)"
    assert all(reason for listed in survivors().values() for reason in listed.values())
    listed = sum(map(len, survivors().values()))
    assert listed <= SHARE_MAX * sum(map(len, names.values()))


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_is_changed_in_a_pure_module_its_tests_notice(part, record_property):
    mutants = all_mutants()
    chosen = sample(mutants, SAMPLE, name="mutants")[part::PARTS]
    listed = survivors()
    with open_workshop() as workshop:
        if WHOLE:  # what fails anyway finds nothing
            tests = dict.fromkeys(test for mutant in chosen for test in SUBJECTS[mutant.file])
            assert not (as_it_is := workshop.judge({}, [*tests], most_s=300.0)).found, as_it_is.words
        survived = [
            (mutant.file, mutant.name)
            for mutant in chosen
            if mutant.name not in listed.get(mutant.file, ())
            and not workshop.judge({mutant.file: mutant.text}, SUBJECTS[mutant.file], most_s=30.0).found
        ]
    assert survived == []
    covered(record_property, "mutants of the pure modules", len(chosen), len(mutants) if part == 0 else 0)


def test_words_for_people_and_types_are_no_mutants_and_all_else_is():
    text = (
        "LIMIT = 3\n\n\ndef f(a: int = 1) -> bool:\n    if a > LIMIT:\n"
        '        raise ValueError(f"{a} is too much")\n    b = np.full(a, 7, np.int64)\n'
        '    return g(b, message="far too much")\n'
    )
    names = Counter(mutant.name.partition(" → ")[2] for mutant in mutants_of("f.py", text))
    assert names["if a >= LIMIT:"] + names["if a>= LIMIT:"] == 1
    assert {"LIMIT = 4", "LIMIT = None", "def f(a: int = 2) -> bool:"} <= {*names}
    assert {"b = np.full(a, 8, np.int64)", "b = np.full(None, 7, np.int64)"} <= {*names}
    assert not [name for name in names if "too much" not in name and "message" in name]
    assert not [name for name in names if "np.full" in name and "np.int64" not in name]
