"""What the tests of scans share: a pull in this process, what it delivered, and deaths at any place."""

from __future__ import annotations

import csv
import json
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from syncer.commands import scans
from syncer.commands.environment import Environment
from syncer.config import load_settings
from syncer.request import ScansRequest

SCANS_END = "2026-01-01T00:00:00Z"


class DeathError(BaseException):
    """The process ends here: nothing after this place happens, as after SIGKILL."""


def settings_of(here, **extra):
    return load_settings(explicit=None, environ=here.variables(**extra), cwd=here.folder)


def pull(here, *, out="out", form="jsonl", campaign=1, extra=None, environment=None, **request):
    """ScanPull in this process, into a folder of the night."""
    settings = settings_of(here, **{"SYNCER_LEDGER__URL": f"sqlite:///{here.folder}/syncer.db", **(extra or {})})
    asked = ScansRequest(
        campaign=campaign, form=form, out=None if request.get("into_ledger") else here.folder / out, **request
    )
    return scans.pull(settings, asked, environment or Environment())


def raw(here, out, campaign=1):
    """The API's own CSV, into a file of the night."""
    settings = settings_of(here, SYNCER_LEDGER__URL=f"sqlite:///{here.folder}/syncer.db")
    return scans.raw_csv(settings, ScansRequest(campaign=campaign, raw_csv=True, out=here.folder / out), Environment())


def delivered(folder: Path) -> list[dict[str, object]]:
    """Every scan of a folder, in the order of the parts; texts only, without what is not set."""
    rows: list[dict[str, object]] = []
    for path in sorted([*folder.glob("part-*"), *folder.glob("date=*/part-*")], key=lambda path: path.name):
        if path.suffix == ".jsonl":
            rows += [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows += [dict(row) for row in csv.DictReader(file)]
        elif path.suffix == ".parquet":
            rows += pq.ParquetFile(path).read().to_pylist()
        else:
            raise AssertionError(f"{path} has no business here")
    return rows


def uuids(folder: Path) -> list[str]:
    return [str(row["scan.uuid"]) for row in delivered(folder)]


def stored(here, name="syncer.db") -> list[dict[str, object]]:
    """Every scan of the ledger's tables."""
    with closing(sqlite3.connect(here.folder / name)) as database:
        rows = database.execute("SELECT uuid, extended_id, serial_number, scm, data FROM scans ORDER BY id").fetchall()
    return [
        {
            "scan.uuid": str(uuid.UUID(bytes=raw)),
            "code.extended_id": extended_id,
            "code.serial_number": serial_number,
            **json.loads(data),
            **{f"scm.{name}": value for name, value in json.loads(scm).items()},
        }
        for raw, extended_id, serial_number, scm, data in rows
    ]


def everything(here, campaign=1) -> list[str]:
    """The uuid of every scan of the sandbox."""
    from syncer.sandbox.scans import Filters

    return [key[1] for key, _ in here.box.scans.newest_first(Filters(campaign), None)]
