"""``init --from``: a configuration that loads, says what was found, and what it is not sure of."""

from __future__ import annotations

import datetime as dt
import tomllib

import pytest
from conftest import codes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import parquet, zipped
from workbooks import book, saved

from syncer.config import load_settings
from syncer.errors import SourceError
from syncer.process.signals import Interrupt
from syncer.runs.first_look import configuration
from syncer.runs.inputs import open_inputs

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
    assert ("no column has another value in every row" in found) is (key is None)


@pytest.mark.parametrize("text", ["Code,lot\n", "Code,lot\nA,1\n", "Code,lot\nA,1\nB,2\n"])
def test_a_few_rows_are_not_said_to_show_that_no_column_is_the_key(tmp_path, text):
    job, found = made(tmp_path, text)
    assert job.key is None
    assert '# key = "…"  # ? fewer than 3 rows tell nothing; name the one that selects codes' in found


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


def rows(cells="A{n},x\n"):
    return "".join(cells.format(n=n) for n in range(5))


TITLES = "Auswertung Düsseldorf;;;\nStand 24.11.2026;;;\n;;;\nQR-Code;Land;Fertigung;Palette\n"
ODD = {
    "a German ERP's, with titles": (
        (TITLES + rows("https://st4.ch/q/A{n};DE;2{n}.11.2026;P{n}\n") + "Summe;;;5\n").encode("cp1252"),
        ("extended_id", "fertigung", "land", "palette"),
    ),
    "titles above it": ("Report of the night\nprinted\n\nserial,lot\n" + rows(), ("serial", "lot")),
    "fixed widths": ("extended_id lot  market\n" + rows("A{n}          L{n}   DE\n"), ("extended_id", "lot", "market")),
    "JSON lines": (rows('{{"extended_id":"A{n}","lot":"x","n":{n}}}\n'), ("extended_id", "lot", "n")),
    "a workbook of two sheets": (
        saved(book(["notes"], ["x"], Export=[["extended_id", "lot"], *([f"A{n}", "x"] for n in range(5))])),
        ("extended_id", "lot"),
    ),
    "a column of weights": (
        saved(book(["extended_id", "lot", "kg"], *([f"A{n}", "x", n + 0.5] for n in range(5)))), ("extended_id", "lot"),
    ),
    "Parquet": (
        parquet(extended_id=[f"A{n}" for n in range(5)], day=[dt.date.fromisoformat("2026-01-31")] * 5),
        ("extended_id", "day"),
    ),
    "several files in a ZIP file": (
        zipped(a="extended_id,lot\n" + rows()[:5], b="extended_id,lot\n" + rows()[5:]), ("extended_id", "lot"),
    ),
    "texts as formulas": ("extended_id,lot\n" + rows('="0012{n}",x\n'), ("extended_id", "lot")),
    "keys as addresses": ("Code,lot\n" + rows("https://st4.ch/q/A{n},x\n"), ("extended_id", "lot")),
    "two delimiters": ("a;b,c\n" + rows("{n};x,3\n"), ("a;b", "c")),
    "names that stand twice": ("extended_id,lot,lot,\n" + rows("A{n},x,y,\n"), ("extended_id", "lot_column_2", "lot_column_3")),
    "a list with rulers": ("|extended_id |lot |\n|------|----|\n" + rows("|A{n}     |x   |\n"), ("extended_id", "lot")),
    "UTF-16 without a mark": (("extended_id\tlot\n" + rows("A{n}\tü\n")).encode("utf-16-le"), ("extended_id", "lot")),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_what_is_written_for_an_odd_file_reads_all_of_its_rows(tmp_path, what):
    data, names = ODD[what]
    path = tmp_path / "export.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "config.toml").write_text(configuration(str(path)), encoding="utf-8")
    job = load_settings(explicit=None, environ={}, cwd=tmp_path).jobs["export"]
    opened = open_inputs(
        job, [str(path)], None, copies={}, stdin=None, interrupt=Interrupt(), observe=lambda count: None
    )
    with opened as (sources, validator):
        checked = [validator.check(chunk) for source in sources for chunk in source.chunks(validator.wanted)]
    assert (*validator.keys, *validator.fields) == names
    assert sum(len(one.lines) for one in checked) == 5


def test_where_no_column_can_be_the_key_the_plan_names_the_way_and_not_a_check_that_finds_nothing(night):
    with night(codes=codes(2)) as here:
        (here.folder / "export.csv").write_text("foo,bar\nA-1,x\nA-1,y\nA-3,x\n")
        assert here.run("init", "--from", "export.csv").code == 0
        error = here.run("plan", "--json", "--job", "export", "export.csv").document["error"]
        assert "--key COLUMN" in error["message"]
        assert error["next"] == "syncer plan --json --job export export.csv"


@pytest.mark.parametrize(("data", "way"), [("A1,1\nA2,2\n", "csv.header"), ('[{"extended_id": "A1"}]', "jq")])
def test_what_only_people_can_tell_is_refused_with_the_way(tmp_path, data, way):
    with pytest.raises(SourceError) as raised:
        configuration(write(tmp_path, data))
    assert way in f"{raised.value.remedy} {raised.value.next}"


EXPORT = "extended_id,product,lot,intended_markt\n" + rows("A000000{n},S-{n},x,DE\n")


def test_with_a_token_the_api_tells_which_products_there_are_and_which_fields_a_code_has(night):
    held = {"lot": "old", "intended_market": "FR"}
    with night(codes=({"extended_id": "A0000000", **held},), products=("S-0", "S-1")) as here:
        (here.folder / "export.csv").write_text(EXPORT)
        assert here.run("init", "--from", "export.csv").code == 0
        text = (here.folder / "config.toml").read_text()
        assert "# the company has the product 'S-1'" in text
        assert "# ? no product of the company has the SKU 'S-2'" in text
        assert '# known_fields = ["intended_market", "lot"]  # ?' in text.replace(
            '"lot", "intended_market"', '"intended_market", "lot"'
        )
        assert (
            '"intended_markt" = "intended_markt"  # ? no field of the code that was looked at, did you mean \'intended_market\'?'
            in text.replace(" (did", ", did").replace("?)", "?")
        )
        assert here.run("check").code == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "on": "codes_download", "status_code": 403},
        {"kind": "status", "on": "products", "status_code": 401},
    ],
)
def test_what_the_api_does_not_tell_is_a_note(night, fault):
    with night(codes=({"extended_id": "A0000000"},), faults=({**fault, "every": 1},)) as here:
        (here.folder / "export.csv").write_text(EXPORT)
        assert here.run("init", "--from", "export.csv").code == 0
        assert "# ? the API could not tell more: the API refused access" in (here.folder / "config.toml").read_text()
