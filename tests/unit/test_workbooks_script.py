"""The yardstick itself: tests/benchmarks/workbooks.py tells equal workbooks from different ones."""

from __future__ import annotations

import datetime as dt
import sys
from importlib import util
from pathlib import Path

import pytest
from workbooks import book, saved

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "workbooks.py"
ROWS = [["id", "day", "n"], ["_x005F_x0041_", dt.date(2026, 1, 31), 7], [None, True, 1.5], [" a ", -3, ""]]


@pytest.fixture
def script(monkeypatch):
    spec = util.spec_from_file_location("workbooks_script", SCRIPT)
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "workbooks_script", module)
    spec.loader.exec_module(module)
    return module


def test_equal_and_refused_workbooks_are_counted(script, tmp_path, capsys):
    (tmp_path / "a.xlsx").write_bytes(saved(book(*ROWS)))
    (tmp_path / "b.XLSM").write_bytes(b"PK\x03\x04 no workbook")
    (tmp_path / "c.csv").write_text("no workbook either")
    assert script.main([str(tmp_path)]) == 0
    assert "{'equal': 1, 'refused': 1, 'cells': 8, 'doubtful': 2}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "value", "outcome"),
    [((2, 1), "A", "different"), ((2, 2), dt.datetime.fromisoformat("2026-01-31T06:00"), "different"), ((2, 3), 70, "different"),
     ((2, 3), 7.5, "different"), ((4, 2), 3, "different"), ((9, 9), "more", "different"), ((3, 2), "x", "equal"),
     ((2, 3), 7.0, "equal")],
)  # fmt: skip
def test_another_value_and_one_more_are_differences(script, tmp_path, monkeypatch, place, value, outcome):
    (tmp_path / "a.xlsx").write_bytes(saved(book(*ROWS)))
    seen = script.theirs(tmp_path / "a.xlsx", "Sheet")
    monkeypatch.setattr(script, "theirs", lambda path, sheet: {**seen, place: value})
    assert script.differences(tmp_path / "a.xlsx")[0] == outcome
