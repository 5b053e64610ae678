"""Spans for OpenTelemetry: what took how long within a command, as a tree. Without `exported` nothing is made.

What always holds: a span has a name, times, and counts, ids and words of this program; never data, an address or the
token, since nobody hands it any. Whoever begins a span ends it; a command's spans are sent on when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

FLUSH_MS = 10_000
"""How long the end of a command waits until its spans are sent."""
_made_by: list[Tracer] = []
"""What makes spans, while they are exported."""


class Open:
    """A span that has begun; of nothing where no spans are exported."""

    __slots__ = ("_span",)

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def note(self, **numbers: object) -> None:
        """Add counts, ids or words."""
        if self._span is not None:
            self._span.set_attributes({f"syncer.{name}": _plain(value) for name, value in numbers.items()})

    def end(self, **numbers: object) -> None:
        """End it, with what it came to."""
        if self._span is not None:
            self.note(**numbers)
            self._span.end()


@contextmanager
def exported(exporter: Any, version: str) -> Iterator[None]:
    """Let spans be made, and give them to an exporter, which may fail; then they are lost, and nothing else is."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "syncer", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _made_by.append(provider.get_tracer("syncer", version))
    try:
        yield
    finally:
        _made_by.pop()
        with suppress(Exception):  # whatever a receiver does, the command has ended as it has
            provider.force_flush(FLUSH_MS)
        with suppress(Exception):
            provider.shutdown()


def begin(name: str, **numbers: object) -> Open:
    """Begin a span within the one that is around it here; whoever has it ends it."""
    if not _made_by:
        return Open()
    found = Open(_made_by[-1].start_span(name))
    found.note(**numbers)
    return found


@contextmanager
def around(name: str, **numbers: object) -> Iterator[Open]:
    """Let a span be around everything that is begun inside; an error is noted by its kind alone."""
    if not _made_by:
        yield Open()
        return
    with _made_by[-1].start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
        found = Open(span)
        found.note(**numbers)
        try:
            yield found
        except BaseException as error:
            found.note(error=type(error).__name__)
            raise


def _plain(value: Any) -> str | int | float | bool:
    """Return a value as OpenTelemetry takes it."""
    return value if isinstance(value, bool | int | float) else "" if value is None else str(value)
