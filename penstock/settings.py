"""All settings: one table of name, default, unit, help. Sources: PENSTOCK_* variables, then penstock.toml.

`penstock.toml` is looked for in the working directory, then in the home folder. Unknown names and values out of bounds
are refused.
"""

# ruff: noqa: RUF009 (`_field` makes dataclass fields; the rule knows only dataclasses.field)

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import os
import pathlib
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from penstock import errors
from penstock.base.secret import Secret

_CORES = os.cpu_count() or 1
_PREFIX = "PENSTOCK_"
_S3_PART_BYTES = 5 * 1024 * 1024  # S3 refuses smaller ones; the embedded store takes any, which tests use

OTHER_VARIABLES = frozenset({"PENSTOCK_DEBUG", "PENSTOCK_PROFILE"})
"""Variables of Penstock that are no settings. Those that begin with PENSTOCK_TEST or PENSTOCK_KERNEL are tools'."""

_S3_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#\\\s]*))?")

_TOOLS = ("PENSTOCK_TEST", "PENSTOCK_KERNEL")


def _field(default: Any, help_text: str, *, least: float | None = None, most: float | None = None) -> Any:
    """A setting: its default, its line in the documentation, its bounds (a number is never below 0)."""
    return dataclasses.field(default=default, metadata={"help": help_text, "least": least, "most": most})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings. Units are in the names; bytes are plain bytes (10 GB = 10_000_000_000).

    Raises:
        ConfigurationError: `invalid_settings`, naming each setting that is wrong and why.
    """

    # Where things are
    home: pathlib.Path = _field(".penstock", "Folder that holds everything of the embedded mode.")
    database_url: str = _field("", "SQLAlchemy URL; empty: SQLite in the home folder.")
    lake_path: str = _field(
        "", "Folder of the event tables, or `s3://bucket/prefix`; empty: `lake` in the home folder."
    )
    lake_s3_endpoint_url: str = _field("", "Endpoint of the lake's S3 server; empty: as `s3_endpoint_url`.")
    lake_s3_region: str = _field("", "Region of the lake's bucket; empty: as `s3_region`.")
    lake_s3_access_key_id: str = _field("", "Access key of the lake's bucket; empty: as `s3_access_key_id`.")
    lake_s3_secret_access_key: Secret = _field("", "Secret of the lake's access key.")
    lake_s3_ca_file: str = _field("", "CA file for the lake's S3 server; empty: as `s3_ca_file`.")
    lake_cache_path: str = _field(
        "",
        "Folder for copies of a lake in S3, shared by a machine's processes; empty: `lake-cache` in the home folder.",
    )
    lake_cache_bytes: int = _field(
        10_000_000_000, "What these copies may take; more only while more than that is being read at once."
    )
    master_key: Secret = _field(
        "",
        "Base64 of 32 bytes that seal secrets at rest, `id:base64,id:base64` for several; empty: the home's file.",
    )

    # Serving
    host: str = _field("127.0.0.1", "Address the API listens on.")
    port: int = _field(8080, "Port the API listens on.", most=65_535)
    public_url: str = _field("", "URL under which clients reach the API; empty: derived from host and port.")
    max_connections: int = _field(2000, "Connections of clients at once.", least=16)
    connections_per_address: int = _field(256, "Connections of one address at once; 0: no bound, as behind a proxy.")
    request_head_seconds: float = _field(10.0, "How long the head of a request may take.", least=0.1)
    request_body_seconds: float = _field(900.0, "How long the body of a request may take.", least=1)
    request_least_bytes_per_second: int = _field(1000, "A body that comes slower, after 10 s, is given up.")
    ingest_requests_per_key: int = _field(16, "Ingest requests of one API key at once.", least=1)
    ingest_group_milliseconds: int = _field(
        50, "A community's small ingest requests are committed together, at most this often; 0: each alone.", most=5000
    )
    log_level: Literal["debug", "info", "warning", "error"] = _field("info", "Least severe log level written.")
    log_format: Literal["text", "json"] = _field("text", "How log events are written.")

    # Limits (the product's published ones)
    export_max_events: int = _field(100_000_000, "Most events one export may hold.", least=1)
    quota_bytes_per_month: int = _field(10_000_000_000, "Compressed bytes a community may export a UTC month.")
    active_exports_per_community: int = _field(1, "Exports of one community that may be active at once.", least=1)
    exports_per_search_job: int = _field(10, "Exports one search job may start, whatever became of them.")
    download_window_seconds: int = _field(86_400, "How long a finished export can be downloaded.")
    export_deadline_seconds: int = _field(6 * 3600, "An export that has run this long in all ends FAILED.")
    export_max_attempts: int = _field(5, "Workers that may die over one export before it ends FAILED.", least=1)
    search_job_ttl_seconds: int = _field(7 * 86_400, "How long a search job can be exported and listed.")
    search_results_ttl_seconds: int = _field(600, "`results_ttl` that search jobs announce to clients.")
    search_threads: int = _field(4, "Searches a worker runs at once, each in a process of its own.", least=1)
    searches_per_community: int = _field(2, "Searches of one community that all workers run at once.", least=1)
    searches_waiting_per_community: int = _field(100, "Searches of one community that may wait to be run.", least=1)
    search_deadline_seconds: float = _field(300.0, "A search that has run this long ends FAILED.", least=0.1)
    search_max_cpu_seconds: float = _field(
        30_000.0, "A search estimated to take more CPU than this is refused; 0: none is."
    )
    search_max_last_events: int = _field(1000, "Newest events a search job shows.", least=1)
    idempotency_ttl_seconds: int = _field(86_400, "How long an Idempotency-Key is remembered.")
    batch_id_ttl_seconds: int = _field(7 * 86_400, "How long the `batch_id` of an intake is remembered, at least.")
    audit_keep_days: int = _field(365, "How long audit entries are kept.")

    disk_keep_bytes: int = _field(
        256 * 1024 * 1024,
        "Of each disk, kept back for database and log (a small disk: 5 %); intake and exports leave it free; 0: none.",
    )

    # Lake
    lake_max_columns: int = _field(2000, "Columns a table may have; further new fields live in the overflow.", least=1)
    ingest_batch_bytes: int = _field(16 * 1024 * 1024, "Text of an ingest batch, in bytes.", least=1)
    ingest_max_line_bytes: int = _field(16 * 1024 * 1024, "A longer line is rejected.", least=1)
    request_max_bytes: int = _field(
        256 * 1024 * 1024, "Largest body of an ingest request, after decompression.", least=1
    )

    # The pipeline. Peak memory ~ base + (encoding_threads + 1) x slice + upload_threads x part (docs/operations.md).
    slice_rows: int = _field(131_072, "Most rows of one slice.", least=1)
    slice_bytes: int = _field(128 * 1024 * 1024, "Most uncompressed column bytes of one slice, as estimated.", least=1)
    encoding_threads: int = _field(
        _CORES, "Cores to keep busy with scanning, encoding and compressing; one slice more is worked on.", least=1
    )
    upload_threads: int = _field(2, "Parts uploaded at once.", least=1)
    compression: Literal["fastest", "fast", "small", "isal"] = _field(
        "fast",
        "`fast`, `fastest`: Penstock's own deflater; `small`: zlib-ng, a tenth smaller; `isal`: ISA-L instead of ours.",
    )
    part_bytes: int = _field(
        16 * 1024 * 1024, "Least bytes of a part (5 MiB or more); grows for huge exports.", least=1000
    )

    # Engines (docs/engines.md). Of shards the worker holds at most 2 x shards_in_flight x (5 MiB + part_bytes).
    engine: Literal["threads", "ray"] = _field(
        "threads",
        "What computes exports and wide searches: the worker, or a Ray cluster (extra `ray`, needs `storage = s3`).",
    )
    ray_address: str = _field("auto", "The cluster: `ray://HOST:10001`, `HOST:6379`, or `auto` for this machine's.")
    engine_secret: Secret = _field(
        "", "Base64 of 32 bytes that seal what passes through Ray; the same on workers and nodes."
    )
    shard_slices: int = _field(16, "Slices of a shard: what is computed as one, and again when it is lost.", least=1)
    shard_cpus: int = _field(1, "CPUs that a shard keeps busy on its node.", least=1)
    shards_in_flight: int = _field(
        4, "Shards of one export, or search, that are computed at once: its share of the cluster.", least=1
    )
    search_shard_rows: int = _field(
        4_000_000,
        "With `engine = ray`: a search that has to look at more events than this is cut into shards of so many. "
        "0: none is.",
    )
    export_threads: int = _field(1, "Exports a worker drives at once; more than 1 for a cluster.", least=1)
    small_export_events: int = _field(
        1_000_000,
        "Exports of so many events at most have a thread of their own: none waits for a large one. 0: none has.",
    )

    # Workers
    lease_seconds: float = _field(15.0, "A worker that does not renew for this long has lost its export.", least=0.001)
    poll_seconds: float = _field(0.25, "How often an idle worker looks for work.", least=0.001)
    sweep_seconds: float = _field(60.0, "How often expired files, orphan uploads and old rows are swept.", least=0.001)
    tidy_seconds: float = _field(600.0, "How often small data files are joined and unneeded ones deleted.", least=0.001)

    # Attached tables (docs/attach.md). What is empty comes from the environment (AWS_…) or the machine's role.
    attach_s3_endpoint_url: str = _field("", "Endpoint of the S3 server of attached tables; empty: AWS.")
    attach_s3_region: str = _field("", "Region of their buckets.")
    attach_s3_access_key_id: str = _field("", "Access key for them, which needs to read and to list.")
    attach_s3_secret_access_key: Secret = _field("", "Secret of that access key.")
    attach_s3_allow_http: bool = _field(False, "Allow plain http to that endpoint. For tests only.")
    attach_spill_bytes: int = _field(
        10_000_000_000, "What an export of a table that is in no order of time may put on this machine's disk; 0: none."
    )
    attach_spill_path: str = _field("", "Folder for that; empty: `spill` in the home folder.")

    # Storage
    storage: Literal["embedded", "s3"] = _field("embedded", "Where the service keeps exports.")
    s3_bucket: str = _field("", "Bucket for `storage = s3`.")
    s3_prefix: str = _field("penstock", "First part of every object key.")
    s3_endpoint_url: str = _field("", "Endpoint of the S3 server; empty: AWS.")
    s3_region: str = _field("us-east-1", "Region of the bucket.")
    s3_access_key_id: str = _field("", "Access key; empty: the machine's own AWS credentials.")
    s3_secret_access_key: Secret = _field("", "Secret of the access key.")
    s3_ca_file: str = _field("", "CA file for the S3 endpoint's certificate; empty: the system's.")
    s3_allow_http: bool = _field(False, "Allow plain http to a loopback endpoint. For tests only: SSE-C keys travel.")
    s3_retry_seconds: float = _field(60.0, "How long a failing S3 call is tried again before the store has failed.")
    s3_connect_timeout_seconds: float = _field(5.0, "How long connecting to an S3 server may take.", least=0.001)
    s3_read_timeout_seconds: float = _field(60.0, "How long an S3 server may stay silent.", least=0.001)
    endpoint_allow_list: tuple[str, ...] = _field(
        (), "Hosts or CIDR ranges of customers' endpoints that are allowed though private (JSON list)."
    )
    customer_ca_file: str = _field("", "CA file for customers' endpoints; empty: the system's.")
    allow_unencrypted_exports: bool = _field(
        False, "Take requests without a customer key: their files are not encrypted by Penstock."
    )

    def __post_init__(self) -> None:
        wrong = []
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            try:
                value = _parse(_kinds()[field.name], given)
                _check_bounds(value, field.metadata)
            except ValueError as error:
                # The value is named, unless it is a secret: the message goes to terminals and logs.
                wrong.append(f"{field.name} {error}" + ("" if "Secret" in str(field.type) else f", not {given!r}"))
            else:
                # Frozen for all others; here the texts of variables become values.
                object.__setattr__(self, field.name, value)
        if self.storage == "s3" and self.part_bytes < _S3_PART_BYTES:
            wrong.append(f"part_bytes must be {_S3_PART_BYTES} or more in S3, not {self.part_bytes}")
        if "://" in str(self.lake_path) and not _S3_PLACE.fullmatch(self.lake_path):
            wrong.append(f"lake_path must be a folder or s3://bucket/prefix, not {self.lake_path!r}")
        if wrong:
            raise _invalid(wrong)

    def without_secrets(self) -> Settings:
        """The same for another process: all secrets are empty."""
        secrets: dict[str, Any] = {name: Secret("") for name in self._secret_names()}
        return dataclasses.replace(self, **secrets)

    def reading_secrets(self) -> dict[str, str]:
        """The secrets that a process needs which only reads events, in clear, by setting."""
        lake = self.resolved_lake_secret.reveal() if self.lake_bucket else ""
        found = {
            "lake_s3_secret_access_key": lake,
            "attach_s3_secret_access_key": self.attach_s3_secret_access_key.reveal(),
        }
        return {name: text for name, text in found.items() if text}

    def with_secrets_of(self, other: Settings) -> Settings:
        """The same with the secrets of `other`: they are not sent between processes, each has them from its sources."""
        secrets: dict[str, Any] = {name: getattr(other, name) for name in self._secret_names()}
        return dataclasses.replace(self, **secrets)

    def _secret_names(self) -> list[str]:
        return [field.name for field in dataclasses.fields(self) if "Secret" in str(field.type)]

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or SQLite's file in the home folder."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'penstock.db'}"

    @property
    def resolved_lake_path(self) -> str:
        """`lake_path`, or `lake` in the home folder."""
        return self.lake_path or str(self.home.resolve() / "lake")

    @property
    def lake_bucket(self) -> tuple[str, str] | None:
        """Bucket and prefix of a lake in S3; None for one on a disk."""
        place = _S3_PLACE.fullmatch(self.lake_path)
        return None if place is None else (place["bucket"], (place["prefix"] or "").strip("/"))

    @property
    def resolved_lake_secret(self) -> Secret:
        """Secret of the access key of the lake's bucket: its own, or that of the exports' bucket."""
        return self.lake_s3_secret_access_key or self.s3_secret_access_key

    @property
    def resolved_attach_spill_path(self) -> pathlib.Path:
        """`attach_spill_path`, or `spill` in the home folder."""
        return pathlib.Path(self.attach_spill_path) if self.attach_spill_path else self.home.resolve() / "spill"

    @property
    def resolved_lake_cache_path(self) -> str:
        """`lake_cache_path`, or `lake-cache` in the home folder."""
        return self.lake_cache_path or str(self.home.resolve() / "lake-cache")

    @property
    def resolved_public_url(self) -> str:
        """`public_url`, or http on host and port."""
        return self.public_url or f"http://{self.host}:{self.port}"


def load(**values: Any) -> Settings:
    """The settings in force: `values` first, then variables, then penstock.toml, then the defaults.

    Raises:
        ConfigurationError: `invalid_settings`, naming each setting that is wrong and why.
    """
    return Settings(**{**_from_file(), **_from_environment(os.environ), **values})


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, str] = {}
    wrong = []
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in OTHER_VARIABLES or variable.startswith(_TOOLS):
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name in _kinds():
            # An empty PENSTOCK_HOME counts as unset: taken literally it would be the working directory.
            found |= {name: text} if text or name != "home" else {}
        else:
            # Refused, not ignored: a mistyped limit would silently not hold.
            wrong.append(f"there is no setting {variable}{_nearest(name, _PREFIX)}")
    if wrong:
        raise _invalid(wrong)
    return found


def _from_file() -> dict[str, Any]:
    # From the environment alone: the file that is looked for here may itself name a home.
    home = pathlib.Path(os.environ.get("PENSTOCK_HOME") or ".penstock")
    for file in (pathlib.Path("penstock.toml"), home / "penstock.toml"):
        if file.is_file():
            return _read(file)
    return {}


def _read(file: pathlib.Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid([f"{file} cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid([f"{file} is not valid TOML: {error}"]) from error
    wrong = [f"{file} names {name}, which is no setting{_nearest(name)}" for name in found if name not in _kinds()]
    if wrong:
        raise _invalid(wrong)
    return found


@functools.cache
def _kinds() -> dict[str, Any]:
    """The type of each setting, by name."""
    return typing.get_type_hints(Settings)


def _nearest(name: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, _kinds(), n=1)
    if not close:
        return ""
    return f" (did you mean {prefix}{close[0].upper() if prefix else close[0]}?)"


def _invalid(wrong: list[str]) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        "invalid_settings",
        f"The settings are not usable: {'; '.join(wrong)}.",
        "Correct the PENSTOCK_* variable or penstock.toml; `docs/operations.md` lists all settings.",
    )


def _parse(kind: Any, value: Any) -> Any:
    """The value of a setting from what a caller, a variable or TOML gives.

    Raises:
        ValueError: saying what it must be.
    """
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return value
    if typing.get_origin(kind) is tuple:
        return _parse_list(value)
    return _PARSERS[kind](value)


def _parse_list(value: Any) -> tuple[str, ...]:
    try:
        items = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        items = None
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError('must be a JSON list of texts, like ["10.0.0.0/8"]')
    return tuple(items)


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _BOOLEANS:
        raise ValueError("must be true or false")
    return _BOOLEANS[word]


def _parse_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, str):
            return int(value)  # also 10_000_000
    except ValueError:
        pass
    raise ValueError("must be a whole number")


def _parse_float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or number != number:
        raise ValueError("must be a number")
    return number


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_PARSERS: dict[Any, Any] = {
    bool: _parse_bool,
    int: _parse_int,
    float: _parse_float,
    str: _parse_text,
    pathlib.Path: pathlib.Path,
    Secret: lambda value: value if isinstance(value, Secret) else Secret(_parse_text(value)),
}


def _check_bounds(value: Any, metadata: types.MappingProxyType[Any, Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most = metadata["least"] or 0, metadata["most"]
    if value < least:
        raise ValueError(f"must be {least:g} or more")
    if most is not None and value > most:
        raise ValueError(f"must be {most:g} or less")
