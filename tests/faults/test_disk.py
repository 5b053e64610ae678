"""The disk fails, fills up, or loses power at the n-th operation on the ledger's files, for n = 1, 2, 3 … until none is left.

`make prove` takes every n, `make test` some that its commit chooses.

SQLite's own VFS is trapped (tests/crash/disk.py): real processes, a real file system. For power cuts, every operation of a
run is recorded, and the disk's possible contents after each are made anew: what was synced is there, what was not may be
there, in part, or not at all.
"""

from __future__ import annotations

import copy
import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from conftest import codes
from crash.disk import sqlite_library
from sampling import WHOLE, chance, covered, parts, places

from syncer.ledger.ledger import Ledger

HEADER = ("extended_id", "intended_market")
PARTS = parts(4)
OPERATIONS = 9
"""How many of them a sample has, for each way to fail."""
IMAGES_ALL = 4
IMAGES = IMAGES_ALL if WHOLE else 1
"""How many states of the disk are looked at after each operation, when the power is cut."""
NEVER = 0
CODES = 130
SECTOR = 512

pytestmark = pytest.mark.skipif(sqlite_library() is None, reason="this Python's SQLite shows no functions to trap")


def rows_of(version):
    return [(f"K{n:06d}", f"{'A' if n < 110 else n}-{version}") for n in range(CODES)]


@pytest.fixture
def second_night(night, forks, tmp_path_factory):
    """A ledger on which version 0 is confirmed, to start from again and again; the next file is version 1."""
    variables = {"SYNCER_API__SETTLE_S": "0.05", "SYNCER_API__POLL_S": "0.05"}
    variables |= {"SYNCER_API__TIMEOUT_S": "30", "SYNCER_API__GIVE_UP_AFTER_S": "60"}
    with night(codes=codes(CODES), task_run_s=0.01) as here:
        here.environment.update(variables)
        here.write("a.csv", HEADER, rows_of(0))
        assert forks.run(here.folder, here.variables(), "sync", "--json", "a.csv").code == 0
        kept = tmp_path_factory.mktemp("kept") / "syncer.db"
        shutil.copy(here.folder / "syncer.db", kept)
        world = copy.deepcopy(here.box.world)
        here.write("a.csv", HEADER, rows_of(1))

        def begin():
            for path in here.folder.glob("syncer.db*"):
                path.unlink()
            shutil.copy(kept, here.folder / "syncer.db")
            with here.box.lock:
                here.box.world = copy.deepcopy(world)

        yield here, forks, begin


def assert_recovers(here, forks):
    """The ledger opens, is whole, and the next run completes with nothing sent twice."""
    done = forks.run(here.folder, here.variables(), "sync", "--json", "a.csv", "--approve")
    assert done.code == 0, (done.out, done.err)
    assert {key: fields["intended_market"] for key, fields in here.server().items()} == dict(rows_of(1))
    batches = [task.reference.rsplit("-", 2)[0] for task in here.box.world.tasks.values()]
    assert len(batches) == len(set(batches)), "a batch created two tasks"
    assert here.box.world.violations == []
    with Ledger.open_to_read(f"sqlite:///{here.folder}/syncer.db") as ledger:
        assert ledger.problems() == []


KINDS = {
    "kill": {"do": "kill"},
    "kill in the middle of a write": {"do": "kill", "torn": True},
    "an I/O error once": {"do": "fail"},
    "an I/O error from then on": {"do": "broken"},
    "a full disk": {"do": "full"},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_disk_fails_at_every_operation(second_night, record_property, kind, part):
    here, forks, begin = second_night

    def run_struck(at):
        begin()
        trap = {"where": "disk", "at": at, **KINDS[kind]}
        return forks.run(here.folder, here.variables(), "sync", "--json", "a.csv", "--approve", trap=trap)

    there_are, tried = run_struck(NEVER).passed, 0
    for at in places(there_are, OPERATIONS, name=f"disk {kind}")[part :: len(PARTS)]:
        struck = run_struck(at)
        if struck.passed < at:
            assert struck.code == 0, struck.out
            assert at > there_are * 0.5, "a run is much shorter than another"
            break
        tried += 1
        if "kill" in kind:
            assert struck.code == -signal.SIGKILL
        elif struck.code != 0:  # a failure that SQLite gets over by itself is none
            assert struck.code == struck.document["exit_code"] == 13, (at, struck.out, struck.err)
            assert struck.document["error"]["next"]
            assert "Traceback" not in struck.err
        assert_recovers(here, forks)
    assert tried
    covered(record_property, f"disk operations at which was simulated: {kind}", tried, there_are // len(PARTS))


def operations(log):
    """Return what was recorded: (what, name, offset, data) for every operation, and marks of commits."""
    data = log.read_bytes()
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        head = json.loads(data[at + 4 : at + 4 + size])
        at += 4 + size
        found.append((head["what"], head["name"], head["offset"], data[at : at + head["size"]]))
        at += head["size"]
    return found


class Disk:
    """What a disk may hold: for each file the bytes that are surely there, and writes that may be."""

    def __init__(self, files):
        self.sure = {name: bytearray(content) for name, content in files.items()}
        self.pending = {name: [] for name in files}
        self.leaving = set()

    def apply(self, what, name, offset, data):
        if what in {"write", "truncate"}:
            self.pending.setdefault(name, []).append((what, offset, data))
        elif what == "sync":
            content = self.sure.setdefault(name, bytearray())
            for each in self.pending.pop(name, []):
                _write(content, *each)
        elif what == "delete":
            self.pending.pop(name, None)
            if offset:  # the folder was synced: the file is surely gone
                self.sure.pop(name, None)
                self.leaving.discard(name)
            elif name in self.sure:
                self.leaving.add(name)

    def whole(self):
        """Return the files when everything arrived."""
        content = {name: bytearray(self.sure.get(name, b"")) for name in {*self.sure, *self.pending} - self.leaving}
        for name, found in content.items():
            for each in self.pending.get(name, []):
                _write(found, *each)
        return {name: bytes(each) for name, each in content.items()}

    def after_power_cut(self, chance):
        """Return the files as they may be found: `chance` decides what of the pending writes arrived."""
        files = {}
        share = chance.choice([0.0, 0.5, 1.0])
        for name in {*self.sure, *self.pending}:
            if name in self.leaving and chance.random() < 0.5:
                continue
            if name not in self.sure and chance.random() < 0.5:
                continue
            content = bytearray(self.sure.get(name, b""))
            for what, offset, data in self.pending.get(name, []):
                if chance.random() < share:
                    for at in range(0, len(data), SECTOR) or [0]:
                        if what == "truncate" or chance.random() < max(share, 0.9):
                            _write(content, what, offset + at, data[at : at + SECTOR])
            files[name] = bytes(content)
        return files


def _write(content, what, offset, data):
    if what == "truncate":
        del content[offset:]
        content.extend(b"\0" * (offset - len(content)))
        return
    if len(content) < offset:
        content.extend(b"\0" * (offset - len(content)))
    content[offset : offset + len(data)] = data


def dump(path):
    """Return all that a ledger says; SQLite recovers it first."""
    with closing(sqlite3.connect(path)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        return {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def write_image(folder, files):
    """Lay files out as a disk that was found."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def after_each_commit(start, recorded, folder):
    """Return what the ledger says before the first commit and after each one, when everything reaches the disk."""
    disk = Disk(start)
    found = []
    for what, name, offset, data in [("commit", "", 0, b""), *recorded]:
        if what == "commit":
            write_image(folder, disk.whole())
            found.append(dump(folder / "syncer.db"))
        else:
            disk.apply(what, name, offset, data)
    return found


@pytest.mark.parametrize("begin_with", ["no ledger", "a ledger of one night"])
def test_a_power_cut_loses_nothing_that_was_committed(second_night, tmp_path, record_property, begin_with):
    here, forks, begin = second_night
    begin()
    ledger = here.folder / "syncer.db"
    if begin_with == "no ledger":
        ledger.unlink()
    start = {ledger.name: ledger.read_bytes()} if ledger.exists() else {}
    log = tmp_path / "operations"
    trap = {"where": "disk", "do": "record", "log": str(log)}
    assert forks.run(here.folder, here.variables(), "sync", "--json", "a.csv", "--approve", trap=trap).code == 0
    recorded = operations(log)
    image = tmp_path / "image"
    committed = after_each_commit(start, recorded, image)
    assert len(committed) > 8
    assert dump(ledger) == committed[-1], "not everything was recorded"
    states, lost = cut_the_power(start, recorded, committed, image)
    assert lost == []
    covered(record_property, "states of the disk after a power cut", states, states * IMAGES_ALL // IMAGES)
    assert cut_the_power(start, [each for each in recorded if each[0] != "sync"], committed, image)[1], "it cannot fail"


def cut_the_power(start, recorded, committed, image):
    """Cut the power after every operation; return how many states were looked at, and which had lost a commit."""
    draw = chance("power cuts")
    disk = Disk(start)
    commits = states = 0
    lost = []
    for what, name, offset, data in recorded:
        if what == "commit":
            commits += 1
            continue
        disk.apply(what, name, offset, data)
        for _ in range(IMAGES):
            write_image(image, disk.after_power_cut(draw))
            states += 1
            try:
                whole = dump(image / "syncer.db") in committed[commits : commits + 2]
            except sqlite3.DatabaseError:
                whole = False
            if not whole:
                lost.append(f"after {what} on {name}: commit {commits} is not there whole")
    return states, lost
