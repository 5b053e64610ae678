"""A server that repeats the token teaches it to nobody: every answer is masked once, in the writings that are promised."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from security.canary import CROOKED, PLAIN, leaking_files, leaks

from syncer.safe.masking import _WHITE_SPACE, MASK, TokenMask
from syncer.sandbox.config import ALL_PERMISSIONS

LONG = "uat-7c1f0e9b3a5d48f2b6c0"


def wrapped(text, width, end):
    return end.join(text[begin : begin + width] for begin in range(0, len(text), width))


def writings(token):
    """The writings that masking.py promises, made without it."""
    raw = token.encode()
    yield from (
        token,
        token.upper(),
        token.swapcase(),
        quote(token, safe=""),
        quote(quote(quote(token, safe=""), safe=""), safe=""),
    )
    yield from (json.dumps(token)[1:-1], json.dumps(json.dumps(token))[3:-3], repr(token)[1:-1], html.escape(token))
    yield "".join(f"\\u{ord(one):04X}" for one in token)
    yield "".join(f"&#{ord(one):07d};" for one in token)
    yield "".join(f"&#x{ord(one):04x};" for one in token)
    yield "".join(f"&#{ord(one)}" for one in token) + " "
    yield from (raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(":"), raw.hex("-"))
    for before in range(3):
        text = base64.b64encode(b"-" * before + raw + b"---").decode()
        yield from (wrapped(text, 8, end) for end in ("\n", "\r\n", "\\n", "\\r\\n", "\n  "))
        yield base64.urlsafe_b64encode(b"-" * before + raw + b"---").decode()
    for before in range(5):
        text = base64.b32encode(b"-" * before + raw + b"-" * 5).decode()
        yield from (text, text.lower(), wrapped(text, 8, "\n"))


@pytest.mark.parametrize("token", [PLAIN, CROOKED, LONG], ids=["plain", "crooked", "long"])
@pytest.mark.parametrize("large", [False, True])
def test_every_promised_writing_is_masked(token, large):
    mask = TokenMask(token)
    around = "x" * (40_000 if large else 10)
    for one in writings(token):
        core = one[8:-8] if len(one) > 40 else one
        for text in (mask.text(f"{around} {one} {around}"), mask.body(f"{around} {one} {around}".encode()).decode()):
            assert MASK in text, one
            assert core not in text, one


@st.composite
def nearly_written(draw):
    """A token in some writing that nobody chose: its characters each in their own way, now and then one that is wrong."""
    token = draw(st.sampled_from([PLAIN, CROOKED, LONG, "a\\n-\\b\\cdE", "xU0041%&#z"]))
    raw, before = token.encode(), draw(st.integers(0, 4))
    ways = [lambda one: one, str.upper, lambda one: f"%{ord(one):02x}", lambda one: f"%25{ord(one):02X}",
            lambda one: f"\\u{ord(one):04x}", lambda one: f"\\\\x{ord(one):02x}", lambda one: f"&#{ord(one)};", html.escape,
            lambda one: f"\\{one}", lambda one: f"\\\\\\\\{one}"]  # fmt: skip
    between, pieces = [""], list(token)
    form = draw(st.sampled_from(["characters", "pairs", "base64", "base32"]))
    if form == "characters":
        pieces = [draw(st.sampled_from(ways[: draw(st.sampled_from([1, 2, 10]))]))(one) for one in token]
    elif form == "pairs":
        pieces, between = [f"{byte:02x}" for byte in raw], ["", " ", ":", "- ", "::-"]
    else:
        code = base64.b64encode if form == "base64" else base64.b32encode
        pieces = list(code(b"-" * before + raw + b"-").decode())
        between = ["", "\n", "\\n", "\\\\R", " \r\n ", "\u2003", "\\\\\\\\\\n"]
    chosen = st.sampled_from(between[: draw(st.sampled_from([1, 2, len(between)]))])
    text = "".join(piece + draw(chosen) for piece in pieces)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(["", "\\", "q", " ", "\\\\\\n"])) + text[at + draw(st.integers(0, 1)) :]
    return token, draw(st.sampled_from([str, str.lower, str.swapcase]))(f'{{"a": "{text}"}}')


@given(nearly_written())
def test_the_quick_look_takes_nothing_for_clean_that_the_whole_search_would_find(written):
    token, text = written
    mask = TokenMask(token)
    assert mask.text(text) == mask._text.sub(MASK, text)
    assert mask.body(text.encode()) == mask._bytes.sub(MASK.encode(), text.encode())


def test_all_white_space_is_known():
    assert set(_WHITE_SPACE) == {one for one in map(chr, range(0x110000)) if one.isspace()}


def test_no_expression_is_compiled_for_clean_texts():
    mask = TokenMask(LONG)
    for text in (
        "01:07:20Z planned: 10 values in 1 call",
        '{"next": "http://h/api?limit=100&offset=3", "name": "fixture"}',
    ):
        assert mask.text(text) == text
        assert mask.body(text.encode()) == text.encode()
    assert not {"_text", "_bytes", "_expression"} & vars(mask).keys()


def test_what_is_promised_is_all_that_is_masked():
    mask = TokenMask(LONG)
    for other in (LONG[::-1], LONG[:-1], " ".join(LONG), base64.b85encode(LONG.encode()).decode()):
        assert mask.text(other) == other
        assert mask.body(other.encode()) == other.encode()


@given(
    st.lists(
        st.sampled_from(
            [b"a", LONG.encode(), b"\\u0075", LONG.encode()[:9], LONG.encode()[9:], b'"', b"\n", b"x" * 900]
        ),
        max_size=12,
    ),
    st.integers(1, 50),
)
def test_a_stream_is_masked_as_the_whole_is(parts, size):
    body = b"".join(parts)
    mask, out = TokenMask(LONG), b""
    stream = mask.stream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("syncer.safe.masking._STREAMED_BYTES", 1)
        for begin in range(0, len(body), size):
            out += stream.feed(body[begin : begin + size])
        assert out + stream.end() == mask.body(body)


@given(
    st.recursive(
        st.text() | st.just(LONG) | st.just(f"{LONG}\\"), lambda inner: st.dictionaries(st.text(), inner, max_size=3)
    )
)
def test_a_masked_document_is_the_document_without_the_token(value):
    body = json.dumps(value, ensure_ascii=False).encode()
    masked = TokenMask(LONG).body(body)
    assert json.loads(masked) is not None
    assert LONG.encode() not in masked
    if LONG.encode() not in body:
        assert masked == body


def test_a_word_of_few_letters_is_left_in_answers():
    assert TokenMask("sandbox").body(b'{"host": "sandbox"}') == b'{"host": "sandbox"}'
    assert TokenMask("sandbox").text("token sandbox refused") == "token [token] refused"


@pytest.mark.parametrize(
    "text", ["\\" * 1_000_000, "%25" * 300_000, "u" * 1_000_000, "dWF0 " * 200_000, "&#0" * 300_000, " " * 1_000_000]
)
def test_time_is_linear_whatever_an_answer_holds(text):
    mask = TokenMask(LONG)
    begun_s = time.process_time()
    mask.text(text)
    mask.body(text.encode())
    assert time.process_time() - begun_s < 20


def test_what_a_server_repeats_is_kept_and_shown_nowhere(night, forks):
    """Products, scans, ingestion errors and record keys, as JSON and as the API's own CSV."""
    evil = f"a {PLAIN} b"
    products = [{"sku": "S1", "name": evil, "description": f"{base64.b64encode(('UAT ' + PLAIN).encode()).decode()}"}]
    with night(products=products, codes=({"extended_id": "K1", "market": evil},)) as here:
        here.box.scan(extended_id="K1")
        for arguments in (
            ("products", "pull", "--out", "products.csv"),
            ("products", "list"),
            ("--json", "products", "show", "S1"),
            ("scans", "pull", "--campaign", "1", "--out", "scans"),
            ("scans", "pull", "--campaign", "1", "--out", "days", "--format", "parquet"),
            ("scans", "pull", "--campaign", "1", "--into-ledger"),
            ("scans", "pull", "--campaign", "1", "--raw-csv", "--out", "raw.csv"),
        ):
            done = forks.run(here.folder, here.variables(SYNCER_API__TOKEN=PLAIN), *arguments)
            assert done.code in {0, 3}, (arguments, done.err)
            assert not leaks(PLAIN, done.out + done.err), arguments
            assert leaking_files(PLAIN, here.folder) == [], arguments
        assert "a [token] b" in (here.folder / "products.csv").read_text()
        assert "a [token] b" in (here.folder / "raw.csv").read_text()
        assert "a [token] b" in "".join(path.read_text() for path in (here.folder / "scans").glob("part-*"))


@pytest.mark.parametrize("token", ["t", "1", "data", "sandbox"])
def test_a_token_that_answers_hold_by_chance_changes_no_outcome(night, forks, token):
    """States, ids and a refusal's words are judged as they came; what people read is masked."""
    codes = tuple({"extended_id": f"K{number}", "case_no": f"C{number % 150}"} for number in range(300))
    with night(codes=codes, tokens={token: ALL_PERMISSIONS}) as here:
        here.config('[jobs.default]\nkey = "case_no"\n')
        here.write("a.csv", ("case_no", "market"), [(f"C{number}", f"M{number % 3}") for number in range(150)])
        done = forks.run(here.folder, here.variables(SYNCER_API__TOKEN=token), "--json", "sync", "a.csv")
        document = json.loads(done.out)
        assert (done.code, document["values"]["confirmed"]) == (0, 150), document
        assert {call.status_code for call in here.box.calls("sync")} == {400}  # the sandbox takes no cases there
        assert {code["market"] for code in here.box.codes()} == {"M0", "M1", "M2"}
