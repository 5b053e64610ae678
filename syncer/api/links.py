"""The one judge of `next` links: which page follows, and whether its address is ours (docs/api.md, "Hosts").

What always holds: of a link only the query is used, on our own scheme, host, port and path: the token goes nowhere
else. A link leads here when host, port and path are ours; the standard port and none are the same, and an ``http`` link
of an https API is ours, too: servers behind a proxy do not know how they are called.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from syncer.api.wire import UnreadableError
from syncer.safe.hosts import normal_host

LINK_CHARACTERS_MAX = 4000
"""Longest link that is followed; a longer one would make a request that no server takes."""
_STANDARD_PORTS = {"http": 80, "https": 443}


def next_query(link: str, base_url: str, path: str) -> str:
    """Return the query of the page that a link of a list at `path` leads to; raise `UnreadableError` for any other."""
    here = urlsplit(base_url.rstrip("/") + path)
    if len(link) > LINK_CHARACTERS_MAX:
        raise UnreadableError(f"its link to the next page has over {LINK_CHARACTERS_MAX:,} characters")
    try:
        there = urlsplit(urljoin(here.geturl(), link))
        same = there.scheme in _STANDARD_PORTS and _place(there) == _place(here)
    except ValueError:
        raise UnreadableError("its link to the next page is no address") from None
    if not same:
        elsewhere = f"{there.scheme}://{there.netloc.rpartition('@')[2]}{there.path}"
        raise UnreadableError(f"its link to the next page leads to {elsewhere}, not to {here.geturl()}")
    if not there.query:
        raise UnreadableError("its link to the next page asks for nothing")
    return there.query


def next_parameters(link: str, base_url: str, path: str) -> dict[str, str]:
    """Return what `next_query` does, as parameters of a call."""
    return dict(parse_qsl(next_query(link, base_url, path), keep_blank_values=True))


def _place(url: SplitResult) -> tuple[str, int | None, str]:
    """Return where a URL leads, whatever its scheme; raise `ValueError` when its port is none."""
    port = None if url.port == _STANDARD_PORTS[url.scheme] else url.port
    return normal_host(url.hostname or ""), port, url.path
