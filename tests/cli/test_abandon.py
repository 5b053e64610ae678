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


def test_a_word_that_no_column_has_any_more_is_told_and_dropped_and_the_others_are_sent(night):
    """The first night planned a wrong lot, and its calls were refused; the second one has no such column."""
    both = (*HEADER, "lot")
    with night(codes=codes(4)) as here:
        here.box.faults.replace([{"kind": "status", "status_code": 503, "on": "any", "every": 1}])
        assert here.sync(here.write("a.csv", both, [(f"K{n:06d}", "DE", "wrong") for n in range(3)])).code == 5
        here.box.faults.replace([])
        file = here.write("b.csv", HEADER, [("K000000", "FR"), ("K000003", "FR")])
        planned = here.run("plan", "--diff", "--json", file).document
        places = {(one["field"], one["new"]): one["place"] for one in planned["differences"]}
        assert places == {("lot", "wrong"): "", ("market", "DE"): "", ("market", "FR"): "b.csv:2"}
        assert any(note.endswith("syncer abandon --field lot") for note in planned["notes"]), planned["notes"]
        done = here.run("abandon", "--field", "lot", "--json")
        assert (done.code, done.document["dropped"], done.document["batches"]) == (0, 3, [])
        assert here.run("abandon", "--field", "lot", "--json").code == 2
        assert here.run("ledger", "check").code == 0
        assert here.run("plan", "--diff", "--json", file).document["fields"] == {"market": 4}
        assert here.sync(file).code == 0
        assert [(code["market"], code.get("lot")) for code in here.box.codes()] == [
            ("FR", None), ("DE", None), ("DE", None), ("FR", None),
        ]  # fmt: skip
        entries = here.run("audit", "show", "--json", "K000001").document["entries"]
        assert [(one["file"], one["line"]) for one in entries] == [("a.csv", 3)] * len(entries)
        assert here.run("audit", "verify").code == 0


def test_what_was_dropped_of_values_that_came_from_several_files_leaves_each_field_its_line(night):
    both = (*HEADER, "lot", "pallet")
    with night(codes=codes(3)) as here:
        here.box.faults.replace([{"kind": "status", "status_code": 503, "on": "any", "every": 1}])
        assert here.sync(here.write("a.csv", both, [(f"K{n:06d}", "DE", "L1", "P1") for n in range(3)])).code == 5
        assert here.sync(here.write("b.csv", HEADER, [("K000001", "FR")]), "--approve").code == 5
        here.box.faults.replace([])
        assert here.run("abandon", "--field", "lot").code == 0
        done = here.run("resume", "--json")
        assert done.code == 0, done
        assert [(code["market"], code.get("lot"), code["pallet"]) for code in here.box.codes()] == [
            ("DE", None, "P1"), ("FR", None, "P1"), ("DE", None, "P1"),
        ]  # fmt: skip
        entry = here.run("audit", "show", "--json", "K000001").document["entries"][-1]
        assert (entry["file"], entry["line"]) == ("b.csv", 2)
        assert entry["origins"] == [{"file": "a.csv", "line": 3, "fields": ["pallet"]}]
        assert here.run("abandon", "--json").code == 2


def test_what_a_failed_task_left_wanted_is_dropped_too(night):
    with night(codes=codes(2)) as here:
        here.config('[jobs.default]\nknown_fields = ["market", "lot"]\n')
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "every": 1}])
        file = here.write("a.csv", (*HEADER, "lot"), [("K000000", "", "wrong"), ("K000001", "DE", "")])
        assert here.sync(file, "--mode", "async").code == 3
        here.box.faults.replace([])
        assert here.run("abandon", "--field", "lot", "--json").document["dropped"] == 1
        done = here.run("resume", "--json")
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1), done
        assert [(code.get("market"), code.get("lot")) for code in here.box.codes()] == [(None, None), ("DE", None)]
