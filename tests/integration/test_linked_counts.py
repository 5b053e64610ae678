"""How many codes a case has, as the codes' own job knows: what that proves of the first night by cases, and what not."""

from __future__ import annotations

from conftest import open_night
from two_keys import CASES

CODES = 3
PLACE = """
[jobs.place]
key = "extended_id"
[jobs.place.columns]
extended_id = "extended_id"
case_no = "case_no"
"""


def world(cases, more=0):
    return tuple(
        {"extended_id": f"K{case:06d}-{copy}", "case_no": f"C{case:04d}"}
        for case in range(cases)
        for copy in range(CODES + more)
    )


def erp(here, cases, shipment="S-1"):
    rows = [(f"K{case:06d}-{copy}", shipment, f"C{case:04d}") for case in range(cases) for copy in range(CODES)]
    return here.sync("--job", "erp", here.write("erp.csv", ["extended_id", "shipment", "case_no"], rows))


def karton(here, cases, shipment="S-2"):
    return here.sync("--job", "karton", karton_file(here, cases, shipment))


def karton_file(here, cases, shipment="S-2"):
    return here.write("karton.csv", ["case_no", "shipment"], [(f"C{case:04d}", shipment) for case in range(cases)])


def shipments(here):
    return {code["extended_id"]: code.get("shipment") for code in here.box.codes()}


HALLS = """
[limits]
max_changed_percent = 0
[jobs.pallets]
key = "pallet"
[jobs.pallets.columns]
pallet = "pallet"
hall = "hall"
shipment = "shipment"
[jobs.halls]
key = "hall"
[jobs.halls.columns]
hall = "hall"
shipment = "shipment"
"""
FOR_NAMES = 4
"""Calls that find out that sync calls do not take the key, and ask the same anew."""


def asked(done):
    values = done.document["values"]
    return done.code, values["confirmed"], values["unmatched"], done.document["requests"]["updates"]


def move(here, key, old, new):
    """Somebody puts the codes of a case, or of a hall, into another one, in the portal."""
    for number in [*here.box.world.select({key: [old]})]:
        here.box.world.write(number, {key: new}, at_s=here.box.now_s(), cause="somebody else")


def test_a_case_has_the_codes_that_are_known_in_it_so_its_first_night_is_one_call(tmp_path):
    with open_night(tmp_path, codes=world(400)) as here:
        here.config(CASES)
        assert erp(here, 400).code == 0
        assert asked(karton(here, 400)) == (0, 400, 0, 1)
        assert set(shipments(here).values()) == {"S-2"}
        assert asked(erp(here, 400, "S-3"))[0] == 0
        assert asked(karton(here, 400, "S-4")) == (0, 400, 0, 1), "what stamps lie over is known all the same"


def test_a_case_that_lost_its_codes_is_found_by_halves(tmp_path):
    with open_night(tmp_path, codes=world(400)) as here:
        here.config(CASES)
        assert erp(here, 400).code == 0
        move(here, "case_no", "C0300", "ELSEWHERE")
        code, confirmed, unmatched, updates = asked(karton(here, 400))
        assert (code, confirmed, unmatched) == (3, 399, 1)
        assert updates <= FOR_NAMES + 20
        assert {key[:7] for key, shipment in shipments(here).items() if shipment != "S-2"} == {"K000300"}


def test_where_cases_have_more_codes_than_are_known_each_is_asked_alone_once(tmp_path):
    with open_night(tmp_path, codes=world(120, more=1)) as here:
        here.config(CASES)
        assert erp(here, 120).code == 0
        assert asked(karton(here, 120)) == (0, 120, 0, 1 + FOR_NAMES + 120)
        assert set(shipments(here).values()) == {"S-2"}
        assert asked(karton(here, 120, "S-3")) == (0, 120, 0, 1)


def test_cases_without_a_known_code_are_asked_alone_and_the_others_together(tmp_path):
    with open_night(tmp_path, codes=world(120)) as here:
        here.config(CASES)
        assert erp(here, 110).code == 0
        assert asked(karton(here, 120)) == (0, 120, 0, 1 + FOR_NAMES + 1 + 10)


def test_while_a_call_that_was_let_go_of_may_still_move_codes_a_count_proves_nothing(tmp_path):
    with open_night(tmp_path, codes=world(120)) as here:
        here.config(CASES.replace("[limits]", "[limits]\nmax_reach_factor = 0") + PLACE)
        assert erp(here, 120).code == 0
        here.box.faults.replace([{"kind": "task_stuck", "on": "async", "every": 1}])
        moves = here.write(
            "moves.csv", ["extended_id", "case_no"], [(f"K{case:06d}-0", "C0000") for case in range(1, 120)]
        )
        assert here.sync("--job", "place", moves, SYNCER_API__TASK_TIMEOUT_S="1").code == 3
        here.box.faults.replace([])
        last_of_erp = 4
        assert here.run("abandon", str(last_of_erp + 1)).code == 0
        moved_anew = 1
        assert asked(karton(here, 120)) == (0, 120, 0, moved_anew + 1 + FOR_NAMES + 120)
        assert set(shipments(here).values()) == {"S-2"}


def test_values_of_many_codes_are_no_codes(tmp_path):
    """Two pallets are known in each of two halls, with two codes each. One hall has four codes, and the other none now."""
    box = tuple({"extended_id": f"K{n:04d}", "pallet": f"P{n % 4}", "hall": f"H{n % 2}"} for n in range(8))
    with open_night(tmp_path, codes=box) as here:
        here.config(HALLS)
        rows = [(f"P{n}", f"H{n % 2}", "S-1") for n in range(4)]
        assert here.sync("--job", "pallets", here.write("pallets.csv", ["pallet", "hall", "shipment"], rows)).code == 0
        move(here, "hall", "H1", "H9")
        done = here.sync(
            "--job", "halls", here.write("halls.csv", ["hall", "shipment"], [("H0", "S-2"), ("H1", "S-2")])
        )
        assert asked(done)[:3] == (3, 1, 1)


def test_of_a_case_whose_codes_an_upload_may_move_a_count_proves_nothing(tmp_path):
    with open_night(tmp_path, codes=world(6)) as here:
        here.config(CASES)
        assert erp(here, 6).code == 0
        here.write("codes.csv", ["id", "case_no"], [[f"K000003-{copy}", "C0002"] for copy in range(CODES)])
        here.box.faults.replace([{"kind": "ingestion_stuck", "on": "process", "nth": 1}])
        assert here.run("codes", "upload", "codes.csv", "--allow-duplicates", SYNCER_API__TASK_TIMEOUT_S="1").code == 3
        refused, all_of_them, known, alone = 1, 1, 1, 1
        assert asked(karton(here, 6)) == (0, 6, 0, refused + all_of_them + known + alone)


def test_a_count_from_before_codes_moved_into_a_case_proves_nothing_of_the_case_they_left(tmp_path):
    """Each case was counted alone, with three codes; then all six went into one: the sum is the same."""
    with open_night(tmp_path, codes=world(2)) as here:
        here.config(CASES)
        assert asked(karton(here, 2))[:3] == (0, 2, 0)
        rows = [(f"K{case:06d}-{copy}", "S-3", "C0001") for case in range(2) for copy in range(CODES)]
        moved = here.write("erp.csv", ["extended_id", "shipment", "case_no"], rows)
        assert here.sync("--job", "erp", moved).code == 0
        together, alone = 1, 2
        assert asked(karton(here, 2, "S-4")) == (3, 1, 1, together + alone)
        assert set(shipments(here).values()) == {"S-4"}
        assert asked(karton(here, 2, "S-5")) == (3, 1, 1, 2), "the case without a code travels apart"
