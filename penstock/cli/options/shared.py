"""Groups of options that several commands share."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated

from penstock.cli.options import declare

_BUCKET = "Your own bucket"
_FIELDS = "Fields"
_KEY = "Encryption"

Json = Annotated[bool, declare.option("--json", help="Print one JSON document on stdout, nothing else.")]
JobUuid = Annotated[str, declare.argument(metavar="JOB", help="The UUID of the search job.")]
TaskUuid = Annotated[str, declare.argument(metavar="TASK", help="The UUID of the export's task.")]


EARLIEST = "Inclusive: -7d, -2h, or RFC 3339."
LATEST = "Exclusive: now, -1h, or RFC 3339."


def is_stdout(file: pathlib.Path) -> bool:
    """`-o -` means stdout."""
    return str(file) == "-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Period:
    """The time range of a search."""

    earliest: Annotated[str, declare.option("--earliest", metavar="T", help=EARLIEST)] = "-24h"
    latest: Annotated[str, declare.option("--latest", metavar="T", help=LATEST)] = "now"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Connection:
    """Which service a command talks to, and whom it trusts."""

    profile: Annotated[
        str | None,
        declare.option(
            "--profile", metavar="NAME", help="A service kept by `penstock login`. Default: PENSTOCK_PROFILE."
        ),
    ] = None
    api_host: Annotated[
        str | None,
        declare.option(
            "--api-host",
            metavar="HOST",
            help="The service: HOST (https), HOST:PORT or a URL. Default: API_HOST, else the service running from "
            "PENSTOCK_HOME, else the last `penstock login`.",
        ),
    ] = None
    ca_file: Annotated[
        str | None,
        declare.option(
            "--ca-file",
            metavar="FILE",
            help="CA file that signed the service's certificate. Default: the CA of the service running from "
            "PENSTOCK_HOME; for others REQUESTS_CA_BUNDLE, SSL_CERT_FILE, else the system's.",
        ),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FieldChoice:
    """Which fields a line holds."""

    fields: Annotated[
        str | None,
        declare.option(
            "--fields",
            metavar="A,B",
            help="Fields of each line, in this order. Default: EXPORT_FIELDS, else @timestamp,message.",
            panel=_FIELDS,
        ),
    ] = None
    fields_file: Annotated[
        pathlib.Path | None,
        declare.option("--fields-file", metavar="FILE", help="Fields, one a line; `# ` for comments.", panel=_FIELDS),
    ] = None
    preset: Annotated[
        str | None,
        declare.option("--preset", metavar="NAME", help="network, identity or endpoint.", panel=_FIELDS),
    ] = None
    all_fields: Annotated[
        bool,
        declare.option("--all-fields", help="Every field that events here have; the list is shown.", panel=_FIELDS),
    ] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """The caller's own bucket."""

    s3_bucket: Annotated[
        str | None,
        declare.option("--s3-bucket", metavar="NAME", help="Bucket. Default: S3_BUCKET.", panel=_BUCKET),
    ] = None
    s3_prefix: Annotated[
        str | None,
        declare.option(
            "--s3-prefix",
            metavar="PREFIX",
            help="First part of the key. Default: S3_PREFIX.",
            panel=_BUCKET,
        ),
    ] = None
    s3_access_key: Annotated[
        str | None,
        declare.option(
            "--s3-access-key",
            metavar="ID",
            help="Access key. Default: S3_ACCESS_KEY_ID.",
            panel=_BUCKET,
        ),
    ] = None
    s3_secret_key: Annotated[
        str | None,
        declare.option(
            "--s3-secret-key",
            metavar="SECRET",
            help="Its secret. Default: S3_SECRET_ACCESS_KEY, which others on this machine cannot read.",
            panel=_BUCKET,
        ),
    ] = None
    s3_endpoint: Annotated[
        str | None,
        declare.option(
            "--s3-endpoint",
            metavar="URL",
            help="Endpoint URL. Default: S3_ENDPOINT_URL.",
            panel=_BUCKET,
        ),
    ] = None
    s3_region: Annotated[
        str | None,
        declare.option("--s3-region", metavar="NAME", help="Region. Default: S3_REGION_NAME.", panel=_BUCKET),
    ] = None

    s3_encryption: Annotated[
        str | None,
        declare.option(
            "--s3-encryption",
            metavar="WAY",
            help="sse-c (a key of yours, the default), sse-kms or bucket-default.",
            panel=_BUCKET,
        ),
    ] = None
    s3_kms_key_id: Annotated[
        str | None,
        declare.option("--s3-kms-key-id", metavar="ID", help="Key of the bucket's KMS, for sse-kms.", panel=_BUCKET),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """Where the customer key comes from."""

    s3_sse_c_key: Annotated[
        str | None,
        declare.option(
            "--s3-sse-c-key",
            metavar="KEY",
            help="The export's encryption key, base64 of 32 bytes. Default: S3_SSE_C_KEY. Others on this machine can "
            "read command lines: prefer the variable or --key-file.",
            panel=_KEY,
        ),
    ] = None
    s3_sse_c_key_md5: Annotated[
        str | None,
        declare.option(
            "--s3-sse-c-key-md5",
            metavar="MD5",
            help="Base64 of the key's MD5; checked against the key. Default: S3_SSE_C_KEY_MD5, else computed.",
            panel=_KEY,
        ),
    ] = None
    s3_sse_c_algorithm: Annotated[
        str | None,
        declare.option(
            "--s3-sse-c-algorithm",
            metavar="NAME",
            help="AES256, the only one. Default: S3_SSE_C_ALGORITHM.",
            panel=_KEY,
        ),
    ] = None
    key_file: Annotated[
        pathlib.Path | None,
        declare.option(
            "--key-file",
            metavar="FILE",
            help="File with the key. `export` writes a generated key to it (mode 0600) instead of showing it.",
            panel=_KEY,
        ),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """Where a file goes, and how it is fetched."""

    target: Annotated[
        pathlib.Path | None,
        declare.option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file; - is stdout. Default: export_YYYYMMDD_HHMMSS.json.gz.",
        ),
    ] = None
    parallel: Annotated[
        int, declare.option("--parallel", metavar="N", min=1, max=16, help="Connections at once for large files.")
    ] = 4
    manifest: Annotated[
        pathlib.Path | None,
        declare.option("--manifest", metavar="FILE", help="Keep the manifest in FILE, for `penstock verify`."),
    ] = None
    verify: Annotated[
        bool,
        declare.option("--verify/--no-verify", help="Check every part against the signed manifest (the default)."),
    ] = True
