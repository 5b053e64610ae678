"""Draw the package's folders into docs/architecture.md, by what modules import: `make docs`. A test compares.

What is drawn: who uses whom, without what follows from the other arrows. Imports for type checkers alone are no use.
"""

from __future__ import annotations

from pathlib import Path

import grimp

TARGET = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "```mermaid\n", "```\n"
WORDS = frozenset({"errors", "model", "request", "results", "arrow", "safe"})
"""What everybody may use: drawn, but without arrows."""
LEFT_OUT = frozenset({"__main__"})


def _uses() -> dict[str, set[str]]:
    """Return which folder, or module of the root, uses which others."""
    graph = grimp.build_graph("syncer", exclude_type_checking_imports=True)
    rooms = {name.split(".")[1] for name in graph.modules if "." in name} - LEFT_OUT
    uses: dict[str, set[str]] = {room: set() for room in sorted(rooms)}
    for name in graph.modules:
        parts = name.split(".")
        if len(parts) == 1 or parts[1] in LEFT_OUT:
            continue
        for used in graph.find_modules_directly_imported_by(name):
            other = used.split(".")[1] if "." in used else parts[1]
            if other != parts[1]:
                uses[parts[1]].add(other)
    return uses


def _reached(uses: dict[str, set[str]], room: str) -> set[str]:
    found: set[str] = set()
    ahead = set(uses[room])
    while ahead:
        found |= ahead
        ahead = set().union(*(uses[one] for one in ahead)) - found
    return found


def picture() -> str:
    """Return the picture in Mermaid."""
    uses = {room: others - WORDS for room, others in _uses().items()}
    lines = ["flowchart TD"]
    lines += [f'    {room}["{room}/"]' for room in uses if room not in WORDS]
    for room, others in uses.items():
        if room in WORDS:
            continue
        implied = set().union(*(_reached(uses, other) for other in others))
        lines += [f"    {room} --> {other}" for other in sorted(others - implied)]
    names = ", ".join(sorted(WORDS))
    lines.append(f'    words["used by all: {names}"]')
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with the picture as it is now."""
    head, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    return head + BEGIN + picture() + END + rest.partition(END)[2]


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
