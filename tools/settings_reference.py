"""Write config.example.toml and the table of docs/configuration.md from what the program says of each setting.

`make docs` calls it; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from syncer.config.describing import configuration_table, example_configuration

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
PAGE = ROOT / "docs" / "configuration.md"
TABLE = re.compile(r"^\| key \|.*?\n(?=\n)", re.MULTILINE | re.DOTALL)


def page() -> str:
    """Return docs/configuration.md with the table as it is now."""
    table = configuration_table()
    return TABLE.sub(lambda _: table, PAGE.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    EXAMPLE.write_text(example_configuration(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
