"""Rules across rows: what the codes of one unit (a case, a pallet) have in common, and how many they are. Pure.

What always holds: a unit that breaks a rule is rejected whole, since nobody can tell which of its rows is wrong; so is
one of which a row was rejected before, where codes are counted: no unit is sent without one of its codes. Rows in which
the unit's field is left alone belong to none; a code in two units is one key with different data (E210), and of both
units the rest is not sent either. Only the files are looked at, never what earlier nights said of a unit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from syncer.errors import ConfigError, did_you_mean
from syncer.plan.keys import group_keys
from syncer.plan.records import without_rows
from syncer.rejections import RejectionCause

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.plan.records import Records

COUNT, DIFFERENT = "E330", "E331"


@dataclass(frozen=True, slots=True)
class UnitRule:
    """What holds for the rows with one value of ``field``: ``codes`` of them (None: any), alike in ``same``.

    ``parts``: the files hold changes, so the rest of a unit may stand in no row; more than ``codes`` is still wrong.
    """

    field: str
    codes: int | None = None
    same: tuple[str, ...] = ()
    parts: bool = False


def require_fields(rules: Sequence[UnitRule], fields: Sequence[str]) -> None:
    """Raise `ConfigError` for a rule about a field that is not sent: nothing could be said of it."""
    for rule in rules:
        for name in (rule.field, *rule.same):
            if name not in fields:
                words = f"jobs.<name>.units.{rule.field}: {name!r} is no field that is sent{did_you_mean(name, fields)}"
                raise ConfigError(words, remedy=f"correct jobs.<name>.units; sent are {', '.join(fields)}")


def without_broken(records: Records, rules: Sequence[UnitRule]) -> Records:
    """Return `records` without the rows of units that break a rule; each is rejected with its unit named."""
    if not rules:
        return records
    groups = group_keys(records.keys)
    differing = groups.differing(records.payload)
    whole, torn = groups.leaders[~differing], differing[groups.of_rows()]
    lost = "; rows that are rejected for a reason of their own do not count" if _any_lost(records, torn) else ""
    data = [json.loads(text) for text in records.payloads.data]
    causes: list[RejectionCause] = []
    cause = np.zeros(len(records.keys), np.int64)  # its place among the causes, from 1; 0: none
    for rule in rules:
        units, unit_of_row = _units(rule.field, data, records.payload)
        broken = _different(rule, units, data) | _miscounted(rule, units, unit_of_row[whole], lost)
        which = np.zeros(len(units) + 1, np.int64)  # the last one is of rows that belong to none
        which[[*broken]] = len(causes) + 1 + np.arange(len(broken))
        causes += broken.values()
        cause = np.where((cause == 0) & ~torn, which[unit_of_row], cause)
    return without_rows(records, cause - 1, causes) if causes else records


def _any_lost(records: Records, torn: npt.NDArray[np.bool_]) -> bool:
    """Tell whether a unit may lack a code since its row was rejected, or is going to be."""
    return bool(len(records.rejections) or torn.any())


def _units(
    field: str, data: Sequence[Mapping[str, str]], payload: npt.NDArray[np.int32]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the units, and each row's place among them (-1: none)."""
    places: dict[str, int] = {}
    of_payload = [places.setdefault(one[field], len(places)) if one.get(field) else -1 for one in data]
    return [*places], np.array(of_payload, np.int64)[payload]


def _different(rule: UnitRule, units: Sequence[str], data: Sequence[Mapping[str, str]]) -> dict[int, RejectionCause]:
    found: dict[int, RejectionCause] = {}
    places = {unit: place for place, unit in enumerate(units)}
    first: dict[str, Mapping[str, str]] = {}
    for one in data:
        unit = one.get(rule.field)
        if not unit:
            continue
        known = first.setdefault(unit, one)
        for name in rule.same:
            if one.get(name, "") != known.get(name, ""):
                words = f"{rule.field} {unit!r} has rows with {name} {known.get(name, '')!r} and {one.get(name, '')!r}"
                found.setdefault(places[unit], RejectionCause(DIFFERENT, words, unit))
    return found


def _miscounted(
    rule: UnitRule, units: Sequence[str], unit_of_code: npt.NDArray[np.int64], lost: str
) -> dict[int, RejectionCause]:
    """Find units with another number of codes; `unit_of_code` has each code that one set of data is said of."""
    if rule.codes is None:
        return {}
    counts = np.bincount(unit_of_code[unit_of_code >= 0], minlength=len(units))
    least = 1 if rule.parts else rule.codes
    found = {}
    for place in np.flatnonzero((counts > rule.codes) | (counts < least)).tolist():
        words = f"{rule.field} {units[place]!r} has {counts[place]} codes, not {rule.codes}"
        if counts[place] < rule.codes:
            words += lost or '; when files hold changes, and so parts of units: jobs.<name>.export = "changes"'
        found[place] = RejectionCause(COUNT, words, units[place])
    return found
