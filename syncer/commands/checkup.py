"""``syncer check``: everything that a night needs, looked at one by one. Changes nothing.

Every finding stands alone, so one fault does not hide another, and each fault says what to do about it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.api.classify import Verdict
from syncer.api.client import SCM_PERMISSIONS, MeAnswer
from syncer.api.reading import fault_of
from syncer.commands.environment import Environment
from syncer.commands.opening import open_to_write
from syncer.commands.places import is_no_folder, other_kind, require_place_of
from syncer.commands.telling import Teller
from syncer.config import Settings, load_settings
from syncer.errors import (
    EXIT_NOT_CONFIRMED,
    EXIT_OK,
    AccessError,
    ConfigError,
    LedgerBusyError,
    LedgerWriteError,
    StaleError,
    SyncerError,
    TargetChangedError,
    UnreachableError,
)
from syncer.ledger.database import ledger_path
from syncer.ledger.identity import identity_of, require_there
from syncer.ledger.ledger import Ledger
from syncer.ledger.schema import SCHEMA_REVISION
from syncer.model import Target
from syncer.process.clock import Clock, seconds_between
from syncer.process.times import duration
from syncer.report.words import many
from syncer.request import ProductsRequest, ScansRequest, SyncStep, UploadRequest, name_of
from syncer.results import CheckResult
from syncer.runs.newest import check_exports
from syncer.runs.readers import connection_of
from syncer.runs.target import require_company, require_url
from syncer.safe.trust import quoted
from syncer.safe.urls import is_remote

if TYPE_CHECKING:
    from syncer.ledger.values import LedgerIdentity

CLOCK_OFF_MAX_S = 60.0
"""How far this machine's clock may be off the API's before ``check`` says so."""

STEP_PERMISSIONS: Mapping[type, frozenset[str]] = {
    ProductsRequest: frozenset({"product_view"}),
    SyncStep: SCM_PERMISSIONS,
    ScansRequest: frozenset({"scans_download"}),
    UploadRequest: frozenset(
        {
            "workorder_view", "workorder_download", "workorder_sid_download", "ingestion_view", "ingestion_cancel",
            "ingestion_code_create", "product_view",
        }
    ),
}  # fmt: skip
"""What each step of a night needs (docs/api.md, "Permissions")."""
NIGHTLY_STEP = "the nightly step "
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""Variables that other programs obey, in small letters, too."""
RUNS_LOOKED_AT = 100
"""Newest runs of a job among which one that ended well is looked for."""


def check(
    explicit: Path | None, environ: Mapping[str, str], cwd: Path, clock: Clock, *, max_age_s: float | None = None
) -> list[CheckResult]:
    """Look at everything that a night needs; every finding stands alone, so one fault does not hide another.

    ``max_age_s``: say of every job whether a run has ended well (0 or 3) within that time, and whether a value has
    been wanted for longer; whoever ``[notify]`` names is told when what is found has changed.
    """
    try:
        settings = load_settings(explicit=explicit, environ=environ, cwd=cwd)
    except SyncerError as error:
        return [CheckResult("configuration", "", error)]
    jobs = ", ".join(settings.jobs)
    whose = "built-in defaults" if settings.path is None else f"{settings.path}, which no other account can change"
    findings = [CheckResult("configuration", f"{whose}; jobs: {jobs}")]
    findings += [_check_place(path) for path in settings.left_behind() if path is not None]
    findings += _check_steps(settings)
    findings += [*_check_done(settings), *check_exports(settings)]
    findings.append(_check_ledger(settings, clock))
    identity = _identity(settings)
    try:
        require_url(identity, settings.api.base_url)
        findings += _with_proxies(_check_access(settings, clock, identity), environ)
    except TargetChangedError as error:
        findings.append(CheckResult("target", "", error))
    if max_age_s is not None:
        findings += [_check_age(settings, job, clock, max_age_s) for job in settings.jobs]
        findings += _check_wanted(settings, clock, max_age_s)
        fault = next((finding.error for finding in findings if finding.error is not None), None)
        Teller(settings, clock, "check").tell_of_a_look(EXIT_OK if fault is None else fault.status, fault)
    return findings


def _check_place(path: Path) -> CheckResult:
    """Look at whether what every run leaves behind has a folder."""
    what = f"place of {path.name}"
    if not path.parent.is_dir():
        words = f"{path} cannot be written: its folder is not there"
        return CheckResult(what, "", ConfigError(words, next=f"mkdir -p {quoted(path.parent)}"))
    if (kind := other_kind(path)) is not None:
        return CheckResult(what, "", ConfigError(f"{path} cannot be written: it is {kind}"))
    try:
        _require_writable(path)
    except LedgerWriteError as error:
        return CheckResult(what, "", ConfigError(error.message, remedy=error.remedy, next=error.next))
    return CheckResult(what, f"{path}, written after every run")


def _check_steps(settings: Settings) -> list[CheckResult]:
    """Return the steps of a night that have no place for what they write."""
    findings = []
    for number, step in enumerate(settings.nightly.steps, 1):
        try:
            require_place_of(number, step)
        except ConfigError as error:
            findings.append(CheckResult(f"step {number} of the night", "", error))
    return findings


def _check_done(settings: Settings) -> Iterator[CheckResult]:
    """Yield the jobs whose files could not be moved away when they are done, since no folder can be there."""
    folder = Path.cwd() if settings.path is None else settings.path.parent
    for name, job in settings.jobs.items():
        pattern, done = job.files.pattern, job.files.done
        if pattern is not None and done is not None and not is_remote(pattern) and is_no_folder(folder / done):
            words = f"jobs.{name}.files.done is {done!r}, but must be a folder, and a file is there"
            yield CheckResult(f"place of the done files of {name}", "", ConfigError(words))


def _check_wanted(settings: Settings, clock: Clock, max_age_s: float) -> list[CheckResult]:
    """Look at how long the oldest value of each job has been wanted without being confirmed."""
    try:
        with Ledger.reading(settings.ledger.url) as ledger:
            found = {} if ledger is None else {one.job: one for one in ledger.wanted()}
    except SyncerError:  # `_check_age` says why
        return []
    findings = []
    for job in dict.fromkeys([*settings.jobs, *found]):
        what, wanted = f"wanted by {job}", found.get(job)
        if wanted is None:
            findings.append(CheckResult(what, "nothing that is not confirmed"))
            continue
        age_s = seconds_between(wanted.since, clock.wall_s())
        is_ahead = age_s < -CLOCK_OFF_MAX_S  # a wrong clock dated it: nobody knows for how long
        age = "since a time to come," if is_ahead else f"for {duration(max(0.0, age_s))}, since"
        words = f"{many(wanted.values, 'value')} not confirmed, the oldest {age} {wanted.since}"
        late = StaleError(f"job {job}: {words}", next="syncer resume") if is_ahead or age_s > max_age_s else None
        findings.append(CheckResult(what, "" if late else words, late))
    return findings


def _check_age(settings: Settings, job: str, clock: Clock, max_age_s: float) -> CheckResult:
    """Look at when a run of the job ended well for the last time."""
    what = f"last run of {job}"
    try:
        with Ledger.reading(settings.ledger.url) as ledger:
            runs = [] if ledger is None else ledger.runs(most=RUNS_LOOKED_AT, job_name=job)
    except SyncerError as error:
        return CheckResult(what, "", error)
    well = [run for run in runs if run.exit_code in {EXIT_OK, EXIT_NOT_CONFIRMED}]
    ages = [(seconds_between(run.ended_at, clock.wall_s()), run) for run in well if run.ended_at is not None]
    # The end of a run on a day to come was told by a wrong clock: it says nothing of when that was.
    age_s, ended = next((one for one in ages if one[0] >= -CLOCK_OFF_MAX_S), (0.0, None))
    if ended is None:
        return CheckResult(what, "", StaleError(f"no run of job {job} has ever ended well"))
    words = f"run {ended.id} ended well {duration(max(0.0, age_s))} ago, at {ended.ended_at}"
    if age_s > max_age_s:
        return CheckResult(what, "", StaleError(f"no run of job {job} has ended well since: {words}"))
    return CheckResult(what, words)


def _identity(settings: Settings) -> LedgerIdentity | None:
    """Return whose ledger is there; None where it cannot be read: `_check_ledger` says why."""
    try:
        with Ledger.reading(settings.ledger.url) as ledger:
            return None if ledger is None else identity_of(ledger)
    except SyncerError:
        return None


def _check_ledger(settings: Settings, clock: Clock) -> CheckResult:
    path = ledger_path(settings.ledger.url)
    try:
        ledger = Ledger.open_to_read(settings.ledger.url)
        if ledger is None:
            require_there(path)
            _require_writable(path)
            return CheckResult("ledger", f"{path} is not there yet: the first run creates it")
        ledger.close()
        _require_writable(path)
        open_to_write(settings, Environment(clock=clock)).close()
    except LedgerBusyError as busy:
        return CheckResult("ledger", f"in use: {busy.message}")
    except SyncerError as error:
        return CheckResult("ledger", "", error)
    return CheckResult("ledger", f"{path}, schema {SCHEMA_REVISION}, {path.stat().st_size:,} bytes, may be written")


def _require_writable(path: Path) -> None:
    """Raise `LedgerWriteError` where this user may not write a file, or not beside it (a journal, its next version)."""
    for one, needed in ((path.parent, os.W_OK | os.X_OK), (path, os.W_OK)):
        if one.exists() and not os.access(one, needed):
            words = f"{path} cannot be written by this user: {'its folder is' if one != path else 'it is'} read-only"
            raise LedgerWriteError(words, remedy="give write access", next=f"ls -ld {quoted(one)}")


def _check_access(settings: Settings, clock: Clock, identity: LedgerIdentity | None) -> list[CheckResult]:
    try:
        client = connection_of(settings).connect(clock)
    except SyncerError as error:
        return [CheckResult("token", "", error)]
    with closing(client):
        answer = client.me()
    base_url = settings.api.base_url
    match answer.verdict:
        case Verdict.OK:
            findings = [
                CheckResult("access", f"{base_url} accepts the token{f' of {answer.email}' if answer.email else ''}")
            ]
            findings += _check_target(answer, identity)
            return [*findings, _check_permissions(answer, _needs(settings)), _check_clock(answer, clock)]
        case _:
            fault = fault_of(answer)
            if answer.verdict is Verdict.MISDIRECTED and identity is not None and identity.base_url == base_url:
                fault.remedy = (
                    "wait: for earlier runs it was, so a deployment may be under way; else correct api.base_url"
                )
            return [CheckResult("access", "", fault)]


def _with_proxies(findings: list[CheckResult], environ: Mapping[str, str]) -> list[CheckResult]:
    """Add to a fault of the way to the API that a proxy which the environment names is none of this program's."""
    named = next((name for name in PROXIES if environ.get(name) or environ.get(name.lower())), None)
    for error in (one.error for one in findings):
        if named is not None and isinstance(error, UnreachableError):
            error.remedy = f"{error.remedy}; {named} is set, but not used: the API has to be reached without a proxy"
    return findings


def _check_target(answer: MeAnswer, identity: LedgerIdentity | None) -> list[CheckResult]:
    """Compare whose token it is with whom the ledger belongs to; nothing to say of a ledger that belongs to nobody."""
    if identity is None or identity.base_url is None:
        return []
    try:
        require_company(identity, answer.company)
    except TargetChangedError as error:
        return [CheckResult("target", "", error)]
    return [CheckResult("target", f"the ledger belongs to {Target(identity.base_url, identity.company)}")]


def _needs(settings: Settings) -> dict[str, frozenset[str]]:
    """Return what a night needs: SCM uploads always, for they are what the program is for, and each configured step."""
    needs = {"SCM uploads": SCM_PERMISSIONS}
    for step in settings.nightly.steps:
        needed = STEP_PERMISSIONS[type(step)]
        if isinstance(step, ScansRequest) and step.product is not None:
            needed |= {"product_view"}
        name = NIGHTLY_STEP + name_of(step)
        needs[name] = needs.get(name, frozenset()) | needed
    return needs


def _together(needs: Mapping[str, frozenset[str]]) -> str:
    """Return who needs something, in one phrase."""
    uploads, *others = needs
    steps = ", ".join(name.removeprefix(NIGHTLY_STEP) for name in others)
    return f"{uploads} and {NIGHTLY_STEP}{steps}" if steps else uploads


def _check_permissions(answer: MeAnswer, needs: dict[str, frozenset[str]]) -> CheckResult:
    """Compare the token's permissions with `needs`: who needs what."""
    everything = frozenset[str]().union(*needs.values())
    if answer.permissions is None:
        return CheckResult("permissions", "the API does not list them; needed: " + ", ".join(sorted(everything)))
    held = set(answer.permissions)
    lacking = [f"{', '.join(sorted(needed - held))} (for {whose})" for whose, needed in needs.items() if needed - held]
    if lacking:
        return CheckResult("permissions", "", AccessError(f"the token lacks {'; '.join(lacking)}"))
    return CheckResult("permissions", f"all that {_together(needs)} need")


def _check_clock(answer: MeAnswer, clock: Clock) -> CheckResult:
    try:
        server_s = parsedate_to_datetime(answer.date or "").timestamp()
    except (TypeError, ValueError):
        return CheckResult("clock", "the API's answer has no date to compare with")
    off_s = clock.wall_s() - server_s
    if abs(off_s) > CLOCK_OFF_MAX_S:
        words = f"this machine's clock is {off_s:+.0f} s off the API's; times in the ledger would mislead"
        return CheckResult(
            "clock", "", ConfigError(words, remedy="set the clock (timedatectl set-ntp true)", next="syncer check")
        )
    return CheckResult("clock", f"within {CLOCK_OFF_MAX_S:g} s of the API's")
