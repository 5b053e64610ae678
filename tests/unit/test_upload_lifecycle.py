"""The life of a part of an upload: the table holds the promise that a part is processed under one record only."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from syncer.errors import IllegalTransitionError
from syncer.lifecycle.part import (
    FINAL,
    NEEDS_FILE,
    NOTHING_CREATED,
    TRANSITIONS,
    PartEvent,
    PartState,
    after,
    fate,
    mermaid,
)


def reachable(begin, avoid=frozenset()):
    """Every state that can follow `begin` without an event of `avoid`."""
    seen, open_states = set(), [begin]
    while open_states:
        here = open_states.pop()
        for (old, event), new in TRANSITIONS.items():
            if old is here and event not in avoid and new not in seen:
                seen.add(new)
                open_states.append(new)
    return seen


def test_every_state_is_reached_and_every_open_one_can_end():
    assert reachable(PartState.PLANNED) == set(PartState) | {PartState.PLANNED}
    for state in set(PartState) - FINAL:
        assert reachable(state) & FINAL, state


def test_other_pairs_raise():
    for pair in itertools.product(PartState, PartEvent):
        if pair not in TRANSITIONS:
            with pytest.raises(IllegalTransitionError):
                after(*pair)


def test_once_processing_was_asked_for_no_other_record_is_taken_unless_the_api_found_no_file():
    for state in (PartState.STARTING, PartState.IN_DOUBT, PartState.PROCESSING):
        assert PartState.PLANNED not in reachable(state, avoid={PartEvent.FILE_MISSING})
        assert all(new is not PartState.PLANNED for (old, _), new in TRANSITIONS.items() if old is state)


def test_a_part_is_let_go_of_by_hand_just_while_its_file_is_in_no_storage():
    with_file = reachable(PartState.STORED, avoid={PartEvent.FILE_MISSING}) | {PartState.STORED}
    assert set(PartState) - with_file == NEEDS_FILE
    assert {after(state, PartEvent.REFUSED) for state in NEEDS_FILE} == {PartState.REFUSED}


def test_codes_can_be_uploaded_again_only_from_ends_in_which_none_exists():
    assert NOTHING_CREATED < FINAL
    assert {PartState.COMPLETE} == FINAL - NOTHING_CREATED


def test_codes_are_created_or_not_at_the_end_and_open_until_then():
    ends = {PartState.COMPLETE: "created", PartState.FAILED: "not_created", PartState.REFUSED: "not_created"}
    assert {state: fate(state) for state in PartState} == dict.fromkeys(PartState, "open") | ends


def test_the_document_draws_the_life_as_it_is():
    assert mermaid() in (Path(__file__).parents[2] / "docs" / "codes.md").read_text(encoding="utf-8")


def test_the_words_of_a_ledger_stay_the_same():
    """States and events of parts stand in ledgers."""
    assert [state.value for state in PartState] == [
        "planned", "recorded", "storing", "stored", "starting", "in_doubt", "processing", "complete", "failed", "refused",
    ]  # fmt: skip
    assert [event.value for event in PartEvent] == [
        "record_made", "store", "stored", "form_spent", "start", "started", "not_processed", "answer_lost",
        "not_started", "file_missing", "refused", "created", "errored",
    ]  # fmt: skip
