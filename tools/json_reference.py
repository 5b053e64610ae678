"""Write docs/json.md from docs/syncer.schema.json and the tree of errors: `make docs`. A test compares the two."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncer import errors

DOCS = Path(__file__).parents[1] / "docs"
TARGET = DOCS / "json.md"
SCHEMA = json.loads((DOCS / "syncer.schema.json").read_text(encoding="utf-8"))
DEFINITIONS: dict[str, dict[str, Any]] = SCHEMA["$defs"]
HEAD = """# The documents of `--json`

Made from [syncer.schema.json](syncer.schema.json) (JSON Schema, draft 2020-12) by `make docs`. The schema has one
definition per command; no document has a member that does not stand there.

With `--json` every command prints exactly one JSON document on standard output, on every exit, and nothing else there.
Members are only ever added; `schema` rises when one is renamed or goes. Times are UTC in ISO 8601, sizes are bytes,
durations are seconds. A member that *may be missing* says when it is there.

```
syncer --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["state"])'
```

"""


def _refers_to(schema: dict[str, Any]) -> str:
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else ""


def _is_closed(schema: dict[str, Any]) -> bool:
    """Tell whether a definition is that of whole objects, and not of what several documents have."""
    return "unevaluatedProperties" in schema or "additionalProperties" in schema


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words: of a reference a link, of a list and a mapping what is in it."""
    if named := _refers_to(schema):
        title = DEFINITIONS[named]["title"]
        return f"[{title}](#{_anchor(title)})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join("null" if one is None else f"`{one}`" for one in schema["enum"])
    kinds = schema.get("type", "anything")
    words = []
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "array":
            words.append("list of " + ("objects" if "properties" in schema["items"] else _type(schema["items"])))
        elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            words.append(f"object: name → {_type(schema['additionalProperties'])}")
        else:
            words.append("time" if kind == "string" and schema.get("format") == "date-time" else kind)
    return " or ".join(words)


def _rows(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the members of an object, those of objects inside it below their own, by their whole path."""
    for name, member in schema.get("properties", {}).items():
        if "const" in member and not path and name == "command":
            continue
        missing = "" if name in schema.get("required", ()) else ", may be missing"
        yield f"| `{path}{name}` | {_type(member)}{missing} | {member.get('description', '')} |"
        inside, below = (member["items"], "[].") if "items" in member else (member, ".")
        if "properties" in inside:
            yield from _rows(inside, f"{path}{name}{below}")


def _table(rows: list[str]) -> str:
    return "\n".join(["| member | type | meaning |", "| --- | --- | --- |", *rows]) + "\n" if rows else ""


def _section(name: str, heading: str) -> Iterator[str]:
    schema = DEFINITIONS[name]
    bases = [DEFINITIONS[_refers_to(one)]["title"] for one in schema.get("allOf", ())]
    shared = [f"[{title}](#{_anchor(title)})" for title in bases]
    rows = list(_rows(schema)) if name != "failure" else []
    also = f" Members of {' and of '.join(shared)}{', and:' if rows else '.'}" if shared and name != "failure" else ""
    yield f"{heading}\n\n{schema['description']}{also}\n"
    yield _table(rows)


def _errors() -> str:
    """Return the table of failures: each stable word with its exit code, and what it means."""
    rows: list[tuple[int, str]] = []
    kinds: list[type[errors.SyncerError]] = [errors.SyncerError]
    seen = set[str]()
    for kind in kinds:
        kinds += kind.__subclasses__()
        meaning = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()).replace("``", "`")
        meaning = "A defect of the program." if kind is errors.SyncerError else meaning
        exit_code = "129, 130 or 143" if kind is errors.SignalError else str(kind.exit_code)
        if kind.code not in seen:
            rows.append((kind.exit_code, f"| `{kind.code}` | {exit_code} | {meaning} |"))
            seen.add(kind.code)
    head = ["| `error.code` | exit code | meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *(row for _, row in sorted(rows))]) + "\n"


def reference() -> str:
    """Return the whole page."""
    commands = [_refers_to(one) for one in SCHEMA["anyOf"] if _refers_to(one) != "failure"]
    parts = [HEAD.rstrip() + "\n", *_section("envelope", "## Every document")]
    parts += [*_section("failure", "## Failures"), _errors(), "## Commands\n"]
    parted = [name for name, schema in DEFINITIONS.items() if not _is_closed(schema) and name != "envelope"]
    for name in parted:
        parts += _section(name, f"### {DEFINITIONS[name]['title']}")
    for name in commands:
        parts += _section(name, f"### {DEFINITIONS[name]['title']}")
    parts.append("## Objects\n")
    for name, schema in DEFINITIONS.items():
        if name not in {*commands, *parted, "envelope", "failure"}:
            parts += _section(name, f"### {schema['title']}")
    return "\n".join(part for part in parts if part)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
