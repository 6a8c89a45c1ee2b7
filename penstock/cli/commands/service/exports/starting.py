"""Starts an export so that its key cannot be lost: the key is kept first; a broken start is asked about."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Sequence

from penstock import errors
from penstock.cli import output
from penstock.cli.commands.service.exports import customer_keys, started
from penstock.cli.options import exporting, shared
from penstock.client import CustomerKey, Export, SearchJob

_ASK_TIMES = 3
_ASK_PAUSE_SECONDS = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Started:
    """An export that runs, and where its key is.

    Attributes:
        export: the export.
        key: the key that encrypts it; None where none does.
        is_generated: the key was made here, and is in no file of the caller's: it must be shown.
        record: where the key is kept; None for a key of the caller's own.
    """

    export: Export
    key: CustomerKey | None
    is_generated: bool
    record: started.Record | None


def start(job: SearchJob, fields: Sequence[str] | None, options: exporting.Export, *, service: str) -> Started:
    """Starts the export. From here on its key is on this disk or on the screen, whatever happens.

    Raises:
        The refusals of the service: then nothing was started, and nothing is kept.
        NetworkError, KeyboardInterrupt: whether it was started was asked for and said.
    """
    if not options.has_key:
        export = job.export(fields, destination=bucket(options.bucket), encrypt=False)
        return Started(export=export, key=None, is_generated=False, record=None)
    own_key = customer_keys.given_key(options.key)
    key, key_file = own_key or CustomerKey.generate(), options.key.key_file
    record = None
    if own_key is None and key_file is not None:
        customer_keys.keep(key, key_file)
    elif own_key is None:
        record = started.keep(key, service=service, job_uuid=job.uuid)
        if record.file is None:
            output.note("The key cannot be kept on this disk. Save it now, in case the export starts:")
            output.show_key(key.base64, stderr=True)
    try:
        export = job.export(fields, customer_key=key, destination=bucket(options.bucket))
    # A refusal is certain: nothing was started. After any other error the export may run, and its key is kept.
    except errors.Refused:
        if own_key is None and key_file is not None:
            key_file.unlink()
        if record is not None:
            record.forget()
        raise
    except (errors.NetworkError, KeyboardInterrupt) as error:
        # Nobody accepted the connection, so nothing was sent.
        if not isinstance(error, errors.Unreachable):
            _say_what_is_known(job, key, record)
        elif record is not None:
            record.forget()
        raise
    if record is not None:
        record.started(export.task_uuid)
    return Started(export=export, key=key, is_generated=own_key is None and key_file is None, record=record)


def show(done: Started, options: exporting.Export) -> None:
    """Says what was started, and shows the key unless it is the caller's or in a file of the caller's."""
    tell = output.note if options.as_json or options.writes_to_stdout else output.say
    tell(f"Export started. Task UUID: {done.export.task_uuid}")
    if done.key is None:
        way = options.bucket.s3_encryption
        tell("Not encrypted by a key of yours." if options.no_sse_c else f"Encrypted by the bucket: {way}.")
    elif options.key.key_file is not None and not done.is_generated:
        tell(f"The encryption key is in {options.key.key_file}. Keep it: without it nobody can read the export.")
    elif not done.is_generated:
        tell("Encrypted with your key.")
    elif not options.as_json:  # with --json the key is in the document, also when something fails
        output.show_key(done.key.base64, stderr=options.writes_to_stdout)
    if done.record is not None and done.record.file is not None:
        tell(f"Kept for a week in {done.record.file}, for `penstock download` on this machine.")


def bucket(options: shared.Bucket) -> dict[str, str]:
    """Settings of the caller's own bucket: option, then variable, as the reference client takes them."""
    wanted = {
        "bucket_name": options.s3_bucket or os.environ.get("S3_BUCKET"),
        "prefix": options.s3_prefix or os.environ.get("S3_PREFIX"),
        "access_key_id": options.s3_access_key or os.environ.get("S3_ACCESS_KEY_ID"),
        "secret_access_key": options.s3_secret_key or os.environ.get("S3_SECRET_ACCESS_KEY"),
        "endpoint_url": options.s3_endpoint or os.environ.get("S3_ENDPOINT_URL"),
        "region_name": options.s3_region or os.environ.get("S3_REGION_NAME"),
        "encryption": options.s3_encryption,
        "kms_key_id": options.s3_kms_key_id,
    }
    return {name: value for name, value in wanted.items() if value}


def _say_what_is_known(job: SearchJob, key: CustomerKey, record: started.Record | None) -> None:
    """The request was on its way when it broke: asks the service which export has this key."""
    task_uuid = _task_of(job, key)
    if task_uuid is not None:
        output.note(f"\nThe export was started. Task UUID: {task_uuid}")
        output.note(f"Look: penstock status {task_uuid}")
        if record is not None:
            record.started(task_uuid)
    else:
        output.note(f"\nIt is not known whether the export was started. Look: penstock exports {job.uuid}")
    if record is not None and record.file is not None:
        output.note(f"Its key is kept in {record.file}; `penstock download` finds it there.")
    elif record is not None:
        output.show_key(key.base64, stderr=True)


def _task_of(job: SearchJob, key: CustomerKey) -> str | None:
    """The task that is encrypted with this key. Asked a few times: the request may still be under way."""
    for _ in range(_ASK_TIMES):
        with contextlib.suppress(errors.PenstockError):
            for one in job.exports():
                if one.raw.get("sse_customer_key_md5") == key.md5:
                    return one.task_uuid
        time.sleep(_ASK_PAUSE_SECONDS)
    return None
