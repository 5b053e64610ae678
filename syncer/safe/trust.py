"""Whose a file or folder is: may another account of this machine have put it there, or changed it?

What always holds: only the account that the program runs as, and the administrator, are trusted. The group may write
where it is the user's own (as systems make one for every user), others nowhere; into a folder with the sticky bit
(`/tmp`) others may put names of theirs, but touch none of ours. Looks at modes and owners alone, and changes nothing.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from pathlib import Path

ROOT = 0
LINKS_MAX = 40
"""As many links after each other as Linux follows."""


class UntrustedError(PermissionError):
    """Something that another account may have planted or changed: ``strerror`` says why, ``remedy`` what helps."""

    def __init__(self, path: Path, words: str, remedy: str) -> None:
        super().__init__(errno.EPERM, f"{path} {words}", str(path))
        self.remedy = remedy


def require_ours(path: Path, found: os.stat_result) -> None:
    """Raise `UntrustedError` unless the file or folder is this account's or root's, and no other may write to it."""
    shown = f"belongs to {account(found.st_uid)} and has the mode {stat.S_IMODE(found.st_mode):04o}"
    if found.st_uid not in {ROOT, os.geteuid()}:
        words = f"{shown}: another account may have put it there"
        mine = f"chown {account_name(os.geteuid())} {quoted(path)}"
        raise UntrustedError(path, words, f"ls -ld {quoted(path)}  # if what is in it is yours: {mine}")
    if others_may_write(found):
        raise UntrustedError(path, f"{shown}: other accounts may change it", f"chmod go-w {quoted(path)}")


def require_file(path: Path, found: os.stat_result) -> None:
    """Raise `UntrustedError` unless this is a plain file of ours: a pipe would be waited for without end."""
    if stat.S_ISLNK(found.st_mode):
        raise UntrustedError(path, "is a link: nothing is read or written through it", f"ls -l {quoted(path)}")
    if not stat.S_ISREG(found.st_mode):
        raise UntrustedError(path, "is no plain file", f"ls -l {quoted(path)}")
    require_ours(path, found)


def require_own_links(path: Path) -> Path:
    """Return where a name leads that may be a link; raise `UntrustedError` for a link that another account made."""
    for _ in range(LINKS_MAX):
        try:
            found = path.lstat()
        except OSError:  # whoever opens it says what is wrong
            return path
        if not stat.S_ISLNK(found.st_mode):
            return path
        if found.st_uid not in {ROOT, os.geteuid()}:
            words = f"is a link that belongs to {account(found.st_uid)}: another account decides where it leads"
            raise UntrustedError(path, words, f"ls -l {quoted(path)}")
        path = path.parent / path.readlink()
    return path


def others_may_write(found: os.stat_result) -> bool:
    """Tell whether an account that is neither this one nor root may change a file, or the names in a folder."""
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return False
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)


def others_may_read(found: os.stat_result) -> bool:
    """Tell whether group or others may read a file."""
    return bool(found.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def account(uid: int) -> str:
    """Return an account by name and number."""
    name = account_name(uid)
    return f"uid {uid}" if name == str(uid) else f"{name} (uid {uid})"


def account_name(uid: int) -> str:
    """Return an account's name; its number where it has none, as in containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def quoted(path: Path) -> str:
    """Return a path as it is typed into a shell."""
    return shlex.quote(str(path))


def _is_own_group(gid: int) -> bool:
    """Tell whether nobody but this user is in a group. Never so for root: its group has other members in places.

    A user without an entry is one that a container was given, with the group that it was started with.
    """
    uid = os.geteuid()
    if uid == ROOT:
        return False
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return gid == os.getegid()
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
