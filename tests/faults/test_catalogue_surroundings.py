"""The catalogue of faults: what is around the program. No HOME, no locale, odd names of folders, a clock that is years off."""

from __future__ import annotations

import json

import pytest
from catalogue.front import Act, Front
from catalogue.kept import CODES, FACTS, HEADER, SHORT, Ends, assert_ends, assert_nothing_lost, rows_of
from catalogue.shell import shell
from conftest import codes

SURROUNDINGS = {
    "no HOME": "unset HOME; exec syncer {}",
    "a HOME that is not there": "HOME=/no/such/folder exec syncer {}",
    "LC_ALL=C": "LC_ALL=C exec syncer {}",
    "no locale, ASCII streams": "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 PYTHONIOENCODING=ascii exec syncer {}",
    "POSIX": "LC_ALL=POSIX LANG= exec syncer {}",
    "no TERM, no columns": "unset TERM COLUMNS; exec syncer {}",
    "an empty TZ": "TZ= exec syncer {}",
    "a TZ of nowhere": "TZ=Nowhere/Land exec syncer {}",
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_that_lack_something(place, forks, record_property, name):
    (place.folder / "ärger 'n\" ü.csv").write_bytes(
        (place.folder / "a.csv").read_bytes().replace(b"K000129,129-1", "K000129,ünï-1".encode())
    )
    for form in ("--json", ""):
        words = f"sync {form} --approve \"ärger 'n\\\" ü.csv\" --results 'ö ut'"
        done = shell(place, SURROUNDINGS[name].format(words))
        assert done.returncode == 0, (form, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        if form:
            json.loads(done.stdout)
    assert place.server()["K000129"]["intended_market"] == "ünï-1"
    done = shell(place, SURROUNDINGS[name].format("audit show K000129"))
    assert done.returncode == 0, done.stderr
    assert_nothing_lost(place, forks)
    record_property("covered", FACTS)


FOLDERS = (
    "with spaces",
    "quote ' and \"",
    "ünïcödé 北京",
    "-leading-dash",
    "percent%41 ?query#fragment",
    "back\\slash",
    "new\nline",
    ";semi&colon",
    "$HOME `x`",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_with_any_name(night, forks, record_property, name):
    with night(codes=codes(CODES), task_run_s=0.01) as here:
        here.environment.update(SHORT)
        here.folder = here.folder / name
        here.folder.mkdir()
        here.write("a.csv", HEADER, rows_of())
        done = forks.run(
            here.folder, here.variables(), "sync", "--json", str(here.folder / "a.csv"), "--results", "out"
        )
        assert done.code == 0, (done.out, done.err)
        assert forks.run(here.folder, here.variables(), "ledger", "backup", "copy.db", "--json").code == 0
        assert sorted(path.name for path in here.folder.iterdir()) == [
            "a.csv",
            "copy.db",
            "out",
            "syncer.db",
            "syncer.db.lock",
        ]
        assert [path.name for path in here.folder.parent.iterdir()] == [name], "something was written elsewhere"
        assert_nothing_lost(here, forks)
    record_property("covered", FACTS)


YEAR_S = 365.25 * 86_400
CLOCKS = {
    "ten years behind": -10 * YEAR_S,
    "before 1970": -60 * YEAR_S,
    "ten years ahead": 10 * YEAR_S,
    "two hundred ahead": 200 * YEAR_S,
}


@pytest.mark.parametrize("lost", [False, True], ids=["all well", "answers lost"])
@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_that_is_years_off(place, forks, record_property, name, lost):
    """One run with the wrong clock, the next with the right one, then the wrong one again: waits are by another clock."""
    trap = {"where": "clock", "seconds": CLOCKS[name]}

    def bend(call):
        return Act(lambda front, connection, answer: False) if lost and call.name in {"sync", "async"} else None

    with Front(place.box.port, bend) as front:
        done = forks.run(
            place.folder, place.variables(SYNCER_API__BASE_URL=front.url), "sync", "--json", "a.csv", trap=trap
        )
    assert done.code in ({3, 5} if lost else {0}), done.out
    checked = forks.run(place.folder, place.variables(), "check", "--json", trap=trap)
    assert_ends(checked, Ends(2, ("clock is",), ("set the clock",)))
    assert_nothing_lost(place, forks)
    place.write("a.csv", HEADER, rows_of(2))
    done = forks.run(place.folder, place.variables(), "sync", "--json", "a.csv", "--approve", trap=trap)
    assert done.code == 0, done.out
    assert_nothing_lost(place, forks, 2)
    record_property("covered", FACTS)


def test_a_current_folder_that_was_deleted(place, forks, record_property):
    for command in ("sync --json a.csv", "check --json", "init --json", "status --json"):
        done = shell(place, f'mkdir gone && cd gone && rmdir "$PWD" && exec syncer {command}')
        error = json.loads(done.stdout)["error"]
        assert (done.returncode, error["message"]) == (
            2, "the folder in which the command runs was deleted; change to a folder that is there",
        )  # fmt: skip
    assert sorted(path.name for path in place.folder.iterdir()) == ["a.csv"]
    record_property("covered", FACTS)
