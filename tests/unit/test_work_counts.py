"""What pulls and uploads came to, as their record keeps it and ``status`` tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from syncer.codes.upload_result import CodesResult
from syncer.lifecycle.part import PartState
from syncer.report.status import CAME_TO
from syncer.scans.pull import PullCounts
from syncer.scans.pull_result import RawResult, ScansPullResult


def test_what_an_upload_or_a_pull_came_to_is_counted_in_words_that_status_has():
    parts = [SimpleNamespace(state=state, codes=codes) for codes, state in enumerate(PartState, 1)]
    created = sum(part.codes for part in parts if part.state is PartState.COMPLETE)
    codes = CodesResult("codes upload", uploads=(SimpleNamespace(parts=parts),)).came_to
    assert codes["created"] >= created
    assert sum(codes.values()) == sum(part.codes for part in parts)
    scans = ScansPullResult("scans", "csv", 1.0, PullCounts(delivered=7, missing=2)).came_to
    assert scans == {"scans": 7, "missing": 2}
    raw = RawResult(Path("raw.csv"), 5, 100, 1, (2,), 0.1).came_to
    assert raw == {"lines": 5, "broken": 1}
    assert {*codes, *scans, *raw} <= {*CAME_TO}
