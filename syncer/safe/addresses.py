"""Database addresses: do they hold a password, and can they be read in one way alone? Pure; knows no database.

What always holds: an address whose password has an unescaped ``@`` is told from one that has none: readers cut it at
different places, and what one of them takes for the host is a part of the password.
"""

from __future__ import annotations

import re

_AUTHORITY = re.compile(r"[^:/?#]*://([^/?#]*)")
_SECRET_OPTION = re.compile(
    r"[?&][^=&]*(?:pass|pwd|secret|token|key|cred|auth|sig|odbc_connect)[^=&]*=[^&]", re.IGNORECASE
)


def is_ambiguous(address: str) -> bool:
    """Tell whether the part before the path has more than one ``@``, or one stands behind a ``/``, ``?`` or ``#``."""
    found = _AUTHORITY.match(address)
    if found is None:
        return False
    if found[1].count("@") > 1:
        return True
    # postgresql://user:pa/ss@host/db: the authority ends at the slash, and the rest of the password looks like a path.
    user, colon, _ = found[1].partition(":")
    rest = address[found.end() :].partition("?")[0]
    return "@" not in found[1] and bool(colon) and bool(user) and "@" in rest


def holds_secret(address: str) -> bool:
    """Tell whether an address has a password, or an option that may be one."""
    found = _AUTHORITY.match(address)
    password = found is not None and ":" in found[1].rpartition("@")[0]
    return password or is_ambiguous(address) or _SECRET_OPTION.search(address) is not None
