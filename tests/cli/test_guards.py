"""Guards against a bad export, through the program: each stops the night, nothing is sent, `--approve` passes."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import uuid
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampling import examples

HEADER = ("extended_id", "intended_market", "lot")
CONFIG = "[limits]\nmax_changed_min_codes = 100\n"
COUNT = 200
KEYS = [f"00{8711520000000 + 7 * number}"[2 if number % 2 else 0 :] for number in range(COUNT)]
"""Numbers of 13 digits, half of them with two zeros more."""
WORLD = tuple({"extended_id": key} for key in KEYS)


def rows(keys=KEYS, *, market="m{}", lot="L{}"):
    """Rows of keys, each with the same data in every file."""
    return [(key, market.format(int(key[-5:-1]) % 5), lot.format(int(key[-5:-1]) % 3)) for key in keys]


@pytest.fixture
def begun(night):
    """A night after a first, complete one, of ``first.csv``."""
    with night(codes=WORLD) as here:
        here.config(CONFIG)
        here.write("first.csv", HEADER, rows())
        done = here.sync("first.csv")
        assert (done.code, done.document["values"]["confirmed"]) == (0, COUNT), done
        yield here


def done_rows(here, name):
    """Count the rows of a file below its header."""
    return len((here.folder / name).read_text(encoding="utf-8").splitlines()) - 1


def updates_of(here):
    """Count the update calls: what is read before them is another matter."""
    return sum(logged.call in {"sync", "async"} for logged in here.box.requests)


def stops(here, name, *words, approved=(0, 3), blanks=False):
    """Assert that the file stops plan and sync alike, sends nothing, and passes with --approve.

    `blanks`: it has nothing to say but blank cells, which leave alone what is known.
    """
    updates, held = updates_of(here), here.server()
    work = [logged.call for logged in here.box.requests if logged.call not in {"me", "tasks"}]
    planned = here.run("plan", "--json", name)
    done = here.sync(name)
    assert (planned.code, done.code) == (4, 4), (planned, done)
    assert done.document["error"]["code"] == "guard"
    assert planned.document["error"] == done.document["error"]
    told = done.document["error"]["stops"]
    assert {stop["guard"] for stop in told} <= {"keys", "rows", "columns", "age", "changes"}
    assert all(stop["message"] in done.document["error"]["message"] for stop in told)
    assert planned.document["rows"]["read"] == done_rows(here, name)  # what it would do is shown beside it
    for word in words:
        assert word in done.document["error"]["message"], (word, done.document["error"]["message"])
    assert "--approve" in done.document["error"]["next"]
    assert "export" in done.document["error"]["message"]
    assert updates_of(here) == updates
    assert here.server() == held
    with closing(sqlite3.connect(here.folder / "syncer.db")) as ledger, ledger:
        assert ledger.execute("SELECT count(*) FROM batches WHERE state = 'superseded'").fetchone() == (0,)
    passed = here.sync(name, "--approve")
    assert passed.code in approved, passed
    worked = [logged.call for logged in here.box.requests if logged.call not in {"me", "tasks"}]
    assert (len(worked) > len(work)) is not blanks
    return done


def test_keys_in_scientific_notation_stop_even_a_first_run(night):
    with night(codes=WORLD) as here:
        here.write("a.csv", HEADER, [*rows(KEYS[:5]), ("8.71152E+12", "DE", "L"), ("8,7E+12", "DE", "L")])
        stops(here, "a.csv", "2 keys", "a.csv:7 '8.71152E+12'", "scientific", approved=(3,))


def test_keys_that_lost_their_leading_zeros_stop_the_run(begun):
    begun.write("b.csv", HEADER, rows([*KEYS[:100], *(key.lstrip("0") for key in KEYS[100:])], lot="N{}"))
    stops(
        begun,
        "b.csv",
        "50 of 50 unknown keys",
        "leading zeros",
        f"b.csv:102 '{KEYS[100][2:]}' (the ledger has '{KEYS[100]}')",
    )


def test_keys_in_another_letter_case_stop_the_run(night):
    keys = [f"Ab{number:05d}x" for number in range(COUNT)]
    with night(codes=tuple({"extended_id": key} for key in keys)) as here:
        here.config(CONFIG)
        here.write("a.csv", HEADER, rows(keys))
        assert here.sync("a.csv").code == 0
        here.write("b.csv", HEADER, rows([keys[0].upper(), *keys[1:]]))
        stops(here, "b.csv", "1 of 1 unknown keys", "b.csv:2 'AB00000X' (the ledger has 'Ab00000x')", approved=(3,))


def test_a_known_key_in_the_file_is_another_code_and_not_the_damaged_one(begun):
    """Codes that differ in zeros alone, both in the export, are two codes: the program must not stop for them."""
    begun.write("b.csv", HEADER, rows([*KEYS, KEYS[0][2:]]))
    assert begun.sync("b.csv").code == 3  # the API does not know it, which is told as ever


def test_unknown_keys_shorter_than_all_others_stop_the_run(night):
    keys = [str(8711520000000 + 7 * number) for number in range(COUNT)]
    with night(codes=tuple({"extended_id": key} for key in keys)) as here:
        here.config(CONFIG)
        here.write("a.csv", HEADER, rows(keys))
        assert here.sync("a.csv").code == 0
        here.write("b.csv", HEADER, rows([*keys, "711520000000"]))
        stops(
            here,
            "b.csv",
            "1 unknown keys",
            "13 digits",
            "b.csv:202 '711520000000' (perhaps '0711520000000')",
            approved=(3,),
        )


def test_a_rejected_row_is_no_reason_to_stop_the_others(begun):
    """A stray blank before a key: its row is rejected (E202), whatever the ledger knows; all others go through."""
    begun.write(
        "b.csv", HEADER, [(f" {KEYS[0]}", "new", "L"), ("K1 ", "new", "L"), *rows(KEYS[2:]), (KEYS[1], "new", "L")]
    )
    done = begun.sync("b.csv")
    assert (done.code, [row["code"] for row in done.document["rejected"]]) == (3, ["E202", "E202"])
    assert done.document["values"]["confirmed"] == 1


def test_a_number_without_its_zeros_among_filled_ones_stops_a_first_run(night):
    keys = [f"{7 * number:013d}" for number in range(1, COUNT)]
    with night(codes=tuple({"extended_id": key} for key in keys)) as here:
        here.write("a.csv", HEADER, [*rows(keys[1:]), (keys[0].lstrip("0"), "m", "L")])
        stops(here, "a.csv", f"'{keys[0].lstrip('0')}' (perhaps '{keys[0]}')", approved=(3,))
        here.write("b.csv", HEADER, rows(keys))
        assert here.sync("b.csv").code == 0


def test_a_key_in_another_letter_case_than_all_others_stops_a_first_run(night):
    keys = [f"AB-{number:05d}" for number in range(COUNT)]
    with night(codes=tuple({"extended_id": key} for key in keys)) as here:
        here.write("a.csv", HEADER, rows([*keys[1:], keys[0].lower()]))
        stops(here, "a.csv", "letter case", f"a.csv:201 'ab-00000' (perhaps '{keys[0]}')", approved=(3,))


def test_after_a_guard_the_next_correct_file_goes_through_whole(begun):
    begun.write("bad.csv", HEADER, rows([key.lstrip("0") for key in KEYS], lot="N{}"))
    assert begun.sync("bad.csv").code == 4
    begun.write("good.csv", HEADER, rows(lot="N{}", market="m{}"))
    done = begun.sync("good.csv", SYNCER_LIMITS__MAX_CHANGED_PERCENT="0")
    assert (done.code, done.document["values"]["confirmed"]) == (0, COUNT)
    assert {code["lot"] for code in begun.server().values()} == {"N0", "N1", "N2"}


def test_far_fewer_rows_than_usual_stop_the_run(begun):
    begun.write("b.csv", HEADER, [*rows(KEYS[:98]), (KEYS[98], "new", "L")])
    stops(begun, "b.csv", "only 99 of 200 rows", "50 %", "max_missing_percent")
    begun.write("c.csv", HEADER, rows(KEYS[:20]))
    assert begun.sync("c.csv").code == 4  # what was approved is not usual for that


def test_an_export_of_changes_passes_after_a_full_first_load_and_ever_after(begun):
    """An ERP that writes only changes: files of any size, in which every row has changed, some of one value."""
    begun.write("1.csv", HEADER, [(key, "one", "L9") for key in KEYS[:7]])
    assert begun.sync("1.csv").code == 0
    for night, count in enumerate((99, 60, 0, 99, 1)):
        begun.write("n.csv", HEADER, [(key, f"night {night}", "L9") for key in KEYS[:count]])
        done = begun.sync("n.csv", SYNCER_LIMITS__MAX_CHANGED_MIN_CODES="10")
        assert done.code == 0, (night, done)


def test_corrected_rows_pass_after_full_nights(begun):
    begun.write("b.csv", HEADER, [(KEYS[0], "new", "L"), *rows(KEYS[1:])])
    assert begun.sync("b.csv").code == 0
    begun.write("error.csv", HEADER, [(KEYS[1], "right", "L"), (KEYS[2], "right", "L")])
    assert begun.sync("error.csv").code == 0
    begun.write("c.csv", HEADER, rows(KEYS[5:60]))
    assert begun.sync("c.csv").code == 4  # two rows are not usual now


def test_a_part_of_a_full_export_that_changed_wholly_stops_where_nights_are_full(begun):
    begun.write("b.csv", HEADER, [(KEYS[0], "new", "L"), *rows(KEYS[1:])])
    assert begun.sync("b.csv").code == 0
    begun.write("c.csv", HEADER, rows(KEYS[:100], lot="N{}"))
    done = stops(begun, "c.csv", "100 of 100 known codes (100 %)")
    assert [stop["guard"] for stop in done.document["error"]["stops"]] == ["changes"]


@pytest.mark.parametrize("count", [1, COUNT])
def test_an_export_without_rows_stops_the_run_at_any_size(night, count):
    with night(codes=WORLD) as here:
        here.write("a.csv", HEADER, rows(KEYS[:count]))
        assert here.sync("a.csv").code == 0
        here.write("b.csv", HEADER, [])
        done = here.sync("b.csv")
        assert (done.code, f"no rows are in b.csv; run 1 read {count}" in done.document["error"]["message"]) == (
            4,
            True,
        )
        here.write("c.csv", HEADER, rows(KEYS[:count]))
        assert here.sync("b.csv", "--approve").code == 0
        assert here.sync("b.csv").code == 4  # approved once is not approved for ever


MENDED = (*HEADER, "_file", "_line", "_code", "_message")


def test_mended_rows_are_no_export_and_change_nothing_of_what_is_usual(begun):
    """u3: three mended rows of error.csv go through; the next night is measured by the full ones before."""
    begun.write("b.csv", HEADER, [(KEYS[0], "new", "L"), *rows(KEYS[1:])])
    assert begun.sync("b.csv").code == 0
    for name, count in (("unchanged.csv", 3), ("all.csv", 60)):
        begun.write(name, MENDED, [(*row, "b.csv", 2, "E307", "x") for row in rows(KEYS[1 : 1 + count], lot="L{}")])
        assert begun.sync(name).code == 0
    begun.write("one.csv", MENDED, [(key, "DE", "L9", "b.csv", 2, "E307", "x") for key in KEYS[:150]])
    os.utime(begun.folder / "one.csv", (1_700_000_000, 1_700_000_000))
    assert begun.sync("one.csv").code == 0  # one value in all rows, nearly all changed, an old file: all as people mend
    begun.write("empty.csv", HEADER, [])
    assert begun.sync("empty.csv").code == 4
    begun.write("half.csv", HEADER, [(key, "DE", "L9") for key in KEYS[:90]])
    done = begun.sync("half.csv")
    assert (done.code, "only 90 of 200 rows" in done.document["error"]["message"]) == (4, True)


def test_an_empty_mended_file_is_fine_and_keys_a_spreadsheet_broke_are_not(begun):
    begun.write("a.csv", MENDED, [])
    assert begun.sync("a.csv").code == 0
    begun.write("b.csv", MENDED, [("8.71152E+12", "DE", "L1", "b.csv", 2, "E307", "x")])
    assert begun.sync("b.csv").code == 4


@pytest.mark.parametrize("count", [20, 199])
def test_guards_hold_at_any_size_from_a_few_codes_on(night, count):
    """u22: every market the same, a column emptied, every lot another: with a small file as with a large one."""
    with night(codes=WORLD) as here:
        here.write("a.csv", HEADER, rows(KEYS[:count]))
        assert here.sync("a.csv").code == 0
        here.write("market.csv", HEADER, rows(KEYS[:count], market="XX"))
        here.write("lot.csv", HEADER, rows(KEYS[:count], lot=""))
        here.write("all.csv", HEADER, rows(KEYS[:count], lot="N{}"))
        here.write("few.csv", HEADER, rows(KEYS[: count // 2 - 1]))
        guards = [
            here.sync(name).document["error"]["stops"][0]["guard"]
            for name in ("market.csv", "lot.csv", "all.csv", "few.csv")
        ]
        assert guards == ["columns", "columns", "changes", "rows"]


def test_a_job_of_another_name_keeps_its_nights_and_a_new_job_beside_it_has_none(begun):
    """The first run of a second job is measured by no other job's nights, in `plan` as in `sync`."""
    begun.write("few.csv", HEADER, rows(KEYS[:40]))
    begun.write("none.csv", HEADER, [])
    for name in ("few.csv", "none.csv"):
        begun.config(CONFIG + "[jobs.default]\n[jobs.beside]\n")
        assert begun.run("plan", "--json", name, "--job", "beside").code == 0
        begun.config(CONFIG + "[jobs.renamed]\n")
        assert (begun.run("plan", "--json", name).code, begun.sync(name).code) == (4, 4)
    begun.config(CONFIG + "[jobs.default]\n[jobs.beside]\n")
    assert begun.sync("few.csv", "--job", "beside").code == 0


def test_an_approved_run_says_what_it_let_through(begun):
    begun.write("b.csv", HEADER, rows(KEYS[:20]))
    done = begun.sync("b.csv", "--approve")
    assert any(note.startswith("approved: only 20 of 200 rows") for note in done.document["notes"])
    assert not [note for note in begun.sync("first.csv", "--approve").document["notes"] if "approved" in note]


def test_changes_are_shown_with_their_old_value_their_new_one_and_their_line(begun):
    begun.write("b.csv", HEADER, rows(lot="N{}"))
    old = int(KEYS[0][-5:-1]) % 3
    stops(begun, "b.csv", f"{KEYS[0]} (b.csv:2): lot 'L{old}' → 'N{old}'; ")


def test_a_full_export_is_compared_with_all_known_codes_and_changes_with_none(begun):
    begun.write("b.csv", HEADER, rows(KEYS[:90], lot="L{}"))
    begun.config(CONFIG + '[jobs.default]\nexport = "changes"\n')
    assert begun.sync("b.csv").code == 0
    begun.config(CONFIG + '[jobs.default]\nexport = "full"\n')
    begun.write("c.csv", HEADER, [*rows(KEYS[:89]), (KEYS[89], "new", "L")])
    stops(begun, "c.csv", "only 90 of 200 known codes", "55 %")
    begun.config(CONFIG + 'max_missing_percent = 0\n[jobs.default]\nexport = "full"\n')
    begun.write("d.csv", HEADER, [*rows(KEYS[:88]), (KEYS[89], "newer", "L")])
    assert begun.sync("d.csv").code == 0


FULL = '[jobs.default]\nexport = "full"\n'


@pytest.mark.parametrize("cause", ["another key", "recover"])
def test_codes_of_which_all_is_uncertain_are_neither_missing_nor_unknown(night, cause):
    """What would mend it is the same full export: it goes through, whatever made the codes uncertain."""
    with night(codes=tuple({**code, "serial_number": f"S{n}"} for n, code in enumerate(WORLD))) as here:
        here.config(CONFIG + FULL + '[jobs.other]\nkey = "serial_number"\nexport = "changes"\n')
        file = here.write("a.csv", HEADER[:2], [row[:2] for row in rows()])
        assert here.sync("--job", "default", file).code == 0
        if cause == "recover":
            assert here.run("ledger", "recover").code == 0
        else:
            assert (
                here.sync("--job", "other", here.write("b.csv", ("serial_number", HEADER[1]), [("S3", "x")])).code == 0
            )
        plan = here.run("plan", "--json", "--job", "default", file)
        assert (plan.code, plan.document["rows"]["unchanged"]) == (0, 0), plan.document["error"]
        few = here.write("few.csv", HEADER[:2], [row[:2] for row in rows(KEYS[:80])])
        assert here.run("plan", "--json", "--job", "default", few).code == 4
        assert here.sync("--job", "default", file).code == 0
        assert here.sync("--job", "default", file).document["rows"]["unchanged"] == COUNT


def test_a_full_export_is_measured_by_the_nights_of_its_own_job(night):
    """A second job of the same key is no part of the first one: neither its first night stops, nor any later one."""
    with night(codes=(*WORLD, {"extended_id": "K1"})) as here:
        here.config(CONFIG + "max_changed_percent = 0\n" + FULL + '[jobs.other]\nexport = "full"\n')
        every, few = here.write("a.csv", HEADER, rows(KEYS[:180])), here.write("b.csv", HEADER, rows(KEYS[170:]))
        assert here.sync("--job", "default", every).code == 0
        for night_ in range(2):
            assert here.sync("--job", "other", few).code == 0, night_
        assert here.sync("--job", "default", every).code == 0
        less = here.write("c.csv", HEADER, rows(KEYS[:60]))
        done = here.sync("--job", "default", less)
        assert (done.code, done.document["error"]["stops"][0]["guard"]) == (4, "rows")
        assert "only 60 of 180 known codes" in done.document["error"]["message"]


def test_values_that_match_no_code_are_missed_by_no_night(night):
    """Of 240 values of a job 120 match nothing, night by night; the code space has many others."""
    with night(codes=WORLD) as here:
        here.config(CONFIG + FULL + '[jobs.other]\nexport = "full"\n')
        assert here.sync("--job", "other", here.write("a.csv", HEADER, rows())).code == 0
        half = [*rows(KEYS[:120]), *rows([f"99{number:011d}" for number in range(120)])]
        file = here.write("b.csv", HEADER, half)
        for _ in range(2):
            done = here.sync("--job", "default", file)
            assert (done.code, done.document["values"]["unmatched"]) in {(3, 120), (3, 0)}, done.document["error"]


def test_two_codes_that_differ_in_letter_case_alone_are_two_known_codes_though_all_is_uncertain(night):
    box = ({"extended_id": "abcd0001", "serial_number": "S1"}, {"extended_id": "ABCD0001", "serial_number": "S2"})
    with night(codes=box) as here:
        here.config('[jobs.default]\nexport = "changes"\n[jobs.other]\nkey = "serial_number"\nexport = "changes"\n')
        both = here.write("a.csv", HEADER[:2], [("abcd0001", "DE"), ("ABCD0001", "DE")])
        assert here.sync("--job", "default", both).code == 0
        assert here.sync("--job", "other", here.write("b.csv", ("serial_number", HEADER[1]), [("S1", "x")])).code == 0
        assert here.sync("--job", "default", here.write("c.csv", HEADER[:2], [("ABCD0001", "FR")])).code == 0


def test_a_column_that_became_empty_or_has_one_value_stops_the_run(begun):
    begun.config(CONFIG + "max_changed_percent = 0\n")
    begun.write("empty.csv", HEADER, rows(lot=""))
    begun.write("one.csv", HEADER, rows(market="DE"))
    stops(begun, "empty.csv", "column of lot is empty", "200 rows", "it had several in the last run", blanks=True)
    stops(begun, "one.csv", "column of intended_market has one value, 'DE', in all 200 rows", approved=(0,))


def test_of_a_file_in_which_every_row_is_rejected_nothing_is_sent_and_no_guard_is_needed(night):
    with night(codes=WORLD) as here:
        header = HEADER[:2]
        here.write("a.csv", header, [row[:2] for row in rows()])
        assert here.sync("a.csv").code == 0
        here.write("b.csv", header, [(f"{key} ", "DE") for key in KEYS])
        done = here.sync("b.csv")
        assert (done.code, done.document["rows"]["invalid"], done.document["requests"]["updates"]) == (3, COUNT, 0)


def test_a_file_older_than_the_last_one_stops_the_run(begun):
    begun.write("b.csv", HEADER, [(KEYS[0], "new", "L"), *rows(KEYS[1:])])
    os.utime(begun.folder / "b.csv", (1_700_000_000, 1_700_000_000))
    stops(begun, "b.csv", "b.csv was written on 2023-11-14 22:13:20Z", "first.csv", approved=(0,))


def test_the_content_of_an_earlier_night_stops_the_run_whatever_its_name_and_time(begun):
    begun.write("b.csv", HEADER, [(KEYS[0], "new", "L"), *rows(KEYS[1:])])
    assert begun.sync("b.csv").code == 0
    (begun.folder / "c.csv").write_bytes((begun.folder / "first.csv").read_bytes())
    stops(begun, "c.csv", "c.csv is the file that run 1 read", "1 known codes", approved=(0,))


def test_the_last_file_once_more_is_fine_even_when_restored_with_an_older_time(begun):
    os.utime(begun.folder / "first.csv", (1_700_000_000, 1_700_000_000))
    assert begun.sync("first.csv").code == 0
    assert begun.sync("first.csv", "--force").code == 0


def test_guards_can_be_turned_off(begun):
    begun.config(
        CONFIG + "max_changed_percent = 0\nmax_missing_percent = 0\ncheck_keys = false\n"
        "check_columns = false\ncheck_age = false\n"
    )
    begun.write("b.csv", HEADER, [*rows([key.lstrip("0") for key in KEYS[:90]], lot=""), ("1E+12", "m", ""), *rows(KEYS[:20], lot="")])  # fmt: skip
    os.utime(begun.folder / "b.csv", (1_700_000_000, 1_700_000_000))
    assert begun.sync("b.csv").code == 3


def test_what_is_unsent_stays_planned_when_a_guard_stops_the_next_night(begun):
    begun.write("b.csv", HEADER, [(KEYS[0], "mine", "L0"), *rows(KEYS[1:])])
    down = begun.sync("b.csv", SYNCER_API__BASE_URL="http://127.0.0.1:9", SYNCER_API__GIVE_UP_AFTER_S="0.3", SYNCER_PRODUCTS__CHECK="false")  # fmt: skip
    assert down.code == 5
    begun.write("c.csv", HEADER, rows(KEYS[:40]))
    assert begun.sync("c.csv").code == 4
    with closing(sqlite3.connect(begun.folder / "syncer.db")) as ledger, ledger:
        assert ledger.execute("SELECT count(*) FROM batches WHERE state = 'planned'").fetchone() == (1,)
    assert begun.sync("b.csv").code == 0
    assert begun.server()[KEYS[0]]["intended_market"] == "mine"


def test_files_of_runs_that_recorded_less_are_left_out_of_the_comparison(begun):
    """A ledger of an older program has neither moments nor columns: what it lacks stops nobody."""
    with closing(sqlite3.connect(begun.folder / "syncer.db")) as ledger, ledger:
        form = json.loads(ledger.execute("SELECT form FROM sources").fetchone()[0])
        assert {"mtime_s", "varied"} <= set(form)
        old = {name: value for name, value in form.items() if name not in {"mtime_s", "varied"}}
        ledger.execute("UPDATE sources SET form = ?", (json.dumps(old),))
    begun.config(CONFIG + "max_changed_percent = 0\n")
    begun.write("b.csv", HEADER, rows(lot="L"))
    os.utime(begun.folder / "b.csv", (1_700_000_000, 1_700_000_000))
    assert begun.sync("b.csv").code == 0


@settings(max_examples=examples(3), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_ordinary_nights_never_trip_a_guard(night, seed):
    """Codes come and go, some change, the order too; files grow older: five such nights pass every guard."""
    dice = random.Random(seed)
    make = dice.choice([lambda n: f"{n + 990}", lambda n: f"{n * 7 + 10**12}", lambda n: f"{n:06d}", lambda n: f"K{n}"])
    world = [make(number) for number in range(600)]
    state = {key: (f"m{dice.randrange(4)}", f"L{dice.randrange(9)}") for key in world[:300]}
    with night(codes=tuple({"extended_id": key} for key in world)) as here:
        here.config(CONFIG + f'[ledger]\nurl = "sqlite:///{uuid.uuid4().hex}.db"\n')
        for number in range(5):
            for key in dice.sample(sorted(state), dice.randrange(100)):
                state[key] = (f"m{dice.randrange(4)}", dice.choice(["", f"L{dice.randrange(9)}"]))
            for key in dice.sample(sorted(state), dice.randrange(20)):
                del state[key]
            for key in world[300 + 60 * number : 300 + 60 * number + dice.randrange(1, 60)]:
                state[key] = (f"m{dice.randrange(4)}", "L1")
            listed = [(key, *values) for key, values in state.items()]
            dice.shuffle(listed)
            here.write(f"{number}.csv", HEADER, listed)
            done = here.sync(f"{number}.csv")
            assert done.code == 0, (seed, number, done)


def test_a_part_of_a_composite_key_that_lost_its_zeros_stops_the_run(night):
    world = tuple({"extended_id": f"X{n}", "case_no": f"C{n % 10}", "box": f"00{n}"} for n in range(120))
    with night(codes=world) as here:
        here.config(CONFIG + '[jobs.default]\nkey = ["case_no", "box"]\nunique = true\n')
        header = ("case_no", "box", "lot")
        listed = [(code["case_no"], code["box"], f"L{place % 3}") for place, code in enumerate(world)]
        here.write("a.csv", header, listed)
        assert here.sync("a.csv").code == 0
        here.write("b.csv", header, [("C0", "0", "new"), *listed[1:]])
        done = here.sync("b.csv")
        assert done.code == 4, done
        assert "b.csv:2 '0 + C0' (the ledger has '000 + C0')" in done.document["error"]["message"]
