"""How a sandbox behaves. Every value has a faithful default; tests and people change what they need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

ALL_PERMISSIONS = frozenset(
    {
        "codes_view", "scm_bulk_edit", "scm_code_edit", "product_view",
        "ingestion_view", "ingestion_cancel", "ingestion_code_create",
        "workorder_view", "workorder_download", "workorder_sid_download", "scans_download",
    }
)  # fmt: skip
"""What SCM uploads, uploads of own codes, work orders and scans need (docs/api.md, "Permissions")."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox."""

    port: int = 0
    """0: any free port."""
    codes_file: str | None = None
    """CSV of codes; None: a small built-in sample."""
    codes: tuple[Mapping[str, str], ...] | None = None
    """Codes given directly; wins over ``codes_file``."""
    campaigns: Mapping[int, frozenset[str]] | None = None
    """SCM fields of each campaign; None: one campaign, 1, which accepts every field."""
    products: Collection[str | Mapping[str, Any]] | None = None
    """Known products, oldest first: SKUs, or mappings of any members, ``sku`` among them. None: every SKU is known."""
    tokens: Mapping[str, frozenset[str]] | None = None
    """Token → permissions; None: every token is accepted, with all permissions."""
    companies: Mapping[str, Mapping[str, Any]] | None = None
    """Token → company, as answers name it; of other tokens, and with None: one company for all."""
    me_names_company: bool = True
    """Whether ``/api/v2/me/`` has a member ``company`` [D]."""
    sync_keys: Collection[str] | None = ("extended_id", "serial_number")
    """The data keys that sync uploads take [S:004]; None: any SCM key too, as the help centre has it [P]."""
    changes_only: bool = False
    """Whether answers count and name only what a call changed [D]: not what it found so already."""
    updates_per_second: int = 10
    reads_per_minute: int = 3000
    latency_s: float = 0.0
    """Pause between processing a request and its answer."""
    jitter_s: float = 0.0
    """Up to this much more latency, by the seed."""
    way: str = "0"
    """How long requests and answers are on their way, each, in milliseconds: see `syncer.sandbox.way`."""
    task_start_s: float = 0.0
    task_run_s: float = 0.05
    page_size: int = 20
    products_page_max: int = 100
    """Products of a page at most, whatever ``limit`` says [D]: the API's own bound is not documented."""
    unlist_single_values: bool = True
    """Whether a task's details show a single constraint value as a bare string, as in the seed's example."""
    scans: int = 0
    """How many made-up scans there are."""
    scans_campaign: int = 1
    scans_end: str | None = None
    """When the newest made-up scan was; None: when the present day began."""
    scans_days: float = 365.0
    """How far back they lie."""
    storage_port: int = 0
    """Of the second host, which takes files; 0: any free port."""
    storage_valid_s: float = 1800.0
    """How long the data of a storage form is valid [P]."""
    storage_bytes_max: int = 100_000_000
    ingestion_run_s: float = 0.05
    """How long the processing of a file of own codes, or the making of a document, takes."""
    record_as_list: bool = False
    """Whether one record comes as a list of one, as the seed's example has it."""
    faults: tuple[Mapping[str, object], ...] = field(default=())
    seed: int = 0
