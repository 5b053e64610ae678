"""``abandon``: an open batch is let go of by hand, its rows go again, and nothing else can be let go of."""

from __future__ import annotations

from conftest import codes

HEADER = ("extended_id", "market")


def test_an_open_batch_is_let_go_of_and_newer_data_for_its_rows_is_sent(night):
    with night(codes=codes(150), faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.config('[jobs.default]\nexport = "changes"\nknown_fields = ["market"]\n')
        here.write("a.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(150)])
        assert here.sync("a.csv", SYNCER_API__TASK_TIMEOUT_S="0.5").code == 3
        assert "syncer abandon 1" in here.run("status", "1").out
        done = here.run("abandon", "--json", "1")
        assert (done.code, done.document["batches"][0]["state"]) == (0, "abandoned")
        again = here.run("abandon", "--json", "1")
        assert (again.code, "not open" in again.document["error"]["message"]) == (2, True)
        assert here.run("abandon", "--json", "77").code == 2
        here.write("b.csv", HEADER, [(f"K{n:06d}", "FR") for n in range(150)])
        newer = here.sync("b.csv", "--approve", SYNCER_API__TASK_TIMEOUT_S="3600")
        assert newer.document["values"]["confirmed"] == 150, newer.document
        assert {code["market"] for code in here.box.codes()} == {"FR"}
        assert here.run("ledger", "check").code == 0


def test_a_batch_that_was_not_sent_is_not_let_go_of(night):
    with night(codes=codes(150)) as here:
        here.write("a.csv", HEADER, [(f"K{n:06d}", "DE") for n in range(150)])
        assert here.sync("a.csv", "--deadline", "0.000001").code == 10
        done = here.run("abandon", "--json", "1")
        assert done.code == 2
