"""A scene for the engine: a server on the virtual clock, a ledger, and a script that meddles with the answers."""

from __future__ import annotations

import itertools
import json

from plans import plan_of
from sim.ledgers import fresh_database, open_ledger
from sim.world import Chances, Fate, SimulatedApi, SimulatedLanes, SimulatedTransport, VirtualClock

from syncer.api.client import Client
from syncer.api.limits import ReadLimiter, UpdateLimiter
from syncer.execute.context import Context, EngineSettings
from syncer.execute.engine import Engine
from syncer.model import Dialect, SourceInfo
from syncer.process.clock import utc_text
from syncer.process.signals import Interrupt

SETTINGS = EngineSettings(settle_s=30.0, poll_s=2.0, task_timeout_s=120.0, give_up_after_s=600.0, max_reach_factor=0.0)
ASYNC, SYNC, TASKS = "/api/v2/scm/upload/async/", "/api/v2/scm/upload/", "/api/v2/scm/tasks/"
SOURCE = SourceInfo("a.csv", "0" * 64, 10, 4, Dialect("utf-8", ",", '"'), ("k", "m"))


class Scripted(SimulatedTransport):
    """The simulated transport; the scene's script may answer a call (a `Reply`), or meddle with the true answer."""

    def __init__(self, scene):
        super().__init__(scene.api)
        self.scene = scene
        self.paths, self.body = [], None

    def exchange(self, method, path, params, body):
        self.paths.append(path)
        self.body = body

        def really():
            return super(Scripted, self).exchange(method, path, params, body)

        return self.scene.script(self, path, really)

    def answer(self, status, document, *, sent=True):
        """Answer after a moment; status None: the connection broke."""
        begun_s, self.at_s = self.at_s, self.at_s + 0.1
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self._reply(status, body, begun_s, failure="reset" if status is None else None, sent=sent)


def honest(_transport, _path, really):
    return really()


class Scene:
    """A server with codes, an empty ledger, and one process after the other."""

    def __init__(self, codes, *, key=("extended_id",), unique=True, script=honest):
        self.clock = VirtualClock()
        self.api = SimulatedApi(1, codes, self.clock, Chances(), Fate(self.clock))
        self.database = fresh_database()
        self.key, self.unique, self.script = key, unique, script
        self.suffix = itertools.count()
        self.at_step = lambda what: None  # told of every commit, call and wait; where it raises, the process dies
        self.ledgers = []  # kept: a connection that is collected rolls back what its successor has begun
        self.begin()

    def begin(self, **settings):
        """Begin a process with a run of its own."""
        self.ledger = open_ledger(self.database, self._step)
        self.ledgers.append(self.ledger)
        at = utc_text(self.clock.wall_s())
        job = self.ledger.ensure_job("job", self.key)
        self.run = self.ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=self.unique, program="t")
        self.lanes = SimulatedLanes(self.api, self.clock, 4, self._step)
        self.lanes.transport = Scripted(self)
        self.lanes.client = Client(self.lanes.transport)
        self.interrupt = Interrupt(graceful=True)
        self.context = Context(
            ledger=self.ledger, run=self.run, writer=self.ledger.writer(self.run.id), clock=self.clock,
            lanes=self.lanes, updates=UpdateLimiter(10), reads=ReadLimiter(3000), settings=SETTINGS,
            new_suffix=lambda: f"{next(self.suffix):08x}",
        )  # fmt: skip
        for name, value in settings.items():
            object.__setattr__(self.context, name, value)
        self.seen = []
        self.engine = Engine(self.context, interrupt=self.interrupt, observe=self.seen.append)
        self.ledger.doubt_interrupted(self.run.id, at=at, uptime=self.clock.uptime())
        return self.engine

    def _step(self, what):
        self.at_step(what)

    def die(self):
        """The process is gone, with the transaction that it had begun; what is on its way may arrive."""
        self.at_step = lambda what: None
        if self.database.in_transaction:
            self.database.rollback()
        self.lanes.die()

    def plan(self, *batches, data='{"m":"1"}'):
        """Store a plan: per batch its keys, and the place of the varying column (-1: a sync batch)."""
        plan = plan_of(
            [key for keys, _ in batches for key in keys],
            sizes=[len(keys) for keys, _ in batches],
            varying=[place for _, place in batches],
            payloads=[data],
            key=self.key,
            fields=("m",),
        )
        self.ledger.store_plan(self.run, plan, [SOURCE], at=utc_text(self.clock.wall_s()))

    def counts(self):
        return {bucket.value: n for bucket, n in self.ledger.bucket_counts(self.run.id).items() if n}

    def states(self):
        return [batch.state for batch in self.ledger.batches(run_id=self.run.id)]


def singles(count):
    return [{"extended_id": f"K{n}"} for n in range(count)]


K = [f"K{n}" for n in range(6)]
