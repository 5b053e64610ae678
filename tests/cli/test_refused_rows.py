"""Rows that the API refuses without naming them, at the end of a file, night by night; and a way that shuts in mid-run."""

from __future__ import annotations

import csv
import json

import pytest
from catalogue.front import Act, Front, bytes_of, http_answer
from conftest import codes

ROWS = 1000
HEADER = ("extended_id", "shipment")
WORD = "union select"
PAGE = b"<html><head><title>Request blocked</title></head></html>"
BARE = http_answer(b'{"detail": "Bad Request"}', status=b"400 Bad Request")
BLOCKED = http_answer(PAGE, status=b"403 Forbidden")
QUOTA = http_answer(b'{"detail": "Quota used up."}', status=b"402 Payment Required")
QUOTA_AS_BAD_DATA = http_answer(b'{"detail": "Quota used up."}', status=b"400 Bad Request")
LOCKED = http_answer(b'{"detail": "Locked."}', status=b"423 Locked")
CALLS = {"sync", "async"}


def write(here, bad, kind, name="a.csv"):
    """Write a file whose last `bad` rows have a word that is refused; sync calls carry it, or async ones."""
    own = str if kind == "sync" else lambda number: "same"
    rows = [(f"K{n:06d}", f"S-{own(n)}" if n < ROWS - bad else f"{WORD} {own(n)}") for n in range(ROWS)]
    return here.write(name, HEADER, rows)


def named_in_error_csv(here):
    with (here.folder / "results" / "error.csv").open(encoding="utf-8") as file:
        return [(row["extended_id"], int(row["_line"]), row["_message"]) for row in csv.DictReader(file)]


def refuses(answer):
    """Return what a front does that refuses each upload with the word in it."""
    return lambda call: (
        Act(bytes_of(answer), pass_on=False) if call.name in CALLS and WORD.encode() in call.body else None
    )


@pytest.mark.parametrize(("bad", "answer", "kind"), [(30, BARE, "sync"), (60, BLOCKED, "async")])
def test_a_stretch_of_bad_rows_at_the_end_is_rejected_row_by_row_each_night(night, record_property, bad, answer, kind):
    with night(codes=codes(ROWS)) as here, Front(here.box.port, refuses(answer)) as front:
        here.environment["SYNCER_API__BASE_URL"] = front.url
        name, spent = write(here, bad, kind), []
        for planned in (ROWS, bad):  # the second night has nothing else to send
            before = sum(front.count(one) for one in CALLS)
            done = here.sync(name, "--results", "results")
            assert done.code == 3, done
            values = done.document["values"]
            assert (values["rejected"], values["unsent"], values["confirmed"]) == (bad, 0, planned - bad)
            named = named_in_error_csv(here)
            assert [(key, line) for key, line, _ in named] == [(f"K{n:06d}", n + 2) for n in range(ROWS - bad, ROWS)]
            assert all("Bad Request" in words or "Request blocked" in words for *_, words in named)
            spent.append(sum(front.count(one) for one in CALLS) - before)
        record_property("table", ("calls spent on rows at the end that are refused", f"{bad} {kind}: {spent}"))
        assert spent[1] <= 2.25 * bad + 20
        assert spent[0] <= spent[1] + 60
        assert sum(code.get("shipment", "").startswith("S-") for code in here.server().values()) == ROWS - bad
        assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [
        (QUOTA, 5, "sync"),
        (LOCKED, 5, "async"),
        (BARE, 5, "sync"),
        (QUOTA_AS_BAD_DATA, 5, "async"),
        (BLOCKED, 12, "sync"),
        (BLOCKED, 12, "async"),
    ],
)
def test_a_way_that_shuts_in_the_midst_of_a_run_stops_it_within_a_few_calls_and_blames_no_row(
    night, record_property, answer, code, kind
):
    with night(codes=codes(ROWS)) as here:

        def bend(call):
            shut = call.name in CALLS and sum(front.count(one) for one in CALLS) > 2
            return Act(bytes_of(answer), pass_on=False) if shut else None

        with Front(here.box.port, bend) as front:
            here.environment["SYNCER_API__BASE_URL"] = front.url
            done = here.sync(write(here, 400, kind))  # of async calls, the second carries other data
            assert done.code == code, done
            assert "no row is blamed" in done.document["error"]["message"]
            values = done.document["values"]
            assert (values["rejected"], values["confirmed"] + values["unsent"]) == (0, ROWS)
            spent = sum(front.count(one) for one in CALLS)
            record_property("table", ("calls until a way that shut stops the run", f"{answer[9:16]!r} {kind}: {spent}"))
            assert spent <= 25
            front.bend = lambda call: None
            assert here.run("resume", "--json").code == 0
            assert all(held.get("shipment") for held in here.server().values())


def test_a_quota_that_counts_values_stops_the_run_too(night):
    """A call that carries nothing would be answered as ever: the witness names a code."""
    with night(codes=codes(ROWS)) as here:
        left = [400]

        def bend(call):
            if call.name != "sync":
                return None
            items = len(json.loads(call.body)["items"])
            left[0] -= items
            return Act(bytes_of(QUOTA_AS_BAD_DATA), pass_on=False) if left[0] < 0 and items else None

        with Front(here.box.port, bend) as front:
            here.environment["SYNCER_API__BASE_URL"] = front.url
            done = here.sync(write(here, 0, "sync"))
            assert done.code == 5, done
            assert done.document["values"]["rejected"] == 0
            assert front.count("sync") <= 25  # some are in flight when it shuts
