"""How a sandbox behaves. Every value has a faithful default; tests and people change what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_PERMISSIONS = frozenset(
    {
        "codes_view", "scm_bulk_edit", "scm_code_edit", "product_view",
        "ingestion_view", "ingestion_cancel", "ingestion_code_create",
        "workorder_view", "workorder_download", "workorder_sid_download",
    }
)  # fmt: skip
"""What SCM uploads, uploads of own codes and work orders need (scantrust-api.md, "Permissions")."""


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
    products: frozenset[str] | None = None
    """Known SKUs; None: every SKU is accepted."""
    tokens: Mapping[str, frozenset[str]] | None = None
    """Token → permissions; None: every token is accepted, with all permissions."""
    updates_per_second: int = 10
    reads_per_minute: int = 3000
    latency_s: float = 0.0
    """Pause between processing a request and its answer."""
    jitter_s: float = 0.0
    """Up to this much more latency, by the seed."""
    task_start_s: float = 0.0
    task_run_s: float = 0.05
    page_size: int = 20
    unlist_single_values: bool = True
    """Whether a task's details show a single constraint value as a bare string, as in the seed's example."""
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
