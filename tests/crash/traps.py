"""Places that a run passes, and what happens at the n-th of them. Installed in the forked process itself.

kill      SIGKILL before or after the n-th commit or request (`commits-and-requests`), or one of the calls of methods that
          are named (`calls`), or before the n-th write, sync, truncation or removal of the ledger's files (`disk`), a write
          being cut in half first when `torn` is set
terminate SIGTERM, in the same places
fail      the n-th of these disk operations fails once, as a disk does (`EIO`)
fail_on   it fails, and so does every write after it: a disk that is full (`ENOSPC`) or broken (`EIO`)
sabotage  (where) a function fails with the token in its error; child: it starts another program (security/canary.py)
record    every disk operation is written to a file, with a mark after each commit (see disk.py)

Traps that count nothing: `authority` trusts the certificates of a test's own authority (and no other), `clock` sets the
machine's clock off by ``seconds`` for this process, `constant` gives a constant of a module another value,
`input` changes an input file while it is read, `capabilities` makes permissions hold for root too.
"""

from __future__ import annotations

import importlib
import mmap
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Counter:
    """Counts the places passed, where the parent sees it even after the process is gone."""

    def __init__(self, trap: dict[str, Any], passed: mmap.mmap) -> None:
        self.trap = trap
        self.at = trap.get("at", 0)
        self._passed = passed

    def count(self) -> int:
        number: int = struct.unpack("q", self._passed[:8])[0] + 1
        self._passed[:8] = struct.pack("q", number)
        return number

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM if self.trap["do"] == "terminate" else signal.SIGKILL)

    def pass_by(self) -> None:
        """Count a place, and die there when it is the n-th."""
        if self.count() == self.at:
            self.die()


def set_trap(trap: dict[str, Any], passed: mmap.mmap) -> None:
    """Install a trap in this process: ``{"where": …, "do": …, "at": n}``."""
    if trap["where"] in {"sabotage", "child"}:
        from security.canary import sabotage, start_a_child

        (sabotage if trap["where"] == "sabotage" else start_a_child)(trap["do"])
        return
    counter = Counter(trap, passed)
    if trap["where"] == "commits-and-requests":
        _trap_commits(counter)
        _trap_requests(counter)
    elif trap["where"] == "calls":
        for name in trap["of"]:
            _trap_calls(counter, name)
    elif trap["where"] == "authority":
        _trust(trap["file"])
    elif trap["where"] == "clock":
        _set_clock(trap["seconds"])
    elif trap["where"] == "constant":
        setattr(importlib.import_module(trap["module"]), trap["name"], trap["value"])
    elif trap["where"] == "input":
        _change_input(counter, trap)
    elif trap["where"] == "capabilities":
        _drop_capabilities()
    else:
        from crash.disk import trap_disk

        trap_disk(counter)


def around_commits(before: Any, after: Any) -> None:
    """Call `before` and `after` around every commit of the ledger."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as Dialect

    commit = Dialect.do_commit

    def do_commit(self: Any, connection: Any) -> None:
        before()
        commit(self, connection)
        after(connection)

    Dialect.do_commit = do_commit  # type: ignore[method-assign]


def _trap_commits(counter: Counter) -> None:
    around_commits(counter.pass_by, lambda _: counter.pass_by())


def _trap_requests(counter: Counter) -> None:
    from syncer.api.transport import Transport

    Transport.call = _passing(counter, Transport.call)  # type: ignore[method-assign]


def _trap_calls(counter: Counter, name: str) -> None:
    """Count a place before and after each call of a method: ``syncer.api.storage:StorageHost.post``."""
    module, _, path = name.partition(":")
    owner, _, method = path.partition(".")
    kind = getattr(importlib.import_module(module), owner)
    setattr(kind, method, _passing(counter, getattr(kind, method)))


def _passing(counter: Counter, inner: Callable[..., Any]) -> Callable[..., Any]:
    def passing(*arguments: Any, **named: Any) -> Any:
        counter.pass_by()
        result = inner(*arguments, **named)
        counter.pass_by()
        return result

    return passing


def _trust(file: str) -> None:
    """Put an authority in the place of all those that requests brings along."""
    import requests.adapters

    requests.adapters.DEFAULT_CA_BUNDLE_PATH = file


def _set_clock(off_s: float) -> None:
    """Let this process's wall clock be off; its monotonic clock goes on as it was."""
    import time

    true_time = time.time
    time.time = lambda: true_time() + off_s


HEADER_PASSES = 3
"""How often the beginning of a file is read before its rows are: is it a file of the results, by either encoding, and how is it written."""


def _change_input(counter: Counter, trap: dict[str, Any]) -> None:
    """Change an input file once: after its header was read, or when the first block of its rows was taken."""
    from catalogue import changes

    from syncer.source.files import InputFile

    blocks = InputFile.blocks
    passes = 0

    def changing(self: Any) -> Any:
        nonlocal passes
        passes += 1
        if passes == HEADER_PASSES + 1 and trap["after"] == "header":
            change()
        for number, block in enumerate(blocks(self)):
            if passes == HEADER_PASSES + 1 and number == 1 and trap["after"] == "block":
                change()
            yield block

    def change() -> None:
        counter.count()
        changes.CHANGES[trap["change"]](Path(trap["file"]))

    InputFile.blocks = changing  # type: ignore[method-assign]


def _drop_capabilities() -> None:
    """Give up root's right to pass by permissions, so that they hold for this process as for anybody."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(header, nothing) != 0:
        raise OSError("capabilities cannot be given up")
