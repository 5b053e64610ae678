"""The sandbox as a whole: its state, and the two hosts that answer from it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from syncer.sandbox.api_host import ApiHandler
from syncer.sandbox.config import SandboxConfig
from syncer.sandbox.state import SandboxState
from syncer.sandbox.storage import StorageHandler
from syncer.sandbox.wire import Host


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

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._storage.start()
        self._api.serve_forever(0.1)


def serve(config: SandboxConfig, announce: Callable[[str], None]) -> None:
    """Run a sandbox until Ctrl-C; ``announce`` is told where it listens."""
    sandbox = Sandbox(config)
    announce(sandbox.url)
    try:
        sandbox.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        sandbox.close()
