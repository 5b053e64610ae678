"""Sending spans on to a receiver of OpenTelemetry (OTLP over HTTP), at an address of the user's own.

What always holds: the API's token is nowhere near; no redirect is followed; proxies and `.netrc` are not used. Headers
that a receiver asks for are given as OpenTelemetry's own variables say (``OTEL_EXPORTER_OTLP_HEADERS``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import requests

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
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        self._sends: SpanExporter = OTLPSpanExporter(endpoint=url, timeout=timeout_s, session=session)
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; say whether they arrived."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = SpanExportResult.FAILURE if self._failed else self._sends.export(spans)
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
