"""Cells that a spreadsheet would compute: harmless in files for people, untouched in what is sent, and reversible."""

from __future__ import annotations

import csv
import io
import json
import re

import pyarrow as pa
import pytest
from conftest import codes, write_csv
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.runs.results_form import ResultsForm, ResultsWriter
from syncer.safe.files import replacing
from syncer.safe.formulas import EXTRA_COLUMNS, neutral, restored
from syncer.source import CsvForm, open_sources

SIGNS = "=+-@\t\r\n＝＋－＠"
EVIL = ["=1+1", "+1", "-2+3", "@SUM(A1)", "＝1", "＠x", " =1", "'=1", "''@x", "\t=1", '=HYPERLINK("http://x","y")']
likely = st.text(st.sampled_from("'=+-@\t\r\n＝ \xa0\ufeffa1,;\""), max_size=6)
cells = st.one_of(likely, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))


@given(cells)
@example("'")
@example("-")
def test_what_is_neutral_begins_like_no_formula_and_can_be_undone(text):
    written = neutral(text)
    assert not written.startswith(tuple(SIGNS))
    assert not written.lstrip(" \t\r\n\xa0\u3000\u200b\ufeff\x00\x0b\x0c").startswith(tuple("=+-@＝＋－＠"))
    assert restored(written) == text


@example(
    [("\ufeffx", ""), ("a", ""), ("b", "")], (None, None), ResultsForm()
)  # Arrow leaves out a mark at a block's begin
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=8),
    st.sampled_from([(None, None), ("cp1252", ";"), ("utf-16-le", "\t")]),
    st.sampled_from(
        [ResultsForm(), ResultsForm("utf-8", ";", marked=True), ResultsForm("utf-16-le", "\t", marked=True)]
    ),
)
def test_any_cell_survives_the_way_into_a_results_file_and_back(tmp_path_factory, rows, declared, form):
    rows = [tuple(cell.replace("\0", "") for cell in row) for row in rows]  # a row with a NUL is refused, and says so
    path = tmp_path_factory.mktemp("mended") / "error.csv"
    with replacing(path) as part:
        writer = ResultsWriter(part, form, ["=key", "'@field"])
        writer.write_rows(rows, [("a.csv", 2, "E210", "")] * len(rows))
    source = open_sources(
        [str(path)], CsvForm(encoding=declared[0], delimiter=declared[1], quote="" if declared[0] else None)
    )[0]
    assert source.header == ("=key", "'@field", *EXTRA_COLUMNS)
    read = pa.Table.from_batches([chunk.columns for chunk in source.chunks(["=key", "'@field"])])
    assert list(zip(*(column.to_pylist() for column in read.columns), strict=True)) == rows
    source.close()


@example([("", '=""')])
@given(st.lists(st.tuples(likely, likely), min_size=1, max_size=5))
def test_a_file_that_is_not_ours_is_read_as_it_is(tmp_path_factory, rows):
    """But for a text that a spreadsheet wraps, ="…": its row is rejected until a setting says what it stands for."""
    rows = [("x", "'=1"), *((f"k{first}", second) for first, second in rows)]  # a row that is blank is none
    path = write_csv(tmp_path_factory.mktemp("own") / "a.csv", ("a", "b"), rows)
    source = open_sources([str(path)], CsvForm(delimiter=",", quote='"'))[0]
    chunks = list(source.chunks(["b"]))
    read = [cell for chunk in chunks for cell in chunk.columns.column("b").to_pylist()]
    wrapped = {row[1] for row in rows if re.fullmatch('=".*"', row[1], re.DOTALL)}
    assert read == [row[1] for row in rows if row[1] not in wrapped]
    rejected = [(one.code, one.cells) for chunk in chunks for one in chunk.rejections]
    assert rejected == [("E108", (row[1],)) for row in rows if row[1] in wrapped]
    source.close()


def read_results(here, name):
    with (here.folder / "out" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_formulas_are_sent_as_they_are_and_written_harmless(night):
    rows = [(f"K{n:06d}", text) for n, text in enumerate(EVIL)]
    with night(codes=codes(len(rows))) as here:
        here.write("=a.csv", ("extended_id", "note"), [*rows, ("=nobody", "x"), ("", "@blank")])
        done = here.sync("=a.csv", "--results", "out")
        assert done.document["values"]["confirmed"] == len(rows)
        assert {key: data["note"] for key, data in here.server().items()} == dict(rows)
        for name in ("confirmed.csv", "error.csv", "unprocessed.csv"):
            for row in read_results(here, name):
                assert not any(cell.startswith(tuple(SIGNS)) for cell in row.values()), row
        assert [row["extended_id"] for row in read_results(here, "error.csv")] == ["'=nobody", ""]
        exported = here.run("audit", "export").out
        for row in csv.DictReader(io.StringIO(exported)):
            assert not any(cell.startswith(tuple(SIGNS)) for cell in row.values()), row
        lines = [json.loads(line) for line in here.run("audit", "export", "--format", "jsonl").out.splitlines()]
        assert {tuple(line["key"]): line["data"]["note"] for line in lines} == {
            **{(key,): text for key, text in rows},
            ("=nobody",): "x",
        }


@pytest.mark.parametrize("job", ["", '[jobs.default.csv]\ndelimiter = ";"\nencoding = "cp1252"\nquote = ""\n'])
def test_error_csv_is_mended_and_fed_in_again(night, job):
    with night(codes=({"extended_id": "=K1"}, {"extended_id": "K2"})) as here:
        here.config(job)
        (here.folder / "a.csv").write_text(
            "extended_id;=note\n=K1;\n=K9;'=ü,x\n", encoding="cp1252" if job else "utf-8"
        )
        blank = "reject"
        done = here.sync("a.csv", "--results", "out", SYNCER_JOBS__DEFAULT__BLANK=blank)
        assert done.code == 3, done.err
        path = here.folder / "out" / "error.csv"
        form = "cp1252" if job else "utf-8-sig"
        text = path.read_text(encoding=form)
        assert "'=K9" in text
        path.write_text(text.replace("'=K9", "K2").replace("'=K1;", "'=K1;-7"), encoding=form)
        again = here.sync("out/error.csv", SYNCER_JOBS__DEFAULT__BLANK=blank)
        assert (again.code, again.document["values"]["confirmed"]) == (0, 2), again.document
        notes = {key: data["=note"] for key, data in here.server().items()}
        assert notes == {"=K1": "-7", "K2": "'=ü,x"}


def test_standard_input_keeps_its_name_in_the_exports(night):
    with night(codes=codes(1)) as here:
        here.run("sync", "-", "--results", "out", stdin="extended_id,a\nK000000,=1\n")
        assert [(row["_file"], row["a"]) for row in read_results(here, "confirmed.csv")] == [("-", "'=1")]
        (row,) = csv.DictReader(io.StringIO(here.run("audit", "export").out))
        assert row["file"] == "-"


EVIL_WORDS = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-2", "'=x", "\t=1", "plain", "'plain"]


def computed(path):
    """The cells of a CSV file that a spreadsheet would compute; numbers that begin with a sign are none."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return [cell for row in rows for cell in row if cell.startswith(tuple(SIGNS)) and not is_number(cell)]


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return "." in cell


def test_products_scans_and_own_codes_errors_are_harmless_too(night, forks):
    products = [{"sku": f"S{place}", "name": word, "description": word} for place, word in enumerate(EVIL_WORDS)]
    holders = tuple({"extended_id": f"K{place}", "market": word} for place, word in enumerate(EVIL_WORDS))
    with night(products=products, codes=holders) as here:
        here.config("[products]\ncheck = false\n")
        for place in range(len(EVIL_WORDS)):
            here.box.scan(extended_id=f"K{place}")
        here.write("own.csv", ("id", "=market"), [(f"short{place}"[:7], word) for place, word in enumerate(EVIL_WORDS)])
        for arguments in (
            ("products", "pull", "--out", "products.csv"),
            ("products", "pull", "--out", "products.jsonl"),
            ("scans", "pull", "--campaign", "1", "--out", "scans"),
            ("scans", "pull", "--campaign", "1", "--out", "lines", "--format", "jsonl"),
            ("codes", "upload", "own.csv"),
        ):
            assert forks.run(here.folder, here.variables(), *arguments).code in {0, 3}
        written = [
            here.folder / "products.csv",
            here.folder / "own.errors.csv",
            *(here.folder / "scans").glob("part-*"),
        ]
        assert len(written) == 3
        assert {path.name: computed(path) for path in written} == {path.name: [] for path in written}
        lines = [json.loads(line) for line in (here.folder / "products.jsonl").read_text().splitlines()]
        assert {line["name"] for line in lines} == set(EVIL_WORDS)
        from syncer.scans.pulled import pulled_scans

        for folder in ("scans", "lines"):
            assert {scan.scm["market"] for scan in pulled_scans(here.folder / folder)} == set(EVIL_WORDS)


def test_own_codes_errors_are_read_back_as_they_were(night, forks):
    with night() as here:
        here.write("own.csv", ("id", "=market"), [(f"s{place}", word) for place, word in enumerate(EVIL_WORDS)])
        assert forks.run(here.folder, here.variables(), "codes", "upload", "own.csv").code == 3
        path = here.folder / "own.errors.csv"
        (here.folder / "again.csv").write_text(
            path.read_text().replace("\ns", "\nBOTTLE-0000").replace("'=market", "market")
        )
        done = forks.run(here.folder, here.variables(), "codes", "upload", "again.csv")
        assert done.code == 0, done.out + done.err
        made = [code for code in here.box.codes() if code["extended_id"].startswith("BOTTLE")]
        assert {code["market"] for code in made} == set(EVIL_WORDS)
