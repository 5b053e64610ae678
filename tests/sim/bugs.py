"""More deliberate bugs: of what is known and wanted, of whom a refusal is charged to, of how a run ends."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
from sim.process import folder

from syncer.commands import runs as runs_module
from syncer.errors import DeadlineError, SignalError
from syncer.execute import send as send_module
from syncer.execute import watch as watch_module
from syncer.execute.batch_call import load_batch
from syncer.execute.reconcile import ALL_APPLIED, judge_count, judge_named
from syncer.execute.refusals import Refusals
from syncer.execute.watch import TaskWatch
from syncer.ledger import kept as kept_module
from syncer.ledger import migrate as migrate_module
from syncer.ledger import mirror as mirror_module
from syncer.ledger.migrate import migrations_path
from syncer.ledger.mirror import MirrorStep
from syncer.ledger.writer import Writer
from syncer.mirror.picture import doubted
from syncer.mirror.words import text_of, words_of
from syncer.plan.merging import Merger
from syncer.results import SyncResult

_step = Writer._step
_exit_code = SyncResult.exit_code.fget


def nothing(*_arguments, **_settings):
    """Do nothing."""


def without_doubt(method):
    """Let an end that is not certain leave what was known."""

    def step(self, kind, batch, refused=None):
        if kind is not MirrorStep.DOUBTED:
            _step(self, kind, batch, refused)

    def certain(self, *arguments, **settings):
        with mock.patch.object(Writer, "_step", step):
            return method(self, *arguments, **settings)

    return certain


def silence_for_proof(values, codes_affected, *, unique, expected):
    """A task that names no count, or one that is none, has applied everything."""
    if codes_affected is None or codes_affected <= 0:
        return ALL_APPLIED
    return judge_count(values, codes_affected, unique=unique, expected=expected)


def name_for_proof(keys, codes_affected, named, *, unique, expected):
    """One name in an answer stands for all values of the call."""
    return ALL_APPLIED if named else judge_named(keys, codes_affected, named, unique=unique, expected=expected)


def complete_for_failed(self, entry, message):
    """A task that failed, or is gone, has applied everything."""
    self._outcomes.settle(load_batch(self._context, entry.batch), entry.batch.size, ALL_APPLIED)


def doubt_of_one_field(before, sent, moves):
    """Only the first field of a call that was lost is uncertain."""
    return doubted(before, text_of(words_of(sent)[:1]), moves)


def multiple_for_proof(values, codes_affected, *, unique, expected):
    """A count that is a whole multiple of the values shows that each selected as many codes."""
    if codes_affected and not unique and codes_affected % values == 0:
        return ALL_APPLIED
    return judge_count(values, codes_affected, unique=unique, expected=expected)


def newer_row_alone(self, older, newer):
    """What an earlier file said of a value is forgotten as soon as a newer one names the value."""
    return np.ones(len(older), bool)


def own_job_alone(jobs, job, fields):
    """A run sees to what its own job left open, not to other jobs of the same codes."""
    return [job.id]


def product_moves_nothing(connection):
    """Whatever product a code gets, its fields stay what they were."""
    return lambda old, new: False


def altered(words, bug):
    """Return what says where the migrations lie: a copy, in which the one that makes the mirror has a bug."""

    @cache
    def path():
        place = Path(tempfile.mkdtemp(dir=folder())) / "migrations"
        shutil.copytree(migrations_path(), place)
        migration = place / "versions" / "0007_mirror.py"
        text = migration.read_text(encoding="utf-8")
        assert text.count(words) == 1
        migration.write_text(text.replace(words, bug), encoding="utf-8")
        return place

    return path


def mirror_alone(cursor, items_to):
    """Of old history only what explains the mirror stays."""
    cursor.execute("DROP TABLE IF EXISTS temp.kept")
    cursor.execute("CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)")
    cursor.execute(f"INSERT OR IGNORE INTO temp.kept {kept_module._RULES[0]}", (items_to,))


def ends_well_for(*kinds):
    """Take a run that was stopped by one of these for one that is done."""
    return property(lambda self: 0 if isinstance(self.error, kinds) else _exit_code(self))


BUGS = {
    "a lost call leaves what was known": (Writer, "lost", without_doubt(Writer.lost)),
    "a late end leaves what was known": (Writer, "late_end", without_doubt(Writer.late_end)),
    "no count for proof": (watch_module, "judge_count", silence_for_proof),
    "one name for proof": (send_module, "judge_named", name_for_proof),
    "a failed task is a complete one": (TaskWatch, "_fail", complete_for_failed),
    "a refusal without words blames the whole call": (Refusals, "parts", lambda self, batch, answer: ()),
    "a refusal that names a value blames the whole call": (
        send_module.Sender,
        "_refuse_named",
        lambda self, loaded, attempt_id, answer: self._refuse(loaded, attempt_id, answer, ()),
    ),
    "a doubt is about one field": (
        mirror_module,
        "_NEXT",
        {**mirror_module._NEXT, MirrorStep.DOUBTED: doubt_of_one_field},
    ),
    "a whole multiple for proof": (watch_module, "judge_count", multiple_for_proof),
    "forget wanted fields": (Merger, "covered", newer_row_alone),
    "see to the own job alone": (runs_module, "related", own_job_alone),
    "a write through one key is about that key alone": (
        mirror_module,
        "spread",
        lambda connection, spans: False,
    ),
    "a product moves nothing": (mirror_module, "moves_of", product_moves_nothing),
    "what matched nothing is known": (mirror_module, "mark_absent", nothing),
    "an upgrade leaves what was under way known": (
        migrate_module,
        "migrations_path",
        altered("    _doubts(cursor)\n", ""),
    ),
    "an upgrade believes each of several jobs": (
        migrate_module,
        "migrations_path",
        altered("if left[0][name] != right[0][name]", "if False"),
    ),
    "an upgrade keeps what another job's newer word has overtaken": (
        migrate_module,
        "migrations_path",
        altered("        if fields or both_under_way:\n", "        if False:\n"),
    ),
    "of old history only what explains the mirror stays": (kept_module, "choose", mirror_alone),
    "a deadline is a good end": (SyncResult, "exit_code", ends_well_for(DeadlineError)),
    "a signal is a good end": (SyncResult, "exit_code", ends_well_for(SignalError)),
}
"""By name: what is replaced, and by what."""
