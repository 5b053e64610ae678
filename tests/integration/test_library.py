"""The library: DataFrames of the ledger, and a DataFrame as an export. Its document's example runs as it stands."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import codes

import syncer
from syncer.errors import GuardError, SourceError, SyncerError, UsageError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


@pytest.fixture
def here(night, monkeypatch):
    """A night in whose folder this process stands, with its variables."""
    with night(codes=codes(250)) as opened:
        monkeypatch.chdir(opened.folder)
        for name, value in opened.variables().items():
            monkeypatch.setenv(name, value)
        yield opened


def frame(**columns):
    return pd.DataFrame({name: pd.Series(cells, dtype="object") for name, cells in columns.items()})


def test_the_example_prints_what_the_document_shows(night, monkeypatch):
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE, re.DOTALL)
    with night() as opened:
        monkeypatch.chdir(opened.folder)
        for name, value in opened.variables().items():
            monkeypatch.setenv(name, value)
        names: dict[str, object] = {}
        for (language, code), (after, shown) in zip(blocks[::2], blocks[1::2], strict=True):
            assert (language, after) == ("python", "text")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, names)
            printed = [line.rstrip() for line in out.getvalue().splitlines()]
            assert printed == [line.rstrip() for line in shown.splitlines()], code


def test_importing_the_package_loads_nothing_heavy():
    asked = (
        "import sys, syncer; print(sorted({'pandas', 'pyarrow', 'sqlalchemy', 'requests', 'click'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_text_stays_text_and_times_are_utc(here):
    rows = frame(extended_id=["K000001", "K000002"], intended_market=["00123", "NA"], lot=["1e5", None])
    result = syncer.sync(rows, name="from a notebook")
    assert (result.exit_code, result.rows.new) == (0, 2)
    history = syncer.history()
    assert list(history["data"]) == [{"intended_market": "00123", "lot": "1e5"}, {"intended_market": "NA"}]
    assert [(one.file, one.line) for one in history.itertuples()] == [("from a notebook", 1), ("from a notebook", 2)]
    kinds = {name: str(kind) for name, kind in history.dtypes.items()}
    assert kinds["key"] == kinds["sha256"] == "string"
    assert kinds["line"] == "Int64"
    assert all(re.fullmatch(r"datetime64\[\w+, UTC\]", kinds[name]) for name in ("planned_at", "sent_at", "outcome_at"))
    assert here.server()["K000001"]["intended_market"] == "00123"


def test_status_has_a_row_per_run_with_its_counts(here):
    syncer.sync(frame(extended_id=["K000001", "NOBODY"], intended_market=["DE", "DE"]))
    syncer.sync(frame(extended_id=["K000001"], intended_market=["FR"]), approve=True)
    runs = syncer.status()
    assert list(runs["run_id"]) == [2, 1]
    assert list(runs["values_unmatched"]) == [0, 1]
    assert list(runs["rows_changed"]) == [1, 0]
    assert list(syncer.status(last=1)["run_id"]) == [2]
    assert list(syncer.history(run=2)["key"]) == ["K000001"]
    assert list(syncer.history(where={"intended_market": "FR"}, job="default")["key"]) == ["K000001", "K000001"]
    assert len(syncer.history(until="2001-01-01")) == 0
    assert len(syncer.history("K000001")) == 2
    assert len(syncer.history("NEVER")) == 0
    with pytest.raises(UsageError):
        syncer.history(run=9)
    with pytest.raises(TypeError):
        syncer.history("K000001", run=1)


def test_reading_needs_a_ledger_and_makes_none(here):
    with pytest.raises(SyncerError, match="no ledger"):
        syncer.history()
    assert list(here.folder.glob("syncer.db*")) == []


def test_a_frame_and_a_file_are_known_to_each_other(here):
    here.write("a.csv", ("extended_id", "intended_market"), [("K000001", "DE")])
    assert here.sync("a.csv").code == 0
    again = syncer.sync(frame(extended_id=["K000001", "K000002"], intended_market=["DE", "FR"]), dry_run=True)
    assert (again.rows.unchanged, again.rows.new) == (1, 1)
    assert len(syncer.status()) == 1, "a dry run records nothing"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1, 2], "has 1, which is no text but int"),
        ([1.5, None], "has 1.5"),
        (["DE", 7], "has 7, which is no text but int"),
        (["DE", True], "has True"),
        ([b"DE", "FR"], "has b'DE'"),
        ([pd.Timestamp("2026-11-26T05:00"), None], "Timestamp"),
        (["DE", "\ud800"], "no Unicode"),
        ([dt.date(2026, 1, 1), dt.date(1, 1, 1)], "no day since the year 1000"),
        ([dt.date(999, 12, 31), None], "no day since the year 1000"),
    ],
)
def test_a_cell_that_is_no_text_is_refused_with_its_column_and_a_remedy(here, cells, words):
    rows = frame(extended_id=["K000001", "K000002"], intended_market=cells)
    with pytest.raises(SourceError, match=words) as refused:
        syncer.sync(rows)
    assert "'intended_market'" in refused.value.message
    assert "dtype=str" in refused.value.remedy
    assert "[jobs.default.columns]" in refused.value.remedy
    assert "intended_market" not in here.server()["K000001"]


def test_a_column_of_numbers_does_no_harm_when_it_is_not_sent(here):
    here.config('[jobs.default.columns]\nextended_id = "extended_id"\nmarket = "intended_market"\n')
    rows = pd.DataFrame({"extended_id": ["K000001"], "market": ["DE"], "weight_kg": [0.75]})
    assert syncer.sync(rows).exit_code == 0
    held = here.server()["K000001"]
    assert held["intended_market"] == "DE"
    assert "weight_kg" not in held


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_column_that_is_not_sent_stands_in_the_results_as_python_writes_it(here, dry_run):
    here.config('[jobs.default.columns]\nextended_id = "extended_id"\nlot = "lot"\n')
    rows = frame(extended_id=["K000001", "K000002 ", " "], lot=["L1"] * 3).assign(
        pieces=[7, 8, 9], price=pd.Series([1.5, None, None]), note=pd.Series(["a", 3, "\ud800"], dtype="object")
    )
    result = syncer.sync(rows, name="orders", results="out", dry_run=dry_run)
    assert (result.error, result.rows.read, result.rows.invalid) == (None, 3, 2)
    lines = (here.folder / "out" / "error.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:5] for line in lines[1:]] == [["K000002 ", "L1", "8", "", "3"], [" ", "L1", "9", "", "?"]]


def test_days_categories_and_string_columns_are_taken(here):
    rows = pd.DataFrame(
        {
            "extended_id": pd.Series(["K000001", "K000002"], dtype="string"),
            "intended_market": pd.Categorical(["DE", None]),
            "production_date": pd.to_datetime(["2026-11-20", "2026-11-21"]),
        }
    )
    rows.index = pd.Index([70, 80])
    assert syncer.sync(rows).exit_code == 0
    held = here.server()
    assert (held["K000001"]["intended_market"], held["K000001"]["production_date"]) == ("DE", "2026-11-20")
    assert "intended_market" not in held["K000002"]


@pytest.mark.parametrize(
    ("dtype", "cells", "sent"),
    [
        *((pd.ArrowDtype(kind), ["DE", None], ["DE", None]) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        ("string[pyarrow]", ["DE", None], ["DE", None]),
        ("string[python]", ["DE", None], ["DE", None]),
        (pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())), ["DE", "FR"], ["DE", "FR"]),
        (pd.ArrowDtype(pa.date32()), [dt.date(2026, 11, 20), None], ["2026-11-20", None]),
        (pd.ArrowDtype(pa.timestamp("us")), [pd.Timestamp("2026-11-20"), None], ["2026-11-20", None]),
        ("float64", [float("nan")] * 2, [None, None]),
        ("Int64", [None, None], [None, None]),
        (pd.ArrowDtype(pa.null()), [None, None], [None, None]),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("parts", [1, 2])
def test_a_column_is_judged_by_its_cells_whatever_holds_them(here, dtype, cells, sent, parts):
    rows = pd.DataFrame({"intended_market": pd.Series(cells, dtype=dtype)})
    rows = pd.concat([rows] * parts, ignore_index=True)
    rows["extended_id"] = [f"K{n:06d}" for n in range(len(rows))]
    rows["lot"] = "L1"
    assert syncer.sync(rows).exit_code == 0
    held = here.server()
    assert [held[key].get("intended_market") for key in rows["extended_id"]] == sent * parts


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool", "Int64", pd.ArrowDtype(pa.int32())], ids=str)
def test_a_column_of_numbers_is_refused_by_its_type(here, dtype):
    rows = pd.DataFrame({"extended_id": ["K000001", "K000002"], "lot": pd.Series([1, 0], dtype=dtype)})
    with pytest.raises(SourceError, match=re.escape(f"column 'lot' holds {pd.Series([1], dtype=dtype).dtype} and no")):
        syncer.sync(rows, dry_run=True)


@pytest.mark.parametrize(
    ("moment", "rows"),
    [
        ("2020-01-01", 1), (dt.date(2020, 1, 1), 1), (pd.Timestamp(2020, 1, 1).to_pydatetime(), 1), (dt.date(2999, 1, 1), 0),
        (pd.Timestamp("2020-01-01T05:00:00.123456789"), 1), (pd.Timestamp("2999-01-01", tz="Europe/Berlin"), 0),
        (dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-9, minutes=-30))), 1),
        (np.datetime64("2020-01-01"), 1),
    ],
    ids=repr,
)  # fmt: skip
def test_history_takes_a_moment_or_a_day_however_it_is_held(here, moment, rows):
    syncer.sync(frame(extended_id=["K000001"], lot=["L1"]))
    assert len(syncer.history(since=moment)) == rows
    assert len(syncer.history(until=moment)) == 1 - rows


@pytest.mark.parametrize(
    "moment", [7, 1.5, pd.NaT, dt.time(5), np.datetime64("NaT"), dt.timedelta(1), ["2020"]], ids=repr
)
def test_what_is_no_moment_is_said(here, moment):
    syncer.sync(frame(extended_id=["K000001"], lot=["L1"]))
    for name in ("since", "until"):
        with pytest.raises(UsageError, match=f"{name} is .* no moment and no day"):
            syncer.history(**{name: moment})


def test_fields_that_are_chosen_by_are_a_dict(here):
    with pytest.raises(UsageError, match="where is 'lot=L1', and must name each field"):
        syncer.history(where="lot=L1")


def test_invalid_rows_are_told_by_their_place_and_written_to_the_results(here):
    rows = frame(extended_id=["K000001", "", "K000003"], intended_market=["DE", "DE", "FR"])
    result = syncer.sync(rows, name="orders", results="out")
    assert [(one.line, one.code) for one in result.rejections] == [(2, "E201")]
    assert "orders,2" in (here.folder / "out" / "error.csv").read_text(encoding="utf-8")


def test_headers_must_be_names(here):
    with pytest.raises(SourceError, match="no text as its name"):
        syncer.sync(pd.DataFrame({0: ["K000001"]}))
    with pytest.raises(SourceError, match="twice"):
        syncer.sync(pd.DataFrame([["K000001", "x"]], columns=["extended_id", "extended_id"]))


def test_the_guards_look_at_a_frame_too(here):
    many = [f"K{number:06d}" for number in range(200)]
    assert syncer.sync(frame(extended_id=many, intended_market=["DE"] * 200)).exit_code == 0
    with pytest.raises(GuardError) as stopped:
        syncer.sync(frame(extended_id=many, intended_market=["FR"] * 200))
    assert stopped.value.stops
    assert stopped.value.next == "syncer.sync(…, approve=True)"  # no command can name a DataFrame
    assert syncer.status()["exit_code"].tolist() == [4, 0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"frame": "night.csv"}, "takes a pandas DataFrame, and this is str"),
        ({"frame": pd.Series(["K000001"])}, "takes a pandas DataFrame, and this is Series"),
        ({"frame": frame(extended_id=["K000001"]), "mode": "fast"}, "must be one of auto, sync, async"),
        ({"frame": frame(extended_id=["K000001"]), "deadline_s": -1}, "deadline_s is -1, and must be a number"),
        ({"frame": frame(extended_id=["K000001"]), "deadline_s": float("nan")}, "deadline_s is nan"),
    ],
)
def test_what_cannot_be_asked_is_said(here, asked, words):
    with pytest.raises(UsageError, match=words):
        syncer.sync(**asked)
    assert not (here.folder / "syncer.db").exists()
