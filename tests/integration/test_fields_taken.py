"""Fields that a campaign does not define are discarded silently (m12, m13, m14): found, told every night, asked again."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from conftest import codes, open_night

HEADER = ["extended_id", "market", "pallet"]
GUARDS_OFF = {"SYNCER_LIMITS__MAX_CHANGED_PERCENT": "0"}


def rows(count, pallet="P1"):
    return [[f"K{number:06d}", "DE", pallet] for number in range(count)]


def held(here, field="pallet"):
    return [code.get(field) for code in here.box.codes()]


@pytest.mark.parametrize(("count", "mode"), [(3, "auto"), (150, "async")])
def test_a_field_that_is_not_taken_is_told_every_night_and_sent_once_it_is_defined(tmp_path, count, mode):
    with open_night(tmp_path, codes=codes(count), campaigns={1: frozenset({"market"})}) as here:
        file = here.write("a.csv", HEADER, rows(count))
        for night in range(3):
            done = here.sync(file, "--mode", mode, **GUARDS_OFF)
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
            # one real value asks again, every night; nothing else is sent
            assert done.document["requests"]["updates"] <= (1 if night else 2)
        assert set(held(here)) == {None}
        here.box.world.campaigns[1] = frozenset({"market", "pallet"})
        done = here.sync(file, "--mode", mode, **GUARDS_OFF)
        assert (done.code, done.document["discarded_fields"]) == (0, [])
        assert set(held(here)) == {"P1"}
        done = here.sync(file, "--mode", mode, **GUARDS_OFF)
        assert (done.code, done.document["requests"]["updates"], done.document["rows"]["unchanged"]) == (0, 0, count)


@pytest.mark.parametrize("key", ["extended_id", "case_no"])
def test_what_earlier_files_named_is_sent_once_the_field_is_defined_though_no_later_file_names_it(tmp_path, key):
    """Files of changes: each value goes with its newest word, of whatever night; until then no night ends with 0."""
    box = codes(5) if key == "extended_id" else [{"extended_id": f"E{n}", "case_no": f"K{n:06d}"} for n in range(5)]
    with open_night(tmp_path, codes=tuple(box), campaigns={1: frozenset({"market", "case_no"})}) as here:
        here.config(f'[jobs.erp]\nkey = "{key}"\nexport = "changes"\n[limits]\ncheck_keys = false\n')
        header = [key, "market", "pallet"]
        nights = [
            rows(4),
            rows(2, "P2"),
            [["K000004", "DE", ""]],
        ]  # of those with P2 one asks, and the other is in no call
        for number, night in enumerate(nights):
            done = here.sync(here.write(f"{number}.csv", header, night))
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"]), number
        assert set(held(here)) == {None}
        here.box.world.campaigns[1] |= {"pallet"}
        done = here.sync(here.write("last.csv", [key, "market"], [["K000004", "FR"]]))
        assert (done.code, held(here)) == (0, [None] * 5)  # it is mapped no more, so nobody wants it
        done = here.sync(here.write("again.csv", header, [["K000004", "IT", ""]]))
        assert (done.code, done.document["discarded_fields"]) == (0, [])
        assert held(here) == ["P2", "P2", "P1", "P1", None]
        origin = """SELECT s.name, i.line FROM items i JOIN batches b ON b.id = i.batch_id JOIN sources s ON s.id = i.source_id
            JOIN payloads p ON p.id = i.payload_id
            WHERE i.key = 'K000001' AND p.data LIKE '%P2%' AND b.state = 'confirmed' ORDER BY i.id DESC LIMIT 1"""
        with closing(sqlite3.connect(tmp_path / "syncer.db")) as ledger:
            assert ledger.execute(origin).fetchone() == ("1.csv", 3)
        assert here.run("ledger", "check").code == 0


def test_a_run_that_died_before_it_could_say_so_is_told_of_by_the_one_that_resumes_it(tmp_path):
    with open_night(tmp_path, codes=codes(3), campaigns={1: frozenset({"market"})}) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(3))).code == 3
        with closing(sqlite3.connect(tmp_path / "syncer.db")) as ledger, ledger:  # it sent all, and recorded no end
            ledger.execute(
                "UPDATE runs SET state = 'running', ended_at = NULL, exit_code = NULL, discarded_fields = '[]'"
            )
        done = here.run("resume", "--json")
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])


def test_of_two_campaigns_in_one_call_only_the_codes_that_took_the_field_are_confirmed_for_it(tmp_path):
    """m12: the answer names the fields taken per code."""
    box = tuple({"extended_id": f"K{n:06d}", "campaign": str(1 + n % 2)} for n in range(6))
    campaigns = {1: frozenset({"market", "pallet"}), 2: frozenset({"market"})}
    with open_night(tmp_path, codes=box, campaigns=campaigns) as here:
        file = here.write("a.csv", HEADER, rows(6))
        done = here.sync(file)
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
        assert held(here) == ["P1", None] * 3
        again = here.sync(file)
        assert (again.code, again.document["rows"]["unchanged"]) == (3, 6)
        assert again.document["requests"]["updates"] == 1


def test_a_job_without_the_column_is_well(tmp_path):
    with open_night(tmp_path, codes=codes(3), campaigns={1: frozenset({"market"})}) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(3))).code == 3
        done = here.sync(here.write("b.csv", HEADER[:2], [row[:2] for row in rows(3)]))
        assert (done.code, done.document["discarded_fields"]) == (0, [])


def test_special_fields_stand_in_no_answer_and_count_as_taken(tmp_path):
    with open_night(tmp_path, codes=codes(3), campaigns={1: frozenset({"market"})}) as here:
        file = here.write("a.csv", ["extended_id", "activation_status"], [[f"K{n:06d}", "1"] for n in range(3)])
        assert here.sync(file, "--mode", "async").code == 0
        assert here.sync(file, "--mode", "async").document["rows"]["unchanged"] == 3


def test_a_first_load_by_async_calls_costs_one_call_more_and_the_next_none(tmp_path):
    with open_night(tmp_path, codes=codes(1200)) as here:
        first = here.sync(here.write("a.csv", HEADER, rows(1200)))
        assert (first.code, first.document["requests"]["updates"]) == (0, 3)
        second = here.sync(here.write("b.csv", HEADER, rows(1200, "P2")), **GUARDS_OFF)
        assert (second.code, second.document["requests"]["updates"]) == (0, 2)


def mixed(count, odd):
    """Codes of which some are of a campaign without the field."""
    box = tuple({"extended_id": f"K{n:06d}", "campaign": "2" if n in odd else "1"} for n in range(count))
    return {"codes": box, "campaigns": {1: frozenset({"market", "pallet"}), 2: frozenset({"market"})}}


@pytest.mark.parametrize("mode", ["auto", "async"])
def test_a_count_proves_nothing_of_a_field_that_some_codes_take_and_others_do_not(tmp_path, mode):
    """m12 by async calls: the second half of the file is of another campaign.

    Where the task is done before the call that asks is answered, what it counted is uncertain, and sent once more.
    """
    with open_night(tmp_path, **mixed(300, range(150, 300))) as here:
        file = here.write("a.csv", HEADER, rows(300))
        for night in range(3):
            done = here.sync(file, "--mode", mode, **GUARDS_OFF)
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
            assert held(here) == ["P1"] * 150 + [None] * 150
            assert night == 0 or done.document["requests"]["updates"] in ({1, 3} if night == 1 else {1})
        here.box.world.campaigns[2] = frozenset({"market", "pallet"})
        assert here.sync(file, "--mode", mode, **GUARDS_OFF).code == 0
        assert set(held(here)) == {"P1"}


def test_a_question_that_one_code_answers_with_no_is_not_answered_by_its_neighbours(tmp_path):
    """The value that asks again travels with others, whose campaign does take the field."""
    with open_night(tmp_path, **mixed(6, {0, 2, 4})) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(6))).code == 3
        changed = [[key, "FR", "P2"] for key, *_ in rows(6)]
        for _ in range(2):
            done = here.sync(here.write("b.csv", HEADER, changed), **GUARDS_OFF)
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
        assert held(here) == [None, "P2"] * 3


def test_codes_never_heard_of_ask_though_the_field_was_taken_by_all_before(tmp_path):
    with open_night(tmp_path, **mixed(400, range(200, 400))) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(200)), "--mode", "async").code == 0
        new = here.write("b.csv", HEADER, rows(400)[200:])
        done = here.sync(new, "--mode", "async", **GUARDS_OFF)
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
        # What was believed by a count is uncertain now, and is asked by names; it holds. The others still lack the field.
        again = here.sync(here.write("c.csv", HEADER, rows(200)), "--mode", "async", "--approve")
        assert (again.code, again.document["rows"]["unchanged"]) == (3, 50)
        assert again.document["discarded_fields"] == ["pallet"]
        assert here.sync("c.csv", "--mode", "async", "--approve").document["rows"]["unchanged"] == 200


def test_each_product_of_a_file_asks_for_itself(tmp_path):
    """Two codes among a thousand are of a campaign that discards the field; their product tells them apart."""
    box = mixed(1000, {3, 997})
    products = [{"sku": "TEA"}, {"sku": "COFFEE"}]
    with open_night(tmp_path, products=products, **box) as here:
        table = [[*row, "COFFEE" if n in {3, 997} else "TEA"] for n, row in enumerate(rows(1000))]
        done = here.sync(here.write("a.csv", [*HEADER, "product"], table))
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])


PRODUCTS = [
    {"sku": "TEA", "campaign": {"id": 1, "name": "one"}},
    {"sku": "COFFEE", "campaign": {"id": 2, "name": "two"}},
]


def test_of_codes_whose_products_tell_two_campaigns_each_campaign_is_asked_and_believed_by_itself(tmp_path):
    """Two of 1,000 codes are of a campaign without the field; the night that first sends it names no product."""
    odd = {3, 997}
    with open_night(tmp_path, products=PRODUCTS, **mixed(1000, odd)) as here:
        products = [[f"K{n:06d}", "COFFEE" if n in odd else "TEA"] for n in range(1000)]
        assert here.sync(here.write("a.csv", [HEADER[0], "product"], products)).code == 0
        file = here.write("b.csv", HEADER, rows(1000))
        done = here.sync(file, **GUARDS_OFF)
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
        assert done.document["requests"]["updates"] <= 2  # one names, one counts
        assert [number for number, pallet in enumerate(held(here)) if pallet is None] == sorted(odd)
        again = here.sync(file, **GUARDS_OFF)
        assert (again.code, again.document["rows"]["unchanged"], again.document["requests"]["updates"]) == (3, 1000, 1)
        # A count is still enough for the codes whose campaign takes the field.
        moved = here.sync(here.write("c.csv", HEADER, rows(1000, "P2")), **GUARDS_OFF)
        assert (moved.code, moved.document["requests"]["updates"]) == (3, 2)
        here.box.world.campaigns[2] = frozenset({"market", "pallet"})
        assert here.sync("c.csv", **GUARDS_OFF).code == 0
        assert set(held(here)) == {"P2"}


@pytest.mark.parametrize("told", [False, True])
def test_a_field_that_one_of_two_campaigns_takes_by_now_is_still_told_for_the_other(tmp_path, told):
    """Nothing but the field of the second campaign is missing; that its codes lack it is said every night."""
    box = {**mixed(6, {1, 3, 5}), **({"products": PRODUCTS} if told else {})}
    with open_night(tmp_path, **box) as here:
        here.box.world.campaigns = {1: frozenset({"market"}), 2: frozenset({"market"})}
        header = [*HEADER, "product"] if told else HEADER
        table = [row + (["COFFEE" if n % 2 else "TEA"] if told else []) for n, row in enumerate(rows(6))]
        file = here.write("a.csv", header, table)
        assert here.sync(file).code == 3
        here.box.world.campaigns = {1: frozenset({"market", "pallet"}), 2: frozenset({"market"})}
        for _ in range(2):
            done = here.sync(file, **GUARDS_OFF)
            assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])
            assert held(here) == ["P1", None] * 3


@pytest.mark.parametrize("readable", [True, False])
def test_a_field_that_is_defined_no_more_is_told_by_a_call_that_was_made_again(tmp_path, readable):
    """The answer to the first call is lost; that to the second names what the codes hold by then, and not the field."""
    with open_night(tmp_path, codes=codes(6), campaigns={1: frozenset({"market", "pallet"})}) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(6))).code == 0
        here.box.world.campaigns = {1: frozenset({"market"})}
        lost = {"kind": "drop_after", "on": "sync", "nth": 1, "times": 1}
        refused = {"kind": "status", "on": "codes_download", "every": 1, "status_code": 403}
        here.box.faults.replace([lost] if readable else [lost, refused])
        changed = here.write("b.csv", HEADER, [[key, "FR", "P2"] for key, *_ in rows(6)])
        done = here.sync(changed, **GUARDS_OFF)
        assert (done.code, held(here)) == (3, ["P1"] * 6)
        here.box.faults.replace([])
        again = here.sync(changed, **GUARDS_OFF)
        assert (again.code, again.document["discarded_fields"]) == (3, ["pallet"])


def let_products_move(world, campaigns):
    """Let a product take its code to a campaign; what that does not define stays behind."""
    write = world.write

    def moving(number, data, **how):
        code = world.codes[number]
        code.campaign = campaigns.get(data.get("product"), code.campaign)
        taken = write(number, data, **how)
        for name in {"pallet"} - world.campaigns[code.campaign]:
            code.fields.pop(name, None)
        return taken

    world.write = moving


def test_codes_that_go_to_a_campaign_without_a_field_and_back_have_it_the_same_night_and_each_row_counts_once(tmp_path):
    box = {"codes": codes(150, product="TEA"), "campaigns": mixed(1, set())["campaigns"], "products": PRODUCTS}
    with open_night(tmp_path, **box) as here:
        let_products_move(here.box.world, {"TEA": 1, "COFFEE": 2})
        table = {
            sku: [[*row, sku if n < 120 else "TEA"] for n, row in enumerate(rows(150))] for sku in ("TEA", "COFFEE")
        }
        files = {sku: here.write(f"{sku}.csv", [*HEADER, "product"], table[sku]) for sku in table}
        assert here.sync(files["TEA"]).code == 0
        assert here.sync(files["COFFEE"], "--approve").document["discarded_fields"] == ["pallet"]
        back = here.sync(files["TEA"], "--approve")
        assert (back.code, back.document["discarded_fields"]) == (0, []), back
        assert set(held(here)) == {"P1"}
        assert (back.document["rows"]["changed"], back.document["rows"]["unchanged"]) == (120, 30)
        assert back.document["requests"]["minimum_updates"] <= back.document["requests"]["updates"]
        assert here.sync(files["TEA"]).document["requests"]["updates"] == 0


def test_what_was_forced_is_not_sent_again_once_a_field_is_taken(tmp_path):
    with open_night(tmp_path, codes=codes(120), campaigns={1: frozenset({"market"})}) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(120))).code == 3
        here.box.world.campaigns[1] = frozenset({"market", "pallet"})
        done = here.sync("a.csv", "--force")
        assert (done.code, done.document["values"]["confirmed"], done.document["requests"]["updates"]) == (0, 120, 2)
        assert set(held(here)) == {"P1"}


def test_a_campaign_that_takes_a_field_no_more_is_noticed_though_counts_were_believed(tmp_path):
    """What was refused once is asked for in every plan that would send it by async calls alone."""
    with open_night(tmp_path, codes=codes(300), campaigns={1: frozenset({"market"})}) as here:
        assert here.sync(here.write("a.csv", HEADER, rows(300)), "--mode", "async").code == 3
        here.box.world.campaigns[1] = frozenset({"market", "pallet"})
        assert here.sync("a.csv", "--mode", "async", **GUARDS_OFF).code == 0
        here.box.world.campaigns[1] = frozenset({"market"})
        done = here.sync(here.write("b.csv", HEADER, rows(300, "P2")), "--mode", "async", **GUARDS_OFF)
        assert (done.code, done.document["discarded_fields"]) == (3, ["pallet"])


CHANGES = '[limits]\nmax_changed_percent = 0\ncheck_keys = false\n[jobs.erp]\nkey = "extended_id"\nexport = "changes"\n'
LATER = frozenset({"market", "pallet", "case_no"})


def two_values(here, pallet):
    """Let the file of changes of job erp name two codes, with the pallet of the first one."""
    rows = [["K000000", "DE", pallet, "C1"], ["K000001", "DE", "", "C2"]]
    return here.write(f"{pallet}.csv", [*HEADER, "case_no"], rows)


def other_night(here):
    """Sync a file that names neither pallet."""
    rows = [["K000001", "FR", "", "C2"]]
    return here.sync("--job", "erp", here.write("other.csv", [*HEADER, "case_no"], rows), "--approve")


def test_a_word_from_before_a_ledger_was_put_back_is_not_sent_once_its_field_is_defined(tmp_path):
    """In the time that the ledger has lost, the field was defined and a newer word was sent."""
    with open_night(tmp_path, codes=codes(2), campaigns={1: LATER - {"pallet"}}) as here:
        here.config(CHANGES)
        assert here.sync("--job", "erp", two_values(here, "P1")).code == 3
        assert here.run("ledger", "backup", "copy.db").code == 0
        here.box.world.campaigns[1] = LATER
        assert here.sync("--job", "erp", two_values(here, "P2"), "--approve").code == 0
        assert here.run("ledger", "restore", "copy.db").code == 0
        assert other_night(here).code == 0
        assert held(here) == ["P2", None]


def test_a_word_that_another_key_has_overwritten_is_not_sent_once_its_field_is_defined(tmp_path):
    with open_night(tmp_path, codes=[{**one, "case_no": f"C{n + 1}"} for n, one in enumerate(codes(2))],
                    campaigns={1: LATER - {"pallet"}}) as here:  # fmt: skip
        here.config(f'{CHANGES}[jobs.cases]\nkey = "case_no"\nexport = "changes"\nexpect = 1\n')
        file = two_values(here, "P1")
        assert here.sync("--job", "erp", file).code == 3
        here.box.world.campaigns[1] = LATER
        newer = here.write("cases.csv", ["case_no", "pallet"], [["C1", "P9"]])
        done = here.sync("--job", "cases", newer, "--approve")
        assert held(here)[0] == "P9", done
        assert other_night(here).code == 0
        assert held(here)[0] == "P9"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_word_is_sent_once_its_field_is_defined_though_a_key_that_never_reaches_its_code_wrote_it_since(
    tmp_path, mode
):
    box = [{**one, "case_no": f"C{n + 1}"} for n, one in enumerate(codes(3))]
    with open_night(tmp_path, codes=box, campaigns={1: LATER - {"pallet"}}) as here:
        disjoint = 'disjoint = ["erp"]'
        here.config(f'{CHANGES}[jobs.cases]\nkey = "case_no"\nexport = "changes"\nexpect = 1\n{disjoint}\n')
        file = two_values(here, "P1")
        assert here.sync("--job", "erp", file, "--mode", mode).code == 3
        here.box.world.campaigns[1] = LATER
        here.sync("--job", "cases", here.write("cases.csv", ["case_no", "pallet"], [["C3", "P9"]]), "--approve")
        assert held(here) == [None, None, "P9"]
        other_night(here)
        assert held(here) == ["P1", None, "P9"]
