"""The yardstick itself: tests/benchmarks/pollock.py tells right from wrong on files of our own making."""

from __future__ import annotations

import json
import sys
from importlib import util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "pollock.py"
HEADER = ",".join(f"c{place}" for place in range(9)) + "\n"
ROWS = [f"k{number}," + ",".join(["x"] * 8) + "\n" for number in range(6)]


@pytest.fixture
def script(monkeypatch):
    spec = util.spec_from_file_location("pollock", SCRIPT)
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pollock", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "polluted", "clean", "outcome"),
    [
        ("source.csv", ROWS, ROWS, "exact"),
        ("row_less_sep_row2_col1.csv", [ROWS[0], ROWS[1].replace(",", "", 1), *ROWS[2:]], ROWS, "contained"),
        ("row_less_sep_row3_col1.csv", [ROWS[0], ROWS[1].replace(",", "", 1), *ROWS[2:]], ROWS, "over"),
        ("file_no_payload.csv", None, [], "refused"),
        ("source.csv", [ROWS[0].replace("k", "K"), *ROWS[1:]], ROWS, "wrong"),
        ("source.csv", ROWS[1:], ROWS, "wrong"),
        ("source.csv", [*ROWS, ROWS[0]], ROWS, "wrong"),
    ],
)
def test_the_outcome_of_a_file_is_told(script, tmp_path, capsys, name, polluted, clean, outcome):
    for folder in ("csv", "clean", "parameters"):
        (tmp_path / folder).mkdir()
    (tmp_path / "csv" / name).write_text("" if polluted is None else HEADER + "".join(polluted))
    (tmp_path / "clean" / name).write_text(HEADER + "".join(clean))
    told = {"encoding": "ascii", "delimiter": ",", "quotechar": '"', "escapechar": '"'}
    told |= {"header_lines": 1, "preamble_lines": 0}
    (tmp_path / "parameters" / f"{name}_parameters.json").write_text(json.dumps(told))
    status = script.main([str(tmp_path)])
    total = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["total"])
    assert dict(zip(script.OUTCOMES, map(int, total.split()[1:]), strict=True))[outcome] == 1
    assert status == (outcome == "wrong")
