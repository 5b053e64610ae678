"""Whole processes: start-up, the API's rate. Prints tables; asserts counts, and times on the virtual clock alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import pytest
from conftest import codes, open_night, write_csv
from rates import GOALS, WAYS, every, make_calls

from syncer.api.limits import UpdateLimiter

pytestmark = pytest.mark.benchmark
RUNS = 5


def timed(arguments, folder, variables, runs=RUNS):
    """Run the program several times; return the median seconds and the last output."""
    seconds = []
    for _ in range(runs):
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
        seconds.append(time.monotonic() - began_s)
    return statistics.median(seconds), done


def show(what, median_s, note=""):
    print(f"  {what:<58} {median_s:8.3f} s  {note}")


def test_start_up(tmp_path):
    print("\nStart-up (median of whole processes; floor: the interpreter alone)")
    with open_night(tmp_path, codes=codes(10)) as here:
        here.sync(here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(10)]))
        floor_s, _ = timed(["-c", "pass"], tmp_path, here.variables())
        show("python -c pass", floor_s)
        for arguments in (["--version"], ["status"], ["audit", "show", "K000001"], ["sync", "a.csv"]):
            median_s, done = timed(["-m", "syncer", *arguments], tmp_path, here.variables())
            assert done.returncode == 0
            show("syncer " + " ".join(arguments), median_s, f"{median_s / floor_s:.1f} × floor")


def test_the_api_s_rate_at_150_ms(tmp_path):
    print("\n20,000 rows, 14 large groups and 3 % singles, 10 updates a second, 150 ms latency")
    rows = [(f"K{n:06d}", f"m{n % 14}" if n < 19_400 else f"x{n}", "2026-01-01") for n in range(20_000)]
    with open_night(tmp_path, codes=codes(20_000), latency_s=0.15, updates_per_second=10) as here:
        write_csv(tmp_path / "a.csv", ("extended_id", "intended_market", "production_date"), rows)
        settings = {"SYNCER_API__UPDATES_PER_SECOND": "10", "SYNCER_API__POLL_S": "2"}
        seconds, done = timed(["-m", "syncer", "sync", "--json", "a.csv"], tmp_path, here.variables(**settings), runs=1)
        document = json.loads(done.stdout)
        calls, least = document["requests"]["updates"], document["requests"]["minimum_updates"]
        assert calls == least
        assert document["requests"]["throttled"] == 0
        assert document["values"]["confirmed"] == 20_000
        show(
            f"first run: {calls} calls, {document['requests']['reads']} reads",
            seconds,
            f"calls/10 s + {seconds - calls / 10:.2f} s",
        )
        again_s, done = timed(["-m", "syncer", "sync", "--json", "a.csv"], tmp_path, here.variables(**settings))
        assert json.loads(done.stdout)["requests"]["updates"] == 0
        show("the same file again: 0 calls", again_s)


def test_the_rate_on_real_networks():
    print("\nCalls a second at a limit of 10, on the virtual clock: mean of 50 nights (least), share refused; goal")
    for way, goal in GOALS.items():
        for calls in (300, 2000):
            made = [make_calls(UpdateLimiter(10), WAYS[way], calls=calls, seed=seed) for seed in range(50)]
            rate = statistics.mean(night.rate for night in made)
            throttled = statistics.mean(night.throttled for night in made)
            least = min(night.rate for night in made)
            print(f"  {way:<20} {calls:>5} calls  {rate:6.2f} ({least:.2f})  {throttled:7.3%}  goal {goal}")
            assert throttled <= 0.005
    print("Beside a program that makes 3 calls a second")
    for way in ("75 ms", "75 ± 19 ms"):
        made = [make_calls(UpdateLimiter(10), WAYS[way], seed=seed, other=every(1 / 3)) for seed in range(50)]
        ours, theirs, throttled = (
            statistics.mean(getattr(night, name) for night in made) for name in ("rate", "theirs", "throttled")
        )
        print(f"  {way:<20}   300 calls  {ours:6.2f}  {throttled:7.3%}  the other got {theirs:.1%} of its calls")
        assert throttled <= 0.02


@pytest.mark.parametrize("way", ["75", "75±19", "75-225", "40+lognormal(-3.2,0.6)"])
def test_a_long_run_keeps_the_rate_over_http(tmp_path, way):
    print(f"\n300 sync calls at 10 a second, each way {way} ms")
    rows = [(f"K{n:06d}", f"x{n}") for n in range(30_000)]
    with open_night(tmp_path, codes=codes(30_000), way=way, updates_per_second=10) as here:
        write_csv(tmp_path / "a.csv", ("extended_id", "lot"), rows)
        done = here.sync("a.csv", SYNCER_API__UPDATES_PER_SECOND="10", SYNCER_API__TIMEOUT_S="10")
        requests = done.document["requests"]
        assert (done.code, requests["updates"]) == (0, 300 + requests["throttled"])
        send_s = done.document["seconds"]["send"]
        show("sending", send_s, f"{300 / send_s:.2f} calls a second, {requests['throttled']} throttled")
