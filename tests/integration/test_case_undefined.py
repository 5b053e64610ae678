"""A field that its campaign took for months, and that an administrator takes away: told the same night, and sent when it is back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from conftest import codes

LIMITS = "[limits]\nmax_changed_percent = 0\n"
DEFINED = frozenset({"case_no", "market"})
KEYS = ["extended_id", "case_no", ["case_no", "lot"]]


@pytest.fixture
def year(night):
    """Give a night per key: 240 codes of 60 cases, in async calls alone."""

    def opened(key, **options):
        columns = [key] if isinstance(key, str) else key
        codes = tuple(
            {"extended_id": f"K{n:04d}", "case_no": f"C{n // 4:03d}", "lot": f"L{n % 2}", "campaign": "1"}
            for n in range(240)
        )
        here = night(codes=codes, campaigns={1: DEFINED | {"lot"}}, **options)
        values = sorted({tuple(code[column] for column in columns) for code in codes})
        return here, columns, values

    return opened


@pytest.mark.parametrize("known", [False, True], ids=["blank before", "held before"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_field_that_is_taken_away_ends_with_3_the_same_night_and_goes_when_it_is_back(year, key, known):
    opened, columns, values = year(key)
    with opened as here:
        unique = "" if "extended_id" in columns else "unique = false\n"
        here.config(f'{LIMITS}[jobs.it]\nkey = {columns}\nexport = "changes"\n{unique}')

        def told(market, some):
            file = here.write(f"{market}.csv", (*columns, "market"), [(*one, market) for one in values if some(one)])
            return here.sync(file)

        first = told("DE", lambda one: known or one < values[len(values) // 2])
        assert first.code == 0, first.document
        here.box.world.campaigns[1] = frozenset({"case_no", "lot"})
        second = told("FR", lambda one: known or one >= values[len(values) // 2])
        assert (second.code, second.document["discarded_fields"]) == (3, ["market"]), second.document
        third = told("IT", lambda one: True)
        assert (third.code, third.document["discarded_fields"]) == (3, ["market"]), third.document
        here.box.world.campaigns[1] = DEFINED | {"lot"}
        for _ in range(2):
            last = told("IT", lambda one: True)
            if last.code == 0:
                break
        assert last.code == 0, last.document
        assert {code.get("market") for code in here.box.codes()} == {"IT"}
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize("times", [1, 9])
def test_an_answer_without_names_says_nothing_of_a_field_that_other_values_did_not_take(night, times):
    """It was taken for true: codes of one key lacked the field that those of another key had been refused."""
    codes = tuple({"extended_id": f"K{n:04d}", "serial_number": f"S{n:04d}", "campaign": "1"} for n in range(20))
    with night(codes=codes, campaigns={1: frozenset({"market"})}) as here:
        job = '[jobs.{0}]\nkey = "{1}"\nexport = "changes"\ncampaign = 1\n'
        here.config(LIMITS + job.format("erp", "extended_id") + job.format("mes", "serial_number"))

        def told(job, key, market, some):
            rows = [(f"{key[0]}{n:04d}", market) for n in some]
            file = here.write(f"{job}.csv", ({"K": "extended_id", "S": "serial_number"}[key[0]], "market"), rows)
            return here.sync("--job", job, file)

        assert told("erp", "K", "DE", range(10)).code == 0
        here.box.world.campaigns[1] = frozenset()
        assert told("mes", "S", "FR", range(10)).code == 3
        here.box.faults.replace([{"kind": "no_items", "on": "sync", "nth": 1, "times": times}])
        silent = told("erp", "K", "IT", range(5, 20))
        assert (silent.code, silent.document["discarded_fields"]) == (3, ["market"])
        assert silent.document["requests"]["updates"] == 3  # the call, and its halves
        here.box.faults.replace([])
        here.box.world.campaigns[1] = frozenset({"market"})
        for _ in range(2):
            last = told("erp", "K", "IT", range(5, 20)), told("mes", "S", "FR", range(5))
        assert [one.code for one in last] == [0, 0], last
        assert [code.get("market") for code in here.box.codes()] == ["FR"] * 5 + ["IT"] * 15


@pytest.mark.parametrize(("campaign", "reads"), [("campaign = 1\n", 1), ("", 3)], ids=["told", "untold"])
def test_answers_that_never_name_anything_are_made_up_for_by_reading_back(year, campaign, reads):
    """No canary tells anything there: a code that is read does, night by night; where nobody tells the campaign, three."""
    opened, columns, values = year("extended_id", faults=({"kind": "no_items", "on": "sync", "every": 1},))
    with opened as here:
        here.config(f'{LIMITS}[jobs.it]\nkey = "extended_id"\nexport = "changes"\n{campaign}')

        def told(market):
            return here.sync(here.write("a.csv", (*columns, "market"), [(*one, market) for one in values]))

        assert told("DE").code == 0
        looked = len(here.box.calls("codes_download"))
        assert told("FR").code == 0
        assert len(here.box.calls("codes_download")) == looked + reads
        here.box.world.campaigns[1] = frozenset({"case_no", "lot"})
        last = told("IT")
        assert (last.code, last.document["discarded_fields"]) == (3, ["market"]), last.document


def test_a_second_campaign_that_nobody_tells_and_that_loses_the_field_within_the_hour_is_found(night):
    """No call of such a run asks: what is read back comes from all over the file."""
    codes = tuple({"extended_id": f"K{n:04d}", "campaign": str(1 + n // 120)} for n in range(240))
    with night(codes=codes, campaigns={1: frozenset({"market"}), 2: frozenset({"market"})}) as here:
        here.config(f'{LIMITS}[jobs.it]\nkey = "extended_id"\nexport = "changes"\n')

        def told(market):
            return here.sync(
                here.write("a.csv", ("extended_id", "market"), [(f"K{n:04d}", market) for n in range(240)])
            )

        assert told("DE").code == 0
        here.box.world.campaigns[2] = frozenset()
        last = told("FR")
        assert (last.code, last.document["discarded_fields"]) == (3, ["market"]), last.document
        assert last.document["requests"]["updates"] == 1


def test_what_was_taken_is_asked_for_every_night_by_one_call_and_no_run_of_a_night_asks_again(year):
    opened, columns, values = year("extended_id")
    with opened as here:
        here.config(f'{LIMITS}[jobs.it]\nkey = "extended_id"\nexport = "changes"\n')

        def told(market):
            done = here.sync(here.write("a.csv", (*columns, "market"), [(*one, market) for one in values]))
            assert done.code == 0, done.document
            return done.document["batches"], done.document["requests"]["minimum_updates"]

        def a_day_goes_by():
            with closing(sqlite3.connect(here.folder / "syncer.db")) as ledger, ledger:
                ledger.execute("UPDATE proofs SET at = '2026-01-01T00:00:00.000Z'")

        assert told("DE") == ({"sync": 1, "async": 1}, 1)
        assert told("FR") == ({"sync": 0, "async": 1}, 1)
        a_day_goes_by()
        assert told("IT") == ({"sync": 1, "async": 1}, 1)
        assert told("ES") == ({"sync": 0, "async": 1}, 1)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_a_stopped_run_could_not_read_back_is_read_by_the_next_one_though_that_sends_nothing(
    year, key, monkeypatch
):
    """The next run found everything known, and ended with 0."""
    opened, columns, values = year(key)
    with opened as here:
        unique = "" if "extended_id" in columns else "unique = false\n"
        here.config(f'{LIMITS}[jobs.it]\nkey = {columns}\nexport = "changes"\n{unique}')

        def file(market):
            return here.write(f"{market}.csv", (*columns, "market"), [(*one, market) for one in values])

        def told(market):
            return here.sync(file(market))

        assert told("DE").code == 0
        here.box.world.campaigns[1] = frozenset({"case_no", "lot"})
        here.stopped_as_it_reads_back("sync", file("FR"))
        again = told("FR")
        assert (again.code, again.document["discarded_fields"]) == (3, ["market"]), again.document
        here.box.world.campaigns[1] = DEFINED | {"lot"}
        for _ in range(2):
            last = told("FR")
            if last.code == 0:
                break
        assert last.code == 0, last.document
        assert {code.get("market") for code in here.box.codes()} == {"FR"}


def test_a_run_that_came_to_its_end_is_not_read_back_again_by_resume(year):
    """Somebody else had written an older word of ours meanwhile: it was called a field that is not taken."""
    opened, columns, values = year("case_no")
    with opened as here:
        here.config(f'{LIMITS}[jobs.it]\nkey = {columns}\nunique = false\nexport = "changes"\n')
        for market in ("DE", "FR"):
            file = here.write("a.csv", (*columns, "market"), [(*one, market) for one in values])
            assert here.sync(file).code == 0
        for code in here.box.world.codes:
            code.fields["market"] = "DE"
        looked = len(here.box.calls("codes_download"))
        assert here.run("resume").code == 0
        assert len(here.box.calls("codes_download")) == looked


@pytest.mark.parametrize("tells_changes", [False, True])
def test_codes_that_hold_what_they_held_before_show_no_field_as_taken(night, tells_changes):
    """A field that a campaign had lost was believed to be back: once a file gave codes their old word, and a read failed."""
    defined = frozenset({"lot", "market"})
    with night(codes=codes(8), campaigns={1: defined}, changes_only=tells_changes) as here:
        here.config(LIMITS)

        def told(lot, markets):
            rows = [(f"K{n:06d}", lot, market) for n, market in enumerate(markets)]
            return here.sync(here.write(f"{lot}.csv", ("extended_id", "lot", "market"), rows))

        assert told("1", ["DE"] * 8).code == 0
        here.box.world.campaigns[1] = frozenset({"lot"})
        assert told("2", ["FR"] * 2 + ["DE"] * 6).code == 3
        here.box.faults.replace([{"kind": "status", "on": "codes_download", "nth": 1, "status_code": 403}])
        told("3", ["DE"] * 8)
        here.box.faults.replace([])
        newest = ["DE"] * 5 + ["FR"] * 3
        for lot in ("4", "4", "5"):
            done = told(lot, newest)
            assert (done.code, done.document["discarded_fields"]) == (3, ["market"]), done.document
        here.box.world.campaigns[1] = defined
        assert told("5", newest).code == 0
        assert [code["market"] for code in here.box.codes()] == newest


def test_a_field_that_is_back_when_all_codes_get_their_old_words_is_believed_where_no_answer_names_it(year):
    opened, columns, values = year("case_no")
    with opened as here:
        here.config(f"{LIMITS}[jobs.it]\nkey = {columns}\nunique = false\n")

        def told(market):
            rows = [(*one, market if place < 4 else "DE") for place, one in enumerate(values)]
            return here.sync(here.write("a.csv", (*columns, "market"), rows)).code

        assert told("DE") == 0
        here.box.world.campaigns[1] = frozenset({"case_no", "lot"})
        assert told("FR") == 3
        here.box.world.campaigns[1] = DEFINED | {"lot"}
        assert [told("DE"), told("DE")] == [0, 0]


def test_a_key_whose_codes_are_of_two_campaigns_is_read_back_though_the_answer_names_the_field(night):
    """Of a value of many codes an answer names what any of them took: half of them lacked it, with 0."""
    codes_of_cases = tuple(
        {"extended_id": f"K{n}", "case_no": f"C{n // 2}", "campaign": str(1 + n % 2)} for n in range(20)
    )
    lacking = frozenset({"case_no", "lot"})
    with night(codes=codes_of_cases, campaigns={1: DEFINED | lacking, 2: lacking}, sync_keys=None) as here:
        here.config(LIMITS + '[jobs.it]\nkey = "case_no"\n')
        file = here.write("a.csv", ("case_no", "lot", "market"), [(f"C{n}", "L", "DE") for n in range(10)])
        for _ in range(2):
            done = here.sync(file)
            assert (done.code, done.document["discarded_fields"]) == (3, ["market"]), done.document
        quiet = here.sync(file)
        assert (quiet.code, quiet.document["requests"]["updates"]) == (3, 1), quiet.document
        here.box.world.campaigns[2] = DEFINED | lacking
        assert here.sync(file).code == 0
        assert {code.get("market") for code in here.box.codes()} == {"DE"}
        assert here.sync(file).document["requests"]["updates"] == 0
