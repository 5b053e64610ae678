"""Sending spans on to a receiver of OpenTelemetry (OTLP over HTTP), at an address of the user's own.

What always holds: the API's token is nowhere near; no redirect is followed; proxies and `.netrc` are not used. Headers
that a receiver asks for are given as OpenTelemetry's own variables say (``OTEL_EXPORTER_OTLP_HEADERS``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from syncer.api.connection import CALL_ERRORS, BareSession, bounded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger(__name__)


class Exporter:
    """Sends spans to an address, and warns once when they do not arrive: its library's words would name the address."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Raise `ImportError` without the extra `otel`."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._session, self._timeout_s = BareSession(), timeout_s
        self._sends: SpanExporter = OTLPSpanExporter(endpoint=url, timeout=timeout_s, session=self._session)
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; say whether they arrived."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = SpanExportResult.FAILURE
        if not self._failed:
            with suppress(*CALL_ERRORS), bounded(self._session, self._timeout_s):
                result = self._sends.export(spans)
        if result is not SpanExportResult.SUCCESS and not self._failed:
            self._failed = True  # whoever waits for the rest would wait for nothing
            log.warning("the address of traces.url does not take the spans of this command")
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits; nothing does."""
        return self._sends.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Close the connection."""
        self._sends.shutdown()
