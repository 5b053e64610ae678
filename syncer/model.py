"""The values that cross folders. Frozen; columns where there are many rows; nothing here reads, writes or waits.

The way of the data: `Chunk` (source → validate) → `ValidChunk` (validate → plan) → `Plan` (plan → ledger, report).
What the ledger knows comes the other way, as `KnownBlock` and `WantedBlock` (ledger → plan).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from syncer.safe.formulas import EXTRA_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from syncer.rejections import Rejection, Rejections

KEY_SEPARATOR = "\x1f"
"""Joins the values of a composite key into one text; unambiguous: key cells have no control characters."""

UNIQUE_KEYS = frozenset({"extended_id", "serial_number"})
"""Keys of which one value selects exactly one code (docs/api.md, "SCM upload, async")."""

FORBIDDEN_DATA = {
    "message": "use extended_id as the key column instead",
    "product_id": "use product instead",
    "status": "use activation_status instead",
    "campaign": "set jobs.<name>.campaign instead",
    "campaign_id": "set jobs.<name>.campaign instead",
}
"""Names that SCM data may not have, and what to use instead (docs/api.md, "SCM upload, async")."""

FORBIDDEN_KEYS = {
    "message": "use extended_id instead",
    "product": "the API selects no codes by product",
    "product_id": "the API selects no codes by product",
    "campaign": "set jobs.<name>.campaign instead",
    "campaign_id": "set jobs.<name>.campaign instead",
}
"""Names that select no codes, and what to use instead (docs/api.md, "SCM upload, async")."""

SPECIAL_FIELDS = frozenset({"product", "activation_status", "blacklist_reason"})
"""Fields that no campaign defines: every code has them (docs/api.md, "Special SCM fields")."""


PRINTED_SEPARATOR = " + "
"""What stands between the parts of a composite key for people."""


def shown_key(key: str) -> str:
    """Write a key for people: the parts of a composite key joined by ``" + "``."""
    return key.replace(KEY_SEPARATOR, PRINTED_SEPARATOR)


@dataclass(frozen=True, slots=True)
class Company:
    """A company as an answer of the API names it; None: the answer leaves that out."""

    id: str | None = None
    uuid: str | None = None
    name: str | None = None

    def is_same(self, other: Company) -> bool | None:
        """Compare by the first member that both have; None when they have none in common."""
        pairs = ((self.id, other.id), (self.uuid, other.uuid), (self.name, other.name))
        return next((one == two for one, two in pairs if one is not None and two is not None), None)

    def with_others(self, other: Company) -> Company:
        """Return the same company with the members that only `other` has."""
        return Company(self.id or other.id, self.uuid or other.uuid, self.name or other.name)

    def __str__(self) -> str:
        """Write it for people: its name with its id, or what there is."""
        return f"{self.name} ({self.id})" if self.name and self.id else self.name or self.id or self.uuid or "unnamed"


@dataclass(frozen=True, slots=True)
class Target:
    """One company on one API. ``base_url`` in its normal form; ``company`` None: the API has not named it yet."""

    base_url: str
    company: Company | None = None

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.company} at {self.base_url}" if self.company else self.base_url


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written: found by detection or declared in ``jobs.<name>.csv``."""

    encoding: str
    """Python's name of the encoding, ``utf-8``, ``utf-16-le`` …; a BOM is not part of the text."""
    delimiter: str
    quote: str
    """The quote character; empty when cells are never quoted."""
    escape: str = ""
    """What makes a quote inside a quoted cell part of it; empty when it is doubled."""
    confidence: float = 1.0
    """How sure the form is, from 0 to 1: 1 when it was declared, else what the first rows say."""
    newline: str = ""
    """How lines end; empty: in any way."""
    widths: tuple[int, ...] = ()
    """Of columns in characters, where there is no delimiter."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of one input file once it was read to its end."""

    name: str
    """As given on the command line; ``-`` for standard input."""
    sha256: str
    """Of the file's bytes as they lie on disk (compressed, if they are), in hex."""
    size_bytes: int
    rows: int
    dialect: Dialect
    header: tuple[str, ...]
    mtime_s: float | None = None
    """When the file was last written, in seconds since 1970; None of a pipe or a query."""
    varied: tuple[str, ...] | None = None
    """The fields that had several values in the files of the run; None when nobody looked."""
    approved: bool = False
    """Whether the run went on although a guard would have stopped it."""

    @property
    def is_correction(self) -> bool:
        """Whether it has the columns of the results folder: rows that were mended, never an export."""
        return set(EXTRA_COLUMNS) <= set(self.header)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one file as columns of text: the seam between source and validate.

    ``columns`` has one Arrow ``string`` column without nulls per header name, in the header's order; an empty cell is
    ``""``. ``lines[i]`` is the physical line on which row *i* starts. ``rejections`` are rows that the reader could
    not take (another width, a stray quote); they are not in ``columns``. ``days`` tells, by column, which cells were
    dates in the source and not text: those are written ``YYYY-MM-DD``, whatever formats a job declares for its texts.
    """

    source: int
    columns: pa.RecordBatch
    lines: npt.NDArray[np.int64]
    rejections: tuple[Rejection, ...] = ()
    days: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What the steps of a field made of the cells of a chunk, as columns.

    In ``rows[i]`` rows the cells ``before[i]`` (of a template: joined) became ``after[i]``, which may be the same; 0
    where that is a fault.
    """

    field: str
    before: pa.Array
    after: pa.Array
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ValidChunk:
    """The valid rows of a `Chunk`, normalised: the seam between validate and plan.

    ``keys`` has one Arrow ``string`` array per key column; ``fields`` one Arrow ``dictionary<int32, string>`` array
    per SCM field, in the order of `Validator.fields`; null means that the field is left alone in this row, ``""`` that
    it is cleared. ``lines`` holds the valid rows' lines. ``rows`` counts all rows of the chunk, rejected ones too.
    """

    source: int
    rows: int
    keys: tuple[pa.Array, ...]
    fields: tuple[pa.DictionaryArray, ...]
    lines: npt.NDArray[np.int64]
    rejections: Rejections
    changes: tuple[Change, ...] = ()
    """Of the fields that have steps, in rejected rows too."""


class Kind(StrEnum):
    """The two kinds of update call."""

    SYNC = "sync"
    ASYNC = "async"


class Mode(StrEnum):
    """Which kinds of call a plan may use."""

    AUTO = "auto"
    SYNC = "sync"
    ASYNC = "async"


class RunState(StrEnum):
    """How a run stands: one that stopped can be resumed."""

    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class KnownBlock:
    """The mirror of some keys: ``pictures[i]`` is the number of what is known of ``keys[i]`` (`Knowledge.pictures`).

    A number above zero is the ledger's id of the payload that is known, and nothing else is. ``of_all``: the blocks
    give all keys of the space, and not only those of the files.
    """

    keys: pa.LargeStringArray
    pictures: npt.NDArray[np.int64]
    of_all: bool = False


@dataclass(frozen=True, slots=True)
class Errand:
    """For whom values travel: the job, the campaign that goes with async calls, whether one value is one code."""

    job_id: int
    campaign: int | None
    unique: bool


@dataclass(frozen=True, slots=True)
class WantedBlock:
    """Values that earlier plans want and that are not known to be held.

    Their data as the ledger's payload ids (a negative one stands for a part of a payload), where they came from, and
    whose errand they are.
    """

    keys: pa.LargeStringArray
    payload_ids: npt.NDArray[np.int64]
    source_ids: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    errand: Errand


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The bucket of every row read: ``read`` is the sum of all others."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicate: int = 0
    invalid: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class PastRun:
    """A completed run of a job, as far as the guards compare a night with it."""

    id: int
    started_at: str
    rows: RowCounts
    mtime_s: float | None
    """When the newest of its files was written; None when that was not recorded."""
    files: Mapping[str, str]
    """The content (SHA-256) of its files that have rows, with their names."""
    varied: frozenset[str] | None
    """The fields that had several values; None when that was not recorded."""
    approved: bool = False
    """Whether a guard would have stopped it: then it says nothing of what is usual."""


@dataclass(frozen=True, slots=True)
class Items:
    """The values of a plan as columns.

    The key of item *i* is ``texts[rows[i]]``: keys are not copied, since there may be ten million. ``source[i]`` is the
    position of the file that named the value, or minus the ledger's id of the source for a value that an earlier run
    left unsent. ``before[i]`` is the number of the picture against which the data is a delta; 0: nothing was known.
    """

    texts: pa.LargeStringArray
    rows: npt.NDArray[np.int32]
    payload: npt.NDArray[np.int32]
    source: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    before: npt.NDArray[np.int32] | npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.payload)

    def keys(self, begin: int, end: int) -> list[str]:
        """Return the keys of items `begin` to `end`."""
        from syncer.arrow import numbers

        return [str(key) for key in self.texts.take(numbers(self.rows[begin:end])).to_pylist()]

    def taken(self, places: npt.NDArray[np.int64] | npt.NDArray[np.int32] | Sequence[int]) -> Items:
        """Return the items at some places, in this order."""
        import numpy as np

        from syncer.arrow import at_places

        chosen = places if isinstance(places, np.ndarray) else np.asarray(places, np.int64)
        line, payload = self.line[chosen], self.payload[chosen]
        source, before = at_places(self.source, chosen), at_places(self.before, chosen)
        return Items(self.texts, self.rows[chosen], payload, source, line, before)


@dataclass(frozen=True, slots=True)
class Origins:
    """Which fields of merged items came from older files, as columns: each with its own file and line (all ledger ids).

    ``row[n]`` is the key's place in ``Items.texts``; ``fields[n]`` numbers ``names``, which are lists of fields.
    """

    row: npt.NDArray[np.int64]
    source_id: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    fields: npt.NDArray[np.int64]
    names: Sequence[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Batches:
    """A partition of items 0…n-1 into calls, as columns with one entry per batch.

    ``order`` lists the items batch after batch; batch *b* has the next ``sizes[b]`` of them. ``is_async[b]`` is its
    kind; ``payload[b]`` its one payload, -1 for sync; ``varying[b]`` the key column whose values vary in it.
    """

    order: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    is_async: npt.NDArray[np.bool_]
    payload: npt.NDArray[np.int64]
    varying: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is going to do: ``items`` lie batch after batch, as ``batches.sizes`` cuts them.

    ``payloads[n]`` is the canonical JSON of payload *n*. ``rejections`` are in the order of the files and lines.
    ``known_keys`` counts keys that the mirror has, and not as absent; ``overwritten`` those of them whose known value
    of some field gives way to another. ``wishes`` are the whole wanted data of held values: they wait for a later plan.
    ``untaken`` is what is wanted and left out of ``items``, since the API did not take it when it was last sent.
    ``errand_of[b]`` numbers ``errands``, of which the first is the run's own (None: no run has this plan). ``changes``
    counts, per field, the values that change in it; ``minimum_updates`` is the least number of calls that can carry the
    items.
    """

    key: tuple[str, ...]
    fields: tuple[str, ...]
    mode: Mode
    rows: RowCounts
    payloads: Sequence[str]
    items: Items
    batches: Batches
    rejections: Rejections
    known_keys: int
    wishes: Items
    untaken: Items
    origins: Origins
    errands: tuple[Errand | None, ...]
    errand_of: npt.NDArray[np.int64]
    changes: Mapping[str, int]
    overwritten: int
    minimum_updates: int

    @property
    def sync_calls(self) -> int:
        """Sync update calls that the plan needs."""
        return int((~self.batches.is_async).sum())

    @property
    def async_calls(self) -> int:
        """Async update calls that the plan needs."""
        return int(self.batches.is_async.sum())
