"""The ledger's tables. Migrations must arrive at exactly this; a test compares the two.

    ledger                            one row: whose ledger this is, and where it stands in time
    jobs ─< runs ─< sources           who ran what, from which files
              └──< batches ─< attempts        what travelled together, and every call that was made for it
                      └────< items            which value, with which data, from which line   (append-only)
                                └─ outcomes   only of values that did not end as their batch did (append-only)
    payloads                          every distinct set of SCM data, once                    (append-only)
                                └─ item_origins   of merged items: which fields came from an older file and line
    spaces ─< jobs                    code spaces: the sets of key columns that select codes, whatever the job
         └──< mirror                  per space and key value: what Scantrust is known to hold, and since which batch
    pictures                          what a mirror holds where that is more than one known payload
    stamps, proofs                    what makes older knowledge uncertain; which fields a campaign was seen to take
    events                            every change of a batch's state, with its cause         (append-only)
    seals                             per run that ended: a hash over what it added, chained  (append-only)
    rejections                        per run the first rows that our rules refused           (append-only)
    archives                          files beside the ledger to which old history was moved (archives.py)
    works                             what every command did: nights with their steps, runs, pulls, uploads
    products, product_pulls           a copy of the company's products, and when it was read as a whole
    scan_pulls ─< scan_seen           how far each pull of scans has come, and which scans it has delivered
             └──< scans               the scans themselves, of pulls that go into the ledger

    uploads ─< upload_parts ─< upload_codes   own codes: files, what of them became one ingestion, every code
                         ├──< upload_errors   what the API said against codes                 (all append-only
                         └──< upload_events   every change of a part's state                   but the first two)

What always holds: a batch's items have consecutive ids from ``first_item_id``; ``mirror`` is written only in the
transaction that records what became of a batch; history is only ever added to (triggers refuse update and delete).
The mirror is not history: its pictures may be rewritten. Times are UTC text with milliseconds.

Items carry no foreign keys: they are written by the ten million, and `ledger check` proves the same afterwards; so it
does for the code spaces of jobs and batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from syncer.ledger.values import CallEnd
from syncer.lifecycle.batch import Bucket, Event, State
from syncer.lifecycle.part import PartEvent, PartState
from syncer.model import Kind, Mode, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA_REVISION = "0012"
"""The newest migration that this program knows (migrations/versions)."""

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER primary key is SQLite's rowid

_KINDS = (*Kind, "wish")
"""Kinds of batches: of a call, or values that wait for a later plan."""
_FILE_TYPES = ("csv", "json")


def _one_of(table: str, column: str, words: Iterable[str]) -> CheckConstraint:
    """Return the constraint that a column holds one of `words`, or nothing: what is an enum here is one there."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{table}_{column}_known")


ledger = Table(
    "ledger",
    metadata,
    Column("id", Text, primary_key=True, comment="random; stands in every reference"),
    Column("position", BigInteger, nullable=False, comment="grows when a run begins and when it ends"),
    Column("base_url", Text, comment="the target's address; null: not seen yet"),
    Column("company", Text, comment="JSON: the target's company; null: not seen yet"),
    Column("counts_same", Boolean, comment="answers count values that did not change"),
    Column("backup_at", Text, comment="this is a backup, made at that time"),
)

spaces = Table(
    "spaces",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False, comment="JSON list of the key columns, sorted"),
    UniqueConstraint("key", name="spaces_key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False, comment="JSON list of the key columns, sorted: as its space has it"),
    Column("fields", Text, nullable=False, comment="JSON list of every SCM field ever planned"),
    Column("reach", Text, nullable=False, comment="JSON: codes per key value, as far as it was learned"),
    Column("space_id", _Id, nullable=False, server_default="0"),
    UniqueConstraint("name", "key", name="jobs_name_key"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("planned", Boolean, nullable=False, server_default=false(), comment="its plan is stored"),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("exit_code", Integer),
    Column("error", Text, comment="what stopped it"),
    Column("mode", Text, nullable=False),
    Column("campaign", Integer),
    Column("unique_key", Boolean, nullable=False, comment="one key value selects exactly one code"),
    Column("rows", Text, nullable=False, comment="JSON: rows read, by bucket"),
    Column("minimum_updates", Integer, nullable=False),
    Column("discarded_fields", Text, nullable=False, comment="JSON list"),
    Column("program", Text, nullable=False, comment="version, host and process that ran it"),
    _one_of("runs", "state", RunState),
    _one_of("runs", "mode", Mode),
)

sources = Table(
    "sources",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("form", Text, nullable=False, comment="JSON: encoding, delimiter, quote, header, as read"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("fingerprint", Text, nullable=False, comment="hex; of the canonical form"),
    Column("data", Text, nullable=False, comment="canonical JSON"),
    UniqueConstraint("fingerprint", name="payloads_fingerprint"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("parent_id", _Id, ForeignKey("batches.id"), comment="the batch that was split into this one"),
    Column("kind", Text, nullable=False, comment="of the call; wish: values that wait for a later plan"),
    Column("state", Text, nullable=False),
    Column("split", Boolean, nullable=False, server_default=false(), comment="its values went on in other batches"),
    Column("payload_id", _Id, ForeignKey("payloads.id"), comment="async: the one set of data"),
    Column("varying", Integer, nullable=False, comment="position of the key column whose values vary"),
    Column("first_item_id", _Id, nullable=False),
    Column("size", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("task_id", Text),
    Column("codes_affected", Integer),
    Column("unmatched", Integer, nullable=False, server_default="0", comment="items with an outcome of their own"),
    Column("message", Text, comment="what the API said against it"),
    Column("changed_at", Text, nullable=False),
    Column("space_id", _Id, nullable=False, server_default="0"),
    Column("wanted", Boolean, nullable=False, server_default=false(), comment="failed; no newer plan has its values"),
    Column("campaign", Integer, comment="sent with async calls"),
    Column("unique_key", Boolean, nullable=False, server_default=false(), comment="one value selects exactly one code"),
    Column("settled", _Id, comment="the event of its end: the place of its values in the ledger's time"),
    _one_of("batches", "kind", _KINDS),
    _one_of("batches", "state", State),
    Index("batches_space_state", "space_id", "state"),
    Index("batches_run", "run_id"),
    Index("batches_wanted", "space_id", sqlite_where=text("wanted")),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("batch_id", _Id, ForeignKey("batches.id"), nullable=False),
    Column("reference", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("verdict", Text, comment="what became of the call; null: nobody knows yet"),
    Column("status_code", Integer),
    Column("message", Text),
    Column("lost_boot", Text, comment="the machine's boot during which the answer was lost"),
    Column("lost_uptime_s", Float, comment="seconds since that boot"),
    Column("account", Text, comment="whose token made the call; null: not known"),
    UniqueConstraint("reference", name="attempts_reference"),
    _one_of("attempts", "verdict", CallEnd),
    Index("attempts_batch", "batch_id"),
    Index("attempts_started_at", "started_at"),
    Index("attempts_lost", "id", sqlite_where=text("verdict = 'lost'")),
)

items = Table(
    "items",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("batch_id", _Id, nullable=False),
    Column("key", Text, nullable=False, comment="composite keys: values joined by U+001F"),
    Column("payload_id", _Id, nullable=False),
    Column("source_id", _Id, nullable=False),
    Column("line", Integer, nullable=False),
    Column("before_id", _Id, nullable=False, server_default="0", comment="the picture that was known before; 0: none"),
    Index("items_key", "key"),
)

item_origins = Table(
    "item_origins",
    metadata,
    Column("item_id", _Id, primary_key=True),
    Column("source_id", _Id, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("fields", Text, nullable=False, comment="JSON list: what was said there; the rest is the item's own"),
    sqlite_with_rowid=False,
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("item_id", _Id, primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("message", Text, nullable=False),
    _one_of("outcomes", "bucket", Bucket),
)

mirror = Table(
    "mirror",
    metadata,
    Column("space_id", _Id, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("picture", _Id, nullable=False, comment="> 0: exactly this payload is known; < 0: a row of pictures"),
    Column("batch_id", _Id, nullable=False, comment="the batch that was last confirmed for it"),
    sqlite_with_rowid=False,
)

pictures = Table(
    "pictures",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("known_payload_id", _Id, nullable=False, comment="the fields known with their values; 0: none"),
    Column("uncertain", Text, nullable=False, comment="JSON list of fields"),
    Column("refused", Text, nullable=False, comment="JSON list of fields that were sent and not taken"),
    Column("absent", Boolean, nullable=False, comment="no code had this value when it was last asked for"),
    Column(
        "counted", Text, nullable=False, comment="JSON list of known fields that no answer named; see mirror.picture"
    ),
    UniqueConstraint("known_payload_id", "uncertain", "refused", "absent", "counted", name="pictures_content"),
)

stamps = Table(
    "stamps",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("space_id", _Id, ForeignKey("spaces.id"), nullable=False),
    Column("field", Text, nullable=False, comment="empty: every field"),
    Column("scope", Text, nullable=False, comment="JSON: which values; empty: all"),
    Column("settled", _Id, nullable=False, comment="what was known at this event or before is uncertain"),
    Column("cause", Text, nullable=False),
    Index("stamps_space", "space_id"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("campaign", Integer, primary_key=True, autoincrement=False, comment="0: not known"),
    Column("field", Text, primary_key=True),
    Column("taken", Boolean, nullable=False),
    Column("at", Text, nullable=False),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Text, nullable=False),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False, comment="the run that saw it happen"),
    Column("batch_id", _Id, ForeignKey("batches.id"), nullable=False),
    Column("attempt_id", _Id, ForeignKey("attempts.id")),
    Column("event", Text, nullable=False),
    Column("old_state", Text, nullable=False),
    Column("new_state", Text, nullable=False),
    Column("detail", Text),
    _one_of("events", "event", Event),
    _one_of("events", "old_state", State),
    _one_of("events", "new_state", State),
    Index("events_batch", "batch_id"),
)

seals = Table(
    "seals",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False),
    Column("at", Text, nullable=False),
    Column("run", Text, nullable=False, comment="JSON: how the run ended"),
    Column("covers", Text, nullable=False, comment="JSON: per table ids, rows, and hashes of its blocks"),
    Column("previous", Text, nullable=False, comment="the digest of the seal before; zeros: there is none"),
    Column("digest", Text, nullable=False),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False),
    Column("file", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("rejections_run", "run_id"),
)

archives = Table(
    "archives",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("file", Text, nullable=False, comment="beside the ledger"),
    Column("made_at", Text, nullable=False),
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False, comment="the run at whose seal history was cut"),
    Column("seal", Text, nullable=False, comment="that seal's digest"),
    Column("items_to", _Id, nullable=False, comment="items up to here are read from the archive"),
    Column("events_to", _Id, nullable=False, comment="and events up to here"),
)

works = Table(
    "works",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("parent_id", _Id, ForeignKey("works.id"), comment="the night that it was a step of"),
    Column("kind", Text, nullable=False, comment="the command; of a night's step its name"),
    Column("subject", Text, nullable=False, server_default="", comment="the job that was asked for; empty: all"),
    Column("run_id", _Id, ForeignKey("runs.id"), comment="the run that it was; null: it came to none, or is none"),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("exit_code", Integer),
    Column("error", Text, comment="what stopped it"),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("born", Text, nullable=False, comment="when that process began; empty: the system does not say"),
    Column("counts", Text, nullable=False, server_default="{}", comment="JSON: its calls, by kind"),
    Index("works_kind", "kind", "id"),
)

products = Table(
    "products",
    metadata,
    Column("id", _Id, primary_key=True, comment="the API's id"),
    Column("sku", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("is_archived", Boolean, nullable=False),
    Column("campaign", Integer, comment="the campaign's id; NULL: the API names none"),
    Column("data", Text, nullable=False, comment="JSON: everything that the API says about it"),
    Column("seen_at", Text, nullable=False, comment="it was there at this time or later"),
    Index("products_sku", "sku"),
)

product_pulls = Table(
    "product_pulls",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("seen_at", Text, nullable=False, comment="seen_at of the products that it listed"),
    Column("ended_at", Text, nullable=False),
    Column("archived", Boolean, nullable=False, comment="archived products were read too"),
    Column("products", Integer, nullable=False),
    Column("rounds", Integer, nullable=False, comment="how often the list was read until it stood still"),
    Column("requests", Integer, nullable=False),
)

scan_pulls = Table(
    "scan_pulls",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("destination", Text, nullable=False, comment="absolute path of the folder, or 'ledger:' and the scope"),
    Column("scope", Text, nullable=False, comment="canonical JSON: campaign, filters, bounds, format"),
    Column("fields", Text, nullable=False, comment="JSON list: SCM fields in the order in which they were first seen"),
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("watermark_us", BigInteger, comment="the newest scan of all chains that ended"),
    Column("seen_from_us", BigInteger, comment="scan_seen is whole from here on; null: from the first scan"),
    Column("chain", Integer, nullable=False, comment="number of the chain of pages in progress, or of the last one"),
    Column("chain_query", Text, comment="query of the next page; null: no chain is in progress"),
    Column("chain_began_us", BigInteger),
    Column("chain_newest_us", BigInteger),
    Column("chain_shown", BigInteger, nullable=False, comment="different scans that the chain has shown"),
    Column("parts", Integer, nullable=False, comment="parts that are committed"),
    Column("scans", BigInteger, nullable=False, comment="scans delivered"),
    Column("repeated", BigInteger, nullable=False, comment="scans shown that were delivered already"),
    Column("too_late", BigInteger, nullable=False, comment="scans shown from before seen_from_us: not delivered"),
    UniqueConstraint("destination", name="scan_pulls_destination"),
)

scan_seen = Table(
    "scan_seen",
    metadata,
    Column("pull_id", _Id, ForeignKey("scan_pulls.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("chain", Integer, nullable=False, comment="the chain that delivered them"),
    Column("uuids", LargeBinary, nullable=False, comment="16 bytes each"),
    Column("times", LargeBinary, nullable=False, comment="microseconds since the epoch, 8 bytes each, little-endian"),
)

scans = Table(
    "scans",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("pull_id", _Id, ForeignKey("scan_pulls.id"), nullable=False),
    Column("uuid", LargeBinary, nullable=False),
    Column("campaign", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False, comment="microseconds since the Unix epoch"),
    Column("extended_id", Text),
    Column("serial_number", Text),
    Column("scm", Text, nullable=False, comment="JSON: the code's SCM data at the time of the scan"),
    Column("data", Text, nullable=False, comment="JSON: every other column, by its dotted name"),
    UniqueConstraint("uuid", name="scans_uuid"),
    Index("scans_campaign_at", "campaign", "at_us"),
    Index("scans_extended_id", "extended_id"),
)

# ── uploads of own codes (migration 0004) ────────────────────────────────────────────────────────────────────────────

uploads = Table(
    "uploads",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("created_at", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="of the file and everything that was asked for it"),
    Column("filetype", Text, nullable=False),
    Column("defaults", Text, nullable=False, comment="JSON: default SCM data"),
    Column("url_prefix", Text),
    Column("allow_duplicates", Boolean, nullable=False),
    Column("codes", Integer, nullable=False),
    Column("left_out", Text, nullable=False, comment="JSON: rows that are not among the codes, by reason"),
    Column("program", Text, nullable=False, comment="version, host and process that recorded it"),
    _one_of("uploads", "filetype", _FILE_TYPES),
    Index("uploads_fingerprint", "fingerprint"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("upload_id", _Id, ForeignKey("uploads.id"), nullable=False),
    Column("number", Integer, nullable=False, comment="from 1"),
    Column("state", Text, nullable=False),
    Column("codes", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("spool", Text, nullable=False, comment="name of its file in the folder beside the ledger"),
    Column("record_key", Text, comment="of the API's ingestion record"),
    Column("form", Text, comment="JSON: address and fields for storage, until used up"),
    Column("form_at", Text, comment="when the form was given"),
    Column("remote_status", Text),
    Column("message", Text, comment="what the API said against it"),
    Column("changed_at", Text, nullable=False),
    UniqueConstraint("upload_id", "number", name="upload_parts_number"),
    _one_of("upload_parts", "state", PartState),
    Index("upload_parts_state", "state"),
)

upload_codes = Table(
    "upload_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("part_id", _Id, primary_key=True),
    Column("line", Integer, nullable=False),
    Column("data", Text, nullable=False, comment="JSON: the row's other cells that are not empty"),
    sqlite_with_rowid=False,
)

upload_errors = Table(
    "upload_errors",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("part_id", _Id, ForeignKey("upload_parts.id"), nullable=False),
    Column("code", Text, nullable=False, comment="empty: about the part as a whole"),
    Column("name", Text, nullable=False, comment="the API's name of the error"),
    Column("message", Text, nullable=False),
    Index("upload_errors_part", "part_id", "code"),
)

upload_events = Table(
    "upload_events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Text, nullable=False),
    Column("part_id", _Id, ForeignKey("upload_parts.id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("old_state", Text, nullable=False),
    Column("new_state", Text, nullable=False),
    Column("detail", Text),
    _one_of("upload_events", "event", PartEvent),
    _one_of("upload_events", "old_state", PartState),
    _one_of("upload_events", "new_state", PartState),
    Index("upload_events_part", "part_id"),
)

APPEND_ONLY = (
    "payloads", "items", "item_origins", "outcomes", "events", "seals", "rejections",
    "upload_codes", "upload_errors", "upload_events",
)  # fmt: skip
"""Tables whose rows never change or go: triggers hold it, on every door to the database."""


def append_only_triggers() -> list[str]:
    """Return the SQLite statements that make history append-only."""
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: history is only ever added to'); END"
        for table in APPEND_ONLY
        for verb in ("update", "delete")
    ]
