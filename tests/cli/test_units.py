"""``jobs.<name>.units``: broken cases are rejected whole before anything is sent; mended rows are not counted."""

from __future__ import annotations

from conftest import codes

CONFIG = '[jobs.erp.units.case_no]\ncodes = 3\nsame = ["lot"]\n'
HEADER = ("extended_id", "case_no", "lot")


def test_a_case_that_breaks_a_rule_is_rejected_whole_and_mended_rows_are_no_cases(night):
    with night(codes=codes(12)) as here:
        here.config(CONFIG)
        listed = [(f"K{n:06d}", f"C{n // 3}", "L2" if n == 7 else "L1") for n in range(11)]
        here.write("a.csv", HEADER, listed)
        done = here.sync("a.csv", "--results", "out")
        assert (done.code, done.document["values"]["confirmed"]) == (3, 6)
        assert {one["code"]: one["rows"] for one in done.document["faults"]} == {"E331": 3, "E330": 2}
        assert done.document["faults"][1]["remedy"].endswith('of changes: jobs.erp.export = "changes"')
        error = here.folder / "out" / "error.csv"
        error.write_text(error.read_text().replace("L2", "L1"))
        assert here.sync("out/error.csv").code == 0
        here.config('[jobs.erp]\nexport = "changes"\n' + CONFIG)
        here.write("changes.csv", HEADER, [("K000000", "C0", "L1"), *[(f"K{n:06d}", "C3", "L1") for n in range(8, 12)]])
        done = here.sync("changes.csv")  # a part of a case is none that broke; one with a code too many is
        assert (done.code, {one["code"]: one["rows"] for one in done.document["faults"]}) == (3, {"E330": 4})
        here.config(CONFIG.replace("lot", "lott"))
        refused = here.sync("a.csv")
        assert (refused.code, "did you mean 'lot'" in refused.document["error"]["message"]) == (2, True)
