"""The tree of errors: each knows its exit code, its stable code for scripts, and what to do next.

    SyncerError                     1   unexpected failure
    ├── OutputError                 1   standard output, a results folder or a file cannot be written
    ├── UsageError                  2   the command line asks for something that cannot be
    │   ├── ConfigError             2   a setting is unknown, of the wrong type, or missing
    │   ├── SourceError             2   a file cannot be read, or its structure is in doubt: refused whole
    │   ├── TargetChangedError      2   the ledger belongs to another address or company
    │   └── UntrustedFileError      2   another account may have planted or changed a file or folder
    ├── StaleError                  3   `check --max-age`: no run has ended well for too long
    ├── GuardError                  4   a guard stopped the run before more damage could be done
    ├── UnreachableError            5   the API could not be reached or kept failing
    ├── DeadlineError              10   the deadline came first; resumable
    ├── LedgerBusyError            11   another run holds the ledger
    ├── AccessError                12   the API refused the token or a permission
    ├── LedgerError                13   the ledger cannot be used
    │   ├── LedgerCorruptError     13
    │   ├── LedgerSchemaError      13   newer than this program, or older and not upgraded
    │   ├── LedgerOldError         13   a backup, or older than what was sent by it
    │   ├── LedgerUntrustedError   13   another account may have planted or changed the ledger or its lock
    │   ├── UploadFileError        13   the file of an upload's part is not in the spool, or was changed there
    │   └── LedgerWriteError       13   read-only, disk full, I/O error
    ├── ArrivalError           14   the file that a job waits for has not arrived, or is not ready
    └── SignalError       129/130/143   interrupted (hangup, Ctrl-C, termination); resumable

What always holds: every error that a user can see is one of these, and says what happened (to which file and line).
``remedy`` is what a person changes first, where anything has to be changed. ``next`` is the command that helps, as it
can be pasted; an empty one stands for the command that failed, once more. None of them holds the token. Exit code 3
(finished, but some rows are not confirmed) is not an error: the run did its work, and the report says which rows need
a person.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from syncer.safe.inert import inert
from syncer.safe.masking import masked
from syncer.safe.trust import UntrustedError, quoted

EXIT_OK = 0
EXIT_NOT_CONFIRMED = 3
AGAIN = ""
"""As ``next``: the command that failed, once more."""
ANY_JOB = "jobs.<name>"
"""Stands in messages for the settings of a job, where nobody knows yet which one it is."""


class SyncerError(Exception):
    """Base of every failure that ``syncer`` reports.

    ``message`` says what happened, ``remedy`` what a person changes first (None: nothing), ``next`` the command that
    helps (`AGAIN`: the same); ``code`` is a stable word for scripts.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "unexpected"
    default_remedy: ClassVar[str | None] = "report what -v prints if it stays"
    default_next: ClassVar[str] = AGAIN

    def __init__(self, message: str, *, remedy: str | None = None, next: str | None = None) -> None:
        self.message = masked(message)
        told = remedy is not None or next is not None
        self.remedy = _masked(remedy if told else self.default_remedy)
        self.next = masked(self.default_next if next is None else next)
        super().__init__(self.message)

    @property
    def words(self) -> str:
        """What happened and what to change, in one line for scripts."""
        return self.message if self.remedy is None else f"{self.message}; {self.remedy}"

    @property
    def status(self) -> int:
        """The exit status of the process that ends with this error."""
        return self.exit_code


class OutputError(SyncerError):
    """What the command did is recorded; its output (standard output, a results folder, a file) cannot be written."""

    code = "output"
    default_remedy = "make room for the output; what was done is recorded"
    default_next = "syncer status"


class UsageError(SyncerError):
    """The command line asks for something that cannot be done. Nothing was sent."""

    exit_code = 2
    code = "usage"
    default_remedy: ClassVar[str | None] = None


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk says that a good name was given for: no other command line would help."""


def unwritable(path: Path, error: OSError) -> UsageError | OutputError:
    """Return the error of a file that was named to be written: the command that helps makes its folder, or shows it.

    A disk that is full or fails is no fault of the command line.
    """
    words = f"{path} cannot be written: {error.strerror or error}"
    if error.errno in _NO_ROOM:
        return OutputError(words, remedy="make room, or name a file on another disk", next=AGAIN)
    if isinstance(error, FileNotFoundError):
        return UsageError(words, next=f"mkdir -p {quoted(path.parent)}")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    return UsageError(words, remedy="make room, give write access, or name another", next=f"ls -ld {quoted(there)}")


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, missing, or contradicts another. Nothing was sent."""

    code = "configuration"
    default_remedy = "correct the setting"
    default_next = "syncer check"


class HeaderError(ConfigError):
    """The configuration does not fit a file's header. `check`, which knows no file, would find nothing."""

    default_next: ClassVar[str] = AGAIN


class SourceError(UsageError):
    """A file cannot be read, or its structure is in doubt, so that it is refused whole. Nothing was sent.

    ``line`` and ``column`` (1-based; None where there is no single place) say where.
    """

    code = "source"
    default_remedy = "correct the file, or declare its form in jobs.<name>.csv"
    default_next: ClassVar[str] = AGAIN

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        remedy: str | None = None,
        next: str | None = None,
    ) -> None:
        file = inert(file)
        place = file if line is None else f"{file}:{line}" if column is None else f"{file}:{line}:{column}"
        super().__init__(f"{place}: {message}", remedy=remedy, next=next)
        self.file = file
        self.line = line
        self.column = column


class UntrustedFileError(UsageError):
    """Another account may have planted or changed a file or folder that is to be used. Nothing was done with it."""

    code = "untrusted-file"

    @classmethod
    def of(cls, error: UntrustedError) -> UntrustedFileError:
        """Say what the door to files said."""
        return cls(str(error.strerror), next=error.remedy)


class TargetChangedError(UsageError):
    """The ledger belongs to another address or company than the one that would be written to. Nothing was sent."""

    code = "target-changed"
    default_next = "syncer ledger info"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why one guard stops a run (a word for scripts, what it found), and what a person does about it."""

    guard: str
    message: str
    remedy: str


class StaleError(SyncerError):
    """A night that was due did not happen, or did not end well. Status 3: nothing is broken, a person should look."""

    exit_code = EXIT_NOT_CONFIRMED
    code = "stale"
    default_remedy: ClassVar[str | None] = None
    default_next = "syncer status"


class GuardError(SyncerError):
    """A guard stopped the run: what it would do, or has seen the API do, is far from what is usual.

    ``stops`` has what the guards against a bad export found, one by one.
    """

    exit_code = 4
    code = "guard"
    default_remedy = "look at the examples above; approve them if they are right"
    default_next = "syncer sync FILE --approve"

    def __init__(
        self, message: str, *, remedy: str | None = None, next: str | None = None, stops: Sequence[Stop] = ()
    ) -> None:
        super().__init__(message, remedy=remedy, next=next)
        self.stops = tuple(Stop(stop.guard, masked(stop.message), masked(stop.remedy)) for stop in stops)


class UnreachableError(SyncerError):
    """The API could not be reached, or kept failing for ``api.give_up_after_s``. Resumable."""

    exit_code = 5
    code = "unreachable"
    default_remedy = "see whether the API answers (syncer check); what was begun goes on"


class DeadlineError(SyncerError):
    """The deadline came before the end of the work. Everything is recorded; resumable."""

    exit_code = 10
    code = "deadline"
    default_remedy: ClassVar[str | None] = None
    default_next = "syncer resume"


class LedgerBusyError(SyncerError):
    """Another run holds the ledger."""

    exit_code = 11
    code = "ledger-busy"
    default_remedy = "wait for the other run to end (syncer status)"


class AccessError(SyncerError):
    """The API refused the token (401) or a permission (403). Nothing of the refused call was processed."""

    exit_code = 12
    code = "access"
    default_remedy = "renew the token or its permissions in the portal"
    default_next = "syncer check"


class LedgerError(SyncerError):
    """The ledger cannot be used."""

    exit_code = 13
    code = "ledger"
    default_remedy: ClassVar[str | None] = None
    default_next = "syncer ledger check"


class LedgerCorruptError(LedgerError):
    """The ledger's file is damaged, or is not a ledger."""

    code = "ledger-corrupt"
    default_remedy = "put back the newest good backup (syncer ledger restore)"
    default_next = "syncer ledger check"

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        next: str | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """``members`` are those of the command's document that are known all the same: what was found."""
        super().__init__(message, remedy=remedy, next=next)
        self.members = dict(members or {})


class LedgerSchemaError(LedgerError):
    """The ledger's schema is newer than this program, or older and not yet upgraded."""

    code = "ledger-schema"
    default_next = "syncer ledger upgrade"


class LedgerUnfinishedError(LedgerError):
    """A run died while it wrote to the ledger, and what it had begun could not be rolled back here."""

    code = "ledger-unfinished"
    default_remedy = "give write access to the ledger and its folder"
    default_next = "syncer resume"


class LedgerUntrustedError(LedgerError):
    """Another account may have planted or changed the ledger, its folder or its lock. Nothing was read or written."""

    code = "ledger-untrusted"

    @classmethod
    def of(cls, error: UntrustedError) -> LedgerUntrustedError:
        """Say what the door to files said."""
        return cls(f"the ledger is not used: {error.strerror}", next=error.remedy)


class UploadFileError(LedgerError):
    """The file of a part of an upload of own codes is not in the spool, or was changed there: that part waits."""

    default_remedy = "put it back, or repeat the upload with its file and all its options: that writes it anew"


class LedgerOldError(LedgerError):
    """The ledger is a backup, or older than its own deeds: what it believes may not be so. Nothing was sent."""

    code = "ledger-old"
    default_next = "syncer ledger recover"


class LedgerArchiveError(LedgerError):
    """A file to which old history was moved is not there: what is left would look like all of it."""

    code = "ledger-archive"
    default_remedy = "put the archive back beside the ledger"
    default_next = "syncer ledger check"


class LedgerWriteError(LedgerError):
    """The ledger is read-only, its disk is full, or writing failed. What was committed before stays.

    The same command goes on; a session whose plan is stored names ``syncer resume``.
    """

    code = "ledger-write"
    default_remedy = "make room or give write access"
    default_next = AGAIN


class ArrivalError(SyncerError):
    """The file that a job waits for has not arrived, is not ready, or is too old. Nothing was sent."""

    exit_code = 14
    code = "not-arrived"
    default_remedy = "see what the export does"


class SignalError(SyncerError):
    """A signal ended the command; what was in flight is settled or resumable. Status: 128 + the number of the signal.

    The same command goes on, unless ``next`` names another: a run that had begun to send goes on without its file.
    """

    exit_code = 130
    code = "interrupted"
    default_remedy: ClassVar[str | None] = None

    def __init__(self, message: str, *, signal_number: int, next: str = AGAIN) -> None:
        super().__init__(message, next=next)
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        """128 + signal number: 129 for SIGHUP, 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal_number


class IllegalTransitionError(SyncerError):
    """An event that is not allowed in a batch's state: a defect of the program. Nothing was changed."""

    code = "illegal-transition"


class StaleStateError(IllegalTransitionError):
    """The ledger holds another state than this process has seen: another process wrote to it. Nothing was changed."""

    default_remedy = (
        "see that no other run uses this ledger, and that its file system has locks; report it if it happens to a run "
        "that was alone"
    )
    default_next = "syncer resume"


def _masked(words: str | None) -> str | None:
    return None if words is None else masked(words)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question about the known name that is nearest, to stand after a message; empty when none is near.

    Of one that looks the same the characters are told: an ö may be one, or an o with a mark of its own behind it, and
    an e may be Cyrillic.
    """
    import difflib
    import unicodedata

    written = {one.casefold(): one for one in known}
    close = [written[one] for one in difflib.get_close_matches(name.casefold(), written, n=1)]
    if not close:
        return ""
    alike = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", close[0])
    alike = alike or (len(name) == len(close[0]) and name.isascii() != close[0].isascii())
    told = f" It looks alike, of other characters: {close[0]!a}, not {name!a}" if alike else ""
    return f" (did you mean {close[0]!r}?{told})"
