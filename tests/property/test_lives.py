"""Small lives, drawn by Hypothesis: nights of several jobs by two keys, with one thing that goes wrong in each.

The program's own commands run on the simulator's world and clock. What the simulator draws by the thousand, with much
at once, is here few, small and shrunk by Hypothesis; and what it does not draw is here: two code spaces for the same
codes, jobs that come and go, columns and blanks that change their meaning, whole rows, force, another mode.

The promise (design.md): when a run says 0, the server holds the newest word of every code and field (`sync`: of those
that its job has to do with; another job's failed night was told by that night); whatever the
mirror calls known is so, at every moment; a night without trouble needs the fewest calls; nothing is created twice.
"""

from __future__ import annotations

import json
from random import Random
from unittest import mock

import sampling
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sim.ledgers import fresh_database, open_ledger, overwrite
from sim.process import Process, settings_of, write_file
from sim.promises import check_server, let_go_keys, let_go_tasks, told_keys
from sim.schedule import FORM
from sim.world import Chances, Crash, SimulatedApi, VirtualClock

from syncer.execute import outcome
from syncer.ledger import recovery
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.lock import Stamp
from syncer.lifecycle.batch import OPEN
from syncer.plan import batching, canary
from syncer.process.clock import utc_text

CODES, PER_CASE = 6, 2
FIELDS = ("m", "s", "lot")
TROUBLE = (
    "drop_before", "drop_after", "late", "error_before", "error_after", "garbage", "throttle", "refused_connection",
    "task_fails", "task_half", "task_stuck", "task_forgotten", "no_items",
)  # fmt: skip
JOBS = {
    "erp": ("extended_id", FIELDS),
    "web": ("extended_id", ("s", "lot")),
    "karton": ("case_no", ("s",)),
}
"""Of each job, its key and the fields that it may write; cases are known to nobody but the server."""

Cells = st.sampled_from(["1", "2", "3", None])


@st.composite
def files(draw):
    """A job's file: its rows, the columns that it has this time, and how it is to be sent."""
    job = draw(st.sampled_from([*JOBS, "erp", "erp"]))
    key, fields = JOBS[job]
    columns = draw(st.lists(st.sampled_from(fields), min_size=1, unique=True))
    keys = [f"E{n}" for n in range(CODES)] if key == "extended_id" else [f"C{n}" for n in range(CODES // PER_CASE)]
    chosen = draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
    same = draw(st.booleans())  # one set of data for all, as an async call has it; else each its own
    row = st.tuples(*(Cells for _ in columns))
    cells = [draw(row)] * len(chosen) if same else [draw(row) for _ in chosen]
    rows = dict(zip(chosen, cells, strict=True))
    asked = {"job": job, "force": draw(st.sampled_from([False, False, True])), "mode": draw(st.sampled_from(MODES))}
    return (
        columns,
        rows,
        asked,
        draw(st.sampled_from(["omit", "omit", "clear"])),
        draw(st.sampled_from(["changes", "row"])),
    )


MODES = [None, None, "async"]
TROUBLES = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.sampled_from(TROUBLE), st.integers(1, 3)),
    st.tuples(st.just("death"), st.integers(1, 40)),
)
STEPS = st.one_of(
    st.tuples(st.just("night"), files(), TROUBLES),
    st.tuples(st.just("night"), files(), TROUBLES),
    st.tuples(st.just("again"), TROUBLES),
    st.tuples(st.just("resume"), TROUBLES),
    st.tuples(st.sampled_from(["abandon", "save", "put back", "plan"])),
)


class Api(SimulatedApi):
    """The simulated server: the next few uploads go wrong in one way, all else is honest."""

    def __init__(self, world, clock):
        super().__init__(0, world, clock, Chances(), None, task_s=(0.1, 3.0))
        self.kind, self.left = None, 0

    def draw(self, method, path):
        if not self.left or "/scm/upload/" not in path:
            return None
        self.left -= 1
        return self.kind


class Life:
    """A ledger, a server, and what was ever said to the one about the other."""

    def __init__(self):
        self.random, self.clock = Random(1), VirtualClock()
        world = [{"extended_id": f"E{n}", "case_no": f"C{n // PER_CASE}"} for n in range(CODES)]
        self.api = Api(world, self.clock)
        self.database, self.saved = fresh_database(), None
        self.wanted = {f"E{n}": {} for n in range(CODES)}
        self.pending = []  # (source name, job, words) of files whose plan may not be stored yet
        self.said = {name: set() for name in JOBS}  # fields that plans of each job ever had
        self.said_by = {}  # by code and field, the key of the newest word
        self.steps_left, self.files, self.last = None, 0, None
        self.job = None  # each night names its own

    def step(self, process, what):
        """A place where the process may die."""
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left <= 0:
                self.steps_left = None
                raise Crash(what)

    def pause(self, lanes):
        """Nobody else is at work."""

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, steps):
        for name, *arguments in steps:
            getattr(self, name.replace(" ", "_"))(*arguments)
        self.calm()

    def night(self, file, trouble):
        columns, rows, asked, blank, send = file
        self.files += 1
        key = JOBS[asked["job"]][0]
        path = write_file(f"life-{self.files}.csv", (key, *columns), [(name, *row) for name, row in rows.items()])
        words = {
            name: {field: cell or "" for field, cell in zip(columns, row, strict=True) if cell or blank == "clear"}
            for name, row in rows.items()
        }
        self.last = path, asked, blank, send, words
        self.again(trouble)

    def again(self, trouble):
        """Run the last file, once more perhaps."""
        if self.last is None:
            return
        path, asked, blank, send, words = self.last
        clean, before = trouble is None and self._is_settled(), self._held()
        process = self._process(trouble, blank, send)
        self.pending.append((path, asked["job"], words))
        process.sync(path, **asked)
        self._look(process, asked["job"])
        if clean and asked["job"] != "karton" and process.code == 0 and not asked["force"] and send == "changes":
            wrong = [code for code, word in words.items() if any(before[code].get(n, "") != v for n, v in word.items())]
            updates, least = process.result.requests.updates, process.result.requests.minimum_updates
            assert updates <= least + 1, (updates, least)  # a canary may cost one call
            assert least <= len(words), "what no row names was sent"
            assert updates >= bool(wrong)

    def resume(self, trouble):
        process = self._process(trouble, "omit", "changes")
        process.resume()
        self._look(process)

    def plan(self):
        if self.last is not None:
            process, calls = self._process(None, *self.last[2:4]), len(self.api.requests)
            process.plan(self.last[0], **self.last[1])
            assert len(self.api.requests) == calls

    def abandon(self):
        states = ", ".join(repr(state.value) for state in OPEN)
        rows = self.database.execute(f"SELECT id FROM batches WHERE state IN ({states}) AND NOT split").fetchall()
        if rows:
            process = self._process(None, "omit", "changes")
            process.abandon([number for (number,) in rows])

    def save(self):
        self.saved = self.database.serialize()

    def put_back(self):
        """An older copy is put in the ledger's place, and told so: nothing is known, and nothing is wanted."""
        self.clock.now_s += 60.0
        self.api.advance(self.clock.now_s)
        if self.saved is None or any(task.ended_s is None for task in self.api.world.tasks.values()):
            return
        overwrite(self.database, self.saved)
        ledger = open_ledger(self.database, lambda what: None)
        done = recovery.forget(ledger, at=utc_text(self.clock.wall_s()))
        ledger.close()
        self.database.stamp = Stamp(done.new_id, done.position)
        self.wanted, self.pending = {code: {} for code in self.wanted}, []

    def calm(self):
        """Nothing goes wrong any more: a few runs come to 0, and everything that was said is there."""
        for task in self.api.world.tasks.values():
            task.stuck = False
        codes = []
        for _ in range(5):
            self.clock.now_s += 300.0
            self.resume(None)
            codes.append(self._code)
            if self._code in {0, 2}:
                break
        assert codes[-1] in {0, 2}, codes
        self.clock.now_s += 60.0
        self.api.advance(self.clock.now_s)
        check_server(self.api.world, let_go_tasks(self.database, self.api.world), ordered=False)

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    def _process(self, trouble, blank, send):
        jobs = "".join(
            f'[jobs.{name}]\nkey = "{key}"\nblank = "{blank}"\nsend = "{send}"\nexport = "changes"\n{FORM}'
            for name, (key, _) in JOBS.items()
        )
        kind, count = trouble or (None, 0)
        self.api.kind, self.api.left = kind, 0 if kind == "death" else count
        self.steps_left = count if kind == "death" else None
        return Process(self, settings_of(jobs))

    def _look(self, process, job=None):
        """Take note of what the ledger took up; then the promises."""
        self.steps_left, self.api.left, self._code = None, 0, process.code
        assert process.code in {None, 0, 2, 3, 5, 10}, process.error
        if process.died:
            self.clock.now_s += 1.0
        names = {name for (name,) in self.database.execute(
            "SELECT s.name FROM sources s JOIN runs r ON r.id = s.run_id WHERE r.planned"
        )}  # fmt: skip
        for path, said_by, words in self.pending:
            if path in names:
                self.said[said_by].update(field for word in words.values() for field in word)
                for name, word in words.items():
                    for code in self._codes(name):
                        self.wanted[code].update(word)
                        self.said_by.update({(code, field): JOBS[said_by][0] for field in word})
        self.pending = []
        held, may_land = self._held(), let_go_keys(self.database)
        excused = {code for name in may_land for code in self._codes(name)}
        if process.code == 0:
            # Open: a task that was let go of and lands late makes what another key wrote uncertain, but not wanted again.
            late = {code for name in self._ended_late() for code in self._codes(name)}
            told = {code for name in told_keys(self.database) for code in self._codes(name)}
            for code in self.wanted.keys() - excused - told - late:
                word = {n: v for n, v in self.wanted[code].items() if self._concerns(job, code, n)}
                assert {n: held[code].get(n, "") for n in word} == word, f"{code}: a run said 0"
        self._check_known(held, excused)

    def _concerns(self, job, code, field):
        """Whether a job's run has to settle a word: of its own key, or of a field that it writes, too."""
        return job is None or self.said_by[code, field] == JOBS[job][0] or field in self.said[job]

    def _check_known(self, held, excused):
        """Whatever the mirror calls known is so, of codes and of cases."""
        ledger = open_ledger(self.database, lambda what: None)
        for space, key in self.database.execute("SELECT id, key FROM spaces").fetchall():
            names = [*held] if key == '["extended_id"]' else [f"C{n}" for n in range(CODES // PER_CASE)]
            moment = ledger.connection.begin()
            pictures = Knowledge(ledger.connection, space).view(names)
            moment.rollback()
            for name, picture in pictures.items():
                for code in set(self._codes(name)) - excused:
                    known = json.loads(picture.known)
                    assert {n: held[code].get(n, "") for n in known} == known, f"{name} is known as {known}"
        ledger.close()

    def _ended_late(self):
        """The values of calls that were let go of, and that ended after that."""
        return {key for (key,) in self.database.execute(
            "SELECT i.key FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.state = 'ended_late'"
        )}  # fmt: skip

    def _codes(self, name):
        if name.startswith("E"):
            return [name]
        return [f"E{n}" for n in range(CODES) if n // PER_CASE == int(name[1:])]

    def _held(self):
        self.api.advance(self.clock.now_s)
        return {code.fields["extended_id"]: dict(code.fields) for code in self.api.world.codes}

    def _is_settled(self):
        query = """SELECT count(*) FROM batches WHERE NOT split
            AND (wanted OR state IN ('planned', 'sending', 'submitted', 'in_doubt', 'abandoned'))"""
        return self.database.execute(query).fetchone()[0] == 0


def _night(job, columns, rows, trouble=None, *, force=False, mode=None):
    return ("night", (columns, rows, {"job": job, "force": force, "mode": mode}, "clear", "row"), trouble)


OLDER_WORDS_TAKEN_UP_ANEW = [
    _night("karton", ["s"], {"C0": ("2",), "C1": ("1",), "C2": ("3",)}, ("error_before", 3)),
    _night("erp", ["lot", "s"], {"E5": ("1", "3")}),
    _night(
        "erp",
        ["s", "lot"],
        {
            "E3": (None, "1"),
            "E4": (None, "1"),
            "E1": ("1", "2"),
            "E5": ("3", None),
            "E0": ("2", None),
            "E2": ("1", "2"),
        },
        ("task_fails", 2),
        force=True,
    ),
    _night("karton", ["s"], {"C2": ("3",), "C1": ("3",), "C0": ("3",)}, ("task_forgotten", 1), force=True),
    _night("web", ["lot", "s"], {"E1": ("3", None)}, mode="async"),
]
"""A newer file's plan takes up what the first one still wants: it goes before the cases' newer word all the same."""


TWO_QUESTIONS = [
    ("night", (["m"], {"E0": ("1",)}, {"job": "erp", "force": False, "mode": None}, "omit", "changes"), None),
    ("night", (["s"], {"C0": ("1",)}, {"job": "karton", "force": False, "mode": None}, "omit", "changes"), None),
    (
        "night",
        (["s"], {f"E{n}": ("1",) for n in range(4)}, {"job": "erp", "force": False, "mode": None}, "omit", "changes"),
        None,
    ),
]
"""A value that something is known of asks for the field, and so does one that was never heard of: in one call more."""


@example(OLDER_WORDS_TAKEN_UP_ANEW)
@example(TWO_QUESTIONS)
@settings(max_examples=sampling.examples(40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(STEPS, min_size=1, max_size=7))
def test_when_a_run_says_0_the_newest_words_are_there_and_what_is_known_is_so(steps):
    with (
        mock.patch.object(batching, "ASYNC_VALUES_MAX", 4),
        mock.patch.object(batching, "SYNC_ITEMS_MAX", 2),
        mock.patch.object(outcome, "PIECE_VALUES_MAX", 2),
        mock.patch.object(canary, "VALUES", 2),  # as in earnest, one sync call carries them
    ):
        Life().play(steps)
