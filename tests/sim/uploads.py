"""Our own uploads of codes: codes that files named all along come to be, with fields that no file's row gave them.

What always holds: an upload names new codes alone, each once. Words for a code from before it came to be count no more: that
nobody had the value was told, or what was on its way meets what the upload wrote, in an order that nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from sim.process import Process, write_file
from sim.products import PRODUCT
from sim.promises import ViolationError
from sim.spaces import LINK, named

from syncer.codes.upload_result import CodesResult

UPLOADED = "an upload of own codes"
ENDS = {0, 2, 3, 5, 10, 12, 13, 143, None}
"""How a process of it may end; 13: the spool of an upload is gone."""


@dataclass
class Uploads:
    """The codes that a company makes itself, by and by."""

    random: Random
    often: float
    """How probable it is that some are uploaded before a night, and that an open upload is taken up again."""
    files: int = 0
    known: int = 0
    """How many of the server's codes were there, or are known to have come."""
    left: list[int] = field(default_factory=list)
    """The numbers of the codes that no upload has named yet."""

    @classmethod
    def drawn(cls, seed, codes):
        """Return the uploads of a seed: which codes are not there at first, and whether they will ever be."""
        random = Random(f"uploads of {seed}")
        often = random.choice([0.0] * 9 + [0.8])
        left = [n for n in range(codes) if often and random.random() < 0.2]
        return cls(random, often if left else 0.0, left=left)

    def turn(self, schedule):
        """Upload some codes, perhaps, and go on with what earlier uploads left open."""
        if self.random.random() >= self.often:
            return
        if self.left:
            count = self.random.randint(1, len(self.left))
            numbers, self.left = self.left[:count], self.left[count:]
            self._run(schedule, "upload", self._file(schedule, numbers))
        self._run(schedule, "resume", None)
        schedule.clock.now_s += self.random.choice([0.0, 1.0, 100.0])
        self.note(schedule)

    def _file(self, schedule, numbers):
        self.files += 1
        names = [name for space in schedule.spaces.all for name in space.columns if name in {"case_no", "lot", "box"}]
        header = ["id", *names, "m"]
        rows = [
            [f"K{n:07d}", *(named(n)[name] for name in names), f"upload-{self.random.randrange(3)}"] for n in numbers
        ]
        return write_file(f"codes-{self.files}.csv", header, rows)

    def _run(self, schedule, command, path):
        process = Process(schedule, schedule.settings)
        getattr(process, f"{command}_codes")(*([path] if path else []))
        if process.code not in ENDS or (process.code == 2 and isinstance(process.result, CodesResult)):
            raise ViolationError(f"codes {command} ended with {process.code}: {process.error}")

    def note(self, schedule):
        """Take note of the codes that have come to be."""
        codes = schedule.api.world.codes
        for code in codes[self.known :]:
            schedule.spoken.update({(code.number, name): UPLOADED for name in ("m", "s", PRODUCT, LINK)})
        self.known = len(codes)
