"""`make demo`: a night with an ERP's export, in front of the user, against the sandbox.

Everything runs as a user would run it: the program's own commands, in a folder of their own, over HTTP. Nothing of
the program is imported here.
"""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from syncer.sandbox import Sandbox, SandboxConfig

ROWS = 6_000
MARKETS = ("DE", "FR", "IT", "NA", "CN", "US")
STOP_AFTER_UPDATES = 4
STEP_S_MAX = 60.0


def make_night(folder: Path, rows: int = ROWS) -> None:
    """Write the company's codes, and a night's export of them with a few bad rows."""
    random = Random(20)  # noqa: S311  a sample, the same every time
    with (folder / "codes.csv").open("w", newline="", encoding="utf-8") as file:
        codes = csv.writer(file)
        codes.writerow(["extended_id"])
        codes.writerows([f"HGDT{number:08d}"] for number in range(rows))
    with (folder / "night.csv").open("w", newline="", encoding="utf-8") as file:
        export = csv.writer(file)
        export.writerow(["extended_id", "intended_market", "production_date", "case_no", "activation_status"])
        for number in range(rows):
            market = MARKETS[number * len(MARKETS) // rows]
            case = f"C{random.randrange(10**6):06d}" if random.random() < 0.03 else f"PALLET-{market}"  # noqa: PLR2004
            export.writerow([f"HGDT{number:08d}", market, "2026-11-20", case, "active"])
        export.writerow(["HGDT00000000X", "DE", "2026-11-20", "PALLET-DE", "active"])
        export.writerow(["", "DE", "2026-11-20", "PALLET-DE", "active"])
        export.writerow(["HGDT00000017", "DE", "2026-11-20", "PALLET-DE", "sold"])


def say(words: str) -> None:
    """Explain what comes next."""
    print(f"\n\033[1m# {words}\033[0m" if sys.stdout.isatty() else f"\n# {words}", flush=True)  # noqa: T201


def run(folder: Path, command: str, environment: dict[str, str], *, stop: Callable[[], bool] | None = None) -> int:
    """Show a command as it would be typed, and run it; kill it as soon as `stop` says so."""
    print(f"$ {command}", flush=True)  # noqa: T201
    arguments = [sys.executable, "-m", "syncer", *shlex.split(command)[1:]]
    process = subprocess.Popen(arguments, cwd=folder, env=environment)
    until_s = time.monotonic() + STEP_S_MAX
    while stop is not None and process.poll() is None and time.monotonic() < until_s:
        if stop():
            process.send_signal(signal.SIGKILL)
            process.wait()
            print("Killed", flush=True)  # noqa: T201
        time.sleep(0.005)
    return process.wait(STEP_S_MAX)


def main() -> int:
    """Run the whole demonstration; return 0 when every step ended as it should."""
    with tempfile.TemporaryDirectory(prefix="syncer-demo-") as name:
        folder = Path(name)
        make_night(folder)
        began_s = time.monotonic()
        with Sandbox(SandboxConfig(codes_file=str(folder / "codes.csv"), latency_s=0.1, task_run_s=0.3)) as box:
            environment = {
                **os.environ,
                "SYNCER_API__BASE_URL": box.url,
                "SYNCER_API__TOKEN": "demo-token",
                "COLUMNS": "120",
            }
            codes = [_night(folder, environment), _killed(folder, environment, box)]
            say(f"The sandbox saw {len(box.requests)} requests and {len(box.world.violations)} violations.")
        print(f"demo: {time.monotonic() - began_s:.0f} s", flush=True)  # noqa: T201
        return 0 if codes == [True, True] else 1


def _night(folder: Path, environment: dict[str, str]) -> bool:
    say("A new folder: the configuration and the ledger.")
    ended = [run(folder, "syncer init", environment), run(folder, "syncer check", environment)]
    say("What would be sent? Three rows are bad on purpose; two of them can be told before sending.")
    ended.append(run(folder, "syncer plan night.csv", environment))
    say("Send it: validated, planned, sent at the API's limit, polled, reconciled.")
    ended.append(run(folder, "syncer sync night.csv --results results", environment))
    say("The same file again: nothing is sent but the value that no code has.")
    ended.append(run(folder, "syncer sync night.csv", environment))
    return ended == [0, 0, 3, 3, 3]


def _killed(folder: Path, environment: dict[str, str], box: Sandbox) -> bool:
    say("Another night: every date changes. The run is killed in the middle (SIGKILL, as a power cut would) …")
    text = (folder / "night.csv").read_text(encoding="utf-8").replace("2026-11-20", "2026-11-21")
    rows = [
        row
        for row in text.splitlines(keepends=True)
        if not row.startswith(("HGDT00000000X", ",")) and "sold" not in row
    ]
    (folder / "night2.csv").write_text("".join(rows), encoding="utf-8")
    before = len(box.calls("async")) + len(box.calls("sync"))
    killed = run(
        folder,
        "syncer sync night2.csv --approve",
        environment,
        stop=lambda: len(box.calls("async")) + len(box.calls("sync")) >= before + STOP_AFTER_UPDATES,
    )
    say("… and finished from the ledger alone. Calls whose answers nobody saw are looked up, not repeated.")
    resumed = run(folder, "syncer resume", {**environment, "SYNCER_API__SETTLE_S": "3"})
    say("What happened, for whoever asks: the runs, and all that was ever sent for one code.")
    shown = [run(folder, "syncer status", environment), run(folder, "syncer audit show HGDT00000042", environment)]
    applied = sum(code.get("production_date") == "2026-11-21" for code in box.codes())
    say(f"The sandbox holds the second night's data for {applied} of {ROWS} codes.")
    return killed != 0 and resumed == 0 and shown == [0, 0] and applied == len(rows) - 1


if __name__ == "__main__":
    sys.exit(main())
