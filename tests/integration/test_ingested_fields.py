"""Uploads of own codes and changes of product write fields that no row names: the mirror must not believe them (rule 6)."""

from __future__ import annotations

import pytest
from conftest import open_night

HEADER = ["extended_id", "market", "shipment"]
CASES = """
[limits]
max_changed_percent = 0
[jobs.erp]
key = "extended_id"
columns = {extended_id = "extended_id", product = "product", case_no = "case_no"}
[jobs.karton]
key = "case_no"
columns = {case_no = "case_no", shipment = "shipment"}
"""


def full(count, market="DE"):
    return [[f"K{n:07d}", market, "S1"] for n in range(count)]


def box(count, **fields):
    return tuple({"extended_id": f"K{n:07d}", **fields} for n in range(count))


def test_what_an_upload_of_own_codes_may_have_overwritten_is_sent_again(tmp_path):
    with open_night(tmp_path, codes=box(20)) as here:
        file = here.write("a.csv", HEADER, full(20))
        assert here.sync(file).code == 0
        here.write("codes.csv", ["id", "market"], [[f"K{n:07d}", "FR"] for n in range(5)])
        here.run("codes", "upload", "codes.csv", "--allow-duplicates", "--json")
        plan = here.run("plan", "--json", "--diff", file).document
        assert (plan["rows"]["unchanged"], plan["fields"]) == (15, {"market": 5})
        assert plan["differences"][0]["uncertain"] is True
        assert here.sync(file).code == 0
        assert here.sync(file).document["rows"]["unchanged"] == 20
        here.write("moved.csv", ["id", "product"], [["K0000001", "P2"]])
        here.run("codes", "upload", "moved.csv", "--allow-duplicates", "--json")
        assert here.run("plan", "--json", file).document["fields"] == {"market": 1, "shipment": 1}


def test_defaults_of_an_upload_are_written_too(tmp_path):
    with open_night(tmp_path, codes=box(4)) as here:
        file = here.write("a.csv", HEADER, full(4))
        assert here.sync(file).code == 0
        here.write("codes.csv", ["id"], [["K0000002"]])
        here.run("codes", "upload", "codes.csv", "--allow-duplicates", "--default", "shipment=S9", "--json")
        assert here.run("plan", "--json", file).document["fields"] == {"shipment": 1}


def test_a_value_that_matched_nothing_is_asked_for_like_any_other_once_its_code_was_made(tmp_path):
    with open_night(tmp_path, codes=box(2)) as here:
        file = here.write("a.csv", HEADER, full(3))
        assert here.sync(file).code == 3
        here.write("codes.csv", ["id"], [["K0000002"]])
        assert here.run("codes", "upload", "codes.csv", "--json").code == 0
        done = here.sync(file)
        assert (done.code, done.document["rows"]["unchanged"], done.document["values"]["confirmed"]) == (0, 2, 1)


@pytest.mark.parametrize(("options", "unchanged"), [((), 1), (("--allow-duplicates",), 0)])
def test_codes_that_an_upload_brings_into_a_case_make_the_case_uncertain(tmp_path, options, unchanged):
    with open_night(tmp_path, codes=box(2, case_no="C1"), sync_keys=None) as here:
        here.config(CASES)
        karton = here.write("k.csv", ["case_no", "shipment"], [["C1", "S-77"], ["C2", "S-78"]])
        here.box.world.add_code({"extended_id": "K0000009", "case_no": "C2"})
        assert here.sync("--job", "karton", karton).code == 0
        assert here.sync("--job", "karton", karton).document["rows"]["unchanged"] == 2
        here.write("codes.csv", ["id", "case_no"], [["NEWCODE1", "C1"]])
        assert here.run("codes", "upload", "codes.csv", "--json", *options).code == 0
        done = here.sync("--job", "karton", karton)
        assert (done.code, done.document["rows"]["unchanged"]) == (0, unchanged)
        assert {code["shipment"] for code in here.box.codes() if code["case_no"] == "C1"} == {"S-77"}


def test_a_product_that_may_move_a_code_makes_its_case_uncertain(tmp_path):
    products = [{"sku": "P1"}, {"sku": "P2", "campaign": {"id": 2, "name": "another"}}]
    with open_night(tmp_path, codes=box(2, case_no="C1"), sync_keys=None, products=products) as here:
        here.config(CASES)
        erp = here.write("e.csv", ["extended_id", "product", "case_no"], [[f"K{n:07d}", "P1", "C1"] for n in range(2)])
        assert here.sync("--job", "erp", erp).code == 0
        karton = here.write("k.csv", ["case_no", "shipment"], [["C1", "S-77"]])
        assert here.sync("--job", "karton", karton).code == 0
        assert here.sync("--job", "karton", karton).document["rows"]["unchanged"] == 1
        moved = here.write("m.csv", ["extended_id", "product", "case_no"], [["K0000001", "P2", ""]])
        assert here.sync("--job", "erp", moved, "--approve").code == 0
        done = here.sync("--job", "karton", karton)
        assert (done.code, done.document["rows"]["unchanged"]) == (0, 0)


def test_a_product_that_another_key_changed_meanwhile_moves_the_codes_again(tmp_path):
    """The case's product was P1 when it was last sent, and is P1 again: in between its code stood in another campaign."""
    products = [{"sku": "P1"}, {"sku": "P2", "campaign": {"id": 2, "name": "another"}}]
    names = ["product", "shipment", "market"]
    with open_night(tmp_path, codes=box(1, case_no="C1"), sync_keys=None, products=products) as here:

        def sync(key, value, **row):  # two configurations with one ledger: nothing links their keys
            columns = ", ".join(f'{name} = "{name}"' for name in (key, *names))
            here.config(f'[limits]\nmax_changed_percent = 0\n[jobs.{key}]\nkey = "{key}"\ncolumns = {{{columns}}}\n')
            file = here.write(f"{key}.csv", [key, *names], [[value, *(row.get(name, "") for name in names)]])
            return here.sync("--job", key, file, "--approve")

        assert sync("case_no", "C1", product="P1", shipment="S-1", market="DE").code == 0
        assert sync("extended_id", "K0000000", product="P2", market="FR").code == 0
        assert sync("extended_id", "K0000000", shipment="S-2").code == 0
        assert sync("case_no", "C1", product="P1", market="IT").code == 0  # the shipment may have stayed behind
        assert sync("extended_id", "K0000000", shipment="S-2").document["rows"]["unchanged"] == 0
