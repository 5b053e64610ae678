"""Which ledger a command uses, and to whom the ledger belongs (cases m5 to m8)."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import codes, open_night

from syncer.config import load_settings
from syncer.ledger.database import ledger_path

HEADER = ["extended_id", "intended_market"]


def test_a_relative_ledger_lies_beside_the_configuration_file_wherever_the_program_runs_m8(tmp_path):
    home, elsewhere = tmp_path / "srv", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    with open_night(home, codes=codes(3)) as here:
        here.config("")
        file = str(home / here.write("night.csv", HEADER, [[f"K{n:06d}", "DE"] for n in range(3)]))
        assert here.sync(file).code == 0
        here.folder = elsewhere
        again = here.sync("--config", str(home / "config.toml"), file)
        by_variable = here.sync(file, SYNCER_CONFIG="../srv/config.toml")
        for done in (again, by_variable):
            assert done.code == 0
            assert done.document["rows"]["unchanged"] == 3
        assert sorted(path.name for path in elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///l.db", "/srv/x/l.db"),
        ("sqlite+pysqlite:///data/l.db", "/srv/x/data/l.db"),
        ("sqlite:////var/l.db", "/var/l.db"),
    ],
)
def test_a_ledger_url_of_file_or_environment_is_relative_to_the_configuration(tmp_path, url, file):
    folder = tmp_path / "srv" / "x"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'[ledger]\nurl = "{url}"\n', encoding="utf-8")
    wanted = Path(file) if url.startswith("sqlite:////") else tmp_path / file.removeprefix("/")
    by_file = load_settings(explicit=folder / "config.toml", environ={}, cwd=tmp_path)
    assert ledger_path(by_file.ledger.url) == wanted
    (folder / "config.toml").write_text("", encoding="utf-8")
    by_environment = {"SYNCER_CONFIG": str(folder / "config.toml"), "SYNCER_LEDGER__URL": url}
    assert ledger_path(load_settings(explicit=None, environ=by_environment, cwd=tmp_path).ledger.url) == wanted


def test_init_writes_the_configuration_that_is_named_and_creates_the_ledger_beside_it(tmp_path):
    (tmp_path / "srv").mkdir()
    with open_night(tmp_path) as here:
        done = here.run("init", "--json", "--config", "srv/prod.toml")
        assert done.code == 0
        assert (done.document["wrote_config"], done.document["made_ledger"]) == (True, True)
        assert sorted(path.name for path in (tmp_path / "srv").iterdir()) == [
            "prod.toml", "syncer.db", "syncer.db.lock",
        ]  # fmt: skip
        assert [path.name for path in tmp_path.iterdir()] == ["srv"]
        missing = here.run("init", "--json", "--config", "nowhere/prod.toml")
        assert (missing.code, missing.document["error"]["next"]) == (2, f"mkdir -p {tmp_path}/nowhere")
