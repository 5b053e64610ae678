"""A world on a virtual clock, driven by one seed: the API's own semantics behind a transport that loses, delays and lies.

The real planner, ledger, engine, client and reconciler run against it. Nothing here sleeps or reads a real clock; the
same seed gives the same schedule, byte for byte.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import re
from collections import deque
from dataclasses import dataclass
from random import Random

from sim.trouble import Poison, SimulatedIngestion, SimulatedWorld

from syncer.api.client import Client
from syncer.api.storage import StorageAnswer, StorageVerdict
from syncer.api.transport import Reply
from syncer.model import KEY_SEPARATOR
from syncer.process.clock import Uptime
from syncer.sandbox.api import ROUTES, Request
from syncer.sandbox.config import SandboxConfig
from syncer.sandbox.limits import Throttle
from syncer.sandbox.products import COMPANY, Catalogue
from syncer.sandbox.scm import iso_from
from syncer.sandbox.workorders import document_csv

SYNC_KEYS = ("extended_id", "serial_number")
EPOCH_S = 1_795_000_000.0
LATE_MAX_S = 25.0
"""A request whose answer is lost takes effect at most so long after it arrived."""
LAG_MAX_S = 5.0
"""A list of tasks lags behind at most so long. Both together are `Schedule`'s settle_s: what appears later than that
after the last moment at which its request can have been on its way, nobody can tell from what never was."""


class Crash(BaseException):
    """The process dies here: no handler of the program may see it coming."""


class VirtualClock:
    """Time that passes only when somebody waits. The wall may jump."""

    def __init__(self):
        self.now_s = 1000.0
        self.wall_offset_s = EPOCH_S - 1000.0

    def monotonic_s(self):
        return self.now_s

    def wall_s(self):
        return self.now_s + self.wall_offset_s

    def uptime(self):
        return Uptime("the one boot", self.now_s)

    def sleep_s(self, seconds):
        self.now_s += max(0.0, seconds)


@dataclass
class Chances:
    """How often what goes wrong, per call; and how often the process dies, per step."""

    drop_before: float = 0.0
    drop_after: float = 0.0
    late: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    garbage: float = 0.0
    throttle: float = 0.0
    refused_connection: float = 0.0
    wrong_count: float = 0.0
    no_items: float = 0.0
    task_fails: float = 0.0
    task_stuck: float = 0.0
    task_forgotten: float = 0.0
    task_half: float = 0.0
    task_odd: float = 0.0
    slow: float = 0.0
    stale_list: float = 0.0
    other_client: float = 0.0
    repeated: float = 0.0
    crash: float = 0.0
    clock_jump: float = 0.0
    rival: float = 0.0
    signal: float = 0.0


KINDS = [name for name in Chances.__dataclass_fields__ if name not in {"crash", "clock_jump", "rival", "signal"}]


class Fate:
    """Everything that goes wrong, in order. What was drawn and is not in `kept` (None: all) does not happen after all: so
    a schedule shrinks.
    """

    def __init__(self, clock, kept=None):
        self.clock = clock
        self.kept = kept
        self.struck = []

    def strikes(self, what):
        """Take note of something that goes wrong; return whether it happens."""
        number = len(self.struck)
        self.struck.append(f"{number}: at {self.clock.now_s:.3f} s {what}")
        return self.kept is None or number in self.kept


class SimulatedApi:
    """The server: the sandbox's semantics on the virtual clock, with its faults and its own record."""

    def __init__(self, seed, codes, clock, chances, fate, *, campaigns=None, task_s=(0.0, 5.0), sync_keys=SYNC_KEYS):
        self.random = Random(seed)
        self.clock = clock
        self.fate = fate
        self.digest = hashlib.sha256()
        self.chances = chances
        self.world = SimulatedWorld(codes, campaigns=campaigns, products=None, seed=seed)
        self.catalogue = Catalogue(None, codes)
        self.config = SandboxConfig(task_start_s=0.0, task_run_s=0.0, sync_keys=sync_keys)
        self.ingestion = SimulatedIngestion(self.config, self.world, self.random)
        self.task_s = task_s
        self.requests = deque()
        self.iso = iso_from(0.0)
        self.url, self.storage_url = "http://sim", "http://127.0.0.1"
        self.asked_together = None
        self.updates = Throttle(10, 1.0)
        self.throttled_by_us = 0
        self.sent = set()
        self.late = []
        self.whose = None
        self.spell, self.poison, self.together = None, Poison(frozenset(), ""), None
        self._order = itertools.count()

    def permissions(self, _authorization):
        return frozenset()

    def company(self, _authorization):
        return self.whose or COMPANY

    def advance(self, now_s):
        """Commit what is late, and let tasks do what is due, in the order of time."""
        while self.late and self.late[0][0] <= now_s:
            at_s, _, work = heapq.heappop(self.late)
            self.world.advance(at_s)
            work(at_s)
        self.world.advance(now_s)
        self.ingestion.advance(now_s)

    def draw(self, method, path):
        """Return the fault that strikes the next call, if any."""
        dice = self.random.random()
        for kind in KINDS:
            dice -= getattr(self.chances, kind)
            if dice < 0:
                return kind if self.fate.strikes(f"{kind} on {method} {path}") else None
        return None

    def answer_together(self):
        """Return what the question about many tasks is answered where this API does not take it, else None."""
        if self.together is None:
            return None
        if self.asked_together is None:
            self.asked_together = self.fate.strikes(f"{self.together[0]} to every question about many tasks")
        return (*self.together, {}) if self.asked_together else None

    def process(self, method, path, query, document, now_s):
        for route in ROUTES:
            found = route.pattern.fullmatch(path)
            if found:
                before = len(self.world.tasks)
                status, body = route.handle(
                    Request(self, method, path, found.groupdict(), query, document, now_s, "UAT x")
                )
                for task in list(self.world.tasks.values())[before:]:
                    task.end_due_s = task.start_due_s + self.random.uniform(*self.task_s)
                    self.world.owners[task.id] = self.world.user
                return self.world.shown(method, path, status, body)
        raise AssertionError(f"no route for {path}")


def values_of(upload):
    """Yield the key values that an upload names, each with every field that it writes and its value."""
    if "items" in upload:
        for item in upload["items"]:
            for word in item.items():
                if word[0] != upload["data_key"]:
                    yield item[upload["data_key"]], word
    else:  # of several columns, one varies at most
        for values in itertools.product(*(values for _, values in sorted(upload["constraints"].items()))):
            for word in upload["scm_data"].items():
                yield KEY_SEPARATOR.join(values), word


LEDGER_ID = re.compile(r"(?<=-a\d)-[0-9a-f]{12}(?=\.)|(?<=-a\d\d)-[0-9a-f]{12}(?=\.)")
"""Of a reference: SQLite draws the id of a ledger that got a new one, which no seed can choose."""


class SimulatedTransport:
    """One lane's connection to the simulated API; its own time runs ahead of the clock while a call is under way."""

    base_url = "http://sim"

    def __init__(self, api):
        self.api = api
        self.at_s = 0.0
        self.lists = {}

    def masked(self, text):
        return text

    def call(self, method, path, *, params=None, body=None):
        """Make one exchange; every request and answer goes into the digest by which two replays are compared."""
        self.api.requests.append(path)
        reply = self.exchange(method, path, params, body)
        seen = (
            method,
            path,
            params,
            body,
            reply.status_code,
            reply.body,
            reply.failure,
            reply.sent_s,
            reply.answered_s,
        )
        self.api.digest.update(LEDGER_ID.sub("-", repr(seen)).encode())
        return reply

    def exchange(self, method, path, params, body):
        api, random = self.api, self.api.random
        sent_s = self.at_s
        arrived_s = sent_s + random.uniform(0.001, 0.012)
        kind = api.draw(method, path)
        if kind == "refused_connection":
            self.at_s = arrived_s
            return self._reply(None, b"", sent_s, failure="connection refused", sent=False)
        document = json.loads(body) if body else None
        is_update = path.startswith("/api/v2/scm/upload/")
        if is_update:
            api.sent.update(values_of(document))
        if kind == "drop_before":
            return self._lost(sent_s, arrived_s)
        spell = api.spell.answer(path, arrived_s, api.fate) if api.spell is not None else None
        refusal = spell or (api.poison.answer(path, document) if is_update else None)
        if refusal is None and (method, path) == ("POST", "/api/v2/scm/tasks/"):
            refusal = api.answer_together()
        api.advance(arrived_s)
        if kind == "other_client":  # a program that shares our token takes what is left of this second
            while api.updates.admit("t", arrived_s) is None:
                pass
        if is_update:
            wait_s = api.updates.admit("t", arrived_s)
            if wait_s is not None or kind == "throttle":
                api.throttled_by_us += wait_s is not None
                self.at_s = arrived_s + 0.01
                return self._reply(429, b'{"detail": "Expected available in 1 seconds."}', sent_s)
        if refusal is not None:
            self.at_s = arrived_s + 0.03
            return self._reply(*refusal[:2], sent_s, headers=refusal[2])
        if kind == "error_before":
            self.at_s = arrived_s + 0.05
            return self._reply(503, b"busy", sent_s)
        query = dict(params or {})
        if kind == "late" and is_update:
            due_s = arrived_s + random.uniform(0.1, LATE_MAX_S)
            work = lambda at_s: api.process(method, path, query, document, at_s)  # noqa: E731
            heapq.heappush(api.late, (due_s, next(api._order), work))
            return self._lost(sent_s, arrived_s)
        if kind == "repeated" and path != "/api/v2/scm/upload/async/":  # by a proxy; a second task nobody could prevent
            api.process(method, path, query, document, arrived_s)
        before = len(api.world.tasks)
        status, answer = api.process(method, path, query, document, arrived_s)
        for task in list(api.world.tasks.values())[before:]:
            task.fails |= kind in {"task_fails", "task_half"}
            if kind == "task_half":
                api.world.half.add(task.id)
            if kind == "task_odd":
                api.world.odd[task.id] = random.choice(["state", "count", "address", "vanishes"])
            task.stuck |= kind == "task_stuck"
            task.forgotten |= kind == "task_forgotten"
            task.count_off_by = random.choice([-1, 1, 7]) if kind == "wrong_count" else 0
        self.at_s = arrived_s + (random.uniform(5.0, 59.0) if kind == "slow" else random.choice([0.02, 0.1, 0.2, 0.4]))
        if path == "/api/v2/scm/tasks/" and status == 200:
            answer = self._as_it_was(method, repr((params, body)), answer, arrived_s, stale=kind == "stale_list")
        if kind == "drop_after":
            return self._lost(sent_s, arrived_s)
        if kind == "error_after":
            return self._reply(502, b"bad gateway", sent_s)
        if kind == "garbage":
            return self._reply(200, b"<html>ok</html>", sent_s)
        if status == 200 and "codes_affected" in answer and "items" in answer:
            if kind == "wrong_count":
                answer = {**answer, "codes_affected": max(0, answer["codes_affected"] + random.choice([-1, 1]))}
            elif kind == "no_items":
                answer = {"codes_affected": answer["codes_affected"]}
        return self._reply(status, json.dumps(answer).encode(), sent_s)

    def _as_it_was(self, method, question, answer, arrived_s, *, stale):
        """Return a list of tasks as the server gives it: when `stale`, from a copy of its data that lags behind.

        A search lacks the newest tasks; a question about known tasks is answered as it was the last time.
        """
        if method == "GET":
            if not stale:
                return answer
            seen_s = arrived_s - self.api.random.uniform(0.0, LAG_MAX_S)
            tasks = self.api.world.tasks
            results = [task for task in answer["results"] if tasks[task["id"]].start_due_s <= seen_s]
            return {**answer, "count": answer["count"] - len(answer["results"]) + len(results), "results": results}
        if stale and question in self.lists:
            return self.lists[question]
        self.lists[question] = answer
        return answer

    def _lost(self, sent_s, arrived_s):
        self.at_s = arrived_s + self.api.random.choice([0.0, 0.3, 2.0])
        return self._reply(None, b"", sent_s, failure="connection reset")

    def _reply(self, status, body, sent_s, *, failure=None, sent=True, timed_out=False, headers=None):
        return Reply(
            status_code=status, headers=headers or {}, body=body, failure=failure, sent=sent, fresh_connection=False,
            sent_s=sent_s, answered_s=self.at_s, arrived_by_s=sent_s, answered_wall_s=self.api.clock.wall_s(), timed_out=timed_out,
        )  # fmt: skip


class SimulatedStorage:
    """Where files of own codes and documents of code data lie: they are stored and fetched at once, and without fault."""

    def __init__(self, api):
        self.api = api

    def post(self, url, fields, path, *, content_type, valid_s, on_bytes):
        """Take a file."""
        self.api.ingestion.put(self.api.ingestion.by_form(fields), path.read_bytes())
        return StorageAnswer(StorageVerdict.STORED, 201, "")

    def start_of(self, url, *, size, valid_s):
        """Return the first bytes of a document."""
        orders = self.api.ingestion.work_orders
        document = orders.documents[url.rpartition("/")[2].partition(".")[0]]
        return document_csv(document, orders, self.api.world, self.api.iso).encode()[:size]


class SimulatedLanes:
    """Lanes without threads: calls are made in the order of their times, answers come in the order of theirs."""

    def __init__(self, api, clock, count, step, pause=lambda lanes: None):
        self.api, self.clock, self.count, self.step, self.pause = api, clock, count, step, pause
        self.waiting = []
        self.answers = []
        self.order = itertools.count()
        self.transport = SimulatedTransport(api)
        self.client = Client(self.transport)

    def free(self):
        return self.count - len(self.waiting) - len(self.answers)

    def start(self, ticket, call, at_s):
        self.step("start")
        heapq.heappush(self.waiting, (max(at_s, self.clock.now_s), next(self.order), ticket, call))

    def wait(self, until_s):
        """Make the calls and hand over the answers that come until then; time goes on to the first answer."""
        self.step("wait")
        self.pause(self)
        while (
            self.waiting
            and self.waiting[0][0] <= until_s
            and not (self.answers and self.answers[0][0] <= self.waiting[0][0])
        ):
            self._call()
        if self.answers and self.answers[0][0] <= until_s:
            answered_s, _, ticket, answer = heapq.heappop(self.answers)
            self.clock.now_s = max(self.clock.now_s, answered_s)
            return [(ticket, answer)]
        self.clock.now_s = max(self.clock.now_s, until_s)
        return []

    def call_all(self):
        """Make all calls that were started, though nobody waits for their answers yet."""
        while self.waiting:
            self.clock.now_s = max(self.clock.now_s, self.waiting[0][0])
            self._call()

    def _call(self):
        at_s, _, ticket, call = heapq.heappop(self.waiting)
        self.transport.at_s = at_s
        answer = call(self.client)
        heapq.heappush(self.answers, (self.transport.at_s, next(self.order), ticket, answer))

    def die(self):
        """The process is gone: what was on its way arrives, and nobody hears the answer."""
        for at_s, _, _, call in sorted(self.waiting, key=lambda entry: entry[:2]):
            if at_s <= self.clock.now_s and self.api.random.random() < 0.5:
                self.transport.at_s = at_s
                call(self.client)
        self.waiting.clear()
        self.answers.clear()

    def close(self):
        """See `Lanes`."""
