"""The promises of the program, checked against what the server itself recorded and what the ledger says."""

from __future__ import annotations

import json

from sim.company import LATER
from sim.ledgers import LEDGER_ID
from sim.products import MOVED
from sim.truth import THEIRS

from syncer.ledger.knowledge import Knowledge
from syncer.lifecycle.part import FINAL


class ViolationError(AssertionError):
    """A promise was broken; the message says which."""


def check_run(ledger, run, *, thorough):
    """What holds at the end of every run: the buckets sum, the ledger is whole."""
    counts = ledger.run(run.id).rows
    if counts and counts["read"] != sum(n for name, n in counts.items() if name != "read"):
        raise ViolationError(f"the buckets do not sum: {counts}")
    if thorough and (problems := ledger.problems()):
        raise ViolationError(f"ledger: {problems}")


def check_known(ledger, truth, disjoint, keys=()):
    """What holds whenever a process is gone, however it went: whatever the mirror calls known is so.

    Of `keys` no code may be there: of them nothing is known. Stamps and open batches are laid over it, as the plan does. A
    field that the campaign discards is believed as yet; so is what a task that was let go of may have overwritten since the
    last look at it.
    """
    moment = ledger.connection.begin()
    numbers = [number for (number,) in ledger.connection.exec_driver_sql("SELECT id FROM spaces").fetchall()]
    for number in numbers:
        for key, picture in Knowledge(ledger.connection, number, disjoint).view({*truth.held, *keys}).items():
            known = {name: value for name, value in json.loads(picture.known).items() if name != LATER}
            lacking = truth.lacking(key, known, newest=False)
            if lacking is not None:
                raise ViolationError(f"{key} is known as {known}, the server holds {lacking}")
    moment.rollback()  # a commit would be a step at which the process may die


def let_go_tasks(database, world):
    """Return the tasks of the calls that the ledger let go of: they may land whenever they like, over newer data too.

    No program can prevent that; what it can do is to say so, look at them in every run, and believe nothing they wrote.
    """
    query = """SELECT a.reference FROM attempts a JOIN batches b ON b.id = a.batch_id
        WHERE b.state IN ('abandoned', 'ended_late')"""
    references = {reference for (reference,) in database.execute(query)}
    return {task.id for task in world.tasks.values() if task.reference in references}


def check_server(world, let_go=frozenset(), *, ordered=True):
    """What holds about everything that ever reached the server, from its own record; `let_go`: of other tasks.

    `ordered`: later nights have greater values, so that none lands over a greater one. But the version before sent one
    job's older word over another's newer one (`begun`), and what it had under way may land so.
    """
    references = [world.tasks[task_id].reference for task_id in let_go if task_id in world.tasks]
    violations = [words for words in world.violations if not any(repr(name) in words for name in references)]
    if violations:
        raise ViolationError(f"{violations[:3]}")
    begun = {task.id for task in world.tasks.values() if "." not in task.reference}
    newest = {}
    for write in world.journal:
        if write.field not in {"m", "s"} or write.cause.removeprefix("task ") in {THEIRS, MOVED, *let_go}:
            continue
        before = write.cause.startswith("begun ") or write.cause.removeprefix("task ") in begun
        if ordered and not before and write.new < newest.get((write.code, write.field), ""):
            raise ViolationError(f"{write.new} landed over {newest[write.code, write.field]} on code {write.code}")
        newest[write.code, write.field] = write.new
    # A task that the API applies but never shows cannot be found by anybody.
    parts = [task.reference.rsplit("-", 2) for task in world.tasks.values() if not task.forgotten]
    # And the id of their ledger, which an older version did not write into it: its ledger's first one.
    batches = [(batch, suffix.rpartition(".")[0] or LEDGER_ID) for batch, _, suffix in parts]
    if len(batches) != len(set(batches)):
        raise ViolationError("a batch has two tasks")


_LAST = f"""SELECT max(i.id) FROM items i JOIN batches b ON b.id = i.batch_id JOIN payloads p ON p.id = i.payload_id
    WHERE NOT (b.split OR ((b.kind = 'wish' OR b.state = 'failed') AND p.data LIKE '{{"{LATER}":%' AND p.data NOT LIKE '%","%'))
    GROUP BY b.space_id, i.key"""
"""The last word about every value that was ever planned. A wish for the field that is not taken alone is none, nor is a
failed call that carried it alone, to ask for it: the run tells of the field, and its words are kept in the history."""


def let_go_keys(database):
    """Return the key values of the calls that the ledger let go of and has not seen to end: each may land at any time.

    Those that were seen to end are excused by nothing: what they wrote is uncertain, so it is sent again.
    """
    query = "SELECT i.key FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.state = 'abandoned'"
    return {key for (key,) in database.execute(query)}


def told_keys(database):
    """Return the key values whose end was told: what was sent last of them was refused, or matched nothing."""
    rows = database.execute(
        f"""SELECT i.key FROM items i JOIN batches b ON b.id = i.batch_id LEFT JOIN outcomes o ON o.item_id = i.id
            WHERE i.id IN ({_LAST}) AND (b.state = 'rejected' OR o.bucket IN ('rejected', 'unmatched'))"""
    )
    return {key for (key,) in rows}


def late_places(database):
    """Return what the calls wrote that were let go of, and ended after that: by key value and field."""
    query = """SELECT i.key, p.data FROM items i JOIN batches b ON b.id = i.batch_id JOIN payloads p ON p.id = i.payload_id
        WHERE b.state = 'ended_late'"""
    return {(key, name) for key, data in database.execute(query).fetchall() for name in json.loads(data)}


def late_words(database):
    """Return the words that a call overwrote which ended late, and that are not wanted again since another key may have
    written the field in between: by key value and field. Nobody knows which codes that reached.

    The run that sees such an end says 3, as the promise has it: it excuses what earlier processes saw alone. A word that
    was confirmed since is a newer one.
    """
    told = """SELECT i.key, p.data, b.space_id, b.settled FROM outcomes o JOIN items i ON i.id = o.item_id
        JOIN batches b ON b.id = i.batch_id JOIN payloads p ON p.id = i.payload_id WHERE b.state = 'ended_late'"""
    since = """SELECT p.data FROM items i JOIN batches b ON b.id = i.batch_id JOIN payloads p ON p.id = i.payload_id
        WHERE i.key = ? AND b.space_id = ? AND b.settled > ? AND b.state IN ('confirmed', 'mismatched') AND NOT b.split"""
    found = set()
    for key, data, space, late in database.execute(told).fetchall():
        newer = {name for (text,) in database.execute(since, (key, space, late)) for name in json.loads(text)}
        found.update((key, name) for name in json.loads(data).keys() - newer)
    return found


def coming_codes(database):
    """Return the ids of own codes that are uploaded, of which the ledger has not seen whether they have come."""
    final = ", ".join(f"'{state.value}'" for state in FINAL)
    query = f"SELECT c.code FROM upload_codes c JOIN upload_parts p ON p.id = c.part_id WHERE p.state NOT IN ({final})"
    return {code for (code,) in database.execute(query)}


def check_promise(database, truth, wanted, concerns):
    """What a run that says 0 promises: the server holds the newest word of every value whose end was not told.

    `concerns` tells of a key value and a field whether the run has to do with it.
    """
    for key in wanted.keys() - told_keys(database):
        word = {name: value for name, value in wanted[key].items() if concerns(key, name)}
        lacking = truth.lacking(key, word)
        if lacking is not None:
            raise ViolationError(f"a run said 0; {key} is wanted as {word}, the server holds {lacking}")


def check_blame(database, poisoned):
    """A refusal is charged to the values that are at fault, and to no other."""
    blamed = database.execute(
        """SELECT i.key, b.id FROM items i JOIN batches b ON b.id = i.batch_id LEFT JOIN outcomes o ON o.item_id = i.id
           WHERE NOT b.split AND (b.state = 'rejected' OR o.bucket = 'rejected')"""
    )
    for key, batch in blamed:
        if key not in poisoned:
            raise ViolationError(f"batch {batch}: {key} was rejected, and nothing is wrong with it")


def check_reach(applied_ever, asked):
    """Nothing was written but what a file asked for: no code that no row named, no value that no row gave it."""
    for key, values in applied_ever.items():
        if stray := values - asked.get(key, set()):
            raise ViolationError(f"{key} was written as {sorted(stray)}, which no file asked for")


def check_nothing_lost(database, truth, wanted, poisoned=frozenset()):
    """The last word about every value that was ever planned: applied, or refused and said so; never forgotten.

    `truth` is what the server holds, `wanted` are the newest words of the files whose plans were stored. What was told as
    unmatched is wanted no more. A wish that the server holds waits for the next night of its job, which finds that out.
    """
    rows = database.execute(
        f"""SELECT i.key, b.state, o.bucket,
            EXISTS (SELECT 1 FROM attempts a WHERE a.batch_id = b.id AND a.account IS NULL),
            CASE WHEN b.kind = 'wish' THEN p.data END
            FROM items i JOIN batches b ON b.id = i.batch_id JOIN payloads p ON p.id = i.payload_id
            LEFT JOIN outcomes o ON o.item_id = i.id WHERE i.id IN ({_LAST})"""
    )
    for key, state, bucket, begun, wish in rows:
        if state == "planned" and wish and truth.lacking(key, json.loads(wish)) is None:
            continue
        # The way back drops what failed in the ledger that was put back; what failed in the version before was told by it.
        if state == "failed" and (key not in wanted or begun):
            continue
        if (
            state == "ended_late" and key not in truth.held
        ):  # wanted again: its own job's next run tells that no code has it
            continue
        if key in poisoned:  # alone and without a reason refused, it cannot be told from an API that takes nothing
            continue
        if state in {"planned", "sending", "submitted", "in_doubt", "failed"}:
            raise ViolationError(f"{key} is still {state}")
        lacking = truth.lacking(key, wanted.get(key, {}))
        if bucket is None and state != "rejected" and lacking is not None:
            raise ViolationError(f"{key} is wanted as {wanted.get(key)} and {state}, the server holds {lacking}")


def check_history(database, sent):
    """Every value that ever went out stands in the history, with the data that it went out with; and never is it changed."""
    known = set(database.execute("SELECT i.key, p.data FROM items i JOIN payloads p ON p.id = i.payload_id").fetchall())
    told = {(key, value) for key, data in known for value in json.loads(data).items()}
    for key, value in sent:
        if (key, value) not in told:
            raise ViolationError(f"{key} was sent as {value}; the history does not know of it")
