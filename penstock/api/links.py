"""Where an export's file and manifest can be fetched, as clients of this process reach them."""

from __future__ import annotations

import dataclasses
import datetime as dt

from penstock.control import exports
from penstock.process import services as services_module
from penstock.storage.embedded import store


@dataclasses.dataclass(frozen=True, kw_only=True)
class Links:
    """The URLs of an export; None while it cannot be downloaded.

    Attributes:
        download_url: of the file.
        manifest_url: of its manifest.
    """

    download_url: str | None = None
    manifest_url: str | None = None


def of(services: services_module.Services, export: exports.Export, now: dt.datetime) -> Links:
    """The links of an export, those into the embedded store under the address of this process."""
    if not export.is_downloadable(now):
        return Links()
    if export.in_customer_bucket or not isinstance(services.store, store.EmbeddedStore):
        return Links(download_url=export.download_url, manifest_url=export.manifest_url)
    # The worker that signed them may have known another address, or none.
    moved = services.store.urls.under_public_url
    return Links(
        download_url=moved(export.download_url) if export.download_url else None,
        manifest_url=moved(export.manifest_url) if export.manifest_url else None,
    )
