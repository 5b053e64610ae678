"""Which ledger a command uses, and to whom the ledger belongs (cases m5 to m8)."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TOKEN, codes, open_night, write_csv
from places import Place

from syncer.commands import checkup, products, scans
from syncer.commands import codes as own_codes
from syncer.commands.environment import Environment
from syncer.config import load_settings
from syncer.errors import TargetChangedError
from syncer.ledger.database import ledger_path
from syncer.process.clock import SystemClock
from syncer.request import ProductsRequest, ScansRequest, UploadRequest
from syncer.sandbox import Sandbox, SandboxConfig

HEADER = ["extended_id", "intended_market"]


def sandbox(**config):
    return Sandbox(SandboxConfig(updates_per_second=1000, task_run_s=0.02, **config))


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


@pytest.mark.parametrize("name", ["p%20q", "p q", "100%", "what?", "a?mode=ro", "%3F", "a#b@c:d&e", "\udcff", "ü%zz"])
def test_the_ledger_stands_in_the_folder_of_its_configuration_whatever_that_is_called(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.toml").touch()
    settings = load_settings(explicit=folder / "config.toml", environ={}, cwd=tmp_path)
    assert ledger_path(settings.ledger.url) == folder / "syncer.db"


def test_two_folders_whose_names_a_url_could_confuse_have_a_ledger_each(tmp_path):
    with open_night(tmp_path) as here:
        for name in ("p%20q", "p q"):
            (here.folder / name).mkdir()
        assert here.run("init", "--config", "p%20q/config.toml").code == 0
        checked = here.run("check", "--config", "p%20q/config.toml", "--json").document
        ledger = next(one for one in checked["findings"] if one["what"] == "ledger")
        assert "p%20q/syncer.db, schema" in ledger["found"]
        assert list((here.folder / "p q").iterdir()) == []


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


def test_init_makes_the_folder_of_the_configuration_and_takes_nothing_else_for_a_file_u6(tmp_path):
    with open_night(tmp_path) as here:
        assert here.run("init", "--config", "x/y/prod.toml").code == 0
        assert (tmp_path / "x" / "y").stat().st_mode & 0o777 == 0o700
        assert here.run("check", "--config", "x/y/prod.toml").code == 0
        (tmp_path / "dangling").symlink_to("nowhere")
        for named in ("x", "dangling", "x/y/prod.toml/c.toml"):
            done = here.run("init", "--json", "--config", named)
            assert done.code == 2, named
            assert done.document["error"]["next"].startswith("ls -ld "), named
        assert not (tmp_path / "syncer.db").exists()


FIRST = {f"K{n:06d}": "DE" for n in range(3)}
OTHER_COMPANY = {"id": 447, "uuid": "0d3e7c62-96a3-4f8b-9d4e-1a5d1c1c0001", "name": "Another Company"}


def refused(document, *words):
    """Whether a document says that the ledger belongs to somebody else, and names all of `words`."""
    error = document["error"]
    assert (document["exit_code"], error["code"]) == (2, "target-changed"), document
    assert "this ledger belongs to" in error["message"]
    assert error["next"] == "syncer ledger info"
    return [word for word in words if word not in error["message"]] == []


def test_a_ledger_of_one_api_is_refused_for_another_before_any_call_m5(tmp_path):
    with sandbox(codes=codes(3)) as rehearsal, sandbox(codes=codes(3)) as production:
        place = Place(tmp_path / "srv", rehearsal.url)
        assert place.sync(FIRST)["exit_code"] == 0
        place.url = production.url
        file = place.export(FIRST)
        for command in ("sync", "plan", "resume"):
            done = place.run(command, *([] if command == "resume" else [file]))
            assert refused(done, rehearsal.url, production.url, "Sandbox Company"), command
        settings, environment = place.settings(), Environment()
        with pytest.raises(TargetChangedError):
            products.pull(settings, ProductsRequest(), environment)
        with pytest.raises(TargetChangedError):
            products.show(settings, "SKU", environment)
        with pytest.raises(TargetChangedError):
            scans.pull(settings, ScansRequest(campaign=1, out=tmp_path / "scans"), environment)
        with pytest.raises(TargetChangedError):
            own_codes.upload(settings, UploadRequest(file=file), own_codes.CodesEnvironment())
        with pytest.raises(TargetChangedError):
            own_codes.resume(settings, UploadRequest(), own_codes.CodesEnvironment())
        findings = checkup.check(
            place.folder / "config.toml", {"SYNCER_API__BASE_URL": place.url, "SYNCER_API__TOKEN": TOKEN},
            Path("/"), SystemClock(),
        )  # fmt: skip
        assert [one.what for one in findings if isinstance(one.error, TargetChangedError)] == ["target"]
        assert len(production.requests) == 0
        place.url = rehearsal.url
        assert place.sync(FIRST)["rows"]["unchanged"] == 3


def test_what_was_planned_for_one_api_never_reaches_another_m6(tmp_path):
    with sandbox(codes=codes(300)) as rehearsal, sandbox(codes=codes(300)) as production:
        place = Place(tmp_path / "srv", rehearsal.url)
        cut = place.sync({f"K{n:06d}": f"test-{n}" for n in range(300)}, deadline_s=0.0)
        assert cut["exit_code"] == 10
        place.extra["SYNCER_API__UPDATES_PER_SECOND"] = "2"
        cut = place.sync({f"K{n:06d}": f"test-{n}" for n in range(300)}, deadline_s=1.0)
        assert cut["values"]["unsent"] > 0
        place.url = production.url
        assert refused(place.sync({"K000007": "DE"}))
        assert refused(place.run("resume"))
        assert len(production.requests) == 0


@pytest.mark.parametrize("me_names_company", [True, False], ids=["me says it", "a product says it"])
def test_a_token_of_another_company_is_refused_before_any_update_m7(tmp_path, me_names_company):
    with sandbox(
        codes=codes(3), companies={"theirs": OTHER_COMPANY}, me_names_company=me_names_company, products=["SKU"]
    ) as box:
        place = Place(tmp_path / "srv", box.url)
        first = place.sync(FIRST)
        assert first["exit_code"] == 0
        assert first["target"]["company"]["id"] == "446"
        updates = len(box.calls("sync"))
        place.token = "theirs"
        for done in (place.sync(FIRST), place.sync({"K000000": "FR"}), place.run("resume")):
            assert refused(done, "Sandbox Company (446)", "Another Company (447)")
        assert len(box.calls("sync")) == updates
        place.token = TOKEN
        assert place.sync({"K000000": "FR"})["values"]["confirmed"] == 1


def test_a_token_of_another_company_gets_no_products_and_no_codes_into_the_ledger_m7(tmp_path):
    with sandbox(codes=codes(3), companies={"theirs": OTHER_COMPANY}) as box:
        place = Place(tmp_path / "srv", box.url)
        assert place.sync(FIRST)["exit_code"] == 0
        place.token = "theirs"
        settings, environment = place.settings(), Environment()
        with pytest.raises(TargetChangedError):
            products.pull(settings, ProductsRequest(), environment)
        own = write_csv(place.folder / "own.csv", ("id",), [("BOTTLE-000001",)])
        done = own_codes.upload(settings, UploadRequest(file=str(own)), own_codes.CodesEnvironment())
        assert isinstance(done.error, TargetChangedError)
        with pytest.raises(TargetChangedError):
            scans.pull(settings, ScansRequest(campaign=1, out=tmp_path / "scans"), environment)
        assert [box.calls(call) for call in ("products", "form", "scans")] == [[], [], []]


def test_a_ledger_belongs_to_the_address_that_its_scans_came_from_m5(tmp_path):
    with sandbox(codes=codes(3)) as rehearsal, sandbox(codes=codes(3)) as production:
        place = Place(tmp_path / "srv", rehearsal.url)
        request = ScansRequest(campaign=1, out=tmp_path / "scans")
        assert scans.pull(place.settings(), request, Environment()).error is None
        place.url = production.url
        with pytest.raises(TargetChangedError):
            scans.pull(place.settings(), request, Environment())
        assert refused(place.sync(FIRST), rehearsal.url)
        assert len(production.requests) == 0


def test_a_company_that_is_not_named_is_adopted_when_it_is_first_seen(tmp_path):
    with sandbox(codes=codes(3), me_names_company=False, products=[]) as box:
        place = Place(tmp_path / "srv", box.url)
        mute = place.sync(FIRST)
        assert (mute["exit_code"], mute["target"]["company"]) == (0, None)
        assert "does not say whose company" in str(mute["notes"])
        box.catalogue.add("SKU")
        named = place.sync(FIRST)
        assert named["target"]["company"]["name"] == "Sandbox Company"
        assert "belongs to Sandbox Company (446) from now on" in str(named["notes"])
        assert place.sync(FIRST)["notes"] == []


def test_a_run_asks_once_whose_token_it_has(tmp_path):
    with sandbox(codes=codes(3)) as box:
        place = Place(tmp_path / "srv", box.url)
        done = place.sync(FIRST)
        assert (len(box.calls("me")), len(box.calls("tasks")), len(box.calls("products"))) == (1, 1, 0)
        assert done["requests"]["reads"] == 2
        before = len(box.requests)
        assert place.run("plan", place.export(FIRST))["target"]["base_url"] == box.url
        assert len(box.requests) == before


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.scantrust.com", "https://API.Scantrust.com:443/", True),
        ("http://127.0.0.1:8377", "http://127.0.0.1:8377/", True),
        ("https://api.scantrust.com", "HTTPS://api.scantrust.com", True),
        ("http://[::1]:80", "http://[::1]", True),
        ("http://[::1]:8377", "http://[0:0::1]:8377/", True),
        ("https://[2001:DB8::A]", "https://[2001:0db8:0:0::000a]", True),
        ("https://[2001:db8::a]", "https://[2001:db8::b]", False),
        ("https://api.scantrust.com", "https://api.staging.scantrust.io", False),
        ("https://api.scantrust.com", "https://api.scantrust.com:8443", False),
        ("https://api.scantrust.com/v2", "https://api.scantrust.com/V2", False),
        ("http://localhost:8377", "http://127.0.0.1:8377", False),
        ("http://localhost", "https://localhost", False),
    ],
)
def test_addresses_are_compared_in_their_normal_form(one, other, same):
    found = {
        load_settings(explicit=None, environ={"SYNCER_API__BASE_URL": url}, cwd=Path("/")).api.base_url
        for url in (one, other)
    }
    assert (len(found) == 1) is same


def test_an_address_at_which_nobody_answers_is_not_adopted(tmp_path):
    with sandbox(codes=codes(3)) as box:
        place = Place(tmp_path / "srv", "http://127.0.0.1:9", extra={"SYNCER_API__GIVE_UP_AFTER_S": "0.2"})
        down = place.sync(FIRST)
        assert (down["exit_code"], down["error"]["code"], down["values"]["unsent"]) == (5, "unreachable", 3)
        place.url = box.url
        assert place.run("resume")["values"]["confirmed"] == 3
