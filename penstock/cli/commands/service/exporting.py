"""`penstock export`: start, show the key, wait, download, verify."""

from __future__ import annotations

import os
from typing import Any

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.commands import field_choice
from penstock.cli.commands.service import connecting, customer_keys, downloading
from penstock.cli.options import exporting, shared
from penstock.client import CustomerKey, Export, SearchJob, Task


def export(options: exporting.Export) -> None:
    """Runs an export to its end, or as far as the options say."""
    if options.no_sse_c:
        raise errors.Refused(
            "encryption_required",
            "--no-sse-c is refused: every export of this service is encrypted.",
            "Leave it out. Without a key of your own, one is generated and shown once.",
        )
    fields = field_choice.chosen(options.choice)
    own_key = customer_keys.given_key(options.key)
    with connecting.connect(options.connection) as penstock:
        key = own_key or CustomerKey.generate()
        started = _start(penstock.search_job(options.job_uuid), fields, key, options, is_own=own_key is not None)
        _show_started(started, key, options, is_own=own_key is not None)
        found: dict[str, Any] = {"task_uuid": started.task_uuid, "status": "PENDING", "sse_customer_key_md5": key.md5}
        if own_key is None and options.key.key_file is None:
            found["sse_customer_key"] = key.base64
        if not options.no_wait:
            found |= _finish(started, key, options)
        if options.as_json:
            output.emit_json(found)


def _start(job: SearchJob, fields: Any, key: CustomerKey, options: exporting.Export, *, is_own: bool) -> Export:
    key_file = options.key.key_file
    if not is_own and key_file is not None:
        customer_keys.keep(key, key_file)
    try:
        return job.export(fields, customer_key=key, destination=_bucket(options.bucket))
    except errors.Refused:
        if not is_own and key_file is not None:
            key_file.unlink()
        raise
    except errors.NetworkError as error:
        if not is_own and key_file is None and not isinstance(error, errors.Unreachable):
            output.note("It is not known whether the export was started. If it was, this is its key:")
            output.show_key(key.base64, stderr=True)
        raise


def _finish(started: Export, key: CustomerKey, options: exporting.Export) -> dict[str, Any]:
    """Waits and downloads; what `--json` says of it."""
    task = _wait(started, options)
    found = _facts(task)
    if not options.no_download:
        return found | downloading.fetch(started, key, options.download, as_json=options.as_json)
    if not options.as_json:
        _show_url(task)
    return found


def _bucket(options: shared.Bucket) -> dict[str, str]:
    """Settings of the caller's own bucket: option, then variable, as the reference client takes them."""
    wanted = {
        "bucket_name": options.s3_bucket or os.environ.get("S3_BUCKET"),
        "prefix": options.s3_prefix or os.environ.get("S3_PREFIX"),
        "access_key_id": options.s3_access_key or os.environ.get("S3_ACCESS_KEY_ID"),
        "secret_access_key": options.s3_secret_key or os.environ.get("S3_SECRET_ACCESS_KEY"),
        "endpoint_url": options.s3_endpoint or os.environ.get("S3_ENDPOINT_URL"),
        "region_name": options.s3_region or os.environ.get("S3_REGION_NAME"),
    }
    return {name: value for name, value in wanted.items() if value}


def _show_started(started: Export, key: CustomerKey, options: exporting.Export, *, is_own: bool) -> None:
    tell = output.note if options.as_json else output.say
    tell(f"Export started. Task UUID: {started.task_uuid}")
    if is_own:
        tell("Encrypted with your key.")
    elif options.key.key_file is not None:
        tell(f"The encryption key is in {options.key.key_file}. Keep it: without it nobody can read the export.")
    elif not options.as_json:  # with --json the key is in the document
        output.show_key(key.base64, stderr=False)


def _wait(started: Export, options: exporting.Export) -> Task:
    """Waits with a bar. Ctrl-C leaves the export running, and says so."""
    try:
        with progress.progress("Exporting", unit="events") as update:
            return started.wait(
                lambda task: update(task.progress, task.total),
                interval_seconds=options.interval,
                max_wait_seconds=options.max_wait,
            )
    except KeyboardInterrupt:
        output.note(f"\nThe export goes on. Look: penstock status {started.task_uuid}")
        raise


def _facts(task: Task) -> dict[str, Any]:
    return {
        "status": str(task.status),
        "events": task.progress,
        "export_size_compressed": task.export_size_compressed,
        "download_url": task.download_url,
        "manifest_url": task.manifest_url,
        "expire_at": task.expire_at,
    }


def _show_url(task: Task) -> None:
    output.say(f"Export ready: {task.progress:,} events.")
    if task.download_url:
        output.say(f"Download URL: {task.download_url}")
    output.say(f"Download it: penstock download {task.uuid}")
