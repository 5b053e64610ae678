"""One schedule: nights of files, faults and deaths from one seed, and the promises checked against the server's record."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np
import pyarrow as pa
from sim.world import Chances, Crash, SimulatedApi, SimulatedLanes, VirtualClock
from sqlalchemy import StaticPool, create_engine, event, text

from syncer.api.limits import ReadLimiter, UpdateLimiter
from syncer.clock import utc_text
from syncer.execute import outcome as outcome_module
from syncer.execute.context import Context, EngineSettings
from syncer.execute.engine import Engine
from syncer.ledger.ledger import Ledger
from syncer.ledger.schema import SCHEMA_REVISION, append_only_triggers, metadata
from syncer.lifecycle import Bucket
from syncer.model import Dialect, Mode, SourceInfo, ValidChunk
from syncer.plan import batching
from syncer.plan.diff import Diff
from syncer.plan.planner import make_plan
from syncer.plan.records import Gatherer
from syncer.reconcile import Reach
from syncer.signals import Interrupt

SETTINGS = EngineSettings(settle_s=30.0, poll_s=2.0, task_timeout_s=120.0, give_up_after_s=600.0, max_reach_factor=0.0)
RUNS_MAX = 60
STEPS_MAX = 20_000


class ViolationError(AssertionError):
    """A promise was broken; the message says which, and the seed repeats it."""


@dataclass
class Outcome:
    """What a schedule came to."""

    runs: int = 0
    crashes: int = 0
    calls: int = 0
    trace: list[str] = field(default_factory=list)


@cache
def empty_ledger():
    """Return the bytes of an empty ledger: the declared schema, which the migrations are proven equal to."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    engine = create_engine("sqlite://", creator=lambda: database, poolclass=StaticPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": SCHEMA_REVISION})
        for statement in append_only_triggers():
            connection.execute(text(statement))
    return database.serialize()


def fresh_database():
    """Return a ledger in memory, without a run."""
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.deserialize(empty_ledger())
    return database


# One engine for all schedules, so that each statement is compiled once; every process has a connection of its own.
_engine = create_engine("sqlite://", poolclass=StaticPool)
_commit_steps = []


@event.listens_for(_engine, "begin")
def _begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@event.listens_for(_engine, "commit")
def _commit(_):
    for step in _commit_steps:
        step("before a commit")


def open_ledger(database, step):
    """Open the ledger for a process on the database, which outlives it; it may die before every commit."""
    _engine.pool = StaticPool(lambda: database, dialect=_engine.dialect)
    _commit_steps[:] = [step]
    return Ledger(Path("sim"), _engine.connect(), None)


class Schedule:
    """Runs nights until everything settles. Calls are small (20 values async, 5 sync), so that few codes need many."""

    def __init__(self, seed):
        self.seed = seed
        self.random = Random(seed)
        self.clock = VirtualClock()
        self.codes = self.random.choice([3, 15, 40, 80])
        fault = self.random.choice([0.0, 0.02, 0.1, 0.2, 0.3])
        weights = {kind: self.random.random() ** 3 for kind in Chances.__dataclass_fields__}
        total = sum(weight for kind, weight in weights.items() if kind != "crash")
        self.chances = Chances(**{kind: fault * weight / total for kind, weight in weights.items()})
        self.chances.crash = self.random.choice([0.0, 0.0, 0.002, 0.01, 0.04])
        world = [{"extended_id": f"K{n:05d}"} for n in range(self.codes)]
        self.missing = {n for n in range(self.codes) if self.random.random() < self.random.choice([0.0, 0.0, 0.02])}
        if self.missing:  # a count that is wrong by just the missing codes cannot be told from the truth by anybody
            self.chances.wrong_count = 0.0
        self.api = SimulatedApi(
            seed, [c for n, c in enumerate(world) if n not in self.missing], self.clock, self.chances
        )
        self.database = fresh_database()
        self.outcome = Outcome()
        self.version = 0
        self.calmed = False
        self.rows = {}
        self.last = {}
        self.steps = 0

    def step(self, what):
        """A place where the process may die."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise ViolationError(f"seed {self.seed}: no end after {STEPS_MAX} steps ({what})")
        if self.random.random() < self.chances.crash:
            raise Crash(what)

    def new_file(self):
        """Write the next night's export: some values change, a few rows come or go."""
        self.version += 1
        groups = self.random.choice([1, 3, 50])
        rows = {}
        for n in range(self.codes):
            if self.random.random() < 0.95:
                changed = self.random.random() < self.random.choice([0.05, 1.0])
                old = self.rows.get(f"K{n:05d}")
                rows[f"K{n:05d}"] = old if old and not changed else f"{self.version:04d}-m{n % groups}"
        self.last = rows
        return rows

    def run(self):
        """Play the whole schedule; raise `ViolationError` when a promise is broken."""
        with (
            mock.patch.object(batching, "ASYNC_VALUES_MAX", 20),
            mock.patch.object(batching, "SYNC_ITEMS_MAX", 5),
            mock.patch.object(outcome_module, "PIECE_VALUES_MAX", 5),
        ):
            return self.play()

    def play(self):
        """Nights of new files, some given up for the next one; then calm."""
        nights = self.random.randint(1, 3)
        while nights:
            nights -= 1
            rows = self.new_file()
            for _ in range(RUNS_MAX):
                ended = self.one_run(rows)
                if ended is not None and (ended == 0 or (self.random.random() < 0.3 and nights)):
                    break
        self.calm()
        return self.outcome

    def calm(self):
        """All faults end; after some runs everything that can be confirmed must be."""
        for kind in Chances.__dataclass_fields__:
            setattr(self.chances, kind, 0.0)
        for task in self.api.world.tasks.values():
            task.stuck = False
        self.calmed = True
        self.clock.now_s += 60.0
        for _ in range(4):
            if self.one_run(self.last) == 0:
                break
        else:
            if not self.missing:
                raise ViolationError(f"seed {self.seed}: not everything is confirmed after the faults ended")
        self.clock.now_s += 60.0
        self.api.advance(self.clock.now_s)
        self.check_server()

    def one_run(self, rows):
        """Run the program once on a file; None when it died."""
        self.outcome.runs += 1
        ledger = open_ledger(self.database, self.step)
        lanes = SimulatedLanes(self.api, self.clock, 8, self.step)
        code, died = None, ""
        try:
            try:
                code = self.drive(ledger, lanes, rows)
            except Crash as crash:
                died = str(crash)
        finally:  # only now are the dead process's frames gone, with all that they held open
            ledger.connection.close()
            if self.database.in_transaction:
                self.database.rollback()
        self.outcome.trace.append(f"{self.clock.now_s:.3f} {f'died {died}' if died else f'exit {code}'}")
        if died:
            self.outcome.crashes += 1
            lanes.die()
            self.clock.now_s += self.random.choice([0.0, 1.0, 100.0])
            self.clock.wall_offset_s += self.random.choice([0.0, 0.0, 0.0, -3600.0, 7200.0])
        return code

    def drive(self, ledger, lanes, rows):
        """What `commands.sync` does, with the simulated parts."""
        at = utc_text(self.clock.wall_s())
        job = ledger.ensure_job("sim", ["extended_id"])
        run = ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=True, program="sim")
        suffix = Random(self.random.random())
        context = Context(
            ledger=ledger, run=run, writer=ledger.writer(run.id), clock=self.clock, lanes=lanes,
            updates=UpdateLimiter(10), reads=ReadLimiter(3000), settings=SETTINGS,
            new_suffix=lambda: f"{suffix.getrandbits(32):08x}", reach=Reach(),
        )  # fmt: skip
        context.updates.preload([self.clock.now_s] * 10)
        engine = Engine(context, interrupt=Interrupt())
        ledger.doubt_interrupted(run.id, at=at)
        error = engine.settle()
        if error is None:
            self.store(ledger, run, rows)
            error = engine.send(not_before_s=self.quarantine(ledger, run))
        self.outcome.calls += context.counts.updates
        values = ledger.bucket_counts(run.id)
        fine = error is None and not any(n for b, n in values.items() if b not in {Bucket.CONFIRMED, Bucket.SUPERSEDED})
        held = ledger.run(run.id).rows.get("held", 0)
        code = 0 if fine and not held else 3 if error is None else error.status
        context.writer.end_run(run.id, at, state="x", exit_code=code, error=None, discarded_fields=())
        self.check_run(ledger, run, rows, values)
        return code

    def quarantine(self, ledger, run):
        """The commands' own rule, on the virtual clock."""
        from syncer.execute.assemble import quarantine_s

        return quarantine_s(ledger, run, SETTINGS, 60.0, self.clock)

    def store(self, ledger, run, rows):
        gatherer = Gatherer(("m",))
        keys = pa.array(list(rows), pa.string())
        cells = pa.array(list(rows.values()), pa.string()).dictionary_encode()
        gatherer.add(ValidChunk(0, len(rows), (keys,), (cells,), np.arange(2, 2 + len(rows), dtype=np.int64), ()))
        records = gatherer.records()
        diff = Diff(records, ledger.payload_ids(records.payloads.fingerprints()))
        for block in ledger.known(run.job, records.keys):
            diff.see_known(block)
        for block in ledger.open_keys(run.job):
            diff.see_open(block)
        for block in ledger.unsent(run.job):
            diff.see_unsent(block)
        carried = sorted({int(i) for block in diff.carried for i in block.payload_ids})
        plan = make_plan(
            diff,
            key=("extended_id",),
            fields=("m",),
            mode=Mode.AUTO,
            names=["f"],
            carried_data=ledger.payload_data(carried),
        )
        source = SourceInfo("f", "0", 1, len(rows), Dialect("utf-8", ",", ""), ("extended_id", "m"))
        ledger.store_plan(run, plan, [source], at=utc_text(self.clock.wall_s()))
        self.rows = {**self.rows, **rows}

    def check_run(self, ledger, run, rows, values):
        """Promises that hold at the end of every run: buckets sum, the ledger is whole, confirmed means applied."""
        counts = ledger.run(run.id).rows
        if counts and counts["read"] != sum(n for name, n in counts.items() if name != "read"):
            raise ViolationError(f"seed {self.seed}: the buckets do not sum: {counts}")
        if self.calmed:
            problems = ledger.problems()
            if problems:
                raise ViolationError(f"seed {self.seed}: ledger: {problems}")
        with ledger.transaction() as connection:
            confirmed = dict(
                connection.exec_driver_sql(
                    "SELECT c.key, p.data FROM current c JOIN payloads p ON p.id = c.payload_id"
                ).fetchall()
            )
        ever = {}
        for write in self.api.world.journal:
            ever.setdefault(self.api.world.codes[write.code].fields["extended_id"], set()).add(write.new)
        for key, data in confirmed.items():
            if data[6:-2] not in ever.get(key, ()):
                raise ViolationError(f"seed {self.seed}: {key} is confirmed as {data}, which was never applied")

    def check_server(self):
        """Promises about everything that ever reached the server, from its own record."""
        world = self.api.world
        if world.violations:
            raise ViolationError(f"seed {self.seed}: {world.violations[:3]}")
        newest = {}
        for write in world.journal:
            if write.new < newest.get(write.code, ""):
                raise ViolationError(
                    f"seed {self.seed}: {write.new} landed over {newest[write.code]} on code {write.code}"
                )
            newest[write.code] = write.new
        # A task that the API applies but never shows cannot be found by anybody.
        batches = [task.reference.rsplit("-", 2)[0] for task in world.tasks.values() if not task.forgotten]
        if len(batches) != len(set(batches)):
            raise ViolationError(f"seed {self.seed}: a batch has two tasks")
        self.check_nothing_lost({code.fields["extended_id"]: code.fields.get("m") for code in world.codes})

    def check_nothing_lost(self, held):
        """The last word about every value that was ever planned: applied, or refused and said so; never forgotten."""
        rows = self.database.execute(
            """SELECT i.key, p.data, b.state, o.bucket, q.data FROM items i JOIN batches b ON b.id = i.batch_id
               JOIN payloads p ON p.id = i.payload_id LEFT JOIN outcomes o ON o.item_id = i.id
               LEFT JOIN current c ON c.key = i.key LEFT JOIN payloads q ON q.id = c.payload_id
               WHERE i.id IN (SELECT max(i.id) FROM items i JOIN batches b ON b.id = i.batch_id WHERE NOT b.split GROUP BY i.key)"""
        )
        for key, data, state, bucket, now in rows:
            wanted = data if state in {"confirmed", "mismatched"} and bucket is None else None
            if state == "superseded":  # right only when a newer file went back to what is confirmed
                if now is None or now[6:-2] != self.rows[key]:
                    raise ViolationError(f"seed {self.seed}: {key} was planned as {data}, never sent, and forgotten")
                wanted = now
            elif state in {"planned", "sending", "submitted", "in_doubt"}:
                raise ViolationError(f"seed {self.seed}: {key} is still {state}")
            if wanted is not None and held.get(key) != wanted[6:-2]:
                raise ViolationError(
                    f"seed {self.seed}: {key} is confirmed as {wanted}, the server holds {held.get(key)}"
                )
