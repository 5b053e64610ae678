"""Terminals of 60, 80 and 100 columns: nothing is cut off, no word is folded, and what does not fit is stacked (u17)."""

from __future__ import annotations

import io
import re

import pytest
from conftest import codes
from rich.console import Console

from syncer.ledger.values import Job, Run
from syncer.report.console import InertConsole
from syncer.report.progress import live_bar
from syncer.report.scans import compare_text
from syncer.report.table import FittedTable
from syncer.report.text import sync_text
from syncer.results import SyncResult
from syncer.scans.compare import Comparison, Disagreement

WIDTHS = (60, 80, 100)
STYLED = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
EMPTY_COLUMNS = {"task", "said", "campaign"}
"""Names of columns without any value here: where records are stacked, they are left out."""
HEADER = ("extended_id", "intended_market", "production_date", "distribution_channel")
ROWS = [(f"K{n:06d}", "Deutschland, Österreich und die Schweiz", "2026-11-25", "wholesale partners") for n in range(3)]


def drawn(renderable, width):
    out = io.StringIO()
    InertConsole(file=out, width=width, highlight=False).print(renderable)
    return out.getvalue()


def words(text):
    return set(STYLED.sub("", text).replace("\r", "").split())


def assert_whole(narrow, wide, width):
    lines = [line for line in STYLED.sub("", narrow).replace("\r", "").splitlines() if "next: " not in line]
    assert [line for line in lines if len(line) > width] == []
    assert {word for word in words(wide) - words(narrow) if len(word) < width - 24} <= EMPTY_COLUMNS
    assert "…" not in narrow or "…" in wide


@pytest.mark.parametrize(
    "arguments",
    [("audit", "show", "K000001"), ("status", "1"), ("status",), ("plan", "b.csv", "--diff"), ("products", "list")],
)
def test_on_a_terminal_every_word_is_whole(night, arguments):
    with night(codes=codes(3), products=frozenset({"A-PRODUCT-WITH-A-LONG-SKU-0001"})) as here:
        here.write("a.csv", HEADER, ROWS)
        here.write("b.csv", HEADER, [*((row[0], "FR", *row[2:]) for row in ROWS), ("", "x", "y", "z")])
        here.run("sync", "a.csv")
        here.run("products", "pull")
        seen = {width: here.on_terminal(*arguments, columns=width, streams=(1,), ends=None) for width in (*WIDTHS, 400)}
        for width in WIDTHS:
            steady = re.sub(r"[\d.]+ s|\(\d+ ms\)", "", seen[width])  # what differs from one run to the next
            assert_whole(steady, re.sub(r"[\d.]+ s|\(\d+ ms\)", "", seen[400]), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_scans_compare_shows_the_times_it_compares(width):
    found = Disagreement(
        "0b6d5a5e-7c1f-4a53-9d7c-0b6d5a5e7c1f", "2026-11-24T21:14:03.123Z", "extended_id", "DEMO00000001",
        "intended_market", "FR", ("Deutschland", "Österreich"), "2026-11-24T20:59:59.999Z", 12, 345,
        "night-2026-11-24.csv", 100_001,
    )  # fmt: skip
    result = Comparison(scans=10, scans_compared=9, agree=8, disagree=1, disagreements=[found])
    text = drawn(compare_text(result), width)
    assert_whole(text, drawn(compare_text(result), 400), width)
    assert {found.at, found.confirmed_at, "night-2026-11-24.csv:100001"} <= words(text)


def test_a_table_that_does_not_fit_is_stacked_under_the_names_of_its_columns():
    table = FittedTable("task", "said")
    table.add_row("0b6d5a5e-7c1f-4a53-9d7c-0b6d5a5e7c1f", "accepted")
    table.add_row("second", "")
    assert drawn(table, 60).splitlines()[0].split() == ["task", "said"]
    assert drawn(table, 42).splitlines() == [
        "task  0b6d5a5e-7c1f-4a53-9d7c-0b6d5a5e7c1f", "said  accepted", "", "task  second",
    ]  # fmt: skip
    assert drawn(table, 39).splitlines()[:3] == ["task", "  0b6d5a5e-7c1f-4a53-9d7c-0b6d5a5e7c1f", "said  accepted"]


def test_a_sentence_that_would_stand_in_a_narrow_column_is_stacked():
    table = FittedTable("why", "for example", "what it means")
    table.add_row(
        "no code has this value", "K000300", "the API has no code with this value: correct the key in the source"
    )
    assert "what it means  the API has no code" in drawn(table, 36)
    assert "for example  what it means" in drawn(table, 100)


def test_a_word_longer_than_the_terminal_is_folded_and_not_cut():
    table = FittedTable("data")
    table.add_row("x" * 100)
    assert drawn(table, 40).count("x") == 100


def test_a_command_to_paste_is_never_folded():
    from rich.text import Text

    command = "next: syncer sync --job erp " + " ".join(f"file-{n}.csv" for n in range(10))
    assert command in drawn(Text("error: " + "words " * 20 + "\n" + command), 60).splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_bar_shows_the_time_that_remains(width):
    out = io.StringIO()
    bar = live_bar(Console(file=out, width=width, force_terminal=True, highlight=False))
    said = "calls (9.9/s); 12,345 of 1,000,000 values confirmed, 12 tasks pending; waiting for tasks"
    bar.update(bar.task_ids[0], description="settling earlier runs", total=10_000, completed=1234, words=said)
    bar.console.print(bar.get_renderable())
    text = STYLED.sub("", out.getvalue())
    assert "1234/10000" in text
    assert re.search(r"-:--:--|\d:\d\d:\d\d", text)
    assert words(said) <= words(text)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_what_waits_for_older_uploads_is_told_with_the_command_that_sends_it():
    """It alone makes the exit code 3."""
    job = Job(1, 1, "erp", ("extended_id",), ("market",))
    run = Run(7, job, "incomplete", True, "", None, None, None, "auto", None, True, {}, 0, (), "")
    said = drawn(sync_text(SyncResult("sync", run=run, waiting=3)), 200)
    assert "still to be sent, once older uploads of the same codes have ended: 3 values" in said
    assert "next: syncer resume" in said
