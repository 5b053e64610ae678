"""Ledgers of schema 0005 in use become mirrors: what they could not know is uncertain, and nothing else is.

``ledger_0005.sql`` was written by the version before (its sandbox, its commands), cut in the middle of a night: job *a*
(extended_id) confirmed DE for K0 to K5, saw ``colour`` discarded and K7 match nothing, had a failed task for K1 and K2,
and has K5 in doubt; job *b* (the same key) confirmed IT for K3 and DE for K4, and has K5 and K6 planned; job *c* (lot,
box: in that order) has three values submitted.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.ledger.schema import SCHEMA_REVISION
from syncer.lifecycle.batch import State
from syncer.mirror.picture import ABSENT, Picture
from syncer.process.clock import SystemClock
from syncer.runs.intake import waiting_plans

AT = "2026-11-20T05:00:00.000Z"
OLD = Path(__file__).with_name("ledger_0005.sql")


B_IS_UNDER_WAY = """
UPDATE batches SET state = 'submitted', attempts = 4, task_id = 'b8' WHERE id = 8;
INSERT INTO attempts (id, batch_id, reference, started_at, verdict) VALUES (20, 8, 'b8', '2026-11-25', 'accepted');
INSERT INTO events VALUES (40, '2026-11-25', 7, 8, 20, 'start', 'planned', 'sending', NULL),
    (41, '2026-11-25', 7, 8, 20, 'accepted', 'sending', 'submitted', NULL);
"""
B_IS_CONFIRMED = """
UPDATE batches SET state = 'confirmed' WHERE id = 8;
INSERT INTO attempts (id, batch_id, reference, started_at, verdict) VALUES (20, 8, 'b8', '2026-11-25', 'applied');
INSERT INTO events VALUES (40, '2026-11-25', 7, 8, 20, 'start', 'planned', 'sending', NULL),
    (41, '2026-11-25', 7, 8, 20, 'all_applied', 'sending', 'confirmed', NULL);
INSERT INTO current VALUES (2, 'K5', 10, 8);
"""
A_IS_PLANNED = """
UPDATE batches SET state = 'planned' WHERE id = 7;
INSERT INTO events VALUES (39, '2026-11-25', 6, 7, 7, 'shown_absent', 'in_doubt', 'planned', NULL);
"""
SHIPMENT_WAS_DISCARDED = """UPDATE runs SET discarded_fields = '["shipment"]' WHERE id = 2;"""


@contextmanager
def upgrading(folder, change=""):
    """Give the old ledger after its upgrade; ``change`` is made to it first."""
    url = f"sqlite:///{folder}/l.db"
    with closing(sqlite3.connect(folder / "l.db")) as database:
        database.executescript(OLD.read_text(encoding="utf-8") + change)
    done = upgrade_ledger(url, at=AT)
    assert (done.before, done.after) == ("0005", SCHEMA_REVISION)
    with Ledger.open_to_write(url, at=AT) as ledger:
        yield ledger


@pytest.fixture
def upgraded(tmp_path):
    with upgrading(tmp_path) as ledger:
        yield ledger


def test_what_was_believed_is_known_where_it_can_be_and_uncertain_elsewhere(upgraded):
    assert upgraded.problems() == []
    both = ("market", "shipment")
    with upgraded.knowledge(upgraded.job("a", ["extended_id"]).space_id) as knowledge:
        found = knowledge.view([f"K{n}" for n in range(8)])
    assert found == {
        "K0": Picture('{"market":"DE"}', ("colour",)),  # the whole row of the second file was what counted
        "K1": Picture(uncertain=both),  # its task failed
        "K2": Picture(uncertain=both),
        "K3": Picture('{"shipment":"S1"}', ("market",)),  # two jobs believed different things
        "K4": Picture('{"market":"DE","shipment":"S1"}'),
        "K5": Picture(uncertain=both),  # its answer was lost
        "K7": ABSENT,
    }


def test_composite_keys_are_joined_in_the_order_of_their_columns_names(upgraded):
    job = upgraded.job("c", ["lot", "box"])
    assert job.key == ("box", "lot")
    batches = upgraded.batches(states=[State.SUBMITTED])
    assert {item.key for batch in batches for item in upgraded.items(batch)} == {"B0\x1fA", "B1\x1fA", "B2\x1fA"}
    assert {batch.varying for batch in batches if batch.size > 1} == {0}
    with upgraded.transaction() as connection, pytest.raises(Exception, match="append-only"):
        connection.exec_driver_sql("UPDATE items SET line = 1")


def test_what_two_jobs_of_a_space_had_planned_waits_for_a_plan_that_merges_it(upgraded):
    assert upgraded.batches(states=[State.PLANNED]) == []
    assert upgraded.waiting() == 2
    next(waiting_plans(upgraded, SystemClock()))
    (batch,) = upgraded.batches(states=[State.PLANNED])
    assert [(item.key, item.data) for item in upgraded.items(batch)] == [("K6", '{"market":"PL"}')]
    assert upgraded.waiting() == 1  # K5, whose older call is in doubt
    assert upgraded.problems() == []


@pytest.mark.parametrize(
    ("change", "a_is", "left"),
    [
        (B_IS_UNDER_WAY, State.ABANDONED, '{"shipment":"S2"}'),
        (A_IS_PLANNED + B_IS_UNDER_WAY, State.SUPERSEDED, '{"shipment":"S2"}'),
        (SHIPMENT_WAS_DISCARDED, State.ABANDONED, '{"market":"ES","shipment":"S2"}'),
    ],
)
def test_what_a_newer_word_has_overtaken_or_a_run_saw_discarded_is_let_go_of_and_the_rest_stays_wanted(
    tmp_path, change, a_is, left
):
    """Sent again it would lie over the newer word of the other job; its count would prove a field that was not taken."""
    with upgrading(tmp_path, change) as ledger:
        assert ledger.problems() == []
        assert ledger.batch(7).state is a_is
        with ledger.transaction() as connection:
            (wish,) = connection.exec_driver_sql(
                """SELECT i.key, p.data, i.source_id, i.line FROM items i JOIN payloads p ON p.id = i.payload_id
                   JOIN batches b ON b.id = i.batch_id WHERE b.kind = 'wish' AND b.state = 'planned' AND b.run_id = 6"""
            ).fetchall()
        assert tuple(wish) == ("K5", left, 6, 2)
        with ledger.knowledge(ledger.job("a", ["extended_id"]).space_id) as knowledge:
            known = knowledge.view(["K5"])["K5"]
        assert "market" in known.uncertain
        assert "market" not in known.known


def test_a_doubt_of_one_job_is_older_than_what_another_confirmed_and_counts_all_the_same(tmp_path):
    """Job *a* lost a call that carried another shipment; job *b* confirmed a market since, and knows of no shipment."""
    with upgrading(tmp_path, A_IS_PLANNED + B_IS_CONFIRMED) as ledger:
        with ledger.knowledge(ledger.job("a", ["extended_id"]).space_id) as knowledge:
            assert knowledge.view(["K5"])["K5"].known == "{}"
        assert ledger.problems() == []
