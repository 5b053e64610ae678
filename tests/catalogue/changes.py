"""What may happen to a file while somebody reads it."""

from __future__ import annotations

import os


def grown(path):
    with path.open("a") as file:
        file.write("K000000,again-2\n")


def cut(path):
    os.truncate(path, path.stat().st_size - 20)


def rewritten(path):
    """The same size, the columns the other way round: what was taken for a key would be sent as a market."""
    path.write_text("intended_market,extended_id\n" + path.read_text().split("\n", 1)[1])


def replaced(path):
    fresh = path.with_name("fresh")
    fresh.write_text("intended_market,extended_id\n" + path.read_text().split("\n", 1)[1])
    os.replace(fresh, path)


def gone(path):
    path.rename(path.with_name("moved"))


CHANGES = {"grows": grown, "is cut": cut, "is rewritten": rewritten, "is replaced": replaced, "goes": gone}
