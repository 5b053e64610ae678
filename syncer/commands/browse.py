"""``syncer browse``: a copy of the ledger in a browser, through Datasette; on this machine alone, to read alone.

What always holds: the copy is made when it begins and goes when it ends; only requests that name this machine's own
address are answered, so no page of others can ask for what is in it, whatever name it gives itself; and only those for
the path that is told once, to whoever began it: other accounts of this machine do not know it.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from syncer.commands.ledger import reading_ledger
from syncer.errors import ConfigError, SignalError, UsageError
from syncer.ledger import archives, check
from syncer.ledger.schema import metadata
from syncer.process.help import again_with
from syncer.safe.files import Folder

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.process.signals import Interrupt

HOST = "127.0.0.1"
QUERIES = {
    "failed_runs": (
        "Runs that stopped before their end, the newest first",
        "SELECT * FROM v_runs WHERE exit_code NOT IN (0, 3) OR exit_code IS NULL ORDER BY run DESC",
    ),
    "not_confirmed": (
        "Values that are not confirmed, the newest first",
        "SELECT * FROM v_changes WHERE outcome NOT IN ('confirmed', 'mismatched', 'superseded') ORDER BY change DESC",
    ),
    "history_of_a_key": (
        "All that was ever sent for one key",
        "SELECT * FROM v_changes WHERE key = :key ORDER BY change",
    ),
    "what_is_known_of_a_key": ("What Scantrust is known to hold for one key", "SELECT * FROM v_codes WHERE key = :key"),
    "open_batches": (
        "Batches that have not come to their end",
        "SELECT * FROM v_batches WHERE NOT split AND state IN ('planned', 'sending', 'submitted', 'in_doubt')",
    ),
}
"""What is asked most, with its title; each is one of the views of docs/ledger.md."""
ASGI = Callable[..., Any]
ICON = b"/favicon.ico"
"""What a browser asks for by itself."""


def browse(settings: Settings, interrupt: Interrupt, *, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve a copy of the ledger until the process is asked to stop; ``on_ready`` is told the address.

    Raises `SignalError` when it is asked before that. Nothing of the service is broken off by a signal: what it loads
    takes exceptions for its own, and would go on.
    """
    if find_spec("datasette") is None:
        raise ConfigError("browse needs the extra browse", next="pip install 'syncer[browse]'")
    interrupt.graceful = True
    import rich
    import uvicorn
    from datasette.app import Datasette

    class Server(uvicorn.Server):
        """A server that a hangup ends, too."""

        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or interrupt.signal_number is not None

    with reading_ledger(settings) as ledger:
        path = ledger.path
    with socket.socket() as listening, Folder.above(path) as folder, folder.temporary() as apart:
        try:
            listening.bind((HOST, port))
            listening.listen()  # who comes before the service is up waits for it
        except OSError as error:
            raise UsageError(
                f"port {port} of {HOST} is taken: {error.strerror}", next=again_with({"--port": "0"})
            ) from error
        own_path = f"/{secrets.token_urlsafe(16)}/"
        copy = apart.path / "ledger.db"
        check.backup(path, copy)
        archives.bring_together(copy, path)
        service = Datasette(
            [],
            immutables=[str(copy)],
            metadata={"title": f"A copy of {path.name}", "databases": {"ledger": _described(path.name)}},
            settings={"allow_download": False, "sql_time_limit_ms": 10_000, "base_url": own_path},
        )
        rich.reconfigure(quiet=True)  # for each statement that is wrong Datasette prints a trace with all its variables
        own = listening.getsockname()[1]
        app = _only_here(service.app(), [f"{HOST}:{own}", f"localhost:{own}"], own_path)
        interrupt.check("before the copy was shown")
        on_ready(f"http://{HOST}:{own}{own_path}ledger")
        with suppress(SignalError):  # to be stopped is how it ends: its one document is printed by now
            Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listening])


def _described(name: str) -> dict[str, Any]:
    """Return what Datasette is told of the copy: its canned queries; tables, which may change, are folded away."""
    return {
        "title": f"A copy of {name}",
        "description": "Queries and views stay as they are. The tables below them are the program's own.",
        "queries": {name: {"title": title, "sql": sql} for name, (title, sql) in QUERIES.items()},
        "tables": {table: {"hidden": True} for table in (*metadata.tables, "alembic_version")},
    }


def _only_here(app: ASGI, names: list[str], own_path: str) -> ASGI:
    """Return `app` for requests below a path that call this machine by one of its own names, from no other origin."""
    hosts = {name.encode() for name in names}
    origins = {b"http://" + host for host in hosts}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        is_here = headers.get(b"host") in hosts and headers.get(b"origin", next(iter(origins))) in origins
        path = scope["path"].encode()
        if is_here and (path == ICON or secrets.compare_digest(path[: len(own_path)], own_path.encode())):
            own = path if path == ICON else path[len(own_path) - 1 :]  # Datasette puts the rest before its links itself
            await app({**scope, "path": own.decode(), "raw_path": quote(own).encode()}, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send(
            {"type": "http.response.body", "body": b"only whoever began it may look, by the address that was told\n"}
        )

    return answer
