"""A signal while codes are read back: what was sent before is told as what it is."""

from __future__ import annotations

import pytest

from syncer.api.limits import ReadLimiter
from syncer.api.reading import RequestCounts
from syncer.config import load_settings
from syncer.errors import SignalError
from syncer.process.clock import SystemClock
from syncer.process.signals import Interrupt
from syncer.runs.read_back import CodeReader


def test_a_signal_while_codes_are_read_back_does_not_say_that_nothing_was_changed(tmp_path):
    environ = {"SYNCER_API__BASE_URL": "http://127.0.0.1:9", "SYNCER_API__TOKEN": "anything"}
    settings = load_settings(explicit=None, environ=environ, cwd=tmp_path)
    interrupt = Interrupt(signal_number=15, graceful=True)
    reader = CodeReader(settings, SystemClock(), interrupt, None, ReadLimiter(3000), RequestCounts())
    for look in (lambda: reader.rows([{"extended_id": "K000001"}]), reader.pause):
        with pytest.raises(SignalError, match="while codes were read back; what was sent is recorded"):
            look()
