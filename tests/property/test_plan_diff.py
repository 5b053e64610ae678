"""Plans against a naive model: every row in exactly one bucket, every field judged as a dictionary would judge it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.mirror.elsewhere import OpenElsewhere
from syncer.mirror.picture import Picture, may_move
from syncer.mirror.words import canonical, fingerprint
from syncer.model import Errand, KnownBlock, Mode, ValidChunk, WantedBlock
from syncer.plan.diff import TONIGHT, Diff, Standing
from syncer.plan.payloads import Payloads
from syncer.plan.planner import Send, make_plan
from syncer.plan.records import Gatherer
from syncer.rejections import Rejection, Rejections

names = st.sampled_from([f"K{n}" for n in range(9)])
cells = st.sampled_from(["x", "y", "", None])
rows = st.lists(st.tuples(names, cells, cells), max_size=25)
data = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", ""]), max_size=3)
pictures = st.builds(
    lambda known, uncertain, refused, absent: Picture(
        canonical({} if absent else {f: v for f, v in known.items() if f not in uncertain}),
        tuple(sorted(uncertain)), tuple(sorted(refused - set(known))), absent,
    ),
    data, st.sets(st.sampled_from(["a", "b", "c"]), max_size=2), st.sets(st.sampled_from(["b", "c"]), max_size=1),
    st.booleans(),
)  # fmt: skip
states = st.dictionaries(names, pictures, max_size=9)
words = st.lists(st.tuples(names, data.filter(bool), st.integers(1, 4)), max_size=9, unique_by=lambda w: (w[0], w[2]))
ERRAND = Errand(7, 3, False)
OWN, THEIRS = "own", {7: "carried"}


def data_of(row):
    return {name: cell for name, cell in zip(("a", "b"), row, strict=True) if cell is not None}


def chunk(source, part, first_line):
    fields = tuple(pa.array([row[place] for row in part], pa.string()).dictionary_encode() for place in (1, 2))
    keys = pa.array([row[0] for row in part], pa.string())
    lines = np.arange(first_line, first_line + len(part), dtype=np.int64)
    return ValidChunk(
        source, len(part) + 1, (keys,), fields, lines, Rejections.of([Rejection(source, 999, "E201", "blank")])
    )


def large(values):
    return pa.array(list(values), pa.large_string())


class Book:
    """The ledger's side: numbers of its own for payloads and pictures."""

    moves = staticmethod(may_move)
    campaigns = None
    taken = frozenset()

    def __init__(self, known, wanted):
        plain = {p.known for p in known.values() if p.is_plain and p.known != "{}"}
        self.words = dict(enumerate(sorted(plain | {canonical(d) for _, d, _ in wanted}), 10))
        self.ids = {text: number for number, text in self.words.items()}
        self.numbers = {}
        for number, picture in enumerate(set(known.values()), 1):
            is_payload = picture.is_plain and picture.known != "{}"
            self.numbers[picture] = self.ids[picture.known] if is_payload else -number

    def pictures(self, numbers):
        asked = set(numbers)
        found = {number: picture for picture, number in self.numbers.items() if number in asked}
        return {0: Picture(), **found} if 0 in asked else found

    def texts(self, ids):
        return {number: self.words[number] for number in ids}


def make(part, known, held, wanted, *, send=Send.CHANGES, elsewhere=()):
    gatherer = Gatherer(("a", "b"))
    half = len(part) // 2
    gatherer.add(chunk(0, part[:half], 2))
    gatherer.add(chunk(1, part[half:], 2))
    records = gatherer.records()
    book = Book(known, wanted)
    ledger_ids = np.array([book.ids.get(text, -1) for text in records.payloads.data], np.int64)
    diff = Diff(records, ledger_ids, book)
    mirror = KnownBlock(large(known), np.array([book.numbers[p] for p in known.values()], np.int64))
    diff.see_known(mirror)
    diff.see_open(large(held))
    for begin in range(0, len(wanted), 3):
        block = wanted[begin : begin + 3]
        columns = ([book.ids[canonical(d)] for _, d, _ in block], [s for *_, s in block], [s + 100 for *_, s in block])
        arrays = (np.array(column, np.int64) for column in columns)
        diff.see_wanted(WantedBlock(large(key for key, *_ in block), *arrays, ERRAND), book.texts)
    carried = diff.carry()
    if carried is not None:
        carried.states.see_known(mirror)
        carried.states.see_open(large(held))
    diff.see_elsewhere(elsewhere, ("k",), OWN, THEIRS)
    diff.settle()
    plan = make_plan(diff, key=("k",), fields=("a", "b"), mode=Mode.AUTO, names=["f", "g"], send=send)
    return plan, diff


def as_sent(items, plan):
    found = zip(items.keys(0, len(items)), items.payload.tolist(), strict=True)
    return {key: json.loads(plan.payloads[payload]) for key, payload in found}


@example(  # what is known now may be another's by then: a wish is whole
    part=[("K1", "x", "y"), ("K2", "x", None)],
    known={"K1": Picture('{"a":"x"}'), "K2": Picture('{"a":"x"}')},
    held={"K1", "K2"},
    wanted=[("K3", {"a": "x", "b": "y"}, 1)],
    send=Send.CHANGES,
)
@given(part=rows, known=states, held=st.sets(names, max_size=3), wanted=words, send=st.sampled_from(Send))
def test_every_field_is_judged_as_a_dictionary_would_and_the_buckets_sum(part, known, held, wanted, send):
    plan, diff = make(part, known, held, wanted, send=send)
    given_data = {}
    for key, *row in part:
        given_data.setdefault(key, set()).add(canonical(data_of(row)))
    older = {}
    for key, said, _ in sorted(wanted, key=lambda word: word[2]):
        older[key] = {**older.get(key, {}), **said}
    expected, sent, waiting, left_out = {}, {}, {}, {}
    for key in given_data.keys() | older.keys():
        row = [json.loads(text) for text in given_data.get(key, ())]
        picture = known.get(key, Picture())
        holds = json.loads(picture.known)
        conflict = len(row) > 1
        whole = {**older.get(key, {}), **(row[0] if len(row) == 1 else {})}
        if conflict:
            expected[key] = Standing.CONFLICT
        if (not row or conflict) and key not in older:
            continue
        unknown = {f: v for f, v in whole.items() if holds.get(f, 0) != v and f not in picture.refused}
        if row and not conflict:
            standing = Standing.CHANGED if holds else Standing.NEW
            waits = key in held and whole
            expected[key] = Standing.HELD if waits else standing if unknown else Standing.UNCHANGED
        if key in held and whole:
            waiting[key] = whole
        elif row and not conflict and send is not Send.CHANGES:
            if unknown or (send is Send.ALL and whole):
                sent[key] = whole
        elif unknown:
            sent[key] = unknown
    # One key per field that was not taken asks again, with all that is wanted of it: of the rows, else of older words.
    sides = [side for side in (diff.rows, diff.carried) if side is not None]
    probes = {
        side.keys[int(side.states.groups.leaders[group])].as_py() for side in sides for group in side.probes.tolist()
    }
    free = {}
    for key, picture in known.items():
        row = given_data.get(key, ())
        whole = {**older.get(key, {}), **(json.loads(next(iter(row))) if len(row) == 1 else {})}
        left = {field: word for field, word in whole.items() if field in picture.refused}
        if left and key not in held:
            free[key], left_out[key] = whole, left
    assert {f for key in free for f in left_out[key]} == {f for key in probes for f in left_out[key]}
    assert len(probes) <= len({f for key in probes for f in left_out[key]})
    sent.update({key: free[key] for key in probes})
    told = as_sent(plan.untaken, plan)
    assert told == left_out
    judged = {
        diff.records.keys[int(leader)].as_py(): Standing(v)
        for leader, v in zip(diff.groups.leaders, diff.verdicts(), strict=True)
    }
    assert judged == expected
    assert as_sent(plan.items, plan) == sent
    assert as_sent(plan.wishes, plan) == waiting
    assert len(plan.items) == len(sent) == plan.batches.sizes.sum()
    counts = plan.rows
    assert counts.read == len(part) + 2
    assert (
        counts.read == counts.new + counts.changed + counts.unchanged + counts.duplicate + counts.invalid + counts.held
    )
    assert plan.changes == {f: n for f in "abc" if (n := sum(f in found for found in sent.values()))}
    check_origins(plan, diff, given_data, wanted)


def check_origins(plan, diff, given_data, wanted):
    """Every field of every item has the file and line of the newest word about it."""
    origins = {}
    for place in range(len(plan.origins)):
        key = plan.items.texts[int(plan.origins.row[place])].as_py()
        for field in plan.origins.names[int(plan.origins.fields[place])]:
            origins[key, field] = int(plan.origins.source_id[place])
    for items in (plan.items, plan.wishes):
        for place, key in enumerate(items.keys(0, len(items))):
            for field in json.loads(plan.payloads[items.payload[place]]):
                said = [source for name, said, source in wanted if name == key and field in said]
                row = given_data.get(key, ())
                of_row = len(row) == 1 and field in json.loads(next(iter(row)))
                assert origins.get((key, field), -1 if of_row else -int(items.source[place])) == (
                    -1 if of_row else max(said)
                )


elsewhere = st.lists(
    st.builds(
        OpenElsewhere,
        st.dictionaries(st.sampled_from(["a", "b", "c", "k"]), st.integers(0, 5), min_size=1, max_size=2),
        st.frozensets(st.sampled_from(["a", "c", "z"]), max_size=2), st.sampled_from(["", "a"]),
        st.frozensets(st.sampled_from(["x", "y"]), max_size=1),
        st.frozensets(st.sampled_from([OWN, THEIRS[7]]), max_size=2),
    ),
    max_size=2,
)  # fmt: skip


@example(  # of three values tonight's words are newer than what another key has open; of two of them not for that field
    part=[("K1", "x", None), ("K2", "x", None), ("K3", "x", "y")],
    known={},
    wanted=[("K1", {"b": "x"}, 1), ("K2", {"b": "x"}, 4), ("K4", {"b": "y"}, 3), ("K4", {"c": "y"}, 1)],
    elsewhere=[OpenElsewhere({"b": 2}, frozenset({"z"}), "", frozenset())],
)
@example(  # a link tells which codes are meant: by what they hold, where nobody knows that, and by what they are given
    part=[("K1", None, "x"), ("K2", None, "x"), ("K3", None, "x"), ("K4", "y", "x"), ("K5", None, None)],
    known={"K1": Picture('{"a":"x"}'), "K2": Picture('{"a":"y"}'), "K4": Picture('{"a":"x"}')},
    wanted=[],
    elsewhere=[OpenElsewhere({"b": 0}, frozenset({"a"}), "a", frozenset({"y"}))],
)
@example(  # no older word waits, whatever a link says
    part=[],
    known={},
    wanted=[("K1", {"b": "x"}, 1), ("K2", {"b": "x"}, 3)],
    elsewhere=[OpenElsewhere({"b": 2}, frozenset({"z"}), "a", frozenset({"y"}))],
)
@example(  # whoever writes this key's own column moves codes: newer words of any field wait, and older ones do not
    part=[("K1", "x", None)],
    known={},
    wanted=[("K2", {"a": "x"}, 1), ("K3", {"a": "x"}, 2)],
    elsewhere=[OpenElsewhere({"k": 1}, frozenset({"z"}), "", frozenset())],
)
@example(  # so do words that move codes to another value of the other key
    part=[("K1", "x", None), ("K2", None, "x")],
    known={},
    wanted=[("K3", {"a": "x"}, 1), ("K4", {"a": "x"}, 3), ("K4", {"b": "x"}, 2)],
    elsewhere=[OpenElsewhere({"c": 1, "d": 2}, frozenset({"a"}), "", frozenset())],
)
@example(  # each word is judged by the job that said it: the rows' own, or that of what is carried
    part=[("K1", "x", None)],
    known={},
    wanted=[("K2", {"a": "x"}, 3)],
    elsewhere=[
        OpenElsewhere({"a": 2}, frozenset({"z"}), "", frozenset(), frozenset([OWN])),
        OpenElsewhere({"a": 2}, frozenset({"z"}), "", frozenset(), frozenset(["another"])),
    ],
)
@given(part=rows, known=states, wanted=words, elsewhere=elsewhere)
def test_words_wait_as_long_as_another_key_has_older_ones_that_may_meet_them(part, known, wanted, elsewhere):
    plan, _ = make(part, known, set(), wanted, elsewhere=elsewhere)
    said = {}
    for key, *row in part:
        said.setdefault(key, set()).add(canonical(data_of(row)))
    waiting = {}
    for key in {*said, *(key for key, *_ in wanted)}:
        row = json.loads(next(iter(said[key]))) if len(said.get(key, ())) == 1 else None
        older = sorted((source, data) for name, data, source in wanted if name == key)
        if row is None and not older:
            continue
        whole, sources = {}, {}
        for source, data in [*older, (TONIGHT, row or {})]:
            whole |= data
            sources |= dict.fromkeys(data, source)
        holds = json.loads(known.get(key, Picture()).known)
        for one in elsewhere:
            meets = (
                not one.by or not {holds.get(one.by), whole.get(one.by)}.isdisjoint(one.values) or one.by not in holds
            )
            pairs = [(source, one.fields[name]) for name, source in sources.items() if name in one.fields]
            pairs += [(source, min(one.fields.values())) for name, source in sources.items() if name in one.key]
            pairs += [(source, one.fields["k"]) for source in sources.values() if "k" in one.fields]
            if (OWN if key in said and row is not None else THEIRS[7]) in one.apart:
                continue
            if meets and any(source > bound for source, bound in pairs):
                waiting[key] = whole
    assert as_sent(plan.wishes, plan) == waiting
    assert not as_sent(plan.items, plan).keys() & waiting.keys()


@given(known=states, wanted=words)
def test_values_that_matched_nothing_travel_apart_and_errands_are_kept(known, wanted):
    plan, _ = make([], known, set(), wanted)
    begin = 0
    for size, errand in zip(plan.batches.sizes.tolist(), plan.errand_of.tolist(), strict=True):
        keys = plan.items.keys(begin, begin + size)
        begin += size
        assert plan.errands[errand] == ERRAND
        assert len({known.get(key, Picture()).absent for key in keys}) == 1
    assert plan.minimum_updates <= len(plan.batches)


@given(part=rows)
def test_conflicting_rows_are_all_rejected_and_each_message_names_them_all(part):
    plan, _ = make(part, {}, set(), [])
    by_key = {}
    for key, *row in part:
        by_key.setdefault(key, []).append(canonical(data_of(row)))
    conflicting = {key: len(texts) for key, texts in by_key.items() if len(set(texts)) > 1}
    found = [row for row in plan.rejections if row.code == "E210"]
    assert len(found) == sum(conflicting.values())
    for row in found:
        if conflicting[row.key] <= 10:
            assert row.message.count(":") >= conflicting[row.key]


@given(part=rows, known=states)
def test_a_plan_is_deterministic_and_payloads_are_written_once(part, known):
    first, second = make(part, known, set(), [])[0], make(part, known, set(), [])[0]
    assert first.items.keys(0, len(first.items)) == second.items.keys(0, len(second.items))
    assert first.items.payload.tolist() == second.items.payload.tolist()
    assert first.batches.sizes.tolist() == second.batches.sizes.tolist()
    assert len(set(first.payloads)) == len(first.payloads)


def test_payload_numbers_follow_the_first_appearance():
    payloads = Payloads()
    field = pa.array(["b", "a", "b", None]).dictionary_encode()
    assert payloads.encode(("f",), (field,), 4).tolist() == [0, 1, 0, 2]
    assert payloads.data == ['{"f":"b"}', '{"f":"a"}', "{}"]
    assert payloads.encode(("f",), (field[:0],), 0).tolist() == []
    assert payloads.encode((), (), 2).tolist() == [2, 2]
    other = payloads.number('{"g":"1"}')
    assert payloads.encode(("f",), (pa.array(["c", "a"]).dictionary_encode(),), 2).tolist() == [other + 1, 1]
    named = payloads.named()
    assert [named.lists[number] for number in named.of] == [("f",), ("f",), (), ("g",), ("f",)]


@given(said=st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=4))
def test_a_fingerprint_ignores_the_order_of_columns_and_nothing_else(said):
    backwards = dict(reversed(list(said.items())))
    assert fingerprint(canonical(said)) == fingerprint(canonical(backwards))
    assert json.loads(canonical(said)) == said
    assert fingerprint(canonical({**said, "new": "1"})) != fingerprint(canonical(said))


@given(part=rows, known=states, held=st.sets(names, max_size=3), wanted=words, send=st.sampled_from(Send))
def test_whatever_is_sent_or_waits_bears_the_file_and_line_it_came_from(part, known, held, wanted, send):
    plan, _ = make(part, known, held, wanted, send=send)
    half = len(part) // 2
    first = {}
    for place, (key, *_) in enumerate(part):
        first.setdefault(key, (0, 2 + place) if place < half else (1, 2 + place - half))
    newest = {key: source for key, _, source in sorted(wanted, key=lambda word: word[2])}
    conflicts = {key for key in first if len({tuple(row) for one, *row in part if one == key}) > 1}
    for items in (plan.items, plan.wishes):
        keys = items.keys(0, len(items))
        for key, source, line in zip(keys, items.source.tolist(), items.line.tolist(), strict=True):
            if key in first and key not in conflicts:
                assert (source, line) == first[key]
            else:
                assert (-source, line) == (newest[key], newest[key] + 100)
