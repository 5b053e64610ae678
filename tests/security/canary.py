"""A canary token, the ways it can be written, and what breaks the program while it holds one."""

from __future__ import annotations

import base64
import html
import importlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

PLAIN = "canary-4f9a1c-77aa"
CROOKED = "ca%na\"r'y\\<&>+/=4f9a1c"


def writings(token: str) -> set[str]:
    """Every writing in which a token could leak; made without the program's own search for them."""
    named = {
        token, quote(token), quote(token, safe=""), quote(quote(token, safe=""), safe=""), json.dumps(token)[1:-1],
        json.dumps(json.dumps(token))[3:-3], repr(token)[1:-1], html.escape(token), token.encode().hex(),
    }  # fmt: skip
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            named.add(encode(b"-" * before + token.encode() + b"---")[4:-8].decode())
    return named


def leaks(token: str, text: str | bytes) -> list[str]:
    """Return the writings of the token that stand in a text."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    low = raw.lower()
    return [one for one in sorted(writings(token)) if one.encode() in raw or one.lower().encode() in low]


def leaking_files(token: str, folder: Path) -> list[str]:
    """Return the files below a folder that hold the token, or are named with it."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in found if leaks(token, path.read_bytes()) or leaks(token, str(path))]


def sabotage(place: str) -> None:
    """Let a function of the program fail, with the token in its locals, its message, its cause and its notes."""
    owner, name = _resolve(place)
    token = os.environ["CANARY"]

    def fail(*_arguments: Any, **_settings: Any) -> None:
        headers = {"Authorization": f"UAT {token}"}
        Path(".struck").touch()
        try:
            raise KeyError(token)
        except KeyError as cause:
            error = RuntimeError(f"sabotage: {headers!r} in {quote(token, safe='')} of {json.dumps(headers)}")
            error.add_note(base64.b64encode(f"UAT {token}".encode()).decode())
            raise error from cause

    setattr(owner, name, fail)


def start_a_child(place: str) -> None:
    """Let a function of the program start another program, which writes its environment down."""
    owner, name = _resolve(place)
    before = getattr(owner, name)

    def spawn(*arguments: Any, **settings: Any) -> Any:
        Path(".child").write_bytes(subprocess.run(["env"], capture_output=True, check=True).stdout)
        return before(*arguments, **settings)

    setattr(owner, name, spawn)


def _resolve(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *inner, name = path.split(".")
    for one in inner:
        owner = getattr(owner, one)
    assert callable(getattr(owner, name))
    return owner, name
