"""Two keys for one code (m10, m11 and their kind): the server has one value per code and field, whoever wrote it."""

from __future__ import annotations

import json
import random

import pytest
from conftest import Night, codes, open_night
from two_keys import CASES

IDS = "extended_id"
APART = """
[limits]
max_changed_percent = 0
[jobs.a]
key = "extended_id"
%s
[jobs.a.columns]
extended_id = "extended_id"
market = "market"
[jobs.b]
key = "serial_number"
[jobs.b.columns]
serial_number = "serial_number"
market = "market"
"""


def erp(here: Night, rows, *options):
    return here.sync("--job", "erp", here.write("erp.csv", [IDS, "shipment", "case_no"], rows), *options)


def karton(here: Night, rows, *options):
    return here.sync("--job", "karton", here.write("karton.csv", ["case_no", "shipment"], rows), *options)


def shipments(here: Night):
    return {code[IDS]: code.get("shipment") for code in here.box.codes()}


def test_jobs_with_keys_that_nothing_links_may_not_write_one_field_unless_told_apart(tmp_path):
    with open_night(tmp_path, codes=codes(1)) as here:
        here.config(APART % "")
        file = here.write("a.csv", [IDS, "market"], [["K000000", "DE"]])
        done = here.sync("--job", "a", file)
        assert (done.code, done.document["run"]) == (2, None)
        assert 'jobs.a.disjoint = ["b"]' in done.document["error"]["message"]
        assert here.run("check", "--json").code == 2
        here.config(APART % 'disjoint = ["b"]')
        assert here.sync("--job", "a", file).code == 0
        here.config(APART % 'disjoint = ["c"]')
        assert here.sync("--job", "a", file).code == 2


def test_what_another_key_wrote_is_sent_again_not_unchanged(tmp_path):
    """m10: two configurations with one ledger, each with a key of its own."""
    box = tuple({IDS: f"K{n}", "serial_number": f"S{n}"} for n in range(3))
    with open_night(tmp_path, codes=box) as here:
        here.config("[limits]\nmax_changed_percent = 0\n")
        by_id = here.write("a.csv", [IDS, "market"], [[f"K{n}", "DE"] for n in range(3)])
        by_serial = here.write("b.csv", ["serial_number", "market"], [["S1", "FR"]])
        assert here.sync(by_id).code == 0
        assert here.sync(by_serial).code == 0
        assert {code[IDS]: code["market"] for code in here.box.codes()} == {"K0": "DE", "K1": "FR", "K2": "DE"}
        assert here.sync(by_id).code == 0
        assert {code["market"] for code in here.box.codes()} == {"DE"}
        assert here.sync(by_id).document["rows"]["unchanged"] == 3
        assert here.sync(by_serial).document["rows"]["unchanged"] == 0
        assert here.box.codes()[1]["market"] == "FR"


def test_disjoint_jobs_do_not_make_each_other_uncertain(tmp_path):
    box = ({IDS: "K0", "serial_number": "S0"}, {IDS: "K1", "serial_number": "S1"})
    with open_night(tmp_path, codes=box) as here:
        here.config(APART % 'disjoint = ["b"]')
        a = here.write("a.csv", [IDS, "market"], [["K0", "DE"]])
        b = here.write("b.csv", ["serial_number", "market"], [["S1", "FR"]])
        for job, file, unchanged in (("a", a, 0), ("b", b, 0), ("a", a, 1), ("b", b, 1)):
            done = here.sync("--job", job, file)
            assert (done.code, done.document["rows"]["unchanged"]) == (0, unchanged)


def held(here: Night, value):
    """Return what the audit says of a value: by field its state and word."""
    (story,) = here.run("audit", "show", "--json", value).document["stories"]
    return {one["field"]: (one["state"], one["value"]) for one in story["fields"]}


def codes_of_two():
    return ({IDS: "K0", "serial_number": "S0"}, {IDS: "K1", "serial_number": "S1"})


def test_a_third_job_by_the_key_of_a_disjoint_one_is_not_taken_for_that(tmp_path):
    """`c` was never declared: what it wrote to the code of `b` is uncertain for the plan, the audit and `b`'s next call."""
    with open_night(tmp_path, codes=codes_of_two()) as here:
        here.config(APART % 'disjoint = ["b"]' + '[jobs.c]\nkey = "extended_id"\n')
        a = here.write("a.csv", [IDS, "market"], [["K0", "DE"]])
        b = here.write("b.csv", ["serial_number", "market"], [["S1", "IT"]])
        c = here.write("c.csv", [IDS, "market"], [["K1", "FR"]])
        for job, file in (("a", a), ("b", b), ("c", c)):
            assert here.sync("--job", job, file).code == 0
        assert held(here, "S1")["market"][0] == "uncertain"
        plan = here.run("plan", "--json", "--job", "b", b).document
        assert plan["rows"]["unchanged"] == 0
        assert here.sync("--job", "b", b).code == 0
        assert [code["market"] for code in here.box.codes()] == ["DE", "IT"]
        assert here.sync("--job", "a", a).document["rows"]["unchanged"] == 1
        assert held(here, "K0") == {"market": ("known", "DE")}


def test_what_a_third_job_has_open_holds_the_rows_of_a_disjoint_one_as_it_holds_any(tmp_path):
    """Two calls for one code, through two keys, are never under way together: a slow task would land over newer data."""
    box = tuple({IDS: f"K{n:06d}", "serial_number": f"S{n:06d}"} for n in range(150))
    with open_night(tmp_path, codes=box, faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.config(APART % 'disjoint = ["b"]' + '[jobs.c]\nkey = "extended_id"\n')
        assert here.sync("--job", "a", here.write("a.csv", [IDS, "market"], [["K000000", "DE"]])).code == 0
        assert here.sync("--job", "b", here.write("b.csv", ["serial_number", "market"], [["S000001", "DE"]])).code == 0
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "0.5"
        file = here.write("c.csv", [IDS, "market"], [[f"K{n:06d}", "old"] for n in range(150)])
        assert here.sync("--job", "c", file).code == 3
        b = here.write("b.csv", ["serial_number", "market"], [["S000007", "new"]])
        assert here.run("plan", "--json", "--job", "b", b).document["rows"]["held"] == 1
        for task in here.box.world.tasks.values():
            task.stuck = False
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "3600"
        assert here.sync("--job", "b", b).code == 0
        assert here.box.codes()[7]["market"] == "new"


def test_a_disjoint_job_that_gets_another_name_makes_the_other_send_once_more_and_never_again(tmp_path):
    two = (APART % 'disjoint = ["b"]').replace('market = "market"', 'market = "market"\nlot = "lot"')
    with open_night(tmp_path, codes=codes_of_two()) as here:
        here.config(two)

        def sync(job, market, lot):
            key, value = (IDS, "K0") if job != "b" else ("serial_number", "S1")
            done = here.sync("--job", job, here.write(f"{job}.csv", [key, "market", "lot"], [[value, market, lot]]))
            assert done.code == 0
            return done.document["rows"]["unchanged"]

        assert [sync("a", "DE", "L0"), sync("b", "IT", "M0")] == [0, 0]
        assert [sync("a", "FR", "L1"), sync("b", "IT", "M0")] == [0, 1]
        here.config(two.replace("[jobs.a", "[jobs.sap"))
        nights = [(sync("sap", f"D{night}", f"L{night}"), sync("b", "AT", "M0")) for night in range(2, 6)]
        assert nights == [(0, 0), *[(0, 1)] * 3]
        assert held(here, "S1") == {"lot": ("known", "M0"), "market": ("known", "AT")}


def test_a_case_tells_what_its_codes_hold_now(tmp_path):
    """m11: the link is known, so only the case's codes are changed by it, and the rest costs nothing."""
    with open_night(tmp_path, codes=codes(6)) as here:
        here.config(CASES)
        rows = [[f"K{n:06d}", "S-1", "C1" if n < 3 else "C2"] for n in range(6)]
        assert erp(here, rows).code == 0
        assert karton(here, [["C1", "S-77"]]).code == 0
        plan = here.run("plan", "--json", "--job", "erp", "erp.csv").document
        assert (plan["rows"]["changed"], plan["rows"]["unchanged"]) == (3, 3)
        moved = [[key, "S-77" if case == "C1" else "S-1", case] for key, _, case in rows]
        done = erp(here, moved)  # the ERP has heard of it: nothing is left to be sent
        assert (done.code, done.document["rows"]["unchanged"], done.document["requests"]["updates"]) == (0, 6, 0)
        assert erp(here, rows).document["rows"]["changed"] == 3
        assert set(shipments(here).values()) == {"S-1"}


def test_a_code_that_comes_into_a_case_makes_the_case_uncertain(tmp_path):
    with open_night(tmp_path, codes=codes(4)) as here:
        here.config(CASES)
        assert erp(here, [[f"K{n:06d}", "S-1", "C1"] for n in range(2)]).code == 0
        assert karton(here, [["C1", "S-77"], ["C9", "S-9"]]).code == 3
        assert karton(here, [["C1", "S-77"]]).document["rows"]["unchanged"] == 1
        assert erp(here, [["K000002", "S-2", "C1"]], "--approve").code == 0
        done = karton(here, [["C1", "S-77"]])
        assert (done.code, done.document["rows"]["unchanged"]) == (0, 0)
        assert shipments(here)["K000002"] == "S-77"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_two_jobs_write_in_turn_0_means_that_the_newest_word_is_there(tmp_path, seed):
    """A naive model: each night's file is the newest word for its codes; after exit 0 the server holds it."""
    chance = random.Random(seed)
    ids = [f"K{n:06d}" for n in range(6)]
    with open_night(tmp_path, codes=codes(6)) as here:
        here.config(CASES)
        case_of = {}
        for _ in range(7):
            if chance.random() < 0.6 or not case_of:
                rows = [
                    [key, chance.choice("XYZ"), chance.choice(("C1", "C2"))] for key in ids if chance.random() < 0.8
                ]
                if not rows:
                    continue
                done = erp(here, rows, "--approve")
                expected = {key: shipment for key, shipment, _ in rows}
                case_of.update({key: case for key, _, case in rows})
            else:
                case, shipment = chance.choice(sorted(set(case_of.values()))), chance.choice("XYZ")
                done = karton(here, [[case, shipment]], "--approve")
                expected = {key: shipment for key, of in case_of.items() if of == case}
            assert done.code == 0, json.dumps(done.document)
            held = shipments(here)
            assert {key: held[key] for key in expected} == expected


def test_an_older_upload_by_another_key_that_is_still_open_holds_the_rows_it_may_meet(tmp_path):
    """The case's task never ends; a newer row of one of its codes waits, that of another case does not."""
    with open_night(tmp_path, codes=codes(6)) as here:
        here.config(CASES)
        rows = [[f"K{n:06d}", "S-1", "C1" if n < 3 else "C2"] for n in range(6)]
        assert erp(here, rows).code == 0
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "nth": 1}])
        for _ in range(10):  # within a second, a slow machine does not always get so far
            assert karton(here, [["C1", "S-77"]], "--mode", "async", "--deadline", "1").code in {3, 10}
            if here.box.world.tasks:
                break
        here.box.faults.replace([])
        newer = [[key, "S-9", case] for key, _, case in rows]
        done = erp(here, newer, "--deadline", "2", "--approve")
        assert done.code != 0
        assert set(shipments(here).values()) == {"S-1"}
        plan = here.run("plan", "--json", "--job", "erp", "erp.csv", "--approve").document
        assert (plan["rows"]["held"], plan["rows"]["changed"]) == (3, 3)


def test_what_an_older_run_left_unsent_by_another_key_goes_first(tmp_path):
    """Unsent erp data is older than tonight's case: it must not land over it, now or with the next resume."""
    with open_night(tmp_path, codes=codes(300), task_run_s=0.3) as here:
        here.config(CASES)
        rows = [[f"K{n:06d}", "S-0", "C1"] for n in range(300)]
        assert erp(here, rows).code == 0
        here.box.faults.replace(
            [{"kind": "status", "status_code": 429, "on": call, "every": 1} for call in ("sync", "async")]
        )
        assert erp(here, [[key, "S-1", case] for key, _, case in rows], "--deadline", "1").code == 10
        here.box.faults.replace([])
        done = karton(here, [["C1", "S-77"]])
        assert done.code == 0, done
        assert set(shipments(here).values()) == {"S-77"}
        assert here.run("resume", "--json").code in {0, 3}
        assert set(shipments(here).values()) == {"S-77"}
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize("last", ["resume", "karton"])
def test_two_keys_that_want_older_and_newer_words_do_not_wait_for_each_other(tmp_path, last):
    """An upload is let go of; the other key's newer word waits behind it, and a still newer one of the first behind that."""
    with open_night(tmp_path, codes=codes(4), sync_keys=None) as here:
        here.config(CASES.replace("\nkey = ", '\nexport = "changes"\nkey = '))
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "0.3"
        rows = [[f"K{n:06d}", "S-0", f"C{n // 2}"] for n in range(4)]
        assert erp(here, rows).code == 0
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
        assert erp(here, [[key, "S-1", case] for key, _, case in rows], "--mode", "async").code == 3
        assert karton(here, [["C0", "S-2"], ["C1", "S-2"]]).document["rows"]["held"] == 2
        assert erp(here, [[key, "S-3", case] for key, _, case in rows]).document["rows"]["held"] == 4
        here.box.faults.replace([])
        wanted = dict.fromkeys(shipments(here), "S-3")
        for _ in range(3):  # the first ones look at what is open, and let go of it
            if last == "resume":
                done = here.run("resume", "--json")
            else:
                done = karton(here, [["C0", "S-4"]])
                wanted.update(K000000="S-4", K000001="S-4")
            if done.code == 0:
                break
        assert done.code == 0, done
        assert shipments(here) == wanted
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize("then", ["another key's file", "resume", "its own file"])
def test_what_a_late_end_wrote_over_what_another_key_said_since_is_told(tmp_path, then):
    """Nobody knows which codes the other key meant: its word is no wish, so the run that sees the end says 3, once."""
    box = tuple({IDS: f"K{n:06d}", "serial_number": f"S{n:06d}"} for n in range(150))
    with open_night(tmp_path, codes=box, faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.config(
            '[limits]\nmax_changed_percent = 0\n[jobs.default]\nexport = "changes"\nknown_fields = ["market"]\n'
        )

        def by(key, value, count=150):
            rows = [(f"{key[0].upper().replace('E', 'K')}{n:06d}", value) for n in range(count)]
            return here.sync(here.write(f"{value}.csv", [key, "market"], rows), "--approve")

        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "0.5"
        assert by(IDS, "old").code == 3
        assert here.run("abandon", "1").code == 0
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "3600"
        assert [by(IDS, "new").code, by("serial_number", "newest").code] == [0, 0]
        assert {code["market"] for code in here.box.codes()} == {"newest"}
        for task in here.box.world.tasks.values():
            task.stuck = False
        done = {
            "another key's file": lambda: by("serial_number", "other", 1),
            "resume": lambda: here.run("resume", "--json"),
            "its own file": lambda: by(IDS, "own"),
        }[then]()
        if then == "its own file":  # it sent all of them anew
            assert (done.code, done.document["earlier_in_doubt"]) == (0, 0), done.document
            return
        assert (done.code, done.document["earlier_in_doubt"]) == (3, 150), done.document
        assert "another key has written since" in " ".join(here.run("status", "1").out.split())
        assert {code["market"] for code in here.box.codes()} - {"other"} == {"old"}
        assert here.run("ledger", "check").code == 0
        assert here.run("audit", "verify").code == 0
        again = by("serial_number", "newest")
        assert (again.code, again.document["earlier_in_doubt"]) == (0, 0)
        assert {code["market"] for code in here.box.codes()} == {"newest"}


def apart(folder, **faults):
    """Two jobs whose keys nothing links, and of which the owner says that they never reach the same codes."""
    box = tuple({IDS: f"K{n:06d}", "serial_number": f"S{n:06d}"} for n in range(300))
    here = open_night(folder, codes=box, **faults)
    changes = APART.replace("\nkey = ", '\nexport = "changes"\nknown_fields = ["market"]\nkey = ')
    return here, changes % 'disjoint = ["b"]'


def by_job(here: Night, job, value, *options):
    key, first, begin = {"a": (IDS, 0, "K"), "b": ("serial_number", 150, "S")}[job]
    rows = [(f"{begin}{n:06d}", value) for n in range(first, first + 150)]
    return here.sync("--job", job, here.write(f"{value}.csv", [key, "market"], rows), "--approve", *options)


def test_what_a_late_end_overwrote_is_sent_again_though_a_job_that_reaches_other_codes_wrote_since(tmp_path):
    opened, configuration = apart(tmp_path, faults=({"kind": "task_stuck", "on": "async", "nth": 1},))
    with opened as here:
        here.config(configuration)
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "0.5"
        assert by_job(here, "a", "old").code == 3
        assert here.run("abandon", "1").code == 0
        here.environment["SYNCER_API__TASK_TIMEOUT_S"] = "3600"
        assert [by_job(here, "a", "new").code, by_job(here, "b", "theirs").code] == [0, 0]
        for task in here.box.world.tasks.values():
            task.stuck = False
        done = here.run("resume", "--json")
        assert (done.code, done.document["earlier_in_doubt"]) == (0, 0), done.document
        assert [code["market"] for code in here.box.codes()] == ["new"] * 150 + ["theirs"] * 150


def test_what_failed_is_resumed_though_a_job_that_reaches_other_codes_wants_older_words(tmp_path):
    faults = tuple({"kind": "task_fail", "on": "async", "nth": nth} for nth in (1, 2))
    opened, configuration = apart(tmp_path, faults=faults)
    with opened as here:
        here.config(configuration)
        assert [by_job(here, "b", "theirs").code, by_job(here, "a", "new").code] == [3, 3]
        done = here.run("resume", "--json", "--job", "a")
        assert (done.code, done.document["waiting"]) == (0, 0), done.document
        assert [code.get("market") for code in here.box.codes()] == ["new"] * 150 + [None] * 150
