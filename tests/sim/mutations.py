"""Deliberate bugs, each of which breaks a promise: the simulator must find every one of them."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

from sim.bugs import BUGS
from sim.world import SimulatedTransport
from sqlalchemy import Integer, Text, bindparam, update

from syncer.api import answers as answers_module
from syncer.api.classify import Verdict, classify
from syncer.execute import send as send_module
from syncer.execute import watch as watch_module
from syncer.execute.reconcile import ALL_APPLIED
from syncer.execute.registry import Doubt
from syncer.ledger import mirror as mirror_module
from syncer.ledger import schema as t
from syncer.ledger import transitions as transitions_module
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.ledger import Ledger
from syncer.ledger.mirror import MirrorStep
from syncer.ledger.writer import Writer
from syncer.mirror.picture import delta
from syncer.mirror.words import NOTHING, fields_of
from syncer.plan import merging as merging_module
from syncer.plan import states as states_module
from syncer.runs import session as session_module


def send_before_commit(self, run_id, *, at, uptime):
    """After a death the ledger does not know that calls were on their way."""
    with self.connection.begin():
        self.connection.exec_driver_sql("UPDATE batches SET state = 'planned' WHERE state = 'sending'")
    return 0


_apply = mirror_module.apply
_start = Writer.start


def advance_on_send(self, batch, reference, at):
    """The mirror advances when a call is made, not when it is confirmed."""
    with self.together():
        self._step(MirrorStep.CONFIRMED, batch)
        return _start(self, batch, reference, at)


_call = SimulatedTransport.call


def repeat_posts(self, method, path, *, params=None, body=None):
    """The transport makes a failed upload once more by itself."""
    reply = _call(self, method, path, params=params, body=body)
    if method == "POST" and reply.status_code is None and reply.sent:
        reply = _call(self, method, path, params=params, body=body)
    return reply


def hopeful(reply, **about):
    """A lost answer is taken for a call that was not processed."""
    verdict = classify(reply, **about)
    return Verdict.NOT_PROCESSED if verdict is Verdict.UNKNOWN else verdict


def trusting(*_arguments, **_settings):
    """Any count will do."""
    return ALL_APPLIED


def set_without_comparing(columns):
    """The state is set whatever it was."""
    return (
        update(t.batches)
        .where(
            t.batches.c.id == bindparam("batch_id"),
            bindparam("old_state", type_=Text).is_not(None),
            bindparam("old_attempts", type_=Integer).is_not(None),
        )
        .values({name: bindparam(f"new_{name}") for name in ("state", "changed_at", *columns)})
    )


def confident(connection, step, spans, disjoint, **how):
    """What may have been processed, and did not end for certain, leaves what was known."""
    if step is MirrorStep.CONFIRMED:
        _apply(connection, step, spans, disjoint, **how)


def take_for_done(connection, step, spans, disjoint, **how):
    """What was sent is taken for what the server holds."""
    _apply(connection, MirrorStep.CONFIRMED, spans, disjoint, **how)


def one_field_will_do(picture, wanted, moves, *, missing):
    """A row is unchanged when one of its fields is known and equal."""
    sent = delta(picture, wanted, moves, missing=missing)
    return sent if len(fields_of(sent)) == len(fields_of(wanted)) else NOTHING


def forget_doubts(self, run_id, *, at, uptime):
    """Calls of a dead process are left as they are."""
    return 0


MUTATIONS = {
    "send before commit": (Ledger, "doubt_interrupted", send_before_commit),
    "no settle wait": (Doubt, "saw_absence", lambda *_: True),
    "advance the state on sending": (Writer, "start", advance_on_send),
    "repeat a POST in the transport": (SimulatedTransport, "call", repeat_posts),
    "take a lost answer for not processed": (answers_module, "classify", hopeful),
    "forget what was never sent": (Knowledge, "wanted", lambda self: iter(())),
    "trust any count of a task": (watch_module, "judge_count", trusting),
    "trust any sync answer": (send_module, "judge_named", trusting),
    "send newer data before a lost call is surely over": (session_module, "quarantine_s", lambda *_: 0.0),
    "drop the compare-and-set": (transitions_module, "_compare_and_set", set_without_comparing),
    "leave the calls of a dead process": (Ledger, "doubt_interrupted", forget_doubts),
    "go on knowing what may have been overwritten": (mirror_module, "apply", confident),
    "make the delta against what was sent": (mirror_module, "apply", take_for_done),
    "send older words in place of newer ones": (merging_module, "laid_over", lambda older, newer: older),
    "call a row unchanged for one field": (states_module, "delta", one_field_will_do),
    **BUGS,
}


@contextmanager
def mutated(name):
    """Put a deliberate bug into the program."""
    holder, attribute, replacement = MUTATIONS[name]
    with mock.patch.object(holder, attribute, replacement):
        yield
