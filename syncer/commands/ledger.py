"""The commands that need the ledger alone: what was uploaded and how it ended; looking after the file.

They load neither the reader of files nor the API's client, so that they answer at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.commands.environment import Environment
from syncer.commands.opening import lock_wait, open_to_write
from syncer.config import Settings, example_text
from syncer.config.job_settings import KEY_COLUMNS_MAX
from syncer.config.jobs import all_disjoint
from syncer.errors import LedgerError, UntrustedFileError, UsageError, unwritable
from syncer.ledger.check import backup as copy_to
from syncer.ledger.database import ledger_path
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.ledger.pruning import Pruned
from syncer.ledger.pruning import prune as move_old_history
from syncer.ledger.rotation import backup_into
from syncer.model import KEY_SEPARATOR, PRINTED_SEPARATOR
from syncer.process.clock import Clock, moment_text, utc_text
from syncer.process.help import again_with
from syncer.process.times import day_later, parse_moment
from syncer.results import InitResult, PackResult
from syncer.safe.files import Folder, NewFile, new_file, replacing
from syncer.safe.trust import UntrustedError, quoted

if TYPE_CHECKING:
    from syncer.ledger.story import Story
    from syncer.ledger.values import HistoryEntry, Run, UpgradeResult
    from syncer.request import HistoryRequest

STORIES_MAX = 100
"""Values that ``audit show`` tells of at once; ``audit export`` has them all."""


def audit_show(
    settings: Settings, key: Sequence[str], where: Sequence[tuple[str, str]] = (), *, else_said: bool = False
) -> tuple[list[Story], int]:
    """Return the stories of the values that are meant, at most `STORIES_MAX` of them, and how many are.

    ``key`` is a key value, or several parts of a composite key in any order, or that as it is printed (``A + B``).
    ``where`` means all values that were ever sent so; both together narrow each other down.
    ``else_said``: a single word that is no key may be what any field was sent, or a part of a key.
    """
    word = key[0] if else_said and len(key) == 1 and key[0] and not where else None
    with reading_ledger(settings) as ledger:
        return ledger.stories(_keys_of(key), where, most=STORIES_MAX, else_said=word)


def _keys_of(key: Sequence[str]) -> list[str]:
    """Return the key values that are meant: a value, its parts in any order, or those of a printed one."""
    parts = [tuple(key)] if key else []
    if len(key) == 1 and PRINTED_SEPARATOR in key[0]:
        parts.append(tuple(key[0].split(PRINTED_SEPARATOR)))
    some = [one for one in parts if len(one) <= KEY_COLUMNS_MAX]
    return list(dict.fromkeys(KEY_SEPARATOR.join(order) for one in some for order in permutations(one)))


def _asked(key: Sequence[str], where: Sequence[tuple[str, str]]) -> str:
    return " and ".join(
        [*([PRINTED_SEPARATOR.join(key)] if key else []), *(f"{name} = {value}" for name, value in where)]
    )


def write_stories(
    settings: Settings, key: Sequence[str], where: Sequence[tuple[str, str]], out: Path, clock: Clock
) -> tuple[list[Story], int]:
    """Write the stories of the values that are meant (`audit_show`) as a page; return them."""
    from syncer.report.story_views import stories_html

    found, count = audit_show(settings, key, where, else_said=True)
    page = stories_html(found, count, asked=_asked(key, where), made_at=utc_text(clock.wall_s()), program=__version__)
    write_page(out, page)
    return found, count


def audit_pack(
    settings: Settings, key: Sequence[str], where: Sequence[tuple[str, str]], out: Path, clock: Clock
) -> PackResult | None:
    """Write the evidence for the values that are meant (`audit_show`) as a zip file; None when none is.

    Raises `UsageError` when no seal covers them yet, and `LedgerCorruptError` when they are not what was sealed.
    """
    from syncer.report.pack import write_pack
    from syncer.report.story_views import stories_html

    keys, asked, made_at = _keys_of(key), _asked(key, where), utc_text(clock.wall_s())
    with reading_ledger(settings) as ledger:
        stories, count = ledger.stories(keys, where, most=STORIES_MAX)
        story = stories_html(stories, count, asked=asked, made_at=made_at, program=__version__)
        with ledger.evidence(keys, where) as evidence:
            if not evidence.values:
                return None
            if not evidence.items:
                words = "no run that sent this has ended, or it is an own code alone: no seal covers it"
                raise UsageError(words, remedy="bring it to its end first", next="syncer resume")
            with written(out) as part:
                write_pack(evidence, part.file, story=story, asked=asked, made_at=made_at)
            return PackResult(evidence.values, evidence.items, evidence.unsealed, str(evidence.seals[-1][-1]))


@contextmanager
def audit_export(settings: Settings, request: HistoryRequest) -> Iterator[tuple[list[str], Iterator[HistoryEntry]]]:
    """Give the fields of what is asked for, and its uploads as a stream; its times are as the user wrote them.

    Raises `UsageError` for a time, a job, a run or a field that there is not.
    """
    since, until = _moment(request.since, "--since"), _moment(request.until, "--until")
    if since is not None and until is not None and since >= until:
        raise _nothing_between(request, since, until)
    request = replace(request, since=_utc(since), until=_utc(until))
    with reading_ledger(settings) as ledger:
        if request.run_id is not None:
            known_run(ledger, request.run_id)
        names = sorted({job.name for job in ledger.jobs()})
        if request.job is not None and request.job not in names:
            words = f"there is no job {request.job!r} in the ledger; there are: {', '.join(names)}"
            raise UsageError(words, next="syncer status")
        yield ledger.history_fields(request), ledger.export(request)


def _moment(text: str | None, option: str) -> datetime | None:
    return None if text is None else parse_moment(text, option, "audit export")


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _nothing_between(request: HistoryRequest, since: datetime, until: datetime) -> UsageError:
    """Return the error of two times with nothing in between: who names one day twice means the whole of it."""
    words = f"--since {request.since} is not before --until {request.until}: nothing can have changed in between"
    if since == until:
        remedy, changed = "--until is where what is asked for ends: name the next day", {"--until": day_later(until)}
    else:
        remedy, changed = "exchange the two times", {"--since": request.until, "--until": request.since}
    return UsageError(words, remedy=remedy, next=again_with(changed))


def upgrade(settings: Settings, environment: Environment) -> UpgradeResult:
    """Bring the ledger's schema to this program's, after a backup; create the ledger where there is none."""
    at = utc_text(environment.clock.wall_s())
    return upgrade_ledger(settings.ledger.url, at=at, wait=lock_wait(settings, environment.interrupt))


def check(settings: Settings) -> list[str]:
    """Return everything that is wrong with the ledger; raise `LedgerCorruptError` when it cannot even be read."""
    with reading_ledger(settings) as ledger:
        return ledger.problems()


def backup(settings: Settings, target: Path, clock: Clock) -> None:
    """Copy the ledger consistently, even while a run is going on; the copy says that it is a backup."""
    with reading_ledger(settings) as ledger:
        copy_to(ledger.path, target, marked_at=utc_text(clock.wall_s()))


def rotate_backups(settings: Settings, folder: Path, keep: int, clock: Clock) -> tuple[Path, list[Path]]:
    """Copy the ledger into a folder, and keep its newest backups there; return the new one and those that went."""
    with reading_ledger(settings) as ledger:
        return backup_into(ledger, folder, keep=keep, at=utc_text(clock.wall_s()))


def prune(settings: Settings, keep_s: float, environment: Environment) -> Pruned | None:
    """Move the history that is older than ``keep_s`` to an archive beside the ledger; None: nothing is that old."""
    wall_s = environment.clock.wall_s()
    with open_to_write(settings, environment) as ledger:
        return move_old_history(ledger, before=utc_text(wall_s - keep_s), at=utc_text(wall_s))


def init(settings: Settings, folder: Path, environment: Environment, text: str | None = None) -> InitResult:
    """Write the configuration file (that was named, with its folder; else ``config.toml`` in `folder`), and the ledger.

    Neither is ever overwritten. ``text``: what stands in the configuration; None: the example. The file gets its name
    once there is the ledger: an `init` that fails has written none.
    """
    config = settings.path or folder / "config.toml"
    if text is not None and os.path.lexists(config):
        raise UsageError(
            f"{config} is there, and is never overwritten", next=f"mv {quoted(config)} {quoted(config)}.old"
        )
    wrote_config = not os.path.lexists(config)
    if not wrote_config and not config.is_file():
        raise UsageError(f"{config} is there, and no file", remedy="name another", next=f"ls -ld {quoted(config)}")
    path = ledger_path(settings.ledger.url)
    with ExitStack() as stack:
        part = None
        if wrote_config:
            with _writing(config):
                part = stack.enter_context(_prepared(config, example_text() if text is None else text))
        made_ledger = not path.exists()
        open_to_write(settings, environment).close()
        if part is not None:
            with _writing(config):
                part.keep(new=True)
    return InitResult(config, wrote_config, path, made_ledger)


@contextmanager
def _prepared(config: Path, text: str) -> Iterator[NewFile]:
    """Give the configuration, written, without its name yet; its folder is made."""
    if not config.parent.exists():
        Folder.open(config.parent, make=True).close()
    # Who may write it decides where the token goes; who may read it sees a password that is put there.
    with Folder.above(config) as folder, new_file(folder, config.name) as part:
        part.text().write(text)
        part.file.flush()
        yield part


@contextmanager
def _writing(config: Path) -> Iterator[None]:
    """Say of the configuration what the system says of it."""
    try:
        yield
    except UntrustedError as error:
        raise UntrustedFileError.of(error) from error
    except OSError as error:
        raise unwritable(config, error) from error


def write_page(out: Path, page: str) -> None:
    """Write a page whole under its name, for its owner alone; raise `UsageError` where it cannot be written."""
    with written(out) as part:
        part.text().write(page)


@contextmanager
def written(out: Path) -> Iterator[NewFile]:
    """Give a file to be written whole, for its owner alone; raise `UsageError` where it cannot be written."""
    try:
        with replacing(out) as part:
            yield part
    except OSError as error:
        raise unwritable(out, error) from error


@contextmanager
def reading_ledger(settings: Settings) -> Iterator[Ledger]:
    """Give the ledger for reading, with all of its history; raise `LedgerError` where there is none yet."""
    with Ledger.reading(settings.ledger.url, whole=True) as ledger:
        if ledger is None:
            raise LedgerError(f"there is no ledger yet at {ledger_path(settings.ledger.url)}", next="syncer init")
        ledger.disjoint = all_disjoint(settings.jobs)
        yield ledger


def known_run(ledger: Ledger, run_id: int) -> Run:
    """Return a run; raise `UsageError` when the ledger has none with this id."""
    run = ledger.run(run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id} in the ledger", next="syncer status")
    return run
