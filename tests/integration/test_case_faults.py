"""Faults go to whom they belong (cases e7 to e10): to a value, to the size of a call, or to the way, and then to no row."""

from __future__ import annotations

import codecs
import json
import random
import re
from dataclasses import replace
from itertools import zip_longest

import pytest
from plans import plan_of
from sim.scenes import ASYNC, SOURCE, SYNC, Scene

from syncer.errors import AccessError, UnreachableError
from syncer.execute import refusals, send
from syncer.model import KEY_SEPARATOR

PAGE = b"<html><head><title>Request\n blocked</title></head><body>Ray 7</body></html>"


def keys(count, begin=0):
    return [f"K{n:04d}" for n in range(begin, begin + count)]


def codes(count):
    return [{"extended_id": key} for key in keys(count)]


def refusing(status, document, *, when):
    def script(transport, path, really):
        at_fault = path in {SYNC, ASYNC} and when(json.dumps(transport.body.decode()))
        return transport.answer(status, document) if at_fault else really()

    return script


def updates(scene):
    return sum(path in {SYNC, ASYNC} for path in scene.lanes.transport.paths)


def rejected(scene):
    query = "SELECT i.key FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.state = 'rejected' AND NOT b.split"
    return [key for (key,) in scene.database.execute(query)]


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, {"constraints": {"extended_id": ["Invalid value."]}}),
        (400, {"detail": "K0777 is odd"}),
        (403, PAGE),
        (403, b"error code: 1020"),
        (403, codecs.BOM_UTF8 + PAGE),
        (403, {"message": "Forbidden"}),
        (404, {"detail": "Not found."}),
        (406, {"detail": "conflict"}),
    ],
)
def test_one_value_of_a_thousand_is_named_and_all_others_get_through(status, document):
    """e7, e8."""
    scene = Scene(codes(1000), script=refusing(status, document, when=lambda text: "K0777" in text))
    scene.plan((keys(1000), 0))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 999, "rejected": 1}
    assert rejected(scene) == ["K0777"]
    assert updates(scene) <= 30
    assert scene.ledger.problems() == []


def test_a_firewall_that_dislikes_one_row_is_quoted_and_stops_nothing():
    """e8."""
    script = refusing(403, PAGE, when=lambda text: "K0042" in text)
    scene = Scene(codes(2600), script=script)
    scene.plan(*((keys(100, begin), -1) for begin in range(0, 2600, 100)))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 2599, "rejected": 1}
    assert rejected(scene) == ["K0042"]
    assert "a page titled 'Request blocked'" in scene.ledger.concerns(scene.run.id)[0][1]


def test_many_rows_that_a_firewall_dislikes_are_found_all():
    bad = set(keys(100)[::4])
    scene = Scene(codes(300), script=refusing(403, PAGE, when=lambda text: any(key in text for key in bad)))
    scene.plan(*((keys(100, begin), -1) for begin in (0, 100, 200)))
    assert scene.engine.send() is None
    assert set(rejected(scene)) == bad
    assert scene.counts() == {"confirmed": 275, "rejected": 25}


def planned(scene, count, place):
    size = 100 if place < 0 else 400
    scene.plan(*((keys(min(size, count - begin), begin), place) for begin in range(0, count, size)))


@pytest.mark.parametrize("place", [-1, 0])
@pytest.mark.parametrize(
    ("share", "status", "document"), [(0.12, 403, PAGE), (0.12, 400, PAGE), (0.3, 400, {"detail": "Invalid data"})]
)
def test_rows_at_fault_all_over_the_file_are_all_found_and_all_others_get_through(share, status, document, place):
    """Hardly a call of many values gets through then, from the first on; several are on their way at once."""
    bad = set(random.Random(7).sample(keys(200), int(200 * share)))

    def script(transport, path, really):
        begun_s, at_fault = transport.at_s, any(key in bad for key in re.findall(r"K\d{4}", str(transport.body)))
        reply = transport.answer(status, document) if at_fault and path in {SYNC, ASYNC} else really()
        transport.at_s = begun_s + 0.5
        return reply

    scene = Scene(codes(200), script=script)
    planned(scene, 200, place)
    assert scene.engine.send() is None
    assert set(rejected(scene)) == bad
    assert scene.counts() == {"confirmed": 200 - len(bad), "rejected": len(bad)}
    assert updates(scene) <= 200 + 3 * len(bad)
    assert scene.ledger.problems() == []


@pytest.mark.parametrize(("first", "place"), [(0, -1), (300, 0), (750, -1), (750, 0)])
def test_rows_at_fault_in_one_stretch_of_the_file_are_all_found_and_keep_nobody_else_back(first, place, monkeypatch):
    """Where it is longer than what is read of the plan at a time, and where nothing but it is left, too."""
    monkeypatch.setattr(send, "FEED_BATCHES", 1)
    bad = set(keys(250, first))
    scene = Scene(
        codes(1000), script=refusing(406, {"detail": "conflict"}, when=lambda text: any(key in text for key in bad))
    )
    planned(scene, 1000, place)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 750, "rejected": 250}
    assert set(rejected(scene)) == bad
    assert updates(scene) <= 600
    assert scene.ledger.problems() == []


def of_words(keys_at_fault):
    return lambda text: not keys_at_fault.isdisjoint(re.findall(r"K\d{4}", text))


@pytest.mark.parametrize(
    ("of", "count", "place", "status", "document"),
    [
        (600, 25, -1, 400, b""),
        (3000, 25, 0, 403, PAGE),
        (3000, 100, -1, 403, PAGE),
        (600, 100, 0, 400, b""),
        (600, 25, -1, 404, {"detail": "Not found."}),
        (600, 160, -1, 400, {"detail": "Bad Request"}),
        (3000, 160, 0, 422, {"detail": "Bad Request"}),
    ],
)
def test_a_stretch_at_the_end_of_a_file_is_rejected_value_by_value_and_so_each_night(
    of, count, place, status, document
):
    """12.2: 25, 100 or 160 of 600 or 3,000."""
    reject_the_stretch(of, count, place, status, document)


@pytest.mark.parametrize(("place", "status"), [(-1, 400), (0, 422)])
def test_a_long_one_is_rejected_so_too(place, status):
    """Apart: by the shorter ones planted bugs are judged, within a minute on a busy machine."""
    reject_the_stretch(3000, 400, place, status, {"detail": "Bad Request"})


def reject_the_stretch(of, count, place, status, document):
    bad = set(keys(count, of - count))
    scene = Scene(codes(of), script=refusing(status, document, when=of_words(bad)))
    planned(scene, of, place)
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": of - count, "rejected": count}
    assert set(rejected(scene)) == bad
    assert updates(scene) <= 2.25 * count + 60
    items = scene.database.execute("SELECT count(*) FROM items").fetchone()[0]
    assert items <= of + 60 * count  # each cut copies the rest of its batch
    scene.begin()
    ends = sorted(bad)
    scene.plan(*((ends[begin : begin + 100], place) for begin in range(0, count, 100)))  # nothing else is new
    assert scene.engine.send() is None
    assert scene.counts() == {"rejected": count}
    assert updates(scene) <= 2.25 * count + 20
    assert scene.ledger.problems() == []
    assert scene.api.world.violations == []
    assert sum(code.fields.get("m") == "1" for code in scene.api.world.codes) == of - count


def test_so_many_values_at_fault_in_a_row_are_one_mistake_and_stop_the_run(monkeypatch):
    monkeypatch.setattr(refusals, "BLAMED_MAX", 10)
    bad = set(keys(60, 100))
    scene = Scene(codes(160), script=refusing(400, {"detail": "Bad"}, when=of_words(bad)))
    planned(scene, 160, -1)
    error = scene.engine.send()
    assert isinstance(error, UnreachableError)
    assert "10 values in a row, each by itself and twice" in error.message
    assert "they are rejected" in error.message
    assert scene.counts() == {"confirmed": 100, "rejected": 10, "unsent": 50}


@pytest.mark.parametrize("known", ["taken", "earlier", "nothing"])
@pytest.mark.parametrize("status", [200, 400])
def test_the_witness_names_a_value_that_was_taken_and_no_field(known, status):
    """Of this run, else one that the ledger knows; where there is none, what is refused from the first on stops the run."""
    witnesses, bad = [], set(keys(8, 20))

    def script(transport, path, really):
        items = json.loads(transport.body)["items"] if path == SYNC else None
        if items and not of_words(bad)(str(items)) and not any("m" in item for item in items):
            witnesses.append(items)
            return really() if status == 200 else transport.answer(400, {"detail": "No field."})
        return transport.answer(400, {"detail": "Bad."}) if of_words(bad)(str(items)) else really()

    scene = Scene(codes(40), script=script)
    if known == "earlier":
        scene.plan((keys(3, 10), -1))
        assert scene.engine.send() is None
        scene.begin()
    scene.plan(*([(keys(2, 30), -1)] if known == "taken" else []), (sorted(bad), -1))
    error = scene.engine.send()
    if known == "nothing":
        assert isinstance(error, UnreachableError)
        assert (scene.counts(), witnesses) == ({"unsent": 8}, [])
        return
    assert error is None
    assert set(rejected(scene)) == bad
    assert witnesses == [[{"extended_id": "K0030" if known == "taken" else "K0010"}]] * 2
    assert {code.fields.get("m") for code in scene.api.world.codes if code.fields["extended_id"] in bad} == {None}


def test_no_value_that_is_to_be_sent_is_a_witness():
    """It may be at fault itself: a value that the ledger knows, and that is refused tonight."""
    bad = set(keys(8, 10))
    scene = Scene(codes(40))
    scene.plan((keys(12, 10), -1))
    assert scene.engine.send() is None
    scene.begin()
    scene.script = refusing(400, {"detail": "Locked code."}, when=of_words(bad))
    scene.plan((sorted(bad), -1), data='{"m":"2"}')
    assert scene.ledger.any_known(scene.run.job.space_id) == "K0018"
    assert scene.engine.send() is None
    assert (set(rejected(scene)), scene.counts()) == (bad, {"rejected": 8})


@pytest.mark.parametrize("differ", [False, True])
def test_a_witness_that_is_refused_like_the_values_or_while_their_refusals_differ_blames_no_row(differ):
    """The API says the same to everything, or says something else each time."""
    bad = set(keys(8, 20))

    def script(transport, path, really):
        closed = path == SYNC and sum(one == SYNC for one in transport.paths) > 1
        words = {"detail": "Closed.", "request": len(transport.paths) if differ else 0}
        return transport.answer(400, words) if closed else really()

    scene = Scene(codes(40), script=script)
    scene.plan((keys(3), -1), (sorted(bad), -1))
    assert isinstance(scene.engine.send(), UnreachableError)
    assert scene.counts() == {"confirmed": 3, "unsent": 8}
    assert updates(scene) <= 12


# ── async calls alone ────────────────────────────────────────────────────────────────────────────────────────────────


def async_refused(status, document):
    return lambda transport, path, really: transport.answer(status, document) if path == ASYNC else really()


@pytest.mark.parametrize(("status", "document"), [(400, {"detail": "No"}), (403, PAGE)])
@pytest.mark.parametrize(("count", "left"), [(4, 0), (600, 594)])
def test_async_calls_that_are_refused_while_sync_calls_are_taken_blame_no_row(status, document, count, left):
    scene = Scene(codes(1000), script=async_refused(status, document))
    planned_async = [(keys(min(300, count - begin), begin), 0) for begin in range(0, count, 300)]
    scene.plan((keys(100, 900), -1), *planned_async)
    error = scene.engine.send()
    assert rejected(scene) == []
    assert scene.counts() == {"confirmed": 100 + count - left, **({"unsent": left} if left else {})}
    assert (error is not None) is bool(left)
    if error is not None:
        assert "the API refuses async calls, and takes sync calls" in error.message
        assert "no row is blamed" in error.message
    assert updates(scene) <= 30


@pytest.mark.parametrize(
    ("status", "document"),
    [(400, {"campaign": ['Invalid pk "11" - object does not exist.']}), (400, {"detail": "No"}), (403, PAGE)],
)
@pytest.mark.parametrize(("one_key", "two_keys"), [(2000, 0), (1200, 40), (0, 40)])
def test_async_calls_that_are_refused_between_sync_calls_that_are_taken_blame_no_row(
    status, document, one_key, two_keys
):
    """All that sync calls carry goes. Of async calls some are tried, also of keys that go by these alone."""
    pairs = [KEY_SEPARATOR.join((f"C{n}", "L")) for n in range(two_keys)]
    scene = Scene(
        [*codes(3000), *({"extended_id": f"E{n}", "case_no": f"C{n}", "lot": "L"} for n in range(two_keys))],
        script=async_refused(status, document),
    )
    if pairs:
        at, job = scene.context.at(), scene.ledger.ensure_job("cases", ("case_no", "lot"))
        run = scene.ledger.begin_run(job, at=at, mode="auto", campaign=11, unique=True, program="t")
        plan = plan_of(pairs, key=job.key, fields=("m",), payloads=['{"m":"1"}'], varying=[0])
        scene.ledger.store_plan(run, plan, [SOURCE], at=at)
    sync_calls = [(keys(100, 2000 + n), -1) for n in range(0, 1000, 100)]
    async_calls = [(keys(200, n), 0) for n in range(0, one_key, 200)]
    scene.plan(*(batch for two in zip_longest(sync_calls, async_calls) for batch in two if batch))
    error = scene.engine.send()
    assert isinstance(error, AccessError if status == 403 else UnreachableError)
    assert "the API refuses async calls, and takes sync calls" in error.message
    assert "no row is blamed" in error.message
    assert rejected(scene) == []
    sent = scene.counts()
    assert sent["confirmed"] == 1000 + (6 if one_key else 0)
    assert sent["confirmed"] + sent.get("unsent", 0) == 1000 + one_key
    assert scene.lanes.transport.paths.count(ASYNC) <= 60
    scene.script = lambda transport, path, really: really()
    scene.begin().settle()
    assert scene.engine.send() is None
    assert sum(code.fields.get("m") == "1" for code in scene.api.world.codes) == 1000 + one_key + two_keys
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("status", [403, 400])
def test_sync_calls_that_are_refused_between_async_calls_that_are_taken_blame_no_row(status):
    def script(transport, path, really):
        return transport.answer(status, PAGE) if path == SYNC else really()

    scene = Scene(codes(3000), script=script)
    scene.plan(*(b for n in range(0, 1000, 100) for b in ((keys(20, 2000 + n), -1), (keys(200, 2 * n), 0))))
    assert isinstance(scene.engine.send(), AccessError if status == 403 else UnreachableError)
    assert (rejected(scene), scene.counts()["unsent"]) == ([], 200)


@pytest.mark.parametrize("place", [0, -1])
def test_a_key_that_sync_calls_took_once_and_refuse_now_goes_on_to_an_end(place):
    """A value at fault was moved to a sync call by the one rule and back by the other, without end."""
    cases = [f"C{n:04d}" for n in range(20)]

    def script(transport, path, really):
        assert updates(scene) < 100
        return transport.answer(400, {"detail": "Invalid data."}) if b"C0014" in transport.body else really()

    scene = Scene([{"extended_id": f"E{one}", "case_no": one} for one in cases], key=("case_no",), script=script)
    job = scene.run.job
    scene.context.learn_reach(job, replace(scene.context.reach(job), sync_taken=True))
    scene.context.sync_refused.add(job.id)
    scene.plan((cases[:10], 0), (cases[10:], place))
    assert scene.engine.send() is None
    assert (rejected(scene), scene.counts()) == (["C0014"], {"confirmed": 19, "rejected": 1})


@pytest.mark.parametrize(("count", "calls"), [(20, 70), (60, 45)])
def test_of_keys_that_no_sync_call_takes_no_witness_can_tell(count, calls):
    """A few values are blamed when others were taken since; so many in a row stop the run."""
    cases = [f"C{n:04d}" for n in range(200)]
    scene = Scene([{"extended_id": f"E{one}", "case_no": one} for one in cases], key=("case_no",), unique=True)
    scene.context.learn_reach(scene.run.job, replace(scene.context.reach(scene.run.job), sync_refused=True))
    bad = set(cases[-count:])
    scene.script = refusing(403, PAGE, when=lambda text: any(key in text for key in bad))
    scene.plan((cases, 0))
    error = scene.engine.send()
    assert updates(scene) <= calls
    assert set(rejected(scene)) <= bad
    if count == 20:
        assert error is None
        assert scene.counts() == {"confirmed": 180, "rejected": 20}
    else:
        assert isinstance(error, AccessError)
        assert "no row is blamed" in error.message


@pytest.mark.parametrize(
    ("status", "document", "most"), [(402, {"detail": "quota"}, 15), (400, {"detail": "Not now"}, 15), (403, PAGE, 15)]
)
@pytest.mark.parametrize("left", [20, 600])
def test_what_is_refused_to_everybody_in_the_midst_of_a_run_stops_it_soon_and_blames_no_row(
    status, document, most, left
):
    """Also where few values are left, and a call that carries nothing is refused alike."""
    scene = Scene(codes(200 + left))

    def script(transport, path, really):
        closed = path == SYNC and sum(one == SYNC for one in transport.paths) > 2
        return transport.answer(status, document) if closed else really()

    scene.script = script
    planned(scene, 200 + left, -1)
    assert scene.engine.send() is not None
    assert scene.counts() == {"confirmed": 200, "unsent": left}
    assert updates(scene) <= 2 + most


@pytest.mark.parametrize("place", [-1, 0])
@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (402, {"detail": "Payment required"}, UnreachableError),
        (409, {"detail": "locked"}, UnreachableError),
        (423, {"detail": "locked"}, UnreachableError),
        (400, b"<html><title>400 Bad Request</title></html>", UnreachableError),
        (400, {"campaign": ["Invalid pk"]}, UnreachableError),
        (404, {"detail": "Not found."}, UnreachableError),
        (403, PAGE, AccessError),
        (403, b"error code: 1020", AccessError),
    ],
)
def test_the_same_refusal_of_everything_stops_within_a_few_calls_and_blames_no_row(status, document, kind, place):
    """e9."""
    scene = Scene(codes(800), script=refusing(status, document, when=lambda text: True))
    size = 100 if place < 0 else 400
    scene.plan(*((keys(size, begin), place) for begin in range(0, 800, size)))
    error = scene.engine.send()
    assert isinstance(error, kind)
    assert updates(scene) <= 12
    assert scene.counts() == {"unsent": 800}
    assert "no row is blamed" in error.message
    scene.script = lambda transport, path, really: really()
    scene.begin()
    scene.engine.settle()
    assert scene.engine.send() is None
    assert {code.fields.get("m") for code in scene.api.world.codes} == {"1"}
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("place", [-1, 0])
@pytest.mark.parametrize(
    "document", [{"campaign": ['Invalid pk "11" - object does not exist.']}, {"detail": "Error E11 in 11f: 1100 codes"}]
)
def test_what_stands_within_a_longer_word_or_speaks_of_the_campaign_blames_no_short_key(document, place):
    """Serial numbers may be as short as the numbers that any message has."""
    serials = [str(n) for n in range(1, 81)]
    scene = Scene([{"extended_id": f"E{one}", "serial_number": one} for one in serials], key=("serial_number",))
    scene.script = refusing(400, document, when=lambda text: True)
    scene.plan((serials, place))
    error = scene.engine.send()
    assert isinstance(error, UnreachableError)
    assert "no row is blamed" in error.message
    assert (rejected(scene), scene.counts()) == ([], {"unsent": 80})


@pytest.mark.parametrize("bad", [{"K0777"}, {"K0000", "K0400", "K0401", "K0999"}])
@pytest.mark.parametrize("place", [-1, 0])
def test_words_that_name_a_good_value_each_time_cost_few_calls_and_blame_none(bad, place):
    """They quote the first value of the call, whichever is at fault."""

    def script(transport, path, really):
        sent = transport.body.decode() if path in {SYNC, ASYNC} else ""
        first = min(re.findall(r"K\d{4}", sent), default="")
        at_fault = any(key in sent for key in bad)
        return transport.answer(400, {"detail": f"the call that begins with {first} is odd"}) if at_fault else really()

    scene = Scene(codes(1000), script=script)
    scene.plan(*([(keys(1000), 0)] if place == 0 else [(keys(100, begin), -1) for begin in range(0, 1000, 100)]))
    assert scene.engine.send() is None
    assert set(rejected(scene)) == bad
    assert scene.counts() == {"confirmed": 1000 - len(bad), "rejected": len(bad)}
    assert updates(scene) <= 40 + 30 * (len(bad) - 1)


def test_a_key_that_sync_calls_took_is_not_given_up_since_one_row_is_refused_without_a_reason():
    cases = [f"C{n}" for n in range(9)]
    scene = Scene([{"extended_id": f"E{one}", "case_no": one} for one in cases], key=("case_no",), unique=False)
    scene.api.config = replace(scene.api.config, sync_keys=None)  # any key
    scene.plan((cases, -1))
    assert scene.engine.send() is None
    scene.begin()
    scene.script = refusing(400, {"detail": "Bad value"}, when=lambda text: "C4" in text)
    scene.plan((cases, -1), data='{"m":"2"}')
    assert scene.engine.send() is None
    assert (rejected(scene), scene.counts()) == (["C4"], {"confirmed": 8, "rejected": 1})
    assert ASYNC not in scene.lanes.transport.paths
    assert scene.ledger.reach(scene.run.job)["sync_refused"] is False


@pytest.mark.parametrize(("document", "learned"), [({"detail": "No"}, False), ({"data_key": ["unknown key"]}, True)])
def test_a_key_that_sync_calls_do_not_take_is_sent_otherwise_and_remembered_if_the_api_said_so(document, learned):
    """Where its words do not say so, an outage or one bad row may be the cause: the next run asks again."""
    cases = [f"C{n}" for n in range(4)]
    scene = Scene([{"extended_id": f"E{one}", "case_no": one} for one in cases], key=("case_no",), unique=False)
    scene.script = refusing(400, document, when=lambda text: "data_key" in text)
    scene.plan((cases, -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 4}
    assert scene.lanes.transport.paths.count(SYNC) == 1
    assert scene.ledger.reach(scene.run.job).get("sync_refused", False) is learned


def test_a_refusal_in_the_midst_of_good_calls_that_turns_out_to_be_everybodys_blames_no_row():
    scene = Scene(codes(60))

    def script(transport, path, really):
        spent = path == SYNC and sum(one == SYNC for one in transport.paths) > 20
        return transport.answer(402, {"detail": "quota"}) if spent else really()

    scene.script = script
    scene.plan(*(([key], -1) for key in keys(60)))
    assert isinstance(scene.engine.send(), UnreachableError)
    assert rejected(scene) == []
    assert scene.counts() == {"confirmed": 20, "unsent": 40}


def nothing_in(text):
    return '\\"items\\":[]' in text.replace(" ", "")


@pytest.mark.parametrize(("status", "document"), [(403, PAGE), (400, {"detail": "no"}), (400, PAGE)])
@pytest.mark.parametrize("place", [-1, 0])
def test_a_value_that_is_refused_while_nothing_else_is_left_is_blamed_only_if_a_call_without_values_is_not(
    status, document, place
):
    """An async call without values is not made: it could select every code. These go once more by sync calls."""
    scene = Scene(codes(9), script=refusing(status, document, when=lambda text: "K0" in text))
    scene.plan(*(([key], place) for key in keys(3)))
    error = scene.engine.send()
    assert error is None
    assert (rejected(scene), scene.counts()) == (keys(3), {"rejected": 3})
    assert updates(scene) == 3 + 1 + 3
    assert scene.ledger.problems() == []


@pytest.mark.parametrize(
    ("status", "document"), [(403, PAGE), (400, PAGE), (402, {"detail": "quota"}), (409, {"detail": "locked"})]
)
@pytest.mark.parametrize("taken", [0, 3])
def test_what_refuses_the_last_values_and_a_call_without_values_too_blames_no_row(status, document, taken):
    scene = Scene(codes(9))

    def script(transport, path, really):
        closed = path == SYNC and sum(one == SYNC for one in transport.paths) > taken
        return transport.answer(status, document) if closed else really()

    scene.script = script
    scene.plan(*(([key], -1) for key in keys(taken + 2)))
    error = scene.engine.send()
    assert isinstance(error, AccessError if status == 403 else UnreachableError)
    assert "no row is blamed" in error.message
    assert rejected(scene) == []
    scene.script = lambda transport, path, really: really()
    scene.begin().settle()
    assert scene.engine.send() is None
    assert scene.states() == []
    assert sum(code.fields.get("m") == "1" for code in scene.api.world.codes) == taken + 2


@pytest.mark.parametrize("calls", range(2, 12))
def test_what_closes_the_way_for_everybody_while_one_value_is_looked_for_blames_that_one_at_most(calls):
    """A page that a value brings is narrowed; then the same page comes to every call."""
    scene = Scene(codes(120))

    def script(transport, path, really):
        if path not in {SYNC, ASYNC}:
            return really()
        made = sum(one in {SYNC, ASYNC} for one in transport.paths)
        return transport.answer(403, PAGE) if made > calls or b"K0042" in transport.body else really()

    scene.script = script
    scene.plan(*((keys(30, begin), -1) for begin in range(0, 120, 30)))
    assert isinstance(scene.engine.send(), AccessError)
    assert set(rejected(scene)) <= {"K0042"}
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("status", [500, 504, None])
@pytest.mark.parametrize(("size", "place"), [(1000, 0), (100, -1)])
def test_one_value_whose_call_breaks_the_api_stays_in_doubt_alone(status, size, place):
    scene = Scene(codes(size + 100), script=refusing(status, PAGE, when=lambda text: "K0077" in text))
    scene.plan((keys(size), place), (keys(100, size), place))
    scene.engine.send()
    counts = scene.counts()
    assert counts.pop("confirmed") == size + 99
    assert counts == {"in_doubt": 1}
    assert rejected(scene) == []
    assert updates(scene) <= 60
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("applied", [True, False])
def test_async_calls_that_outlast_the_time_out_become_smaller_unless_their_task_is_found(applied):
    """e10."""

    def script(transport, path, really):
        if path != ASYNC or len(transport.body) < 800:
            return really()
        begun_s = transport.at_s
        if applied:
            really()
        transport.at_s = begun_s + 60.0
        return transport._reply(None, b"", begun_s, failure="no whole answer within 60 s", timed_out=True)

    scene = Scene(codes(400), script=script)
    scene.plan(*((keys(100, begin), 0) for begin in range(0, 400, 100)))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 400}
    assert updates(scene) == 4 if applied else updates(scene) <= 20
    assert scene.ledger.problems() == []


def timing_out(transport, path, really, *, most):
    if path != SYNC or len(json.loads(transport.body)["items"]) <= most:
        return really()
    begun_s = transport.at_s
    really()  # it is applied all the same
    transport.at_s = begun_s + 60.0
    return transport._reply(None, b"", begun_s, failure="no whole answer within 60 s", timed_out=True)


@pytest.mark.parametrize("most", [40, 1])
def test_sync_calls_that_outlast_the_time_out_become_smaller(most):
    """e10."""
    scene = Scene(codes(100), script=lambda *call: timing_out(*call, most=most))
    scene.plan((keys(100), -1))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 100}
    assert updates(scene) <= (10 if most == 40 else 120)
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("place", [-1, 0])
def test_a_call_that_is_too_large_is_cut_and_so_are_those_after_it_before_they_are_sent(place):
    def script(transport, path, really):
        too_large = path in {SYNC, ASYNC} and len(transport.body) > 1500
        return transport.answer(413, b"<html><title>413 Request Entity Too Large</title>") if too_large else really()

    scene = Scene(codes(400), script=script)
    scene.plan(*((keys(100, begin), place) for begin in range(0, 400, 100)))
    assert scene.engine.send() is None
    assert scene.counts() == {"confirmed": 400}
    assert updates(scene) <= 4 * 4 + 10
    assert scene.ledger.problems() == []
