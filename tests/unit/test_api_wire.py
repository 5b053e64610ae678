"""What decodes an answer: made by one of many threads alone, and not stopped by half a character in one record."""

from __future__ import annotations

import json
import threading
import time

import msgspec
import pytest

from syncer.api import wire
from syncer.api.products import decode_page


class Answer(msgspec.Struct, frozen=True):
    """A kind that no other test has met."""

    count: int


def test_two_threads_that_meet_a_kind_for_the_first_time_do_not_make_its_decoder_at_once(monkeypatch):
    """msgspec 0.22 crashes when they do: a struct is half known for a moment."""
    whole, making, made = msgspec.json.Decoder, [], []

    def slow(kind):
        making.append(kind)
        assert len(making) == 1, "two at once"
        time.sleep(0.02)
        found = whole(kind)
        making.remove(kind)
        made.append(kind)
        return found

    monkeypatch.setattr(msgspec.json, "Decoder", slow)
    together = threading.Barrier(8)
    found = []

    def meet(kind):
        together.wait(10)
        found.append(wire.decode(b'{"count": 1}' if kind is Answer else b'[{"count": 1}]', kind))

    threads = [threading.Thread(target=meet, args=(kind,)) for kind in [Answer, list[Answer]] * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert len(found) == 8
    assert sorted(map(str, made)) == sorted(map(str, [Answer, list[Answer]]))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"a \ud83d b", "a \ufffd b"), (rb"\uD83D\uDE00", "\U0001f600"), (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\\ud83d", "\\ud83d"), (rb"\\\ud83d\n", "\\\ufffd\n"), (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
)  # fmt: skip
def test_half_a_character_in_one_product_keeps_no_other_one_back(sent, read):
    body = (
        rb'{"count": 2, "next": null, "results": [{"id": 1, "sku": "a", "name": "%b"}, {"id": 2, "sku": "b"}]}' % sent
    )
    first, second = decode_page(body).products
    assert (first.name, json.loads(first.data)["name"], second.sku) == (read, read, "b")
