"""Storing a plan whose batches lie among each other: the index is made anew, and the ledger is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plans import plan_of

from syncer.ledger import plans
from syncer.ledger.ledger import Ledger
from syncer.model import Dialect, Mode, SourceInfo

AT = "2026-11-20T05:00:00.000Z"
SOURCE = SourceInfo("a.csv", "0" * 64, 10, 4, Dialect("utf-8", ",", '"'), ("k", "f"))
PAYLOADS = [f'{{"f":"{number}"}}' for number in range(5)]


def batched(keys, batch_of_key):
    """Every key in the batch that is named for it; the keys of a batch ascend."""
    order = np.lexsort((keys, batch_of_key))
    sizes = np.bincount(batch_of_key)
    made = plan_of(keys, sizes=sizes, payloads=PAYLOADS, order=order)
    batches = replace(made.batches, payload=np.arange(len(sizes)))
    items = replace(made.items, payload=np.array(batch_of_key, np.int32)[order])
    return replace(made, items=items, batches=batches, mode=Mode.ASYNC)


SCATTERED = batched([f"K{number:03d}" for number in range(100)], [number % 5 for number in range(100)])
IN_ORDER = batched([f"K{number:03d}" for number in range(100)], [number // 20 for number in range(100)])


def store(path, plan, least_items, monkeypatch):
    """Store a plan; return its schema, its items, and their index."""
    monkeypatch.setattr(plans, "INDEX_ITEMS_MIN", least_items)
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT) as ledger:
        run = ledger.begin_run(
            ledger.ensure_job("job", ["k"]), at=AT, mode="async", campaign=None, unique=True, program="test"
        )
        ledger.store_plan(run, plan, [SOURCE], at=AT)
        assert ledger.problems() == []
        with ledger.transaction() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
            schema = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema ORDER BY rowid").all()
            return (
                sorted(map(tuple, schema), key=str),
                connection.exec_driver_sql("SELECT * FROM items ORDER BY id").all(),
                connection.exec_driver_sql("SELECT key, id FROM items INDEXED BY items_key ORDER BY key, id").all(),
            )


def test_an_index_that_is_made_anew_leaves_the_same_ledger(tmp_path, monkeypatch):
    usual = store(tmp_path / "usual.db", SCATTERED, 10**9, monkeypatch)
    anew = store(tmp_path / "anew.db", SCATTERED, 1, monkeypatch)
    assert anew == usual
    assert [key for key, _ in anew[2]] == sorted(f"K{number:03d}" for number in range(100))


@pytest.mark.parametrize(("plan", "remade"), [(SCATTERED, True), (IN_ORDER, False)])
def test_only_keys_out_of_order_have_it_made_anew(tmp_path, monkeypatch, plan, remade):
    dropped = []
    original = plans.index_afterwards
    monkeypatch.setattr(
        plans, "index_afterwards", lambda connection, index: dropped.append(index) or original(connection, index)
    )
    store(tmp_path / "l.db", plan, 1, monkeypatch)
    assert dropped == (["items_key"] if remade else [])


def test_a_plan_that_is_small_beside_the_ledger_is_put_among_the_others(monkeypatch):
    monkeypatch.setattr(plans, "INDEX_ITEMS_MIN", 10)
    assert plans.is_most(10, 40)
    assert not plans.is_most(9, 9)
    assert not plans.is_most(10, 41)
    assert not plans.is_most(5_000_000, 5_000_000)


def test_when_storing_fails_the_index_is_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "l.db"
    store(path, SCATTERED, 1, monkeypatch)
    original = plans.insert_rows

    def failing(connection, table, columns, rows):
        original(connection, table, columns, rows)
        if table == "items":
            raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(plans, "insert_rows", failing)
        with pytest.raises(RuntimeError):
            store(path, SCATTERED, 1, patched)
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT) as ledger, ledger.transaction() as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM items INDEXED BY items_key WHERE key >= ''"
        ).scalar_one()
        assert found == 100
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
