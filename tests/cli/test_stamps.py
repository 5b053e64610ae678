"""RFC 3161 time stamps of seals, by a real service on loopback (`openssl ts`), checked offline and by openssl itself."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import codes

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")
HEADER = ("extended_id", "market")
SETTINGS = """
[req]
distinguished_name = name
[name]
[stamps]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
[tsa]
default_tsa = service
[service]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


def openssl(folder, *arguments, **more):
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, **more).stdout


@contextlib.contextmanager
def service(folder):
    """A service of time stamps: its own root, its certificate, and HTTP before `openssl ts -reply`."""
    folder.mkdir()
    (folder / "tsa.cnf").write_text(SETTINGS.format(folder=folder))
    (folder / "serial").write_text("01\n")
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-config", "tsa.cnf")
    openssl(folder, *new, "-x509", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-days", "9")
    openssl(folder, *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=stamps")
    openssl(
        folder, "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
        "-out", "tsa.pem", "-days", "9", "-extfile", "tsa.cnf", "-extensions", "stamps",
    )  # fmt: skip

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.heard.append((self.headers["Content-Type"], dict(self.headers)))
            (folder / "asked.tsq").write_bytes(query)
            answer = self.server.answer or openssl(
                folder, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "asked.tsq"
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.heard, server.answer = [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_seal_is_stamped_and_the_stamp_finds_a_cut_end_offline(night, tmp_path):
    with night(codes=codes(2)) as here, service(tmp_path / "tsa") as (server, url):
        root = str(tmp_path / "tsa" / "root.pem")
        assert here.sync(here.write("a.csv", HEADER, [("K000000", "DE")])).code == 0
        shutil.copy(here.folder / "syncer.db", here.folder / "cut.db")
        assert here.sync(here.write("b.csv", HEADER, [("K000001", "DE")]), "--approve").code == 0
        done = here.run("audit", "seal", "--stamp", url, "--out", "b.tsr")
        assert (done.code, done.out) == (0, here.run("audit", "seal").out)
        ((kind, headers),) = server.heard
        assert kind == "application/timestamp-query"
        assert "Authorization" not in headers
        assert (here.folder / "b.tsr").stat().st_mode & 0o777 == 0o600
        # what is stamped is what `audit seal` prints: other programs can check it, too
        (here.folder / "b.seal").write_text(done.out)
        openssl(here.folder, "ts", "-verify", "-in", "b.tsr", "-data", "b.seal", "-CAfile", root)

        assert here.sync(here.write("c.csv", HEADER, [("K000001", "FR")]), "--approve").code == 0
        server.shutdown()  # from here on nobody can be asked
        verified = here.run("audit", "verify", "--json", "--stamp", "b.tsr", "--stamp-roots", root)
        assert (verified.code, verified.document["stamped"]) == (0, done.out.strip())
        assert verified.document["stamped_at"].endswith("Z")
        cut = {"SYNCER_LEDGER__URL": "sqlite:///cut.db"}
        found = here.run("audit", "verify", "--stamp", "b.tsr", "--stamp-roots", root, **cut)
        assert (found.code, "is of no seal of this ledger: its end was cut off" in found.err) == (13, True)
        # a root that did not make it vouches for nothing, and what is no stamp is none
        with service(tmp_path / "other"):
            other = str(tmp_path / "other" / "root.pem")
            refused = here.run("audit", "verify", "--stamp", "b.tsr", "--stamp-roots", other)
        assert (refused.code, "none that --stamp-roots vouch for" in refused.err) == (2, True)
        for arguments in (
            ("--stamp", "b.csv", "--stamp-roots", root),
            ("--stamp", "b.tsr"),
            ("--stamp", "no", "--stamp-roots", root),
        ):
            assert here.run("audit", "verify", *arguments).code == 2


@pytest.mark.parametrize("answer", [b"<html>", b""])
def test_a_service_that_gives_no_stamp_leaves_no_file_and_is_named(night, tmp_path, answer):
    with night(codes=codes(1)) as here, service(tmp_path / "tsa") as (server, url):
        assert here.run("init").code == 0
        assert here.run("audit", "seal", "--stamp", url, "--out", "a.tsr").code == 2  # no run has ended
        assert here.sync(here.write("a.csv", HEADER, [("K000000", "DE")])).code == 0
        server.answer = answer or (tmp_path / "tsa" / "serial").read_bytes()
        done = here.run("audit", "seal", "--stamp", url, "--out", "a.tsr")
        assert (done.code, "is no service of RFC 3161" in done.err) == (5, True)
        assert here.run("audit", "seal", "--stamp", "http://127.0.0.1:9/", "--out", "a.tsr").code == 5
        assert here.run("audit", "seal", "--stamp", "nonsense", "--out", "a.tsr").code == 5
        assert here.run("audit", "seal", "--stamp", url).code == 2
        assert not (here.folder / "a.tsr").exists()
