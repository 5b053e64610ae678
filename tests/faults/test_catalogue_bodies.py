"""The catalogue of faults: bodies. No JSON that is none is taken for an answer, and no member of a wrong type is believed.

Whole runs of the real program, one body per call: the server before the sandbox answers calls that were *not* processed
with status 200 and a body that a lenient reader would take for a confirmation. Whatever the program then calls confirmed
is held against the server's own record, and a task in doubt may never be created twice. `make prove` tries every body,
`make test` some that its commit chooses.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from catalogue.bodies import FIRST, alterations, must_fail
from catalogue.front import Act, Front, body_of, bytes_of, changed
from catalogue.kept import HEADER, SHORT
from conftest import codes
from sampling import covered, sample

from syncer.ledger.ledger import Ledger
from syncer.lifecycle.batch import Bucket

VALID = b'{"total_updates":100,"codes_affected":100,"items":null,"changes":["a"]}'
BODIES_MAX = 80
ALTERED_MAX = 60
"""How many bodies, and how many altered answers of each kind, a sample has."""
TASK = ("id", "reference", "state", "codes_affected", "created_by", "created_at", "started_at", "completed_at")
PAGE = ((), ("count",), ("next",), ("previous",), ("results",), ("results", 0))
ONE_CALL = {
    "SYNCER_API__CONCURRENCY": "1",
    "SYNCER_API__UPDATES_PER_SECOND": "1000",
    "SYNCER_API__READS_PER_MINUTE": "100000",
}
SLOW = {"SYNCER_API__TIMEOUT_S": "5", "SYNCER_API__GIVE_UP_AFTER_S": "5", "SYNCER_API__POLL_S": "0.01"}
LOOK_AGAIN_SOON = {"where": "constant", "module": "syncer.execute.registry", "name": "RETRY_S", "value": 0.02}


def rows_of(batches, kind):
    """Rows that need so many calls of one kind: 100 values each with data of their own, or 3 with data in common."""
    if kind == "async":
        return [(f"K{n:06d}", f"m{n // 3}-1") for n in range(3 * batches)]
    return [(f"K{n:06d}", f"m{n}-1") for n in range(100 * batches)]


def run(forks, here, *arguments, trap=None, **extra):
    variables = here.variables(**{**ONE_CALL, **SLOW, **extra})
    done = forks.run(here.folder, variables, *arguments, trap=trap)
    assert "Traceback" not in done.out + done.err
    assert done.document["error"] is None or done.document["error"]["code"] != "unexpected", done.out
    return done


def sync(forks, here, kind, *, trap=None, **extra):
    return run(forks, here, "sync", "--json", "a.csv", "--approve", "--mode", kind, trap=trap, **extra)


def held(here):
    return {key: fields.get("intended_market") for key, fields in here.server().items()}


def assert_nothing_false(here, rows):
    """What the ledger calls confirmed, the server has; nothing was made twice."""
    server, wanted = held(here), dict(rows)
    with Ledger.open_to_read(f"sqlite:///{here.folder}/syncer.db") as ledger:
        for run_ in ledger.runs(most=10):
            for key, _, _, bucket, _ in ledger.planned_outcomes(run_.id):
                assert bucket is not Bucket.CONFIRMED or server[key] == wanted[key], f"{key} is not on the server"
        assert ledger.problems() == []
    batches = [task.reference.rsplit("-", 2)[0] for task in here.box.world.tasks.values()]
    assert len(batches) == len(set(batches)), "a batch created two tasks"
    assert here.box.world.violations == []


def assert_all_arrives(forks, here, rows, kind, runs=3):
    for _ in range(runs):
        done = sync(forks, here, kind)
        if done.code == 0:
            break
    assert done.code == 0, done.out
    assert held(here) == dict(rows)


def json_suite():
    """The suite's cases that must fail, from a copy that somebody has fetched; none without $JSON_TEST_SUITE."""
    folder = os.environ.get("JSON_TEST_SUITE")
    return [(path.name, path.read_bytes()) for path in sorted(Path(folder).rglob("n_*.json"))] if folder else []


BODIES = {
    "own rules": list(must_fail(VALID)),
    "the JSONTestSuite": json_suite(),
    "the JSONTestSuite inside a member": [(name, VALID[:-1] + b',"x":' + body + b"}") for name, body in json_suite()],
}


@pytest.mark.parametrize("origin", BODIES)
def test_a_body_that_is_no_json_confirms_nothing(night, forks, record_property, origin):
    """Each sync call is first answered with such a body and not processed: so each must be made a second time."""
    if not BODIES[origin]:
        pytest.skip("$JSON_TEST_SUITE names no folder with the suite; our own must-fail bodies are tested beside this")
    bodies = sample(BODIES[origin], BODIES_MAX, name=origin)
    rows = rows_of(len(bodies), "sync")
    with night(codes=codes(len(rows)), updates_per_second=100_000) as here:
        here.environment.update(SHORT)
        here.write("a.csv", HEADER, rows)

        def bend(call):
            if call.name != "sync" or call.number % 2 == 0:
                return None
            return Act(body_of(bodies[call.number // 2][1]), pass_on=False)

        with Front(here.box.port, bend) as front:
            done = sync(forks, here, "sync", SYNCER_API__BASE_URL=front.url)
            assert front.count("sync") == 2 * len(bodies), "a body was taken for an answer"
        assert (done.code, done.document["values"]["confirmed"]) == (0, len(rows)), done.out
        assert held(here) == dict(rows)
        assert_nothing_false(here, rows)
    covered(record_property, "bodies that are no JSON, as answers", len(bodies), len(BODIES[origin]))


SYNC_PATHS = (
    (),
    ("codes_affected",),
    ("items",),
    ("items", FIRST),
    ("items", FIRST, 0),
    ("total_updates",),
    ("changes",),
)
WELL_TYPED = re.compile(r"(total_updates|changes) |items (= None|= \{\}|missing)|items\.\*(\.0)? (= \[|= '|missing)")
"""What the program need not notice: members that nobody reads, and texts and lists where texts and lists may stand."""


def test_no_member_of_a_wrong_type_confirms_a_sync_call(night, forks, record_property):
    every = alterations(*SYNC_PATHS)
    changes = sample(every, ALTERED_MAX, name="sync")
    rows = rows_of(len(changes), "sync")
    with night(codes=codes(len(rows)), updates_per_second=100_000) as here:
        here.environment.update(SHORT)
        here.write("a.csv", HEADER, rows)
        seen = {}

        def bend(call):
            if call.name != "sync":
                return None
            items = json.loads(call.body)["items"]
            first = items[0]["extended_id"]
            if len(items) != 100 or first in seen:
                return None
            name, change = changes[len(seen)]
            seen[first] = name
            keys = {item["extended_id"]: ["intended_market"] for item in items}
            valid = {"total_updates": len(items), "changes": [], "items": keys, "codes_affected": len(items)}
            return Act(body_of(change(valid)), pass_on=bool(WELL_TYPED.match(name)))

        with Front(here.box.port, bend) as front:
            done = sync(forks, here, "sync", SYNCER_API__BASE_URL=front.url)
        assert len(seen) == len(changes)
        assert done.code in {0, 3}, done.out
        assert_nothing_false(here, rows)
        assert_all_arrives(forks, here, rows, "sync")
    covered(record_property, "answers with one member altered", len(changes), len(every))


def test_no_member_of_a_wrong_type_makes_a_task(night, forks, record_property):
    """The answer that names the task: the call was not processed, so no task is there, whatever the answer says."""
    every = alterations((), ("task_id",))
    changes = sample(every, ALTERED_MAX, name="makes a task")
    rows = rows_of(len(changes), "async")
    with night(codes=codes(len(rows)), updates_per_second=100_000, task_run_s=0.01) as here:
        here.environment.update(SHORT)
        here.write("a.csv", HEADER, rows)
        seen = {}

        def bend(call):
            batch = json.loads(call.body)["reference"].rsplit("-", 2)[0] if call.name == "async" else None
            if batch is None or batch in seen or len(seen) == len(changes):
                return None
            name, change = changes[len(seen)]
            seen[batch] = name
            return Act(body_of(change({"task_id": "0b0b7a0e"})), pass_on=False)

        with Front(here.box.port, bend) as front:
            done = sync(forks, here, "async", SYNCER_API__BASE_URL=front.url, trap=LOOK_AGAIN_SOON)
        assert len(seen) == len(changes)
        assert done.code in {0, 3}, done.out
        assert_nothing_false(here, rows)
        assert_all_arrives(forks, here, rows, "async")
    covered(record_property, "answers with one member altered", len(changes), len(every))


def test_no_member_of_a_wrong_type_ends_a_task(night, forks, record_property):
    """Looks at running tasks, whose true answers say that they run: each altered one is made from one that says complete."""
    every = alterations(*PAGE, *(("results", 0, name) for name in TASK))
    every = [each for each in every if not re.match(r"results\.0\.codes_affected = (0|1)$", each[0])]  # a count
    changes = sample(every, ALTERED_MAX, name="ends a task")
    rows = rows_of(3, "async")
    with night(codes=codes(len(rows)), task_run_s=3600) as here:
        here.environment.update(SHORT)
        here.config(f'[jobs.default]\nknown_fields = ["{HEADER[1]}"]\n')  # nothing asks by a sync call
        here.write("a.csv", HEADER, rows)
        struck = []

        def running(answer):
            if len(struck) == len(changes):
                with here.box.lock:
                    for task in here.box.world.tasks.values():
                        task.end_due_s = min(task.end_due_s, here.box.now_s())
            return answer

        def completed(answer):
            page = json.loads(answer)
            for task in page["results"]:
                task.update(state="complete", codes_affected=0, completed_at=task["created_at"])
                if task is page["results"][0]:
                    task.update(codes_affected=3)
                else:
                    task.update(state="in-progress", codes_affected=None)
            name, change = changes[len(struck)]
            struck.append(name)
            page["results"][0]["state"] = "in-progress" if not name.startswith("results.0.codes") else "complete"
            return change(page)

        def bend(call):
            if call.name != "tasks" or len(struck) == len(changes) or call.number % 2 == 0:
                return Act(changed(running)) if call.name == "tasks" else None
            return Act(changed(completed))

        with Front(here.box.port, bend) as front:
            done = sync(forks, here, "async", SYNCER_API__BASE_URL=front.url)
        assert len(struck) == len(changes), struck[-1:]
        assert done.code == 0, done.out
        assert held(here) == dict(rows)
        assert_nothing_false(here, rows)
    covered(record_property, "answers with one member altered", len(changes), len(every))


LIST = alterations(*PAGE, *(("results", 0, name) for name in TASK))
LIST = [
    each for each in LIST if not re.match(r"results\.0\.reference = (None|''|'x'|'100')$", each[0])
]  # another's task
DETAILS = alterations(
    (), *((name,) for name in TASK), ("details",), ("details", "constraints"), ("details", "constraints", FIRST),
    ("details", "constraints", FIRST, 0), ("details", "scm_data"), ("details", "scm_data", FIRST),
)  # fmt: skip


@pytest.mark.parametrize(("where", "every"), [("list", LIST), ("task", DETAILS)], ids=["list", "details"])
def test_no_member_of_a_wrong_type_proves_that_there_is_no_task(night, forks, record_property, where, every):
    """The uploads' answers are lost; every look for one batch's task is altered in one way: none is made a second time."""
    changes = sample(every, ALTERED_MAX, name=where)
    rows = rows_of(len(changes), "async")
    with night(codes=codes(len(rows)), updates_per_second=100_000, task_run_s=0.01) as here:
        here.environment.update(SHORT)
        here.write("a.csv", HEADER, rows)
        change_of, batch_of_task = {}, {}

        def batch_in(call):
            found = re.search(rb"reference=(default-r\d+-b\d+)", call.head)
            return found[1].decode() if found else None

        def remember(answer):
            for task in json.loads(answer)["results"]:
                batch_of_task[task["id"]] = task["reference"].rsplit("-", 2)[0]
            return answer

        def bend(call):
            if call.name == "async":
                batch = json.loads(call.body)["reference"].rsplit("-", 2)[0]
                change_of.setdefault(batch, changes[len(change_of) % len(changes)])
                return Act(bytes_of(b""))
            if call.name == "list":
                change = change_of[batch_in(call)][1]
                return Act(changed(remember if where == "task" else lambda answer: change(json.loads(answer))))
            if call.name == "task" and where == "task":
                task_id = re.match(rb"GET .*/([^/]+)/ ", call.head)[1].decode()
                change = change_of[batch_of_task[task_id]][1]
                return Act(changed(lambda answer: change(json.loads(answer))))
            return None

        with Front(here.box.port, bend) as front:
            done = sync(
                forks,
                here,
                "async",
                SYNCER_API__BASE_URL=front.url,
                SYNCER_API__GIVE_UP_AFTER_S="2",
                trap=LOOK_AGAIN_SOON,
            )
        assert done.code in {0, 3, 5}, done.out
        assert_nothing_false(here, rows)
        assert len(change_of) <= len(changes)
        assert_all_arrives(forks, here, rows, "async")
        assert_nothing_false(here, rows)
    covered(record_property, "answers with one member altered", len(changes), len(every))


def test_the_access_check_takes_any_answer(night, forks, record_property):
    paths = ((), ("id",), ("email",), ("permissions",), ("permissions", 0))
    every = [each for each in alterations(*paths) if re.search(r"None|100|\[\]|\{\}|True|1.5|NaN|99|missing", each[0])]
    changes = sample(every, ALTERED_MAX // 2, name="access")
    with night() as here:
        here.environment.update(SHORT)
        at = []

        def bend(call):
            return Act(changed(lambda answer: changes[at[-1]][1](json.loads(answer))))

        with Front(here.box.port, bend, passing=frozenset()) as front:
            for number, (name, _) in enumerate(changes):
                at.append(number)
                done = run(forks, here, "check", "--json", SYNCER_API__BASE_URL=front.url)
                assert done.code in {0, 5, 12}, (name, done.out)
                assert done.code != 0 or "NaN" not in name or not name.startswith("all"), name
    covered(record_property, "answers with one member altered", len(changes), len(every))
