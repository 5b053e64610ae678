"""SQLite's own door to the disk, with a trap in it: the unix VFS's writes, syncs, truncations and removals.

The methods are replaced in the process itself, by ctypes, as SQLite's own tests do it with a VFS of their own; no
compiler is needed. Everything else of the VFS stays the real one, on the real file system.
"""

from __future__ import annotations

import ctypes
import json
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import Any

SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_DELETE, SQLITE_FULL = (
    778,
    1034,
    1546,
    2570,
    13,
)
FAULT_OF = {
    "write": SQLITE_IOERR_WRITE,
    "sync": SQLITE_IOERR_FSYNC,
    "truncate": SQLITE_IOERR_TRUNCATE,
    "delete": SQLITE_IOERR_DELETE,
}
Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class Vfs(Structure):
    _fields_ = (
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", c_void_p), ("xDelete", c_void_p),
    )  # fmt: skip


class Methods(Structure):
    _fields_ = (
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p), ("xTruncate", c_void_p),
        ("xSync", c_void_p), ("others", c_void_p * 13),
    )  # fmt: skip


class File(Structure):
    _fields_ = (("pMethods", POINTER(Methods)),)


def sqlite_library() -> Any:
    """Return the SQLite library that Python's sqlite3 uses; None when its functions cannot be seen from outside."""
    import _sqlite3

    library = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_vfs_find"):
        return None
    library.sqlite3_vfs_find.restype = POINTER(Vfs)
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    return library


def trap_disk(counter: Any) -> None:
    """Put the trap of `counter` into this process's SQLite."""
    _Trap(counter)


class _Trap:
    """Holds the replaced methods, which must live as long as the process: SQLite has their addresses."""

    kept: list[Any] = []  # noqa: RUF012

    def __init__(self, counter: Any) -> None:
        self.kept.append(self)
        self.counter = counter
        self.do = counter.trap["do"]
        self.names: dict[int, str] = {}
        self.methods: dict[int, Any] = {}
        self.log = open(counter.trap["log"], "wb", buffering=0) if self.do == "record" else None
        self.vfs = sqlite_library().sqlite3_vfs_find(None)
        self.real_open = Open(self.vfs.contents.xOpen)
        self.real_delete = Delete(self.vfs.contents.xDelete)
        self.open_ = Open(self.open)
        self.delete_ = Delete(self.delete)
        self.vfs.contents.xOpen = ctypes.cast(self.open_, c_void_p)
        self.vfs.contents.xDelete = ctypes.cast(self.delete_, c_void_p)
        if self.log is not None:
            from crash.traps import around_commits

            around_commits(lambda: None, lambda _: self.record("commit", ""))

    def open(self, vfs: int, name: int | None, file: int, flags: int, out_flags: int) -> int:
        result: int = self.real_open(vfs, name, file, flags, out_flags)
        if result == 0 and name:
            text = ctypes.string_at(name).decode()
            place = ctypes.cast(file, POINTER(File))
            if "syncer.db" in text and place.contents.pMethods:
                self.names[file] = text.rpartition("/")[2]
                place.contents.pMethods = self.replaced(place.contents.pMethods)
        return result

    def replaced(self, real: Any) -> Any:
        """Return methods that go through the trap, made once for each set of real ones."""
        address = ctypes.addressof(real.contents)
        if address not in self.methods:
            copy = Methods.from_buffer_copy(real.contents)
            write, truncate, sync = Write(copy.xWrite), Truncate(copy.xTruncate), Sync(copy.xSync)

            def on_write(file: int, data: int, amount: int, offset: int) -> int:
                def half() -> None:
                    write(file, data, amount // 2, offset)

                return self.pass_by("write", file, half, lambda: write(file, data, amount, offset), offset=offset,
                                    data=lambda: ctypes.string_at(data, amount))  # fmt: skip

            def on_truncate(file: int, size: int) -> int:
                return self.pass_by("truncate", file, None, lambda: truncate(file, size), offset=size)

            def on_sync(file: int, flags: int) -> int:
                return self.pass_by("sync", file, None, lambda: sync(file, flags))

            mine = (Write(on_write), Truncate(on_truncate), Sync(on_sync))
            copy.xWrite, copy.xTruncate, copy.xSync = (ctypes.cast(each, c_void_p) for each in mine)
            self.methods[address] = (copy, mine)
            self.methods[ctypes.addressof(copy)] = (copy, mine)
        return ctypes.pointer(self.methods[address][0])

    def delete(self, vfs: int, name: bytes, sync_folder: int) -> int:
        if b"syncer.db" not in name:
            return int(self.real_delete(vfs, name, sync_folder))
        return self.pass_by("delete", name.decode().rpartition("/")[2], None,
                            lambda: self.real_delete(vfs, name, sync_folder), offset=sync_folder)  # fmt: skip

    def pass_by(self, what: str, file: Any, half: Any, real: Any, *, offset: int = 0, data: Any = None) -> int:
        """Count an operation; let it happen, fail, or be the process's last."""
        number = self.counter.count()
        here = number == self.counter.at
        if self.do == "record":
            self.record(what, file if isinstance(file, str) else self.names[file], offset, data() if data else b"")
        elif self.do == "kill" and here:
            if half is not None and self.counter.trap.get("torn"):
                half()
            self.counter.die()
        elif self.do == "fail" and here:
            return FAULT_OF[what]
        elif self.do == "full" and self.counter.at and number >= self.counter.at and what == "write":
            return SQLITE_FULL
        elif self.do == "broken" and self.counter.at and number >= self.counter.at:
            return FAULT_OF[what]
        return int(real())

    def record(self, what: str, name: str, offset: int = 0, data: bytes = b"") -> None:
        assert self.log is not None
        head = json.dumps({"what": what, "name": name, "offset": offset, "size": len(data)}).encode()
        self.log.write(len(head).to_bytes(4, "big") + head + data)
