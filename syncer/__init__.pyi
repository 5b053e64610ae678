from syncer.library import history, status, sync

__version__: str
__all__ = ["__version__", "history", "status", "sync"]
