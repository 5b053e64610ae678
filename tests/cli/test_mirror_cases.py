"""What the ledger believes, through the program: cases m1 to m4 and their kinds (design.md, "the mirror", rules 1 to 4)."""

from __future__ import annotations

import pytest
from conftest import codes

ALL_MAY_CHANGE = "[limits]\nmax_changed_percent = 0\n"
TWO = ("extended_id", "intended_market", "shipment")


def file(here, name, market, keys, header=("extended_id", "intended_market")):
    return here.write(name, header, [(f"K{n:06d}", market) for n in keys])


def not_sent(here, name):
    """Plan a file against an API that takes no update; return how many values stay unsent."""
    here.box.faults.replace(
        [{"kind": "status", "status_code": 429, "on": call, "every": 1} for call in ("sync", "async")]
    )
    done = here.sync(name, "--deadline", "8")
    assert done.code in {5, 10}, done
    here.box.faults.replace([])
    return done.document["values"]["unsent"]


def markets(here):
    return {held.get("intended_market") for held in here.server().values()}


@pytest.mark.parametrize("fault", ["task_fail", "task_forgotten"])
def test_a_task_that_failed_after_it_was_applied_and_a_file_that_goes_back_m1(night, fault):
    with night(codes=codes(150)) as here:
        here.config(ALL_MAY_CHANGE)
        first, second = file(here, "n1.csv", "DE", range(150)), file(here, "n2.csv", "FR", range(150))
        assert here.sync(first).code == 0
        here.box.faults.replace([{"kind": fault, "on": "async", "nth": 1}])
        failed = here.sync(second)
        assert failed.code == 3, failed
        history = here.run("audit", "show", "--json", "K000000").document["entries"]
        assert not any(entry["confirmed_now"] for entry in history)
        back = here.sync(first)
        assert back.code == 0, back
        assert back.document["rows"]["unchanged"] == 0
        assert markets(here) == {"DE"}
        again = here.sync(first)
        assert (again.code, again.document["rows"]["unchanged"], again.document["requests"]["updates"]) == (0, 150, 0)


def test_a_lost_answer_and_a_file_that_goes_back_m1(night):
    with night(codes=codes(150)) as here:
        here.config(ALL_MAY_CHANGE)
        first, second = file(here, "n1.csv", "DE", range(150)), file(here, "n2.csv", "FR", range(150))
        assert here.sync(first).code == 0
        here.box.faults.replace([{"kind": "drop_after", "on": "async", "nth": 1}])
        cut = here.sync(second, "--deadline", "0.4")
        assert cut.code in {0, 10}, cut
        assert here.sync(first, "--approve").code == 0
        assert markets(here) == {"DE"}


def test_what_was_planned_and_never_sent_stays_wanted_field_by_field_m2(night):
    with night(codes=codes(40)) as here:
        rows = [(f"K{n:06d}", "DE", "S1") for n in range(40)]
        here.write("n1.csv", TWO, rows)
        assert not_sent(here, "n1.csv") == 40
        here.write("n2.csv", TWO, [(key, "", "S2") for key, *_ in rows])
        assert here.sync("n2.csv").code == 0
        assert {(h.get("intended_market"), h.get("shipment")) for h in here.server().values()} == {("DE", "S2")}
        entry = here.run("audit", "show", "--json", "K000003").document["entries"][-1]
        assert (entry["file"], entry["line"]) == ("n2.csv", 5)
        assert entry["origins"] == [{"file": "n1.csv", "line": 5, "fields": ["intended_market"]}]


def test_a_column_that_went_leaves_what_was_wanted_m2(night):
    with night(codes=codes(40)) as here:
        here.write("n1.csv", TWO, [(f"K{n:06d}", "DE", "S1") for n in range(40)])
        assert not_sent(here, "n1.csv") == 40
        here.write("n2.csv", ("extended_id", "shipment"), [(f"K{n:06d}", "S2") for n in range(40)])
        assert here.sync("n2.csv").code == 0
        assert {(h.get("intended_market"), h.get("shipment")) for h in here.server().values()} == {("DE", "S2")}


def test_a_blank_cell_is_no_change_and_nothing_is_forgotten_m3(night):
    with night(codes=codes(30)) as here:
        full = [(f"K{n:06d}", "DE", "S1") for n in range(30)]
        here.write("full.csv", TWO, full)
        here.write("blank.csv", TWO, [(key, "", shipment) for key, _, shipment in full])
        assert here.sync("full.csv").code == 0
        for name in ("blank.csv", "full.csv", "blank.csv"):
            done = here.sync(name)
            assert (done.code, done.document["rows"]["unchanged"]) == (0, 30), done
            assert done.document["requests"]["updates"] == 0
        assert markets(here) == {"DE"}


def test_a_column_that_is_taken_out_or_put_back_is_no_change_m4(night):
    with night(codes=codes(30)) as here:
        here.write("a.csv", TWO, [(f"K{n:06d}", "DE", "S1") for n in range(30)])
        columns = 'extended_id = "extended_id"\nintended_market = "intended_market"\n'
        here.config(f'[jobs.default.columns]\n{columns}shipment = "shipment"\n')
        assert here.sync("a.csv").code == 0
        for text in (columns, columns + 'shipment = "shipment"\n'):
            here.config(f"[jobs.default.columns]\n{text}")
            done = here.sync("a.csv")
            assert (done.code, done.document["rows"]["unchanged"], done.document["batches"]) == (
                0, 30, {"sync": 0, "async": 0},
            )  # fmt: skip


def test_a_night_sends_what_changed_and_no_more_of_a_row(night):
    """All codes of forty cases are activated: forty sets of data before, one delta now."""
    header = ("extended_id", "case_no", "activation_status")
    with night(codes=codes(400)) as here:
        here.config(ALL_MAY_CHANGE)
        here.write("n1.csv", header, [(f"K{n:06d}", f"C{n % 40}", "0") for n in range(400)])
        here.write("n2.csv", header, [(f"K{n:06d}", f"C{n % 40}", "1") for n in range(400)])
        assert here.sync("n1.csv").code == 0
        planned = here.run("plan", "--json", "n2.csv").document
        assert (planned["rows"]["changed"], planned["requests"]["minimum_updates"]) == (400, 1)
        assert planned["fields"] == {"activation_status": 400}
        assert here.run("plan", "--json", "--diff", "n2.csv").document["differences"] == [
            {
                "field": "activation_status", "old": "0", "uncertain": False, "new": "1", "values": 400,
                "example": "K000000", "place": "n2.csv:2",
            }
        ]  # fmt: skip
        assert "0 → 1" in here.run("plan", "--diff", "n2.csv").out
        done = here.sync("n2.csv")
        assert (done.code, done.document["requests"]["updates"]) == (0, 1), done
        assert {h["activation_status"] for h in here.server().values()} == {"1"}
        here.config(ALL_MAY_CHANGE + '[jobs.default]\nsend = "row"\n')
        assert here.run("plan", "--json", "n1.csv").document["requests"]["minimum_updates"] == 4
        here.config(ALL_MAY_CHANGE)
        forced = here.run("plan", "--json", "n2.csv", "--force").document
        assert forced["fields"] == {"activation_status": 400, "case_no": 400}


def test_rows_whose_older_task_never_ends_are_sent_though_no_later_file_names_them_a1(night):
    with night(codes=codes(150)) as here:
        first = file(here, "n1.csv", "DE", range(150))
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "nth": 1}])
        assert here.sync(first, SYNCER_API__TASK_TIMEOUT_S="0.3").code == 3
        here.box.faults.replace([])
        # The second night lets go of the task: its rows hold no newer ones back, and what they wanted is sent again.
        here.sync(file(here, "n2.csv", "FR", range(50)), SYNCER_API__TASK_TIMEOUT_S="0.3")
        here.write("n3.csv", ("extended_id", "intended_market"), [(f"K{n:06d}", "DE") for n in range(50, 150)])
        ended = here.sync("n3.csv")
        assert ended.code == 0, ended
        server = here.server()
        assert {server[f"K{n:06d}"]["intended_market"] for n in range(50)} == {"FR"}
        assert {server[f"K{n:06d}"]["intended_market"] for n in range(50, 150)} == {"DE"}


def test_what_failed_goes_with_resume_and_counts_once(night):
    """Values of a failed task and of one let go of by hand are planned into the run they came from: it ends with 0."""
    with night(codes=codes(150)) as here:
        first = file(here, "n1.csv", "DE", range(150))
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        assert here.sync(first).code == 3
        again = here.run("resume", "--json")
        assert (again.code, again.document["values"]["confirmed"], again.document["values"]["rejected"]) == (0, 150, 0)
        assert markets(here) == {"DE"}


def test_what_another_job_of_the_same_key_left_wanted_goes_with_the_next_one(night):
    """The two write different fields, and the second file names one code alone."""
    with night(codes=codes(150)) as here:
        here.config('[jobs.a]\nkey = "extended_id"\n[jobs.b]\nkey = "extended_id"\n')
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        assert here.sync(file(here, "n1.csv", "DE", range(150)), "--job", "a").code == 3
        here.write("n2.csv", ("extended_id", "lot"), [("K000000", "L1")])
        done = here.sync("n2.csv", "--job", "b")
        assert done.code == 0, done
        assert markets(here) == {"DE"}


def test_a_row_of_blanks_alone_says_nothing_and_what_was_wanted_before_is_sent_m3(night):
    with night(codes=codes(20)) as here:
        assert not_sent(here, file(here, "n1.csv", "DE", range(20))) == 20
        blanks = file(here, "n2.csv", "", range(22))  # two codes that nobody ever heard of
        planned = here.run("plan", "--json", blanks).document["rows"]
        done = here.sync(blanks)
        assert (done.code, done.document["rows"]["invalid"], done.document["rows"]["unchanged"]) == (0, 0, 2), done
        assert planned == done.document["rows"]
        assert markets(here) == {"DE"}
        assert here.sync(blanks).document["rows"]["unchanged"] == 22
