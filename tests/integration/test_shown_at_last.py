"""A field that an administrator defines between two runs: what counts said of it before an answer names it is not believed."""

from __future__ import annotations

LIMITS = "[limits]\nmax_changed_percent = 0\n"


def test_three_fields_of_one_line_that_are_taken_at_last_go_together_for_a_value_that_tonights_file_lacks(night):
    """The plan of such a night could not be stored: 13, night by night."""
    codes = tuple({"extended_id": f"K{n:04d}", "campaign": "1"} for n in range(6))
    fields = ("market", "lot", "grade")
    with night(codes=codes, campaigns={1: frozenset({"other"})}) as here:
        here.config(f'{LIMITS}[jobs.it]\nkey = "extended_id"\nexport = "changes"\n')

        def told(values, word):
            rows = [(f"K{n:04d}", *([word] * len(fields))) for n in values]
            return here.sync(here.write("a.csv", ("extended_id", *fields), rows))

        assert told(range(6), "DE").code == 3
        here.box.world.campaigns[1] = frozenset(fields)
        last = told([0], "FR")
        assert last.code == 0, last.document
        assert [tuple(code.get(name) for name in fields) for code in here.box.codes()] == [("FR",) * 3] + [
            ("DE",) * 3
        ] * 5
        assert here.run("ledger", "check").code == 0
        shown = here.run("status", str(last.document["run"]["id"]), "--json").document
        assert [source["name"] for source in shown["sources"]] == ["a.csv"]  # though the night planned twice
