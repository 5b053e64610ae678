"""The program as a library, for notebooks and scripts: what happened as DataFrames, and a DataFrame as an export.

What always holds: `history` and `status` only read; text stays text, and times are UTC timestamps. `sync` is the
command, with its checks, its guards and its ledger; it prints nothing. `import syncer` alone loads none of this.
"""

from syncer.library.frames import history, status
from syncer.library.syncing import sync

__all__ = ["history", "status", "sync"]
