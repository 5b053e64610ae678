"""To whom a ledger belongs, and that nothing was sent by it which it does not know: made sure once in every run.

What always holds: another address is refused before any call is made, another company before any update. What the API
does not say is adopted when it is seen first. A task that bears the ledger's id in its reference, but is unknown to the
ledger, shows that the ledger is older than its own deeds, or that a copy of it is at work elsewhere. Details of tasks
are never read here.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from syncer.api.classify import Verdict
from syncer.api.reading import fault_of
from syncer.errors import AGAIN, LedgerOldError, TargetChangedError
from syncer.ledger.identity import (
    has_sent,
    has_sent_as,
    has_worked,
    identity_of,
    known_references,
    newest_record,
    newest_task,
    pin_target,
)
from syncer.model import Target
from syncer.runs.outside import REAL, Outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from syncer.api.answers import Answer
    from syncer.api.client import Client, MeAnswer, Task, TaskAnswer, TasksAnswer
    from syncer.api.limits import ReadLimiter
    from syncer.api.reading import Reader, RequestCounts
    from syncer.config import Settings
    from syncer.ledger.identity import Transactional
    from syncer.ledger.values import LedgerIdentity
    from syncer.model import Company
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
A = TypeVar("A", bound="Answer")
LOOK_PAGES_MAX = 20
"""Pages of the newest tasks that are looked at for one of the ledger's own."""
UNDER_WAY = frozenset({"pending", "in-progress"})
"""The API's states of a task that may still write (docs/api.md, "Tasks")."""
_LEDGER_ID = re.compile(r"-([0-9a-f]{12})\.[0-9a-f]+$")


def require_url(identity: LedgerIdentity | None, base_url: str) -> None:
    """Raise `TargetChangedError` when the ledger belongs to another address; None: there is no ledger yet."""
    if identity is None or identity.base_url in {None, base_url}:
        return
    belongs = Target(str(identity.base_url), identity.company)
    raise TargetChangedError(f"this ledger belongs to {belongs}; api.base_url is {base_url}: nothing was sent")


def require_company(identity: LedgerIdentity, company: Company | None) -> None:
    """Raise `TargetChangedError` when a token is of another company than the ledger; None: nobody says whose it is."""
    known = identity.company
    if known is not None and company is not None and known.is_same(company) is False:
        belongs = Target(str(identity.base_url), known)
        raise TargetChangedError(f"this ledger belongs to {belongs}; the token is of {company}: nothing was sent")


def _page_of_tasks(query: Mapping[str, str], client: Client) -> TasksAnswer:
    return client.newest_tasks(query)


def _one_task(task_id: str, client: Client) -> TaskAnswer:
    return client.task(task_id)


def account_mark(account: str | None, token: str, ledger_id: str) -> str:
    """Return who makes calls: the account that the API names, else a mark of the token that only this ledger knows."""
    if account is not None:
        return f"account {account}"
    return "token " + hmac.new(ledger_id.encode(), token.encode(), hashlib.sha256).hexdigest()[:16]


def confirm_target(
    ledger: Transactional,
    settings: Settings,
    clock: Clock,
    interrupt: Interrupt,
    *,
    deadline_s: float | None = None,
    outside: Outside = REAL,
) -> None:
    """Make sure that a ledger belongs to what it would write to, for what is no run; raises as `TargetCheck`."""
    require_url(identity_of(ledger), settings.api.base_url)
    from syncer.runs.readers import reader_of  # here: a plan, which asks for the URL alone, needs no engine

    started_s = clock.monotonic_s()
    reader = reader_of(settings, clock, interrupt, started_s=started_s, deadline_s=deadline_s, outside=outside)
    with closing(reader):
        token = settings.api.require_token()
        TargetCheck(ledger, reader, settings.api.base_url, token.reveal).confirm(look=False)


def refuse_other_company(
    ledger: Transactional,
    settings: Settings,
    clock: Clock,
    interrupt: Interrupt,
    *,
    deadline_s: float | None = None,
) -> None:
    """Make sure, for what only reads, that a token is not of another company than the ledger, as far as anybody says.

    A ledger that knows no company asks nobody. Raises `TargetChangedError`, or what keeps the API from being asked.
    """
    found = identity_of(ledger)
    require_url(found, settings.api.base_url)
    if found.company is None:
        return
    from syncer.runs.readers import reader_of

    started_s = clock.monotonic_s()
    with closing(reader_of(settings, clock, interrupt, started_s=started_s, deadline_s=deadline_s)) as reader:
        token = settings.api.require_token()
        require_company(found, TargetCheck(ledger, reader, settings.api.base_url, token.reveal).company_of_token())


class TargetCheck:
    """The check of one run: `confirm` makes it, once. Then `account`, `sees_unsigned` and `notes` say what it found."""

    def __init__(
        self,
        ledger: Transactional,
        reader: Reader[Client],
        base_url: str,
        token: Callable[[], str],
        *,
        approve: bool = False,
    ) -> None:
        self.account: str | None = None
        self.sees_unsigned = False
        """Whether the token was seen to see a task that a version before the mirror made: it wrote down no account."""
        self.notes: tuple[str, ...] = ()
        self._ledger = ledger
        self._reader = reader
        self.base_url = base_url
        self._token = token
        self._approve = approve
        self._confirmed = False
        self._own_seen = False
        self._answered = False

    def share(self, limiter: ReadLimiter, counts: RequestCounts) -> None:
        """Keep one limit with an engine, and count into its reads."""
        self._reader.limiter, self._reader.counts = limiter, counts

    def confirm(self, *, look: bool = True) -> None:
        """Make sure that the ledger belongs to what it would write to. Does nothing the second time.

        ``look``: at the newest tasks, too. Raises `TargetChangedError`, `LedgerOldError`, or what keeps the API from
        being asked.
        """
        if self._confirmed:
            return
        found = identity_of(self._ledger)
        require_url(found, self.base_url)
        self._reader.is_new = found.base_url is None
        while True:  # bounded by `give_up_after_s`
            if look:
                self._look_at_tasks(found)
            me = self._ask(lambda client: client.me())
            if self._answered:
                break
            if found.base_url != self.base_url or me.verdict is not Verdict.MISDIRECTED:
                raise fault_of(me)
            self.notes = ()
            self._reader.failed(me.message)  # it was the API once: that is a deployment, and it passes
        company = self._company_of(me, found)
        self._require_known_target(found, company)
        require_company(found, company)
        known = found.company.with_others(company) if found.company and company else found.company or company
        if (found.base_url, found.company) != (self.base_url, known):
            pin_target(self._ledger, Target(self.base_url, known))
            self._note_adoption(found, known)
        self._confirmed = True

    def look(self) -> tuple[Target, bool]:
        """Return what is configured, as the API shows it, and whether what the ledger believes is so there, too.

        That is so of a ledger that knows nothing yet, and where its newest task, or its newest record of own codes,
        is found and no other company. One that has sent nothing need find nothing at its own address.
        """
        found = identity_of(self._ledger)
        me = self._ask(lambda client: client.me())
        if not self._answered:
            raise fault_of(me)
        company = self._company_of(me, found)
        is_other = found.company is not None and company is not None and found.company.is_same(company) is False
        is_here = not is_other and (self._newest_task_is_here() or self._newest_record_is_here())
        stays = not has_sent(self._ledger) and not is_other and found.base_url in {None, self.base_url}
        is_known = is_here or stays or not has_worked(self._ledger)
        return Target(self.base_url, company), is_known

    def _look_at_tasks(self, found: LedgerIdentity) -> None:
        """Look at the newest tasks until one is the ledger's own; raise `LedgerOldError` when it does not know it.

        Before the first call after a way back, also for one that is under way since before that.
        """
        query: Mapping[str, str] | None = {}
        pages = 0
        is_put_back = has_sent(self._ledger) and not has_sent_as(self._ledger, found.id)
        while query is not None and pages < LOOK_PAGES_MAX:
            answer = self._ask(partial(_page_of_tasks, query))
            if answer.verdict is not Verdict.OK:
                self.notes += (f"whether other tasks bear this ledger's id is not known: {answer.message}",)
                return
            pages, query = pages + 1, answer.following
            references = [task.reference for task in answer.tasks if task.reference]
            known = known_references(self._ledger, references)
            strange = next((one for one in references if f"-{found.id}." in one and one not in known), None)
            if strange is not None:
                raise LedgerOldError(
                    f"the API has a task that bears this ledger's id, {strange}, but the ledger does not know it: "
                    "it is older than what was sent by it, or a copy of it is used elsewhere"
                )
            if is_put_back and not self._approve:
                self._refuse_lost([task for task in answer.tasks if task.reference not in known])
            if known:
                self._own_seen, self.sees_unsigned = True, None in known.values()
                return

    def _refuse_lost(self, tasks: Iterable[Task]) -> None:
        """Raise `LedgerOldError` for a task under way that the ledger made in a time that it has lost.

        Nobody waits for such a task: it would land over what is sent now.
        """
        for task in tasks:
            named = _LEDGER_ID.search(task.reference) if task.remote_state in UNDER_WAY else None
            if named is None or not has_sent_as(self._ledger, named[1]):
                continue
            now = self._ask(partial(_one_task, task.id)).task  # a list may be older than what it lists
            if now is not None and now.remote_state in UNDER_WAY:
                raise LedgerOldError(
                    f"the ledger was put back, and the API still works on what it had sent before that: task "
                    f"{task.reference} is {now.remote_state!r}, and would write over newer data",
                    remedy="wait until it has ended; if it never ends: --approve",
                    next=AGAIN,
                )

    def _company_of(self, me: MeAnswer, found: LedgerIdentity) -> Company | None:
        """Return the company of the token, as far as the API says; keep the account."""
        if me.verdict is not Verdict.OK:
            log.info("the API does not say whose token this is: %s", me.message)
        self.account = account_mark(me.account, self._token(), found.id)
        return me.company or self._company_of_products()

    def company_of_token(self) -> Company | None:
        """Return the company of the token, as far as the API says."""
        return self._ask(lambda client: client.me()).company or self._company_of_products()

    def _company_of_products(self) -> Company | None:
        return self._ask(lambda client: client.company()).company

    def _ask(self, call: Callable[[Client], A]) -> A:
        """Return an answer, a refusal too: only a token that nobody accepts, or an API that is away, raises."""
        answer = self._reader.ask(call, takes=(Verdict.REFUSED, Verdict.DENIED, Verdict.MISDIRECTED))
        self._answered |= answer.verdict is Verdict.OK
        return answer

    def _require_known_target(self, found: LedgerIdentity, company: Company | None) -> None:
        """Raise unless a ledger that has sent, but does not say to whom, finds its newest task here."""
        unsaid = found.base_url is None and has_sent(self._ledger)
        unseen = found.company is not None and company is None
        if not (unsaid or unseen) or self._approve or self._own_seen:
            return
        if self._newest_task_is_here():
            self.sees_unsigned = unsaid
            return
        if unseen:
            words = f"this ledger belongs to {Target(self.base_url, found.company)}; the API no longer says whose it is"
        else:
            words = f"this ledger does not say to whom it has sent, and finds no task of its own at {self.base_url}"
        raise TargetChangedError(f"{words}: nothing was sent", next="syncer ledger info --adopt-target")

    def _newest_task_is_here(self) -> bool:
        task_id = newest_task(self._ledger)
        return task_id is not None and self._ask(lambda client: client.task(task_id)).task is not None

    def _newest_record_is_here(self) -> bool:
        from syncer.api.ingestion import IngestionClient  # here: no run that is not about own codes needs it

        key = newest_record(self._ledger)
        if key is None:
            return False
        return self._ask(lambda client: client.speaking(IngestionClient).record(key)).record is not None

    def _note_adoption(self, found: LedgerIdentity, company: Company | None) -> None:
        if company is None:
            self.notes += ("the API does not say whose company this is: another one's token would not be noticed",)
        elif found.base_url is not None and found.company is None:
            self.notes += (f"this ledger belongs to {company} from now on",)
