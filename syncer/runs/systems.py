"""The systems that files may lie in beside this machine: their names, libraries, credentials and refusals.

What always holds: a library is loaded when a job names its system, and one that is missing is named with its extra; a
URL has no password in it; what an error says is cut, and what looks like one of this process's secrets is left out.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from syncer.errors import ConfigError
from syncer.safe.inert import inert
from syncer.safe.urls import HOST, url_fault

WORDS_MAX = 200
CONNECT_S = 30
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASS|CREDENTIAL|CONNECTION|SAS|SIGNATURE", re.IGNORECASE)
_SHORT_SECRET = 8
_ACCESS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
    "ProfileNotFound", "UnauthorizedSSOTokenError", "SSOTokenLoadError", "PermissionDenied", "HostKeyNotVerifiable",
    "KeyExchangeFailed", "KeyEncryptionError", "KeyImportError", "ClientAuthenticationError",
    "CredentialUnavailableError", "DefaultCredentialsError", "RefreshError", "SFTPPermissionDenied",
})  # fmt: skip
"""Names of the errors by which these systems say that nobody may look: asking again changes nothing."""
_REFUSED = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|ExpiredToken|InvalidToken|AuthenticationFailed|AuthorizationFailure"
    r"|\b(?:401|403)\b|Forbidden"
)
_LOGS = ("asyncssh", "sshfs", "botocore", "aiobotocore", "s3fs", "azure", "adlfs", "gcsfs", "google", "fsspec")


@dataclass(frozen=True, slots=True)
class System:
    """A system: its scheme, its library and the extra that brings it, what helps. ``appends``: files grow there."""

    scheme: str
    library: str
    extra: str
    make: Callable[[str], Any]
    remedy: str
    appends: bool = False


def _s3(_place: str) -> Any:
    from s3fs import S3FileSystem

    return S3FileSystem(anon=False, use_listings_cache=False, skip_instance_cache=True)


def _azure(_place: str) -> Any:
    from adlfs import AzureBlobFileSystem

    return AzureBlobFileSystem(anon=False, use_listings_cache=False, skip_instance_cache=True)


def _google(_place: str) -> Any:
    from gcsfs import GCSFileSystem

    return GCSFileSystem(token="google_default", use_listings_cache=False, skip_instance_cache=True)  # noqa: S106


def _sftp(place: str) -> Any:
    from sshfs import SSHFileSystem

    found = HOST.fullmatch(place)
    assert found is not None  # noqa: S101  system_of looked
    options: dict[str, Any] = {"username": found["user"]} if found["user"] else {}
    if found["port"]:
        options["port"] = int(found["port"])
    return SSHFileSystem(
        found["host"].strip("[]"), known_hosts=(), connect_timeout=CONNECT_S, login_timeout=CONNECT_S,
        keepalive_interval=CONNECT_S / 2, skip_instance_cache=True, **options,
    )  # fmt: skip


SYSTEMS = {
    one.scheme: one
    for one in (
        System("s3", "s3fs", "s3", _s3, "aws s3 ls {}  # with AWS_… variables, ~/.aws, or the machine's role"),
        System(
            "sftp",
            "sshfs",
            "sftp",
            _sftp,
            "sftp {}  # with a key of ~/.ssh or the agent; known_hosts has the host",
            True,
        ),
        System(
            "az",
            "adlfs",
            "azure",
            _azure,
            "az storage container list  # with AZURE_STORAGE_… variables, or az login ({})",
        ),
        System(
            "gs", "gcsfs", "gcs", _google, "gcloud storage ls {}  # with GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth"
        ),
    )
}


def system_of(url: str) -> tuple[System, str]:
    """Return the system of a URL, and the path as its library names it. Raises `ConfigError`."""
    fault = url_fault(url)
    if fault is not None:
        remedy = "correct the address, or copy the files to this machine first"
        raise ConfigError(f"the address of the files must be {fault}", remedy=remedy)
    scheme, _, rest = url.partition("://")
    system = SYSTEMS[scheme.lower()]
    return system, "/" + rest.partition("/")[2] if system.appends else rest


def open_system(system: System, root: str) -> Any:
    """Return the file system. Raises `ConfigError` when its library is not installed."""
    for name in _LOGS:  # at DEBUG they tell of headers
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return system.make(root.partition("://")[2])
    except ImportError:
        raise _missing(system) from None


def require_library(url: str) -> None:
    """Raise `ConfigError` when the library of a URL's system is not installed; asks nobody."""
    system, _ = system_of(url)
    try:
        import_module(system.library)
    except ImportError:
        raise _missing(system) from None


def _missing(system: System) -> ConfigError:
    return ConfigError(
        f"files of {system.scheme}:// need libraries that are not installed: the extra {system.extra}",
        next=f"pip install 'syncer[{system.extra}]'",
    )


def is_access(error: BaseException | None) -> bool:
    """Tell whether an error says that access is refused, or that there are no credentials; its causes count."""
    for _ in range(8):
        if error is None:
            return False
        if isinstance(error, PermissionError) or type(error).__name__ in _ACCESS or _REFUSED.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def told(error: BaseException) -> str:
    """Return what an error says, without what is secret, in brief."""
    words = inert(" ".join(str(error).split()))
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORT_SECRET:
            words = words.replace(value, "***")
    kind = type(error).__name__
    return f"{kind}: {words[:WORDS_MAX]}" if words else kind
