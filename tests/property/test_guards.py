"""Guards on keys against naive models: damage of any kind is found and named, ordinary new keys never are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert

from syncer.errors import Stop
from syncer.guards import export
from syncer.guards import keys as keyguard
from syncer.guards.export import Guards, Past, _far_fewer, _repeats, holds_changes
from syncer.ledger import known_keys, schema
from syncer.model import KEY_SEPARATOR, KnownBlock, PastRun, RowCounts, ValidChunk
from syncer.plan.diff import ABSENT_MAX, Diff
from syncer.plan.records import Gatherer

keys = st.text("01aAbB7é", min_size=1, max_size=7)
several_keys = st.lists(keys, max_size=40, unique=True)
composite_keys = st.lists(st.tuples(keys, keys).map(KEY_SEPARATOR.join), max_size=40, unique=True)


def folded(key):
    return KEY_SEPARATOR.join(part.lstrip("0") for part in key.strip().lower().split(KEY_SEPARATOR))


def texts(values):
    return pa.array(list(values), pa.large_string())


def diff_of(in_files, known, *, streamed):
    """Compare keys of one file with known ones, which are seen all (streamed), or as they are looked up."""
    gatherer = Gatherer(("a",))
    field = pa.array(["x"] * len(in_files), pa.string()).dictionary_encode()
    lines = np.arange(2, 2 + len(in_files), dtype=np.int64)
    gatherer.add(ValidChunk(0, len(in_files), (pa.array(in_files, pa.string()),), (field,), lines, ()))
    diff = Diff(gatherer.records(), np.zeros(1, np.int64))
    seen = list(known) if streamed else [key for key in known if key in set(in_files)]
    for begin in range(0, len(seen), 7):
        block = texts(seen[begin : begin + 7])
        diff.see_known(KnownBlock(block, np.ones(len(block), np.int64), of_all=streamed))
    diff.settle()
    return diff


def naive(known):
    return lambda wanted: [key for key in known if folded(key) == wanted]


@pytest.fixture(scope="module")
def state():
    """A connection to an empty mirror."""
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine, tables=[schema.mirror, schema.pictures])
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@given(known=several_keys | composite_keys, wanted=several_keys | composite_keys)
def test_the_ledger_finds_every_key_that_is_alike_and_no_other(state, known, wanted):
    with state.begin():
        state.execute(schema.mirror.delete())
        for space in (1, 2):  # of another code space there are keys too
            rows = [{"space_id": space, "key": key, "picture": 1, "batch_id": 1} for key in known[:: 3 - space]]
            if rows:
                state.execute(insert(schema.mirror), rows)
        for key in [*wanted, *known]:
            found = known_keys.known_alike(state, 1, folded(key))
            assert sorted(found) == sorted(other for other in known[::2] if folded(other) == folded(key))


@given(known=several_keys | composite_keys, new=several_keys | composite_keys, gone=st.integers(0, 40), data=st.data())
def test_new_keys_that_are_alike_to_a_known_key_without_a_row_are_damaged_and_no_others(known, new, gone, data):
    stay, absent = known[gone:], known[:gone]
    new = [key for key in new if key not in known]
    streamed = data.draw(st.booleans())
    diff = diff_of(data.draw(st.permutations([*stay, *new])), known, streamed=streamed)
    damage = keyguard.altered(diff, naive(known))
    expected = {key for key in new if any(folded(key) == folded(other) for other in absent)}
    assert (0 if damage is None else damage.count) == len(expected)
    for shown in [] if damage is None else damage.examples:
        raw = shown.key.replace(" + ", KEY_SEPARATOR)
        right = shown.right.replace(" + ", KEY_SEPARATOR)
        assert raw in expected
        assert right in absent
        assert folded(raw) == folded(right)


def test_too_many_known_keys_without_a_row_are_not_kept_and_the_new_keys_are_looked_up():
    known = [f"K{number:07d}" for number in range(ABSENT_MAX + 2)]
    diff = diff_of(["k0000001", "other", known[2]], [], streamed=True)
    block = texts(known)
    diff.see_known(KnownBlock(block, np.ones(len(block), np.int64), of_all=True))
    diff.settle()
    assert diff.absent is None
    damage = keyguard.altered(diff, naive(known))
    assert (damage.count, damage.examples[0].right) == (1, "K0000001")


def test_of_many_new_keys_some_from_all_over_are_looked_up():
    known = [f"0{number}" for number in range(1000, 4000)]
    diff = diff_of([key.lstrip("0") for key in known], known, streamed=False)
    asked = []
    damage = keyguard.altered(diff, lambda wanted: asked.append(wanted) or ["0" + wanted])
    assert damage.count == damage.looked_at == len(asked) <= keyguard.LOOKED_UP_MAX
    assert damage.of == len(known)
    assert max(map(int, asked)) - min(map(int, asked)) > 2500


SCHEMES = {
    "a series": lambda number: str(number + 997),
    "a filled series": lambda number: f"{number:06d}",
    "long numbers": lambda number: str(8711520000000 + 7919 * number),
    "letters": lambda number: f"AB-{number:05d}/X",
    "small letters": lambda number: f"ab{number}",
    "hexadecimal": lambda number: f"{(number + 1) * 2654435761 % 2**32:08x}",
    "HEXADECIMAL": lambda number: f"{(number + 1) * 2654435761 % 2**32:08X}",
    "with an E": lambda number: f"{number % 10}E{number // 10:03d}",
    "mixed": lambda number: [f"{number:08d}", f"x{number}", f"Y{number}"][number % 3],
}


def custom_damage(diff):
    return keyguard.against_custom(diff, keyguard.custom_of(diff), known=diff.known_keys > 0)


@given(
    scheme=st.sampled_from(sorted(SCHEMES)),
    other=st.sampled_from(sorted(SCHEMES)),
    numbers=st.sets(st.integers(0, 9000), min_size=150, max_size=400),
    new=st.integers(0, 80),
    gone=st.integers(0, 80),
    streamed=st.booleans(),
)
def test_ordinary_keys_are_never_taken_for_damaged_ones(scheme, other, numbers, new, gone, streamed):
    """Codes come and go, of one scheme and of another that has been there before; also on a first night."""
    listed = [SCHEMES[scheme](number) for number in sorted(numbers)]
    foreign = [SCHEMES[other](20_000 + number) for number in range(4)]
    known = [*listed[: len(listed) - new], *foreign[:2]]
    in_files = [*listed[gone:], *foreign]
    first = diff_of(known, [], streamed=streamed)
    assert keyguard.scientific(first) is None
    assert keyguard.altered(first, naive([])) is None
    diff = diff_of(in_files, known, streamed=streamed)
    assert keyguard.scientific(diff) is None
    assert keyguard.altered(diff, naive(known)) is None
    assert custom_damage(diff) is None


@given(number=st.integers(1, 10**9), known=st.booleans())
def test_a_number_that_lost_its_zeros_among_filled_ones_is_damaged_also_on_a_first_night(number, known):
    listed = [f"{place * 7919:013d}" for place in range(1, 300)]
    assume(f"{number:013d}" not in listed)
    diff = diff_of([*listed, str(number)], listed if known else [], streamed=True)
    damage = custom_damage(diff)
    assert (damage.count, damage.examples[0].right) == (1, f"{number:013d}")


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_key_in_the_other_letter_case_than_its_like_is_damaged(case):
    listed = [case(f"Ab-{number:05d}") for number in range(300)]
    odd = "aB-99999"
    damage = custom_damage(diff_of([*listed, odd, "Z1", "z1"], listed, streamed=True))
    assert [(one.key, one.right) for one in damage.examples] == [(odd, case(odd))]


@given(
    exponent=st.integers(0, 99),
    mantissa=st.decimals(1, 9, places=5),
    mark=st.sampled_from(".,"),
    e=st.sampled_from("eE"),
)
def test_every_number_as_a_spreadsheet_or_a_program_writes_it_is_scientific(exponent, mantissa, mark, e):
    """``8.71152E+12`` of Excel, ``8,71152E+12`` of a German one, ``8.71152E12`` of Java."""
    digits = str(mantissa).replace(".", mark)
    for text in (f"{digits}{e}+{exponent:02d}", f"{digits}{e}{exponent}", f"8{e}+{exponent:02d}"):
        damage = keyguard.scientific(diff_of(["K1", text, f"K{text}"], [], streamed=False))
        assert [one.key for one in damage.examples] == [text]


night = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))


@given(nights=st.lists(night, max_size=7), known=st.integers(0, 200))
def test_a_job_of_changes_is_one_whose_nights_mostly_were_small_and_changed(nights, known):
    runs = [
        PastRun(place, "", RowCounts(new + changed + same, new, changed, same), None, {}, None)
        for place, (new, changed, same) in enumerate(nights)
    ]
    history = Past(
        runs, lambda most: known if most is None else min(known, most), naive([]), lambda contents: [], lambda keys: {}
    )
    told = [same > changed or 2 * (new + same + changed) >= known for new, changed, same in nights if same + changed]
    expected = None if not told else told.count(True) >= told.count(False)
    assert _repeats(Guards(50, 1), history) is expected
    assert holds_changes(Guards(50, 1), history) is (expected is False)
    assert (holds_changes(Guards(50, 1), None), holds_changes(Guards(50, 1, export="changes"), None)) == (False, True)
    assert _repeats(Guards(50, 1, export="changes"), history) is False
    assert _repeats(Guards(50, 1, export="full"), history) is True


@given(approved=st.lists(st.booleans(), min_size=1, max_size=7))
def test_a_run_that_was_approved_is_no_measure_until_all_of_a_week_were(approved):
    runs = [PastRun(place, "", RowCounts(), None, {}, None, approved=one) for place, one in enumerate(approved)]
    history = Past(runs, lambda most: 0, naive([]), lambda contents: [], lambda keys: {})
    told = [run.id for run in history.measures]
    assert told == (
        [run.id for run in runs] if all(approved) else [place for place, one in enumerate(approved) if not one]
    )


@example(100, 75, 25)
@given(st.integers(1, 400), st.integers(0, 400), st.sampled_from([10, 25, 50]))
def test_as_many_may_be_missing_as_the_limit_says_and_not_one_more(usual, here, percent):
    guards = Guards(percent=0, codes_min=20, missing_percent=percent)
    assert _far_fewer(guards, here, usual) is (usual >= 20 and 100 * (usual - here) > percent * usual)


def test_one_error_tells_what_each_guard_found(monkeypatch):
    found = [Stop("rows", "few rows", "look"), Stop("columns", "an empty column", "look"), Stop("age", "old", "wait")]
    monkeypatch.setattr(export, "_findings", lambda guards, tonight, past: iter(found))
    error = export.check(None, None, None)
    assert [*error.stops] == found
    assert error.message == "few rows; also: an empty column; also: old"
    assert error.remedy == "look; wait; approve it if it is right"


@pytest.mark.parametrize("first", [0, 1])
def test_keys_that_are_looked_up_are_of_every_kind_where_kinds_take_turns(first):
    in_files = [f"7{number:04d}" if number % 2 == first else f"B{number:04d}" for number in range(400)]
    known = [f"0{key}" for key in in_files if key.startswith("7")]
    damage = keyguard.altered(diff_of(in_files, known, streamed=False), naive(known))
    assert (damage.looked_at, damage.of) == (200, 400)
    assert 60 <= damage.count <= 140


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 19, 20, 21, 1000, 4096])
def test_a_sample_ascends_and_is_from_every_stretch(rows):
    found = keyguard._sample(np.arange(rows, dtype=np.int32), 10).tolist()
    stretch = max(1, -(-rows // 10))
    assert len(found) == -(-rows // stretch) <= 10
    assert found == sorted({*found})
    assert all(place * stretch <= row < (place + 1) * stretch and row < rows for place, row in enumerate(found))
