"""The one door to time: the engine is handed a `Clock` and never asks the machine itself.

What always holds: `monotonic_s` never runs backwards and is what every wait and deadline is measured with; `wall_s`
may jump and is only ever written down, or compared with what earlier processes wrote down where a jump can do no harm;
`uptime` goes on from process to process and does not jump. Tests pass a virtual clock, so years of schedules run in
seconds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Uptime:
    """A moment by the machine's own steady clock: which boot (empty: the system does not say), and seconds since it."""

    boot: str
    seconds: float


class Clock(Protocol):
    """Time as the engine sees it."""

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never runs backwards."""
        ...

    def wall_s(self) -> float:
        """Seconds since the Unix epoch, UTC; may jump."""
        ...

    def uptime(self) -> Uptime:
        """The same moment for every process of the machine; comparable only within one boot."""
        ...

    def sleep_s(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time; at once when they are not positive."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall_s(self) -> float:
        """See `Clock`."""
        return time.time()

    def uptime(self) -> Uptime:
        """See `Clock`."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))
        except (OSError, AttributeError):  # not Linux
            return Uptime("", time.monotonic())

    def sleep_s(self, seconds: float) -> None:
        """See `Clock`."""
        if seconds > 0:
            time.sleep(seconds)


def utc_text(wall_s: float) -> str:
    """Write a wall time as ISO 8601 in UTC with milliseconds: ``2026-11-20T05:12:31.204Z``."""
    return moment_text(datetime.fromtimestamp(wall_s, UTC))


def moment_text(moment: datetime) -> str:
    """Write a moment in UTC as `utc_text` does a wall time."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(earlier: str, wall_s: float) -> float:
    """Return the seconds from a UTC text (`utc_text`) to a wall time; negative when the clock was set back."""
    return wall_s - datetime.fromisoformat(earlier).timestamp()
