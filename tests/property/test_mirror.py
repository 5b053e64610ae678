"""What is known of a value, against a naive model: dictionaries, read and written as JSON, one rule a line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.mirror.elsewhere import OpenElsewhere
from syncer.mirror.picture import (
    ABSENT,
    EVERY_FIELD,
    UNHEARD_OF,
    Picture,
    all_counted,
    asked_again,
    campaign_in,
    confirmed,
    counted,
    delta,
    doubted,
    may_move,
    moves_code,
    named,
    not_taken,
    overwrites,
    refused_words,
    stamped,
)
from syncer.mirror.words import (
    NOTHING,
    canonical,
    field_of,
    fields_of,
    fingerprint,
    laid_over,
    missing_words,
    only,
    text_of,
    value_of,
    without,
    words_of,
)
from syncer.model import SPECIAL_FIELDS

ODD = st.text(st.sampled_from('ab"\\,:{} ä\n'), max_size=4)
"""Names and values of the signs that delimit words."""
FIELDS = st.sampled_from(["a", "b", "c", "product", "activation_status", "blacklist_reason", 'q"u', "b\\s"])
DATA = st.dictionaries(FIELDS, ODD, max_size=6)
PAIRED = {"activation_status", "blacklist_reason"}


def of(data):
    return canonical(data)


@st.composite
def pictures(draw):
    known = draw(DATA)
    others = draw(st.dictionaries(FIELDS.filter(lambda name: name not in known), st.sampled_from(["u", "r", "ur"])))
    uncertain = sorted(name for name, kinds in others.items() if "u" in kinds)
    refused = sorted(name for name, kinds in others.items() if "r" in kinds)
    by_count = tuple(sorted(name for name in known if name not in SPECIAL_FIELDS and draw(st.booleans())))
    return Picture(of(known), tuple(uncertain), tuple(refused), draw(st.booleans()), by_count)


@example({"0": ",", ":": ","}, {",": ":"}, set())  # the one holds the other's word, but across its own words
@example({",": ":"}, {"0": ",", ":": ","}, set())
@example({"a": '19",', "b": "x"}, {"a": '",', "c": '"'}, {"a"})
@example({",": "a", "b": ":", ":": ","}, {",": ",", ":": ":"}, {",", ":"})
@given(st.dictionaries(ODD, ODD), st.dictionaries(ODD, ODD), st.sets(ODD))
def test_words_say_what_parsing_the_texts_would_say(one, other, fields):
    text, newer = of(one), of(other)
    assert (text_of(words_of(text)), NOTHING) == (text, of({}))
    assert fields_of(text) == sorted(one) == [field_of(word) for word in words_of(text)]
    for field in {*one, *fields}:
        assert value_of(text, field) == one.get(field)
    assert only(text, fields) == of({name: value for name, value in one.items() if name in fields})
    assert without(text, fields) == of({name: value for name, value in one.items() if name not in fields})
    assert laid_over(text, newer) == of({**one, **other})
    assert text_of(missing_words(text, newer)) == of({n: v for n, v in other.items() if (n, v) not in one.items()})


def test_the_words_of_a_ledger_stay_the_same():
    """They stand in ledgers: another form, or another fingerprint, would make every value differ."""
    assert canonical({"b": "2", "a": 'ä"'}) == '{"a":"ä\\"","b":"2"}'
    assert fingerprint('{"a":"1"}') == "9afeb0f2b203f254312ec8ded441d031"
    assert EVERY_FIELD == ""


@given(pictures(), DATA, st.booleans())
def test_a_delta_is_what_is_not_known_and_equal_with_what_belongs_to_it(picture, wanted, moving):
    known = json.loads(picture.known)
    missing = {n for n, v in wanted.items() if (n, v) not in known.items() and n not in picture.refused}
    sent = set(missing)
    if missing and len(missing) < len(wanted):
        if "product" in missing and moving:
            sent = set(wanted) - set(picture.refused)
        elif missing & PAIRED:
            sent |= PAIRED & set(wanted)
    expected = of({name: wanted[name] for name in sent})
    assert delta(picture, of(wanted), lambda old, new: moving) == expected
    words = missing_words(picture.known, of(wanted))
    assert delta(picture, of(wanted), lambda old, new: moving, missing=words) == expected
    assert overwrites(picture, words) is any(name in known and known[name] != wanted[name] for name in sent)
    assert refused_words(picture, of(wanted)) == sorted(set(wanted) & set(picture.refused))


@given(pictures(), DATA.filter(bool), st.booleans())
def test_what_the_server_said_is_known_and_nothing_else_is_that_may_have_stayed_behind(picture, sent, moving):
    known = json.loads(picture.known)
    moved = "product" in sent and moving
    after = confirmed(picture, of(sent), lambda old, new: moving)
    kept = {} if moved else known
    assert json.loads(after.known) == {**kept, **sent}
    left_behind = {name for name in known if moved and name not in sent}
    assert set(after.uncertain) == (set(picture.uncertain) | left_behind) - set(sent)
    assert after.uncertain == tuple(sorted(after.uncertain))
    assert after.refused == tuple(name for name in picture.refused if name not in sent)
    assert not after.absent
    assert after.counted == ()  # its place tells
    by_name, by_count = (say(picture, of(sent), lambda old, new: moving) for say in (named, counted))
    still = () if moved else tuple(name for name in picture.counted if name not in sent)
    assert by_name == replace(after, counted=still)
    assert by_count == replace(after, counted=tuple(sorted({*still, *sent} - SPECIAL_FIELDS)))


@given(pictures())
def test_what_a_task_confirmed_last_is_counted_as_a_whole_but_for_what_no_campaign_discards(picture):
    assert all_counted(picture) == replace(
        picture, counted=tuple(sorted({*json.loads(picture.known)} - SPECIAL_FIELDS))
    )


@given(pictures(), DATA, st.booleans())
def test_a_doubt_takes_away_what_was_known_and_adds_nothing(picture, sent, moving):
    known = json.loads(picture.known)
    doubtful = set(sent) | ({*known} if "product" in sent and moving else set())
    after = doubted(picture, of(sent), lambda old, new: moving)
    assert json.loads(after.known) == {name: value for name, value in known.items() if name not in doubtful}
    assert after.uncertain == tuple(sorted(set(picture.uncertain) | doubtful))
    assert (after.refused, after.absent) == (picture.refused, picture.absent)
    assert after.counted == tuple(name for name in picture.counted if name not in doubtful)


@given(pictures(), st.sets(FIELDS, min_size=1))
def test_what_was_not_taken_is_refused_until_the_campaign_takes_it(picture, fields):
    known = json.loads(picture.known)
    after = not_taken(picture, fields)
    assert json.loads(after.known) == {name: value for name, value in known.items() if name not in fields}
    assert set(after.uncertain) == set(picture.uncertain) - fields
    assert after.refused == tuple(sorted(set(picture.refused) | fields))
    assert after.counted == tuple(name for name in picture.counted if name not in fields)
    again = asked_again(after, fields)
    assert (again.known, again.uncertain) == (after.known, after.uncertain)
    assert again.refused == tuple(name for name in picture.refused if name not in fields)


@given(pictures(), st.sets(FIELDS), st.booleans())
def test_a_stamp_makes_uncertain_what_was_known(picture, fields, every):
    known = json.loads(picture.known)
    struck = set(known) if every else fields & set(known)
    after = stamped(picture, {*fields, EVERY_FIELD} if every else fields)
    assert json.loads(after.known) == {name: value for name, value in known.items() if name not in struck}
    assert after.uncertain == tuple(sorted(set(picture.uncertain) | struck))
    assert after.counted == tuple(name for name in picture.counted if name not in struck)
    assert (after.refused, after.absent) == (picture.refused, picture.absent)


@given(pictures(), DATA)
def test_only_a_product_that_is_not_known_to_stay_moves_a_code(picture, sent):
    known = json.loads(picture.known)
    asked = []
    moves_code(picture, of(sent), lambda old, new: bool(asked.append((old, new))))
    assert asked == ([(known.get("product"), sent["product"])] if "product" in sent else [])
    assert may_move("A", "B")
    assert may_move(None, "B")
    assert not may_move("A", "A")


def test_what_was_never_sent_and_what_is_nobodys_are_told_apart():
    assert Picture(NOTHING, (), (), absent=False) == UNHEARD_OF
    assert Picture(NOTHING, (), (), absent=True) == ABSENT
    others = (Picture(uncertain=("a",)), Picture(refused=("a",)), Picture('{"a":"1"}', counted=("a",)))
    assert [one.is_plain for one in (UNHEARD_OF, ABSENT, *others)] == [True, False, False, False, False]


def test_what_travels_together_and_what_moves_a_code_in_the_plainest_cases():
    known = Picture(of({"activation_status": "2", "blacklist_reason": "4", "lot": "1", "product": "A"}))
    both = {"activation_status": "2", "blacklist_reason": "5"}
    assert delta(known, of({**both, "lot": "1"})) == of(both)
    assert delta(known, of({"lot": "2", "activation_status": "2"})) == of({"lot": "2"})
    assert delta(known, of({"lot": "1", "product": "B"})) == of({"lot": "1", "product": "B"})
    assert delta(known, of({"lot": "1", "product": "B"}), lambda old, new: False) == of({"product": "B"})
    refusing = Picture(known.known, refused=("memo",))
    assert delta(refusing, of({"lot": "1", "memo": "x", "product": "B"})) == of({"lot": "1", "product": "B"})
    by_count = replace(known, counted=("lot",))
    assert [named(by_count, of({name: "B"})).counted for name in ("product", "memo", "lot")] == [(), ("lot",), ()]
    moved = confirmed(known, of({"product": "B"}))
    assert moved == Picture(of({"product": "B"}), ("activation_status", "blacklist_reason", "lot"))
    assert doubted(known, of({"product": "B"})) == Picture(uncertain=tuple(sorted(json.loads(known.known))))
    assert doubted(known, of({"lot": "2"})).uncertain == ("lot",)


ages = st.dictionaries(st.sampled_from(["m", "lot", "case", "id"]), st.integers(0, 3), min_size=1)


@given(ages, ages, st.sampled_from([["case"], ["id"], ["case", "lot"]]), st.sampled_from([["id"], ["case"]]))
def test_a_newer_word_waits_for_an_older_one_that_may_reach_its_codes(theirs, words, their_key, own_key):
    """Both write the field, or one of them writes what the other reaches codes by: then nobody knows which codes."""
    other = OpenElsewhere(theirs, frozenset(their_key), "", frozenset())
    expected = any(
        age > theirs_age
        for name, age in words.items()
        for their_name, theirs_age in theirs.items()
        if name == their_name or name in their_key or their_name in own_key
    )
    assert other.holds(own_key, words) is expected


@pytest.mark.parametrize(
    ("known", "writes", "by", "left"),
    [
        ({"case": "C1", "lot": "L"}, ["lot"], "case", {"case": "C1"}),
        ({"case": "C2", "lot": "L"}, ["lot"], "case", {"case": "C2", "lot": "L"}),  # another case
        ({"lot": "L", "m": "1"}, ["lot"], "case", {"m": "1"}),  # its case is not known
        ({"case": "C2", "lot": "L", "m": "1"}, ["lot"], "", {"case": "C2", "m": "1"}),  # no link
        ({"case": "C2", "lot": "L"}, ["memo"], "", {"case": "C2", "lot": "L"}),
        ({"case": "C2", "lot": "L"}, ["product"], "case", {}),  # may move codes, whosever they are
        ({"case": "C2", "lot": "L"}, ["id"], "case", {}),  # brings other codes under this space's values
    ],
)
def test_what_another_key_has_under_way_is_not_known(known, writes, by, left):
    other = OpenElsewhere(dict.fromkeys(writes, 0), frozenset(["case"]), by, frozenset(["C1"]))
    found = other.laid_over(Picture(canonical(known), ("z",)), ["id"])
    assert json.loads(found.known) == left
    assert set(found.uncertain) == {"z", *known} - left.keys()


@pytest.mark.parametrize(
    ("known", "sent", "campaign"),
    [
        ({"product": "A"}, {"m": "1"}, 1),
        ({"product": "A"}, {"product": "B"}, 2),
        ({"product": "A"}, {"product": "of nobody"}, None),
        ({"m": "1"}, {"product": "B", "m": "2"}, 2),
        ({"m": "A"}, {"m": '"product":"B'}, None),
        ({}, {}, None),
    ],
)
def test_the_product_that_a_code_gets_or_has_tells_its_campaign(known, sent, campaign):
    campaigns = {"A": 1, "B": 2, None: 3, "": 4}  # nobody may ask for the campaign of no product
    assert campaign_in(Picture(canonical(known)), canonical(sent), campaigns.get) == campaign
