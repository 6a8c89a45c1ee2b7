"""Options of `export` and `estimate`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from penstock.cli.options import declare, shared

_SEARCH = "Search and export in one step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Period(shared.Period):
    """The time range of --query."""

    earliest: Annotated[
        str, declare.option("--earliest", metavar="T", help=f"Of --query. {shared.EARLIEST}", panel=_SEARCH)
    ] = "-24h"
    latest: Annotated[
        str, declare.option("--latest", metavar="T", help=f"Of --query. {shared.LATEST}", panel=_SEARCH)
    ] = "now"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Options of `penstock export`."""

    job_uuid: Annotated[
        str | None, declare.argument(metavar="[JOB]", help="The UUID of the search job; or give --query.")
    ] = None
    query: Annotated[
        str | None, declare.option("--query", metavar="Q", help="Search for this first, then export.", panel=_SEARCH)
    ] = None
    period: _Period
    community: Annotated[
        list[str] | None,
        declare.option("--community", metavar="C", help="Of --query: name or UUID.", panel=_SEARCH),
    ] = None
    no_download: Annotated[
        bool, declare.option("--no-download", help="Wait for the export, print the URL, don't download.")
    ] = False
    no_wait: Annotated[bool, declare.option("--no-wait", help="Start the export and come back at once.")] = False
    interval: Annotated[
        float, declare.option("--interval", metavar="SECONDS", min=0.05, help="Seconds between two looks.")
    ] = 2.0
    max_wait: Annotated[
        float | None,
        declare.option("--max-wait", metavar="SECONDS", min=0, help="Give up waiting after so many seconds."),
    ] = None
    download: shared.Download
    choice: shared.FieldChoice
    bucket: shared.Bucket
    no_sse_c: Annotated[
        bool,
        declare.option(
            "--no-sse-c",
            help="Send no key: for a service whose operator allows plain exports.",
            panel="Encryption",
        ),
    ] = False
    key: shared.Key
    connection: shared.Connection
    as_json: shared.Json = False

    @property
    def has_key(self) -> bool:
        """A customer key encrypts the file: neither does the bucket, nor is it to be plain."""
        return not self.no_sse_c and self.bucket.s3_encryption in (None, "sse-c")

    @property
    def writes_to_stdout(self) -> bool:
        """The events go to stdout, so that nothing else may."""
        target = self.download.target
        return target is not None and shared.is_stdout(target) and not (self.no_download or self.no_wait)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Options of `penstock estimate`."""

    job_uuid: shared.JobUuid
    choice: shared.FieldChoice
    connection: shared.Connection
    as_json: shared.Json = False
