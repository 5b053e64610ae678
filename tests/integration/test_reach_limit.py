"""`limits.max_codes_affected`: no call by a key of many codes may reach more, not even the first one."""

from __future__ import annotations

import pytest

CONFIG = '[limits]\nmax_codes_affected = {0}\n{1}[jobs.cases]\nkey = "case_no"\nexport = "changes"\n'


@pytest.mark.parametrize("more", ["", "max_reach_factor = 0\n"])
@pytest.mark.parametrize("most", [24, 25, 0])
def test_a_call_that_reaches_more_codes_than_are_allowed_stops_the_run_until_that_is_approved(night, most, more):
    """25 codes of one case, where the user knows that no case has more than 24."""
    codes = tuple({"extended_id": f"K{n:04d}", "case_no": "C1" if n < 25 else "C2"} for n in range(30))
    with night(codes=codes) as here:
        here.config(CONFIG.format(most, more))
        file = here.write("a.csv", ("case_no", "market"), [("C1", "DE")])
        first = here.sync(file)
        if most != 24:
            assert first.code == 0, first.document
            return
        assert (first.code, first.document["error"]["code"]) == (4, "guard"), first.document
        assert "reached 25 codes with 1 values" in first.document["error"]["message"]
        assert "limits.max_codes_affected is 24" in first.document["error"]["message"]
        assert {code["extended_id"] for code in here.box.codes() if code.get("market")} == {
            f"K{n:04d}" for n in range(25)
        }
        newer = here.write("b.csv", ("case_no", "market"), [("C2", "FR")])
        sent = len(here.box.calls("async"))
        assert here.sync(newer).code == 4  # it stays until somebody has looked
        assert len(here.box.calls("async")) == sent
        assert here.sync(newer, "--approve").code == 0
        assert {code.get("market") for code in here.box.codes()} == {"DE", "FR"}


def test_codes_that_held_all_of_it_before_teach_no_reach_where_changes_alone_are_counted(night):
    """Nothing was counted, so the next night's code was more than ever before: the guard stopped it."""
    with night(codes=({"extended_id": "K0", "case_no": "C0", "market": "DE"},), changes_only=True) as here:
        here.config('[limits]\nmax_changed_percent = 0\n[jobs.karton]\nkey = "case_no"\n')
        for market in ("DE", "FR"):
            done = here.sync(here.write("a.csv", ("case_no", "market"), [("C0", market)]))
            assert done.code == 0, done.document
        assert here.box.codes()[0]["market"] == "FR"
