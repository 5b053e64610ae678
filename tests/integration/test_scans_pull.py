"""A pull of scans delivers each scan once: whatever dies, whatever the API does, however late a scan arrives."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from scan_tools import SCANS_END, DeathError, delivered, everything, pull, raw, stored, uuids

from syncer.api.scans import ScansClient
from syncer.commands.environment import Environment
from syncer.errors import OutputError
from syncer.ledger.scans import ScanLedger
from syncer.process.clock import SystemClock
from syncer.report.scans import pull_document
from syncer.safe.files import NewFile
from syncer.scans import parts
from syncer.scans.parts import PartsFolder
from syncer.scans.pull import ScanPull

COUNT = 57
SMALL = {"SYNCER_SCANS__PAGE_ROWS": "5", "SYNCER_SCANS__PART_ROWS": "10", "SYNCER_SCANS__OVERLAP_H": "48"}
PAGES = 8


class Ahead(SystemClock):
    """The machine's clock, so many seconds later."""

    def __init__(self, seconds):
        self.seconds = seconds

    def wall_s(self):
        return super().wall_s() + self.seconds


TAKES = ("syncer.scans.pull:ScanPull._take",)


def open_scans(night, **config):
    return night(**{"scans": COUNT, "scans_end": SCANS_END, "scans_days": 20.0, "reads_per_minute": 10**6, **config})


def test_a_pull_killed_at_every_page_has_each_scan_once_in_the_end(night, forks):
    with open_scans(night, scans=5 * PAGES) as here:
        command = ["scans", "pull", "--campaign", "1", "--format", "csv", "--out", "out"]
        variables = here.variables(**SMALL | {"SYNCER_SCANS__PART_ROWS": "5"})
        # A place before each page, and one after it: 3 is the second page.
        trap = {"where": "calls", "of": TAKES, "do": "kill"}
        # Each process commits one page, and dies when it has the next; the last one lives.
        for page in range(1, PAGES + 1):
            done = forks.run(here.folder, variables, *command, trap={**trap, "at": 3 if page < PAGES else 0})
            assert done.code == (-signal.SIGKILL if page < PAGES else 0), done.err
            assert uuids(here.folder / "out") == everything(here)[: 5 * page]
        assert uuids(here.folder / "out") == everything(here)


@pytest.mark.parametrize(
    ("owner", "method", "form"),
    [
        (ScanPull, "_take", "jsonl"),
        (PartsFolder, "write", "csv"),
        (ScanLedger, "commit", "jsonl"),
        (ScanLedger, "commit", "ledger"),
        (parts, "_write_csv", "csv"),
        (parts, "_write_parquet", "parquet"),
        (NewFile, "keep", "csv"),
        (NewFile, "keep", "parquet"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_the_nth_step_for_every_n_loses_and_repeats_nothing(night, monkeypatch, owner, method, form, when):
    whole = getattr(owner, method)
    into = {"into_ledger": True} if form == "ledger" else {"form": form}
    with open_scans(night, scans=17, scans_days=3.0) as here:
        for n in range(1, 60):
            numbers = itertools.count(1)  # the files of a part are synced by several threads
            extra = {**SMALL, "SYNCER_SCANS__PART_ROWS": "5", "SYNCER_LEDGER__URL": f"sqlite:///{here.folder}/{n}.db"}

            def step(*arguments, n=n, numbers=numbers, **named):
                number = next(numbers)
                if number == n and when == "before":
                    raise DeathError
                result = whole(*arguments, **named)
                if number == n:
                    raise DeathError
                return result

            with monkeypatch.context() as patch:
                patch.setattr(owner, method, step)
                try:
                    pull(here, out=f"out{n}", extra=extra, **into)
                    died = False
                except DeathError:
                    died = True
            pull(here, out=f"out{n}", extra=extra, **into)
            found = (
                [row["scan.uuid"] for row in stored(here, f"{n}.db")]
                if form == "ledger"
                else uuids(here.folder / f"out{n}")
            )
            assert sorted(found) == sorted(everything(here)), n
            if not died:
                break
        assert not died
        assert n > 3


def test_what_is_new_comes_once_and_late_scans_within_the_overlap_too(night):
    with open_scans(night) as here:
        assert pull(here, extra=SMALL).counts.delivered == COUNT
        late = here.box.scan(creation_date="2025-12-30T12:00:00Z", code_message="LATE", scm_data={"lot": "7"})
        new = here.box.scan(creation_date="2026-01-02T00:00:00Z", code_message="NEW")
        second = pull(here, extra=SMALL)
        assert (second.counts.delivered, second.counts.too_late) == (2, 0)
        assert second.counts.repeated < COUNT / 4, "only the overlap is read again"
        assert sorted(uuids(here.folder / "out")[-2:]) == sorted([late, new])
        assert pull(here, extra=SMALL).counts.delivered == 0
        assert sorted(uuids(here.folder / "out")) == sorted(everything(here))


@pytest.mark.parametrize("before", [(), (-0.5,)])
def test_a_timeframe_counts_from_the_first_pull_whatever_that_found(night, before):
    def scan(here, *days):
        for day in days:
            here.box.scan(creation_date=datetime.fromtimestamp(time.time() + day * 86_400, UTC).isoformat())

    with open_scans(night, scans=0) as here:
        scan(here, -2, *before)
        first = pull(here, extra=SMALL, timeframe="1d")
        assert (first.exit_code, first.counts.delivered) == (0, len(before))
        scan(here, 0.8, 2.8)
        for expected in (2, 0):
            result = pull(here, extra=SMALL, timeframe="1d", environment=Environment(clock=Ahead(3 * 86_400)))
            assert (result.exit_code, result.counts.delivered, result.counts.too_late) == (0, expected, 0)


@pytest.mark.parametrize("odd", [{"scm_data": {"lot": "HALF"}}, {"flags": None}, {"product_name": "HALF"}], ids=str)
def test_one_odd_scan_keeps_no_other_one_back(night, monkeypatch, odd):
    whole = ScansClient.page

    def page(self, query):
        call = self._transport.call
        with monkeypatch.context() as patch:
            half = lambda reply: replace(reply, body=reply.body.replace(b"HALF", rb"A\\ud83d \ud83d \ud83d\ude00"))  # noqa: E731
            patch.setattr(self._transport, "call", lambda *given, **named: half(call(*given, **named)))
            return whole(self, query)

    with open_scans(night, scans=5) as here:
        here.box.scan(**odd)
        monkeypatch.setattr(ScansClient, "page", page)
        result = pull(here, extra={**SMALL, "SYNCER_API__GIVE_UP_AFTER_S": "1"})
        assert (result.exit_code, result.counts.delivered) == (0, 6)
        texts = [row.get("scm.lot", row.get("product.name")) for row in delivered(here.folder / "out")]
        assert ("A\\ud83d \ufffd \U0001f600" in texts) == ("flags" not in odd)


def test_what_is_in_no_part_is_not_called_delivered(night, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_scans(night) as here:
        with monkeypatch.context() as patch:
            patch.setattr(parts, "_write_jsonl", full)
            result = pull(here, extra=SMALL)
            assert (result.exit_code, result.error.code, result.counts.delivered) == (1, "output", 0)
        assert pull(here, extra=SMALL).counts.delivered == COUNT
        with monkeypatch.context() as patch:
            patch.setattr(NewFile, "keep", full)
            with pytest.raises(OutputError):
                raw(here, "all.csv")
        assert not list(here.folder.glob("all.csv*"))


def test_a_scan_from_the_future_does_not_hide_the_present(night):
    with open_scans(night) as here:
        here.box.scan(creation_date="2099-01-01T00:00:00Z")
        assert pull(here, extra=SMALL).counts.delivered == COUNT + 1
        now = here.box.scan()
        assert pull(here, extra=SMALL).counts.delivered == 1
        assert uuids(here.folder / "out").count(now) == 1


def test_a_scan_from_the_year_1_ends_no_later_pull(night):
    with open_scans(night, scans=0) as here:
        here.box.scan(creation_date="0001-01-01T00:00:00Z")
        for delivered_now in (1, 0):  # the second one asks from two days before the year 1 on: it ended with 1
            result = pull(here, extra=SMALL, form="parquet", begin="0001-01-01")
            assert (result.exit_code, result.counts.delivered) == (0, delivered_now)
        assert [path.name for path in (here.folder / "out").iterdir()] == ["date=0001-01-01"]


def test_a_greater_overlap_repeats_nothing(night):
    with open_scans(night) as here:
        pull(here, extra=SMALL)
        again = pull(here, extra={**SMALL, "SYNCER_SCANS__OVERLAP_H": "400"})
        assert (again.counts.delivered, again.counts.too_late) == (0, 0)


def test_every_format_says_the_same(night):
    with open_scans(night) as here:
        here.box.scan(
            creation_date="2025-12-30T12:00:00.5Z", flags=["a", "b"], scm_data={"remark": ' "x",\r\n\ty ', "empty": ""},
            lat=None, product_id=None, user=None, device=None,
        )  # fmt: skip
        for form in ("jsonl", "csv", "parquet"):
            assert pull(here, out=form, form=form, extra=SMALL).exit_code == 0
        assert pull(here, into_ledger=True, extra=SMALL).exit_code == 0
        told = delivered(here.folder / "jsonl")

        def texts(rows):
            made = [
                {
                    name: str(value).lower() if isinstance(value, bool) else str(value)
                    for name, value in row.items()
                    if value not in (None, "") and name != "scan.datetime"
                }
                for row in rows
            ]
            return sorted(made, key=lambda row: row["scan.uuid"])

        for form in ("csv", "parquet"):
            assert texts(delivered(here.folder / form)) == texts(told)
        assert texts(stored(here)) == texts(told)
        days = {path.parent.name for path in (here.folder / "parquet").glob("date=*/*.parquet")}
        assert days == {f"date={str(row['scan.datetime'])[:10]}" for row in told}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "status", "status_code": 500},
        {"kind": "status", "status_code": 429, "seconds": 1}, {"kind": "garbage"}, {"kind": "html"},
        {"kind": "truncate"}, {"kind": "next_elsewhere", "url": "http://127.0.0.1:9/api/v2/dashboard/scans/?cursor=x"},
        {"kind": "next_elsewhere", "url": "https://elsewhere.example/api/v2/dashboard/scans/?cursor=x"},
        {"kind": "page_again"}, {"kind": "body", "text": '{"results": []}'},
        {"kind": "body", "text": '{"results": [{"uuid": "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz", "creation_date": "x"}], "next": null}'},
    ],
    ids=lambda fault: "-".join(map(str, fault.values()))[:40],
)  # fmt: skip
@pytest.mark.parametrize("nth", [1, 5])
def test_a_fault_costs_a_retry_and_no_scan(night, fault, nth):
    with open_scans(night, faults=({**fault, "on": "scans", "nth": nth},)) as here:
        result = pull(here, extra=SMALL)
        assert result.exit_code == 0
        assert result.counts.retries >= 1
        assert uuids(here.folder / "out") == everything(here)


def test_a_redirect_is_waited_for_where_the_api_was_a_moment_ago_and_else_ends_the_pull(night):
    fault = {"kind": "redirect", "on": "scans"}
    with open_scans(night, faults=({**fault, "nth": 1}, {**fault, "nth": 6})) as here:
        stopped = pull(here, extra=SMALL)
        assert (stopped.exit_code, "is not the API" in stopped.error.message) == (5, True)
        result = pull(here, extra=SMALL)
        assert (result.exit_code, result.counts.retries) == (0, 1)
        assert uuids(here.folder / "out") == everything(here)


def test_the_token_never_goes_to_another_host(night, tmp_path):
    (tmp_path / "b").mkdir()
    with open_scans(night) as other:
        url = f"{other.box.url}/api/v2/dashboard/scans/?campaign_id=1&cursor=x"
        with open_scans(night, faults=({"kind": "next_elsewhere", "on": "scans", "every": 1, "url": url},)) as here:
            result = pull(here, extra=SMALL | {"SYNCER_API__GIVE_UP_AFTER_S": "0.5"})
            assert result.exit_code == 5
            assert not other.box.requests
            assert "127.0.0.1" in result.error.message


def test_pages_that_lead_in_a_circle_end_the_pull(night):
    with open_scans(night, faults=({"kind": "page_again", "on": "scans", "every": 1},)) as here:
        result = pull(here, extra=SMALL | {"SYNCER_API__GIVE_UP_AFTER_S": "0.5"})
        assert result.exit_code == 5


def test_a_cursor_that_is_refused_begins_anew_and_repeats_nothing(night):
    refused = {"kind": "status", "on": "scans", "nth": 7, "status_code": 400}
    with open_scans(night, faults=(refused,)) as here:
        result = pull(here, extra=SMALL)
        assert (result.exit_code, result.counts.restarts) == (0, 1)
        assert sorted(uuids(here.folder / "out")) == sorted(everything(here))


def test_scans_that_are_counted_and_never_shown_are_told_and_asked_for_again(night, monkeypatch):
    whole = ScansClient.page
    with open_scans(night) as here:
        with monkeypatch.context() as patch:
            patch.setattr(ScansClient, "page", lambda self, query: replace(whole(self, query), count=COUNT + 3))
            result = pull(here, extra=SMALL)
            assert (result.exit_code, result.counts.missing, result.state.watermark_us) == (3, 3, None)
            assert pull_document(result)["complete"] is False
        with monkeypatch.context() as patch:
            patch.setattr(ScansClient, "page", lambda self, query: replace(whole(self, query), count=COUNT))
            result = pull(here, extra=SMALL)
        assert (result.exit_code, result.counts.delivered) == (0, 0)
        assert result.state.watermark_us is not None
        assert uuids(here.folder / "out") == everything(here)


def test_a_missing_permission_says_which_one(night):
    with open_scans(night, tokens={"canary-4f9a1c": frozenset({"product_view"})}) as here:
        result = pull(here, extra=SMALL)
        assert result.exit_code == 12
        assert "scans_download" in result.error.message


def test_sigterm_keeps_what_came_and_the_next_run_goes_on(night, forks):
    with open_scans(night, faults=({"kind": "hang", "on": "scans", "nth": 8, "seconds": 30},)) as here:
        command = ["scans", "pull", "--campaign", "1", "--out", "out", "--format", "jsonl", "--json"]
        trap = {"where": "calls", "of": TAKES, "do": "terminate", "at": 13}  # before the seventh page
        done = forks.run(here.folder, here.variables(**SMALL | {"SYNCER_API__TIMEOUT_S": "60"}), *command, trap=trap)
        assert done.code == 143, done.err
        kept = uuids(here.folder / "out")
        assert kept == everything(here)[: len(kept)]
        assert len(kept) >= 30
        assert here.run("scans", "pull", "--campaign", "1", "--out", "out", "--format", "jsonl", **SMALL).code == 0
        assert uuids(here.folder / "out") == everything(here)


def test_a_folder_belongs_to_one_pull(night):
    with open_scans(night) as here:
        assert pull(here, extra=SMALL).exit_code == 0
        for other in ({"form": "csv"}, {"flags": ("counterfeit",)}, {"campaign": 2}, {"begin": "2025-01-01"}):
            with pytest.raises(Exception, match="another pull"):
                pull(here, extra=SMALL, **other)
        refused = here.run("scans", "pull", "--campaign", "1", "--out", "out", "--json")
        assert (refused.code, refused.document["error"]["next"]) == (
            2,
            "syncer scans pull --help",
        )  # not the same again
        os.unlink(here.folder / "syncer.db")
        result = pull(here, extra=SMALL)
        assert result.exit_code == 2
        assert "knows nothing of" in result.error.message


def test_a_pull_goes_on_beside_a_sync_but_not_beside_another_pull(night):
    from syncer.errors import LedgerBusyError
    from syncer.ledger.ledger import Ledger

    with open_scans(night) as here:
        url = f"sqlite:///{here.folder}/syncer.db"
        with Ledger.open_to_write(url, at="2026-01-01T00:00:00.000Z"):
            assert pull(here, extra=SMALL).exit_code == 0
        with ScanLedger.open(url, at="2026-01-01T00:00:00.000Z"), pytest.raises(LedgerBusyError):
            pull(here, extra=SMALL)
