"""Code data of a few codes: what Scantrust says it holds of them, row by row.

What always holds: only reads, of few documents and of the first `DATA_BYTES` of each; nothing waits longer than the
reader's deadline. A document that is not made in time, or cannot be read, is no answer: it never says that a code holds
nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from syncer.api.code_data import DONE, FAILED, CodeDataClient, DocumentAnswer

if TYPE_CHECKING:
    from syncer.api.reading import Reader
    from syncer.api.storage import StorageHost

DATA_BYTES = 1 << 18
"""Of one document: some hundred codes, and a header in any case."""
LINK_S = 60.0
"""How long the bytes of a document may take."""


@dataclass(frozen=True, slots=True)
class CodeRows:
    """The start of one document: its columns, and its rows by column; a column that is missing is not in them."""

    header: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def code_rows(
    reader: Reader[CodeDataClient], storage: StorageHost, queries: Sequence[Mapping[str, str]]
) -> list[CodeRows | None]:
    """Return what the codes of each query hold; None where no document could be had.

    Raises what the reader raises: a refusal, a signal, the deadline.
    """
    keys = [reader.ask(partial(_asked, query)).key for query in queries]
    states = dict.fromkeys(keys, "")
    while True:  # bounded by the reader's deadline
        for key in [key for key, state in states.items() if state not in DONE | FAILED]:
            states[key] = reader.ask(partial(_document, key)).remote_state
        if all(state in DONE | FAILED for state in states.values()):
            break
        reader.pause(reader.poll_s)
    return [_fetched(reader, storage, key) if states[key] in DONE else None for key in keys]


def _asked(query: Mapping[str, str], client: CodeDataClient) -> DocumentAnswer:
    return client.ask(query)


def _document(key: str, client: CodeDataClient) -> DocumentAnswer:
    return client.document(key)


def _link(key: str, client: CodeDataClient) -> DocumentAnswer:
    return client.link(key)


def _fetched(reader: Reader[CodeDataClient], storage: StorageHost, key: str) -> CodeRows | None:
    data = storage.start_of(reader.ask(partial(_link, key)).url, size=DATA_BYTES, valid_s=LINK_S)
    if len(data) >= DATA_BYTES:  # its last line may be half a line
        data = data[: data.rfind(b"\n") + 1]
    header, *lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))) or [[]]
    if not header:
        return None
    return CodeRows(tuple(header), tuple(dict(zip(header, line, strict=False)) for line in lines if line))
