"""``browse``: a copy of the ledger over HTTP for nobody but this machine; tests/browser opens its pages."""

from __future__ import annotations

import json
import re
import signal
from urllib.parse import urlsplit

import pytest
import requests
from conftest import codes

HEADER = ("extended_id", "market")


def test_a_copy_is_served_to_this_machine_alone_and_gone_afterwards(night):
    with night(codes=codes(2)) as here:
        here.sync(here.write("a.csv", HEADER, [("K000000", "DE"), ("NOPE0001", "FR")]))
        names = {path.name for path in here.folder.iterdir()}
        process = here.start("browse", "--port", "0", PYTHONUNBUFFERED="1")
        try:
            url = re.search(r"http://\S+", process.stdout.readline())[0]
            with requests.Session() as session:
                session.trust_env = False
                found = session.get(
                    f"{url}/history_of_a_key.json", params={"key": "NOPE0001", "_shape": "array"}, timeout=20
                )
                assert [(row["file"], row["line"], row["outcome"]) for row in found.json()] == [
                    ("a.csv", 3, "unmatched")
                ]
                for query in ("failed_runs", "not_confirmed", "open_batches", "what_is_known_of_a_key"):
                    assert session.get(f"{url}/{query}.json", params={"key": "K000000"}, timeout=20).json()["ok"]
                for headers in (
                    {"Host": "evil.example"},
                    {"Host": "evil.example:80"},
                    {"Origin": "http://evil.example"},
                ):
                    assert session.get(url, headers=headers, timeout=20).status_code == 403
                told = urlsplit(url)
                for path in ("/", "/ledger", "/ledger/v_changes.json", f"/x{told.path[1:]}/v_changes.json"):
                    assert session.get(f"http://{told.netloc}{path}", timeout=20).status_code == 403
                writing = session.get(f"{url}.json", params={"sql": "delete from runs"}, timeout=20)
                assert writing.status_code == 400
                assert session.get(f"{url}.db", timeout=20).status_code in {403, 404}
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert process.returncode in {0, 143}
        assert {path.name for path in here.folder.iterdir()} == names


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_copy_is_shown_is_told_and_one_after_it_is_how_it_ends(night, number):
    with night(codes=codes(2)) as here:
        here.sync(here.write("a.csv", HEADER, [("K000000", "DE")]))
        with here.start("browse", "--json", "--port", "0", PYTHONPROFILEIMPORTTIME="1") as process:
            assert any(line.rstrip().endswith("| uvicorn") for line in process.stderr)
            process.send_signal(number)  # while the rest of it is loaded, which takes exceptions for its own
            out, _ = process.communicate(timeout=20)
        document = json.loads(out)
        assert (process.returncode, document["exit_code"]) == (128 + number,) * 2, document
        with here.start("browse", "--json", "--port", "0", PYTHONUNBUFFERED="1") as process:
            assert any('"error": null' in line for line in process.stdout)
            process.send_signal(number)
            process.communicate(timeout=20)
        assert process.returncode == 0
