"""Fields of which no answer names whether they were taken: read back, or said to be unproven, and never green (B4)."""

from __future__ import annotations

import pytest

CASES = 'check_keys = false\nmax_changed_percent = 0\n[jobs.cases]\nkey = "case_no"\nexport = "changes"\nexpect = 2\n'
DEFINED = frozenset({"case_no", "market"})
HEADER = ("case_no", "market", "pallet")


def world(cases, campaign=1):
    return [
        {"extended_id": f"K{case:04d}-{copy}", "case_no": f"C{case:04d}", "campaign": str(campaign)}
        for case in cases
        for copy in range(2)
    ]


def rows(cases, market="DE", pallet="P1"):
    return [(f"C{case:04d}", market, pallet) for case in cases]


def config(here, more=""):
    here.config("[limits]\n" + CASES + more)


@pytest.fixture
def cases(night):
    """Give a night against a server that takes cases in async calls alone, and does not define the pallet."""
    return lambda **options: night(codes=tuple(world(range(30))), campaigns={1: DEFINED}, **options)


def test_a_field_that_is_not_there_when_it_is_read_back_ends_with_3_until_it_is_defined_and_then_goes_the_same_night(
    cases,
):
    """m13 and m14 by a key that sync calls do not take."""
    with cases() as here:
        config(here)
        file = here.write("a.csv", HEADER, rows(range(30)))
        first = here.sync(file)
        assert (first.code, first.document["discarded_fields"], first.document["unproven_fields"]) == (
            3,
            ["pallet"],
            [],
        )
        again = here.sync(file)
        assert (again.code, again.document["discarded_fields"]) == (3, ["pallet"])
        assert again.document["values"]["confirmed"] <= 1  # left out but for the one value that asks
        here.box.world.campaigns[1] = DEFINED | {"pallet"}
        third = here.sync(file)
        assert (third.code, third.document["discarded_fields"]) == (0, []), third.document
        assert {code.get("pallet") for code in here.box.codes()} == {"P1"}
        looked = len(here.box.calls("codes_download"))
        calm = here.sync(file)
        assert (calm.code, calm.document["requests"]["updates"], len(here.box.calls("codes_download"))) == (
            0,
            0,
            looked,
        )
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize("status_code", [403, 404])
def test_where_nothing_can_be_read_back_the_fields_are_named_and_the_configuration_vouches_for_them(cases, status_code):
    fault = {"kind": "status", "on": "codes_download", "status_code": status_code, "every": 1}
    with cases(faults=(fault,)) as here:
        config(here)
        file = here.write("a.csv", HEADER, rows(range(30)))
        for number in range(2):
            done = here.sync(file)
            assert (done.code, done.document["unproven_fields"]) == (3, ["market", "pallet"]), number
            assert any("known_fields" in note for note in done.document["notes"])
        config(here, 'known_fields = ["case_no", "market", "pallet"]\n')
        assert here.sync(file).code == 0
        here.box.faults.replace([])  # what Scantrust shows is more than a word
        done = here.sync(file)
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])


def test_what_was_counted_before_a_field_was_defined_is_asked_again_though_no_later_file_names_it(cases):
    """Nothing was read then; now values hold the field, and others do not."""
    fault = {"kind": "status", "on": "codes_download", "status_code": 403, "every": 1}
    with cases(faults=(fault,)) as here:
        config(here)
        assert here.sync(here.write("a.csv", HEADER, rows(range(12)))).code == 3
        here.box.faults.replace([])
        here.box.world.campaigns[1] = DEFINED | {"pallet"}
        file = here.write("b.csv", HEADER, rows(range(20, 30)))
        assert here.sync(file).code == 3
        done = here.sync(file)
        assert (done.code, done.document["discarded_fields"]) == (0, []), done.document
        pallets = {code["case_no"]: code.get("pallet") for code in here.box.codes()}
        assert [case for case, pallet in sorted(pallets.items()) if pallet != "P1"] == [
            f"C{case:04d}" for case in range(12, 20)
        ]


def test_values_of_another_campaign_that_come_later_are_read_back_too(night):
    """The campaign of a case is not told by anything: of the first night's all takes the pallet, of the second's none."""
    codes = tuple(world(range(20)) + world(range(20, 40), 2))
    with night(codes=codes, campaigns={1: DEFINED | {"pallet"}, 2: DEFINED}) as here:
        config(here)
        assert here.sync(here.write("a.csv", HEADER, rows(range(20)))).code == 0
        both = here.write("b.csv", HEADER, rows(range(40)))
        for number in range(3):
            done = here.sync(both)
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"]), number
        assert {code.get("pallet") for code in here.box.codes()[:40]} == {"P1"}


def test_keys_of_two_columns_are_read_back_by_both(night):
    codes = tuple({**code, "lot": "L1"} for code in world(range(4)))
    with night(codes=codes, campaigns={1: DEFINED | {"lot"}}) as here:
        here.config('[jobs.pairs]\nkey = ["case_no", "lot"]\nexpect = 2\n')
        pairs = [(f"C{n:04d}", "L1") for n in range(4)]
        done = here.sync(here.write("a.csv", ("case_no", "lot", *HEADER[1:]), [(*one, "DE", "P1") for one in pairs]))
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
        done = here.sync(here.write("b.csv", ("case_no", "lot", "market"), [(*one, "FR") for one in pairs]))
        assert (done.code, done.document["unproven_fields"]) == (0, [])


def test_what_a_job_confirmed_under_another_key_is_not_looked_for_under_its_new_one(cases):
    """The key of a job may change: what it sent before stands in another code space, with a story of its own."""
    with cases() as here:
        here.config('[limits]\ncheck_keys = false\n[jobs.cases]\nkey = "extended_id"\n')
        singles = [(code["extended_id"], "DE") for code in world(range(30))]
        assert here.sync(here.write("singles.csv", ("extended_id", "market"), singles)).code == 0
        config(here)
        done = here.sync(here.write("a.csv", HEADER[:2], [row[:2] for row in rows(range(30), "FR")]), "--approve")
        assert (done.code, done.document["unproven_fields"]) == (0, [])
        assert {code["market"] for code in here.box.codes()} == {"FR"}
