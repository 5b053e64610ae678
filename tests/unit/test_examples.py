"""Every example configuration in docs/examples is one that the program takes as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncer.config import load_settings
from syncer.process.signals import Interrupt
from syncer.runs.inputs import open_inputs

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_an_example_configuration_is_loaded(example, tmp_path):
    settings = load_settings(explicit=example, environ={}, cwd=tmp_path)
    assert settings.path == example
    assert settings.jobs


def test_duckdb_joins_files_into_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels-1.csv").write_text("serial;article;lot\nK2;007;0012\n")
    (tmp_path / "labels-2.csv").write_text("serial;article;lot\nK1;8;\nK3;9;1e5\n")
    (tmp_path / "articles.csv").write_text("number,sku\n007,SKU-7\n8,SKU-8\n")
    job = load_settings(explicit=EXAMPLES / "duckdb.toml", environ={}, cwd=tmp_path).jobs["labels"]
    opened = open_inputs(job, [], None, copies={}, stdin=None, interrupt=Interrupt(), observe=lambda rows: None)
    with opened as ((source,), validator):
        rows = [row for chunk in source.chunks(validator.wanted) for row in chunk.columns.to_pylist()]
    assert [tuple(row.values()) for row in rows] == [("K1", "SKU-8", ""), ("K2", "SKU-7", "0012"), ("K3", "", "1e5")]
