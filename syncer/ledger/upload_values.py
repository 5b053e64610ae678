"""What the ledger hands out, and takes, about uploads of own codes: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncer.lifecycle.part import FINAL, PartState


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An upload to be recorded. ``left_out`` counts the file's rows that are not among its codes, by reason."""

    file: str
    sha256: str
    size_bytes: int
    fingerprint: str
    filetype: str
    defaults: Mapping[str, object]
    url_prefix: str | None
    allow_duplicates: bool
    left_out: Mapping[str, int]
    program: str


@dataclass(frozen=True, slots=True)
class NewPart:
    """A part of an upload to be recorded; its file lies in the spool already."""

    codes: int
    size_bytes: int
    sha256: str
    spool: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part, as it stands. ``form`` is JSON: where and how its file goes to storage; None when there is none."""

    id: int
    upload_id: int
    number: int
    state: PartState
    codes: int
    size_bytes: int
    sha256: str
    spool: str
    record_key: str | None
    form: str | None
    form_at: str | None
    remote_status: str | None
    message: str | None
    changed_at: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload with its parts, as they stand."""

    id: int
    created_at: str
    file: str
    sha256: str
    size_bytes: int
    fingerprint: str
    filetype: str
    defaults: Mapping[str, object]
    url_prefix: str | None
    allow_duplicates: bool
    codes: int
    left_out: Mapping[str, int]
    program: str
    parts: tuple[Part, ...]

    @property
    def open(self) -> bool:
        """Whether a part of it has not come to its end."""
        return any(part.state not in FINAL for part in self.parts)

    @property
    def state(self) -> str:
        """``complete`` when all codes were created, ``open`` while something is to be done, else ``failed``."""
        if self.open:
            return "open"
        whole = all(part.state is PartState.COMPLETE for part in self.parts)
        return "complete" if whole else "failed"


@dataclass(frozen=True, slots=True)
class CodeError:
    """What the API said against one code of an upload, or against a part (code is empty, line is 0)."""

    part: int
    code: str
    line: int
    name: str
    message: str
    data: str


@dataclass(frozen=True, slots=True)
class CodeUpload:
    """One upload of one own code: a line of the audit."""

    code: str
    upload_id: int
    part: int
    file: str
    sha256: str
    line: int
    data: str
    defaults: str
    record_key: str | None
    recorded_at: str
    state: str
    changed_at: str
    message: str | None
