"""The catalogue of faults: the ledger's file. Locked, read-only, full, damaged, emptied, of another schema.

Each fault begins with a ledger on which version 1 is confirmed; version 2 is to be sent. After the fault the ledger is what
an operator would have again (the lock gone, the room made, the backup put back), one run completes, and the server is right.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from contextlib import closing

import pytest
from catalogue.front import Act, Front
from catalogue.kept import FACTS, Ends, assert_ends, assert_nothing_lost, sent, strike

HASTY = {"where": "constant", "module": "syncer.ledger.database", "name": "BUSY_TIMEOUT_S", "value": 0.2}
NO_RIGHTS = {"where": "capabilities"}
SAME = "syncer sync --json a.csv --approve"
"""What helps while nothing of a file is recorded: `resume` knows nothing of it, and would end with 0."""


@pytest.fixture
def place(second_night):
    return second_night


def test_locked_by_another_program(place, forks, record_property):
    with closing(sqlite3.connect(place.folder / "syncer.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for command in (("sync",), ("resume",), ("status",), ("audit", "show", "K000000"), ("ledger", "check")):
            strike(
                place,
                forks,
                Ends(11, ("syncer.db", "locked by another program"), (f"syncer {' '.join(command)}",)),
                command=command,
                trap=HASTY,
            )
        assert sent(place) == 2
        other.execute("ROLLBACK")
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def test_locked_by_another_program_while_answers_are_under_way(place, forks, record_property):
    """The calls were processed and cannot be recorded: the next run finds the task, and makes none anew."""
    with closing(sqlite3.connect(place.folder / "syncer.db", isolation_level=None, check_same_thread=False)) as other:

        def say(front, connection, answer):
            for _ in range(500):
                try:
                    other.execute("BEGIN IMMEDIATE")
                    break
                except sqlite3.OperationalError:
                    if other.in_transaction:
                        break
                    time.sleep(0.002)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            return True

        with Front(place.box.port, lambda call: Act(say) if call.name == "async" else None) as front:
            done = strike(
                place, forks, Ends(11, ("locked by another program",)), trap=HASTY, SYNCER_API__BASE_URL=front.url,
                SYNCER_API__TIMEOUT_S="5",
            )  # fmt: skip
        assert done.document["run"]["id"] == 2
        other.execute("ROLLBACK")
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def test_a_file_that_may_not_be_written(place, forks, record_property):
    (place.folder / "syncer.db").chmod(0o400)
    strike(place, forks, Ends(13, ("syncer.db", "read-only"), ("write access", SAME)), trap=NO_RIGHTS)
    strike(place, forks, Ends(13, ("cannot be written",), ("write access",)), command=("check",), trap=NO_RIGHTS)
    assert sent(place) == 2
    (place.folder / "syncer.db").chmod(0o600)
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def test_a_file_that_may_not_be_read(place, forks, record_property):
    (place.folder / "syncer.db").chmod(0)
    for command in (("sync",), ("status",), ("check",), ("ledger", "check")):
        strike(place, forks, Ends(13, ("syncer.db", "cannot be opened"), ("access",)), command=command, trap=NO_RIGHTS)
    (place.folder / "syncer.db").chmod(0o600)
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


@pytest.mark.parametrize("begin_with", ["a ledger", "a ledger without its lock's file", "no ledger"])
def test_a_folder_that_may_not_be_written(place, forks, record_property, begin_with):
    if begin_with != "a ledger":
        (place.folder / "syncer.db.lock").unlink()
    if begin_with == "no ledger":
        (place.folder / "syncer.db").unlink()
    place.folder.chmod(0o500)
    for command in (("sync",), ("check",)):
        strike(place, forks, Ends(13, ("syncer.db", "cannot be"), ("write access",)), command=command, trap=NO_RIGHTS)
    place.folder.chmod(0o700)
    shutil.copy(place.folder / "backup", place.folder / "syncer.db")
    assert sent(place) == 2
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def test_a_folder_that_is_not_there(place, forks, record_property):
    strike(
        place,
        forks,
        Ends(13, ("folder of the ledger", "no/such"), ("mkdir",)),
        SYNCER_LEDGER__URL="sqlite:///no/such/syncer.db",
    )
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


@pytest.mark.parametrize(("do", "words"), [("full", "disk is full"), ("broken", "disk reports an error")])
@pytest.mark.parametrize(("at", "following"), [(1, SAME), (30, SAME), (60, SAME), (100, "syncer resume")])
def test_a_disk_that_fails(place, forks, record_property, do, words, at, following):
    """Four moments of those that test_disk.py goes through: `resume` knows nothing of a file whose plan is not stored."""
    trap = {"where": "disk", "do": do, "at": at}
    strike(place, forks, Ends(13, ("syncer.db", words), ("make room", following)), trap=trap)
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def overwritten(path, seed):
    """Overwrite parts of several pages in several places; the first page stays."""
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(12):
        at = chance.randrange(4096, len(data) - 600)
        data[at : at + 512] = chance.randbytes(512)
    path.write_bytes(data)


DAMAGES = {
    **{f"several pages overwritten, seed {seed}": lambda path, seed=seed: overwritten(path, seed) for seed in range(6)},
    "every page after the first overwritten": lambda path: path.write_bytes(
        path.read_bytes()[:4096] + b"\xa5" * 200_000
    ),
    "the first page overwritten": lambda path: path.write_bytes(b"\xa5" * 4096 + path.read_bytes()[4096:]),
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut in the middle of a page": lambda path: os.truncate(path, path.stat().st_size // 2 + 1000),
    "only its first page": lambda path: os.truncate(path, 4096),
    "only its first bytes": lambda path: os.truncate(path, 50),
    "zero bytes": lambda path: os.truncate(path, 0),
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another kind of file": lambda path: path.write_text("extended_id,intended_market\n" * 500),
    "another program's database": lambda path: (
        path.unlink(),
        sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close(),
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file(place, forks, record_property, name):
    """Nothing is sent from a damaged ledger; damage in pages that a run does not need is found by `ledger check`."""
    ledger = place.folder / "syncer.db"
    DAMAGES[name](ledger)
    looked = strike(
        place,
        forks,
        Ends(13, ("ledger",), ("backup",) if "program" not in name else ("ledger.url",)),
        command=("ledger", "check"),
    )
    assert looked.document["error"]["code"] == "ledger-corrupt"
    before = ledger.read_bytes()
    for command in (("sync",), ("resume",), ("status",), ("check",), ("audit", "show", "K000005")):
        arguments = ["a.csv", "--approve"] if command == ("sync",) else []
        ledger.write_bytes(before)
        calls = sent(place)
        done = forks.run(place.folder, place.variables(), *command, "--json", *arguments)
        assert "Traceback" not in done.out + done.err
        if done.code in {0, 3} and "several" in name:
            continue
        assert_ends(done, Ends(13, ("ledger",)), case=command)
        assert sent(place) == calls or "several" in name, "sent from a damaged ledger"
    shutil.copy(place.folder / "backup", ledger)
    assert forks.run(place.folder, place.variables(), "ledger", "recover").code == 0
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


SCHEMAS = {
    "newer": ("9999", ("schema 9999 is newer",), ("newer syncer",)),
    "older": ("0000", ("schema is 0000",), ("syncer ledger upgrade",)),
    "none": (None, ("says no schema",), ("backup",)),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_ledger_of_another_schema(place, forks, record_property, name):
    number, words, following = SCHEMAS[name]
    with closing(sqlite3.connect(place.folder / "syncer.db")) as database, database:
        if number is None:
            database.execute("DELETE FROM alembic_version")
        else:
            database.execute("UPDATE alembic_version SET version_num = ?", [number])
    for command in (("sync",), ("resume",), ("status",), ("check",), ("ledger", "check")):
        strike(place, forks, Ends(13, words, following), command=command)
    upgraded = strike(place, forks, Ends(13, ("schema",)), command=("ledger", "upgrade"))
    assert upgraded.document["error"]["next"]
    assert sent(place) == 2
    shutil.copy(place.folder / "backup", place.folder / "syncer.db")
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)
