"""What a file of own codes may hold. Pure.

Source of facts: "Own codes (ingestion)" of docs/api.md. That the names which SCM uploads refuse are refused here
too is a decision: the API documents the list for those alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

ID_PATTERN = "^[A-Za-z0-9_-]{8,}$"
PART_BYTES_MAX = 100_000_000
"""Of one uploaded file: 100 MB [P], read as the smaller of its two meanings."""
FILE_TYPES = {"csv": "text/csv", "json": "application/json"}
CODES: Mapping[str, tuple[str, str]] = {
    "E601": ("an id is missing, too short, or has other characters", "8 or more of a-z A-Z 0-9 - _"),
    "E602": ("an id stands in the file more than once", "keep one of the lines, or --allow-duplicates"),
    "E603": ("an id is in an earlier upload already", "leave the line out; syncer audit show ID tells which upload"),
    "E604": ("activation_status is not 0, 1 or 2", "0 inactive, 1 active, 2 blacklisted"),
    "E605": ("a product is not among those of the ledger", "create it, or correct the SKU; then: syncer products pull"),
    "E606": ("a value is not a text or a whole number (JSON)", "write it as a text"),
    "E650": ("the API found an error in this code", "see its message; correct the line and upload it again"),
}
"""Stable codes of rejected rows: what is wrong, and what to do. docs/codes.md has the same table."""


def fingerprint(sha256: str, defaults: Mapping[str, object], url_prefix: str | None, *, allow_duplicates: bool) -> str:
    """Return what stands for a file and all that is asked for it: by this the same command is known again."""
    asked = [sha256, dict(defaults), url_prefix, allow_duplicates]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
