"""Every example configuration in docs/examples is one that the program takes as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncer.config import load_settings

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_an_example_configuration_is_loaded(example, tmp_path):
    settings = load_settings(explicit=example, environ={}, cwd=tmp_path)
    assert settings.path == example
    assert settings.jobs
