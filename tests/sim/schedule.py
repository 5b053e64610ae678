"""One schedule: nights of files, faults and deaths from one seed, and the promises checked against the server's record."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from unittest import mock

import numpy as np
import pyarrow as pa
from sim.ledgers import AFTER_COMMIT, fresh_database, open_ledger
from sim.promises import (
    ViolationError,
    applied_ever,
    check_history,
    check_known,
    check_nothing_lost,
    check_reach,
    check_run,
    check_server,
    let_go_keys,
    let_go_tasks,
)
from sim.world import KINDS, Chances, Crash, Fate, SimulatedApi, SimulatedLanes, VirtualClock

from syncer.api.limits import ReadLimiter, UpdateLimiter
from syncer.errors import StaleStateError
from syncer.execute import outcome as outcome_module
from syncer.execute.assemble import quarantine_s
from syncer.execute.context import Context, EngineSettings
from syncer.execute.engine import Engine
from syncer.lifecycle.batch import Bucket
from syncer.model import Dialect, Mode, SourceInfo, ValidChunk
from syncer.plan import batching
from syncer.plan.planner import make_plan
from syncer.plan.records import Gatherer
from syncer.process.clock import utc_text
from syncer.process.signals import Interrupt
from syncer.runs.intake import compare

SETTINGS = EngineSettings(settle_s=30.0, poll_s=2.0, task_timeout_s=120.0, give_up_after_s=600.0, max_reach_factor=0.0)
RUNS_MAX = 60
STEPS_MAX = 20_000
"""Of one run: a run without end is a defect too."""


@dataclass
class Outcome:
    """What a schedule came to."""

    runs: int = 0
    crashes: int = 0
    rivals: int = 0
    calls: int = 0
    trace: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    digest: str = ""
    """Of every request and answer, in order."""


def merge(wanted, rows):
    """Lay rows over what was said before, field by field: the newest word counts."""
    for key, row in rows.items():
        wanted[key] = {**wanted.get(key, {}), **row}


class Schedule:
    """Runs nights until everything settles. Calls are small (20 values async, 5 sync), so that few codes need many.

    `kept` are the numbers of the things that go wrong this time (see `Fate`); None: all that are drawn.
    """

    def __init__(self, seed, kept=None):
        self.seed = seed
        self.random = Random(seed)
        self.clock = VirtualClock()
        self.fate = Fate(self.clock, kept)
        self.codes = self.random.choice([3, 15, 40, 80])
        fault = self.random.choice([0.0, 0.02, 0.1, 0.2, 0.3])
        weights = {kind: self.random.random() ** 3 for kind in KINDS}
        total = sum(weights.values())
        self.chances = Chances(**{kind: fault * weight / total for kind, weight in weights.items()})
        self.chances.crash = self.random.choice([0.0, 0.0, 0.002, 0.01, 0.04])
        self.chances.clock_jump = self.random.choice([0.0, 0.0, 0.0, 0.005])
        self.rivalry = Random(f"rivals of {seed}")
        self.chances.rival = self.rivalry.choice([0.0, 0.0, 0.0, 0.01, 0.1])
        self.resuming = Random(f"resumes of {seed}")
        self.resumes = self.resuming.choice([0.0, 0.2, 0.7])  # that what is not done is resumed without its file
        self.missing = {n for n in range(self.codes) if self.random.random() < self.random.choice([0.0, 0.0, 0.02])}
        if self.missing:  # a count that is wrong by just the missing codes cannot be told from the truth by anybody
            self.chances.wrong_count = 0.0
        # One code per value; or as many for each value, as cases have; then an odd count more proves nothing either.
        self.reach = self.random.choice([1, 1, 1, 2, 5])
        self.key = "extended_id" if self.reach == 1 else "case_no"
        self.unique = self.reach == 1
        if not self.unique:
            self.chances.wrong_count = self.chances.no_items = 0.0
        self.discards = self.random.random() < 0.2
        self.fields = ("gone", "m", "s") if self.discards else ("m", "s")
        life = Random(f"life of {seed}")
        self.blanks = life.choice([0.0, 0.0, 0.1, 0.5])
        self.gone = life.choice([0.0, 0.0, 0.3])  # that a night's file lacks a column
        world = [
            {"extended_id": f"E{n:05d}-{copy}", "case_no": f"K{n:05d}"}
            if self.reach > 1
            else {"extended_id": f"K{n:05d}"}
            for n in range(self.codes)
            for copy in range(self.reach)
            if n not in self.missing
        ]
        campaigns = {1: frozenset({"m", "s", "case_no"})} if self.discards else None
        self.api = SimulatedApi(seed, world, self.clock, self.chances, self.fate, campaigns=campaigns)
        self.database = fresh_database()
        self.outcome = Outcome(struck=self.fate.struck)
        self.hurry = self.random.choice([0.1, 0.3, 0.8])  # that a newer file comes before the last one is settled
        self.present = self.random.choice([0.5, 0.95, 1.0])  # of the rows, in each night's file
        self.version = 0
        self.calmed = False
        self.exported = {}  # by the ERP, whether or not the program ever saw it
        self.rows = {}  # of the plans that were stored
        self.last = {}
        self.asked = {"m": {}, "s": {}}
        self.steps = 0
        self.discarded = False
        self.hanging = False

    def step(self, what):
        """A place where the process may die."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise ViolationError(f"no end after {STEPS_MAX} steps ({what})")
        if self.random.random() < self.chances.clock_jump:
            jump_s = self.random.choice([-86_400.0, -3600.0, -5.0, 40.0, 7200.0, 86_400.0])
            if self.fate.strikes(f"the wall clock jumps by {jump_s:g} s"):
                self.clock.wall_offset_s += jump_s
        if self.random.random() < self.chances.crash and self.fate.strikes(f"death: {what}"):
            raise Crash(what)

    def pause(self, lanes, rows):
        """A place where the process may hang while another one, whom no lock held back, runs on the same file."""
        if self.hanging or self.rivalry.random() >= self.chances.rival or not self.fate.strikes("a second process"):
            return
        lanes.call_all()  # the lanes do not hang
        self.outcome.rivals += 1
        steps, self.hanging = self.steps, True
        self.one_run(rows)
        self.steps, self.hanging = steps, False

    def new_file(self):
        """Write the next night's export: some values change, a few rows come or go, cells are blank, columns missing."""
        self.version += 1
        groups = self.random.choice([1, 3, 50])
        columns = [name for name in ("m", "s") if self.random.random() >= self.gone] or ["m"]
        rows = {}
        for n in range(self.codes):
            key, row = f"K{n:05d}", {}
            for name in columns:
                changed = self.random.random() < self.random.choice([0.05, 1.0])
                old = self.exported.get(key, {}).get(name)
                if self.random.random() >= self.blanks:
                    row[name] = old if old and not changed else f"{self.version:04d}-{name}{n % groups}"
            if row and self.random.random() < self.present:
                rows[key] = row
        self.last = rows
        merge(self.exported, rows)
        for key, row in rows.items():
            for name, value in row.items():
                self.asked[name].setdefault(key, set()).add(value)
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
            for number in range(RUNS_MAX):
                ended = self.one_run(rows, resume=number > 0 and self.resuming.random() < self.resumes)
                if ended == 0 or (nights and self.random.random() < self.hurry):
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
            if self.one_run(self.last) == (3 if self.discarded else 0):
                break
        else:
            if not self.missing:
                raise ViolationError("not everything is confirmed after the faults ended")
        self.clock.now_s += 60.0
        self.api.advance(self.clock.now_s)
        check_server(self.api.world, let_go_tasks(self.database))
        for name, asked in self.asked.items():
            check_reach(applied_ever(self.api.world, self.key, name), asked)
        check_nothing_lost(self.database, self.held(), self.rows, let_go_keys(self.database))
        check_history(self.database, self.api.sent)

    def held(self):
        """What the server holds for every key value: the fields of each of its codes."""
        held = {}
        for code in self.api.world.codes:
            held.setdefault(code.fields[self.key], []).append(code.fields)
        return held

    def one_run(self, rows, *, resume=False):
        """Run the program once, on a file or to `resume`; return its exit code, None when it died."""
        self.outcome.runs += 1
        self.steps = 0
        ledger = open_ledger(self.database, self.step)
        lanes = SimulatedLanes(self.api, self.clock, 8, self.step, lambda lanes: self.pause(lanes, rows))
        rivals = self.outcome.rivals
        code, died = None, ""
        try:
            try:
                code = self.drive(ledger, lanes, None if resume else rows)
            except Crash as crash:
                died = str(crash)
            except StaleStateError as error:
                if self.outcome.rivals == rivals:
                    raise ViolationError(f"one process alone: {error}") from error
                died = str(error)  # what the other one did to its calls is not overwritten
        finally:  # only now are the dead process's frames gone, with all that they held open
            if self.database.in_transaction:
                self.database.rollback()
        check_known(ledger, self.held(), let_go_keys(self.database, seen_to_end=False))
        ledger.connection.close()
        self.outcome.digest = self.api.digest.hexdigest()
        self.outcome.trace.append(f"{self.clock.now_s:.3f} {f'died {died}' if died else f'exit {code}'}")
        if died:
            self.outcome.crashes += 1
            lanes.die()
            self.clock.now_s += self.random.choice([0.0, 1.0, 100.0])
            jump_s = self.random.choice([0.0, 0.0, 0.0, -3600.0, 7200.0])
            if jump_s and self.fate.strikes(f"the wall clock jumps by {jump_s:g} s between two processes"):
                self.clock.wall_offset_s += jump_s
        return code

    def drive(self, ledger, lanes, rows):
        """Do what the commands `sync` and (without rows) `resume` do, with the simulated parts."""
        at = utc_text(self.clock.wall_s())
        run = next(iter(ledger.runs(most=1, planned=True)), None) if rows is None else None
        if rows is not None:
            job = ledger.ensure_job("sim", [self.key])
            run = ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=self.unique, program="sim")
        elif run is None:
            return 2  # nothing was planned yet: its file is needed
        suffix = Random(self.random.random())
        context = Context(
            ledger=ledger, run=run, writer=ledger.writer(run.id), clock=self.clock, lanes=lanes,
            updates=UpdateLimiter(10), reads=ReadLimiter(3000), settings=SETTINGS,
            new_suffix=lambda: f"{suffix.getrandbits(32):08x}",
        )  # fmt: skip
        context.updates.preload([self.clock.now_s] * 10)
        engine = Engine(context, interrupt=Interrupt())
        ledger.doubt_interrupted(run.id, at=at, uptime=self.clock.uptime())
        error = engine.settle()
        if error is None:
            if rows is not None:
                self.store(ledger, run, rows)
            error = engine.send(not_before_s=self.quarantine(ledger, run))
        self.outcome.calls += context.counts.updates
        values = ledger.bucket_counts(run.id)
        fine = error is None and not any(n for b, n in values.items() if b not in {Bucket.CONFIRMED, Bucket.SUPERSEDED})
        held = ledger.run(run.id).rows.get("held", 0)
        self.discarded = bool(context.refused_fields)
        if self.discarded and not self.discards:
            raise ViolationError(f"{sorted(context.refused_fields)} were taken, and called discarded")
        code = 0 if fine and not held and not self.discarded else 3 if error is None else error.status
        context.writer.end_run(run.id, at, state="x", exit_code=code, error=None, discarded_fields=())
        check_run(ledger, run, thorough=self.calmed)
        return code

    def quarantine(self, ledger, run):
        """The commands' own rule, on the virtual clock."""
        return quarantine_s(ledger, [run.job.id], SETTINGS, self.clock)

    def store(self, ledger, run, rows):
        gatherer = Gatherer(self.fields)
        keys = pa.array(list(rows), pa.string())
        cells = {name: [row.get(name) for row in rows.values()] for name in ("m", "s")}
        cells["gone"] = ["x"] * len(rows)
        columns = tuple(pa.array(cells[name], pa.string()).dictionary_encode() for name in self.fields)
        gatherer.add(ValidChunk(0, len(rows), (keys,), columns, np.arange(2, 2 + len(rows), dtype=np.int64), ()))
        records = gatherer.records()
        plan = make_plan(
            compare(records, ledger, run.job), key=(self.key,), fields=self.fields, mode=Mode.AUTO, names=["f"]
        )
        source = SourceInfo("f", "0", 1, len(rows), Dialect("utf-8", ",", ""), (self.key, *self.fields))
        try:
            ledger.store_plan(run, plan, [source], at=utc_text(self.clock.wall_s()))
        except Crash as crash:
            if str(crash) == AFTER_COMMIT:
                merge(self.rows, rows)
            raise
        merge(self.rows, rows)
