"""Keys of which a value selects many codes: what a count proves, what it does not, and what it costs to know."""

from __future__ import annotations

import pytest

CASES = '[limits]\ncheck_keys = false\nmax_changed_percent = 0\n[jobs.cases]\nkey = "case_no"\nexport = "changes"\n'


def world(cases, each):
    return tuple(
        {"extended_id": f"K{case:04d}-{copy}", "case_no": f"C{case:04d}"} for case in cases for copy in range(each)
    )


def rows(cases):
    return [(f"C{case:04d}", "DE") for case in cases]


def markets(here):
    return {code["extended_id"]: code.get("market") for code in here.box.codes()}


@pytest.mark.parametrize("sync_keys", [None, ("extended_id", "serial_number")])
def test_as_many_codes_as_values_proves_nothing(night, sync_keys):
    """m15: 50 cases of two codes, and 50 that do not exist."""
    with night(codes=world(range(50), 2), sync_keys=sync_keys) as here:
        here.config(CASES)
        done = here.sync(here.write("a.csv", ("case_no", "market"), rows(range(100))))
        values = done.document["values"]
        assert (done.code, values["confirmed"], values["unmatched"]) == (3, 50, 50)
        assert set(markets(here).values()) == {"DE"}
        assert here.run("ledger", "check").code == 0


def test_a_server_that_does_not_take_the_key_in_sync_calls_costs_one_refused_call_ever(night):
    with night(codes=world(range(60), 3)) as here:
        here.config(CASES)
        first = here.sync(here.write("a.csv", ("case_no", "market"), rows(range(40))))
        assert (first.code, first.document["values"]["confirmed"]) == (0, 40), first.document
        refused = [call for call in here.box.calls("sync") if call.status_code == 400]
        assert (len(refused), len(here.box.calls("sync"))) == (1, 1)
        again = here.sync(here.write("b.csv", ("case_no", "market"), rows(range(40, 60))))
        assert (again.code, again.document["values"]["confirmed"]) == (0, 20)
        assert len(here.box.calls("sync")) == 1
        # What each case selects is known now: as many calls as data.
        rewritten = [(case, "FR") for case, _ in rows(range(60))]
        third = here.sync(here.write("c.csv", ("case_no", "market"), rewritten))
        assert (third.code, third.document["requests"]["updates"]) == (0, 1), third.document
        assert set(markets(here).values()) == {"FR"}


@pytest.mark.parametrize("declared", ["expect = 3\n", 'expect = "codes"\n'])
def test_what_is_declared_proves_a_count_and_finds_what_is_missing_by_halves(night, declared):
    with night(codes=world((case for case in range(512) if case != 300), 3)) as here:
        here.config(CASES + declared)
        file = [(case, market, "3") for case, market in rows(range(512))]
        if "codes" not in declared:
            file = [row[:2] for row in file]
        header = ("case_no", "market", "codes")[: len(file[0])]
        done = here.sync(here.write("a.csv", header, file))
        values = done.document["values"]
        assert (done.code, values["confirmed"], values["unmatched"]) == (3, 511, 1)
        assert done.document["concerns"][0]["example"] == "C0300"
        assert done.document["requests"]["updates"] <= 30
        assert "codes" not in {name for code in here.box.codes() for name in code}


def test_a_column_that_is_to_say_how_many_codes_and_is_missing_is_named(night):
    with night(codes=world(range(2), 2)) as here:
        here.config(CASES + 'expect = "codes"\n')
        done = here.sync(here.write("a.csv", ("case_no", "market", "code"), [("C0000", "DE", "2")]))
        assert done.code == 2
        assert "'codes'" in done.document["error"]["message"]
        assert list(here.box.requests) == []


def reaching(each):
    return world(range(100), 2) + tuple({"extended_id": f"X{n:05d}", "case_no": "C0200"} for n in range(each))


def test_the_reach_guard_is_not_passed_by_a_second_flaw_and_stays_until_it_is_approved(night):
    """m17, m18: one case reaches 40 times the usual, and another does not exist."""
    with night(codes=reaching(4000)) as here:
        here.config(CASES + "expect = 2\n")
        assert here.sync(here.write("a.csv", ("case_no", "market"), rows(range(100)))).code == 0
        odd = [(case, "FR") for case, _ in [*rows(range(98)), ("C0200", ""), ("C0999", "")]]
        stopped = here.sync(here.write("b.csv", ("case_no", "market"), odd))
        assert stopped.code == 4, stopped.document
        assert "resume --job cases --approve" in stopped.document["error"]["next"]
        updates = len(here.box.calls("async"))
        for again in (here.run("resume", "--json"), here.sync("a.csv"), here.run("resume", "--json", "--job", "cases")):
            assert again.code == 4, again.document
            assert again.document["error"]["code"] == "guard"
        assert len(here.box.calls("async")) == updates
        approved = here.run("resume", "--json", "--approve", "--job", "cases")
        assert approved.code == 3  # of the case that does not exist
        assert here.run("ledger", "check").code == 0
