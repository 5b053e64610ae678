"""The storage form against another implementation of S3: moto's server, with a presigned POST made by boto3."""

from __future__ import annotations

import io
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from syncer.api.storage import Form, StorageHost, StorageVerdict, address_fault, classify_storage

boto3 = pytest.importorskip("boto3")
BUCKET = "st-media-test"


@pytest.fixture(scope="module")
def s3():
    """An S3 of moto's, over HTTP on loopback, with a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.stop()


def presigned(s3, key, **fields):
    conditions = [{name: value} for name, value in fields.items()]
    return s3.generate_presigned_post(BUCKET, key, Fields=dict(fields), Conditions=conditions, ExpiresIn=1800)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("size", [0, 1, 4095, 1 << 20, 5_000_001])
def test_a_presigned_post_of_boto3_is_taken_and_the_file_arrives_byte_for_byte(s3, tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    path = tmp_path / "codes.csv"
    path.write_bytes(content[:size])
    form = presigned(s3, f"ingestion/{size}.csv", **{"Content-Type": "text/csv", "success_action_status": "201"})
    host = StorageHost(timeout_s=10, user_agent="test")
    for _ in range(2):  # posted twice: the same place, the same bytes
        answer = host.post(form["url"], form["fields"], path, content_type="text/csv", valid_s=60)
        assert answer.verdict is StorageVerdict.STORED, answer
    found = s3.get_object(Bucket=BUCKET, Key=f"ingestion/{size}.csv")
    assert found["Body"].read() == content[:size]
    assert found["ContentType"] == "text/csv"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_bucket_that_is_not_there_is_a_refusal_with_its_words(s3, tmp_path):
    path = tmp_path / "codes.csv"
    path.write_bytes(b"id\n")
    form = presigned(s3, "k.csv")
    url = form["url"].replace(BUCKET, "no-such-bucket")
    answer = StorageHost(timeout_s=10, user_agent="test").post(
        url, form["fields"], path, content_type="text/csv", valid_s=60
    )
    assert answer.verdict is StorageVerdict.REFUSED
    assert "NoSuchBucket" in answer.message


class Catch(BaseHTTPRequestHandler):
    """Keeps what it is sent; answers as it is told."""

    protocol_version = "HTTP/1.1"
    status, headers_out = 201, {}
    seen: list

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, dict(self.headers), body))
        self.send_response(self.status)
        for name, value in {"Content-Length": "0", "Set-Cookie": "a=b", **self.headers_out}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def catcher():
    servers = []

    def begin(context=None, **members):
        kind = type("Caught", (Catch,), {"seen": [], **members})
        server = HTTPServer(("127.0.0.1", 0), kind)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/b/", kind.seen

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def post(url, path, fields=None, **settings):
    host = StorageHost(timeout_s=5, user_agent="syncer/test", **settings)
    return host.post(url, fields or {"key": "k"}, path, content_type="text/csv", valid_s=30)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id\nabcd1234\n")
    return path


def test_nothing_of_the_environment_or_of_a_session_goes_along(catcher, file, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url, seen = catcher()
    for _ in range(2):
        assert post(url, file).verdict is StorageVerdict.STORED
    for _, headers, _ in seen:
        assert {name.lower() for name in headers} <= {
            "host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "connection",
        }  # fmt: skip


def test_fields_go_in_their_order_as_they_are_and_the_file_is_the_last(catcher, file):
    url, seen = catcher()
    fields = {"z": "1", "a": 'q"uo\r\nte', 'we"ird\r\nname': "välue 中", "policy": "x" * 9000}
    assert post(url, file, fields).verdict is StorageVerdict.STORED
    ((_, headers, body),) = seen
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]
    heads, contents = zip(*(piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1) for piece in pieces), strict=True)
    names = [head.partition(b'name="')[2].partition(b'"')[0].decode() for head in heads]
    assert names == ["z", "a", "we%22ird%0D%0Aname", "policy", "file"]
    assert [content.decode() for content in contents[:-1]] == list(fields.values())
    assert contents[-1] == file.read_bytes()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(catcher, file, status):
    elsewhere, caught = catcher()
    url, seen = catcher(status=status, headers_out={"Location": elsewhere})
    assert post(url, file).verdict is StorageVerdict.REFUSED
    assert (len(seen), caught) == (1, [])


def test_a_certificate_that_cannot_be_verified_gets_no_byte(catcher, file, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    url, seen = catcher(context)
    assert post(url, file).verdict is StorageVerdict.TRY_AGAIN
    assert seen == []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert post(url, file, ca_file=str(tmp_path / "ca.pem")).verdict is StorageVerdict.STORED


@pytest.mark.parametrize(
    "url",
    [
        "http://st-media.s3.amazonaws.com/", "ftp://127.0.0.1/", "//127.0.0.1/", "http://127.0.0.1@example.com/",
        "https://user:secret@example.com/", "https://", "http://127.0.0.1:port/", "file:///etc/passwd", "", "http://0.0.0.0/",
    ],
)  # fmt: skip
def test_other_addresses_get_nothing(file, url):
    assert address_fault(url) is not None
    answer = post(url, file)
    assert (answer.verdict, answer.status_code) == (StorageVerdict.REFUSED, None)
    assert "secret" not in answer.message


def test_https_and_loopback_are_taken():
    for url in (
        "https://st-media-dev.s3.amazonaws.com/",
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://localhost/",
    ):
        assert address_fault(url) is None


@pytest.mark.parametrize(
    ("status", "words", "verdict"),
    [
        (201, "<PostResponse/>", "stored"), (204, "", "stored"), (200, "<html>busy</html>", "try_again"),
        (503, "<Error><Code>SlowDown</Code></Error>", "try_again"), (500, "", "try_again"), (429, "", "try_again"),
        (400, "<Error><Code>RequestTimeout</Code><Message>m</Message></Error>", "try_again"),
        (400, "<Error><Code>EntityTooLarge</Code></Error>", "refused"),
        (403, "<Error><Code>AccessDenied</Code><Message>Policy expired</Message></Error>", "refused"),
        (307, "", "refused"), (404, "", "refused"),
    ],
)  # fmt: skip
def test_what_storage_says_becomes_one_of_three_verdicts(status, words, verdict):
    assert classify_storage(status, words).verdict == verdict


def test_a_form_is_as_long_as_it_says_and_a_file_that_shrinks_is_an_error():
    content = b"x" * 100_000
    form = Form({"a": "b"}, io.BytesIO(content), len(content), "text/csv", lambda count: None)
    said, read = len(form), b"".join(form)
    assert said == len(read)
    assert content in read
    short = Form({"a": "b"}, io.BytesIO(content[:10]), len(content), "text/csv", lambda count: None)
    with pytest.raises(OSError, match="shorter"):
        b"".join(short)
