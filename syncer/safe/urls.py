"""URLs of files in other systems: which are taken, and what is wrong with the others. Pure; knows none of the systems.

What always holds: a URL holds no secret: no password, no signature, no credentials before a bucket; what is said of one
that does never repeats it.
"""

from __future__ import annotations

import re

SCHEMES = ("s3", "sftp", "az", "gs")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/]*)(?P<path>/.*)?", re.DOTALL)
HOST = re.compile(r"(?:(?P<user>[^@:]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


def is_remote(name: str) -> bool:
    """Tell whether this names files of another system: also of one that is not taken, since a URL may hold a secret."""
    return _URL.match(name) is not None


def url_fault(url: str) -> str | None:
    """Return what is wrong with a URL, in words that never repeat it; None: nothing."""
    found = _URL.fullmatch(url)
    scheme = found["scheme"].lower() if found is not None else ""
    if found is None or scheme not in SCHEMES:
        return f"a path of this machine, or a URL that begins with one of {', '.join(f'{one}://' for one in SCHEMES)}"
    host = HOST.fullmatch(found["place"])
    if scheme == "sftp" and (host is None or ":" in found["place"].rpartition("@")[0]):
        return "sftp://host/path or sftp://user@host:port/path; a password stands nowhere: SSH has keys"
    if scheme != "sftp" and ("@" in found["place"] or ":" in found["place"]):
        return "scheme://bucket/path without any credentials (those are found as the system's own tools find them)"
    if not found["place"] or not (found["path"] or "").strip("/"):
        return "a URL with a bucket or host and a path"
    if re.search(r"[?&](?:sig|sv|X-Amz-[A-Za-z]+|token|password|secret|key)=", url, re.IGNORECASE):
        return "a URL without a signature or another secret in it"
    return None
