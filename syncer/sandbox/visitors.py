"""Who may ask the sandbox: programs of this machine that mean it, and no page that a browser shows. Pure.

What always holds: a request under another host's name is refused (a page could give its own name this address), and so
is one that a page sent (browsers say so by ``Origin`` or ``Sec-Fetch-Site``); a body is read only when its length is
told, and is bounded; a form, which any page may send anywhere, is never taken for JSON.
"""

from __future__ import annotations

from email.message import Message

OWN_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", ""})
BODY_BYTES_MAX = 128 << 20
Refusal = tuple[int, str]
"""Status code, and why."""


def refusal(headers: Message, *, bytes_max: int = BODY_BYTES_MAX) -> Refusal | None:
    """Return why a request is not even read; None for one that is."""
    hosts = headers.get_all("Host") or [""]
    if len(hosts) > 1 or _name(hosts[0]) not in OWN_NAMES:
        return 403, "the sandbox answers to 127.0.0.1 and localhost alone"
    if headers.get("Origin") is not None or headers.get("Sec-Fetch-Site", "none") != "none":
        return 403, "the sandbox answers no page of a browser"
    if headers.get("Transfer-Encoding") is not None:
        return 411, "the length of the body must be told"
    lengths = headers.get_all("Content-Length") or ["0"]
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        return 400, "the length of the body is no number"
    return (413, f"the body is longer than {bytes_max} bytes") if int(lengths[0]) > bytes_max else None


def form_refusal(headers: Message, body: bytes) -> Refusal | None:
    """Return why the control door does not take a body; None for JSON, or nothing at all."""
    if not body or headers.get_content_type() == "application/json":
        return None
    return 415, "send JSON, and say so: -H 'Content-Type: application/json'"


def _name(host: str) -> str:
    """Return a host's name without its port."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and port.isdigit() else host.strip().lower()
