"""``syncer sandbox`` ends when it is told to, at whatever moment of its life that is."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from sampling import chance, covered, sample

MOMENTS = [number * 0.025 for number in range(60)]
"""From before the interpreter has read its first module until after it listens."""
AT_ONCE = 3
ENDED = {0, 143, -signal.SIGTERM}
"""It served; it was still loading; Python had not yet begun."""


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "syncer", "sandbox", "--port", "0", *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process):
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("it did not end")
    assert process.returncode in ENDED, err
    assert "Traceback" not in err
    return out


def test_a_signal_at_any_moment_of_its_start_ends_it(record_property):
    moments = sample(MOMENTS, 9, name="moments of the sandbox")
    for first in range(0, len(moments), AT_ONCE):
        begun_s = time.monotonic()
        running = [(moment_s, start()) for moment_s in moments[first : first + AT_ONCE]]
        for moment_s, process in running:
            time.sleep(max(0.0, begun_s + moment_s - time.monotonic()))
            process.send_signal(signal.SIGTERM)
        for _, process in running:
            ended(process)
    covered(record_property, "moments at which a sandbox was told to end", len(moments), len(MOMENTS))


def test_a_signal_while_it_loads_is_not_lost_in_what_catches_everything(tmp_path):
    """The file of faults is a pipe: reading it takes as long as the test likes, and the signal comes while it is read."""
    pipe = tmp_path / "faults.json"
    os.mkfifo(pipe)
    process = start("--faults", str(pipe))
    with contextlib.suppress(BrokenPipeError), pipe.open("w") as writer:  # it is open on both sides now
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        writer.write("[]")
    ended(process)


def test_a_signal_under_a_storm_of_calls_ends_it():
    process = start()
    port = int(process.stdout.readline().split("127.0.0.1:")[1].split()[0])
    over = threading.Event()

    def storm():
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as caller:
                caller.sendall(b"GET /api/v2/me/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    callers = [threading.Thread(target=storm) for _ in range(3)]
    for each in callers:
        each.start()
    time.sleep(chance("storm").uniform(0.1, 0.4))
    process.send_signal(signal.SIGTERM)
    try:
        ended(process)
    finally:
        over.set()
        for each in callers:
            each.join()
