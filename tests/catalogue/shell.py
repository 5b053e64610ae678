"""The program started as cron would start it: by a line of shell."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

PROGRAM = shlex.quote(sys.executable) + " -m syncer"


def shell(here: Any, command: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell as cron would; ``syncer`` in it is the program."""
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("syncer ", PROGRAM + " ")],
        cwd=here.folder, env=here.variables(**extra), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
