"""The settings: what may be configured, and what each value must be.

One description drives everything: the fields of the dataclasses below carry type, default, meaning, example and when to
change it. From them come the checks, the environment names, and by `make docs` `config.example.toml` and the table in
docs/configuration.md (`describing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from syncer.config import checks
from syncer.config.checks import setting
from syncer.config.job_settings import JobSettings
from syncer.config.steps import parse_steps
from syncer.errors import ConfigError
from syncer.request import Step
from syncer.safe.masking import TOKEN_VARIABLE, Secret

ENVIRONMENT_PREFIX = "SYNCER_"
CREDENTIAL_NAME = "scantrust-token"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How to reach the API, and how hard to press it."""

    base_url: str = setting(
        checks.base_url,
        "https://api.scantrust.com",
        "the API's address; http for loopback alone",
        when="you try the program against the sandbox, or your API stands elsewhere",
    )
    token_file: str | None = setting(
        checks.text,
        None,
        "a file with the token, readable by its owner alone; relative to the configuration file",
        example='"token"',
        when="no environment variable can carry the token, as in cron",
    )
    token_command: tuple[str, ...] | None = setting(
        checks.command,
        None,
        "a program, and its arguments, that prints the token (of a vault); run without a shell",
        example='["vault", "read", "-field=token", "secret/scantrust"]',
        when="the token lies in a vault",
    )
    ca_file: str | None = setting(
        checks.text,
        None,
        "certificates (PEM) of the only authority to be trusted, in place of the public ones; relative like token_file",
        example='"company-ca.pem"',
        when="your network answers with certificates of its own",
    )
    timeout_s: float = setting(
        checks.positive_seconds,
        60,
        "for one whole answer, not only between bytes",
        when="answers need longer than this, or a hanging network shall be noticed sooner",
    )
    updates_per_second: float = setting(
        partial(checks.number, least=0.01, most=1000),
        10,
        "the API's limit for SCM updates",
        when="Scantrust gave you another limit, or other programs need a share of it",
    )
    reads_per_minute: float = setting(
        partial(checks.number, least=1, most=100_000),
        3000,
        "the API's limit for all else",
        when="Scantrust gave you another limit, or other programs need a share of it",
    )
    concurrency: int = setting(
        partial(checks.number, least=1, most=64, whole=True),
        8,
        "requests in flight at most",
        when="the network is slow and the rate is not reached (more), or a proxy allows few connections (less)",
    )
    give_up_after_s: float = setting(
        checks.positive_seconds,
        900,
        "how long the API may fail without one success before the run stops (exit 5)",
        when="the API's maintenance takes longer, or an alarm shall come sooner",
    )
    settle_s: float = setting(
        checks.seconds,
        30,
        "how long after a lost answer a task may still appear",
        when="a request can be under way for longer, or the list of tasks lags behind further",
    )
    poll_s: float = setting(
        checks.positive_seconds, 2, "pause between looks at pending tasks", when="tasks take minutes and fewer looks do"
    )
    task_timeout_s: float = setting(
        checks.seconds,
        3600,
        "how long to wait for a task before it is left pending for the next run",
        when="tasks of your size need longer",
    )
    token: Secret | None = None
    """From the environment, the token file or systemd's credentials; never from the configuration file."""

    def require_token(self) -> Secret:
        """Return the token; raise `ConfigError` naming the three places when there is none."""
        if self.token is None:
            raise ConfigError(
                f"there is no API token: set {TOKEN_VARIABLE}, or api.token_file, or give systemd a credential "
                f"named {CREDENTIAL_NAME}, or set api.token_command",
                remedy=f"set {TOKEN_VARIABLE} in the environment, or name a file: api.token_file",
                next="syncer check",
            )
        return self.token


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where everything is recorded."""

    url: str = setting(
        checks.ledger_url,
        "sqlite:///syncer.db",
        "an SQLAlchemy URL of an SQLite file; relative to the configuration file, without one to the current folder",
        when="the ledger shall lie on another disk, or several configurations have one each",
    )
    lock_wait_s: float = setting(
        partial(checks.number, least=0, most=10**6),
        0,
        "how long to wait while another run holds the ledger (then exit 11)",
        when="runs overlap and the second one shall wait for the first",
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Guards: what is far from usual stops the run (exit 4) until `--approve`."""

    max_changed_percent: float = setting(
        checks.percent,
        50,
        "stop before sending when more of the known codes changed; 0 turns it off",
        when="your nights change more than this, or much less",
    )
    max_changed_min_codes: int = setting(
        partial(checks.number, least=1, most=10**9, whole=True),
        20,
        "codes (known ones, or rows) from which the guards against a bad export hold",
        when="you have few codes, of which many change in one night",
    )
    max_missing_percent: float = setting(
        checks.percent,
        50,
        "stop when more of the usual rows (of a full export: known codes) are missing; 0 turns it off",
        when="your exports vary more than this, or must hold nearly every code",
    )
    check_keys: bool = setting(
        checks.flag,
        True,
        "stop when keys look as if a spreadsheet had changed them",
        when="your keys look like what a spreadsheet makes of others",
    )
    check_columns: bool = setting(
        checks.flag,
        True,
        "stop when a column that had several values is empty or has only one",
        when="columns of your exports are emptied on purpose",
    )
    check_age: bool = setting(
        checks.flag,
        True,
        "stop when the files are older than those of the last run",
        when="older files are synced on purpose",
    )
    max_reach_factor: float = setting(
        partial(checks.number, least=0, most=10**6),
        10,
        "stop when a key value selects this many times more codes than ever before; 0 turns it off",
        when="one key value really selects many more codes at times",
    )
    max_codes_affected: int = setting(
        partial(checks.number, least=0, most=10**9, whole=True),
        0,
        "stop when one call by a key of many codes reaches more codes than this; 0 turns it off",
        when="you know how many codes your largest case, pallet or lot can have",
    )


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Bounds of a run."""

    deadline_s: float | None = setting(
        partial(checks.number, least=0, most=10**7),
        None,
        "seconds after which a run stops, resumably (exit 10)",
        example="14400",
        when="the run must be over when the day begins",
    )

    def until_s(self, asked_s: float | None, started_s: float) -> float | None:
        """Return the deadline of what began at ``started_s``; ``asked_s`` is the command's own. None: it has none."""
        seconds = self.deadline_s if asked_s is None else asked_s
        return None if seconds is None else started_s + seconds


@dataclass(frozen=True, slots=True)
class ProductsSettings:
    """The copy of the company's products, and what it is used for."""

    check: bool = setting(
        checks.flag,
        True,
        "whether rows that name an unknown product are rejected before they are sent",
        when="products are made after their codes",
    )
    max_age_h: float = setting(
        partial(checks.number, least=0, most=8_760),
        24,
        "hours after which sync reads the list of products anew",
        when="new products must be known sooner",
    )


@dataclass(frozen=True, slots=True)
class NightlySettings:
    """What `syncer run` does."""

    steps: tuple[Step, ...] = setting(
        parse_steps,
        (),
        "the steps, in their order: products, sync, scans, codes, each with its options",
        example='[{ products = {} }, { sync = { job = "default", files = ["/data/export-*.csv"] } }]',
        when="one command shall do all of a night",
    )
    on_failure: str = setting(
        partial(checks.choice, of=("stop", "continue")),
        "stop",
        "whether steps after one that failed are skipped",
        when="the steps do not need each other",
    )


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """The page that is written after every run."""

    out: str | None = setting(
        checks.page,
        None,
        "write an HTML report here after every sync, resume and run; relative to the configuration file",
        example='"last-night.html"',
        when="people want to see how the night went",
    )
    last: int = setting(
        partial(checks.number, least=1, most=3660, whole=True),
        14,
        "past runs that its trend shows",
        when="the trend shall go back further",
    )


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Who is told how a run ended. Addresses may hold secrets: they are never shown."""

    webhook_url: Secret | None = setting(
        checks.hook,
        None,
        "told by POST (JSON) when a job's runs begin to end in another way, and when all is well again",
        example='"https://hooks.example.com/services/abc"',
        when="a chat or an alarm shall hear of it",
    )
    ping_url: Secret | None = setting(
        checks.hook,
        None,
        "asked at start (/start) and end (/EXITCODE) of every sync, resume and run",
        example='"https://hc.example.com/abc"',
        when="a watchdog shall notice nights that did not happen",
    )
    apprise_urls: tuple[Secret, ...] = setting(
        checks.services,
        (),
        "services that apprise knows (mail, chat), told as webhook_url is; needs syncer[apprise]",
        example='["mailto://user:password@example.com"]',
        when="people are told by mail, or by another service",
    )
    timeout_s: float = setting(checks.positive_seconds, 10, "for each of these calls", when="their servers are slow")


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Numbers for a monitor."""

    file: str | None = setting(
        checks.text,
        None,
        "write numbers for Prometheus here after every sync, resume and run; needs syncer[metrics]",
        example='"/var/lib/node_exporter/syncer.prom"',
        when="Prometheus watches your machines",
    )


@dataclass(frozen=True, slots=True)
class TracesSettings:
    """Spans for OpenTelemetry."""

    url: Secret | None = setting(
        checks.hook,
        None,
        "send spans of every sync, resume and run here (OTLP over HTTP): names, times, counts; needs syncer[otel]",
        example='"http://127.0.0.1:4318/v1/traces"',
        when="a collector of OpenTelemetry watches your programs",
    )


@dataclass(frozen=True, slots=True)
class ScansSettings:
    """How scans are pulled."""

    overlap_h: float = setting(
        partial(checks.number, least=0, most=24 * 366),
        48,
        "hours before the newest known scan that are read again, for late ones",
        when="phones report their scans later than this",
    )
    page_rows: int = setting(
        partial(checks.number, least=0, most=10_000, whole=True),
        1000,
        "scans of a page; 0 leaves it to the API",
        when="the API refuses pages of this size",
    )
    part_rows: int = setting(
        partial(checks.number, least=1, most=1_000_000, whole=True),
        25_000,
        "scans of a part, in memory until it is written",
        when="memory is scarce, or fewer files shall be written",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured. ``path`` is the file it came from; None: no file."""

    api: ApiSettings = ApiSettings()
    ledger: LedgerSettings = LedgerSettings()
    limits: LimitSettings = LimitSettings()
    run: RunSettings = RunSettings()
    products: ProductsSettings = ProductsSettings()
    nightly: NightlySettings = NightlySettings()
    scans: ScansSettings = ScansSettings()
    report: ReportSettings = ReportSettings()
    notify: NotifySettings = NotifySettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()
    jobs: Mapping[str, JobSettings] = field(default_factory=lambda: {"default": JobSettings()})
    path: Path | None = None

    def left_behind(self) -> tuple[Path | None, Path | None]:
        """Return where a run leaves its page and its numbers: relative to the configuration file; None: nowhere."""
        folder = self.path.parent if self.path is not None else Path.cwd()
        page, numbers = (None if name is None else folder / name for name in (self.report.out, self.metrics.file))
        return page, numbers


SECTIONS: Mapping[str, type[Any]] = {
    "api": ApiSettings, "ledger": LedgerSettings, "limits": LimitSettings, "run": RunSettings,
    "products": ProductsSettings, "nightly": NightlySettings,
    "scans": ScansSettings, "report": ReportSettings, "notify": NotifySettings,
    "metrics": MetricsSettings, "traces": TracesSettings,
}  # fmt: skip
