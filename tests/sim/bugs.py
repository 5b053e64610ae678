"""More deliberate bugs: of what is known and wanted, of whom a refusal is charged to, of how a run ends."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

from syncer import results as results_module
from syncer.api.health import Health
from syncer.errors import DeadlineError, SignalError
from syncer.execute import send as send_module
from syncer.execute import watch as watch_module
from syncer.execute.batch_call import load_batch
from syncer.execute.let_go import LetGo
from syncer.execute.reconcile import ALL_APPLIED, judge_count, judge_named
from syncer.execute.refusals import Refusals
from syncer.execute.watch import TaskWatch
from syncer.ledger import ledger as ledger_module
from syncer.ledger import mirror as mirror_module
from syncer.ledger import plans as plans_module
from syncer.ledger.ledger import Ledger
from syncer.ledger.mirror import MirrorStep
from syncer.ledger.writer import Writer
from syncer.lifecycle.batch import Bucket
from syncer.mirror.picture import confirmed, doubted
from syncer.mirror.words import text_of, words_of
from syncer.plan.states import KeyStates
from syncer.results import SyncResult

_step, _change, _references = Writer._step, Writer._change, Ledger.lost_references
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


def without_wish(method):
    """Let an end that is not a good one be the end of what was wanted."""

    def change(self, *arguments, wanted=False, **settings):
        return _change(self, *arguments, **settings)

    def final(self, *arguments, **settings):
        with mock.patch.object(Writer, "_change", change):
            return method(self, *arguments, **settings)

    return final


def multiple_for_proof(values, codes_affected, *, unique, expected):
    """A count that is a whole multiple of the values proves them all."""
    if codes_affected and codes_affected % values == 0:
        return ALL_APPLIED
    return judge_count(values, codes_affected, unique=unique, expected=expected)


def silence_for_proof(values, codes_affected, *, unique, expected):
    """A task that names no count, or one that is none, has applied everything."""
    if codes_affected is None or codes_affected <= 0:
        return ALL_APPLIED
    return judge_count(values, codes_affected, unique=unique, expected=expected)


def name_for_proof(keys, codes_affected, named, *, unique, expected):
    """One name in an answer stands for all values of the call."""
    return ALL_APPLIED if named else judge_named(keys, codes_affected, named, unique=unique, expected=expected)


def complete_for_failed(self, task_id, message):
    """A task that failed, or is gone, has applied everything."""
    batch = self._watched.pop(task_id).batch
    self._outcomes.settle(load_batch(self._context, batch), batch.size, ALL_APPLIED)


def doubt_of_one_field(before, sent, moves):
    """Only the first field of a call that was lost is uncertain."""
    return doubted(before, text_of(words_of(sent)[:1]), moves)


def newest_attempt(self, batch):
    """Only the last call of a batch is looked for."""
    return dict([*_references(self, batch).items()][-1:])


def ends_well_for(*kinds):
    """Take a run that was stopped by one of these for one that is done."""
    return property(lambda self: 0 if isinstance(self.error, kinds) else _exit_code(self))


def ends_well_but_for(**members):
    """Leave members of the result out of what makes a run end with 3."""

    class Blind:
        def __init__(self, result):
            self._result = result

        def __getattr__(self, name):
            return members.get(name, getattr(self._result, name))

    return property(lambda self: _exit_code(Blind(self)))


FINE = {Bucket.CONFIRMED, Bucket.SUPERSEDED}
NOT_SEALED = SimpleNamespace(add=nothing, verify=ledger_module.seals.verify)

BUGS = {
    "a lost call leaves what was known": (Writer, "lost", without_doubt(Writer.lost)),
    "a failed task leaves what was known": (Writer, "task_failed", without_doubt(Writer.task_failed)),
    "a late end leaves what was known": (Writer, "late_end", without_doubt(Writer.late_end)),
    "a failed task ends the wish": (Writer, "task_failed", without_wish(Writer.task_failed)),
    "letting go ends the wish": (Writer, "let_go", without_wish(Writer.let_go)),
    "what was let go of is watched no more": (LetGo, "add", nothing),
    "forget what was held": (plans_module, "_store_wishes", nothing),
    "send newer rows while an older call is open": (KeyStates, "see_open", nothing),
    "a whole multiple for proof": (watch_module, "judge_count", multiple_for_proof),
    "no count for proof": (watch_module, "judge_count", silence_for_proof),
    "one name for proof": (send_module, "judge_named", name_for_proof),
    "a failed task is a complete one": (TaskWatch, "_fail", complete_for_failed),
    "a refusal without words blames the whole call": (Refusals, "parts", lambda self, batch, answer: ()),
    "a refusal that names a value blames the whole call": (send_module, "suspects", lambda keys, words: ()),
    "a doubt is about one field": (
        mirror_module,
        "_NEXT",
        {MirrorStep.CONFIRMED: confirmed, MirrorStep.DOUBTED: doubt_of_one_field},
    ),
    "what matched nothing is known": (mirror_module, "mark_absent", nothing),
    "only the last call is looked for": (Ledger, "lost_references", newest_attempt),
    "add to a sealed run": (ledger_module, "seals", NOT_SEALED),
    "wait for ever while throttled": (Health, "given_up", lambda self, now_s: False),
    "a deadline is a good end": (SyncResult, "exit_code", ends_well_for(DeadlineError)),
    "a signal is a good end": (SyncResult, "exit_code", ends_well_for(SignalError)),
    "rows that wait are no matter": (SyncResult, "exit_code", ends_well_but_for(waiting=0)),
    "what earlier runs left is no matter": (SyncResult, "exit_code", ends_well_but_for(earlier_in_doubt=0)),
    "what is pending is fine": (results_module, "_FINE", frozenset({*FINE, Bucket.PENDING})),
    "what is in doubt is fine": (results_module, "_FINE", frozenset({*FINE, Bucket.IN_DOUBT})),
}
"""By name: what is replaced, and by what."""
