"""How long ago an answer was lost: what was on its way then may still arrive, until ``settle_s`` after the loss.

What always holds: the steady clock decides within one boot. The wall clock may have been set meanwhile, so it is
believed only for losses of another boot, and only when it says that they are long past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.process.clock import Uptime, seconds_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncer.process.clock import Clock

BOOT_TRUST_S = 24 * 3600.0
"""How far the wall clock may be off after a restart of the machine without harm."""


def unsettled_s(losses: Iterable[tuple[str, Uptime]], settle_s: float, clock: Clock) -> float:
    """Return in how many seconds none of the lost calls can be on its way any more; 0.0 when none can."""
    now, wall_s = clock.uptime(), clock.wall_s()
    left_s = 0.0
    for at, lost in losses:
        if lost.boot and lost.boot == now.boot:
            past_s = now.seconds - lost.seconds
        else:
            past_s = settle_s if seconds_between(at, wall_s) > BOOT_TRUST_S else 0.0
        left_s = max(left_s, settle_s - past_s)
    return left_s
