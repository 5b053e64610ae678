"""The table of a batch's life, as a whole."""

from __future__ import annotations

import itertools

import pytest

from syncer.errors import IllegalTransitionError
from syncer.lifecycle.batch import BUCKET_OF, FINAL, OPEN, TRANSITIONS, Bucket, Event, State, after, mermaid


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_what_is_not_in_the_table_raises(state, event):
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransitionError):
            after(state, event)


def test_final_states_have_no_way_out_and_are_what_the_design_says():
    assert {state.name for state in FINAL} == {
        "CONFIRMED",
        "MISMATCHED",
        "REJECTED",
        "FAILED",
        "SUPERSEDED",
        "ENDED_LATE",
    }


def test_only_planned_leads_to_sending():
    assert {old for (old, _), new in TRANSITIONS.items() if new is State.SENDING} == {State.PLANNED}


def test_what_may_have_reached_the_api_is_never_superseded():
    assert {old for (old, _), new in TRANSITIONS.items() if new is State.SUPERSEDED} == {State.PLANNED}
    assert State.PLANNED not in OPEN
    assert OPEN.isdisjoint(FINAL)


def test_no_open_state_counts_as_confirmed():
    assert all(BUCKET_OF[state] is not Bucket.CONFIRMED for state in State if state not in FINAL)
    assert set(BUCKET_OF) == set(State)


def test_every_state_can_be_reached_and_every_event_happens():
    reached = {State.PLANNED, *TRANSITIONS.values()}
    assert reached == set(State)
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_the_diagram_shows_every_transition():
    drawn = mermaid()
    assert drawn.count("-->") == len(TRANSITIONS) + len(FINAL) + 1
    for (old, event), new in TRANSITIONS.items():
        assert f"{old.name} --> {new.name}: {event.value}" in drawn


def test_the_words_of_a_ledger_stay_the_same():
    """States, events and buckets stand in ledgers and in documents: another word would be another thing."""
    assert [state.value for state in State] == [
        "planned", "sending", "submitted", "in_doubt", "confirmed", "mismatched", "rejected", "failed", "superseded",
        "abandoned", "ended_late",
    ]  # fmt: skip
    assert [event.value for event in Event] == [
        "start", "accepted", "all_applied", "miscounted", "refused", "not_processed", "answer_lost", "task_found",
        "shown_absent", "send_again", "task_failed", "let_go", "seen_ended", "replanned",
    ]  # fmt: skip
    assert [bucket.value for bucket in Bucket] == [
        "confirmed", "unmatched", "rejected", "in_doubt", "pending", "unsent", "superseded",
    ]  # fmt: skip


def test_a_batch_counts_where_its_state_says():
    counted = {state: bucket.value for state, bucket in BUCKET_OF.items()}
    assert counted == {
        State.PLANNED: "unsent", State.SENDING: "in_doubt", State.IN_DOUBT: "in_doubt", State.SUBMITTED: "pending",
        State.CONFIRMED: "confirmed", State.MISMATCHED: "confirmed", State.REJECTED: "rejected",
        State.FAILED: "rejected", State.SUPERSEDED: "superseded", State.ABANDONED: "in_doubt",
        State.ENDED_LATE: "in_doubt",
    }  # fmt: skip


def test_a_diagram_begins_as_mermaid_wants_it():
    assert mermaid().splitlines()[:2] == ["stateDiagram-v2", "    [*] --> PLANNED"]
