"""Who an answer is about: the account and the company that it names (docs/api.md: the members are [D]).

What always holds: whatever stands in the answer, nothing here fails: what cannot be read is not named.
"""

from __future__ import annotations

from syncer.model import Company

NAME_CHARACTERS_MAX = 200


def company_of(value: object) -> Company | None:
    """Return a company as it is named: an object with ``id``, ``uuid``, ``name``, or its bare id or name; else None."""
    if isinstance(value, dict):
        found = Company(*(_text(value.get(name)) for name in ("id", "uuid", "name")))
        return found if found != Company() else None
    if isinstance(value, str):
        return Company(name=_text(value)) if _text(value) else None
    return Company(id=_text(value)) if _text(value) else None


def account_of(value: object) -> str | None:
    """Return the id of an account; None when the answer gives none."""
    return _text(value)


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = "".join(character for character in str(value)[:NAME_CHARACTERS_MAX] if character.isprintable()).strip()
    return text or None
