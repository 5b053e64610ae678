"""What happens to a ledger between two nights: it meets another server or company, an older copy, or a twin.

What always holds: nothing is sent by a run that is refused; a ledger that is put back is noticed before anything is sent.
"""

from __future__ import annotations

from dataclasses import replace

from sim.ledgers import copy_of, open_ledger, overwrite
from sim.process import TASK_TIMEOUT_S, Process
from sim.promises import ViolationError
from sim.world import LATE_MAX_S

from syncer.ledger import recovery
from syncer.ledger.identity import identity_of
from syncer.ledger.lock import Stamp
from syncer.process.clock import utc_text

ELSEWHERE = {"id": 7, "uuid": "00000000-0000-4000-8000-000000000007", "name": "Another Company"}
REFUSED, OLD = 2, 13


def refused(schedule, settings, code, words):
    """Let a run begin that must be refused with `code`: it sends nothing. Faults may end it before that."""
    requests = [*schedule.api.requests]
    process = Process(schedule, settings)
    process.sync(schedule.path)
    uploads = [path for path in [*schedule.api.requests][len(requests) :] if "/upload/" in path]
    if uploads or process.code in {0, 3}:
        raise ViolationError(f"{words}: exit {process.code}, {len(uploads)} uploads")
    if process.code not in {code, 5, 10, 12, 143, None}:
        raise ViolationError(f"{words}: exit {process.code} ({process.error})")


def identity(schedule):
    """Return whose the ledger is."""
    ledger = open_ledger(schedule.database, lambda what: None)
    found = identity_of(ledger)
    ledger.close()
    return found


def another_target(schedule):
    """The configuration names another server."""
    if identity(schedule).base_url is not None and schedule.fate.strikes("another server is configured"):
        api = replace(schedule.settings.api, base_url="http://127.0.0.1:8")
        refused(schedule, replace(schedule.settings, api=api), REFUSED, "another server was written to")


def another_company(schedule):
    """The token is another company's."""
    if identity(schedule).company is not None and schedule.fate.strikes("the token is another company's"):
        schedule.api.whose = ELSEWHERE
        refused(schedule, schedule.settings, REFUSED, "another company was written to")
        schedule.api.whose = None


def put_back(schedule):
    """A backup is put in the ledger's place; the run that follows says so, and `ledger recover` is the way back."""
    saved, world = schedule.saved, schedule.api.world
    quiet = not schedule.api.late and all(task.ended_s is not None or task.forgotten for task in world.tasks.values())
    if saved is None or not quiet or not schedule.fate.strikes("an older copy of the ledger is put in its place"):
        return
    position = identity(schedule).position
    schedule.remember()
    overwrite(schedule.database, saved)
    if identity(schedule).position < position:
        refused(schedule, schedule.settings, OLD, "an older copy was not noticed")
    way_back(schedule)


def way_back(schedule):
    """Do what ``ledger recover`` does: everything is uncertain, nothing is wanted."""
    ledger = open_ledger(schedule.database, lambda what: None)
    done = recovery.forget(ledger, at=utc_text(schedule.clock.wall_s()))
    ledger.close()
    schedule.database.stamp = Stamp(done.new_id, done.position)
    schedule.forget()


def twin(schedule):
    """A copy of the ledger is used on another machine, then the first goes on: it notices, if the newest task is the other's.

    Of sync calls nothing is left that it could notice; somebody tells of the twin then, and the way back is the same.
    """
    own, world = schedule.database, schedule.api.world
    if not schedule.fate.strikes("a copy of the ledger is used on another machine"):
        return
    schedule.database, before = copy_of(own), {*world.tasks}
    Process(schedule, schedule.settings).sync(schedule.path)
    schedule.remember()
    schedule.database = own
    for task in world.tasks.values():
        task.stuck = False
    schedule.clock.now_s += LATE_MAX_S + TASK_TIMEOUT_S  # what was on its way has landed, lists of tasks lag no more
    schedule.api.advance(schedule.clock.now_s)
    made = [task for number, task in world.tasks.items() if number not in before]
    shown = [task for task in made if not task.forgotten]
    references = {reference for (reference,) in own.execute("SELECT reference FROM attempts")}
    if shown and shown[-1].reference not in references:  # else a call of our own came late, and hides the twin's
        refused(schedule, schedule.settings, OLD, "a twin was not noticed")
    way_back(schedule)


EPISODES = (another_target, another_company, put_back)
