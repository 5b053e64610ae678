"""Answers are decoded by many threads at once: what decodes a kind of answer is made by one of them alone."""

from __future__ import annotations

import threading
import time

import msgspec

from syncer.api import wire


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
