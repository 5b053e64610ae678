"""Schedules begun by c760f45, the version before the mirror, and ended by this one: its ledger is upgraded, then go on.

``begun.jsonl.xz`` holds what `begun_by_c760f45` stopped. What always holds: the server and the ledger go on as they were
left; what is wanted from before is what the old ledger had planned or under way, as far as no newer file said otherwise.
What it had believed and could not know is uncertain, and no wish.
"""

from __future__ import annotations

import heapq
import json
import lzma
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from unittest import mock

from sim.company import LATER
from sim.ledgers import LEDGER_ID, open_ledger, overwrite
from sim.process import Process, folder
from sim.promises import ViolationError, check_known
from sim.spaces import Spaces, other
from sim.uploads import Uploads

from syncer.config.jobs import all_disjoint
from syncer.errors import TargetChangedError
from syncer.ledger import migrate
from syncer.ledger.ledger import upgrade_ledger
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import utc_text
from syncer.sandbox.world import StoredTask, Write

OFTEN = 1 / 15
OPEN = "('planned', 'sending', 'submitted', 'in_doubt')"


@cache
def states():
    """Return all that was stopped, in the order in which it was written."""
    lines = lzma.decompress(Path(__file__).with_name("begun.jsonl.xz").read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


@cache
def upgraded(number, at, _migrations):
    """Return the bytes of an old ledger after ``syncer ledger upgrade`` by the migrations of a folder."""
    path = folder() / "begun.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("\n".join(states()[number]["ledger"]))
    upgrade_ledger(f"sqlite:///{path}", at=at)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE ledger SET id = ?", (LEDGER_ID,))
        database.commit()
        whole = database.serialize()
    for left in folder().glob("begun.db*"):
        left.unlink()
    return whole


@dataclass(frozen=True)
class Begun:
    """What an older version left."""

    number: int
    chance: Random

    @classmethod
    def drawn(cls, seed):
        """Return what a seed goes on with; most begin anew: None."""
        chance = Random(f"the begin of {seed}")
        return cls(chance.randrange(len(states())), chance) if chance.random() < OFTEN else None

    @property
    def state(self):
        """Return what was written of it."""
        return states()[self.number]

    def set_codes(self, schedule):
        """Let a schedule have the codes and the clock that were left."""
        state = self.state
        schedule.codes, schedule.missing, schedule.reach = state["codes"], set(state["missing"]), state["reach"]
        schedule.unique, schedule.discards = schedule.reach == 1, state["discards"]
        schedule.key = "extended_id" if schedule.unique else "case_no"
        schedule.uploads = Uploads(schedule.uploads.random, 0.0)
        schedule.clock.now_s, schedule.clock.wall_offset_s = state["clock"]
        schedule.clock.now_s += self.chance.choice([0.0, 1.0, 100.0, 86_400.0])
        if schedule.missing:
            schedule.chances.wrong_count = 0.0
        if not schedule.unique:
            schedule.chances.wrong_count = schedule.chances.no_items = 0.0

    def company(self, drawn):
        """Return the company: its jobs, as they were."""
        jobs = max(drawn.jobs, tuple(self.state["jobs"]), key=len)
        return replace(drawn, reaches=(self.state["reach"],), jobs=jobs, changes_only=False)

    def spaces(self, main):
        """Return the code spaces, as they were; whether files tell of cases, and of other ones, is new."""
        kind = self.state["kind"]
        if kind is None:
            return Spaces((main,))
        link = self.chance.choice([0.0, 0.5, 1.0, 1.0]) if kind == "cases" else 0.0
        moves = self.chance.choice([0.0, 0.05, 0.3]) if link else 0.0
        return Spaces((main, other(kind, range(self.state["codes"]))), link, moves)

    def put_in_place(self, schedule):
        """Let the server, the ledger and the files be as they were left, and the ledger upgraded."""
        state, world = self.state, schedule.api.world
        world.journal[:] = [Write(*row[:6], f"begun {row[6]}") for row in state["journal"]]
        world._orders = iter(range(len(world.journal) + 1, 1_000_000_000))
        for row in state["tasks"]:
            task = StoredTask(**row)
            world.tasks[task.id], world.owners[task.id] = task, 0
            if task.ended_s is None:
                world._open.append(task)
        for order, (due_s, *asked) in enumerate(state["late"]):
            heapq.heappush(schedule.api.late, (due_s, order - len(state["late"]), partial(arrive, schedule.api, asked)))
        schedule.api.sent = {(key, (name, value)) for key, name, value in state["sent"]}
        schedule.api.advance(schedule.clock.now_s)
        at = utc_text(state["clock"][0] + state["clock"][1])
        overwrite(schedule.database, upgraded(self.number, at, migrate.migrations_path()))
        schedule.exported, schedule.version = json.loads(json.dumps(state["exported"])), state["version"]
        for name, by_key in state["asked"].items():
            schedule.asked[name] = {key: set(said) for key, said in by_key.items()}
        spaces = {}
        for job, rows in state["files"]:
            schedule.note(job, rows)
            for name in {name for row in rows.values() for name in row}:
                spaces.setdefault(name, set()).add(schedule.spaces.of(job).columns)
        # The old version held no key's words back for another's: which of them are the newest on a code, it did not know.
        wanted = {word for word in self.wanted() if len(spaces[word[1]]) == 1}
        for key, row in [*schedule.rows.items()]:
            left = {name: value for name, value in row.items() if (key, name, value) in wanted}
            schedule.rows.update({key: left}) if left else schedule.rows.pop(key)
        (schedule.stored,) = schedule.database.execute("SELECT max(id) FROM sources").fetchone()
        ledger = open_ledger(schedule.database, lambda what: None)
        check_known(ledger, schedule.truth(), all_disjoint(schedule.settings.jobs), schedule.rows)
        if problems := ledger.problems():
            raise ViolationError(f"the upgraded ledger: {problems}")
        ledger.close()

    def adopt(self, schedule, refused):
        """Say that the ledger belongs to the server, after a run that was refused, since it does not say so itself."""
        if not isinstance(refused.error, TargetChangedError):
            return
        process = Process(schedule, schedule.settings)
        with mock.patch.object(schedule.chances, "crash", 0.0):
            process.adopt_target()
        if process.code not in {0, 5, 143, None}:
            raise ViolationError(f"the target cannot be adopted: {process.error}")
        if process.code == 0 and process.result.forgotten is not None:
            schedule.forget()

    def wanted(self):
        """Return what the old ledger had planned or under way: key value, field and value.

        That a field is taken which no run saw discarded, it believed by counts alone; so does this version.
        """
        with closing(sqlite3.connect(":memory:")) as old:
            old.executescript("\n".join(self.state["ledger"]))
            rows = old.execute(
                f"""SELECT j.key, i.key, p.data FROM items i JOIN batches b ON b.id = i.batch_id
                    JOIN jobs j ON j.id = b.job_id JOIN payloads p ON p.id = i.payload_id
                    WHERE NOT b.split AND b.state IN {OPEN}"""
            ).fetchall()
            (seen,) = old.execute("SELECT count(*) FROM runs WHERE discarded_fields <> '[]'").fetchone()
        return {
            (in_order(json.loads(columns), key), name, value)
            for columns, key, data in rows
            for name, value in json.loads(data).items()
            if name != LATER or seen
        }


def in_order(columns, key):
    """Return a key value with its parts in the order of their columns' names."""
    parts = dict(zip(columns, key.split(KEY_SEPARATOR), strict=True))
    return KEY_SEPARATOR.join(parts[name] for name in sorted(parts))


def arrive(api, asked, at_s):
    """Let a call of the older version arrive that was on its way."""
    api.process(*asked, at_s)
