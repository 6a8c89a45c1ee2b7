"""A certificate authority of this machine's own, so that clients which insist on https can be pointed at the service.

`ensure(home, hosts, now)` keeps in `HOME/tls`: `ca.pem` (give it to clients: `REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE`,
`curl --cacert`), `ca-key.pem`, `server.pem` and `server-key.pem`. Keys are readable by their owner only.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import pathlib
from collections.abc import Iterable, Sequence

from cryptography import exceptions as crypto_exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from penstock import errors
from penstock.base import durable_files

CA_VALID_DAYS = 3650
SERVER_VALID_DAYS = 397
"""Browsers refuse more than 398 days."""

RENEW_BEFORE_DAYS = 30
ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
"""Names and addresses every server certificate holds."""

# A client whose clock is a little behind would else see a certificate that is not valid yet.
_CLOCK_SKEW = dt.timedelta(hours=1)
_ANY_ADDRESS = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 compared with, not bound to


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Where the files lie.

    Attributes:
        ca_file: the CA's certificate; not secret; clients trust it.
        certificate_file: the server's certificate.
        key_file: the server's private key, mode 0600.
    """

    ca_file: pathlib.Path
    certificate_file: pathlib.Path
    key_file: pathlib.Path


def ensure(home: pathlib.Path, hosts: Iterable[str], now: dt.datetime) -> TlsFiles:
    """CA and server certificate for `hosts`, made or renewed where needed. Idempotent; the CA stays as long as it can.

    Raises:
        ConfigurationError: `tls_files_unusable`, when the folder cannot be written or its files are not ours.
    """
    folder = home.resolve() / "tls"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _authority(folder, now)
        return _server(folder, authority, _names(hosts), now)
    except (OSError, ValueError) as error:
        raise errors.ConfigurationError(
            "tls_files_unusable",
            f"The certificates in {folder} cannot be used: {error}.",
            "Make the folder writable, or remove it: new ones are made, and clients need the new ca.pem.",
        ) from error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    ca_file: pathlib.Path


def _authority(folder: pathlib.Path, now: dt.datetime) -> _Authority:
    ca_file, key_file = folder / "ca.pem", folder / "ca-key.pem"
    if ca_file.exists() and key_file.exists():
        certificate, key = x509.load_pem_x509_certificate(ca_file.read_bytes()), _load_key(key_file)
        # They are replaced one after the other: a kill in between leaves a new key beside an old certificate.
        if _is_fresh(certificate, now) and certificate.public_key() == key.public_key():
            return _Authority(certificate=certificate, key=key, ca_file=ca_file)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, f"Penstock local CA {now:%Y-%m-%d}")])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_VALID_DAYS)
        # No CA below it: this key is trusted by clients, and can sign servers only.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    durable_files.replace(key_file, _key_bytes(key), mode=0o600)
    durable_files.replace(ca_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return _Authority(certificate=certificate, key=key, ca_file=ca_file)


def _server(folder: pathlib.Path, authority: _Authority, names: Sequence[str], now: dt.datetime) -> TlsFiles:
    files = TlsFiles(
        ca_file=authority.ca_file, certificate_file=folder / "server.pem", key_file=folder / "server-key.pem"
    )
    if files.certificate_file.exists() and files.key_file.exists():
        certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
        # More names than asked for are no reason for a new one: the service may be started under several in turn.
        if _is_fresh(certificate, now) and set(names) <= _named(certificate) and _is_signed_by(certificate, authority):
            return files
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "penstock")])
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, SERVER_VALID_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # RFC 5280 §4.2.1.1 asks for it; Python 3.13 checks strictly and refuses a certificate without.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    durable_files.replace(files.key_file, _key_bytes(key), mode=0o600)
    durable_files.replace(files.certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: dt.datetime, valid_days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=valid_days))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        # An elliptic-curve key only signs in TLS; it never encrypts another key.
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(hosts: Iterable[str]) -> list[str]:
    """`ALWAYS_NAMED` and the hosts, without brackets of IPv6 and without "any address", which nobody connects to."""
    wanted = [host.strip("[]").lower() for host in hosts]
    return list(dict.fromkeys([*ALWAYS_NAMED, *(host for host in wanted if host not in _ANY_ADDRESS)]))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def _is_fresh(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return (
        certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - dt.timedelta(days=RENEW_BEFORE_DAYS)
    )


def _is_signed_by(certificate: x509.Certificate, authority: _Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (crypto_exceptions.InvalidSignature, ValueError, TypeError):
        return False
    return True


def _load_key(key_file: pathlib.Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file.name} is not an elliptic-curve key")
    return key


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
