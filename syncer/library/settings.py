"""The settings of a library call: found as the command line finds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.config import load_settings

if TYPE_CHECKING:
    from os import PathLike

    from syncer.config import Settings


def settings_of(config: str | PathLike[str] | None) -> Settings:
    """Load the settings: the file that is named, else ``$SYNCER_CONFIG``, else ``./config.toml``, else defaults."""
    return load_settings(explicit=None if config is None else Path(config), environ=dict(os.environ), cwd=Path.cwd())
