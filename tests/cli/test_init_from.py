"""``init --from``: a configuration that loads, says what was found, and what it is not sure of."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncer.config import load_settings
from syncer.runs.first_look import configuration

GERMAN = "QR-Code;Land;Status;Fertigung\n" + "".join(
    f"https://st4.ch/q/A{n:07d};{('Österreich', 'Italien ', '-')[n % 3]};aktiv;2{n % 9}.11.2026\n" for n in range(30)
)


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "export.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def made(tmp_path, text, encoding="utf-8"):
    found = configuration(write(tmp_path, text, encoding))
    (tmp_path / "config.toml").write_text(found, encoding="utf-8")
    return load_settings(explicit=None, environ={}, cwd=tmp_path).jobs["export"], found


def test_a_german_export_is_seen_for_what_it_is(tmp_path):
    job, text = made(tmp_path, GERMAN, "cp1252")
    assert (job.csv.encoding, job.csv.delimiter, job.key) == ("cp1252", ";", ("extended_id",))
    assert job.columns == {"Land": "land", "Status": "activation_status", "Fertigung": "fertigung"}
    rules = job.fields
    assert (rules["extended_id"].from_, rules["extended_id"].extract) == ("QR-Code", "/([0-9A-Za-z_-]+)$")
    assert (rules["fertigung"].type, rules["fertigung"].formats) == ("date", ("%d.%m.%Y",))
    assert (rules["land"].trim, rules["land"].null) == (True, ("-",))
    assert '# map = { "Österreich" = "Österreich", "Italien" = "Italien" }  # ?' in text


@pytest.mark.parametrize(
    ("text", "key", "fields"),
    [
        ("extended_id,lot\nK1,L1\n", ("extended_id",), {"lot"}),
        ("Serial,serial_number,lot\nA,1,x\nB,2,x\nC,3,x\n", ("serial_number",), {"serial", "lot"}),
        ("Code,Größe,größe\nA,1,x\nB,1,x\nC,1,x\n", ("Code",), {"groesse", "groesse_2"}),
        ("extended_id,message,campaign,SKU\nA,1,x,y\n", ("extended_id",), {"product"}),
        ("message,lot\nA,1\nB,1\nC,1\n", None, {"lot"}),
        ("a,b\n1,1\n1,1\n1,1\n", None, {"a", "b"}),
    ],
)
def test_the_key_is_named_where_the_rows_say_it_and_left_open_elsewhere(tmp_path, text, key, fields):
    job, found = made(tmp_path, text)
    assert job.key == key
    assert set(job.columns.values()) == fields
    assert ("# key" in found) is (key is None)


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.lists(names.filter(str.strip), min_size=2, max_size=4, unique=True),
    cells=st.lists(names, min_size=4, max_size=4),
)
def test_whatever_stands_in_an_export_the_configuration_can_be_read(tmp_path, header, cells):
    def row(values):
        return ",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n"

    text = row(header) + "".join(row([f"{cell}{n}" for cell in cells[: len(header)]]) for n in range(4))
    path = write(tmp_path, text)
    try:
        found = configuration(path)
    except Exception as error:  # a file that cannot be read is refused, as by every command
        assert type(error).__name__ == "SourceError"
        return
    assert tomllib.loads(found)["jobs"]["export"]


def test_init_writes_it_once_and_check_and_plan_take_it(night):
    with night(codes=tuple({"extended_id": f"A{n:07d}"} for n in range(30))) as here:
        (here.folder / "export.csv").write_bytes(GERMAN.replace("Status;", "Zustand;").encode("cp1252"))
        assert here.run("init", "--from", "export.csv").code == 0
        assert here.run("check", "--json").code == 0
        planned = here.run("plan", "--json", "export.csv")
        assert (planned.code, planned.document["rows"]["new"]) == (0, 30)
        again = here.run("init", "--json", "--from", "export.csv")
        assert (again.code, "never overwritten" in again.document["error"]["message"]) == (2, True)
