"""A small pool of lanes, each with one connection to the API. The engine starts calls and waits for their answers.

The engine's main loop owns the ledger and all decisions; a lane does nothing but make one call and hand the answer
back. The most recently used free lane is taken first, so that only as many connections are open as the API's latency
needs (Little's law: updates per second × seconds per call).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from syncer.api.client import Client
    from syncer.process.clock import Clock

    Call = Callable[[Client], object]
    Inbox = queue.SimpleQueue[tuple[int, Call, float] | None]


class Lanes(Protocol):
    """What the engine needs of a pool; the simulator has its own."""

    def free(self) -> int:
        """Return how many calls may be started now."""
        ...

    def start(self, ticket: int, call: Call, at_s: float) -> None:
        """Make `call` on a free lane at the monotonic time `at_s`; its answer comes out of `wait` under `ticket`."""
        ...

    def wait(self, until_s: float) -> list[tuple[int, object]]:
        """Return the answers that are there; wait for one until the monotonic time `until_s`."""
        ...

    def close(self) -> None:
        """Let the lanes end when they are done."""
        ...


class _Failed:
    """A defect of the program inside a lane, carried to the main thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ThreadLanes:
    """Lanes on threads. ``connect`` makes the API client of a lane when the lane is first used.

    The threads are daemons: a second signal may end the process without waiting for an answer.
    """

    def __init__(self, connect: Callable[[], Client], count: int, clock: Clock) -> None:
        self._connect = connect
        self._clock = clock
        self._answers: queue.SimpleQueue[tuple[int, object]] = queue.SimpleQueue()
        self._idle: list[Inbox] = []
        self._lanes: list[Inbox] = []
        self._busy: dict[int, Inbox] = {}
        self._count = count

    def free(self) -> int:
        """See `Lanes`."""
        return self._count - len(self._busy)

    def start(self, ticket: int, call: Call, at_s: float) -> None:
        """See `Lanes`."""
        lane = self._idle.pop() if self._idle else self._open()
        self._busy[ticket] = lane
        lane.put((ticket, call, at_s))

    def _open(self) -> Inbox:
        lane: Inbox = queue.SimpleQueue()
        self._lanes.append(lane)
        threading.Thread(target=self._work, args=(lane,), name=f"lane-{len(self._lanes)}", daemon=True).start()
        return lane

    def _work(self, lane: Inbox) -> None:
        client: Client | None = None
        while (work := lane.get()) is not None:
            ticket, call, at_s = work
            try:
                client = client or self._connect()
                self._clock.sleep_s(at_s - self._clock.monotonic_s())
                self._answers.put((ticket, call(client)))
            except BaseException as error:
                self._answers.put((ticket, _Failed(error)))
        if client is not None:
            with suppress(Exception):  # the lane is over, and nobody waits for it
                client.close()

    def wait(self, until_s: float) -> list[tuple[int, object]]:
        """See `Lanes`. A defect inside a call is raised here."""
        answers: list[tuple[int, object]] = []
        timeout_s: float | None = max(0.0, until_s - self._clock.monotonic_s())
        while True:
            try:
                ticket, answer = self._answers.get(timeout=timeout_s) if timeout_s else self._answers.get_nowait()
            except queue.Empty:
                return answers
            timeout_s = None
            self._idle.append(self._busy.pop(ticket))
            if isinstance(answer, _Failed):
                raise answer.error
            answers.append((ticket, answer))

    def close(self) -> None:
        """See `Lanes`."""
        for lane in self._lanes:
            lane.put(None)
