"""One word for one thing: the glossary is in order, its words are used, and words that it replaced are gone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = re.findall(r"^\| ([a-z][a-z ]+) \| (?!meaning)", GLOSSARY, re.MULTILINE)
CODE = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "syncer").rglob("*.py"))}
GONE = ("seam.py", "mended.py", "tally.py", "upload_lifecycle")
"""Words that meant what another word means now."""


def test_each_word_stands_once_and_in_its_place():
    assert len(WORDS) > 30
    assert [word for word, count in Counter(WORDS).items() if count > 1] == []


def test_each_word_is_used_by_the_program():
    everything = " ".join(CODE.values()).lower().replace("_", " ")
    assert [word for word in WORDS if word not in everything] == []


def test_words_that_were_replaced_are_gone():
    found = [(path.name, word) for path, text in CODE.items() for word in GONE if word in text]
    assert found == []


def test_no_class_name_stands_twice():
    names = Counter(
        node.name for text in CODE.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
