"""What a process of the service needs, opened once from the settings and handed down as arguments."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Self

import structlog

from penstock import settings as settings_module
from penstock import storage
from penstock.base import clock as clocks
from penstock.control import database, secrets
from penstock.control.exports import vault
from penstock.control.schema import clock as database_clock
from penstock.evidence import manifest
from penstock.lake import table
from penstock.process import tables as table_opening
from penstock.storage import opening

log = structlog.get_logger(__name__)

CLOCK_WARNING_SECONDS = 5.0
"""How far the machine's clock may be from the database's before it is said at the start."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    """The open parts that the API and the workers share. Safe from several threads.

    Attributes:
        settings: the settings in force.
        database: the control plane.
        master_keys: what seals secrets, and what other keys are derived from.
        store: where the service keeps exports.
        clock: the time, by the database unless another is given.
    """

    settings: settings_module.Settings
    database: database.Database
    master_keys: secrets.MasterKeys
    store: storage.Store
    clock: clocks.Clock
    _tables: dict[str, table.EventTable] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, settings: settings_module.Settings, *, clock: clocks.Clock | None = None) -> Self:
        """Opens everything; the database's tables are brought up to date.

        Raises:
            ConfigurationError: the home, the master key, the database or the store cannot be used.
        """
        master_keys = secrets.MasterKeys.load(settings)
        opened = database.Database(settings.resolved_database_url)
        # Before anything reads: code of this version knows the tables of this version only.
        opened.migrate()
        clock = clock or _clock_of(opened)
        store = opening.open_service_store(settings, signing_key=master_keys.derive("storage-urls"), clock=clock)
        return cls(settings=settings, database=opened, master_keys=master_keys, store=store, clock=clock)

    @functools.cached_property
    def signer(self) -> manifest.Signer:
        """Signs manifests."""
        return manifest.Signer(self.master_keys.derive("manifest-signature"))

    @functools.cached_property
    def vault(self) -> vault.Vault:
        """Seals and opens exports' secrets."""
        return vault.Vault(self.master_keys, opening.open_wrapping_keys(self.settings, self.store))

    def table(self, community_uuid: str) -> table.EventTable:
        """The community's event table; made when first used. One object each, since it keeps the newest snapshot.

        Raises:
            Conflict: `community_detached`.
            StorageError: `lake_failed`.
        """
        return table_opening.kept(self._tables, community_uuid, self.settings, community_uuid)

    def customer_store(self, bucket: storage.CustomerBucket, *, patience_seconds: float = math.inf) -> storage.Store:
        """A store in a customer's bucket; see `opening.open_customer_store`.

        Raises:
            DestinationError: the endpoint is not allowed.
        """
        return opening.open_customer_store(bucket, self.settings, patience_seconds=patience_seconds)

    def close(self) -> None:
        """Closes the database's connections."""
        self.database.close()


def _clock_of(opened: database.Database) -> clocks.Clock:
    """The database's time. A machine whose own clock is off is named in the log: TLS and S3 go by that one."""
    with opened.read():
        pass  # so that it has been asked
    made = database_clock.DatabaseClock(opened.time)
    if abs(ahead := made.ahead_seconds()) > CLOCK_WARNING_SECONDS:
        log.warning("machine_clock_differs", seconds_ahead=round(ahead, 1))
    return made


@contextlib.contextmanager
def opened(settings: settings_module.Settings, *, clock: clocks.Clock | None = None) -> Iterator[Services]:
    """`Services` for the length of a `with` block."""
    services = Services.open(settings, clock=clock)
    try:
        yield services
    finally:
        services.close()
