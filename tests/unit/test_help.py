"""The command that helps, as it can be pasted: with the configuration that was named."""

from __future__ import annotations

import pytest

from syncer.errors import UsageError
from syncer.process import help as helps


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    helps.remember([])


@pytest.mark.parametrize(
    ("typed", "told", "right"),
    [
        (["--config", "a b.toml", "check"], "syncer check", "syncer --config 'a b.toml' check"),
        (["check", "--config=x.toml"], "syncer status 1  # look", "syncer --config x.toml status 1  # look"),
        (["--config", "x.toml", "check"], "syncer init --config x.toml", "syncer init --config x.toml"),
        (["--config", "x.toml", "sync", "f"], "ls -l .", "ls -l ."),
        (["check"], "syncer check", "syncer check"),
        (["sync", "--", "--config", "x"], "syncer check", "syncer check"),
        (["--config", "x.toml", "plan", "f", "--config", "y.toml"], "syncer check", "syncer --config y.toml check"),
        (["--config=x.toml", "plan", "--config=y.toml", "--config"], "syncer check", "syncer --config y.toml check"),
        (["--config", "x.toml", "sync", "f"], None, "syncer --config x.toml sync f"),
    ],
)
def test_a_command_to_paste_names_the_configuration_that_was_named(typed, told, right):
    helps.remember(typed)
    assert helps.next_of(UsageError("no", next=told)) == right
