"""Documents that are followed as they stand: their commands in order, each with what it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
WRITTEN = re.compile(r"cat > \S+ <<'EOF'\n.*?^EOF\n", re.DOTALL | re.MULTILINE)


def shape(text: str) -> list[str]:
    """Return what must be the same: words and layout, not times, ids and padding."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", "WHEN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d{9}Z", "WHEN", text)
    text = re.sub(r"schema \d{4}", "schema NUMBER", text)
    text = re.sub(r"[\d,]+ bytes", "SIZE", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{9,}", "TASK", text)
    text = re.sub(r"(\w+-r\d+-b\d+-a\d+)-[0-9a-f]+\.[0-9a-f]+", r"\1", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text)
    text = re.sub(r"\b[0-9a-f]{8,16}\b", "ID", text)
    text = re.sub(r"(?<![\w:])(?:/[\w.-]+)+/(?=[\w.-])", "", text)  # folders
    text = re.sub(r"http://127\.0\.0\.1:\d+", "SANDBOX", text)
    text = re.sub(r"\d+(\.\d)? s\b", "SECONDS", text)
    text = re.sub(r"(SECONDS), [\d,]+ a second", r"\1", text)  # shown when it took more than a second
    text = re.sub(r"\b[1-9]\d* reads?\b", "READS", text)  # a slow machine asks once more, or once less
    text = re.sub(r"(?m)^(1 +complete .*? )[0-9a-z]{12} ", r"\1RECORD ", text)
    return [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]


def commands(document: Path) -> Iterator[tuple[str, str]]:
    """Yield the commands of a document with what it shows below each."""
    for body in BLOCK.findall(document.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            written = WRITTEN.match(part)
            command, _, shown = (written.group(), "", part[written.end() :]) if written else part.partition("\n")
            yield command, shown


def follow(document: Path, here: Any) -> Iterator[tuple[str, str, str]]:
    """Run the commands of a document in a night's folder; yield each, what is shown, and what was printed.

    The program's own commands are forks; what else a reader would type is run by a shell.
    """
    code = 0
    for command, shown in commands(document):
        if command.startswith("syncer ") and not set("|<>;&$") & set(command):
            done = here.run(*shlex.split(command)[1:], COLUMNS="110")
            code, printed = done.code, done.out
        elif command == "echo $?":
            printed = f"{code}\n"
        else:
            variables = {**here.variables(COLUMNS="110"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            ended = subprocess.run(
                ["sh", "-c", command], cwd=here.folder, env=variables, capture_output=True, text=True, check=True
            )
            printed = ended.stdout
        yield command, shown, printed
