"""The how-to of docs/german-erp.md: its file and its configuration are synced, and give what its table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "german-erp.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def table():
    names, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")
    ]
    return {line[0]: {name: cell for name, cell in zip(names[1:], line[1:], strict=True) if cell} for line in lines}


@pytest.fixture
def erp(night):
    with night(codes=tuple({"extended_id": f"A{number:07d}"} for number in range(1, 6))) as here:
        here.config(block("toml"))
        (here.folder / "export.csv").write_bytes(block("text").replace("\n", "\r\n").encode("cp1252"))
        yield here


def test_the_file_is_synced_as_the_page_says(erp):
    done = erp.sync("export.csv", "--results", "results")
    assert (done.code, [row["code"] for row in done.document["rejected"]]) == (3, ["E320"])
    assert done.document["rows"]["read"] == 5
    held = erp.server()
    assert {key: held[key] for key in table()} == table()
    assert "intended_market" not in held["A0000005"]


def test_what_is_rejected_is_mended_as_the_page_says(erp):
    assert erp.sync("export.csv", "--results", "results").code == 3
    error = erp.folder / "results" / "error.csv"
    text = error.read_text(encoding="cp1252")
    assert text.splitlines()[1].startswith(
        "https://st4.ch/q/A0000005;Atlantis;aktiv;23.11.2026;P0008;12;export.csv;9;E320;"
    )
    error.write_text(text.replace("Atlantis", "Österreich", 1), encoding="cp1252")
    (command,) = re.findall(r"`syncer (sync --job erp results/error\.csv)`", PAGE)
    assert erp.run(*command.split()).code == 0
    assert erp.server()["A0000005"]["intended_market"] == "AT"
