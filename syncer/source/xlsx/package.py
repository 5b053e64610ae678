r"""The parts of a workbook's ZIP file: found by what points to them, checked whole before they are believed.

What always holds: names are compared without regard to case, to ``\`` and to a leading ``/``, as Excel does; two
members of one name are refused; what a member unpacks to is bounded before it is unpacked.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable
from typing import IO
from urllib.parse import unquote

from syncer.errors import SourceError
from syncer.source.xlsx.xml import Attributes, read_all

FREE_BYTES = 64 << 20
RATIO_MAX = 100
"""Beyond `FREE_BYTES`, what grows more than this is a bomb: sheets shrink to a tenth or a fiftieth."""
MEMBERS_MAX = 10_000
BLOCK_BYTES = 1 << 20
SAVE_ANEW = "open it in Excel, save it again as .xlsx, and export again"
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def folded(name: str) -> str:
    """Return the form in which names of parts are compared."""
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/").casefold()


class Package:
    """The members of an open ZIP file. ``name`` is for messages."""

    def __init__(self, handle: IO[bytes], name: str) -> None:
        self.name = name
        self._zip = zipfile.ZipFile(handle)
        members = [one for one in self._zip.infolist() if not one.is_dir()]
        if len(members) > MEMBERS_MAX:
            raise SourceError(f"the workbook has {len(members):,} parts: too many", file=name, remedy=SAVE_ANEW)
        self._members = {folded(one.filename): one for one in members}
        if len(self._members) < len(members):
            raise SourceError("the workbook has two parts of one name", file=name, remedy=SAVE_ANEW)
        self._sound: set[str] = set()

    def __contains__(self, part: str) -> bool:
        return folded(part) in self._members

    def open(self, part: str, see: Callable[[bytes], None] = lambda block: None) -> IO[bytes]:
        """Open a part to read it, once all of it was seen to be sound. Raises `SourceError`, or what zipfile raises.

        ``see`` is shown all of it when it is looked at for the first time.
        """
        member = self._members[folded(part)]
        if member.compress_type not in {_STORED, _DEFLATED} or member.flag_bits & 1:
            # Python unpacks all other ways without a bound.
            raise SourceError(
                "the workbook is packed in an unusual way", file=self.name, remedy="save it again in Excel"
            )
        if member.file_size > FREE_BYTES and member.file_size > RATIO_MAX * member.compress_size:
            raise SourceError(
                f"its part {member.filename} unpacks to {member.file_size >> 20} MB, more than {RATIO_MAX} times its "
                "size: no export does",
                file=self.name,
                remedy="export as CSV or Parquet instead",
            )
        if member.filename not in self._sound:
            with self._zip.open(member) as whole:
                while block := whole.read(BLOCK_BYTES):  # zipfile compares the checksum at the end
                    see(block)
            self._sound.add(member.filename)
        return self._zip.open(member)

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Return what a part points to: by id, the last word of the kind and the target's name. "" is the package."""
        folder, base = posixpath.split(part.replace("\\", "/"))
        found: dict[str, tuple[str, str]] = {}

        def take(tag: str, attributes: Attributes) -> None:
            if tag == "Relationship" and attributes.get("TargetMode", "Internal").lower() != "external":
                target = unquote(attributes.get("Target", "")).replace("\\", "/")
                kind = attributes.get("Type", "").rpartition("/")[2]
                path = target if target.startswith("/") else posixpath.join(folder, target)
                found[attributes.get("Id", str(len(found)))] = kind, path

        where = posixpath.join(folder, "_rels", f"{base}.rels")
        if where in self:
            with self.open(where) as source:
                read_all(source, take)
        return found
