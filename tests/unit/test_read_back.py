"""What code data says of a field: taken, not taken, or nothing; on rows alone, as a campaign's codes may hold them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from syncer.execute.left_out import AskedCode, CodeSeen
from syncer.ledger.unproven import Unproven
from syncer.runs.code_rows import CodeRows
from syncer.runs.left_out import LeftOutReader
from syncer.runs.read_back import read_back
from syncer.runs.summing import unproven_notes

HEADER = ("extended_id", "m")
RUN = SimpleNamespace(job=SimpleNamespace(key=("extended_id",)), campaign=None, mode="auto")


class Reader:
    """Shows codes by their keys: the cells of each look; what the last one shows stays."""

    def __init__(self, **cells):
        self.cells = {key: [*looks] for key, looks in cells.items()}
        self.paused = 0

    def rows(self, queries):
        return [self._row(query["extended_id"]) for query in queries], ""

    def _row(self, key):
        looks = self.cells[key]
        cells = looks.pop(0) if len(looks) > 1 else looks[0]
        return CodeRows(HEADER, tuple({"extended_id": key, "m": cell} for cell in cells))

    def pause(self):
        self.paused += 1


class Ledger:
    """Has values to be read back, and keeps what was seen."""

    def __init__(self, chosen, *, proven):
        self.chosen, self.proven, self.seen, self.forgotten = chosen, proven, {}, set()

    def unproven(self, run, fields, named, declared, begun):
        return self.chosen

    def record_read_back(self, run, seen, at):
        self.seen = seen
        return []

    def proofs(self, campaign):
        taken = {name for one in self.seen.values() for name in one.taken}
        refused = {name for one in self.seen.values() for names in one.refused.values() for name in names}
        return dict.fromkeys([*self.proven, *taken, *refused], True)

    def forget_proofs(self, campaign, fields):
        self.forgotten |= fields


def asked(number, told=None, **about):
    return Unproven(number, f"K{number}", told, None, {"m": "new"}, earlier={"m": ["older", "new", "old"]}, **about)


def looked(*values, proven=("m",), **cells):
    reader, ledger = Reader(**cells), Ledger(values, proven=proven)
    found = read_back(ledger, RUN, reader, fields=None, declared=(), named={}, begun=0, at="")
    return {*found.refused}, {*found.unproven}, reader.paused


@pytest.mark.parametrize(
    ("looks", "refused", "paused"),
    [
        ([["new"]], set(), 0),
        ([[""]], {"m"}, 1),
        ([["old"]], {"m"}, 1),
        ([["older"], ["old"]], {"m"}, 1),
        ([["old"], ["new"]], set(), 1),  # it came late
        ([["old"], ["else"]], set(), 1),
        ([["else"]], set(), 0),  # somebody else's
        ([["new", "old"]], {"m"}, 1),  # of several codes one has it not
        ([["new", "else"]], set(), 0),  # though it was given the new one before, too
        ([[]], set(), 0),
    ],
)
def test_an_older_word_of_ours_shows_that_a_field_was_not_taken(looks, refused, paused):
    assert looked(asked(1), K1=looks) == (refused, set(), paused)


def test_who_holds_an_older_word_while_others_of_the_campaign_took_the_new_one_may_have_been_given_it():
    cells = {"K1": [["old"]], "K2": [["new"]]}
    assert looked(asked(1), asked(2), **cells)[0] == set()
    assert looked(asked(1, told=1), asked(2, told=2), **cells)[0] == {"m"}
    assert looked(asked(1), asked(2), K1=[[""]], K2=[["new"]])[0] == {"m"}  # nothing is nobody's word


def test_of_what_a_stopped_run_sent_two_older_words_speak_though_the_campaign_is_told():
    """It may have taken the field since: those that took it speak for themselves."""
    cells = {"K1": [["old"]], "K2": [["older"]], "K3": [["new"]]}
    assert looked(*(asked(number, 1, is_older=True) for number in (1, 2, 3)), **cells)[0] == {"m"}
    assert looked(*(asked(number, 1, is_older=number == 1) for number in (1, 3)), **cells)[0] == set()
    assert looked(*(asked(number, 1) for number in (1, 2, 3)), **cells)[0] == set()


def test_a_code_that_lacks_what_another_key_may_have_written_since_tells_nothing_of_its_campaign():
    one = asked(1, is_older=True, uncertain=frozenset({"m"}))
    ledger = Ledger([one], proven=("m",))
    found = read_back(ledger, RUN, Reader(K1=[[""]]), fields=None, declared=(), named={}, begun=0, at="")
    assert (found.refused, found.lacking) == (frozenset(), ("m",))
    assert not ledger.seen[None].refused
    assert "codes lack m" in " ".join(unproven_notes({3: found}))


@pytest.mark.parametrize(("campaign", "told", "refused"), [(None, None, {"m"}), (7, None, set()), (None, 1, set())])
def test_two_that_hold_an_older_word_are_of_another_campaign_where_nobody_tells_it(campaign, told, refused):
    cells = {"K1": [["old"]], "K2": [["older"]], "K3": [["new"]]}
    ledger = Ledger([asked(number, told) for number in (1, 2, 3)], proven=("m",))
    run = SimpleNamespace(job=RUN.job, campaign=campaign, mode="auto")
    assert (
        read_back(ledger, run, Reader(**cells), fields=None, declared=(), named={}, begun=0, at="").refused == refused
    )


@pytest.mark.parametrize(
    ("about", "key", "mode", "other", "taken"),
    [
        ({}, "extended_id", "auto", "else", True),  # nobody had heard of the field
        ({"heard_of": frozenset("m")}, "extended_id", "auto", "else", False),  # an answer would name it
        ({"heard_of": frozenset("m")}, "extended_id", "async", "else", True),
        ({"heard_of": frozenset("m")}, "case_no", "auto", "else", True),
        ({"heard_of": frozenset("m")}, "case_no", "auto", "old", False),
        ({"heard_of": frozenset("m")}, "case_no", "auto", "", False),
    ],
)
def test_a_code_that_may_have_held_the_word_before_proves_little(about, key, mode, other, taken):
    ledger = Ledger([asked(1, 1, **about), asked(2, 1)], proven=("m",))
    run = SimpleNamespace(job=RUN.job, campaign=None, mode=mode)
    if key != "extended_id":
        run.job = SimpleNamespace(key=(key,))
    reader = Reader(K1=[["new"]], K2=[[other]])
    reader.rows = lambda queries: ([_renamed(reader, key, query) for query in queries], "")
    read_back(ledger, run, reader, fields=None, declared=(), named={}, begun=0, at="")
    assert (1 in ledger.seen[1].accepted) == taken


def _renamed(reader, key, query):
    (value,) = query.values()
    rows = reader._row(value)
    return CodeRows((key, "m"), tuple({key: value, "m": row["m"]} for row in rows.rows))


@pytest.mark.parametrize(
    ("earlier", "refused", "repeats"),
    [((), (), False), (["new"], (), True), (["new"], "m", False), (["new", "old"], "m", True), (["old"], (), False)],
)
def test_a_word_that_was_refused_last_was_not_held(earlier, refused, repeats):
    one = Unproven(1, "K1", None, None, {"m": "new"}, earlier={"m": earlier}, heard_of=frozenset("m"))
    assert replace(one, refused=frozenset(refused)).repeats("m") == repeats
    assert not replace(one, heard_of=frozenset()).repeats("m")


def test_what_was_never_taken_and_is_not_read_stays_unproven_and_what_was_taken_stands():
    assert looked(asked(1), K1=[["else"]]) == (set(), set(), 0)
    assert looked(asked(1), K1=[["else"]], proven=()) == (set(), {"m"}, 0)


@pytest.mark.parametrize(
    ("cells", "earlier", "seen"),
    [
        (["old"], {"m": {"old"}}, CodeSeen(exists=True, missing=frozenset({"m"}))),
        (["old"], {"m": {"x"}}, CodeSeen(exists=True, differs=True)),
        (["old"], {}, CodeSeen(exists=True, differs=True)),
        (
            ["new"],
            {"m": {"new"}},
            CodeSeen(exists=True, taken=frozenset({"m"}), repeated=frozenset({"m"})),
        ),  # it was given before, too
        (["new", "old"], {"m": {"old"}}, CodeSeen(exists=True, missing=frozenset({"m"}))),
        (["new", "else"], {"m": {"new"}}, CodeSeen(exists=True, differs=True)),
        ([""], {"m": {"old"}}, CodeSeen(exists=True, missing=frozenset({"m"}))),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_value_that_was_left_out_and_holds_an_older_word_did_not_take_the_new_one(cells, earlier, seen, named):
    look = LeftOutReader(Reader(K1=[cells]))
    assert look([AskedCode(("extended_id",), "K1", '{"m":"new"}', named, earlier)]) == [seen]
