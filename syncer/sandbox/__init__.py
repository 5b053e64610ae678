"""The local emulator of the Scantrust API: a product of its own. It imports nothing of the rest of the program."""

from syncer.sandbox.config import SandboxConfig
from syncer.sandbox.server import Sandbox, serve

__all__ = ["Sandbox", "SandboxConfig", "serve"]
