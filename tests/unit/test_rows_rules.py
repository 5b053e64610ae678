"""What a job says about rows where it says nothing: the words of docs/configuration.md, as values."""

from __future__ import annotations

from syncer.rows.rules import KEEP, REJECT, FieldRule, RowRules, Steps


def test_what_a_job_does_not_say_changes_nothing():
    assert Steps() == Steps(
        origin=None,
        trim=False,
        null=(),
        strip_prefix=(),
        strip_suffix=(),
        extract=None,
        upper=False,
        lower=False,
        pad=0,
        map=None,
        map_else="reject",
    )
    assert FieldRule() == FieldRule("text", (), (), required=False, max_length=None, steps=Steps())
    assert RowRules(("id",)) == RowRules(("id",), None, "omit", {}, None, {}, None)
    assert (REJECT, KEEP) == ("reject", "keep")
