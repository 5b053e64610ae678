"""The promises of the program, checked against what the server itself recorded and what the ledger says."""

from __future__ import annotations

import json

from syncer.ledger.knowledge import Knowledge


class ViolationError(AssertionError):
    """A promise was broken; the message says which."""


def check_run(ledger, run, *, thorough):
    """What holds at the end of every run: the buckets sum, the ledger is whole."""
    counts = ledger.run(run.id).rows
    if counts and counts["read"] != sum(n for name, n in counts.items() if name != "read"):
        raise ViolationError(f"the buckets do not sum: {counts}")
    if thorough and (problems := ledger.problems()):
        raise ViolationError(f"ledger: {problems}")


def check_known(ledger, held):
    """What holds whenever a process is gone, however it went: whatever the mirror calls known is so.

    Stamps and open batches are laid over it, as the plan does. A field that the campaign discards is believed as yet.
    """
    moment = ledger.connection.begin()
    pictures = Knowledge(ledger.connection, 1).view(held)
    moment.rollback()  # a commit would be a step at which the process may die
    for key, picture in pictures.items():
        known = json.loads(picture.known)
        if "m" in known and held[key] != {known["m"]}:
            raise ViolationError(f"{key} is known as {known['m']}, the server holds {held[key]}")


def applied_ever(world, key):
    """Return every value of the field that the server ever wrote, by key value."""
    ever = {}
    for write in world.journal:
        if write.field == "m":
            ever.setdefault(world.codes[write.code].fields[key], set()).add(write.new)
    return ever


def let_go_tasks(database):
    """Return the tasks that the ledger let go of: they may land whenever they like, over newer data too.

    No program can prevent that; what it can do is to say so, look at them in every run, and believe nothing they wrote.
    """
    query = "SELECT task_id FROM batches WHERE state IN ('abandoned', 'ended_late') AND task_id IS NOT NULL"
    return {task_id for (task_id,) in database.execute(query)}


def check_server(world, let_go=frozenset()):
    """What holds about everything that ever reached the server, from its own record; `let_go`: of other tasks."""
    references = [world.tasks[task_id].reference for task_id in let_go if task_id in world.tasks]
    violations = [words for words in world.violations if not any(f"values of {name!r}" in words for name in references)]
    if violations:
        raise ViolationError(f"{violations[:3]}")
    newest = {}
    for write in world.journal:
        if write.field != "m" or write.cause.removeprefix("task ") in let_go:
            continue
        if write.new < newest.get(write.code, ""):
            raise ViolationError(f"{write.new} landed over {newest[write.code]} on code {write.code}")
        newest[write.code] = write.new
    # A task that the API applies but never shows cannot be found by anybody.
    batches = [task.reference.rsplit("-", 2)[0] for task in world.tasks.values() if not task.forgotten]
    if len(batches) != len(set(batches)):
        raise ViolationError("a batch has two tasks")


def let_go_keys(database):
    """Return the key values of the tasks that the ledger let go of."""
    query = (
        """SELECT i.key FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.state IN ('abandoned', 'ended_late')"""
    )
    return {key for (key,) in database.execute(query)}


def check_reach(applied_ever, asked):
    """Nothing was written but what a file asked for: no code that no row named, no value that no row gave it."""
    for key, values in applied_ever.items():
        if stray := values - asked.get(key, set()):
            raise ViolationError(f"{key} was written as {sorted(stray)}, which no file asked for")


def check_nothing_lost(database, held, wanted_now, uncertain=frozenset()):
    """The last word about every value that was ever planned: applied, or refused and said so; never forgotten.

    `held` gives what the server holds for a key value (a set: one entry per code), `wanted_now` what the files ask for;
    of `uncertain` key values nobody knows what a task that was let go of wrote, and when.
    """
    rows = database.execute(
        """SELECT i.key, p.data, b.state, o.bucket FROM items i JOIN batches b ON b.id = i.batch_id
           JOIN payloads p ON p.id = i.payload_id LEFT JOIN outcomes o ON o.item_id = i.id
           WHERE i.id IN (SELECT max(i.id) FROM items i JOIN batches b ON b.id = i.batch_id WHERE NOT b.split GROUP BY i.key)"""
    )
    for key, data, state, bucket in rows:
        if state in {"planned", "sending", "submitted", "in_doubt", "failed"}:
            raise ViolationError(f"{key} is still {state}")
        if state == "superseded":  # right only when a newer file went back to what is known
            if held.get(key) != {wanted_now[key]}:
                raise ViolationError(f"{key} was planned as {data}, never sent, and forgotten")
        elif (
            bucket is None
            and key not in uncertain
            and "m" in json.loads(data)
            and held.get(key) != {json.loads(data)["m"]}
        ):
            raise ViolationError(f"{key} is confirmed as {data}, the server holds {held.get(key)}")


def check_history(database, sent):
    """Every value that ever went out stands in the history, with the data that it went out with; and never is it changed."""
    known = set(database.execute("SELECT i.key, p.data FROM items i JOIN payloads p ON p.id = i.payload_id").fetchall())
    told = {(key, json.loads(data).get("m")) for key, data in known}
    for key, value in sent:
        if value is not None and (key, value) not in told:
            raise ViolationError(f"{key} was sent as {value}; the history does not know of it")
