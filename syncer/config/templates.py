"""Templates of ``jobs.<name>.fields.<key>.from``: header names in braces, and what stands between them."""

from __future__ import annotations

import re

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


def parse_template(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that a template names, and the texts before, between and behind them.

    A text without braces is a column's name. ``{{`` and ``}}`` stand for braces. Raises `ValueError` with words that
    continue "is … but must be …".
    """
    if "{" not in text and "}" not in text:
        return (text,), ("", "")
    columns: list[str] = []
    texts = [""]
    end = 0
    for part in _PART.finditer(text):
        texts[-1] += text[end : part.start()]
        end = part.end()
        if part[1]:
            columns.append(part[1])
            texts.append("")
        elif len(part[0]) == len("{{"):
            texts[-1] += part[0][0]
        else:
            raise ValueError('a column, or a template like "{Pallet}-{Case}" (a brace itself is doubled)')
    texts[-1] += text[end:]
    if not columns:
        raise ValueError('a column, or a template that names one: "{Pallet}-{Case}"')
    return tuple(columns), tuple(texts)
