"""Systems that files come from, on loopback: an S3 of moto's, and an SFTP server with keys."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

BUCKET = "erp-exports"
S3_SECRET = "canary-secret-of-s3"


@dataclass
class Bucket:
    """A bucket, and the variables by which S3's own tools find it."""

    client: Any
    environment: dict[str, str]
    root: str = f"s3://{BUCKET}/"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def names(self) -> list[str]:
        return sorted(one["Key"] for one in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", []))


@contextlib.contextmanager
def s3_server() -> Iterator[Bucket]:
    """Give an empty bucket on a server of its own."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key=S3_SECRET
    )
    client.create_bucket(Bucket=BUCKET)
    variables = {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    try:
        yield Bucket(client, variables)
    finally:
        client.close()
        server.stop()


@dataclass
class SshHost:
    """A host with files, a user's home that knows it, and what each file that is opened lets happen first."""

    folder: Path
    home: Path
    port: int
    on_open: list[Any] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    """Further names that listings give, which no file has."""

    @property
    def root(self) -> str:
        return f"sftp://night@127.0.0.1:{self.port}/"

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home)}


@contextlib.contextmanager
def sftp_server(folder: Path) -> Iterator[SshHost]:
    """Give an SSH host that serves a folder to the user ``night``, by a key, to whoever knows the host."""
    host = SshHost(folder / "there", folder / "home", 0)
    host.folder.mkdir()
    secrets = host.home / ".ssh"
    secrets.mkdir(parents=True)
    host_key, user_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user_key.write_private_key(str(secrets / "id_ed25519"))
    (secrets / "id_ed25519").chmod(0o600)

    class Files(asyncssh.SFTPServer):
        def __init__(self, channel):
            super().__init__(channel, chroot=str(host.folder).encode())

        def open(self, path, pflags, attrs):
            for act in host.on_open:
                act(path)
            return super().open(path, pflags, attrs)

        async def scandir(self, path):
            async for one in super().scandir(path):
                yield one
            for name in host.names:
                attributes = asyncssh.SFTPAttrs(size=3, permissions=0o100644, atime=1, mtime=1)
                yield asyncssh.SFTPName(name, "", attributes)

    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve():
        users = asyncssh.import_authorized_keys(user_key.export_public_key().decode())
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=users, sftp_factory=Files
        )
        host.port = server.get_port()
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    known = f"[127.0.0.1]:{host.port} {host_key.export_public_key().decode()}"
    (secrets / "known_hosts").write_text(known)
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
