"""The sandbox as a whole: its state, and the two hosts that answer from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from syncer.sandbox.api_host import ApiHandler
from syncer.sandbox.config import SandboxConfig
from syncer.sandbox.state import SandboxState
from syncer.sandbox.storage import StorageHandler
from syncer.sandbox.wire import Host

END_LOOK_S = 0.1


class Sandbox(SandboxState):
    """The emulator. Use as a context manager: it listens from construction to `close`."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        super().__init__(config)
        self._api = Host(self.config.port, ApiHandler, self)
        self._storage = Host(self.config.storage_port, StorageHandler, self)
        self.port = self._api.port
        self.url = self._api.url
        self.storage_url = self._storage.url

    def __enter__(self) -> Sandbox:
        self._api.start()
        self._storage.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; calls that hang are let go."""
        self.stopping.set()
        self._api.close()
        self._storage.close()


def serve(config: SandboxConfig, announce: Callable[[str], None], ended: Callable[[], bool]) -> None:
    """Run a sandbox until ``ended`` says so; ``announce`` is told where it listens.

    This thread, to which signals come, answers no calls: what ends a call is ended with it, and nobody would know.
    """
    with Sandbox(config) as sandbox:
        announce(sandbox.url)
        while not ended():
            time.sleep(END_LOOK_S)
