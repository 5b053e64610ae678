"""The catalogue of faults: input files that change, grow, or go while they are read, and results that cannot be written."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys

import pytest
from catalogue.changes import CHANGES
from catalogue.front import Front
from catalogue.kept import CODES, FACTS, HEADER, Ends, assert_ends, assert_nothing_lost, assert_right, rows_of
from conftest import write_csv

from syncer.ledger.ledger import Ledger


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("moment", ["after its header was read", "between two of its blocks"])
def test_an_input_file_that_changes_before_it_was_read_whole(place, forks, record_property, moment, name):
    """The change happens at the n-th time that the program opens the file, or has read a block of it: nothing is sent."""
    trap = {
        "where": "input",
        "file": "a.csv",
        "change": name,
        "after": "header" if moment.startswith("after") else "block",
    }
    if moment.startswith("between"):  # several blocks are needed: a column that is not sent makes the file long
        place.config(
            '[jobs.default]\nkey = "extended_id"\ncolumns = { extended_id = "extended_id", intended_market = "intended_market" }\n'
        )
        write_csv(place.folder / "a.csv", (*HEADER, "long"), [(*row, "x" * 30_000) for row in rows_of()])
    kept = (place.folder / "a.csv").read_bytes()
    done = forks.run(place.folder, place.variables(), "sync", "--json", "a.csv", trap=trap)
    assert done.passed == 1, "the file was not changed"
    if moment.startswith("between") and name in {"goes", "is replaced"}:
        assert done.code == 0, done.out  # what was opened is still there, whole; another file has its name
    else:
        assert_ends(done, Ends(2, ("a.csv",)))
        assert "changed while" in done.document["error"]["message"] or name == "goes"
        assert len(place.box.requests) == 0
    with Ledger.open_to_read(f"sqlite:///{place.folder}/syncer.db") as ledger:
        recorded = [source.sha256 for run in ledger.runs() for source in ledger.sources(run.id)]
    assert recorded == ([hashlib.sha256(kept).hexdigest()] if done.code == 0 else [])
    (place.folder / "a.csv").write_bytes(kept)
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


@pytest.mark.parametrize("name", CHANGES)
def test_an_input_file_that_changes_during_the_run_spoils_the_results_alone(place, forks, record_property, name):
    kept = (place.folder / "a.csv").read_bytes()

    def bend(call):
        if call.name == "sync":
            CHANGES[name](place.folder / "a.csv")

    with Front(place.box.port, bend) as front:
        done = forks.run(
            place.folder, place.variables(SYNCER_API__BASE_URL=front.url), "sync", "--json", "a.csv", "--results", "out"
        )
    assert_ends(done, Ends(1, ("results cannot be written", "the run itself is recorded"), ("syncer audit export",)))
    assert (done.document["values"]["confirmed"], done.document["run"]["state"]) == (CODES, "complete")
    assert os.listdir(place.folder / "out") == []
    assert_right(place)
    with Ledger.open_to_read(f"sqlite:///{place.folder}/syncer.db") as ledger:
        assert [source.sha256 for source in ledger.sources(1)] == [hashlib.sha256(kept).hexdigest()]
    (place.folder / "a.csv").write_bytes(kept)
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


@pytest.mark.parametrize("size", [0, 40_000], ids=["short rows", "several blocks"])
def test_a_pipe_of_the_shell_is_read_whole(place, forks, record_property, size):
    """A pipe can be read once only: what was looked at for the header must not be lost to the rows."""
    place.config(
        '[jobs.default]\nkey = "extended_id"\ncolumns = { extended_id = "extended_id", intended_market = "intended_market" }\n'
    )
    path = write_csv(place.folder / "b.csv", (*HEADER, "long"), [(*row, "x" * size) for row in rows_of()])
    line = f'"{sys.executable}" -m syncer sync --json <(cat {path.name}) --results out'
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=place.folder,
        env=place.variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, json.loads(done.stdout)["rows"]["read"]) == (0, CODES), done.stderr
    assert (place.folder / "out" / "confirmed.csv").read_bytes().count(b"\n") == CODES + 1
    assert_right(place)
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_a_file_name_that_is_no_utf8(place, forks, record_property):
    (place.folder / os.fsdecode(b"b\xff.csv")).write_bytes((place.folder / "a.csv").read_bytes())
    done = forks.run(place.folder, place.variables(), "sync", "--json", os.fsdecode(b"b\xff.csv"), "--results", "out")
    assert done.code == 0, (done.out, done.err)
    assert ",b\\xff.csv,2," in (place.folder / "out" / "confirmed.csv").read_text()
    missing = forks.run(place.folder, place.variables(), "sync", "--json", os.fsdecode(b"\xfe.csv"))
    assert_ends(missing, Ends(2, ("\\xfe.csv", "cannot be opened")))
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


UNWRITABLE = ("a.csv", "a.csv/out", "/dev/full/out", "/proc/out", "/dev/null")


@pytest.mark.parametrize("folder", UNWRITABLE)
def test_a_results_folder_that_cannot_be_written_is_told_before_anything_is_sent(place, forks, record_property, folder):
    done = forks.run(place.folder, place.variables(), "sync", "--json", "a.csv", "--results", folder)
    assert_ends(done, Ends(2, ("results folder", folder, "nothing was sent"), ("--results",)))
    assert len(place.box.requests) == 0
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_a_results_folder_without_permission_to_write(place, forks, record_property):
    (place.folder / "out").mkdir(mode=0o500)
    trap = {"where": "capabilities"}
    done = forks.run(place.folder, place.variables(), "sync", "--json", "a.csv", "--results", "out", trap=trap)
    assert_ends(done, Ends(2, ("results folder", "Permission denied", "nothing was sent"), ("--results",)))
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


def test_a_disk_that_is_full_when_results_are_written(place, forks, record_property):
    """A limit on the size of a file, which the ledger stays below and the results do not."""
    place.config(
        '[jobs.default]\nkey = "extended_id"\ncolumns = { extended_id = "extended_id", intended_market = "intended_market" }\n'
    )
    write_csv(place.folder / "a.csv", (*HEADER, "long"), [(*row, "x" * 30_000) for row in rows_of()])
    finished = subprocess.run(
        [sys.executable, "-m", "syncer", "sync", "--json", "a.csv", "--results", "out"],
        cwd=place.folder, env=place.variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )  # fmt: skip
    document = json.loads(finished.stdout)
    assert (finished.returncode, document["error"]["code"]) == (1, "output"), finished
    assert "File too large" in document["error"]["message"]
    assert document["values"]["confirmed"] == CODES
    assert os.listdir(place.folder / "out") == []
    assert_right(place)
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)
