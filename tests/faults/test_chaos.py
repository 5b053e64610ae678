"""The promises under scripted faults of every kind, and under SIGKILL: checked against the server's own record."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from conftest import codes
from sampling import WHOLE, chance, covered

HEADER = ("extended_id", "intended_market", "lot")
KINDS = (
    "drop_before", "drop_after", "truncate", "garbage", "html", "status", "status_after", "late", "hang",
    "task_fail", "wrong_count", "no_items",
)  # fmt: skip
CODES = 2400
KILLS = 100 if WHOLE else 16


def rows_of(version):
    """Rows that need 24 calls: 18 groups of 100 values (async), 600 values with data of their own (sync)."""
    return [(f"K{n:06d}", f"m{n % 18}-{version}", f"L{n}" if n >= 1800 else f"lot-{version}") for n in range(CODES)]


def rules(seed, probability):
    """Faults of all kinds, together striking about `probability` of the calls."""
    draw = random.Random(seed)
    made = []
    for kind in KINDS:
        rule = {"kind": kind, "on": "any", "probability": probability / len(KINDS), "seconds": 0.2}
        if kind in {"status", "status_after"}:
            rule["status_code"] = draw.choice([500, 502, 503, 504] + [429] * (kind == "status"))
            rule["seconds"] = 1
        made.append(rule)
    return tuple(made)


def assert_promises_kept(here, rows):
    """Nothing lost, no value in two live tasks, never older over newer, history whole: by the server's own record."""
    expected = {row[0]: {"activation_status": "0", "intended_market": row[1], "lot": row[2]} for row in rows}
    assert here.server() == expected
    assert here.box.world.violations == []
    with here.box.lock:
        newest: dict[tuple[int, str], int] = {}
        for write in here.box.world.journal:
            if write.field == "intended_market":
                version = int(write.new.rpartition("-")[2])
                assert version >= newest.get((write.code, write.field), 0), "older data landed over newer"
                newest[write.code, write.field] = version
        references = [task.reference for task in here.box.world.tasks.values()]
        assert len(references) == len(set(references)), "an attempt created two tasks"
        batches = [reference.rsplit("-", 2)[0] for reference in references]
        assert len(batches) == len(set(batches)), "a batch created two tasks"
    check = here.run("ledger", "check", "--json")
    assert check.code == 0, check.document["error"]


def assert_buckets_sum(document):
    rows = document["rows"]
    assert rows["read"] == sum(count for name, count in rows.items() if name != "read")
    planned = rows["new"] + rows["changed"]
    assert sum(document["values"].values()) >= planned or document["exit_code"] not in {0, 3}


CHAOS = [(f"all kinds, seed {seed}", rules(seed, 0.10 if seed % 2 else 0.20), seed) for seed in range(4)]
CHAOS += [(f"{rule['kind']}, one call in five", ({**rule, "probability": 0.2},), 99) for rule in rules(3, 0.2)]


@pytest.mark.parametrize(("faults", "seed"), [case[1:] for case in CHAOS], ids=[case[0] for case in CHAOS])
def test_after_a_few_runs_everything_is_confirmed(night, faults, seed):
    with night(codes=codes(CODES), faults=faults, seed=seed) as here:
        for version in (1, 2):
            here.write("a.csv", HEADER, rows_of(version))
            for _ in range(12):
                done = here.sync("a.csv", "--approve", SYNCER_API__TIMEOUT_S="0.5", SYNCER_API__TASK_TIMEOUT_S="3")
                assert done.code in {0, 3, 5}, done.document["error"]
                assert_buckets_sum(done.document)
                if done.code == 0:
                    break
            assert done.code == 0, (done.document["values"], done.document["concerns"], done.document["error"])
            time.sleep(0.3)  # what was dropped on its way and lands late, lands now
            assert_promises_kept(here, rows_of(version))


def test_killed_at_random_moments_the_next_run_completes_and_nothing_is_sent_twice(night, record_property):
    """SIGKILL at random moments of a run's life, by turns followed by the same file, a newer one, or resume."""
    draw = chance("moments of death")
    kills = 0
    version = 1
    with night(codes=codes(CODES), latency_s=0.01) as here:
        here.write("a.csv", HEADER, rows_of(version))
        while kills < KILLS:
            process = here.start(
                "sync", "a.csv", "--approve", SYNCER_API__SETTLE_S="0.05", SYNCER_API__UPDATES_PER_SECOND="60"
            )
            began_s = time.monotonic()
            # Half of the kills come while it reads and plans, half at a random moment of its sending.
            moment_s = draw.uniform(0.25, 1.2)
            while process.poll() is None and time.monotonic() - began_s < moment_s:
                time.sleep(0.002)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)
            if process.returncode == -signal.SIGKILL:
                kills += 1
            else:
                assert process.returncode == 0
                version += 1
                here.write("a.csv", HEADER, rows_of(version))
            if kills % 10 == 5:
                version += 1
                here.write("a.csv", HEADER, rows_of(version))
        done = here.sync("a.csv", "--approve")
        assert done.code == 0, done.document
        assert_promises_kept(here, rows_of(version))
    covered(record_property, "deaths at random moments", KILLS, 100)
