"""Files → columns of text. Strict: what cannot be read for certain is rejected (a row) or refused (a file)."""

from syncer.source.dialect import CsvForm
from syncer.source.opening import open_sources
from syncer.source.protocol import Source
from syncer.source.table import TableForm

__all__ = ["CsvForm", "Source", "TableForm", "open_sources"]
