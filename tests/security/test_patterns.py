"""No pattern, the user's or ours, takes more than time in proportion to the text that a hostile file puts before it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read

from syncer.rejections import Rejection
from syncer.rows.rules import Steps
from syncer.rows.transform import Transformation
from syncer.source.table import Marks, TableForm, total
from syncer.source.xlsx.formats import NumberKind, classified

LONG = 200_000


def seconds(act):
    begun_s = time.process_time()
    act()
    return time.process_time() - begun_s


@pytest.mark.parametrize("pattern", ["(?:a+)+(b)", "((?:a|aa)+)b", "(a*a*a*a*a*b)", "((?:a|a)*)c", "(.*.*.*.*.*=x)"])
def test_no_extract_takes_long(pattern):
    import pyarrow as pa

    steps = Transformation(Steps(extract=pattern), "f", "a")
    column = pa.array(["a" * LONG, "b"]).dictionary_encode()
    assert seconds(lambda: steps.make([column])) < 5


@pytest.mark.parametrize("text", ["*a" * 12 + "*b", "a*a*a*a*b", "*" * 50 + "b", "*aab*aab*"])
def test_no_pattern_of_the_user_takes_long(text):
    marks = Marks(TableForm(skip=(text,), end=(text + "c",)))
    assert seconds(lambda: marks.fate(["a" * LONG])) < 5


@given(st.text(st.sampled_from("ab*"), min_size=1, max_size=6), st.text(st.sampled_from("ab\n"), max_size=8))
def test_a_star_is_anything_and_all_else_is_itself(pattern, text):
    from syncer.source.table import Fate

    naive = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL).fullmatch(text.strip())
    expected = Fate.LEFT_OUT if naive or not text.strip() else Fate.ROW
    assert Marks(TableForm(skip=(pattern,))).fate([text]) is expected


def test_no_last_row_takes_long():
    assert seconds(lambda: total(0, 9, ["Total" + " " * LONG + "x"])) < 5
    found = total(0, 9, ["Total :  1.234,50 "])
    assert isinstance(found, Rejection)


def test_no_header_takes_long(tmp_path):
    data = b"extended_id,a\n" + b"-" * LONG + b"x\nK1,b\n"
    assert seconds(lambda: read(tmp_path, data)) < 5


@pytest.mark.parametrize(
    ("code", "kind"),
    [("0.00E+00", "SCIENTIFIC"), ("#.E-0", "SCIENTIFIC"), ("[Red]yyyy-mm-dd", "DAY"), ("[$-409]d/m/yyyy", "DAY"), ("[h]:mm", "TIME"), ("0.00", "OTHER")],
)  # fmt: skip
def test_what_a_format_means(code, kind):
    assert classified(code).kind is NumberKind[kind]


@pytest.mark.parametrize("code", ["[" * 1000, "[0" * 500, "0" * 999 + "x", "?#" * 500, '"' * 999, "\\" * 999])
def test_no_code_of_a_format_takes_long(code):
    assert seconds(lambda: [classified(code) for _ in range(1000)]) < 2
