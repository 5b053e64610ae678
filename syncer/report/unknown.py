"""What the document of a command that failed holds: all its members, with nothing known in them.

What always holds: the members are those of the schema (docs/syncer.schema.json, which travels in the wheel), so that
whoever reads a document of this command finds them on every exit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_ENVELOPE = "envelope"
_EMPTY: Mapping[str, Any] = {"array": [], "object": {}, "integer": 0, "number": 0, "boolean": False}


def schema_text() -> str:
    """Return the schema of all documents: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "syncer.schema.json"
    return (inside if inside.exists() else package.parent / "docs" / inside.name).read_text(encoding="utf-8")


def unknown_members(command: str) -> dict[str, Any]:
    """Return the members of a command's document where nothing is known; none where no command was recognised.

    What stands for one thing is null, a number is 0, a list or mapping is empty.
    """
    definitions = json.loads(schema_text())["$defs"]
    own = definitions.get(command.replace(" ", "_"))
    return {} if own is None else {name: _unknown(one) for name, one in _members(own, definitions) if name != "command"}


def _members(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in schema.get("allOf", ()):
        name = part["$ref"].rpartition("/")[2]
        if name != _ENVELOPE:
            yield from _members(definitions[name], definitions)
    yield from schema.get("properties", {}).items()


def _unknown(schema: Mapping[str, Any]) -> Any:
    if "properties" in schema and schema["type"] == "object":
        return {name: _unknown(one) for name, one in schema["properties"].items()}
    kind = schema.get("type")
    return _EMPTY.get(kind) if isinstance(kind, str) else None
