"""The way of one row through the program: ``python tools/way.py FOLDER…``, each a checkout with its own ``.venv``.

A file of one row is synced against the sandbox. Whatever function of the package is called with the row's key, or
returns it, is on its way. A *station* is a module with such a function; a *return* is a step back to a module that the
row has left before. Bounded: one row, one call, and a sandbox that ends with this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import FrameType

KEY = "STATION0001"
"""The row's key: no other text of a run looks like it."""
CONFIG = '[api]\nbase_url = "{address}"\n[jobs.way]\nkey = "extended_id"\n'


@contextmanager
def sandbox(root: Path, folder: Path) -> Iterator[str]:
    """Run the checkout's sandbox with the one code; give its address."""
    (folder / "row.csv").write_text(f"extended_id,lot\n{KEY},L1\n", encoding="utf-8")
    command = [sys.executable, "-m", "syncer", "sandbox", "--port", "0", "--codes", str(folder / "row.csv")]
    variables = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, cwd=folder, text=True) as server:
        try:
            said = (server.stdout or sys.stdin).readline()
            yield next(word for word in said.split() if word.startswith("http"))
        finally:
            server.terminate()


def traced(root: Path, arguments: list[str]) -> tuple[list[str], object]:
    """Run a command of the checkout `root` in this process; return the modules that the row came through, in order."""
    way: list[str] = []
    within = f"{root / 'syncer'}{os.sep}"

    def look(frame: FrameType, event: str, value: object) -> None:
        file = frame.f_code.co_filename
        if event not in {"call", "return"} or not file.startswith(within):
            return
        try:
            seen = KEY in repr(value if event == "return" else frame.f_locals)
        except Exception:  # what is half made may have no text yet
            return
        module = file.removeprefix(within).removesuffix(".py").replace(os.sep, ".")
        if seen and way[-1:] != [module]:
            way.append(module)

    sys.path.insert(0, str(root))
    from syncer.cli import main as command  # that of the checkout

    code: object = 0
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        sys.argv = ["syncer", *arguments]
        command()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return way, code


def show(root: Path) -> None:
    """Print the figures of one checkout, from its own environment."""
    with tempfile.TemporaryDirectory(prefix="syncer-way-") as name:
        folder = Path(name)
        os.chdir(folder)
        with sandbox(root, folder) as address:
            (folder / "config.toml").write_text(CONFIG.format(address=address), encoding="utf-8")
            sys.stdout.flush()
            way, code = traced(root, ["sync", "--quiet", "row.csv"])
    folders = [folder for folder, _ in groupby(module.partition(".")[0] for module in way)]
    told = "; ".join(
        f"{len(set(one))} {what}, {_returns(one)} returns" for what, one in (("modules", way), ("folders", folders))
    )
    sys.stdout.write(f"{root.name}: exit {code}: {told}\n  {' '.join(folders)}\n")


def _returns(way: list[str]) -> int:
    return sum(one in way[:place] for place, one in enumerate(way))


if __name__ == "__main__":
    for one in sys.argv[1:]:
        at = Path(one).resolve()
        if os.environ.get("WAY_OF") == str(at):
            show(at)
        else:
            python = str(at / ".venv/bin/python")
            variables = {"WAY_OF": str(at), "SYNCER_API__TOKEN": "sandbox-token"}  # the sandbox takes any
            subprocess.run([python, __file__, one], env=os.environ | variables, check=True, timeout=300)
