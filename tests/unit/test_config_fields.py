"""Settings of steps and constants: what may be said, and every contradiction that needs no file to be seen."""

from __future__ import annotations

import pytest

from syncer.config import load_settings
from syncer.errors import ConfigError
from syncer.runs.inputs import field_rule


def load(tmp_path, text, environ=None):
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return load_settings(explicit=None, environ=environ or {}, cwd=tmp_path).jobs["erp"]


def test_every_step_is_read_as_it_is_written(tmp_path):
    job = load(
        tmp_path,
        """
        [jobs.erp]
        constants = { brand = "Example", activation_status = 1 }
        [jobs.erp.fields.intended_market]
        from = "{Land}/{Region}"
        map = { Deutschland = "DE", aktiv = 1 }
        map_else = 0
        strip_prefix = "L "
        strip_suffix = [" a", " b"]
        trim = true
        pad = 4
        upper = true
        null = ["-", "NULL"]
        extract = '^(\\d+)'
        """,
        {"SYNCER_JOBS__ERP__FIELDS__INTENDED_MARKET__PAD": "5", "SYNCER_JOBS__ERP__FIELDS__LOT__FROM": "Charge"},
    )
    assert job.constants == {"brand": "Example", "activation_status": "1"}
    steps = field_rule(job.fields["intended_market"]).steps
    assert (steps.origin, steps.map, steps.map_else) == ("{Land}/{Region}", {"Deutschland": "DE", "aktiv": "1"}, "0")
    assert (steps.strip_prefix, steps.strip_suffix, steps.null) == (("L ",), (" a", " b"), ("-", "NULL"))
    assert (steps.trim, steps.pad, steps.upper, steps.lower, steps.extract) == (True, 5, True, False, r"^(\d+)")
    assert job.fields["lot"].from_ == "Charge"


FIELD = "[jobs.erp.fields.f]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FIELD + 'from = "{a"', "jobs.erp.fields.f.from is '{a', but must be a column, or a template"),
        (FIELD + 'from = "{}"', "a template"),
        (FIELD + 'from_ = "a"', "unknown key jobs.erp.fields.f.from_ (did you mean 'from'?)"),
        (FIELD + 'extract = "("', "a regular expression (missing )"),
        (FIELD + 'extract = "a"', "with one group"),
        (FIELD + 'extract = "(a)(b)"', "with one group"),
        (FIELD + 'extract = "(?=a)(b)"', "without look-around"),
        (FIELD + r"extract = '(a)\1'", "without look-around and references"),
        (FIELD + "map = {}", "a table of values"),
        (FIELD + "map = { a = 1.5 }", "f.map.a is 1.5, but must be a text"),
        (FIELD + "pad = -1", "between 0 and 1000"),
        (FIELD + "upper = true\nlower = true", "upper and lower contradict"),
        (FIELD + 'map_else = "keep"', "there is no map"),
        (FIELD + 'lower = true\nmap = { A = "x", a = "y" }', "differ in letter case alone"),
        (
            FIELD + 'formats = ["%d.%m.%Y"]',
            """f.formats is set, but the type is 'text': jobs.erp.fields.f.type = "date\"""",
        ),
        (
            FIELD + 'type = "choice"\nchoices = ["a"]\nformats = ["%d.%m.%Y"]',
            "formats is set, but the type is 'choice'",
        ),
        (FIELD + 'choices = ["a"]', """f.choices is set, but the type is 'text': jobs.erp.fields.f.type = "choice\""""),
        (FIELD + 'type = "choice"', "f.choices is missing"),
        ('[jobs.erp.fields.activation_status]\ntype = "date"', "activation_status.type cannot be 'date'"),
        ('[jobs.erp.fields.blacklist_reason]\ntype = "date"', "blacklist_reason.type cannot be 'date'"),
        ('[jobs.erp]\nconstants = { a = "" }', "jobs.erp.constants.a is '', but must be a text that is not empty"),
        ('[jobs.erp]\nconstants = { a = "x" }\ncolumns = { A = "a" }', "jobs.erp.constants.a has a column"),
        ('[jobs.erp]\nkey = "a"\nconstants = { a = "x" }', "jobs.erp.constants.a is the key"),
        ('[jobs.erp]\ncolumns = { A = "f" }\n' + FIELD + 'from = "B"', "f has a from of its own"),
        (
            '[jobs.erp]\ncolumns = { Datum = "production_date" }\n[jobs.erp.fields.Datum]\ntype = "date"',
            "jobs.erp.fields.Datum is no field that the job sends: the column 'Datum' is sent as 'production_date'",
        ),
        (
            '[jobs.erp]\ncolumns = { Datum = "production_date" }\n[jobs.erp.fields.prodction_date]\ntype = "date"',
            "did you mean 'production_date'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_file_is_read(tmp_path, text, words):
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert words in raised.value.message


def test_a_reference_that_is_escaped_is_none(tmp_path):
    assert load(tmp_path, FIELD + r"extract = '(a)\\1'").fields["f"].extract == r"(a)\\1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[jobs.erp]\nconstants = { status = "1" }', "jobs.erp.constants.status cannot be sent: use activation_status"),
        ('[jobs.erp]\nknown_fields = ["lot"]\nconstants = { lott = "1" }', "jobs.erp.constants.lott is not among"),
        ('[jobs.erp]\nknown_fields = ["lot"]\n[jobs.erp.fields.lott]\nfrom = "L"', "jobs.erp.fields.lott is not among"),
        ('[jobs.erp]\nkey = "k"\n[jobs.erp.fields.extended_id]\nfrom = "L"', "identifiers of codes cannot be changed"),
    ],
)
def test_what_is_made_is_held_to_the_same_names_as_what_is_mapped(tmp_path, text, words):
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert words in raised.value.message


def test_a_key_may_be_named_by_its_column_and_made_under_its_own_name(tmp_path):
    job = load(tmp_path, '[jobs.erp]\nkey = "QR"\n[jobs.erp.fields.extended_id]\nfrom = "QR"\nextract = "/q/(.+)"')
    assert job.key == ("QR",)


@pytest.mark.parametrize("header", ["extended_id,lot,plant\n", "\ufefflot;plant\r\nL1;P1\r\n", '"lot"\t"plant"'])
def test_known_fields_may_be_the_header_of_a_file_beside_the_configuration(tmp_path, header):
    (tmp_path / "template.csv").write_bytes(header.encode())
    head = '[jobs.erp]\nknown_fields_file = "template.csv"\n'
    assert {"lot", "plant"} <= set(load(tmp_path, head + 'columns = { A = "lot" }').known_fields)
    with pytest.raises(ConfigError, match="did you mean 'plant'"):
        load(tmp_path, head + 'columns = { A = "plan" }')


@pytest.mark.parametrize(
    ("text", "content", "words"),
    [
        ("", None, "cannot be read: No such file"),
        ("", b"\xff\xfe", "it is not UTF-8"),
        ("", b"\n", "has no header"),
        ('known_fields = ["a"]\n', b"a\n", "known_fields is set too"),
    ],
)
def test_a_file_of_known_fields_that_cannot_be_used_is_named(tmp_path, text, content, words):
    if content is not None:
        (tmp_path / "template.csv").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, '[jobs.erp]\nknown_fields_file = "template.csv"\n' + text)
    assert words in raised.value.message
