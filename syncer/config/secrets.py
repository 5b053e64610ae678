"""Secrets that do not stand in the configuration: from a file, a systemd credential, or a command that prints one.

What always holds: a file is nobody else's to change; a command is started without a shell, when its secret is first
needed, once, and without this program's own variables, may take so long and print so much; neither its output nor what
it says is ever shown.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from syncer.errors import ConfigError
from syncer.safe.files import read_trusted
from syncer.safe.masking import Secret
from syncer.safe.trust import UntrustedError, others_may_read, quoted

COMMAND_S_MAX = 60.0
"""How long a command may take; vaults answer within seconds."""
PRINTED_BYTES_MAX = 65_536
"""How much a command may print; no secret is as long."""
OWN_VARIABLES = "SYNCER_"


class CommandSecret(Secret):
    """A secret that a command prints. ``reveal`` runs it, the first time."""

    __slots__ = ("_command", "_setting", "_take")

    def __init__(self, command: Sequence[str], setting: str, take: Callable[[str, str], Secret]) -> None:
        super().__init__("")
        self._command, self._setting, self._take = tuple(command), setting, take

    def reveal(self) -> str:
        """Return the secret; raise `ConfigError` when the command gives none."""
        if not self._value:
            self._value = self._take(_printed(self._command, self._setting), f"what {self._setting} prints").reveal()
        return self._value


def _printed(command: Sequence[str], setting: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    by_hand = f"run the command of {setting} by hand"
    try:
        output, code = _run(command, environment)
    except OSError as error:
        raise ConfigError(f"the command of {setting} cannot be started: {error.strerror}", remedy=by_hand) from None
    except subprocess.TimeoutExpired:
        words = f"the command of {setting} did not end within {COMMAND_S_MAX:g} s"
        raise ConfigError(words, remedy=by_hand) from None
    if len(output) > PRINTED_BYTES_MAX:
        words = f"the command of {setting} prints more than {PRINTED_BYTES_MAX // 1024} KiB: that is no secret"
        raise ConfigError(words, remedy=by_hand)
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"the command of {setting} prints no text", remedy=by_hand) from None
    if code != 0:
        raise ConfigError(f"the command of {setting} ended with exit code {code}", remedy=by_hand)
    return text


def _run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[bytes, int]:
    """Return what a command prints, and its exit code; of one that prints too much, the begin, and it is killed.

    Raises `subprocess.TimeoutExpired` when it does not end in time.
    """
    until_s, output = time.monotonic() + COMMAND_S_MAX, b""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        printed, look = cast("IO[bytes]", process.stdout).fileno(), select.poll()
        look.register(printed, select.POLLIN)
        try:
            while len(output) <= PRINTED_BYTES_MAX:
                if not look.poll(max(0.0, until_s - time.monotonic()) * 1000):
                    raise subprocess.TimeoutExpired(command, COMMAND_S_MAX)
                part = os.read(printed, PRINTED_BYTES_MAX)
                if not part:
                    return output, process.wait(max(0.0, until_s - time.monotonic()))
                output += part
            return output, 0
        finally:
            process.kill()


def secret_file(file: Path, setting: str, *, private: bool = True) -> str:
    """Return what a file holds that ``setting`` names; ``private``: raise `ConfigError` when others may read it.

    A name under which no file is may be the secret itself, put into the wrong setting: it is not repeated.
    """
    try:
        content, found = read_trusted(file)
        if private and others_may_read(found):
            raise ConfigError(f"the file of {setting}, {file}, can be read by others", next=f"chmod 600 {quoted(file)}")
        return content.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"the file that {setting} names is not in {file.parent}; the setting holds a file's name, not the secret"
        ) from None
    except UntrustedError as error:
        raise ConfigError(f"{setting}: {error.strerror}", next=error.remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"the file of {setting}, {file}, cannot be read: {words}") from None


def credential(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the file of one of systemd's credentials; None when it was not given."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder) / name if folder else None
    return file if file is not None and os.path.lexists(file) else None


def one_line(text: str, place: str) -> Secret:
    """Return a password: one line, as it is but for its end; raise `ConfigError` when it is none."""
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or "\n" in line or "\0" in line:
        raise ConfigError(f"{place} is no password: it must be one line")
    return Secret(line)
