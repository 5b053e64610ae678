"""Bodies that no answer may have, made by rule from answers that are right.

`must_fail` bodies are no JSON, whatever a lenient reader thinks of them; each is made from ``valid`` so that a reader
that overlooks the defect would take it for a whole answer. `alterations` are of right answers: one member is not
what the API promises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

WRONG_LITERALS = (
    "True",
    "FALSE",
    "nul",
    "nulll",
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "None",
    "truee",
    "tru",
    "t",
)
WRONG_NUMBERS = (
    "01", "+1", "-", "-01", "1.", ".5", "1e", "1e+", "0x1", "1_000", "--1", "1.5.5", "1e5e5", "0e", "-.5", "٣", "1 000",
    "Inf", "1a", "0b1", "1E+-2", "-+1", "00",
)  # fmt: skip
WRONG_STRINGS = (
    rb'"\x41"', rb'"\u12"', rb'"\u12G4"', rb'"\u"', rb'"\a"', rb'"\0"', rb'"\ud800"', rb'"\udc00"', rb'"\ud800\u0041"', rb'"\U0041"',
    b'"a\nb"', b'"a\tb"', b'"a\x00b"', b'"a\x1fb"', b'"\xff"', b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"',
    b'"\xe2\x82"', b"'single'", b'"open', b'open"', b'"\\"', b'"\\', b'"a" "b"', b'"a"b', b'"\xf8\x88\x80\x80\x80"', b'"\x80"',
)  # fmt: skip
WRONG_LISTS = (
    "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1;2]", "[1", "1]", "[1}", "[", "]", "[,]", "[1:2]", "[1]]", "[[1]", "[(1)]", "[...]", "[1,\n",
    "[// c\n1]", "[/* c */ 1]", "[# c\n1]",
)  # fmt: skip
WRONG_OBJECTS = (
    '{"a": 1,}', '{,"a": 1}', '{"a" 1}', '{"a"}', '{"a":}', "{a: 1}", "{'a': 1}", '{"a": 1 "b": 2}', '{"a": 1; "b": 2}', '{"a":: 1}',
    "{1: 1}", "{null: 1}", '{"a": 1', '{"a": 1]', "{", "}", '{"a": 1}}', "{:1}", '{"a", 1}', '{"a": 1, "b"}', "{[]: 1}", "{{}: 1}",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, "", "x", "100", 0, 1, -1, 1.5, -0.0, 2**63, 10**30, [], ["x"], [[]], {}, {"x": 1}, True, False,
)  # fmt: skip
WORDS = ("NaN", "-Infinity", "1e999", "9" * 5000)
FIRST = object()
"""In a path: the first member, whatever its name."""
Path = tuple[Any, ...]
Alteration = tuple[str, Callable[[Any], bytes]]


def must_fail(valid: bytes) -> Iterator[tuple[str, bytes]]:
    """Give bodies that are no JSON, with their names; ``valid`` is an object without blanks at its ends."""
    for at in range(len(valid)):
        yield f"cut after {at} bytes", valid[:at]
    opened = valid[:-1]
    values: list[tuple[str, bytes]] = [("literal", word.encode()) for word in WRONG_LITERALS]
    values += [("number", word.encode()) for word in WRONG_NUMBERS]
    values += [("string", word) for word in WRONG_STRINGS]
    values += [("list", word.encode()) for word in WRONG_LISTS]
    values += [("object", word.encode()) for word in WRONG_OBJECTS]
    for kind, word in values:  # each as the value of a member that nobody reads, and as a whole body
        yield f"{kind} {word!r} in an unread member", opened + b', "unread": ' + word + b"}"
        yield f"{kind} {word!r} deep in an unread member", opened + b', "unread": {"a": [' + word + b"]}}"
        yield f"{kind} {word!r} alone", word
    for text in WRONG_STRINGS[:22]:
        yield f"key {text!r}", opened + b", " + text + b": 1}"
    ends = (b",", b"}", b"]", b"{}", b"\x00", b"x", b" null", b"\xff", b"\xef\xbb\xbf", b"//", valid)
    yield from ((f"followed by {end[:9]!r}", valid + end) for end in ends)
    starts = (b",", b"x", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xc2\xa0", b"\x0b", b"\x0c", b")]}',\n")
    yield from ((f"preceded by {start!r}", start + valid) for start in starts)
    text = valid.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7-none", "cp500"):
        if encoding != "utf-7-none":
            yield f"in {encoding}", text.encode(encoding)
    for deep in (b"[", b'{"a":', b"[{"):
        for count in (100_000, 1_000_000):
            yield f"{deep!r} nested {count} deep", opened + b', "unread": ' + deep * count
    for number in range(len(valid)):  # each byte that gives it its structure, taken away
        if valid[number : number + 1] in {b"{", b"}", b":", b",", b"[", b"]"}:
            yield f"without byte {number}", valid[:number] + valid[number + 1 :]


def alterations(*paths: Path) -> list[Alteration]:
    """Return what can be done to a document: the member at each path missing, or replaced by what it may not be."""
    made: list[Alteration] = []
    for path in paths:
        shown = ".".join("*" if name is FIRST else str(name) for name in path) or "all"
        made += [(f"{shown} = {other!r}", partial(_with, path=path, other=other)) for other in OTHERS]
        made += [(f"{shown} = {word[:9]}", partial(_with_word, path=path, word=word)) for word in WORDS]
        if path:
            made.append((f"{shown} missing", partial(_without, path=path)))
    return made


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[_name(value, name)]
    return value


def _name(value: Any, name: Any) -> Any:
    return name if name is not FIRST else next(iter(value)) if isinstance(value, dict) else 0


def _with(document: Any, *, path: Path, other: Any) -> bytes:
    return json.dumps(_replaced(document, path, other)).encode()


def _with_word(document: Any, *, path: Path, word: str) -> bytes:
    return json.dumps(_replaced(document, path, "@@")).replace('"@@"', word).encode()


def _without(document: Any, *, path: Path) -> bytes:
    holder = _at(document, path[:-1])
    if holder:
        del holder[_name(holder, path[-1])]
    return json.dumps(document).encode()


def _replaced(document: Any, path: Path, other: Any) -> Any:
    if not path:
        return other
    holder = _at(document, path[:-1])
    if holder:
        holder[_name(holder, path[-1])] = other
    return document
