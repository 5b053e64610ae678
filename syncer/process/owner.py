"""Which process does, or did, a piece of work, and whether it still lives.

What always holds: a process that was seen on another machine is never called dead or alive from here; a number that the
machine has given to another process since is not taken for the first one, where the system tells when each began.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_START_FIELD = 19
"""Place of a process's start among the fields of ``/proc/PID/stat`` that follow its name."""


class Life(StrEnum):
    """What is known of a process from here."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process by its machine, its number, and when it began (empty: the system does not say)."""

    host: str
    pid: int
    born: str = ""


def this_host() -> str:
    """Return this machine's name, as the ledger writes it."""
    return socket.gethostname()


def this_process() -> Owner:
    """Return the process that asks."""
    return Owner(this_host(), os.getpid(), _born(os.getpid()))


def life_of(owner: Owner) -> Life:
    """Tell whether a process still lives."""
    if owner.host != this_host():
        return Life.UNKNOWN
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return Life.DEAD
    except PermissionError:  # it is there, and of another account
        pass
    born = _born(owner.pid)
    return Life.DEAD if owner.born and born and born != owner.born else Life.ALIVE


def _born(pid: int) -> str:
    """Return the boot and the tick at which a process began; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return f"{boot} {stat.rpartition(')')[2].split()[_START_FIELD]}"
    except (OSError, IndexError):
        return ""
