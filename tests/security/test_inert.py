"""What others wrote (cells, file names, the API's messages) is text wherever it is shown: no markup, no escape, no line."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
from contextlib import redirect_stderr
from unittest.mock import patch

import pytest
from conftest import codes, write_csv
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from syncer.process import logs
from syncer.report.console import InertConsole
from syncer.safe.inert import inert, inert_json, inert_lines, pasted

ESCAPES = ("\x1b", "\x9b", "\x07", "\x08", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\x00", "\x0b")
ACTIVE = {
    *map(chr, range(32)),
    *map(chr, range(127, 160)),
    *"\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
}
MARKUP = "[red]x[/red] [link=http://evil.example]y[/link] [/] :smile: [bold"
EVIL = f"\x1b[31m\x1b]0;title\x07\x9b2J\u202e{MARKUP}"
NOTE = "note[red]x[/red] [link=http://evil.example]y[/link] :smile: [bold"
any_text = st.one_of(st.text(), st.text(st.sampled_from("ab\n\r\t\x1b\x9b\u202e\u2028\udcff[]/:\\")))


@given(any_text)
def test_inert_text_is_one_line_that_no_terminal_obeys(text):
    assert not set(inert(text)) & ACTIVE
    inert(text).encode()
    assert not set(inert_lines(text)) & ACTIVE - {"\n"}
    assert inert_lines(text).count("\n") == text.count("\n")
    plain = "".join(
        character for character in text if character.isprintable() and not "\ud800" <= character <= "\udfff"
    )
    assert inert(plain) == plain


@given(st.recursive(any_text, lambda inner: st.dictionaries(any_text, inner)))
def test_an_inert_document_says_the_same(value):
    written = inert_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(written) == value
    assert not set(written) & ACTIVE
    written.encode()


@given(any_text)
@pytest.mark.parametrize("form", ["text", "json"])
def test_one_event_is_one_line_of_the_log(form, text):
    what = {"msg": "said: %s", "args": (text,), "name": "syncer.x", "levelname": "INFO"}
    with patch.dict(logs._lines, {"json": form == "json"}), redirect_stderr(io.StringIO()) as err:
        logs._Handler().emit(logging.makeLogRecord(what))
    line, end = err.getvalue()[:-1], err.getvalue()[-1:]
    assert end == "\n"
    assert not set(line) & ACTIVE
    if form == "json":
        assert json.loads(line)["message"] == f"said: {text}"


@given(any_text)
def test_the_console_itself_lets_nothing_active_through(text):
    out = io.StringIO()
    console = InertConsole(file=out, force_terminal=False, width=80)
    table = Table("column")
    table.add_row(Text(text))
    console.print(Text(text), table, text, markup=False)
    assert not set(out.getvalue()) & ACTIVE - {"\n"}


def on_a_terminal(here, *arguments):
    """Run the program with both its outputs on a terminal; return what the terminal was sent."""
    return here.on_terminal(*arguments, columns=250, streams=(1, 2), ends=None, TERM="xterm-256color")


def assert_harmless(text):
    """Only rich's own styling and cursor movement may stand in it, none of what was planted."""
    assert "\x1b[31m\x1b" not in text
    assert "\x1b]" not in text
    assert not set(text) & {"\x9b", "\x07", "\u202e", "\u2028"}
    assert "\ninjected" not in text.replace("\r", "")
    assert not any(line.lstrip("\r").startswith(("injected", "  next: evil")) for line in text.split("\n"))


def test_cells_file_names_and_messages_are_inert_on_a_terminal(night):
    name = f"night{EVIL.replace('/', '|')}\ninjected.csv"
    message = json.dumps({"detail": f"refused: {EVIL}\ninjected\r\n  next: evil"})
    faults = ({"kind": "body", "on": "me", "every": 1, "text": message},)
    key = "K[red]:smile:[/]"
    with night(codes=({"extended_id": key}, {"extended_id": "K2"}), faults=faults) as here:
        write_csv(
            here.folder / name,
            ("extended_id", NOTE),  # a header with control characters is refused: keyless.csv
            [(key, f"{EVIL}\ninjected"), ("K2", "x"), ("K3", "z"), ("", "y"), (f"K{EVIL}", "y")],
        )
        write_csv(here.folder / "keyless.csv", (f"a{EVIL}\ninjected", "b"), [("x", "y")])
        shown = []
        for arguments in (("plan", name), ("sync", name, "-vv", "--results", "out"), ("status",), ("status", "1"), ("audit", "show", key), ("audit", "show", "K3"),
                          ("check",), ("sync", f"no{name}"), ("sync", name, "--key", "missing\x1b[31m\x1b\ninjected"), ("plan", "keyless.csv"), ("--config", "none\x1b[31m\x1b]0;x\x07\n  next: evil", "status"), ("ledger", "backup", f"copy{EVIL.replace('/', '|')}\ninjected.db")):  # fmt: skip
            text = on_a_terminal(here, *arguments)
            assert "unexpected" not in text, (arguments, text)
            assert_harmless(text)
            shown.append(text)
        everything = "".join(shown)
        assert ":smile:" in everything  # neither emoji
        assert "[link=http:" in everything  # nor markup
        assert here.server()[key][NOTE] == f"{EVIL}\ninjected"  # and what is sent is what was written


def test_a_refusal_by_the_api_is_inert_in_logs_and_documents(night):
    from faults.test_transport import server
    from security.test_origin import answer_with

    body = json.dumps({"detail": f"{EVIL}\ninjected: yes"}).encode()
    with server(*[answer_with(status="401 No", body=body)] * 4) as (port, _), night() as here:
        here.write("a.csv", ("extended_id", "a"), [("K1", "x")])
        for form in ("text", "json"):
            for output in ((), ("--json",)):
                done = here.run(
                    "-vv",
                    "--log-format",
                    form,
                    "sync",
                    "a.csv",
                    "--force",
                    *output,
                    SYNCER_API__BASE_URL=f"http://127.0.0.1:{port}",
                )
                assert done.code == 12
                assert_harmless(done.out)
                assert_harmless(done.err)
                assert not (set(done.out) | set(done.err)) & (ACTIVE - {"\n"})
                assert "injected: yes" in done.out


def test_a_file_name_that_is_no_text_is_read_and_told(night):
    with night(codes=codes(2)) as here:
        name = os.fsdecode(b"night-\xff.csv")
        write_csv(here.folder / name, ("extended_id", "a"), [("K000000", "x"), ("", "y")])
        for arguments in (("plan", "--json", name), ("sync", name, "--json", "--results", "out")):
            done = here.run(*arguments)
            assert done.document["rejected"][0]["file"] == "night-\\xff.csv"
        assert "night-\\xff.csv" in (here.folder / "out" / "confirmed.csv").read_text(encoding="utf-8")
        assert here.run("status", "1").code == 0
        assert here.run("sync", os.fsdecode(b"none-\xff.csv")).code == 2


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_data_on_a_terminal_is_inert_too(night, form):
    with night(products=[{"sku": "S1", "name": EVIL}], codes=codes(1)) as here:
        here.write("a.csv", ("extended_id", "a"), [("K000000", EVIL.replace("\x07", "").replace("\n", ""))])
        for arguments in (("-q", "products", "pull", "--format", form), ("-q", "audit", "export", "--format", form)):
            if arguments[1] == "audit":
                here.run("sync", "a.csv")
            seen = on_a_terminal(here, *arguments)
            assert "evil.example" in seen
            assert not set(seen) & ACTIVE - {"\n", "\r"}, seen
        piped = here.run("products", "pull", "--format", "csv").out
        assert "\x1b[31m" in piped  # data for a program stays as it is


def test_a_command_with_an_odd_name_can_be_pasted():
    names = ["a b'c", "a\nb\x1b[31m'\\x<b>ü.csv", "\udcff\u2028.csv"]
    command = pasted(["printf", "%s/", *names])
    assert inert(command) == command
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == b"".join(os.fsencode(name) + b"/" for name in names)
