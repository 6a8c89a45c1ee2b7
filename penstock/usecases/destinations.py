"""Where an export goes and who holds its key, as its order says. What cannot work is refused here, before a start."""

from __future__ import annotations

import dataclasses

from penstock import errors, storage
from penstock.process import services as services_module
from penstock.storage import bucket as buckets
from penstock.usecases import orders


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where an export goes and who holds its key.

    Attributes:
        encryption: how it is encrypted where it lies.
        key: the customer key; None: `encryption` needs none.
        key_generated: the service made it.
        bucket: the customer's bucket; None: the service's own storage.
        store: the store behind it.
    """

    encryption: storage.Encryption
    key: storage.CustomerKey | None
    key_generated: bool
    bucket: storage.CustomerBucket | None
    store: storage.Store

    def probe(self) -> None:
        """Tries a customer's bucket with a tiny object; asks the service's own whether it takes customer keys.

        Raises:
            DestinationError: `destination_not_writable` and its kin; `ES110`.
        """
        if self.bucket is not None:
            self.store.probe(self.key)
        elif self.key is not None and self.store.blocks_customer_keys():
            raise errors.DestinationError(
                "ES110",  # the reference platform's code: its client then asks again without a key
                "The service's own bucket takes no objects that are encrypted with customer keys.",
                "Export to a bucket of your own. The operator finds the call that allows customer keys with "
                "`penstock storage check`.",
            )


def is_customers(order: orders.ExportOrder) -> bool:
    """Whether it names a bucket of the customer's. A `prefix` alone does: the customer forgot the bucket's name."""
    return bool(order.s3.keys() & set(buckets.MEMBERS))


def of(services: services_module.Services, order: orders.ExportOrder) -> Destination:
    """Where the export goes. Speaks to nobody but the resolver.

    Raises:
        DestinationError: `customer_key_required`, `invalid_customer_key`, `customer_key_md5_mismatch`,
            `incomplete_s3_settings`, `endpoint_not_allowed` and what else `storage` finds wrong with the settings.
    """
    key = _given_key(order)
    bucket = storage.CustomerBucket.parse(order.s3) if is_customers(order) else None
    encryption = _encryption(services, order, key, bucket)
    if bucket is not None:
        # The sealed form must say what was decided, since the worker reads that and not the request.
        bucket = dataclasses.replace(bucket, encryption=encryption)
    generated = key is None and encryption.needs_customer_key
    return Destination(
        encryption=encryption,
        key=storage.CustomerKey.generate() if generated else key,
        key_generated=generated,
        bucket=bucket,
        store=services.customer_store(bucket) if bucket else services.store,
    )


def _encryption(
    services: services_module.Services,
    order: orders.ExportOrder,
    key: storage.CustomerKey | None,
    bucket: storage.CustomerBucket | None,
) -> storage.Encryption:
    """How the export is encrypted. Without a key it is not, where the operator allows that; else it is refused."""
    asked = bucket.encryption if bucket else storage.Encryption.SSE_C
    if not asked.needs_customer_key and key is not None:
        raise errors.DestinationError(
            "invalid_customer_key",
            f"A customer key came with the encryption {asked}, which has none.",
            "Leave the key out, or choose the encryption sse-c.",
        )
    if not asked.needs_customer_key or key is not None or order.generate_customer_key:
        return asked
    if not services.settings.allow_unencrypted_exports:
        raise _key_required()
    # In a customer's bucket the customer's own rules still encrypt, or not.
    return storage.Encryption.BUCKET_DEFAULT if bucket else storage.Encryption.NONE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TriedBucket:
    """A bucket that took a small object and gave it up again.

    Attributes:
        destination: the destination in words.
        seconds: how long it took.
    """

    destination: str
    seconds: float


def try_bucket(services: services_module.Services, order: orders.ExportOrder) -> TriedBucket:
    """Tries the order's bucket as the start of an export does, and starts nothing.

    Raises:
        DestinationError: as `of` and `probe`; `incomplete_s3_settings` where no bucket is named.
    """
    destination = of(services, order)
    if destination.bucket is None:
        raise errors.DestinationError(
            "incomplete_s3_settings", "bucket_name is missing.", "Name the bucket that is to be tried."
        )
    begun = services.clock.monotonic()
    destination.probe()
    seconds = services.clock.monotonic() - begun
    return TriedBucket(destination=destination.bucket.destination, seconds=round(seconds, 2))


def _given_key(order: orders.ExportOrder) -> storage.CustomerKey | None:
    md5 = order.s3.get("sse_customer_key_md5")
    if key := order.s3.get("sse_customer_key"):
        return storage.CustomerKey.parse(key, md5=md5, algorithm=order.s3.get("sse_customer_algorithm"))
    if md5 is not None:
        raise errors.DestinationError(
            "invalid_customer_key",
            "sse_customer_key_md5 came without sse_customer_key.",
            "Send the key as well, or leave both out.",
        )
    return None


def _key_required() -> errors.DestinationError:
    """A key that the service makes and nobody keeps leaves a file that nobody can ever read."""
    return errors.DestinationError(
        "customer_key_required",
        "The request has no key to encrypt the export with.",
        'Send `s3.sse_customer_key` (base64 of 32 bytes), or `"generate_customer_key": true` and keep the key '
        "that the answer shows once.",
    )
