"""The command line: parse, call, render, exit. Every decision is made in `syncer.commands` and below.

Each group of commands is a module; `program` registers them all and `frame` is what they share.
"""

from syncer.cli.program import main

__all__ = ["main"]
