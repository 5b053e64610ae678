"""Plans against a naive model: every row in exactly one bucket, every key judged as a dictionary would judge it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import CarriedBlock, KnownBlock, Mode, Rejection, ValidChunk
from syncer.plan.diff import CONFLICT_CODE, Diff, Standing
from syncer.plan.payloads import Payloads, canonical, fingerprint
from syncer.plan.planner import make_plan
from syncer.plan.records import Gatherer

names = st.sampled_from([f"K{n}" for n in range(9)])
cells = st.sampled_from(["x", "y", "", None])
rows = st.lists(st.tuples(names, cells, cells), max_size=25)
states = st.dictionaries(names, st.tuples(cells, cells), max_size=9)


def data_of(row):
    return {name: cell for name, cell in zip(("a", "b"), row, strict=True) if cell is not None}


def chunk(source, part, first_line):
    fields = tuple(pa.array([row[place] for row in part], pa.string()).dictionary_encode() for place in (1, 2))
    keys = pa.array([row[0] for row in part], pa.string())
    lines = np.arange(first_line, first_line + len(part), dtype=np.int64)
    return ValidChunk(source, len(part) + 1, (keys,), fields, lines, (Rejection(source, 999, "E201", "blank"),))


def large(values):
    return pa.array(list(values), pa.large_string())


def make(part, known, held, unsent, *, force=False):
    gatherer = Gatherer(("a", "b"))
    half = len(part) // 2
    gatherer.add(chunk(0, part[:half], 2))
    gatherer.add(chunk(1, part[half:], 2))
    records = gatherer.records()
    # The ledger's side: its own ids, in an order of its own.
    texts = sorted({canonical(data_of(row)) for row in [*known.values(), *unsent.values()]})
    ids = {text: 10 + place for place, text in enumerate(texts)}
    ledger_ids = np.array([ids.get(text, -1) for text in records.payloads.data], np.int64)
    diff = Diff(records, ledger_ids)
    diff.see_known(KnownBlock(large(known), np.array([ids[canonical(data_of(v))] for v in known.values()], np.int64)))
    diff.see_open(large(held))
    left = {key: row for key, row in unsent.items() if key not in held}
    zeros = np.full(len(left), 5, np.int64)
    diff.see_unsent(
        CarriedBlock(large(left), np.array([ids[canonical(data_of(v))] for v in left.values()], np.int64), zeros, zeros)
    )
    carried = {place: text for text, place in ids.items()}
    plan = make_plan(
        diff, key=("k",), fields=("a", "b"), mode=Mode.AUTO, names=["f", "g"], carried_data=carried, force=force
    )
    return plan, diff, left


@given(part=rows, known=states, held=st.sets(names, max_size=3), unsent=states, force=st.booleans())
def test_every_key_is_judged_as_a_dictionary_would_and_the_buckets_sum(part, known, held, unsent, force):
    plan, diff, left = make(part, known, held, unsent, force=force)
    given_data = {}
    for key, *row in part:
        given_data.setdefault(key, set()).add(canonical(data_of(row)))
    expected, send = {}, {}
    for key, found in given_data.items():
        (text, *others) = found
        if others:
            expected[key] = Standing.CONFLICT
        elif key in held:
            expected[key] = Standing.HELD
        elif key in known:
            same = canonical(data_of(known[key])) == text
            expected[key] = Standing.UNCHANGED if same else Standing.CHANGED
        else:
            expected[key] = Standing.NEW
        if expected[key] in {Standing.NEW, Standing.CHANGED} or (force and expected[key] is Standing.UNCHANGED):
            send[key] = text
    for key, row in left.items():
        if expected.get(key, Standing.CONFLICT) is Standing.CONFLICT:
            send[key] = canonical(data_of(row))
    judged = {
        diff.records.keys[int(leader)].as_py(): Standing(v)
        for leader, v in zip(diff.groups.leaders, diff.verdicts(), strict=True)
    }
    assert judged == expected
    planned = {
        key: plan.payloads[payload]
        for key, payload in zip(plan.items.keys(0, len(plan.items)), plan.items.payload, strict=True)
    }
    assert planned == send
    assert len(plan.items) == len(send) == plan.batches.sizes.sum()
    counts = plan.rows
    assert counts.read == len(part) + 2
    assert (
        counts.read == counts.new + counts.changed + counts.unchanged + counts.duplicate + counts.invalid + counts.held
    )


@given(part=rows)
def test_conflicting_rows_are_all_rejected_and_each_message_names_them_all(part):
    plan, _, _ = make(part, {}, set(), {})
    by_key = {}
    for key, *row in part:
        by_key.setdefault(key, []).append(canonical(data_of(row)))
    conflicting = {key: len(texts) for key, texts in by_key.items() if len(set(texts)) > 1}
    found = [row for row in plan.rejections if row.code == CONFLICT_CODE]
    assert len(found) == sum(conflicting.values())
    for row in found:
        if conflicting[row.key] <= 10:
            assert row.message.count(":") >= conflicting[row.key]


@given(part=rows, known=states)
def test_a_plan_is_deterministic_and_payloads_are_written_once(part, known):
    first, second = make(part, known, set(), {})[0], make(part, known, set(), {})[0]
    assert first.items.keys(0, len(first.items)) == second.items.keys(0, len(second.items))
    assert first.items.payload.tolist() == second.items.payload.tolist()
    assert first.batches.sizes.tolist() == second.batches.sizes.tolist()
    assert len(set(first.fingerprints)) == len(first.payloads)


@given(data=st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=4))
def test_a_fingerprint_ignores_the_order_of_columns_and_nothing_else(data):
    backwards = dict(reversed(list(data.items())))
    assert fingerprint(canonical(data)) == fingerprint(canonical(backwards))
    assert json.loads(canonical(data)) == data
    assert fingerprint(canonical({**data, "new": "1"})) != fingerprint(canonical(data))


def test_payload_numbers_follow_the_first_appearance():
    payloads = Payloads()
    field = pa.array(["b", "a", "b", None]).dictionary_encode()
    assert payloads.encode(("f",), (field,), 4).tolist() == [0, 1, 0, 2]
    assert payloads.data == ['{"f":"b"}', '{"f":"a"}', "{}"]
