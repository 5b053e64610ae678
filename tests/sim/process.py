"""One process of the program: the real commands on real files, with the simulated world outside of them.

What always holds: nothing of the program is copied here. A process may die at every step, and does nothing afterwards;
every run of it ends within `RUN_S_MAX` of virtual time.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from sim.ledgers import open_in_time, open_ledger
from sim.promises import ViolationError
from sim.world import Crash, SimulatedLanes, SimulatedStorage, SimulatedTransport

from syncer.commands import codes, planning, recovery, runs
from syncer.commands.abandon import abandon
from syncer.commands.environment import Environment
from syncer.config import load_settings
from syncer.errors import StaleStateError, SyncerError
from syncer.process.signals import Interrupt
from syncer.request import SyncRequest, UploadRequest
from syncer.runs.outside import Outside

SETTLE_S, TASK_TIMEOUT_S, GIVE_UP_AFTER_S = 30.0, 120.0, 600.0
RUN_S_MAX = 2 * 3600.0
"""Of one run, in virtual time: it waits for tasks, for doubts and for an API that fails, each so long at most."""
STEPS_MAX = 20_000
"""Of one run: a run without end is a defect too."""
CONFIGURATION = f"""
[api]
base_url = "http://127.0.0.1:9"
settle_s = {SETTLE_S}
task_timeout_s = {TASK_TIMEOUT_S}
give_up_after_s = {GIVE_UP_AFTER_S}
[limits]
max_changed_percent = 0
max_missing_percent = 0
check_keys = false
check_columns = false
check_age = false
max_reach_factor = 0
"""


class EndlessError(ViolationError):
    """A run did not come to an end."""


@cache
def folder():
    """Return the folder of this process's files: in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(prefix="sim-", dir=memory if os.access(memory, os.W_OK) else None)
    folder.kept = kept  # removed when this process ends
    return Path(kept.name)


@cache
def settings_of(jobs):
    """Return the settings of a configuration with these jobs (TOML), as the program loads them."""
    place = folder() / f"{len(list(folder().glob('*.toml')))}.toml"
    place.write_text(CONFIGURATION + jobs, encoding="utf-8")
    place.chmod(0o600)
    return load_settings(explicit=place, environ={"SYNCER_API__TOKEN": "sim"}, cwd=Path("/"))


def write_file(name, header, rows):
    """Write an export; return its path. Cells are plain words, None is a blank one."""
    lines = [",".join(header), *(",".join(cell or "" for cell in row) for row in rows)]
    path = folder() / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


class Process:
    """Runs one command of the program. Afterwards `code` is its exit code, and None when it died: `died` says where."""

    def __init__(self, schedule, settings):
        self.schedule, self.settings = schedule, settings
        self.clock = schedule.clock
        self.steps = 0
        self.began_s = self.clock.now_s
        self.code, self.died, self.result, self.error = None, "", None, None
        self.job = None
        self.interrupt = Interrupt(graceful=True)
        self.lanes = []
        suffix = Random(schedule.random.random())
        self.environment = Environment(
            clock=self.clock,
            interrupt=self.interrupt,
            outside=Outside(
                transport=self._transport,
                lanes=self._make_lanes,
                storage=lambda **_options: SimulatedStorage(schedule.api),
                suffix=lambda: f"{suffix.getrandbits(32):08x}",
                ledger_to_write=lambda settings, at, wait: open_in_time(schedule.database, self.step, folder()),
                ledger_to_read=lambda settings: open_ledger(schedule.database, self.step, folder()),
            ),
        )

    def _transport(self, *_arguments, **_options):
        return ReadingTransport(self.schedule.api, self.clock, self.step)

    def _make_lanes(self, _connect, count, clock):
        lanes = SimulatedLanes(self.schedule.api, clock, count, self.step, self.pause)
        self.lanes.append(lanes)
        return lanes

    def step(self, what):
        """A place where the process may die; one that is dead does nothing more."""
        if self.died:
            raise Crash(self.died)
        if not what:
            return
        self.steps += 1
        if self.steps > STEPS_MAX or self.clock.now_s > self.began_s + RUN_S_MAX:
            raise EndlessError(f"no end after {self.steps} steps, {self.clock.now_s - self.began_s:,.0f} s ({what})")
        try:
            self.schedule.step(self, what)
        except Crash as crash:
            self.died = str(crash)
            raise

    def pause(self, lanes):
        """A place where the process may hang while another one, which no lock held back, does the same."""
        began_s = self.clock.now_s
        self.schedule.pause(lanes)
        self.began_s += self.clock.now_s - began_s

    def run(self, command, *arguments):
        """Call a command; a death or a failure is no error here."""
        try:
            self.result = command(self.settings, *arguments, self.environment)
            self.error = getattr(self.result, "error", None)
            self.code = getattr(self.result, "exit_code", 0)
        except Crash:
            pass
        except SyncerError as error:
            self.error, self.code = error, error.status
        finally:  # only now are the dead process's frames gone, with all that they held open
            if self.schedule.database.in_transaction:
                self.schedule.database.rollback()
        if self.died:
            for lanes in self.lanes:
                lanes.die()

    def sync(self, file, **asked):
        """Run ``syncer sync FILE``."""
        self.job = asked.get("job", self.schedule.job)
        self.run(runs.sync, SyncRequest(files=(file,), **{"job": self.schedule.job, **asked}))

    def resume(self, **asked):
        """Run ``syncer resume``."""
        self.run(runs.resume, SyncRequest(**asked))

    def plan(self, file, **asked):
        """Run ``syncer plan FILE``."""
        self.run(planning.plan, SyncRequest(files=(file,), **{"job": self.schedule.job, **asked}))

    def upload_codes(self, file):
        """Run ``syncer codes upload FILE``."""
        self.run_codes(codes.upload, UploadRequest(file=file, errors=folder() / "errors.csv"))

    def resume_codes(self):
        """Run ``syncer codes resume``."""
        self.run_codes(codes.resume, UploadRequest(errors=folder() / "errors.csv"))

    def run_codes(self, command, request):
        """Call a command about own codes."""
        environment = codes.CodesEnvironment(self.clock, self.interrupt, outside=self.environment.outside)
        self.run(lambda settings, _environment: command(settings, request, environment))

    def abandon(self, batch_ids):
        """Run ``syncer abandon BATCH…``."""
        self.run(abandon, batch_ids)

    def adopt_target(self):
        """Run ``syncer ledger info --adopt-target``."""
        self.run(recovery.adopt_target)

    @property
    def is_stale(self):
        """Whether it found that another process had written to its ledger."""
        return isinstance(self.error, StaleStateError)


class ReadingTransport(SimulatedTransport):
    """A connection whose calls are waited for, one by one: time goes on with each."""

    def __init__(self, api, clock, step):
        super().__init__(api)
        self.clock, self.step = clock, step

    def call(self, method, path, *, params=None, body=None):
        """Make one exchange, and wait for its answer."""
        self.step("a read")
        self.at_s = self.clock.now_s
        reply = super().call(method, path, params=params, body=body)
        self.clock.now_s = max(self.clock.now_s, self.at_s)
        return reply

    def close(self):
        """Nothing is held open."""
