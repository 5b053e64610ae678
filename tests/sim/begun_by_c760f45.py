"""Schedules that c760f45, the last version before the mirror, begins and does not end: made anew with its own simulator.

    git worktree add --detach ../c760f45 c760f45
    PYTHONPATH=../c760f45/tests:../c760f45 .venv/bin/python -P tests/sim/begun_by_c760f45.py

It writes ``tests/sim/begun.jsonl.xz``, from which `sim.begun` goes on: of every schedule the ledger, what the server
holds and has under way, and the files. Each stops between two nights, or at a step that is drawn, as by a death. What is
kept has calls open, planned or failed in a way that no other has. The same worktree writes the same file.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import lzma
import sys
from dataclasses import asdict
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np
import pyarrow as pa
from sim import world as world_module
from sim.ledgers import AFTER_COMMIT, open_ledger
from sim.schedule import SETTINGS, Schedule
from sim.world import Crash, SimulatedApi, SimulatedLanes
from syncer.clock import utc_text
from syncer.reconcile import Reach
from syncer.signals import Interrupt

from syncer.api.limits import ReadLimiter, UpdateLimiter
from syncer.errors import SyncerError
from syncer.execute import outcome as outcome_module
from syncer.execute.context import Context
from syncer.execute.engine import Engine
from syncer.model import KEY_SEPARATOR, Dialect, Mode, SourceInfo, ValidChunk
from syncer.plan import batching
from syncer.plan.diff import Diff
from syncer.plan.planner import make_plan
from syncer.plan.records import Gatherer
from syncer.sandbox.world import World

BEGUN = Path(__file__).with_name("begun.jsonl.xz")
SEEDS, CODES_MAX, NIGHTS_MIN = 2500, 40, 2
KEPT_MAX = {"one job": 12, "several jobs": 14, "several spaces": 12, "overtaken": 14, "failed": 6}
"""How many are kept of each sort: overtaken is a call by a newer word of another job, failed is one after which something was known."""
OPEN = {"planned", "sending", "submitted", "in_doubt"}
RUNS_MAX = 4


def newer_module(name):
    """Return a module of the newer simulator, whose package has the same name as the older one."""
    spec = importlib.util.spec_from_file_location(f"newer_{name}", Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


spaces = newer_module("spaces")


def values_of(upload):
    """Yield the key values that an upload names, with each field and its value; a key's parts by their columns' names."""
    if "items" in upload:
        for item in upload["items"]:
            for word in item.items():
                if word[0] != upload["data_key"]:
                    yield item[upload["data_key"]], word
    else:
        for values in itertools.product(*(values for _, values in sorted(upload["constraints"].items()))):
            for word in upload["scm_data"].items():
                yield KEY_SEPARATOR.join(values), word


def asked_by(work):
    """Return what a call asks for that is on its way: method, path, query and document."""
    held = dict(zip(work.__code__.co_freevars, (cell.cell_contents for cell in work.__closure__), strict=True))
    return [held[name] for name in ("method", "path", "query", "document")]


class HalfWorld(World):
    """The emulator's world, in which some tasks fail after they were applied to half of their codes."""

    def _end(self, task):
        if task.fails and task.id < "8":
            numbers = sorted(self.select(task.constraints))
            for number in numbers[: (len(numbers) + 1) // 2]:
                self.write(number, task.scm_data, at_s=task.end_due_s, cause=f"task {task.id}")
        super()._end(task)


class Begun(Schedule):
    """A schedule of the older simulator, with a company as the newer one has it, that stops at a step."""

    def __init__(self, seed, stop_at):
        super().__init__(seed)
        self.stop_at, self.done = stop_at, 0
        self.chance = Random(f"begun {seed}")
        several = self.reach == 1 and not self.discards and self.chance.random() < 0.4
        self.jobs = self.chance.choice([("sim",), ("sim",), ("sim", "late")])
        self.apart = self.chance.random() < 0.2  # two jobs of a space write a field each, else both write both
        values = tuple(f"K{n:07d}" for n in range(self.codes))
        main = spaces.Space((self.key,), dict.fromkeys(self.jobs, (self.key,)), self.unique, values)
        self.all, self.kind = (main,), None
        if several:
            self.kind = self.chance.choice(["cases", "cases", "serials", "boxes"])
            self.all = (main, spaces.other(self.kind, range(self.codes)))
        world = [
            {"extended_id": f"E{n:05d}-{copy}", "case_no": f"K{n:07d}"}
            if self.reach > 1
            else {"extended_id": f"K{n:07d}", **(spaces.named(n) if several else {})}
            for n in range(self.codes)
            for copy in range(self.reach)
            if n not in self.missing
        ]
        campaigns = {1: frozenset({"m", "s", "case_no"})} if self.discards else None
        self.api = SimulatedApi(f"begun {seed}", world, self.clock, self.chances, self.fate, campaigns=campaigns)
        self.blanks, self.gone = self.chance.choice([0.0, 0.1, 0.5]), self.chance.choice([0.0, 0.3])
        self.files, self.asked = [], {}
        self.chances.rival = 0.0
        if len(self.jobs) > 1:
            self.hurry, self.chances.crash = 0.8, self.chance.choice([0.01, 0.04])
        if len(self.jobs) > 1 or several:  # it did not wait for a lost call of another job to be over
            self.chances.late = 0.0

    def step(self, what):
        """A place where the process may die, and where all of it may stop."""
        self.done += 1
        if self.done == self.stop_at:
            raise Crash(what)
        super().step(what)

    def new_file(self):
        """Write the next night's export: its job, its columns, and its rows, of which a cell may be blank."""
        self.version += 1
        space = self.chance.choice(self.all)
        job = self.chance.choice([*space.jobs])
        columns = [name for name in ("m", "s") if self.chance.random() >= self.gone] or ["m"]
        if self.apart and len(self.jobs) > 1 and space is self.all[0]:
            columns = ["m" if job == "sim" else "s"]
        groups, rows = self.chance.choice([1, 3, 50]), {}
        for n, key in enumerate(space.values):
            row = {}
            for name in columns:
                old = self.exported.get(key, {}).get(name)
                new = f"{self.version:04d}-{name}{n % groups}"
                if self.chance.random() >= self.blanks:
                    row[name] = old if old and self.chance.random() < 0.5 else new
            if row and self.chance.random() < self.present:
                rows[key] = row
        if not rows:
            rows[space.values[0]] = {columns[0]: f"{self.version:04d}-{columns[0]}0"}
        if self.discards:
            columns = [*columns, "gone"]
            for row in rows.values():
                row["gone"] = f"{self.version:04d}"
        for key, row in rows.items():
            self.exported[key] = {**self.exported.get(key, {}), **row}
            for name, value in row.items():
                self.asked.setdefault(name, {}).setdefault(key, set()).add(value)
        return job, columns, rows

    def play(self):
        """Nights of new files, up to the step at which it stops."""
        for _ in range(self.chance.randint(2, 4)):
            file = self.new_file()
            for number in range(RUNS_MAX):
                ended = self.one_run(file, resume=number > 0 and self.resuming.random() < self.resumes)
                if self.done == self.stop_at:
                    return
                if ended == 0 or self.chance.random() < self.hurry:
                    break

    def one_run(self, file, *, resume=False):
        """Run the program once; return its exit code, None when it died."""
        ledger = open_ledger(self.database, self.step)
        lanes = SimulatedLanes(self.api, self.clock, 8, self.step)
        code, died = None, False
        try:
            code = self.drive(ledger, lanes, None if resume else file)
        except Crash:
            died = True
        except SyncerError as error:
            code = error.status
        finally:
            ledger.connection.close()
            if self.database.in_transaction:
                self.database.rollback()
        if died:
            lanes.die()
            self.clock.now_s += self.chance.choice([0.0, 1.0, 100.0])
        return code

    def drive(self, ledger, lanes, file):
        """Do what the commands `sync` and (without a file) `resume` do, with the simulated parts."""
        at = utc_text(self.clock.wall_s())
        if file is None:
            run = next(iter(ledger.runs(most=1, planned=True)), None)
            if run is None:
                return 2  # nothing was planned yet: its file is needed
        else:
            space = self.space_of(file[0])
            job = ledger.ensure_job(file[0], [*space.jobs[file[0]]])
            run = ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=space.unique, program="sim")
        suffix = Random(self.random.random())
        context = Context(
            ledger=ledger, run=run, writer=ledger.writer(run.id), clock=self.clock, lanes=lanes,
            updates=UpdateLimiter(10), reads=ReadLimiter(3000), settings=SETTINGS,
            new_suffix=lambda: f"{suffix.getrandbits(32):08x}", reach=Reach(*ledger.reach(run.job)),
        )  # fmt: skip
        context.updates.preload([self.clock.now_s] * 10)
        engine = Engine(context, interrupt=Interrupt())
        ledger.doubt_interrupted(run.id, at=at, uptime=self.clock.uptime())
        error = engine.settle()
        if error is None:
            if file is not None:
                self.store(ledger, run, *file)
            error = engine.send(not_before_s=self.quarantine(ledger, run))
        code = 0 if error is None else error.status
        context.writer.end_run(
            run.id, utc_text(self.clock.wall_s()), state="complete" if code == 0 else "stopped", exit_code=code,
            error=None, discarded_fields=sorted(context.evidence.discarded),
        )  # fmt: skip
        return code

    def space_of(self, job):
        """Return the space of a job."""
        return next(space for space in self.all if job in space.jobs)

    def store(self, ledger, run, job, columns, rows):
        """Plan a night's file, and store the plan."""
        key = self.space_of(job).jobs[job]
        gatherer = Gatherer(tuple(columns))
        cells = [self.space_of(job).cells(job, value) for value in rows]
        keys = tuple(pa.array(list(column), pa.string()) for column in zip(*cells, strict=True))
        data = tuple(
            pa.array([row.get(name) for row in rows.values()], pa.string()).dictionary_encode() for name in columns
        )
        gatherer.add(ValidChunk(0, len(rows), keys, data, np.arange(2, 2 + len(rows), dtype=np.int64), ()))
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
            diff, key=key, fields=tuple(columns), mode=Mode.AUTO, names=["f"], carried_data=ledger.payload_data(carried)
        )
        name = f"begun-{self.version}.csv"
        source = SourceInfo(name, "0", 1, len(rows), Dialect("utf-8", ",", '"'), (*key, *columns))
        try:
            ledger.store_plan(run, plan, [source], at=utc_text(self.clock.wall_s()))
        except Crash as crash:
            if str(crash) == AFTER_COMMIT:
                self.files.append((job, rows))
            raise
        self.files.append((job, rows))

    def kept(self):
        """Return what is needed to go on, as JSON has it."""
        world = self.api.world
        return {
            "seed": self.seed,
            "codes": self.codes,
            "reach": self.reach,
            "missing": sorted(self.missing),
            "discards": self.discards,
            "jobs": self.jobs,
            "kind": self.kind,
            "clock": [self.clock.now_s, self.clock.wall_offset_s],
            "ledger": [*self.database.iterdump()],
            "held": [code.fields for code in world.codes],
            "tasks": [asdict(task) for task in world.tasks.values()],
            "journal": [[w.order, w.at_s, w.code, w.field, w.old, w.new, w.cause] for w in world.journal],
            "late": [[due_s, *asked_by(work)] for due_s, _, work in sorted(self.api.late, key=lambda entry: entry[:2])],
            "sent": sorted([key, *word] for key, word in self.api.sent),
            "exported": self.exported,
            "asked": {name: {key: sorted(said) for key, said in by.items()} for name, by in self.asked.items()},
            "files": self.files,
            "version": self.version,
        }

    def crossed(self):
        """Return how two jobs' calls for one value stand, the older word's first, and whose that is."""
        rows = self.database.execute(
            """SELECT DISTINCT b.state, c.state, b.job_id < c.job_id FROM items o JOIN batches b ON b.id = o.batch_id
               JOIN jobs j ON j.id = b.job_id JOIN items n ON n.key = o.key AND n.source_id > o.source_id
               JOIN batches c ON c.id = n.batch_id JOIN jobs k ON k.id = c.job_id AND k.key = j.key
               WHERE j.id <> k.id AND NOT b.split AND NOT c.split AND 'superseded' NOT IN (b.state, c.state)"""
        )
        return set(rows.fetchall())

    def sort(self):
        """Return of which sort it is: by what is hardest for whoever goes on."""
        failed = self.database.execute(
            """SELECT 1 FROM current c JOIN items i ON i.key = c.key JOIN batches b ON b.id = i.batch_id
               WHERE b.job_id = c.job_id AND b.id > c.batch_id AND b.state = 'failed'"""
        ).fetchone()
        if failed:
            return "failed"
        if any(older in OPEN and newer != "planned" for older, newer, _ in self.crossed()):
            return "overtaken"
        return "several spaces" if self.kind else "several jobs" if len(self.jobs) > 1 else "one job"

    def features(self):
        """Return what makes a stop unlike others: how its calls stand, and those of two jobs for one value."""
        rows = self.database.execute("SELECT DISTINCT state, attempts > 0 FROM batches WHERE NOT split").fetchall()
        late = len(self.api.late) > 0
        return frozenset({*rows, *self.crossed(), self.kind, self.reach > 1, self.discards, late})


def played(seed, stop_at):
    """Play one schedule up to a step (None: to its end); return it."""
    schedule = Begun(seed, stop_at)
    with (
        mock.patch.object(world_module, "values_of", values_of),
        mock.patch.object(world_module, "World", HalfWorld),
        mock.patch.object(batching, "ASYNC_VALUES_MAX", 20),
        mock.patch.object(batching, "SYNC_ITEMS_MAX", 5),
        mock.patch.object(outcome_module, "PIECE_VALUES_MAX", 5),
    ):
        schedule.play()
    return schedule


def stopped(seed):
    """Play one schedule, and stop it where chance says; return it."""
    whole, chance = played(seed, None), Random(f"stop of {seed}")
    return whole if chance.random() < 0.2 else played(seed, chance.randint(whole.done // 3, whole.done))


def main():
    """Write those that are unlike each other."""
    logging.getLogger("syncer").setLevel(logging.CRITICAL)
    kept, seen, room = [], set(), dict(KEPT_MAX)
    for seed in range(SEEDS):
        schedule = stopped(seed)
        plain = len(schedule.files) < NIGHTS_MIN or schedule.codes > CODES_MAX
        if plain or schedule.features() in seen or not room[schedule.sort()]:
            continue
        seen.add(schedule.features())
        room[schedule.sort()] -= 1
        kept.append(json.dumps(schedule.kept(), sort_keys=True, separators=(",", ":")))
        if not any(room.values()):
            break
    BEGUN.write_bytes(lzma.compress("\n".join(kept).encode()))
    print({sort: left for sort, left in room.items() if left} or "all sorts are there")
    print(f"{len(kept)} schedules of {seed + 1}, {BEGUN.stat().st_size} bytes")


if __name__ == "__main__":
    main()
