"""Figures of the house, for a before and an after: ``python tools/figures.py [FOLDER…]`` (`make figures`).

Each folder is a checkout. Counted are the package and its documents as they stand, never imported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

PACKAGE = "syncer"
LONG_SENTENCE_WORDS = 40
LONG_MODULE_LINES = 400
LONG_FUNCTION_LINES = 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def trees(root: Path) -> dict[str, tuple[ast.Module, int]]:
    """Return the package's modules by their dotted names: each as a tree, with its number of lines."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = (ast.parse(text), text.count("\n"))
    return found


def _imported(node: ast.AST, modules: Container[str]) -> Iterator[str]:
    """Give the modules that an import names: the package of a module that is asked for by name is not one of them."""
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        for one in node.names:
            name = f"{node.module}.{one.name}"
            yield name if name in modules else node.module


def imports(modules: dict[str, tuple[ast.Module, int]], *, everywhere: bool) -> dict[str, set[str]]:
    """Return which of its modules each module imports at load; `everywhere`: also late, in functions, and for types."""
    graph = {}
    for name, (tree, _) in modules.items():
        nodes = ast.walk(tree) if everywhere else tree.body
        asked = {one for node in nodes for one in _imported(node, modules)}
        graph[name] = {one for one in asked & modules.keys() if one not in {name, PACKAGE}}
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others (Tarjan)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return sorted(found)


def defined_names(tree: ast.Module) -> Iterator[str]:
    """Give the names that a module defines: functions, classes, arguments, and what is assigned."""
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _sentences(text: str) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=[-*|#]|\d+\. )", text):
        if not block.lstrip().startswith(("|", "#")):
            yield from re.split(r"(?<=[.!?:;·])\s+", " ".join(block.split()))


def long_sentences(root: Path) -> int:
    """Count the sentences of README and the documents that have more than `LONG_SENTENCE_WORDS` words."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.is_file()]
    return sum(len(one.split()) > LONG_SENTENCE_WORDS for text in texts for one in _sentences(text))


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def _lines(root: Path, folder: str, suffix: str) -> int:
    return sum(path.read_text(encoding="utf-8").count("\n") for path in (root / folder).rglob(f"*{suffix}"))


def figures(root: Path) -> dict[str, str]:
    """Return what is counted, in words, each with its figure."""
    modules = trees(root)
    lines = [count for _, count in modules.values()]
    nodes = [node for tree, _ in modules.values() for node in ast.walk(tree)]
    functions = [(node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, FUNCTIONS)]
    classes = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    called = [node.name.strip("_") for node in nodes if isinstance(node, (*FUNCTIONS, ast.ClassDef))]
    names = [name.strip("_") for tree, _ in modules.values() for name in {*defined_names(tree)} if name.strip("_")]
    return {
        "modules": f"{len(modules)}",
        "modules at the package's root": f"{sum(p.suffix == '.py' for p in (root / PACKAGE).iterdir())}",
        "circles of imports at load": f"{len(circles(imports(modules, everywhere=False)))}",
        "circles of imports, late ones and types too": f"{len(circles(imports(modules, everywhere=True)))}",
        "class names used more than once": f"{sum(count > 1 for count in classes.values())}",
        "mean length of a defined name (each once a module)": f"{sum(map(len, names)) / len(names):.1f}",
        "mean length of the names of functions and classes": f"{sum(map(len, called)) / len(called):.1f}",
        "lines of a module, median and longest": f"{_median(lines)} / {max(lines)}",
        "modules over 400 lines": f"{sum(count > LONG_MODULE_LINES for count in lines)}",
        "longest function; over 60 lines": f"{max(functions)}; {sum(n > LONG_FUNCTION_LINES for n in functions)}",
        "sentences over 40 words (README, docs)": f"{long_sentences(root)}",
        "lines of the program": f"{sum(lines):,}",
        "lines of tests": f"{_lines(root, 'tests', '.py'):,}",
        "lines of documents": f"{_lines(root, 'docs', '.md'):,}",
    }


if __name__ == "__main__":
    roots = [Path(name) for name in sys.argv[1:]] or [Path(__file__).parents[1]]
    columns = [figures(root) for root in roots]
    rows = [[root.resolve().name for root in roots], ["---"] * len(roots)]
    rows += [[column[words] for column in columns] for words in columns[0]]
    for words, row in zip(("", "---", *columns[0]), rows, strict=True):
        sys.stdout.write(f"| {words} | {' | '.join(row)} |\n")
    for root in roots:
        for group in circles(imports(trees(root), everywhere=True)):
            sys.stdout.write(f"circle in {root.resolve().name}: {', '.join(group)}\n")
