"""What is odd about the API: for a while, about one value, or about one task. Drawn once per schedule, from its seed.

What always holds: a refusal applies nothing. A spell treats all calls alike, so that no value can be blamed for it; a
poisoned value is refused in whatever call it travels, so that it alone may be blamed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sim.products import CAMPAIGNS, MOVED, PRODUCT
from sim.truth import THEIRS

from syncer.sandbox.ingestion import Ingestion
from syncer.sandbox.world import World

UPLOADS = "/api/v2/scm/upload/"
PAGE = b"<html><head><title>Request blocked</title></head><body>Reference 18.2</body></html>"
WAITS = ("86400", "30.5", "0", None)
ODD_STATES = ("cancelled", "queued", "")


@dataclass
class Spell:
    """A time in which all calls (or all uploads) are answered the same, whatever they carry."""

    status: int
    begin_s: float
    end_s: float
    wait: str | None = None
    struck: bool | None = None

    @classmethod
    def drawn(cls, random, now_s):
        """Return a spell, or None: most schedules have none."""
        if random.random() < 0.7:
            return None
        status = random.choice([400, 402, 404, 409, 423, 429, 503])
        # A refusal that begins after calls of the same run were taken looks like one of the value that comes then.
        begin_s = now_s + (0.0 if status in {400, 402, 409, 423} else random.choice([0.0, 1.0, 20.0, 100.0]))
        length_s = random.choice([3.0, 60.0, 900.0, 20_000.0 if status == 429 else 300.0])
        return cls(status, begin_s, begin_s + length_s, random.choice(WAITS))

    def answer(self, path, now_s, fate):
        """Return what is answered in place of the API: status, body, headers; None when it is the API's turn."""
        if not self.begin_s <= now_s < self.end_s or (self.status not in {404, 503} and not path.startswith(UPLOADS)):
            return None
        if self.struck is None:
            self.struck = fate.strikes(f"{self.status} to everything until {self.end_s:.0f} s")
        if not self.struck:
            return None
        headers = {"Retry-After": self.wait} if self.status == 429 and self.wait is not None else {}
        return self.status, PAGE if self.status in {400, 404, 503} else b'{"detail": "Not now."}', headers


ODD_TOGETHER = (
    (405, b'{"detail": "Method not allowed."}'), (404, b'{"detail": "Not found."}'), (404, PAGE), (403, b'{"detail": "No."}'),
    (500, b"oops"), (200, PAGE),
)  # fmt: skip
"""What an API may answer to the question about many tasks at once, whose shape is a guess."""


def odd_together(random):
    """Return what the question about many tasks is answered, always; None: as it should be, in most schedules."""
    return random.choice(ODD_TOGETHER) if random.random() < 0.12 else None


@dataclass
class Poison:
    """Values that the API, or a firewall before it, does not take: it names them, or not (400, 404), or shows a page."""

    keys: frozenset[str]
    style: str

    @classmethod
    def drawn(cls, random, keys):
        """Return one or two poisoned values, or none."""
        found = random.sample(keys, min(len(keys), random.choice([1, 1, 2]))) if random.random() < 0.2 else ()
        return cls(frozenset(found), random.choice(["named", "named", "unnamed", "page", "text", "not found"]))

    def answer(self, path, document):
        """Return the refusal of an upload that carries a poisoned value; None for any other call."""
        if not self.keys or not path.startswith(UPLOADS):
            return None
        text = json.dumps(document)
        found = sorted(key for key in self.keys if f'"{key}"' in text)
        if not found:
            return None
        if self.style == "page":
            return 403, PAGE, {}
        if self.style == "text":
            return 403, b"error code: 1020", {}
        if self.style == "not found":
            return 404, b'{"detail": "Not found."}', {}
        words = {"items": {found[0]: {"m": "Not a valid choice."}}}
        if "constraints" in document:
            words = {"constraints": {"values": [f"{found[0]}: not a valid choice."]}}
        return 400, json.dumps(words if self.style == "named" else {"detail": "Invalid data."}).encode(), {}


class SimulatedIngestion(Ingestion):
    """The emulator's upload of own codes, which takes its time."""

    def process(self, document, now_s):
        """See `Ingestion`: the codes come a moment later, or after the program has stopped waiting for them."""
        status, answer = super().process(document, now_s)
        if status == 200:
            self.records[document["record"]].end_due_s = now_s + self._random.choice([1.0, 20.0, 300.0])
        return status, answer


class SimulatedWorld(World):
    """The emulator's world, in which a task may fail after it was applied to some of its codes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.half = set()
        self.odd = {}
        """By task: what is odd about it."""
        self.user, self.owners = 0, {}
        """Who calls now, and who made each task: nobody else sees it."""
        self.theirs = set()
        """The fields (code and name) that were written by somebody else last."""
        self.stays, self.dropped = True, set()
        """Whether fields stay with a code that moves; and those that it lost so, and nobody wrote since."""

    def write(self, number, data, *, at_s, cause):
        """See `World`; and take note of whose writes they are. A code that moves leaves behind what is not sent along."""
        self.leave_behind(self.codes[number], data, at_s)
        taken = super().write(number, data, at_s=at_s, cause=cause)
        fields = {(number, name) for name in taken}
        (self.theirs.update if cause == THEIRS else self.theirs.difference_update)(fields)
        self.dropped -= fields
        return taken

    def leave_behind(self, code, data, at_s):
        """Drop the fields of a code that moves to another campaign, if this server does so."""
        before, after = (CAMPAIGNS.get(fields.get(PRODUCT)) for fields in (code.fields, data))
        if self.stays or PRODUCT not in data or before == after:
            return
        left = {name: "" for name in ("m", "s") if name in code.fields and name not in data}
        super().write(code.number, left, at_s=at_s, cause=MOVED)
        self.dropped |= {(code.number, name) for name in left}

    def _end(self, task):
        if task.fails and task.id in self.half:
            numbers = sorted(self.select(task.constraints))
            for number in numbers[: (len(numbers) + 1) // 2]:
                self.write(number, task.scm_data, at_s=task.end_due_s, cause=f"task {task.id}")
        super()._end(task)
        task.forgotten |= self.odd.get(task.id) == "vanishes"

    def disguise(self, body):
        """Show a task as the API shows it when it is odd: in a state that nobody knows, or with a count that is none."""
        odd = self.odd.get(body.get("id"))
        if odd == "state":
            return {**body, "state": ODD_STATES[len(body["id"]) % len(ODD_STATES)], "codes_affected": None}
        if odd == "count" and body.get("state") == "complete":
            return {**body, "codes_affected": -1 if body["id"] < "8" else None}
        return body

    def is_mine(self, task_id):
        """Tell whether who calls now made a task."""
        return self.owners.get(task_id, self.user) == self.user

    def shown(self, method, path, status, answer):
        """Return an answer about tasks with what is odd about them."""
        if status == 200 and path == "/api/v2/me/":
            return status, {**answer, "id": answer["id"] + self.user}
        if status != 200 or "/scm/tasks/" not in path:
            return status, answer
        if "results" in answer:
            mine = [body for body in answer["results"] if self.is_mine(body["id"])]
            shown = [self.disguise(body) for body in mine if method == "GET" or self.odd.get(body["id"]) != "address"]
            return status, {**answer, "results": shown}
        if not self.is_mine(answer.get("id")):
            return 404, {"detail": "Not found."}
        if self.odd.get(answer.get("id")) == "address":
            return [400, 403, 410, 500][int(answer["id"][0], 16) % 4], {"detail": "Odd."}
        return status, self.disguise(answer)
