"""Claims about the local certificate authority."""

from __future__ import annotations

import datetime as dt
import http.client
import pathlib
import socket
import ssl
import stat
import threading

import pytest
from cryptography import x509

from penstock import errors, settings
from penstock.control import secrets
from penstock.process import certificates, server

NOW = dt.datetime.now(dt.UTC)


def certificate(path: pathlib.Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path: pathlib.Path) -> set[str]:
    found = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def handshake(files: certificates.TlsFiles, host: str, address: str = "127.0.0.1") -> str:
    """Connects as a client that trusts only the CA; returns the TLS version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.key_file)
    with socket.create_server((address, 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        trusting = ssl.create_default_context(cafile=str(files.ca_file))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        connection = http.client.HTTPSConnection(host, listener.getsockname()[1], context=trusting, timeout=5)
        try:
            connection.request("GET", "/")
            assert connection.getresponse().status == 204
            version = connection.sock.version()
        finally:
            connection.close()
            thread.join()
    return str(version)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_ca_connects(tmp_path: pathlib.Path, host: str) -> None:
    assert handshake(certificates.ensure(tmp_path, ["127.0.0.1"], NOW), host) == "TLSv1.3"


def test_names_hold_loopback_and_the_hosts_but_not_any_address(tmp_path: pathlib.Path) -> None:
    files = certificates.ensure(tmp_path, ["0.0.0.0", "::", "[2001:db8::1]", "Penstock.Example", "10.1.2.3"], NOW)
    assert names(files.certificate_file) == {
        "localhost", "127.0.0.1", "::1", "2001:db8::1", "penstock.example", "10.1.2.3",
    }  # fmt: skip


def test_again_changes_nothing(tmp_path: pathlib.Path) -> None:
    certificates.ensure(tmp_path, ["a.example"], NOW)
    before = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    certificates.ensure(tmp_path, ["a.example"], NOW + dt.timedelta(days=100))
    assert {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before
    assert set(before) == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}


@pytest.mark.parametrize(("days", "hosts"), [(370, ["a.example"]), (0, ["a.example", "b.example"])])
def test_the_server_certificate_is_renewed_and_the_ca_stays(
    tmp_path: pathlib.Path, days: int, hosts: list[str]
) -> None:
    first = certificates.ensure(tmp_path, ["a.example"], NOW)
    ca, serial = first.ca_file.read_bytes(), certificate(first.certificate_file).serial_number
    second = certificates.ensure(tmp_path, hosts, NOW + dt.timedelta(days=days))
    assert second.ca_file.read_bytes() == ca
    assert certificate(second.certificate_file).serial_number != serial
    certificate(second.certificate_file).verify_directly_issued_by(certificate(second.ca_file))


def test_an_old_ca_is_replaced_with_what_it_signed(tmp_path: pathlib.Path) -> None:
    first = certificates.ensure(tmp_path, [], NOW)
    old = first.ca_file.read_bytes()
    later = NOW + dt.timedelta(days=certificates.CA_VALID_DAYS - 10)
    second = certificates.ensure(tmp_path, [], later)
    assert second.ca_file.read_bytes() != old
    certificate(second.certificate_file).verify_directly_issued_by(certificate(second.ca_file))


def test_a_ca_whose_key_is_another_one_is_replaced(tmp_path: pathlib.Path) -> None:
    """A kill between the two files of a new CA leaves such a pair."""
    first = certificates.ensure(tmp_path, [], NOW)
    old = first.ca_file.read_bytes()
    certificates.ensure(tmp_path / "other", [], NOW)
    (tmp_path / "other" / "tls" / "ca-key.pem").replace(tmp_path / "tls" / "ca-key.pem")
    second = certificates.ensure(tmp_path, [], NOW)
    assert second.ca_file.read_bytes() != old
    assert handshake(second, "localhost") == "TLSv1.3"


def test_only_the_owner_can_read_keys(tmp_path: pathlib.Path) -> None:
    certificates.ensure(tmp_path, [], NOW)
    for name in ("ca-key.pem", "server-key.pem"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_the_server_key_can_sign_no_certificate(tmp_path: pathlib.Path) -> None:
    server = certificate(certificates.ensure(tmp_path, [], NOW).certificate_file)
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert server.not_valid_after_utc - server.not_valid_before_utc < dt.timedelta(days=398, hours=2)


def test_damaged_files_are_named(tmp_path: pathlib.Path) -> None:
    certificates.ensure(tmp_path, [], NOW)
    (tmp_path / "tls" / "ca.pem").write_text("not a certificate")
    with pytest.raises(errors.ConfigurationError, match="tls") as caught:
        certificates.ensure(tmp_path, [], NOW)
    assert caught.value.code == "tls_files_unusable"


@pytest.mark.parametrize(
    ("public_url", "host"), [("https://penstock.example:8443", "penstock.example"), ("https://192.0.2.2", "192.0.2.2")]
)
def test_the_certificate_names_the_host_that_clients_are_told_to_use(
    tmp_path: pathlib.Path, public_url: str, host: str
) -> None:
    secrets.MasterKeys.create(tmp_path)
    values = settings.load(home=tmp_path, host="0.0.0.0", port=0, public_url=public_url)
    with server.running(values, tls=True, worker=False) as listening:
        assert listening.ca_file is not None
        assert {host, "localhost"} <= names(listening.ca_file.with_name("server.pem"))
