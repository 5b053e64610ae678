"""Whose ledger it is, and what the way back came to: as documents and as text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from syncer.lifecycle.batch import State
from syncer.model import KEY_SEPARATOR, Target, shown_key
from syncer.process.help import configured
from syncer.report.document import target_document
from syncer.report.words import many
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.ledger.recovery import DroppedBatch, Recovery
    from syncer.results import LedgerInfo

SHOWN_MAX = 20


def info_document(info: LedgerInfo) -> dict[str, Any]:
    """Return the members of ``ledger info``."""
    identity = info.identity
    target = None if identity.base_url is None else Target(identity.base_url, identity.company)
    return {
        "file": str(info.path),
        "ledger": {"id": identity.id, "position": identity.position},
        "target": target_document(target),
        "backup_at": identity.backup_at,
        "configured_base_url": info.base_url,
        "adopted": info.adopted,
        "forgotten": None if info.forgotten is None else recovery_document(info.forgotten),
    }


def info_text(info: LedgerInfo) -> str:
    """Write ``ledger info`` for people, with the ways out where the configuration names another target."""
    identity = info.identity
    belongs = "nobody yet: the first run adopts its target"
    if identity.base_url is not None:
        belongs = str(Target(identity.base_url, identity.company))
    lines = [f"{inert(str(info.path))}: ledger {identity.id} at position {identity.position}", f"belongs to {belongs}"]
    if identity.backup_at is not None:
        lines.append(f"a backup, made at {identity.backup_at}; back in use: syncer ledger restore FILE")
    if info.adopted and info.forgotten is None:
        lines.append("what it believes stays")
    if info.forgotten is not None:
        lines.append("its newest task is not known there, so it believes nothing any more:")
        lines.append(recovery_text(info.forgotten))
    if identity.base_url not in {None, info.base_url}:
        lines += [
            f"the configuration names {info.base_url}: another target needs another ledger (ledger.url).",
            "When the same company has moved there: syncer ledger info --adopt-target",
        ]
    return "\n".join(lines)


def recovery_document(done: Recovery) -> dict[str, Any]:
    """Return the members of ``ledger recover`` and ``ledger restore``."""
    return {
        "file": str(done.ledger),
        "ledger": {"id": done.new_id, "position": done.position},
        "before": done.old_id,
        "replaced": None if done.replaced is None else str(done.replaced),
        "unsent": [_batch_document(batch) for batch in done.unsent],
        "let_go": [_batch_document(batch) for batch in done.let_go],
        "open_uploads": list(done.open_uploads),
    }


def _batch_document(batch: DroppedBatch) -> dict[str, Any]:
    return {**asdict(batch), "state": batch.state.value, "key": batch.key.split(KEY_SEPARATOR)}


def recovery_text(done: Recovery) -> str:
    """Write what became of the ledger for people."""
    lines = [f"{inert(str(done.ledger))} believes nothing any more; its id is {done.new_id} (it was {done.old_id})"]
    if done.replaced is not None:
        lines.append(f"the ledger that was there: {inert(str(done.replaced))}")
    lines += _listed("dropped, never sent", [batch for batch in done.unsent if batch.state is State.PLANNED])
    lines += _listed("dropped, failed", [batch for batch in done.unsent if batch.state is not State.PLANNED])
    lines += _listed("let go of, perhaps sent", done.let_go)
    if done.open_uploads:
        numbers = ", ".join(map(str, done.open_uploads))
        lines.append(f"uploads of own codes that were open then: {numbers}; see: syncer codes list")
    lines.append(f"next: {configured('syncer sync FILE')}, with the newest full export")
    return "\n".join(lines)


def _listed(words: str, batches: Sequence[DroppedBatch]) -> list[str]:
    if not batches:
        return []
    lines = [f"{words}: {many(sum(batch.values for batch in batches), 'value')} in {many(len(batches), 'batch')}"]
    for batch in batches[:SHOWN_MAX]:
        first = f"{inert(batch.file)}:{batch.line} {inert(shown_key(batch.key))}"
        lines.append(
            f"  batch {batch.batch_id} of run {batch.run_id} ({batch.job}): {many(batch.values, 'value')} from {first}"
        )
    return lines + (["  … all of them: --json"] if len(batches) > SHOWN_MAX else [])
