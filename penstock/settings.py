"""All settings: one table of name, default, unit, help. Sources: PENSTOCK_* variables, then penstock.toml.

`penstock.toml` is looked for in the working directory, then in the home folder. Unknown names are refused.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any, Literal

import pydantic
import pydantic_settings

from penstock import errors

_CORES = os.cpu_count() or 1


def _field(default: Any, help_text: str) -> Any:
    return pydantic.Field(default=default, description=help_text)


class Settings(pydantic_settings.BaseSettings):
    """The service's settings. Units are in the names; bytes are plain bytes (10 GB = 10_000_000_000)."""

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="PENSTOCK_", extra="forbid", frozen=True)

    # Where things are
    home: pathlib.Path = _field(pathlib.Path(".penstock"), "Folder that holds everything of the embedded mode.")
    database_url: str = _field("", "SQLAlchemy URL; empty: SQLite in the home folder.")
    lake_path: str = _field("", "Folder of the event tables; empty: `lake` in the home folder.")
    master_key: pydantic.SecretStr = _field(
        pydantic.SecretStr(""),
        "Base64 of 32 bytes that seal secrets at rest, `id:base64,id:base64` for several; empty: the home's file.",
    )

    # Serving
    host: str = _field("127.0.0.1", "Address the API listens on.")
    port: int = _field(8080, "Port the API listens on.")
    public_url: str = _field("", "URL under which clients reach the API; empty: derived from host and port.")
    log_level: Literal["debug", "info", "warning", "error"] = _field("info", "Least severe log level written.")
    log_format: Literal["text", "json"] = _field("text", "How log events are written.")

    # Limits (the product's published ones)
    export_max_events: int = _field(100_000_000, "Most events one export may hold.")
    quota_bytes_per_month: int = _field(10_000_000_000, "Compressed bytes a community may export a UTC month.")
    active_exports_per_community: int = _field(1, "Exports of one community that may be active at once.")
    exports_per_search_job: int = _field(10, "Exports one search job may start, whatever became of them.")
    download_window_seconds: int = _field(86_400, "How long a finished export can be downloaded.")
    export_deadline_seconds: int = _field(6 * 3600, "An export that has run this long in all ends FAILED.")
    export_max_attempts: int = _field(5, "Workers that may die over one export before it ends FAILED.")
    search_job_ttl_seconds: int = _field(7 * 86_400, "How long a search job can be exported and listed.")
    search_results_ttl_seconds: int = _field(600, "`results_ttl` that search jobs announce to clients.")
    search_max_last_events: int = _field(1000, "Newest events a search job shows.")
    idempotency_ttl_seconds: int = _field(86_400, "How long an Idempotency-Key is remembered.")
    audit_keep_days: int = _field(365, "How long audit entries are kept.")

    # Lake
    lake_max_columns: int = _field(2000, "Columns a table may have; further new fields live in the overflow.")
    ingest_batch_events: int = _field(50_000, "Events per ingest batch.")
    ingest_max_line_bytes: int = _field(16 * 1024 * 1024, "A longer line is rejected.")
    request_max_bytes: int = _field(256 * 1024 * 1024, "Largest body of an ingest request, after decompression.")

    # The pipeline. Peak memory ~ base + encoding_threads x slice + upload_threads x part (docs/design.md, memory).
    slice_rows: int = _field(131_072, "Most rows of one slice.")
    slice_bytes: int = _field(128 * 1024 * 1024, "Most uncompressed column bytes of one slice, as estimated.")
    encoding_threads: int = _field(_CORES, "Slices scanned, encoded and compressed at once.")
    upload_threads: int = _field(2, "Parts uploaded at once.")
    compression: Literal["fast", "small"] = _field(
        "fast", "`fast`: Penstock's own deflater; `small`: zlib-ng, a sixth smaller."
    )
    part_bytes: int = _field(16 * 1024 * 1024, "Least bytes of a part (5 MiB or more); grows for huge exports.")

    # Workers
    lease_seconds: float = _field(15.0, "A worker that does not renew for this long has lost its export.")
    poll_seconds: float = _field(0.25, "How often an idle worker looks for work.")
    sweep_seconds: float = _field(60.0, "How often expired files, orphan uploads and old rows are swept.")
    tidy_seconds: float = _field(600.0, "How often small data files are joined and unneeded ones deleted.")

    # Storage
    storage: Literal["embedded", "s3"] = _field("embedded", "Where the service keeps exports.")
    s3_bucket: str = _field("", "Bucket for `storage = s3`.")
    s3_prefix: str = _field("penstock", "First part of every object key.")
    s3_endpoint_url: str = _field("", "Endpoint of the S3 server; empty: AWS.")
    s3_region: str = _field("us-east-1", "Region of the bucket.")
    s3_access_key_id: str = _field("", "Access key; empty: the machine's own AWS credentials.")
    s3_secret_access_key: pydantic.SecretStr = _field(pydantic.SecretStr(""), "Secret of the access key.")
    s3_ca_file: str = _field("", "CA file for the S3 endpoint's certificate; empty: the system's.")
    s3_allow_http: bool = _field(False, "Allow plain http to a loopback endpoint. For tests only: SSE-C keys travel.")
    s3_retry_seconds: float = _field(60.0, "How long a failing S3 call is tried again before the store has failed.")
    s3_connect_timeout_seconds: float = _field(5.0, "How long connecting to an S3 server may take.")
    s3_read_timeout_seconds: float = _field(60.0, "How long an S3 server may stay silent.")
    endpoint_allow_list: tuple[str, ...] = _field(
        (), "Hosts or CIDR ranges of customers' endpoints that are allowed though private (JSON list)."
    )
    customer_ca_file: str = _field("", "CA file for customers' endpoints; empty: the system's.")
    allow_unencrypted_exports: bool = _field(False, "Honour --no-sse-c. Not offered: every export is encrypted.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then penstock.toml."""
        home = pathlib.Path(os.environ.get("PENSTOCK_HOME", ".penstock"))
        files = [pathlib.Path("penstock.toml"), home / "penstock.toml"]
        toml = pydantic_settings.TomlConfigSettingsSource(settings_cls, [f for f in files if f.is_file()][:1])
        return init_settings, env_settings, toml

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or SQLite's file in the home folder."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'penstock.db'}"

    @property
    def resolved_lake_path(self) -> str:
        """`lake_path`, or `lake` in the home folder."""
        return self.lake_path or str(self.home.resolve() / "lake")

    @property
    def resolved_public_url(self) -> str:
        """`public_url`, or http on host and port."""
        return self.public_url or f"http://{self.host}:{self.port}"


def load(**values: Any) -> Settings:
    """The settings in force; `values` win over every other source.

    Raises:
        ConfigurationError: `invalid_settings`, naming each setting that is wrong and why.
    """
    try:
        return Settings(**values)
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise errors.ConfigurationError(
            "invalid_settings",
            f"The settings are not usable: {wrong}.",
            "Mend the PENSTOCK_* variable or penstock.toml; `docs/operations.md` lists all settings.",
        ) from error
