"""Who is told how a command ended: once when that changes, and once when all is well again.

How the one before ended is read from the ledger's works, so nothing else has to be remembered. A message holds counts
and the command that helps, never data. Where there is no ledger yet, or it cannot be written, each failure is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncer import __version__
from syncer.errors import EXIT_OK, ConfigError, SyncerError, UsageError
from syncer.ledger.ledger import Ledger
from syncer.ledger.works import Work, WorkLog
from syncer.process.clock import Clock, utc_text
from syncer.process.help import configured, next_of
from syncer.process.owner import Life, life_of, this_process

if TYPE_CHECKING:
    from syncer.api.hooks import Hooks
    from syncer.config import Settings
    from syncer.ledger.values import Run

ALIKE: Mapping[str, tuple[str, ...]] = {"sync": ("sync", "resume"), "resume": ("sync", "resume")}
"""Commands that bring the same work to its end: what one failed, the other may mend."""
LOOKED_AT = 50
"""Newest works among which the one before of the same job is looked for."""
ENDINGS: Mapping[int, str] = {
    1: "failed, or could not write what it had to leave behind",
    2: "a setting, an option or a file is at fault",
    3: "finished, but some rows are not confirmed",
    4: "a guard stopped it",
    5: "the API could not be reached or kept failing",
    10: "the deadline was reached",
    11: "another command holds the ledger",
    12: "the API refused the token or a permission",
    13: "the ledger cannot be used",
    14: "the expected file has not arrived",
    129: "it was interrupted",
    130: "it was interrupted",
    143: "it was interrupted",
}
"""What each exit code means."""
EXIT_DIED = 137
"""What a message says of a process that was killed: what a shell would."""


@dataclass(frozen=True, slots=True)
class Before:
    """How the last one of the same kind and job ended; ``died``: it is known to be dead only now."""

    exit_code: int = EXIT_OK
    died: Work | None = None


class Teller:
    """Tells whoever ``[notify]`` names; without an address it does nothing."""

    def __init__(self, settings: Settings, clock: Clock, command: str, subject: str = "") -> None:
        self._settings, self._clock, self._command, self._subject = settings, clock, command, subject
        self._notify = settings.notify
        self._began = utc_text(clock.wall_s())
        self._hooks = _hooks(settings)
        self._before = self._look_back() if self._tells else Before()

    @property
    def _tells(self) -> bool:
        return self._notify.webhook_url is not None or bool(self._notify.apprise_urls)

    def ping(self, what: str) -> None:
        """Tell a service that waits for it that the work begins (``start``), or how it ended."""
        if self._hooks is not None and self._notify.ping_url is not None:
            self._hooks.ping(_under(self._notify.ping_url.reveal(), what))

    def tell_of_the_dead(self) -> None:
        """Tell once of one before that died without a word, and record it so."""
        died = self._before.died
        if died is not None:
            WorkLog(self._settings.ledger.url).mark_dead(died, self._began)
            words = f"the {died.kind} that began at {died.started_at} died without recording an end"
            self._send(message_of(died.kind, EXIT_DIED, words, configured("syncer status"), None, None))

    def tell(self, exit_code: int, error: SyncerError | None) -> None:
        """Tell how the work ended, when the one before ended in another way."""
        if not self._tells or exit_code == self._before.exit_code:
            return
        run, seal = self._run()
        if exit_code == EXIT_OK:
            words = "all is well again"
        elif error is not None:  # its message may quote a cell, or what the API said of one
            words = f"{ENDINGS.get(exit_code, ENDINGS[1])} ({error.code})"
        else:
            words = ENDINGS.get(exit_code, f"ended with exit code {exit_code}")
        looked_at = configured(f"syncer status {run.id} --rows" if run else "syncer status")
        helps = looked_at if error is None else next_of(error) or looked_at
        self._send(message_of(self._command, exit_code, words, helps, run, seal))

    def tell_of_a_look(self, exit_code: int, error: SyncerError | None) -> None:
        """Tell what a look from outside found, when that has changed; it is recorded then, and only then."""
        if not self._tells or exit_code == self._before.exit_code:
            return
        self.tell(exit_code, error)
        words = None if error is None else error.message
        at = utc_text(self._clock.wall_s())
        WorkLog(self._settings.ledger.url).end(
            Work(0, self._command, self._began, this_process(), ended_at=at, exit_code=exit_code, error=words)
        )

    def _send(self, document: Mapping[str, Any]) -> None:
        for name, send in senders(self._settings, self._hooks):
            _ = name
            send(document)

    def _look_back(self) -> Before:
        """Return how the last one of the same kind and job ended."""
        try:
            with Ledger.reading(self._settings.ledger.url) as ledger:
                kinds = ALIKE.get(self._command, (self._command,))
                works = [] if ledger is None else ledger.works(most=LOOKED_AT, kinds=kinds)
        except SyncerError:  # the work itself will say so
            return Before()
        for work in works:
            if work.parent_id is not None or (work.subject and self._subject and work.subject != self._subject):
                continue
            if work.ended_at is not None:
                return Before(EXIT_DIED if work.exit_code is None else work.exit_code)
            if life_of(work.owner) is Life.DEAD:
                return Before(EXIT_DIED, work)
        return Before()

    def _run(self) -> tuple[Run | None, str | None]:
        """Return the run that this command drove, and the newest seal."""
        try:
            with Ledger.reading(self._settings.ledger.url) as ledger:
                newest = [] if ledger is None else ledger.runs(most=1)
                seal = None if ledger is None else ledger.newest_seal()
        except SyncerError:
            return None, None
        run = next((one for one in newest if (one.ended_at or one.started_at) >= self._began), None)
        return run, None if seal is None else seal.digest


def _under(url: str, what: str) -> str:
    """Return the address of something under another one, whose query stays."""
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{what}{mark}{query}"


def message_of(
    command: str, exit_code: int, words: str, helps: str, run: Run | None, seal: str | None
) -> dict[str, Any]:
    """Return what is told. Pure."""
    document: dict[str, Any] = {
        "text": f"syncer {command}: {words} (exit code {exit_code})",
        "command": command,
        "exit_code": exit_code,
        "next": helps,
    }
    if run is not None:
        document |= {"run": run.id, "job": run.job.name, "rows": dict(run.rows), "seal": seal}
    return document


def senders(settings: Settings, hooks: Hooks | None) -> list[tuple[str, Any]]:
    """Return who is told, each by its setting, with what sends a document to it and says whether it arrived."""
    notify, found = settings.notify, list[tuple[str, Any]]()
    if hooks is None:
        return found
    if notify.webhook_url is not None:
        url = notify.webhook_url.reveal()
        found.append(("notify.webhook_url", lambda document: hooks.tell(url, document)))
    for place, address in enumerate(notify.apprise_urls, 1):
        service = address.reveal()
        found.append((f"notify.apprise_urls, {place}", lambda document, it=service: hooks.pass_on(it, document)))
    return found


def tell_test(settings: Settings) -> list[tuple[str, bool]]:
    """Send a message and a ping that say that they are a test; return which addresses answered well."""
    hooks = _hooks(settings)
    if hooks is None:
        raise UsageError(
            "there is nobody to tell", remedy="set notify.webhook_url, notify.ping_url or notify.apprise_urls"
        )
    document = {"text": "syncer: this is a test", "command": "notify test", "exit_code": 0, "next": "syncer status"}
    told = [(name, send(document)) for name, send in senders(settings, hooks)]
    if settings.notify.ping_url is not None:
        told.append(("notify.ping_url", hooks.ping(settings.notify.ping_url.reveal())))
    return told


def _hooks(settings: Settings) -> Hooks | None:
    notify = settings.notify
    if notify.webhook_url is None and notify.ping_url is None and not notify.apprise_urls:
        return None
    from importlib.util import find_spec

    from syncer.api.hooks import Hooks

    if notify.apprise_urls and find_spec("apprise") is None:
        raise ConfigError("notify.apprise_urls needs the extra apprise", next="pip install 'syncer[apprise]'")
    return Hooks(notify.timeout_s, f"syncer/{__version__}", ca_file=settings.api.ca_file)
