"""URLs of files on the command line: what is said of one that is not taken never repeats it."""

from __future__ import annotations

import json

import pytest
from conftest import codes

from syncer.safe.urls import is_remote, url_fault

SECRET = "hunter2secret"
URLS = [
    f"https://acc.blob.core.windows.net/c/in/*.csv?sv=2022&sig={SECRET}",
    f"https://user:{SECRET}@host/in/x.csv",
    f"ftp://user:{SECRET}@h/in/x.csv",
    f"S3://bucket/k.csv?X-Amz-Signature={SECRET}",
    f"Gs://user:{SECRET}@bucket/k.csv",
    f"SFTP://user:{SECRET}@host/k.csv",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "command", ["plan", "sync", "sync --dry-run --results out", "codes upload", "codes upload --dry-run"]
)
def test_no_word_of_a_url_that_is_not_taken_is_repeated(night, forks, url, command):
    with night(codes=codes(1)) as here:
        done = forks.run(here.folder, here.variables(), *command.split(), "-vv", "--json", url)
        assert done.code == 2, done.err
        assert SECRET not in done.out + done.err
        error = json.loads(done.out)["error"]
        assert ("must be" in error["message"]) is ("--job" not in command)
        assert "No such file" not in error["message"]


def test_a_step_of_a_night_repeats_none_either(night, forks):
    with night(codes=codes(1)) as here:
        here.config(f'[nightly]\nsteps = [{{ sync = {{ files = ["{URLS[0]}"] }} }}]\n')
        done = forks.run(here.folder, here.variables(), "run", "--json")
        assert done.code == 2, done.err
        assert SECRET not in done.out + done.err


@pytest.mark.parametrize("scheme", ["s3", "S3", "Gs", "AZ"])
def test_schemes_are_taken_in_any_letter_case(scheme):
    assert is_remote(f"{scheme}://bucket/in/*.csv")
    assert url_fault(f"{scheme}://bucket/in/*.csv") is None


@pytest.mark.parametrize("name", ["a.csv", "-", "/in/a.csv", "C:\\in\\a.csv", "in/s3:/a.csv", "./https://a", "a:b"])
def test_paths_are_no_urls(name):
    assert not is_remote(name)
