"""Write docs/cli.md from the program's own help: `make docs`. A test compares the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from syncer.cli.frame import COMMON_OPTIONS
from syncer.cli.program import EPILOG, cli

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Commands

Made from the program's own help by `make docs`. `syncer COMMAND --help` shows the same.

"""


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _options(command: click.Command, context: click.Context, *, common: bool) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not isinstance(parameter, click.Option) or parameter.name == "help":
            continue
        if (parameter.name in COMMON_OPTIONS) is common:
            yield f"| `{_plain(record[0])}` | {_plain(record[1])} |"


def _table(rows: list[str]) -> str:
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows]) + "\n" if rows else ""


def _commands(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    usage = re.sub(r"^Usage: ", "", command.get_usage(context))
    yield f"{'#' * level} {context.command_path}\n\n`{_plain(usage)}`\n\n{_plain(command.help or '')}\n"
    examples = getattr(command, "examples", ())
    if examples:
        yield "```\n" + "\n".join(examples) + "\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _commands(child, click.Context(child, info_name=name, parent=context), level + 1)
    else:
        table = _table(list(_options(command, context, common=False)))
        if table:
            yield table


def reference() -> str:
    """Return the whole page."""
    context = click.Context(cli, info_name="syncer", max_content_width=1000, terminal_width=1000)
    parts = [HEAD + _plain(cli.help or "") + "\n", f"{EPILOG}.\n", "## Options of every command\n"]
    parts.append(_table(list(_options(cli, context, common=True))))
    for name in cli.list_commands(context):
        child = cli.get_command(context, name)
        if child is not None:
            parts += _commands(child, click.Context(child, info_name=name, parent=context), 2)
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
