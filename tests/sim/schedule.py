"""One schedule: nights of files, faults and deaths from one seed, and the promises checked against the server's record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from unittest import mock

from sim import exports
from sim.begun import Begun
from sim.company import LATER, Company
from sim.episodes import EPISODES, twin
from sim.ledgers import fresh_database, open_ledger, prune, whole
from sim.others import Others
from sim.process import TASK_TIMEOUT_S, Process, settings_of
from sim.products import Products, catalogue
from sim.promises import (
    ViolationError,
    check_blame,
    check_history,
    check_known,
    check_nothing_lost,
    check_promise,
    check_reach,
    check_run,
    check_server,
    coming_codes,
    late_places,
    late_words,
    let_go_keys,
    let_go_tasks,
)
from sim.spaces import LINK, MAIN, THIRD, Space, Spaces, named
from sim.trouble import Poison, Spell, odd_together
from sim.truth import Truth, unsure_places, written
from sim.uploads import Uploads
from sim.world import KINDS, SYNC_KEYS, Chances, Crash, Fate, SimulatedApi, VirtualClock

from syncer.config.jobs import all_disjoint
from syncer.execute import outcome as outcome_module
from syncer.ledger import proofs
from syncer.ledger.identity import counts_same
from syncer.plan import batching
from syncer.process.clock import seconds_between
from syncer.results import SyncResult
from syncer.sandbox.products import Catalogue

RUNS_MAX = 6
CODES = {None, 0, 2, 3, 5, 10, 12, 143}
"""How a run may end here: died, or with one of these. 2: `resume` of what never was planned."""


FORM = 'csv = { encoding = "utf-8", delimiter = ",", quote = "\\"" }\n'
"""How the files are written: told, since finding it out takes as long as the rest of a small run."""


@dataclass
class Outcome:
    """What a schedule came to."""

    runs: int = 0
    crashes: int = 0
    rivals: int = 0
    calls: int = 0
    moved: int = 0
    """Items that left the ledger."""
    trace: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    digest: str = ""
    """Of every request and answer, in order."""


REFUSED = "SELECT field FROM proofs WHERE NOT taken UNION SELECT value FROM pictures, json_each(refused)"
"""Fields that a campaign, or a value of it, is believed not to take."""


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
        self.chances.crash = self.random.choice([0.0, 0.0, 0.001, 0.004, 0.015])
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
        self.uploads = Uploads.drawn(seed, self.codes if self.unique else 0)
        if self.uploads.left:
            self.missing.update(self.uploads.left)
            self.chances.wrong_count = 0.0
        if not self.unique:
            self.chances.wrong_count = self.chances.no_items = 0.0
        self.discards = self.random.random() < 0.2
        self.begun = Begun.drawn(seed)
        if self.begun:
            self.begun.set_codes(self)
        life = Random(f"life of {seed}")
        self.blanks = life.choice([0.0, 0.0, 0.1, 0.5])
        self.life = life
        self.goes_back = life.random() < 0.3  # that files give values back that they gave before
        self.gone = life.choice([0.0, 0.0, 0.3])  # that a night's file lacks a column
        self.company = Company.drawn(seed, self.reach)
        if self.begun:
            self.company = self.begun.company(self.company)
        values = tuple(f"K{n:07d}" for n in range(self.codes))
        main = Space((self.key,), dict.fromkeys(self.company.jobs, (self.key,)), self.unique, values)
        several = self.key == MAIN and not self.discards
        self.spaces = self.begun.spaces(main) if self.begun else Spaces.drawn(seed, main, self.codes, several=several)
        if any(not space.unique for space in self.spaces.all):
            self.chances.wrong_count = self.chances.no_items = 0.0
        world = [
            {"extended_id": f"E{n:05d}-{copy}", "case_no": f"K{n:07d}"}
            if self.reach > 1
            else {"extended_id": f"K{n:07d}", **(named(n) if self.spaces.several else {})}
            for n in range(self.codes)
            for copy in range(self.company.reach(n))
            if n not in self.missing
        ]
        if self.begun:
            world = self.begun.state["held"]
        self.defining = Random(f"what is defined of {seed}")
        from_start = {LATER} if self.defining.random() < 0.5 and self.company.takes_away and not self.begun else set()
        campaigns = {1: frozenset({"m", "s", "case_no"} | from_start)} if self.discards else None
        trouble = Random(f"trouble of {seed}")
        self.chances.signal = trouble.choice([0.0, 0.0, 0.0, 0.003])
        self.hasty = trouble.choice([0.0, 0.0, 0.3])  # that a run has a deadline
        self.abandons = trouble.choice([0.0, 0.0, 0.2])  # that somebody lets go of what is open, after a run
        self.trouble = trouble
        self.api = SimulatedApi(
            seed,
            world,
            self.clock,
            self.chances,
            self.fate,
            campaigns=campaigns,
            sync_keys=None if self.company.lenient else SYNC_KEYS,
        )
        self.api.world.changes_only = self.company.changes_only
        self.others, self.uploads.known = Others(seed), len(world)
        self.products = Products.drawn(seed, possible=not self.discards)
        if self.products.named:
            self.api.catalogue, self.api.world.stays = Catalogue(catalogue(), world), self.products.stays
        self.job = self.company.jobs[0]
        self.jobs = Random(f"jobs of {seed}")
        self.names = Random(f"names of the jobs of {seed}")
        self.api.spell = Spell.drawn(trouble, self.clock.now_s)
        self.api.poison = Poison.drawn(trouble, [f"K{n:07d}" for n in range(self.codes)])
        self.api.together = odd_together(trouble)
        self.database = fresh_database()
        self.saved, self.fateful = None, Random(f"episodes of {seed}")
        self.episodes = self.fateful.choice(
            [0.0, 0.0, 0.0, 0.7]
        )  # that something befalls the ledger between two nights
        self.twins = Random(f"twins of {seed}")
        self.often_twins = self.twins.choice([0.0] * 7 + [0.6])
        self.pruning = Random(f"prunes of {seed}")
        # That old history is moved after a run; an older copy of a ledger does not know what went.
        self.prunes = self.pruning.choice([0.0, 0.0, 0.3, 1.0]) if not self.episodes + self.often_twins else 0.0
        self.outcome = Outcome(struck=self.fate.struck)
        self.hurry = self.random.choice([0.1, 0.3, 0.8])  # that a newer file comes before the last one is settled
        self.present = self.random.choice([0.1, 0.5, 0.95, 1.0])  # of the rows, in each night's file
        self.version = 0
        self.calmed = False
        self.exported = {}  # by the ERP, whether or not the program ever saw it
        self.rows = {}  # the newest words of the files whose plans were stored
        self.spoken, self.said = {}, {}  # by code and field, the key of the newest word; by job, the fields it wrote
        self.last = {}
        self.asked = {"m": {}, "s": {}}
        self.configure()
        self.files, self.path, self.stored = {}, "", 0
        self.discarded, self.unproven = set(), set()
        self.believed = (
            set()
        )  # fields not taken, by an answer that says nothing of them; nobody could know, nor read them
        self.late_words = set()  # that nothing wants again: who saw that has told
        self.let_go_then = set()  # tasks that were let go of in a time that the ledger has lost
        self.hanging = False
        if self.begun:
            self.begun.put_in_place(self)

    def configure(self):
        """Write the configuration anew."""
        self.settings = settings_of(
            self.company.settings(self.key, FORM) + self.spaces.settings(FORM) + self.products.settings()
        )

    def befall_jobs(self):
        """Where jobs are declared apart, a night's file may be of a third one, or its job gets another name."""
        main = self.spaces.all[0]
        if not main.apart or self.begun:
            return
        if main.of_third and self.names.random() < 0.3:
            self.job = THIRD
        elif self.job in self.company.jobs and self.names.random() < 0.2:
            old, self.job = self.job, f"{self.job}2"
            self.company = replace(
                self.company, jobs=tuple(self.job if job == old else job for job in self.company.jobs)
            )
            self.spaces = replace(self.spaces, all=(main.renamed(old, self.job), *self.spaces.all[1:]))
            self.said[self.job] = {*self.said.get(old, ())}
            self.configure()

    def step(self, process, what):
        """A place where the process may die."""
        if self.random.random() < self.chances.clock_jump:
            jump_s = self.random.choice([-86_400.0, -3600.0, -5.0, 40.0, 7200.0, 86_400.0])
            if self.fate.strikes(f"the wall clock jumps by {jump_s:g} s"):
                self.clock.wall_offset_s += jump_s
        self.others.turn(self.api, self.clock.now_s)
        sent = process.interrupt.signal_number is not None
        if self.random.random() < self.chances.signal and not sent and self.fate.strikes(f"signal: {what}"):
            process.interrupt.arrived(15)
        if self.random.random() < self.chances.crash and self.fate.strikes(f"death: {what}"):
            raise Crash(what)

    def pause(self, lanes):
        """A place where the process may hang while another one, which no lock held back, runs on the same file."""
        if self.hanging or self.rivalry.random() >= self.chances.rival or not self.fate.strikes("a second process"):
            return
        lanes.call_all()  # the lanes do not hang
        self.outcome.rivals += 1
        self.hanging = True
        self.one_run(self.last)
        self.hanging = False

    def new_file(self):
        """Write the next night's export; return its rows."""
        return exports.new_file(self)

    def run(self):
        """Play the whole schedule; raise `ViolationError` when a promise is broken."""
        with (
            mock.patch.object(batching, "ASYNC_VALUES_MAX", 20),
            mock.patch.object(batching, "SYNC_ITEMS_MAX", 5),
            mock.patch.object(outcome_module, "PIECE_VALUES_MAX", 5),
            mock.patch.object(proofs, "BELIEVED_S", self.company.believed_s),
        ):
            return self.play()

    def play(self):
        """Nights of new files, some given up for the next one; then calm."""
        nights = self.random.randint(1, 3) + (self.spaces.several or self.products.named > 0)
        while nights:
            nights -= 1
            self.befall()
            self.uploads.turn(self)
            rows = self.new_file()
            if self.fateful.random() < self.episodes:
                self.fateful.choice(EPISODES)(self)
            if self.twins.random() < self.often_twins:
                twin(self)
            for number in range(RUNS_MAX):
                ended = self.one_run(rows, resume=number > 0 and self.resuming.random() < self.resumes)
                if ended == 0 or (nights and self.random.random() < self.hurry):
                    break
        self.calm()
        return self.outcome

    def befall(self):
        """Between two nights comes another user's token, and a field that files name is defined, or taken away."""
        if self.resuming.random() < self.company.users and self.fate.strikes("another user's token"):
            self.api.world.user += 1
        defined = self.discards and LATER in self.api.world.campaigns[1]
        due = self.discards and not defined and self.resuming.random() < self.company.defines
        if due and self.fate.strikes(f"{LATER} is defined"):
            self.api.world.campaigns[1] |= {LATER}
        elif (
            defined and self.defining.random() < self.company.takes_away and self.fate.strikes(f"{LATER} is taken away")
        ):
            self.api.world.campaigns[1] -= {LATER}

    def remember(self):
        """A ledger is about to be lost: what it let go of was let go of all the same."""
        self.let_go_then |= let_go_tasks(self.database, self.api.world)

    def forget(self):
        """The ledger was put back: what was wanted and never sent is dropped, and what it sent since, it never knew."""
        newest = "SELECT coalesce(max(id), 0) FROM sources"
        self.stored, self.rows, self.spoken = self.database.execute(newest).fetchone()[0], {}, {}
        self.api.sent.clear()

    def clear_up(self):
        """From now on nothing goes wrong with a call or a process."""
        for kind in Chances.__dataclass_fields__:
            setattr(self.chances, kind, 0.0)
        self.hasty = self.abandons = self.others.often = 0.0
        self.api.spell = None

    def calm(self):
        """All faults end; after some runs everything that can be confirmed must be."""
        self.clear_up()
        self.api.world.odd.clear()
        for task in self.api.world.tasks.values():
            task.stuck = False
        self.calmed = True
        # What another user's token left open is let go of once it is old enough. How old it is the wall says: when that went
        # back, it has to come to where it was when the last call was made (a wait is as much longer as the clock went back).
        (newest,) = self.database.execute(
            "SELECT max(at) FROM (SELECT changed_at AS at FROM batches UNION ALL SELECT started_at FROM attempts)"
        ).fetchone()
        if newest is not None:
            self.clock.wall_offset_s += max(0.0, -seconds_between(newest, self.clock.wall_s()))
        self.clock.now_s += TASK_TIMEOUT_S
        if self.spaces.several:  # what the other job left open is no matter of this one's
            self.one_run(self.last, resume=True)
        for _ in range(4):
            if self.one_run(self.last) == (3 if self.discarded else 0) and not self.waits():
                break
        else:
            empty = (
                self.last.keys() - self.truth().held.keys()
            )  # all codes have left a case: that is told, night by night
            if not self.missing and not empty and not self.api.poison.keys and not self.shown_otherwise():
                raise ViolationError("not everything is confirmed after the faults ended")
        self.clock.now_s += 60.0
        self.api.advance(self.clock.now_s)
        check_server(
            self.api.world,
            let_go_tasks(self.database, self.api.world) | self.let_go_then,
            ordered=not self.goes_back and not self.spaces.several,
        )
        check_reach(written(self.api.world), self.asked_of_codes())
        history = whole(self.database)
        check_nothing_lost(history, self.truth(), self.rows_taken(), self.api.poison.keys)
        check_history(history, self.api.sent)

    def waits(self):
        """Tell whether the run that ended with 3 for a field that is not taken has left values for the next one, too."""
        planned = "SELECT count(*) FROM batches WHERE state = 'planned'"
        return self.discarded and self.database.execute(planned).fetchone()[0] > 0

    def doubted(self):
        """Return the fields of which answers did not show that they are taken.

        Who reads an older word of ours where another put it cannot know that the field was taken meanwhile: it is told
        once more by the run that asks again.
        """
        return self.believed | self.discarded | {name for _, name in self.api.world.theirs}

    def shown_otherwise(self):
        """Tell whether all that keeps a run at 3 is a field that others wrote: no answer showed that it is taken."""
        theirs = {name for _, name in self.api.world.theirs}
        return bool(self.unproven) and self.unproven <= theirs

    def fields_taken(self):
        """Which fields the server takes, of those that files name."""
        return {"m", "s"} | (self.api.world.campaigns[1] - {"case_no"} if self.discards else set())

    def rows_taken(self):
        """Return what files wanted, of the fields that the server takes."""
        fields = self.fields_taken()
        return {key: {name: row[name] for name in row if name in fields} for key, row in self.asked_rows().items()}

    def asked_rows(self):
        """Return what files wanted. That a field was discarded was told (3): it is wanted again once it is defined.

        Of keys of many codes it is left out: the program takes their counts for proof that a field was taken.
        """
        if self.unique:
            return self.rows
        return {key: {name: row[name] for name in row if name != LATER} for key, row in self.rows.items()}

    def truth(self):
        """Return what the server holds."""
        database = whole(self.database)
        let_go, late, coming = let_go_keys(database), late_places(database), coming_codes(database)
        unsure = unsure_places(self.api.world, let_go_tasks(database, self.api.world), self.products.moves)
        return Truth(self.api.world, self.spaces, self.spoken, let_go, late, coming, unsure, self.late_words)

    def asked_of_codes(self):
        """Return every value that a file ever gave, by code and field."""
        ever, asked = self.truth().ever, {}
        for name, by_key in self.asked.items():
            for key, values in by_key.items():
                for number in ever.get(key, ()):
                    asked.setdefault((number, name), set()).update(values)
        return asked

    def concerns(self, key, name):
        """Tell whether a `sync` of the last file's job has to do with a field of a key value."""
        own = self.spaces.of(self.job)
        apart = own.apart and self.job != THIRD
        return key in own.named_by(self.job) or (not apart and name in self.said.get(self.job, ()))

    def one_run(self, rows, *, resume=False):
        """Run the program once, on a file or to `resume`; return its exit code, None when it died."""
        self.outcome.runs += 1
        rivals = self.outcome.rivals
        if not resume and self.fateful.random() < 0.05:
            self.look_first()
        process = Process(self, self.settings)
        deadline_s = self.trouble.choice([1.0, 10.0, 100.0]) if self.trouble.random() < self.hasty else None
        if resume:
            process.resume(deadline_s=deadline_s)
        else:
            process.sync(self.path, deadline_s=deadline_s)
        alone = self.outcome.rivals == rivals
        self.take_stock(process, alone=alone)
        if process.code not in CODES and (alone or not process.is_stale):
            raise ViolationError(f"one process ended with {process.code}: {process.error}")
        if self.begun and process.code == 2:
            self.begun.adopt(self, process)
        if self.trouble.random() < self.abandons:
            self.let_go_by_hand()
        if self.pruning.random() < self.prunes and not self.hanging and self.fate.strikes("old history is moved"):
            self.outcome.moved += prune(self.database)
        self.outcome.digest = self.api.digest.hexdigest()
        ended = (
            f"died {process.died}"
            if process.died
            else f"exit {process.code}" + (f": {process.error}" if process.error else "")
        )
        self.outcome.trace.append(f"{self.clock.now_s:.3f} {ended}")
        self.others.turn(self.api, self.clock.now_s, times=10)
        if process.died:
            self.outcome.crashes += 1
            self.clock.now_s += self.random.choice([0.0, 1.0, 100.0])
            jump_s = self.random.choice([0.0, 0.0, 0.0, -3600.0, 7200.0])
            if jump_s and self.fate.strikes(f"the wall clock jumps by {jump_s:g} s between two processes"):
                self.clock.wall_offset_s += jump_s
        return process.code

    def look_first(self):
        """Somebody asks what would be sent: nothing is."""
        requests, process = len(self.api.requests), Process(self, self.settings)
        process.plan(self.path)
        if process.code not in {0, 3, 143, None} or len(self.api.requests) > requests:
            raise ViolationError(f"a plan ended with {process.code}: {process.error}")

    def let_go_by_hand(self):
        """Somebody loses patience, and lets go of all that is open."""
        query = "SELECT id FROM batches WHERE state IN ('sending', 'submitted', 'in_doubt') AND NOT split"
        batches = [number for (number,) in self.database.execute(query)]
        if batches and self.fate.strikes(f"batches {batches} are let go of by hand"):
            process = Process(self, self.settings)
            process.abandon(batches)
            if process.code not in {0, None}:
                raise ViolationError(f"what is open cannot be let go of: {process.error}")

    def note(self, job, rows):
        """Take note of a file whose plan was stored: its words are the newest now."""
        truth = self.truth()
        exports.merge(self.rows, rows)
        cases = {
            truth.held[key][0].number: row[LINK] for key, row in self.rows.items() if LINK in row and key in truth.held
        }
        for key, row in rows.items():
            self.said.setdefault(job, set()).update(row)
            self.spoken.update(((number, name), key) for number in truth.meant(key, cases) for name in row)

    def take_stock(self, process, *, alone):
        """Look at the ledger and the server after a process, however it went."""
        for source, name in self.database.execute(
            "SELECT id, name FROM sources WHERE id > ?", (self.stored,)
        ).fetchall():
            self.stored = source
            self.note(*self.files[Path(name).name])
        self.uploads.note(self)  # last: what came meanwhile was not there for these words
        truth, history = self.truth(), whole(self.database)
        ledger = open_ledger(self.database, lambda what: None)
        check_known(ledger, truth, all_disjoint(self.settings.jobs), self.rows)
        check_blame(history, self.api.poison.keys)
        if process.code == 0 and alone:  # what is not taken ends with 3
            check_promise(history, truth, self.asked_rows(), self.concerns if process.job else lambda *_: True)
        if self.company.changes_only and counts_same(ledger) is None:
            self.believed.update(name for (name,) in self.database.execute(REFUSED))
        result = process.result
        if isinstance(result, SyncResult) and result.run is not None:
            self.outcome.calls += result.requests.updates
            self.unproven = set(result.unproven_fields)
            if not self.discards and not self.doubted().issuperset(result.discarded_fields):
                raise ViolationError(f"{result.discarded_fields} were taken, and called discarded")
            self.discarded = set(result.discarded_fields)
            check_run(open_ledger(history, lambda what: None), result.run, thorough=self.calmed)
        ledger.close()
        self.late_words = late_words(history)
        if self.saved is None and self.fateful.random() < self.episodes / 5:
            self.saved = self.database.serialize()
