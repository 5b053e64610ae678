"""What every life has in common: a table of transitions, by which a state changes and by nothing else. Pure.

What always holds: an event that the table does not name for a state raises and changes nothing; a final state is one
that no transition leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from syncer.errors import IllegalTransitionError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def follow(transitions: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """Return the state that follows; raise `IllegalTransitionError` and change nothing when there is none."""
    try:
        return transitions[state, event]
    except KeyError:
        raise IllegalTransitionError(f"event {event.value!r} is not allowed in state {state.value!r}") from None


def final_states(states: Iterable[S], transitions: Mapping[tuple[S, E], S]) -> frozenset[S]:
    """Return the states without a way out."""
    return frozenset(states) - {state for state, _ in transitions}


def draw(transitions: Mapping[tuple[S, E], S], first: S) -> str:
    """Draw a table as a Mermaid state diagram that begins with `first`."""
    lines = ["stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [f"    {old.name} --> {new.name}: {event.value}" for (old, event), new in transitions.items()]
    lines += [f"    {state.name} --> [*]" for state in type(first) if state in final_states(type(first), transitions)]
    return "\n".join(lines)
