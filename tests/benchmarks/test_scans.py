"""A million scans to files: rows a second and peak memory, against what the server itself needs. `make bench`."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.benchmark
SERVER = """
import sys
from syncer.sandbox import SandboxConfig, serve
serve(SandboxConfig(scans=int(sys.argv[1]), reads_per_minute=10**6), lambda url: print(url, flush=True))
"""
NEXT = re.compile(rb'"next": (null|"([^"]*)")')


@contextmanager
def server(count):
    """A sandbox in a process of its own, so that its work is not the client's."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(count)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def only_read(url):
    """Read every page and look at nothing but `next`: what the server and the wire need."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    path = "/api/v2/dashboard/scans/?campaign_id=1&date_from=2000-01-01&page_mode=cursor&limit=1000"
    size = 0
    while path:
        connection.request("GET", path, headers={"Authorization": "UAT x"})
        body = connection.getresponse().read()
        size += len(body)
        following = NEXT.search(body[:2000])[2]
        path = following.decode().removeprefix(url) if following else None
    connection.close()
    return size


def measured(arguments, folder, url):
    """Run the program once; return its seconds, its own processor seconds, its peak memory in MiB, its document."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SYNCER_")},
        "SYNCER_API__TOKEN": "x",
        "SYNCER_API__BASE_URL": url,
        "SYNCER_API__READS_PER_MINUTE": "100000",
    }
    began_s = time.monotonic()
    with (folder / "out.json").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncer", "-q", *arguments, "--json"], cwd=folder, env=variables, stdout=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began_s
    assert process.returncode == 0, (folder / "out.json").read_text()
    document = json.loads((folder / "out.json").read_text())
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, document


def test_a_million_scans(tmp_path):
    count = int(os.environ.get("BENCH_SCANS", "1000000"))
    print(f"\n{count:,} scans over loopback, sandbox in a process of its own")
    with server(count) as url:
        began_s = time.monotonic()
        size = only_read(url)
        server_s = time.monotonic() - began_s
        print(
            f"  {'only reading the bytes':<34} {server_s:7.1f} s  {count / server_s:9,.0f} rows/s  {size / 2**20:,.0f} MiB"
        )
        for form, arguments in (
            ("parquet", ["--format", "parquet", "--out", "p"]),
            ("csv", ["--format", "csv", "--out", "c"]),
            ("jsonl", ["--format", "jsonl", "--out", "j"]),
            ("into the ledger", ["--into-ledger"]),
        ):
            if form not in os.environ.get("BENCH_FORMS", form):
                continue
            seconds, cpu_s, mib, document = measured(["scans", "pull", "--campaign", "1", *arguments], tmp_path, url)
            assert document["scans"]["delivered"] == count
            print(
                f"  {form:<34} {seconds:7.1f} s  {count / seconds:9,.0f} rows/s  peak {mib:4.0f} MiB  "
                f"{seconds / server_s:.2f} × the server's time, {cpu_s:.1f} s of processor"
            )
        if not (tmp_path / "p").is_dir():
            return
        seconds, _, mib, document = measured(
            ["scans", "pull", "--campaign", "1", "--format", "parquet", "--out", "p"], tmp_path, url
        )
        assert document["scans"]["delivered"] == 0
        print(f"  {'parquet again: nothing new':<34} {seconds:7.1f} s  {' ':>16}  peak {mib:4.0f} MiB")
        seconds, _, mib, document = measured(["scans", "compare", "p"], tmp_path, url)
        assert document["scans"]["read"] == count
        print(
            f"  {'compare the parquet folder':<34} {seconds:7.1f} s  {count / seconds:9,.0f} rows/s  peak {mib:4.0f} MiB"
        )
