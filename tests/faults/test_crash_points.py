"""The process dies at every place where that could matter: at the n-th commit or request, for n = 1, 2, 3 … until a run ends.

`make prove` takes every n, `make test` some that its commit chooses.

Real SIGKILLs of real processes, a real ledger file, real HTTP. After each: the ledger is whole, the next runs complete, and
the server's own record shows that nothing was lost, doubled, or overwritten by older data.
"""

from __future__ import annotations

import signal

import pytest
from conftest import codes
from sampling import covered, parts, places

from syncer.ledger.ledger import Ledger

HEADER = ("extended_id", "intended_market", "product")
MISSING = {"K000120", "K000270"}
REFUSED = "K000280"
PARTS = parts(4)
POINTS = 16
"""How many of them a sample has, for each night."""
RUNS_MAX = 6
NEVER = 0


def rows_of(version):
    """Two async batches (of one a value matches nothing) and one sync batch with a missing and a refused value."""
    rows = []
    for n in range(300):
        market = "A" if n < 120 else "B" if n < 240 else f"s{n}"
        key = f"K{n:06d}"
        rows.append((key, f"{market}-{version}", "BAD" if key == REFUSED else "S1"))
    return rows


def first_night(here):
    """Go back to a server and a ledger that know nothing; two answers of the coming run will be lost."""
    here.box.reset()
    for path in here.folder.glob("syncer.db*"):
        path.unlink()


def second_night(here, forks):
    """Go back to a server and a ledger on which version 0 was confirmed."""
    first_night(here)
    here.write("a.csv", HEADER, rows_of(0))
    assert forks.run(here.folder, here.variables(), "sync", "--json", "a.csv").code == 3
    here.box.faults.replace(here.box.config.faults)


def assert_kept(here, version):
    """Hold the server's record, and the ledger, against what was asked for."""
    wanted = {row[0]: row[1] for row in rows_of(version) if row[0] not in MISSING | {REFUSED}}
    held = {key: fields.get("intended_market") for key, fields in here.server().items() if key != REFUSED}
    assert held == wanted
    assert here.box.world.violations == []
    newest: dict[int, int] = {}
    with here.box.lock:
        for write in here.box.world.journal:
            if write.field == "intended_market":
                written = int(write.new.rpartition("-")[2])
                assert written >= newest.get(write.code, 0), "older data landed over newer"
                newest[write.code] = written
        batches = [task.reference.rsplit("-", 2)[0] for task in here.box.world.tasks.values()]
    assert len(batches) == len(set(batches)), "a batch created two tasks"
    with Ledger.open_to_read(f"sqlite:///{here.folder}/syncer.db") as ledger:
        assert ledger.problems() == []
        for key in (*MISSING, REFUSED, "K000000", "K000299"):
            history = ledger.history(key)
            assert history, f"{key} has no history"
            assert history[-1].outcome == {"K000280": "rejected"}.get(
                key, "unmatched" if key in MISSING else "confirmed"
            )


def settle(here, forks, version, *, resume):
    """Run as an operator would until nothing new comes of it; return how many runs that took."""
    variables = here.variables()
    for number in range(1, RUNS_MAX):
        command = ["resume"] if resume and number == 1 else ["sync", "a.csv", "--approve"]
        done = forks.run(here.folder, variables, *command[:1], "--json", *command[1:])
        assert done.code in {0, 2, 3}, (done.code, done.out, done.err)
        assert done.code != 2 or "before its plan was stored" in done.out, done.out
        document = done.document
        if command[0] == "sync" and document["rows"]["held"] == document["values"]["unsent"] == 0:
            assert document["values"]["confirmed"] + document["rows"]["unchanged"] == 297, document
            return
    pytest.fail(f"no end after {RUNS_MAX} runs: {document}")


FAULTS = (
    {"kind": "drop_after", "on": "async", "nth": 1},
    {"kind": "drop_before", "on": "async", "nth": 3},
    {"kind": "drop_after", "on": "sync", "nth": 1},
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("night_before", [False, True], ids=["first night", "second night"])
def test_killed_before_and_after_every_commit_and_request(night, forks, record_property, night_before, part):
    missing = tuple(code for code in codes(300) if code["extended_id"] not in MISSING)
    # The refused value shall reach the API: a check before sending would keep it back.
    variables = {"SYNCER_API__SETTLE_S": "0.05", "SYNCER_API__POLL_S": "0.05", "SYNCER_PRODUCTS__CHECK": "false"}
    # What is lost here is a connection that breaks; on a busy machine an answer may take long.
    variables |= {"SYNCER_API__TIMEOUT_S": "30", "SYNCER_API__GIVE_UP_AFTER_S": "60"}
    with night(codes=missing, products=frozenset({"S1"}), faults=FAULTS, task_run_s=0.01) as here:
        here.environment.update(variables)

        def run_killed(at):
            (second_night if night_before else lambda here, _: first_night(here))(here, forks)
            here.write("a.csv", HEADER, rows_of(1))
            trap = {"where": "commits-and-requests", "do": "kill", "at": at}
            return forks.run(here.folder, here.variables(), "sync", "--json", "a.csv", "--approve", trap=trap)

        there_are, tried = run_killed(NEVER).passed, 0
        for at in places(there_are, POINTS, name=f"crash points {night_before}")[part :: len(PARTS)]:
            died = run_killed(at)
            if died.code != -signal.SIGKILL:
                assert died.code == 3, (died.code, died.out, died.err)
                assert died.passed < at
                assert at > there_are * 0.5, "a run is much shorter than another"
                break
            tried += 1
            version = 2 if at % 3 == 0 else 1
            here.write("a.csv", HEADER, rows_of(version))
            settle(here, forks, version, resume=at % 3 == 1)
            assert_kept(here, version)
    assert tried
    covered(record_property, "crash points at commits and requests", tried, there_are // len(PARTS))
