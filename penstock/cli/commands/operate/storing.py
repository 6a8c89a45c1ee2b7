"""`penstock storage`: the place where the service keeps exports, made ready and looked at."""

from __future__ import annotations

import dataclasses
import math

from penstock.cli import output, tables
from penstock.cli.commands import opening
from penstock.cli.options import operating
from penstock.control import limits
from penstock.process import lakes
from penstock.process import services as services_module
from penstock.storage.keys import CustomerKey
from penstock.storage.s3 import store as s3


def storage_init(options: operating.StorageInit) -> None:
    """Makes the service's storage ready."""
    with opening.services() as services:
        store = services.store
        days = _days_needed(services)
        is_s3 = isinstance(store, s3.S3Store)
        if isinstance(store, s3.S3Store):
            store.install_lifecycle(days)
    if options.as_json:
        output.emit_json({"storage": services.settings.storage, "lifecycle_days": days if is_s3 else None})
    elif is_s3:
        output.say(
            f"The bucket deletes exports and unfinished uploads after {days} days, should our sweeper miss them."
        )
    else:
        output.say("The embedded store needs nothing: its files lie in the home folder.")


def storage_check(options: operating.StorageCheck) -> None:
    """Tries the service's storage, and the lake's bucket if it is in one; shows the storage's lifecycle rules."""
    with opening.services() as services:
        store = services.store
        store.probe(CustomerKey.generate())
        rules = store.describe_lifecycle() if isinstance(store, s3.S3Store) else ()
        days = _days_needed(services)
        lake_bucket = lakes.probe_lake(services.settings)
    early = [rule.name for rule in rules if rule.is_enabled and rule.expire_days and rule.expire_days < days]
    if options.as_json:
        output.emit_json(
            {
                "storage": services.settings.storage,
                "usable": True,
                "lifecycle": [dataclasses.asdict(rule) for rule in rules],
                "lifecycle_days_needed": days,
                "deletes_too_early": early,
                "lake_bucket": lake_bucket,
            }
        )
        return
    output.say(f"The {services.settings.storage} store takes, gives back and deletes encrypted objects.")
    if lake_bucket:
        output.say(
            f"The lake's bucket {lake_bucket} takes, gives back and deletes objects, and honours conditional writes."
        )
    if rules:
        tables.table(
            ["RULE", "PREFIX", "IN FORCE", "OURS", "EXPIRES AFTER DAYS", "ABORTS UPLOADS AFTER DAYS"],
            [[r.name, r.prefix, r.is_enabled, r.is_ours, r.expire_days, r.abort_days] for r in rules],
        )
        if early:
            output.note(
                f"{', '.join(early)} may delete exports before the longest download window of a community is over; "
                f"it takes {days} days: penstock storage init"
            )
    elif services.settings.storage == "s3":
        output.say("The bucket has no lifecycle rule: penstock storage init")


def _days_needed(services: services_module.Services) -> int:
    """Days after which nothing can be downloaded any more, communities' own windows included, and one more."""
    with services.database.read() as tx:
        # One day more, so that no rounding of the bucket's deletes a file within its window.
        return math.ceil(limits.longest_download_window_seconds(tx, services.settings) / 86_400) + 1
