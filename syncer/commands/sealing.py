"""Seals as proof: the newest one to be kept elsewhere, its time stamp, and the history held against both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.api import stamps
from syncer.commands.ledger import reading_ledger, written
from syncer.errors import UsageError

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.seals import Seal


@dataclass(frozen=True, slots=True)
class Verified:
    """What the history came to: the newest seal (None: there is none), what does not fit, and rows without a seal.

    ``stamped`` is the seal that a time stamp is of, and ``stamped_at`` its time; None: no stamp was given.
    """

    newest: Seal | None
    faults: list[str]
    unsealed: int
    stamped: str | None = None
    stamped_at: str | None = None


def newest_seal(settings: Settings) -> Seal | None:
    """Return the newest seal, to be kept elsewhere."""
    with reading_ledger(settings) as ledger:
        return ledger.newest_seal()


def stamp_seal(settings: Settings, seal: Seal, url: str, out: Path) -> str:
    """Let a service of RFC 3161 stamp a seal, and write the stamp; return its time.

    Raises `UnreachableError` when the service gives none; nothing is written then.
    """
    stamp = stamps.ask_for_stamp(url, seal.digest, settings.notify.timeout_s, f"syncer/{__version__}")
    with written(out) as part:
        part.file.write(stamp.data)
    return stamp.at


def verify(settings: Settings, given: str | None, stamp: Path | None, roots: Path | None) -> Verified:
    """Hold the history against its seals, against one that was given, and against a time stamp of one."""
    with reading_ledger(settings) as ledger:
        faults, stamped, stamped_at = ledger.verify_seals(given), None, None
        if stamp is not None and roots is not None:
            stamped, stamped_at = stamps.stamped_seal(_read(stamp), _read(roots), ledger.seal_digests())
            if stamped is None:
                words = (
                    f"the stamp of {stamped_at} is of no seal of this ledger: its end was cut off, or it is another's"
                )
                faults.append(words)
        return Verified(ledger.newest_seal(), faults, 0 if faults else ledger.unsealed(), stamped, stamped_at)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "name a stamp and its roots: --stamp FILE.tsr --stamp-roots FILE.pem"
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy=remedy) from error
