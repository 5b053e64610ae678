"""Write config.example.toml and the tables of docs from what the program says of each setting and each night's step.

`make docs` calls it; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from syncer.config.describing import configuration_table, example_configuration
from syncer.config.step_options import steps_table

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
PAGE = ROOT / "docs" / "configuration.md"
STEPS = ROOT / "docs" / "products.md"
TABLES = {
    PAGE: (r"^\| key \|.*?\n(?=\n)", configuration_table),
    STEPS: (r"^\| step \| option .*?\n(?=\n)", steps_table),
}


def page(path: Path) -> str:
    """Return a page with its table as it is now."""
    pattern, table = TABLES[path]
    made = table()
    return re.sub(pattern, lambda _: made, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    EXAMPLE.write_text(example_configuration(), encoding="utf-8")
    for path in TABLES:
        path.write_text(page(path), encoding="utf-8")
