"""The mutants of a file: each is its text with one place changed, by mutmut's own operators.

mutmut's own runner is not used: it changes the bodies of undecorated functions alone, while tables, dataclasses and
properties decide as much here; and what a test starts (a fork, a process) would not run its mutants.

What always holds: the same text has the same mutants in the same order. Words for people (texts with a blank in them,
what errors and rejections are made with) are left alone, and so are annotations, imports and decorators, and the types
of columns: these are for the type checker, and most of them are what would be taken without them. So is ``strict=True``,
which asserts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

FOR_PEOPLE = ("Error", "Rejection", "warning", "message")
"""Endings of the names of what is made with, or is, words for people."""
TYPES = {"bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "float64"}
"""The types of columns, as calls name them: ``np.int64``, or ``bool``."""
WIDTH = 100
"""Characters of a line that a name shows."""


@dataclass(frozen=True)
class Mutant:
    """A file with one place changed. ``name`` says where and how, and stays the same while its line does."""

    file: str
    line: int
    name: str
    text: str

    @property
    def id(self) -> str:
        """Eight hex digits that stand for the file and the name."""
        return hashlib.sha256(f"{self.file} {self.name}".encode()).hexdigest()[:8]


@cache
def mutants_of(file: str, text: str) -> tuple[Mutant, ...]:
    """Return every mutant of a file, in the order of its lines; equal ones once."""
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    collector = _Collector()
    wrapper.visit(collector)
    positions, code_for = wrapper.resolve(PositionProvider), wrapper.module.code_for_node
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: dict[str, Mutant] = {}
    for node, changed in collector.changes:
        place = positions[node]
        begin, end = (starts[at.line - 1] + at.column for at in (place.start, place.end))
        mutated = text[:begin] + code_for(changed).strip() + text[end:]
        if mutated == text:
            continue
        number = place.start.line
        first = starts[number - 1]
        shown = mutated[first : mutated.find("\n", begin)]
        name = f"{lines[number - 1].strip()[:WIDTH]} → {' '.join(shown.split())[:WIDTH]}"
        found.setdefault(mutated, Mutant(file, number, name, mutated))
    return tuple(_named_apart(sorted(found.values(), key=lambda mutant: mutant.line)))


def _named_apart(mutants: list[Mutant]) -> Iterator[Mutant]:
    """Number those that have one name: the second, third … place of a file with the same lines."""
    seen: dict[str, int] = {}
    for mutant in mutants:
        seen[mutant.name] = times = seen.get(mutant.name, 0) + 1
        yield mutant if times == 1 else Mutant(mutant.file, mutant.line, f"{mutant.name} (place {times})", mutant.text)


class _Collector(cst.CSTVisitor):
    """Gathers each node that an operator changes, with what it becomes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Leave alone what decides nothing; take the changes of all else."""
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.FormattedString):
            return False
        if isinstance(node, cst.If) and isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING":
            return False
        if isinstance(node, cst.Raise | cst.Assert) or _is_for_people(node) or _is_strict(node):
            return False
        if isinstance(node, cst.BaseString):
            if isinstance(node, cst.SimpleString) and not set(node.evaluated_value) & {*" \n", *b" \n"}:
                self.changes += [(node, changed) for changed in [*mutators.operator_string(node)][:1]]
            return False
        for kind, operator in mutators.mutation_operators:
            if isinstance(node, kind):
                self.changes += [
                    (node, changed) for changed in operator(node) if not _changes_words_or_types(node, changed)
                ]
        return True


def _is_for_people(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name | cst.Attribute):
        name = node.func.value if isinstance(node.func, cst.Name) else node.func.attr.value
        return isinstance(name, str) and name.endswith(FOR_PEOPLE)
    if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
        made = node.value.func if isinstance(node.value, cst.Call) else None
        is_type = isinstance(made, cst.Name) and made.value == "TypeVar"  # for the type checker alone
        return is_type or node.targets[0].target.value.endswith(FOR_PEOPLE)
    if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
        return node.target.value.endswith(FOR_PEOPLE)
    return isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value.endswith(FOR_PEOPLE)


def _changes_words_or_types(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Tell whether nothing but words for people, or a column's type, is changed or left out among what is called with."""
    if not isinstance(node, cst.Call) or not isinstance(changed, cst.Call):
        return False
    gone = [one for one in node.args if not any(one is other for other in changed.args)]
    return any(_are_words(one) or _is_type(one) or _is_strict(one) for one in gone)


def _are_words(argument: cst.Arg) -> bool:
    value = argument.value
    named = argument.keyword is not None and argument.keyword.value.endswith(FOR_PEOPLE)
    plain = isinstance(value, cst.SimpleString) and " " in value.raw_value
    return named or plain or isinstance(value, cst.FormattedString | cst.ConcatenatedString)


def _is_type(argument: cst.Arg) -> bool:
    value = argument.value
    name = value.attr.value if isinstance(value, cst.Attribute) else value.value if isinstance(value, cst.Name) else ""
    return isinstance(name, str) and name in TYPES


def _is_strict(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value == "strict"
