"""A field that is taken away and given back: what counts were believed to say meanwhile is sent again, value by value."""

from __future__ import annotations

import pytest

JOB = '[limits]\nmax_changed_percent = 0\n[jobs.it]\nkey = "extended_id"\nexport = "{}"\ncampaign = 1\n'
DEFINED, AWAY = frozenset({"market", "lot"}), frozenset({"lot"})
UNREADABLE = [{"kind": "status", "on": "codes_download", "every": 1, "status_code": 403}]


@pytest.fixture
def months(night):
    """Give 240 codes of one campaign, which takes the field at first."""
    codes = tuple({"extended_id": f"K{n:04d}", "campaign": "1"} for n in range(240))
    return night(codes=codes, campaigns={1: DEFINED})


def file(here, name, values, word):
    return here.write(f"{word}.csv", ("extended_id", name), [(f"K{n:04d}", word) for n in values])


def told(here, name, values, word):
    return here.sync(file(here, name, values, word), "--approve")


def markets(here):
    return [code.get("market") for code in here.box.codes()]


def stopped(here, *arguments):
    """Let a run send everything, without a name in any answer, and stop it when it reads back."""
    here.stopped_as_it_reads_back("sync", *arguments, faults=[{"kind": "no_items", "on": "sync", "every": 1}])


def night_by_night(here, values, word):
    """Send a file until a night ends with 0."""
    for _ in range(3):
        last = told(here, "market", values, word)
        if last.code == 0:
            return last
    raise AssertionError(last.document)


def test_a_field_that_was_counted_while_it_was_away_goes_though_another_field_of_the_value_was_named_since(months):
    """Nothing could be read back. The values whose other field a sync call named were believed to hold the first one."""
    with months as here:
        here.config(JOB.format("full"))
        assert told(here, "market", range(240), "DE").code == 0
        here.box.world.campaigns[1] = AWAY
        here.box.faults.replace(UNREADABLE)
        assert told(here, "market", range(240), "FR").code == 0  # nobody can tell
        here.box.faults.replace([])
        assert told(here, "lot", range(20), "L1").code == 0
        shown = told(here, "market", range(100, 110), "IT")
        assert (shown.code, shown.document["discarded_fields"]) == (3, ["market"])
        here.box.world.campaigns[1] = DEFINED
        night_by_night(here, range(240), "FR")
        assert set(markets(here)) == {"FR"}


@pytest.mark.parametrize("count", [240, 50], ids=["async", "sync"])
@pytest.mark.parametrize("names", [True, False], ids=["names", "no names"])
def test_words_that_no_later_file_of_changes_names_go_once_the_field_is_back(months, count, names):
    """One night in which the field was away was enough: 227 of 240 codes kept their older word, and the run said 0."""
    with months as here:
        here.config(JOB.format("changes"))
        here.box.faults.replace([] if names else [{"kind": "no_items", "on": "sync", "every": 1}])
        assert told(here, "market", range(count), "DE").code == 0
        here.box.world.campaigns[1] = AWAY
        lost = told(here, "market", range(count), "FR")
        assert (lost.code, lost.document["discarded_fields"]) == (3, ["market"])
        here.box.world.campaigns[1] = DEFINED
        last = night_by_night(here, range(20, 30), "ES")
        assert markets(here)[:count] == ["FR"] * 20 + ["ES"] * 10 + ["FR"] * (count - 30)
        assert not names or last.document["requests"]["updates"] <= 5
        assert told(here, "market", range(20, 30), "ES").document["requests"]["updates"] == 0


def test_what_sync_calls_counted_without_names_is_no_more_believed_than_what_a_task_counted(months):
    with months as here:
        here.config(JOB.format("full"))
        here.box.faults.replace([{"kind": "no_items", "on": "sync", "every": 1}])
        assert told(here, "market", range(50), "DE").code == 0
        here.box.world.campaigns[1] = AWAY
        assert told(here, "market", range(50), "FR").code == 3
        here.box.world.campaigns[1] = DEFINED
        night_by_night(here, range(50), "FR")
        assert markets(here)[:50] == ["FR"] * 50


@pytest.mark.parametrize("away", [240, 150], ids=["all the time", "for the first half"])
def test_what_a_stopped_run_counted_while_a_field_was_away_is_read_though_tonight_names_it(months, away):
    """It was away for that run alone: names of the next one proved it, and nobody read what had been counted before."""
    with months as here:
        here.config(JOB.format("changes"))
        assert told(here, "market", range(240), "DE").code == 0
        write = here.box.world.write

        def forgetful(number, data, **how):
            here.box.world.campaigns[1] = AWAY if number < away else DEFINED
            return write(number, data, **how)

        here.box.world.write = forgetful
        stopped(here, file(here, "market", range(240), "FR"))
        here.box.world.write, here.box.world.campaigns[1] = write, DEFINED
        first = told(here, "market", range(20, 30), "ES")
        assert (first.code, first.document["discarded_fields"]) == (3, ["market"])
        night_by_night(here, range(20, 30), "ES")
        assert markets(here) == ["FR"] * 20 + ["ES"] * 10 + ["FR"] * 210


@pytest.mark.parametrize("disjoint", [True, False])
def test_what_another_key_was_counted_for_before_its_field_was_defined_goes_or_its_own_run_tells(night, disjoint):
    """The job whose answer named the field doubted those values, and no file of changes ever named them again: 0."""
    codes = tuple({"extended_id": f"K{n:04d}", "serial_number": f"S{n:04d}", "campaign": "1"} for n in range(240))
    with night(codes=codes, campaigns={1: AWAY}) as here:
        keys = {"erp": ("extended_id", "mes"), "mes": ("serial_number", "erp")}
        jobs = "".join(
            f'[jobs.{name}]\nkey = "{key}"\nexport = "changes"\ncampaign = 1\n'
            + (f'disjoint = ["{other}"]\n' if disjoint else "")
            for name, (key, other) in keys.items()
        )
        here.config(f"[limits]\nmax_changed_percent = 0\n{jobs}")

        def arguments(name, values, word):
            key = keys[name][0]
            rows = [(f"{'K' if name == 'erp' else 'S'}{n:04d}", word) for n in values]
            return "--job", name, here.write(f"{name}{word}.csv", (key, "market"), rows)

        stopped(here, *arguments("mes", range(120), "DE"))
        here.box.world.campaigns[1] = DEFINED
        assert here.sync(*arguments("erp", range(120, 130), "FR")).code == 0
        own = here.sync(*arguments("mes", range(200, 202), "IT"))
        if disjoint:
            assert (own.code, markets(here)[:130]) == (0, ["DE"] * 120 + ["FR"] * 10)
            return
        assert (own.code, own.document["unproven_fields"], own.document["discarded_fields"]) == (3, ["market"], [])
        assert "codes lack market" in " ".join(own.document["notes"])
        assert here.sync(*arguments("mes", range(120), "DE")).code == 0
        assert markets(here)[:130] == ["DE"] * 120 + ["FR"] * 10
        assert here.run("ledger", "check").code == 0
