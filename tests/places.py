"""A folder with a configuration and a ledger, in which commands are called without a process of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import FAST, TOKEN, write_csv

from syncer.commands import planning, runs
from syncer.commands.environment import Environment
from syncer.config import load_settings
from syncer.errors import SyncerError
from syncer.report.document import failure_document, sync_document
from syncer.request import SyncRequest

HEADER = ("extended_id", "intended_market")


@dataclass
class Place:
    """A machine's folder. Commands are those of the program, in this process; `url` is where the API is."""

    folder: Path
    url: str
    token: str = TOKEN
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.toml").touch(mode=0o600)

    @property
    def ledger(self) -> Path:
        return self.folder / "syncer.db"

    def settings(self) -> Any:
        environ = {**FAST, "SYNCER_API__BASE_URL": self.url, "SYNCER_API__TOKEN": self.token, **self.extra}
        return load_settings(explicit=self.folder / "config.toml", environ=environ, cwd=Path("/"))

    def export(self, cells: dict[str, str], name: str = "night.csv") -> str:
        return str(write_csv(self.folder / name, HEADER, list(cells.items())))

    def run(self, command: str, *files: str, **options: Any) -> dict[str, Any]:
        """Call plan, sync or resume; return its document."""
        try:
            request = SyncRequest(files=files, **options)
            return sync_document(
                getattr(planning if command == "plan" else runs, command)(self.settings(), request, Environment())
            )
        except SyncerError as error:
            return failure_document(command, error)

    def sync(self, cells: dict[str, str], **options: Any) -> dict[str, Any]:
        return self.run("sync", self.export(cells), **options)


def held_by(box: Any) -> dict[str, str]:
    """What the server holds: market by code."""
    return {code["extended_id"]: code.get("intended_market", "") for code in box.codes()}
