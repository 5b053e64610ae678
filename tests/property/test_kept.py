"""Of the items of one value stay those that answer what later runs ask: for random histories, the same as all would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncer.ledger.kept import WORDS_CONFIRMED, SentItem, needed
from syncer.mirror.words import canonical, field_of, fields_of, words_of

FIELDS = st.dictionaries(st.sampled_from(["lot", "market", 'od"d']), st.sampled_from(["1", "2", "3"]), min_size=1)


@st.composite
def histories(draw):
    """Items of one value, oldest first; a wish may stand long after the file that it came from."""
    items = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        may_stand = draw(st.booleans())
        is_confirmed = may_stand and draw(st.booleans())
        items.append(
            SentItem(
                "K",
                1,
                number,
                draw(st.integers(1, number)),
                canonical(draw(FIELDS)),
                may_stand,
                is_confirmed,
                is_confirmed and draw(st.booleans()),
                draw(st.sampled_from([1, 20])),
                draw(st.integers(0, 9)),
                draw(st.booleans()),
            )
        )
    return items


def newest(items):
    """By field, the item that tells the newest word of it, where no field of an item is older than its source."""
    found = {}
    for one in sorted(items, key=lambda one: (one.source_id, one.id)):
        found.update(dict.fromkeys(fields_of(one.text), one.id))
    return found


def standing(items):
    """By field, the words that codes may hold: that of the newest item, and those up to the second one that was confirmed."""
    found, ended = {}, {}
    for one in reversed([one for one in items if one.may_stand]):
        for word in words_of(one.text):
            confirmed = ended.setdefault(field_of(word), set())
            if len(confirmed) < WORDS_CONFIRMED:
                found.setdefault(field_of(word), set()).add(word)
        for word in words_of(one.text) if one.is_confirmed else ():
            ended[field_of(word)].add(word)
    return found


def alone(items):
    return [one.id for one in items if one.in_confirmed and one.size == 1][-1:]


@given(histories(), st.integers(0, 12))
def test_what_stays_answers_as_all_items_do_and_pruning_again_takes_nothing_more(items, cut):
    stay = needed(items)
    left = [one for one in items if one.id > cut or one.id in stay]
    assert standing(left) == standing(items)
    assert alone(left) == alone(items)
    places = [one.settled for one in items if one.in_confirmed]
    assert max((one.settled for one in left if one.in_confirmed), default=None) == max(places, default=None)
    plain = [one._replace(merged=False) for one in items]
    of_plain = needed(plain)
    assert newest([one for one in plain if one.id > cut or one.id in of_plain]) == newest(plain)
    assert of_plain <= stay  # what was merged of several files hides no other
    assert needed(left) == stay


@given(histories())
def test_of_each_field_so_many_words_stay_and_no_more(items):
    confirmed = [one._replace(merged=False, may_stand=True, is_confirmed=True, source_id=one.id) for one in items]
    fields = {name for one in items for name in fields_of(one.text)}
    assert len(needed(confirmed)) <= WORDS_CONFIRMED * len(fields) + 2
