"""Rows that the reader refused, fed in again: only what somebody mended is sent, by whatever way the file came back."""

from __future__ import annotations

import csv
import datetime as dt
import subprocess
import sys

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

MARKET = '[jobs.default.fields.intended_market]\ntype = "choice"\nchoices = ["DE", "FR"]\n'
OWN = {"extended_id", "serial_number", "activation_status"}
HELD = tuple({"extended_id": f"D{n}"} for n in range(1, 60))
MORE = "".join(f"D{n},DE,M{n},L{n}\n" for n in range(40, 50))


@pytest.fixture
def here(night):
    with night(codes=HELD) as opened:
        opened.config(MARKET)
        yield opened


def error_rows(here, folder="out", encoding="utf-8-sig", delimiter=","):
    with (here.folder / folder / "error.csv").open(encoding=encoding, newline="") as file:
        return sorted(
            csv.DictReader(file, delimiter=delimiter), key=lambda row: (len(row["extended_id"]), *row.values())
        )


def write_rows(here, rows, name="out/error.csv", encoding="utf-8", delimiter=","):
    with (here.folder / name).open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def held(here, *names):
    """What the server holds of codes: the fields that were sent."""
    found = here.server()
    return {name: {key: value for key, value in found[name].items() if key not in OWN}
            for name in names if name in found}  # fmt: skip


def workbook(here, rows, name="a.xlsx"):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    book.save(here.folder / name)
    return sheet, book


REFUSED = (
    (b"D1,DE,Meier, KG,L1\n", "E101"),
    (b"D2,FR,Max\n", "E101"),
    (b"D3,DE,M\0x,L1\n", "E103"),
    (b"D4,DE,K\xc3\xb6ln,5 \xff\n", "E106"),
    (b"D5,DE,M,see list:\rBOX\n", "E107"),
    (b"D6,DE,M,L1\rD7,DE,M,L2\n", "E107"),
    (b'D8,DE,="Max",="L1"\n', "E108"),
)
IN_DOUBT = (  # the second is right, if a quote is missing in the first
    (b'D1,DE,"Max,L1\n', "E102"),
    (b'D2,DE,"Meier, KG",L2\n', "E104"),
)


def saved(here, way):
    """Mend the one row that people see at once, and save error.csv in some way; return its name."""
    rows = [{**row, "intended_market": row["intended_market"].replace("XX", "DE")} for row in error_rows(here)]
    if way == "xlsx":  # a workbook has no NUL
        cells = [[cell.replace("\0", "") for cell in row.values()] for row in rows]
        workbook(here, [list(rows[0]), *cells], "error.xlsx")
        return "error.xlsx"
    if way == "semicolons":
        write_rows(here, rows, "mended.csv", encoding="utf-8-sig", delimiter=";")
        return "mended.csv"
    write_rows(here, rows[::-1] if way == "sorted" else rows)
    return "out/error.csv"


@pytest.mark.parametrize("way", ["as it is", "semicolons", "xlsx", "sorted"])
@pytest.mark.parametrize("refused", [REFUSED, IN_DOUBT])
def test_what_nobody_mended_is_refused_again_with_its_own_code(here, refused, way):
    lines = b"".join(line for line, _ in refused)
    (here.folder / "a.csv").write_bytes(b"extended_id,intended_market,maker,lot\nD20,XX,M,L\n" + lines + MORE.encode())
    assert here.sync("a.csv", "--results", "out").code == 3
    before = error_rows(here)
    assert [row["_code"] for row in before if row["extended_id"] != "D20"] == [code for _, code in refused]
    done = here.sync(saved(here, way), "--results", "again")
    assert (done.code, done.document["values"]["confirmed"]) == (3, 1), done
    shown = [{**row, "maker": row["maker"].replace("\0", "")} for row in before if row["extended_id"] != "D20"]
    names = ("extended_id", "intended_market", "maker", "lot", "_code")
    between = ";" if way == "semicolons" else ","
    again = [{**row, "maker": row["maker"].replace("\0", "")} for row in error_rows(here, "again", delimiter=between)]
    told = [["\n".join(row[name].splitlines()) for name in names] for rows in (again, shown) for row in rows]
    assert told[: len(again)] == told[len(again) :]
    assert held(here, *(f"D{n}" for n in range(1, 9))) == {f"D{n}": {} for n in range(1, 9)}
    assert held(here, "D20")["D20"]["intended_market"] == "DE"


def test_all_that_stood_in_a_refused_row_stands_in_error_csv_and_can_be_mended(here):
    (here.folder / "a.csv").write_text(
        'extended_id,intended_market,maker,lot\nD1,DE,Meier, KG,L1\nD2,FR,Max\nD3,FR,"Hub"er,L3\n' + MORE
    )
    assert here.sync("a.csv", "--results", "out").code == 3
    rows = error_rows(here)
    assert [(row["maker"], row["lot"]) for row in rows] == [
        ("Meier", "[E101]  KG,L1"), ("Max", "[E101]"), ('[E102] "Hub"er', "L3"),
    ]  # fmt: skip
    mended = {"D1": ("Meier, KG", "L1"), "D2": ("Max", "L2"), "D3": ("Huber", "L3")}
    for row in rows:
        row["maker"], row["lot"] = mended[row["extended_id"]]
    write_rows(here, rows)
    assert here.sync("out/error.csv", "--results", "out").code == 0
    assert {name: (data["maker"], data["lot"]) for name, data in held(here, *mended).items()} == mended


def test_of_a_workbook_cells_without_a_certain_text_are_not_sent_as_they_are_shown(here):
    cells = [1234567890123456, True, "#N/A", 1.5, "=1+1", dt.datetime(2026, 11, 25, 23, 30)]  # noqa: DTZ001
    rows = [["extended_id", "intended_market", "gtin", "more"], ["D10", "XX", "x", "y"]]
    workbook(here, [*rows, *([f"D{n}", "DE", cell, True] for n, cell in enumerate(cells, 1)), ["D11", "DE", "x", "y"]])
    book = openpyxl.load_workbook(here.folder / "a.xlsx")
    book.active["C5"].data_type = "e"
    book.save(here.folder / "a.xlsx")
    assert here.sync("a.xlsx", "--results", "out").code == 3
    found = error_rows(here)
    assert [row["gtin"].partition("]")[0] for row in found[:-1]] == [
        "[E121", "[E123", "[E124", "[E122", "[E125", "[E126",
    ]  # fmt: skip
    assert {row["more"].partition("]")[2] for row in found[:-1]} == {" TRUE"}
    for row in found:
        row["intended_market"] = "FR"
        row["gtin"] = "00123" if row["extended_id"] in {"D1", "D2"} else row["gtin"]
        row["more"] = "no" if row["extended_id"] == "D1" else row["more"]  # of D2 one of two cells is mended
    write_rows(here, found)
    done = here.sync("out/error.csv", "--results", "out")
    assert (done.code, done.document["rows"]["invalid"], done.document["values"]["confirmed"]) == (3, 5, 2)
    assert held(here, *(f"D{n}" for n in range(1, 7))) == {
        "D1": {"intended_market": "FR", "gtin": "00123", "more": "no"}, **{f"D{n}": {} for n in range(2, 7)},
    }  # fmt: skip


def test_of_json_lines_and_parquet_neither(here):
    (here.folder / "a.jsonl").write_text(
        '{"extended_id":"D1","tags":["a","b"],"more":true}\n{"extended_id":"D2","tags":"t","more":"x"}\n'
    )
    here.config("")
    assert here.sync("a.jsonl", "--results", "out").code == 3
    assert [(row["tags"], row["more"]) for row in error_rows(here)] == [("[E122] …", "[E122] true")]
    assert here.sync("out/error.csv").code == 3
    times = [dt.datetime(2026, 11, 25, 23, 30), dt.datetime(2026, 11, 25), dt.datetime(1, 1, 1)]  # noqa: DTZ001
    table = pa.table({"extended_id": ["D3", "D4", "D5"], "made": pa.array(times, pa.timestamp("us"))})
    pyarrow.parquet.write_table(table, here.folder / "a.parquet")
    assert here.sync("a.parquet", "--results", "parquet").code == 3
    found = [row["made"] for row in error_rows(here, "parquet")]
    assert [text[:23] for text in found] == ["[E126] 2026-11-25 23:30", "[E126] 0001-01-01 00:00"]
    assert here.sync("parquet/error.csv").code == 3
    assert held(here, "D1", "D3", "D5") == {"D1": {}, "D3": {}, "D5": {}}


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-1"])
def test_a_byte_that_is_no_text_is_not_sent_as_a_question_mark(here, encoding):
    here.config(f'{MARKET}[jobs.default.csv]\nencoding = "{encoding}"\n')
    note = b"Pa\x8d\x81s" if encoding == "cp1252" else b"5 \x80"
    (here.folder / "a.csv").write_bytes(
        b"extended_id;intended_market;note\nD1;XX;M\xfcller\nD2;FR;" + note + b"\nD3;DE;x\nD4;DE;\xfc\n"
    )
    assert here.sync("a.csv", "--results", "out").code == 3
    rows = error_rows(here, encoding=encoding, delimiter=";")
    assert rows[1]["note"] in {"[E106] Pa??s", "[E106] 5 ?"}
    rows[0]["intended_market"] = "DE"
    write_rows(here, rows, encoding=encoding, delimiter=";")
    assert here.sync("out/error.csv", "--results", "out").code == 3
    assert held(here, "D1", "D2") == {"D1": {"intended_market": "DE", "note": "Müller"}, "D2": {}}


def test_what_a_job_declares_of_cells_counts_for_mended_rows_too(here):
    here.config('[jobs.default.table]\nnull = ["NULL"]\ntrim = "all"\nunwrap = true\n')
    (here.folder / "a.csv").write_text(
        'extended_id,market,lot\nD1,DE,L1\n="D2",FR  ,NULL ,\n="D3",FR  ,NULL ,\nD4,DE,L4\nD5,DE,L5\n'
    )
    assert here.sync("a.csv", "--results", "out").code == 3
    path = here.folder / "out" / "error.csv"
    path.write_text(path.read_text().replace('"[E101] NULL ,"', "NULL ", 1))
    assert here.sync("out/error.csv").code == 3
    assert held(here, "D2", "D3") == {"D2": {"market": "FR"}, "D3": {}}


@pytest.mark.parametrize("formats", [["%d.%m.%Y"], ["%Y-%d-%m"], ["%d.%m.%Y", "%Y-%m-%d"], ["%d.%m.%y", "%d/%m/%Y"]])
@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_native_date_survives_the_way_into_error_csv_and_back(here, formats, kind):
    here.config(f'{MARKET}[jobs.default.fields.made]\ntype = "date"\nformats = {formats}\n')
    rows = [("D1", "XX", dt.date(2026, 5, 3)), ("D2", "FR", dt.date(2026, 5, 4)), ("D3", "XX", dt.date(1931, 2, 1))]
    names = ["extended_id", "intended_market", "made"]
    if kind == "xlsx":
        workbook(here, [names, *rows])
    else:
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        pyarrow.parquet.write_table(pa.table(columns), here.folder / "a.parquet")
    assert here.sync(f"a.{kind}", "--results", "out").code == 3
    path = here.folder / "out" / "error.csv"
    path.write_text(path.read_text().replace(",XX,", ",DE,"))
    assert here.sync("out/error.csv").code == 0
    assert {name: data["made"] for name, data in held(here, "D1", "D2", "D3").items()} == {
        "D1": "2026-05-03", "D2": "2026-05-04", "D3": "1931-02-01",
    }  # fmt: skip


def test_the_rows_of_a_framed_file_stand_under_their_own_columns(here):
    (here.folder / "a.csv").write_bytes(
        b"|extended_id|intended_market|lot|\n|D1|DE|L1|\n|D2|FR|L2|x|\n|D3|DE|K\xf6ln |\n|D4|DE|L\xc3\xb6|\n"
        b"x|D5|FR|L5|\n" + b"".join(b"|D%d|DE|L|\n" % n for n in range(40, 50))
    )
    assert here.sync("a.csv", "--results", "out").code == 3
    rows = error_rows(here, delimiter="|")
    assert [tuple(row.values())[:3] for row in rows] == [
        ("D2", "FR", "[E101] L2|x"), ("D3", "DE", "[E106] K\ufffdln "), ("x|D5", "FR", "[E101] L5"),
    ]  # fmt: skip
    assert rows[1]["_message"].startswith("column 3: ")


@pytest.mark.parametrize("way", ["xlsx", "frame", "jsonl"])
def test_apostrophes_before_formulas_are_taken_away_whatever_the_file_was_saved_as(here, way):
    (here.folder / "a.csv").write_text("extended_id,intended_market,=note\nD1,XX,-5 C\nD2,DE,ok\n")
    assert here.sync("a.csv", "--results", "out").code == 3
    rows = error_rows(here)
    assert (list(rows[0])[2], rows[0]["'=note"]) == ("'=note", "'-5 C")
    rows[0]["intended_market"] = "FR"
    if way == "frame":
        write_rows(here, rows)
        script = (
            "import pandas, syncer; f = pandas.read_csv('out/error.csv', dtype=str, keep_default_na=False);"
            "raise SystemExit(syncer.sync(f, name='mended').exit_code)"
        )
        variables = here.variables()
        done = subprocess.run([sys.executable, "-c", script], cwd=here.folder, env=variables, check=False)
        assert done.returncode == 0
    elif way == "xlsx":
        workbook(here, [list(rows[0]), list(rows[0].values())], "error.xlsx")
        assert here.sync("error.xlsx").code == 0
    else:
        import json

        (here.folder / "error.jsonl").write_text(json.dumps(rows[0]) + "\n")
        assert here.sync("error.jsonl").code == 0
    assert held(here, "D1") == {"D1": {"intended_market": "FR", "=note": "-5 C"}}


def test_backslashes_in_error_csv_are_text_whatever_the_job_says(here):
    here.config(f'{MARKET}[jobs.default.csv]\nescape = ""\n')
    (here.folder / "a.csv").write_text('extended_id;intended_market;place\nD1;XX;Halle A, \\\\srv\\x\\\nD2;DE;"b;c"\n')
    assert here.sync("a.csv", "--results", "out").code == 3
    path = here.folder / "out" / "error.csv"
    path.write_text(path.read_text("utf-8-sig").replace("XX", "FR"))
    assert here.sync("out/error.csv").code == 0
    assert held(here, "D1")["D1"]["place"] == "Halle A, \\\\srv\\x\\"


def test_a_file_of_refused_rows_alone_is_read_and_the_mended_one_is_sent(here):
    here.config(f"{MARKET}[jobs.default.csv]\nmax_damaged_percent = 100\n")
    good = "".join(f"D{n},DE,ö\n" for n in range(1, 25)).encode()
    bad = b"".join(b"D%d,DE,\xff%d\n" % (n, n) for n in range(25, 46))
    (here.folder / "a.csv").write_bytes(b"extended_id,intended_market,note\nD50,XX,x\n" + good + bad)
    assert here.sync("a.csv", "--results", "out").code == 3
    path = here.folder / "out" / "error.csv"
    path.write_text(path.read_text().replace(",XX,", ",FR,"))
    done = here.sync("out/error.csv")
    assert (done.code, done.document["values"]["confirmed"], done.document["rows"]["invalid"]) == (3, 1, 21)


def test_error_csv_of_a_utf_8_job_that_a_western_spreadsheet_saved_is_read(here):
    (here.folder / "a.csv").write_text("extended_id,intended_market,maker\nD1,XX,Müller\nD2,DE,x\n")
    assert here.sync("a.csv", "--results", "out").code == 3
    rows = error_rows(here)
    rows[0]["intended_market"] = "FR"
    write_rows(here, rows, encoding="cp1252", delimiter=";")
    assert here.sync("out/error.csv").code == 0
    assert held(here, "D1")["D1"]["maker"] == "Müller"


@pytest.mark.parametrize("way", ["as it is", "xlsx"])
def test_what_a_job_declares_of_rows_and_of_its_files_does_not_count_for_error_csv(here, way):
    here.config(
        f'{MARKET}[jobs.default.csv]\ndelimiter = ";"\nskip_lines = 1\n'
        '[jobs.default.table]\nheader_row = 3\nskip = ["D2"]\nend = ["D3"]\n'
    )
    rows = [["Report"], [], ["extended_id", "intended_market"], ["D1", "XX"], ["D2", "XX"], ["D4", "XX"], ["D5", "DE"]]
    workbook(here, rows)
    assert here.sync("a.xlsx", "--results", "out").code == 3
    path = here.folder / "out" / "error.csv"
    path.write_text(path.read_text().replace("D1,XX", "D2,XX").replace("D4,XX", "D3,XX"))
    done = here.sync(saved(here, way))
    assert (done.code, done.document["values"]["confirmed"]) == (0, 2), done
    assert held(here, "D2", "D3") == {"D2": {"intended_market": "DE"}, "D3": {"intended_market": "DE"}}
