"""Speed and size, as whole processes beside each other: floors, peers, and the program. `make bench ROWS=1000000`.

    python speed.py --rows N [--runs 3] [--peers PYTHON] [--nights 30] [--scattered]

Every round measures everything once, so that what else the machine does falls on all of them; the tables show medians
of the rounds, wall and CPU seconds, and the greatest peak of memory (`ru_maxrss` of that child). With more than a
million rows, a million is measured first, and the growth per row is shown. Everything but the peers is measured once
more with keys in random order (``--scattered``: with these alone). Prints; asserts counts, never a time.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Measured, once, several

HERE = Path(__file__).parent
STEPS = str(HERE / "steps.py")
CONFIG = """\
[jobs.erp]
key = "extended_id"
[jobs.erp.columns]
product = "product"
intended_market = "intended_market"
production_date = "production_date"
case_no = "case_no"
activation_status = "activation_status"
"""
SMALL = 1_000_000
PEERS_MAX = 1_000_000
"""Rows at which the peers are still measured: at ten million, one round of them takes an hour."""
ENVIRONMENT = {
    **os.environ,
    "SYNCER_API__TOKEN": "none",
    "SYNCER_API__BASE_URL": "http://127.0.0.1:9",  # nobody listens: the plan is stored, and nothing is sent
    "SYNCER_API__GIVE_UP_AFTER_S": "0.2",
    "SYNCER_PRODUCTS__CHECK": "false",  # the products would be asked for before anything is stored
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}
NOT_SENT = 5
"""The exit code of a run whose API is away."""


@dataclass
class Table:
    """What was measured in all rounds, by line."""

    rows: int
    found: dict[str, list[Measured]] = field(default_factory=dict)

    def add(self, line: str, measured: Measured) -> None:
        self.found.setdefault(line, []).append(measured)

    def wall_s(self, line: str) -> float:
        return statistics.median(one.wall_s for one in self.found[line])

    def show(self, keys: str) -> None:
        print(f"\n### {self.rows:,} rows, keys {keys} ({load()})\n")
        print("| whole process | wall | CPU | peak memory | a row |\n| --- | ---: | ---: | ---: | ---: |")
        for line, found in self.found.items():
            cpu_s = statistics.median(one.cpu_s for one in found)
            peak = max(one.peak_mib for one in found)
            each = self.wall_s(line) / self.rows * 1e6
            print(f"| {line} | {self.wall_s(line):.2f} s | {cpu_s:.2f} s | {peak:,.0f} MiB | {each:.2f} µs |")

    def ratio(self, slow: str, fast: str, least: float) -> None:
        if slow in self.found:
            print(f"- {fast}: {self.wall_s(slow) / self.wall_s(fast):.1f} × faster than {slow} (to reach: {least:g} ×)")


def load() -> str:
    return f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


FLOOR, PYTHON_FLOOR = "floor: pyarrow.csv, streaming", "floor: csv.reader"
LOAD, CONFIRM, NIGHT = "first load: plan and store", "confirm all", "night: plan against the ledger"
WIDE = "plan, 384 more characters a row that are not sent"
DLT_FIRST, DLT_NIGHT = "dlt merge into DuckDB, first", "dlt merge, the next night"
INSERT, UPSERT = "sqlite-utils insert", "sqlite-utils upsert"


class Bench:
    """One size in one folder, with a ledger of its own."""

    def __init__(self, folder: Path, rows: int, peers: str | None, options: tuple[str, ...] = ()) -> None:
        self.folder, self.rows, self.peers, self.options = folder, rows, peers, options
        self.table = Table(rows)
        self.first, self.next_night = str(folder / "first.csv"), str(folder / "night.csv")
        folder.mkdir()
        (folder / "config.toml").write_text(CONFIG)
        self.export(self.first)
        self.export(self.next_night, "--night", "1")

    def export(self, path: str, *options: str) -> None:
        # In a process of its own: a child's peak memory counts from that of the process that starts it.
        self.run(str(HERE / "export.py"), path, str(self.rows), *options, *self.options)

    def run(self, *command: str, codes: tuple[int, ...] = (0,)) -> Measured:
        os.sync()  # or a step's commits would wait for what the step before it, and the exports, left to be written
        return once([sys.executable, *command], self.folder, ENVIRONMENT, codes)

    def wipe(self) -> None:
        for path in self.folder.glob("syncer.db*"):
            path.unlink()

    def round(self) -> None:
        table = self.table
        table.add(FLOOR, self.run(STEPS, "floor_arrow", self.first))
        table.add(PYTHON_FLOOR, self.run(STEPS, "floor_csv", self.first))
        self.wipe()
        table.add(LOAD, self.run("-m", "syncer", "sync", "--json", self.first, codes=(NOT_SENT,)))
        done = self.run(STEPS, "confirm")
        told = json.loads(done.out)
        assert told["codes"] == self.rows
        table.add(CONFIRM, Measured(told["seconds"], told["cpu_s"], done.peak_mib, done.out))
        night = self.run("-m", "syncer", "plan", "--json", self.next_night)
        counts = json.loads(night.out)["rows"]
        assert counts["unchanged"] + counts["changed"] == self.rows
        assert counts["new"] == self.rows // 1000
        table.add(NIGHT, night)
        if self.peers and self.rows <= PEERS_MAX:
            self.round_of_peers(self.peers)

    def round_of_peers(self, python: str) -> None:
        folder = self.folder / "peers"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        merge = [python, str(HERE / "peers.py"), "dlt"]
        self.table.add(DLT_FIRST, once([*merge, self.first, str(folder)], folder, ENVIRONMENT, (0,)))
        self.table.add(DLT_NIGHT, once([*merge, self.next_night, str(folder)], folder, ENVIRONMENT, (0,)))
        if INSERT in self.table.found:
            return  # once is enough of what takes minutes
        for line, verb, path in ((INSERT, "insert", self.first), (UPSERT, "upsert", self.next_night)):
            command = [python, "-m", "sqlite_utils", verb, "peer.db", "codes", path, "--csv", "--pk", "extended_id"]
            self.table.add(line, once(command, folder, ENVIRONMENT, (0,)))

    def wide(self) -> None:
        path = str(self.folder / "wide.csv")
        self.export(path, "--night", "1", "--wide")
        self.table.add(WIDE, self.run("-m", "syncer", "plan", "--json", path))
        Path(path).unlink()

    def size(self) -> None:
        told = json.loads(self.run(STEPS, "bytes_per_code").out)
        codes, tables = told["codes"], told["tables"]
        parts = {name: tables[name] / codes for name in ("mirror", "items", "items_key")}
        shown = ", ".join(f"{name} {size:.1f}" for name, size in parts.items())
        print(f"- ledger: {sum(parts.values()):.0f} bytes a code (to reach: 130): {shown}")
        print(f"- the whole file: {told['file'] / codes:.0f} bytes a code, with payloads, batches, attempts, events")

    def commands(self) -> None:
        for arguments in (["--version"], ["status"], ["audit", "show", "HGDTQD54D5SD00000000000"]):
            done = several([sys.executable, "-m", "syncer", *arguments], self.folder, ENVIRONMENT)
            print(f"- syncer {' '.join(arguments)}: {done.wall_s:.2f} s wall, {done.cpu_s:.2f} s CPU")


def nights(bench: Bench, count: int) -> None:
    """Let `count` nights go by, each with 1 % changed, 0.1 % new; show what the ledger and its commands become."""
    path, seconds = str(bench.folder / "some.csv"), []
    for night in range(1, count + 1):
        bench.export(path, "--night", str(night))
        began_s = time.monotonic()
        done = bench.run("-m", "syncer", "sync", "--json", path, codes=(NOT_SENT,))
        told = json.loads(bench.run(STEPS, "confirm").out)
        seconds.append((done.wall_s, time.monotonic() - began_s, told["codes"]))
    print(f"\n### {count} nights of 1 % on {bench.rows:,} codes ({load()})\n")
    print(f"- plan and store: first night {seconds[0][0]:.2f} s, last night {seconds[-1][0]:.2f} s")
    print(f"- with confirming: first night {seconds[0][1]:.2f} s, last night {seconds[-1][1]:.2f} s")
    bench.size()
    bench.commands()
    backup = bench.run("-m", "syncer", "ledger", "backup", "backup.db")
    print(f"- ledger backup: {backup.wall_s:.2f} s, {(bench.folder / 'backup.db').stat().st_size / 1e6:.0f} MB")


def compare(folder: Path, asked: argparse.Namespace, peers: str | None, options: tuple[str, ...]) -> Bench:
    """Measure a million rows, and as many as were asked for; return what holds the small ledger."""
    keys = "in random order" if options else "ascending"
    small = Bench(folder / f"small{len(options)}", min(asked.rows, SMALL), peers, options)
    for _ in range(asked.runs):
        small.round()
    small.wide()
    small.table.show(keys)
    print()
    for slow, fast, least in ((DLT_NIGHT, NIGHT, 3), (UPSERT, NIGHT, 15), (DLT_FIRST, LOAD, 4), (INSERT, LOAD, 25)):
        small.table.ratio(slow, fast, least)
    small.size()
    small.commands()
    if asked.rows > SMALL:
        large = Bench(folder / f"large{len(options)}", asked.rows, None, options)
        for _ in range(asked.runs):
            large.round()
        large.table.show(keys)
        print()
        for line in (LOAD, CONFIRM, NIGHT):
            growth = large.table.wall_s(line) / large.rows / (small.table.wall_s(line) / small.rows)
            print(f"- {line}: a row costs {growth:.2f} × what it costs at {small.rows:,} (to reach: 1.3 ×)")
        large.size()
        large.commands()
        shutil.rmtree(large.folder)
    return small


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=SMALL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", help="the Python that has the peers; without it they are left out")
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--scattered", action="store_true", help="only with keys in random order")
    asked = parser.parse_args()
    # Bytecode stands beside installed modules, those of the peers too; here it would else be made anew by every process.
    compileall.compile_dir(HERE.parents[1] / "syncer", quiet=2)
    with tempfile.TemporaryDirectory(prefix="syncer-bench-") as name:
        folder = Path(name)
        bench = compare(folder, asked, asked.peers, ("--scattered",) if asked.scattered else ())
        if not asked.scattered:
            compare(folder, asked, None, ("--scattered",))
        if asked.nights:
            nights(bench, asked.nights)


if __name__ == "__main__":
    main()
