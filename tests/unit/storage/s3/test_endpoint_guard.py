"""The endpoint guard: what customers' endpoints may not be."""

from __future__ import annotations

import http.server
import ipaddress
import pathlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import errors
from penstock import settings as settings_module
from penstock.storage import CustomerBucket, CustomerKey, Secret, opening
from penstock.storage.s3 import endpoint_guard
from penstock.storage.s3 import store as s3

KEY = CustomerKey.generate()

HOSTILE_URLS = [
    # no https
    "http://s3.example.com",
    "ftp://s3.example.com",
    "file:///etc/passwd",
    "gopher://s3.example.com",
    "unix:///var/run/docker.sock",
    "//s3.example.com",
    "s3.example.com",
    "HTTP://s3.example.com",
    "",
    "https://",
    "https:///path",
    "https:s3.example.com",
    # something in it that does not belong
    "https://user@s3.example.com",
    "https://user:password@s3.example.com",
    "https://s3.example.com@127.0.0.1",
    "https://s3.example.com:443@127.0.0.1",
    "https://@s3.example.com",
    "https://s3.example.com?x=1",
    "https://s3.example.com?",
    "https://s3.example.com#x",
    "https://s3.example.com#@127.0.0.1/",
    "https://s3.example.com/../admin",
    "https://s3.example.com/%2e%2e/admin",
    "https://s3.example.com\\@127.0.0.1",
    "https://s3.example.com /",
    " https://s3.example.com",
    "https://s3.example.com\r\nHost: evil",
    "https://s3.example.com\t",
    "https://s3.exa\x00mple.com",
    # ports
    "https://s3.example.com:22",
    "https://s3.example.com:25",
    "https://s3.example.com:80",
    "https://s3.example.com:0",
    "https://s3.example.com:65536",
    "https://s3.example.com:-1",
    "https://s3.example.com:x",
    "https://s3.example.com:",
    # IPv4, properly written
    "https://127.0.0.1",
    "https://127.255.255.254:9000",
    "https://0.0.0.0",
    "https://0.1.2.3",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "https://172.31.255.255",
    "https://192.168.1.1",
    "https://169.254.169.254",
    "https://169.254.170.2",
    "https://100.64.0.1",
    "https://100.100.100.200",
    "https://168.63.129.16",
    "https://192.0.0.192",
    "https://192.0.2.1",
    "https://192.88.99.1",
    "https://198.18.0.1",
    "https://198.51.100.1",
    "https://203.0.113.9",
    "https://224.0.0.1",
    "https://239.255.255.250",
    "https://240.0.0.1",
    "https://255.255.255.255",
    # IPv4 in disguise
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://017700000001",
    "https://0177.0.0.1",
    "https://127.1",
    "https://127.0.1",
    "https://10.1",
    "https://127.0.0.1.",
    "https://0",
    "https://0x",
    "https://a.b.c.0x7f",
    "https://1.2.3.4.5",
    "https://127.0.0.256",
    "https://①②⑦.⓪.⓪.①",
    "https://127。0。0。1",
    "https://127.0.0.1%00.s3.example.com",
    "https://%31%32%37.0.0.1",
    # IPv6
    "https://[::1]",
    "https://[::]",
    "https://[0:0:0:0:0:0:0:1]:9000",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:7f00:1]",
    "https://[::ffff:8.8.8.8]",
    "https://[::127.0.0.1]",
    "https://[fe80::1]",
    "https://[fe80::1%25eth0]",
    "https://[fe80::1%eth0]",
    "https://[fec0::1]",
    "https://[fc00::1]",
    "https://[fd00:ec2::254]",
    "https://[ff02::1]",
    "https://[64:ff9b::7f00:1]",
    "https://[64:ff9b::a9fe:a9fe]",
    "https://[64:ff9b:1::1]",
    "https://[2002:7f00:1::1]",
    "https://[2002:a9fe:a9fe::]",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "https://[2001:db8::1]",
    "https://[2600::5efe:127.0.0.1]",
    "https://[100::1]",
    "https://[::1",
    "https://::1",
    # names of the neighbourhood, and names that are none
    "https://localhost",
    "https://LOCALHOST:9000",
    "https://localhost.",
    "https://a.localhost",
    "https://printer.local",
    "https://metadata.google.internal",
    "https://vault.internal",
    "https://router.lan",
    "https://-bad.example.com",
    "https://bad-.example.com",
    "https://a..example.com",
    "https://.example.com",
    "https://exa mple.com",
    "https://exämple.com",
    "https://" + "a" * 64 + ".com",
    "https://" + "a." * 127 + "com",
]

HOSTILE_ADDRESSES = [
    "127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.0.10", "169.254.169.254", "100.64.1.1", "100.127.255.255",
    "0.0.0.0", "224.0.0.251", "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1", "fd12::1", "ff02::fb",
    "::ffff:10.0.0.1", "::ffff:93.184.216.34", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "2002:0a00:0001::",
    "2001::1", "::10.0.0.1", "fd00:ec2::254", "2600::200:5efe:10.0.0.1",
]  # fmt: skip

HARMLESS_URLS = [
    "https://s3.example.com",
    "https://s3.example.com/",
    "https://S3.Example.COM:443",
    "https://minio.example.com:9000",
    "https://ceph.example.com:7443",
    "https://s3.eu-west-3.amazonaws.com",
    "https://project.example.com/storage/v1/s3",
    "https://xn--exmple-cua.com",
    "https://s3.example.com.",
    "https://93.184.216.34:8443",
    "https://[2606:2800:220:1:248:1893:25c8:1946]",
    "https://[64:ff9b::5db8:d822]",
]


def test_there_are_enough_hostile_endpoints() -> None:
    assert len(set(HOSTILE_URLS)) >= 60


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_endpoint_is_refused_before_anything_is_resolved(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("resolved")

    with pytest.raises(errors.DestinationError) as refusal:
        endpoint_guard.EndpointGuard(resolve=resolve).check_url(url)
    assert refusal.value.code == "endpoint_not_allowed"
    assert "password" not in refusal.value.detail.replace("a user name or password", "")


@pytest.mark.parametrize("url", HARMLESS_URLS)
def test_a_harmless_endpoint_passes(url: str) -> None:
    endpoint_guard.EndpointGuard().check_url(url)


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_a_name_that_resolves_to_a_hostile_address_is_refused(address: str) -> None:
    guard = endpoint_guard.EndpointGuard(resolve=lambda host, port: [address])
    with pytest.raises(errors.DestinationError) as refusal:
        guard.addresses("s3.example.com", 443)
    assert refusal.value.code == "endpoint_not_allowed"
    assert str(ipaddress.ip_address(address)) in refusal.value.detail


def test_one_hostile_address_among_good_ones_is_enough_to_refuse() -> None:
    guard = endpoint_guard.EndpointGuard(resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(errors.DestinationError):
        guard.addresses("s3.example.com", 443)


def test_good_addresses_come_back_in_the_resolver_s_order() -> None:
    found = ["2606:2800:220:1:248:1893:25c8:1946", "93.184.216.34", "93.184.216.34"]
    guard = endpoint_guard.EndpointGuard(resolve=lambda host, port: found)
    assert guard.addresses("s3.example.com", 443) == found[:2]


def test_the_operator_allows_hosts_and_ranges() -> None:
    guard = endpoint_guard.EndpointGuard(
        ["minio.internal", "10.1.0.0/16", "fd12::/16"], resolve=lambda h, p: ["10.1.2.3"]
    )
    guard.check_url("https://minio.internal:80")
    guard.check_url("https://MINIO.internal.")
    guard.check_url("https://10.1.200.3:9000")
    guard.check_url("https://[fd12::5]")
    assert guard.addresses("storage.example.com", 443) == ["10.1.2.3"]
    for other in ("https://10.2.0.1", "https://x.minio.internal", "https://127.0.0.1", "http://minio.internal"):
        with pytest.raises(errors.DestinationError):
            guard.check_url(other)


def test_an_allowed_host_may_resolve_to_anything() -> None:
    guard = endpoint_guard.EndpointGuard(["minio.internal"], resolve=lambda host, port: ["127.0.0.1"])
    assert guard.addresses("minio.internal", 9000) == ["127.0.0.1"]
    with pytest.raises(errors.DestinationError):
        guard.addresses("other.example.com", 9000)


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://minio", "a b", "0x7f.1", "*"])
def test_an_entry_that_is_neither_host_nor_range_is_refused(entry: str) -> None:
    with pytest.raises(errors.ConfigurationError):
        endpoint_guard.EndpointGuard([entry])


# At connect time, through boto3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A certificate for localhost and s3.example.com, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    key = path.with_name("key.pem")
    names = "subjectAltName=DNS:s3.example.com,DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*command, "-addext", names, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True
    )
    path.write_text(path.read_text() + key.read_text())
    return path


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests: list[str]
    answer: tuple[int, dict[str, str], bytes]
    connections = 0

    def setup(self) -> None:
        type(self).connections += 1
        super().setup()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append(f"{self.command} {self.headers['Host']}")
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_DELETE = do_POST = do_PUT

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def server(certificate: pathlib.Path) -> Iterator[Any]:
    """An https server on this machine that writes down who came."""
    handler = type("Handler", (Recorder,), {"requests": [], "answer": (200, {}, b"")})
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    made.seen = handler.requests  # type: ignore[attr-defined]
    made.handler = handler  # type: ignore[attr-defined]
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def customer_store(port: int, guard: endpoint_guard.EndpointGuard, ca_file: pathlib.Path, host: str) -> s3.S3Store:
    return s3.S3Store(
        s3.S3Settings(
            bucket="bucket",
            endpoint_url=f"https://{host}:{port}",
            access_key_id="id",
            secret_access_key=Secret("secret"),
            ca_file=str(ca_file),
            guard=guard,
            retry_seconds=0,
        )
    )


def test_a_name_that_is_rebound_between_check_and_use_reaches_nobody(server: Any, certificate: pathlib.Path) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]])
    guard = endpoint_guard.EndpointGuard(resolve=lambda host, port: next(answers))
    port = server.server_address[1]
    assert guard.addresses("s3.example.com", port) == ["93.184.216.34"]
    with pytest.raises(errors.DestinationError) as refusal:
        customer_store(port, guard, certificate, "s3.example.com").put("k", b"", KEY, content_type="a/b", filename="f")
    assert refusal.value.code == "endpoint_not_allowed"
    assert server.seen == []


def test_the_address_connected_to_is_the_one_that_was_checked(
    server: Any, certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver would say something else: it is not asked about the name again."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def spy(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    guard = endpoint_guard.EndpointGuard(["s3.example.com"], resolve=lambda host, port: ["127.0.0.1"])
    port = server.server_address[1]
    customer_store(port, guard, certificate, "s3.example.com").delete("k")
    assert server.seen == [f"DELETE s3.example.com:{port}"]
    assert set(asked) == {"127.0.0.1"}


def test_the_certificate_is_still_checked_against_the_name(server: Any, certificate: pathlib.Path) -> None:
    guard = endpoint_guard.EndpointGuard(["other.example.com"], resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(errors.StorageError) as refusal:
        customer_store(server.server_address[1], guard, certificate, "other.example.com").delete("k")
    assert refusal.value.code == "tls_untrusted"
    assert server.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Any, certificate: pathlib.Path, status: int) -> None:
    port = server.server_address[1]
    server.handler.answer = (status, {"Location": f"https://localhost:{port}/stolen"}, b"")
    guard = endpoint_guard.EndpointGuard(["s3.example.com"], resolve=lambda host, port: ["127.0.0.1"])
    store = customer_store(port, guard, certificate, "s3.example.com")
    for _ in range(2):  # the second over the connection of the first: none is lost on the way
        with pytest.raises(errors.StorageError) as refusal:
            store.delete("k")
        assert refusal.value.code == "wrong_region"
    assert server.seen == [f"DELETE s3.example.com:{port}"] * 2
    assert server.handler.connections == 1


def test_an_answer_that_names_a_region_sends_us_nowhere(server: Any, certificate: pathlib.Path) -> None:
    body = (
        b"<Error><Code>PermanentRedirect</Code><Endpoint>evil.example.com</Endpoint><Region>eu-west-3</Region></Error>"
    )
    server.handler.answer = (301, {"x-amz-bucket-region": "eu-west-3"}, body)
    guard = endpoint_guard.EndpointGuard(["s3.example.com"], resolve=lambda host, port: ["127.0.0.1"])
    port = server.server_address[1]
    with pytest.raises(errors.StorageError) as refusal:
        customer_store(port, guard, certificate, "s3.example.com").delete("k")
    assert refusal.value.detail == "The bucket 'bucket' is in region 'eu-west-3', not in 'us-east-1'."
    assert server.seen == [f"DELETE s3.example.com:{port}"]


def test_a_proxy_of_the_environment_is_not_used(
    server: Any, certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    guard = endpoint_guard.EndpointGuard(["s3.example.com"], resolve=lambda host, port: ["127.0.0.1"])
    customer_store(server.server_address[1], guard, certificate, "s3.example.com").delete("k")
    assert len(server.seen) == 1


def test_an_endpoint_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://evil.example.com")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://evil.example.com")
    bucket = CustomerBucket(bucket_name="bucket", access_key_id="id", secret_access_key=Secret("secret"))
    store = opening.open_customer_store(bucket, settings_module.Settings())
    url = store.presign("k", KEY, expires_in_seconds=60, filename="f")
    assert url.startswith("https://bucket.s3.amazonaws.com/k?")


def test_opening_a_customer_store_refuses_what_resolves_near_by() -> None:
    def bucket(endpoint: str) -> CustomerBucket:
        members = {"bucket_name": "b", "access_key_id": "i", "secret_access_key": "s", "endpoint_url": endpoint}
        return CustomerBucket.parse({**members, "bucket_name": "bucket"})

    for endpoint in ("https://127.0.0.1:7443", "http://s3.example.com", "https://localhost", "https://10.0.0.1"):
        with pytest.raises(errors.DestinationError) as refusal:
            opening.open_customer_store(bucket(endpoint), settings_module.Settings())
        assert refusal.value.code == "endpoint_not_allowed"
    allowed = settings_module.Settings(endpoint_allow_list=("127.0.0.0/8",))
    opening.open_customer_store(bucket("https://127.0.0.1:7443"), allowed)
    opening.open_customer_store(bucket("https://does-not-resolve.invalid"), settings_module.Settings())
