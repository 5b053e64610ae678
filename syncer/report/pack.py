"""A pack of evidence: one zip file that proves the history of some values to whoever has Python and the newest seal.

What always holds: what its script checks comes from the pack alone; each member's hash stands in ``SHA256SUMS``; the
script reads nothing of this program and needs no other.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from importlib.resources import files
from typing import IO, TYPE_CHECKING

from syncer.report.document import entry_document

if TYPE_CHECKING:
    from syncer.ledger.evidence import Evidence

README = """\
Evidence for: {asked}

{uploads} uploads, of syncer's ledger, made {made_at}.
story.html      what each value holds and why, to be read
history.jsonl   every upload: file, line, data, call, answer, outcome
rows.jsonl      the sealed rows about them, each block with the hashes of its other rows
seals.jsonl     the chain of seals, from the first that is needed to the newest: {seal}
check.py        proves rows and seals, and the uploads of history.jsonl by them:  python3 check.py SEAL

Unpack it into an empty folder. SEAL was kept elsewhere after the runs had ended (syncer audit seal, or the nightly
message): only against such a seal does the pack prove something to those who do not trust the ledger's owner. A pack
proves what was recorded; that nothing was left out, only the whole ledger can show (syncer audit verify).
"""


def write_pack(evidence: Evidence, file: IO[bytes], *, story: str, asked: str, made_at: str) -> None:
    """Write the pack. ``story`` is a page about the values; ``asked`` says which they are."""
    seal: str = evidence.seals[-1][-1]
    readme = README.format(asked=asked, uploads=evidence.items, made_at=made_at, seal=seal)
    check = (files("syncer.report") / "templates" / "check.py.txt").read_text(encoding="utf-8")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        pack = _Pack(archive)
        pack.add("README.txt", [readme])
        pack.add("check.py", [check])
        pack.add("story.html", [story])
        pack.add("seals.jsonl", (_line(list(row)) for row in evidence.seals))
        pack.add("rows.jsonl", (_line([one.table, one.seal_id, one.number, list(one.rows)]) for one in evidence.blocks))
        pack.add("history.jsonl", (_line(entry_document(entry)) for entry in evidence.entries))
        archive.writestr("SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in pack.sums.items()))


class _Pack:
    """Members written one after the other, each with its hash; memory is bounded by one text."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}

    def add(self, name: str, texts: Iterable[str]) -> None:
        digest = hashlib.sha256()
        with self._archive.open(name, "w", force_zip64=True) as member:
            for text in texts:
                data = text.encode()
                digest.update(data)
                member.write(data)
        self.sums[name] = digest.hexdigest()


def _line(value: object) -> str:
    return json.dumps(value) + "\n"
