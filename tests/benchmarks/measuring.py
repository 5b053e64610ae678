"""Running a program as a whole process and measuring it: wall time, CPU time, peak memory of that one child."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of several runs; ``peak_mib`` is the greatest. ``out`` is what the last run printed."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    out: str


def once(command: Sequence[str], folder: Path, variables: Mapping[str, str], codes: Sequence[int]) -> Measured:
    """Run a command; its exit code must be one of `codes`."""
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        began_s = time.monotonic()
        child = subprocess.Popen(command, cwd=folder, env=dict(variables), stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - began_s
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode not in codes:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {err.read()[-2000:]}")
        return Measured(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def several(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    *,
    runs: int = 3,
    codes: Sequence[int] = (0,),
    before: Callable[[], None] = lambda: None,
) -> Measured:
    """Run a command several times, each after `before`; return the medians."""
    found = []
    for _ in range(runs):
        before()
        found.append(once(command, folder, os.environ if variables is None else variables, codes))
    return Measured(
        statistics.median(one.wall_s for one in found),
        statistics.median(one.cpu_s for one in found),
        max(one.peak_mib for one in found),
        found[-1].out,
    )
