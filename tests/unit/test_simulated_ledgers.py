"""The ledgers in memory of the simulator: what one process leaves behind does nothing to the next one."""

from __future__ import annotations

import gc

from sim.ledgers import fresh_database, open_ledger


def begun(ledger, at):
    job = ledger.ensure_job("job", ("extended_id",))
    return ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=True, program="t")


def test_what_a_dead_process_had_open_is_collected_in_the_middle_of_another_ones_transaction():
    database = fresh_database()
    dead = open_ledger(database, lambda what: None)
    begun(dead, "2026-01-01T00:00:00.000Z")
    dead.connection.exec_driver_sql("SELECT * FROM runs")  # which begins a transaction, and nobody ends it
    database.rollback()  # the machine did
    living = open_ledger(database, lambda what: None)
    with living.connection.begin():
        living.connection.exec_driver_sql("UPDATE runs SET program = 'written'")
        del dead
        gc.collect()
        assert database.in_transaction
    assert database.execute("SELECT program FROM runs").fetchall() == [("written",)]
    living.connection.close()
