"""What the emulator knows: its codes, products, scans and uploads, its limits and faults, its clock, its log.

What always holds: whoever reads or changes it from a thread of a host holds ``lock``. It listens nowhere itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from syncer.sandbox.config import ALL_PERMISSIONS, SandboxConfig
from syncer.sandbox.faults import Faults
from syncer.sandbox.ingestion import Ingestion
from syncer.sandbox.limits import Throttle
from syncer.sandbox.products import COMPANY, Catalogue
from syncer.sandbox.scans import PRODUCTS, Scans, microseconds
from syncer.sandbox.scm import iso_from
from syncer.sandbox.way import parse_way
from syncer.sandbox.world import Sample, World, read_codes

LOG_REQUESTS_MAX = 200_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that came in; the token is shown as a short hash only."""

    order: int
    at_s: float
    method: str
    path: str
    call: str
    status_code: int | None
    fault: str | None
    token: str


class SandboxState:
    """All that answers depend on. ``url`` and ``storage_url`` are where its hosts listen; empty while none does."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self.lock = threading.RLock()
        self._epoch_s = time.time()
        self._start_s = time.monotonic()
        self.iso = iso_from(self._epoch_s)
        self.requests: deque[Logged] = deque(maxlen=LOG_REQUESTS_MAX)
        self.stopping = threading.Event()
        self.url = self.storage_url = ""
        self.reset()

    def reset(self) -> None:
        """Go back to the first state: codes as configured, no tasks, no log."""
        config = self.config
        if config.codes is not None:
            codes: Any = config.codes
        elif config.codes_file is not None:
            codes = read_codes(Path(config.codes_file))
        else:
            codes = Sample().rows
        codes = list(codes)
        scanned = [{"id": number, "sku": sku, "name": name} for number, sku, name in PRODUCTS if config.scans]
        self.catalogue = Catalogue(config.products, codes, scanned)
        self.world = World(
            codes,
            campaigns=config.campaigns,
            products=self.catalogue.known,
            changes_only=config.changes_only,
            seed=config.seed,
        )
        self.faults = Faults(config.faults, config.seed)
        self.updates = Throttle(config.updates_per_second, 1.0)
        self.reads = Throttle(config.reads_per_minute, 60.0)
        self.random = Random(config.seed)  # noqa: S311  jitter, to be repeated by its seed
        self.way = parse_way(config.way)
        today_us = int(self._epoch_s // DAY_S * DAY_S * 1e6)
        end_us = today_us if config.scans_end is None else microseconds(config.scans_end)
        self.scans = Scans(
            config.scans,
            campaign=config.scans_campaign,
            begin_us=end_us - int(config.scans_days * DAY_S * 1e6),
            end_us=end_us,
            seed=config.seed,
        )
        self.ingestion = Ingestion(config, self.world, self.random)
        self.requests.clear()

    def now_s(self) -> float:
        """Return the seconds since this sandbox began."""
        return time.monotonic() - self._start_s

    def wall_us(self, at_s: float) -> int:
        """Return a time of this sandbox as microseconds since the Unix epoch."""
        return int((self._epoch_s + at_s) * 1e6)

    def scan(self, **scan: Any) -> str:
        """Let a scan happen; return its uuid. With ``extended_id``, it sees that code's data as they are now."""
        with self.lock:
            now_s = self.now_s()
            self.world.advance(now_s)
            return self.scans.arrive(self._seen(scan), now_us=self.wall_us(now_s))

    def _seen(self, scan: dict[str, Any]) -> dict[str, Any]:
        if "extended_id" not in scan:
            return scan
        scan = dict(scan)
        (number,) = self.world.select({"extended_id": [str(scan.pop("extended_id"))]})
        code = self.world.codes[number]
        own = {"extended_id", "serial_number", "product", "activation_status", "blacklist_reason"}
        return {
            "code_message": code.fields["extended_id"],
            "serial_number": code.fields.get("serial_number", ""),
            "product_sku": code.fields.get("product"),
            "activation_status": int(code.fields["activation_status"]),
            "campaign": code.campaign,
            "scm_data": {name: value for name, value in code.fields.items() if name not in own},
            **scan,
        }

    def codes(self) -> list[dict[str, str]]:
        """Return every code with all its fields, as they are now."""
        with self.lock:
            self.world.advance(self.now_s())
            self.ingestion.advance(self.now_s())
            return self.world.state()

    def code(self, extended_id: str) -> dict[str, str]:
        """Return one code by its extended id."""
        with self.lock:
            self.world.advance(self.now_s())
            (number,) = self.world.select({"extended_id": [extended_id]})
            return dict(self.world.codes[number].fields)

    def calls(self, call: str) -> list[Logged]:
        """Return the logged requests of one kind, by the name of its route (sync, async, tasks, task, me)."""
        return [logged for logged in self.requests if logged.call == call]

    def access(self, authorization: str | None, needed: frozenset[str]) -> tuple[int, dict[str, str]] | None:
        """Return the refusal of a request without a token or what it needs to be permitted; None when it may pass."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme != "UAT" or not token:
            return 401, {"detail": "Authentication credentials were not provided."}
        if self.config.tokens is None:
            return None
        permissions = self.config.tokens.get(token)
        if permissions is None:
            return 401, {"detail": "Invalid token."}
        if not needed <= permissions:
            return 403, {"detail": "You do not have permission to perform this action."}
        return None

    def company(self, authorization: str | None) -> Mapping[str, Any]:
        """Return the company of a token."""
        token = (authorization or "").partition(" ")[2]
        return (self.config.companies or {}).get(token, COMPANY)

    def permissions(self, authorization: str | None) -> frozenset[str]:
        """Return what a token may do."""
        token = (authorization or "").partition(" ")[2]
        return ALL_PERMISSIONS if self.config.tokens is None else self.config.tokens.get(token, frozenset())
