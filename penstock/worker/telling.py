"""What tenants are told about faults: a sentence and an id. The operator's inside stays in the log."""

from __future__ import annotations

from penstock import errors

_SENTENCES = (
    ("database_", "The service's database does not answer."),
    ("lake_", "The service cannot read the community's events."),
    ("snapshot_", "The service cannot read the community's events."),
    ("attached_file_changed", "A file of the community's attached table changed or vanished since it was pinned."),
    ("attached_", "The service cannot read the community's attached table."),
    ("no_room", "The disk of the service's storage is full."),
    ("storage_full", "The disk of the service's storage is full."),
    ("engine_", "The service's cluster does not answer."),
    ("shard_lost", "The service's cluster lost the same part of the work again and again."),
    ("master_key_", "The service lacks the key that this export's secrets are sealed with."),
    ("seal_", "The service cannot open this export's secrets."),
)
"""Beginning of a code -> what happened; the first that fits."""

_OTHER = "The service's storage does not answer."


_EXPORT_GOES_ON = "The export goes on by itself once that is repaired, or can be started again."


def for_tenant(
    error: errors.PenstockError, error_id: str, *, is_own_bucket: bool = False, then: str = _EXPORT_GOES_ON
) -> str:
    """The error for the people of a community, who cannot see, and need not, where the service keeps things.

    `is_own_bucket`: the destination is the customer's bucket, so what it answered is for the customer to read.
    `error_id` is that of the log line with all details; `then` says what to do.
    """
    said = next((sentence for start, sentence in _SENTENCES if error.code.startswith(start)), None)
    if said is None and (is_own_bucket or not isinstance(error, errors.StorageError | errors.ConfigurationError)):
        return str(error)
    return f"{said or _OTHER} {then} The operator finds more in the log under {error_id}."
