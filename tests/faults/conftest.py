"""The nights in which the catalogue's faults happen: a file of one async and one sync batch, and short waits."""

from __future__ import annotations

import shutil

import pytest
from catalogue.kept import CODES, HEADER, SHORT, rows_of
from conftest import codes


@pytest.fixture
def first_night(night):
    """A night before its first run."""
    with night(codes=codes(CODES), task_run_s=0.01) as here:
        here.environment.update(SHORT)
        here.write("a.csv", HEADER, rows_of())
        yield here


@pytest.fixture
def second_night(first_night, forks):
    """A night on whose ledger version 1 is confirmed, with a backup of it; version 2 is to be sent."""
    assert forks.run(first_night.folder, first_night.variables(), "sync", "--json", "a.csv").code == 0
    shutil.copy(first_night.folder / "syncer.db", first_night.folder / "backup")
    first_night.write("a.csv", HEADER, rows_of(2))
    return first_night


@pytest.fixture
def place(first_night):
    """Where a test's fault happens, unless its module says otherwise."""
    return first_night
