"""Sets of SCM data as canonical texts, taken apart and put together without parsing them.

A canonical text is flat, sorted JSON whose values are all texts: ``{"a":"1","b":"2"}``. A *word* is one field with its
value, as it stands between ``{"`` and ``"}``. In nearly all texts ``","`` stands between two fields and nowhere else,
and ``":"`` after a name and nowhere else: words are found by splitting, and a text holds a word exactly when it holds
it between delimiters. That is several times faster than parsing. Texts in which a delimiter could be part of a name or
a value are told by a quick look (`_is_odd`), and parsed: those with a quote (``19",`` has one), or a value of a comma.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

FINGERPRINT_BYTES = 16
_ESCAPED = '\\"'
"""A quote inside a name or a value, as a canonical text has it."""
NOTHING = "{}"
"""The canonical text without a field."""


def canonical(data: Mapping[str, str]) -> str:
    """Write SCM data in its one canonical form: ``{"a":"1","b":"2"}``."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fingerprint(canonical_data: str) -> str:
    """Return the 32 hex digits that stand for a canonical text."""
    return hashlib.sha256(canonical_data.encode()).hexdigest()[: 2 * FINGERPRINT_BYTES]


def _is_odd(text: str) -> bool:
    """Tell whether a delimiter may be part of a name or a value: a quote is, or a value that is just a comma."""
    return _ESCAPED in text or ':","' in text


def words_of(text: str) -> list[str]:
    """Return the words of a canonical text, in its order."""
    if text == NOTHING:
        return []
    if not _is_odd(text):
        return text[2:-2].split('","')
    return [canonical({name: value})[2:-2] for name, value in json.loads(text).items()]


def text_of(words: Iterable[str]) -> str:
    """Return the canonical text of words that are in its order."""
    inside = '","'.join(words)
    return f'{{"{inside}"}}' if inside else NOTHING


def field_of(word: str) -> str:
    """Return the field that a word is about."""
    if _ESCAPED in word:
        return str(next(iter(json.loads(f'{{"{word}"}}'))))
    name = word.partition('":"')[0]
    return json.loads(f'"{name}"') if "\\" in name else name


def fields_of(text: str) -> list[str]:
    """Return the fields of a canonical text, in its order."""
    if "\\" not in text:  # so no quote is part of a name or a value: a plan has a million of these
        return text.split('"')[1::4]
    return [field_of(word) for word in words_of(text)]


def value_of(text: str, field: str) -> str | None:
    """Return the value that a canonical text gives to a field; None when it says nothing of it."""
    for word in words_of(text):
        if field_of(word) == field:
            return str(next(iter(json.loads(f'{{"{word}"}}').values())))
    return None


def only(text: str, fields: Iterable[str]) -> str:
    """Return of a canonical text what it says of some fields."""
    chosen = frozenset(fields)
    return text_of(word for word in words_of(text) if field_of(word) in chosen)


def without(text: str, fields: Iterable[str]) -> str:
    """Return of a canonical text what it says of all fields but some."""
    left_out = frozenset(fields)
    return text_of(word for word in words_of(text) if field_of(word) not in left_out)


def laid_over(older: str, newer: str) -> str:
    """Return what both texts say; of a field that both name, what the newer one says."""
    if NOTHING in (newer, older):
        return older if newer == NOTHING else newer
    words = {field_of(word): word for word in (*words_of(older), *words_of(newer))}
    return text_of(words[field] for field in sorted(words))


def missing_words(text: str, wanted: str) -> list[str]:
    """Return the words of `wanted` that `text` does not hold."""
    if NOTHING in (text, wanted):
        return words_of(wanted)
    if _is_odd(text + wanted):  # where they meet, no delimiter comes to be
        held = {*words_of(text)}
        return [word for word in words_of(wanted) if word not in held]
    searched = f",{text[1:-1]},"
    return [word for word in wanted[2:-2].split('","') if f',"{word}",' not in searched]
