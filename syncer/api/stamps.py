"""Time stamps of RFC 3161: a service outside says that a seal was there at a time. Asked over HTTP, checked offline.

What is stamped is the seal as `audit seal` prints it, with the end of its line: so other programs can check it, too
(``openssl ts -verify -data``). What always holds: the API's token is nowhere near; no redirect is followed; an answer
that is no stamp of what was asked for is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import requests

from syncer.api.connection import CALL_ERRORS, BareSession, bounded
from syncer.errors import ConfigError, UnreachableError, UsageError
from syncer.process.clock import utc_text

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

ANSWER_BYTES_MAX = 1 << 20
"""A stamp with its certificates takes some kilobytes."""


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A time stamp: its file's bytes (a TimeStampResp), and the time that the service names, in UTC."""

    data: bytes
    at: str


def require_library() -> None:
    """Raise `ConfigError` without the extra `stamp`."""
    if find_spec("rfc3161_client") is None:
        raise ConfigError("time stamps need the extra stamp", next="pip install 'syncer[stamp]'")


def ask_for_stamp(url: str, seal: str, timeout_s: float, user_agent: str) -> TimeStamp:
    """Ask a service to stamp a seal. Raises `UnreachableError` when it gives no stamp of it."""
    require_library()
    from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder

    asked = TimestampRequestBuilder(_stamped(seal), HashAlgorithm.SHA256).build()
    remedy = "look at the address of --stamp"
    data = _post(url, asked.as_bytes(), timeout_s, user_agent, remedy)
    try:
        answer = _decoded(data)
    except ValueError:
        raise UnreachableError("what answers at --stamp is no service of RFC 3161", remedy=remedy) from None
    if PKIStatus(answer.status) is not PKIStatus.GRANTED:
        words = "; ".join(answer.status_string) or f"status {answer.status}"
        raise UnreachableError(f"the service of --stamp refused to stamp the seal: {words}", remedy=remedy)
    info = answer.tst_info
    if info.nonce != asked.nonce or info.message_imprint.message != asked.message_imprint.message:
        raise UnreachableError("the service of --stamp answered with a stamp of something else", remedy=remedy)
    return TimeStamp(data, utc_text(info.gen_time.timestamp()))


def stamped_seal(data: bytes, roots: bytes, seals: Sequence[str]) -> tuple[str | None, str]:
    """Return which of the seals a stamp is of (None: of none) and its time; ``roots`` are trusted certificates (PEM).

    Raises `UsageError` for what is no stamp, or none that these certificates vouch for.
    """
    require_library()
    from cryptography import x509
    from rfc3161_client import VerificationError, VerifierBuilder

    remedy = "name a stamp and its roots: --stamp FILE.tsr --stamp-roots FILE.pem"
    try:
        answer = _decoded(data)
        certificates = x509.load_pem_x509_certificates(roots)
    except ValueError as error:
        raise UsageError("--stamp must be a time stamp, --stamp-roots certificates (PEM)", remedy=remedy) from error
    builder = VerifierBuilder()
    for certificate in dict.fromkeys(certificates):
        builder = builder.add_root_certificate(certificate)
    imprint = answer.tst_info.message_imprint.message
    try:
        builder.build().verify(answer, imprint)
    except VerificationError as error:
        raise UsageError(f"the stamp is none that --stamp-roots vouch for: {error}", remedy=remedy) from error
    found = next((seal for seal in seals if hashlib.sha256(_stamped(seal)).digest() == imprint), None)
    return found, utc_text(answer.tst_info.gen_time.timestamp())


def _stamped(seal: str) -> bytes:
    return f"{seal}\n".encode()


def _decoded(data: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    return decode_timestamp_response(data)


def _post(url: str, query: bytes, timeout_s: float, user_agent: str, remedy: str) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "User-Agent": user_agent}
    try:
        with (
            BareSession() as session,
            bounded(session, timeout_s),
            session.post(
                url, data=query, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True
            ) as answer,
        ):
            if answer.status_code != requests.codes.ok:
                raise UnreachableError(f"the service of --stamp answered {answer.status_code}", remedy=remedy)
            return answer.raw.read(ANSWER_BYTES_MAX, decode_content=True)
    except CALL_ERRORS as error:
        words = f"the service of --stamp cannot be reached: {type(error).__name__}"
        raise UnreachableError(words, remedy=remedy) from None
