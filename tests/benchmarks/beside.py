"""An older version of the program beside this one: the same files, whole processes, in turns.

    python beside.py --old FOLDER [--rows N] [--runs 5] [--only distinct] [--plans] [--keep FOLDER]

FOLDER is a checkout of the older version with a virtual environment of its own locked requirements:

    git worktree add --detach FOLDER c760f45
    python3 -m venv FOLDER/.venv
    FOLDER/.venv/bin/pip install --require-hashes --no-deps -r FOLDER/requirements.txt
    FOLDER/.venv/bin/pip install --no-deps --no-build-isolation -e FOLDER

Each version makes a ledger of its own, in which all codes are confirmed, once with few sets of data (one a case) and
once with a set of data for each code. Then the plans are made in turns, so that what else the machine does falls on
both. Shown are the least and the median seconds of CPU time, the peak of memory, and the ratio of the least ones.
Nothing asserts a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Measured, once
from speed import CONFIG, ENVIRONMENT, NOT_SENT, load

HERE = Path(__file__).parent
SHAPES = {
    "cases": CONFIG,
    "distinct": CONFIG + 'order_line = "order_line"\n',
}
"""One set of data for each case of 24 codes, or one for each code."""
LESS = 'production_date = "production_date"\n'
"""What a file may leave out: the pictures then hold one field more than the file."""


@dataclass
class Version:
    """One version of the program, with folders that hold its ledgers."""

    name: str
    python: str
    steps: str
    folder: Path
    variables: dict[str, str]
    found: dict[str, list[Measured]] = field(default_factory=dict)

    def run(self, shape: str, *command: str, code: int = 0, ledger: str = "syncer.db") -> Measured:
        variables = self.variables | {"SYNCER_LEDGER__URL": f"sqlite:///{ledger}"}
        return once([self.python, *command], self.folder / shape, variables, (code,))

    def plan(self, line: str, shape: str, path: str, config: str, *, known: bool) -> dict[str, int]:
        """Make a plan, against the ledger in which all is confirmed or none; return what becomes of the rows."""
        command = ["-m", "syncer", "--config", config, "plan", "--json", path]
        done = self.run(shape, *command, ledger="syncer.db" if known else "none.db")
        self.found.setdefault(line, []).append(done)
        return json.loads(done.out)["rows"]

    def prepare(self, shape: str, first: str) -> None:
        """Load and confirm all codes; what the first load took is the first that is shown."""
        folder = self.folder / shape
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(SHAPES[shape])
        (folder / "less.toml").write_text(SHAPES[shape].replace(LESS, ""))
        if (folder / "syncer.db").exists():
            return
        self.store(shape, first)
        (folder / "thrown" / "syncer.db").rename(folder / "syncer.db")

    def store(self, shape: str, first: str) -> None:
        """Plan and store a first load in a ledger that is thrown away, and confirm all of it."""
        folder = f"{shape}/thrown"
        shutil.rmtree(self.folder / folder, ignore_errors=True)
        (self.folder / folder).mkdir()
        (self.folder / folder / "config.toml").write_text(SHAPES[shape])
        done = self.run(folder, "-m", "syncer", "sync", "--json", first, code=NOT_SENT)
        self.found.setdefault("first load: plan and store", []).append(done)
        confirmed = self.run(folder, self.steps, "confirm")
        told = json.loads(confirmed.out)
        done = Measured(told["seconds"], told["cpu_s"], confirmed.peak_mib, confirmed.out)
        self.found.setdefault("confirm all", []).append(done)


def one_round(version: Version, shape: str, rows: int, first: str, night: str, *, store: bool) -> None:
    if store:
        version.store(shape, first)
    assert version.plan("first load: plan", shape, first, "config.toml", known=False)["new"] == rows
    found = version.plan("night: plan", shape, night, "config.toml", known=True)
    assert found["new"] == rows // 1000
    assert found["unchanged"] + found["changed"] == rows
    assert version.plan("night without changes: plan", shape, first, "config.toml", known=True)["unchanged"] == rows
    if version.name == "new":  # to the older version each row of such a file is changed
        line = "night without changes, pictures hold one field more: plan"
        assert version.plan(line, shape, first, "less.toml", known=True)["unchanged"] == rows


def show(old: Version, new: Version) -> None:
    print("| whole process | older: least, median CPU | this: least, median CPU | ratio | memory | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for line, ours in new.found.items():
        theirs = old.found.get(line, old.found.get(line.replace(", pictures hold one field more", ""), []))
        (low, middle, peak), (old_low, old_middle, old_peak) = map(_figures, (ours, theirs))
        print(
            f"| {line} | {old_low:.2f} s, {old_middle:.2f} s | {low:.2f} s, {middle:.2f} s | {low / old_low:.2f} "
            f"| {old_peak:,.0f} MiB, {peak:,.0f} MiB | {peak / old_peak:.2f} |"
        )


def _figures(found: list[Measured]) -> tuple[float, float, float]:
    seconds = [one.cpu_s for one in found]
    return min(seconds), statistics.median(seconds), max(one.peak_mib for one in found)


def _versions(at: Path, folder: Path) -> tuple[Version, Version]:
    """Return the older version and this one. Bytecode stands beside both, or it would be made anew by every process."""
    python, variables = at / ".venv/bin/python", ENVIRONMENT | {"PYTHONPATH": ""}  # not this version's modules
    for one, root in ((str(python), at), (sys.executable, HERE.parents[1])):
        once([one, "-m", "compileall", "-q", str(root / "syncer")], folder, ENVIRONMENT, (0,))
    old = Version("old", str(python), str(at / "tests/benchmarks/steps.py"), folder / "old", variables)
    return old, Version("new", sys.executable, str(HERE / "steps.py"), folder / "new", dict(ENVIRONMENT))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=Path, required=True, help="the checkout of the older version")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=SHAPES, action="append", help="one shape of data")
    parser.add_argument("--plans", action="store_true", help="plans alone; else storing and confirming, too")
    parser.add_argument("--keep", type=Path, help="where files and ledgers are kept for the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="syncer-beside-") as name:
        folder = asked.keep or Path(name)
        first, night = str(folder / "first.csv"), str(folder / "night.csv")
        for path, more in ((first, ()), (night, ("--night", "1"))):
            if not Path(path).exists():
                once([sys.executable, str(HERE / "export.py"), path, str(asked.rows), *more], folder, ENVIRONMENT, (0,))
        at = asked.old.resolve()
        old, new = _versions(at, folder)
        for shape in asked.only or SHAPES:
            for version in (old, new):
                version.found.clear()
                version.prepare(shape, first)
            for _ in range(asked.runs):
                for version in (old, new):
                    one_round(version, shape, asked.rows, first, night, store=not asked.plans)
            print(f"\n### {asked.rows:,} rows, {shape}, beside {at.name}, {asked.runs} rounds ({load()})\n", flush=True)
            show(old, new)


if __name__ == "__main__":
    main()
