"""Another account of this machine: what it plants, and what it is refused. Needs root, who alone can become it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STRANGER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account; the tests run as none")


def as_stranger(act: Callable[[], object]) -> bool:
    """Do something as another account, in a process of its own; return whether it could."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            act()
            code = 0
        except OSError:
            code = 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, 2}, code
    return code == 0


def open_to_all(folder: Path, mode: int = 0o1777) -> Path:
    """Make a folder into which every account may write, as /tmp is, and which every account can reach."""
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    for above in folder.parents:
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    return folder


def run(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "syncer", *arguments], cwd=folder, env=variables, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
