"""`penstock export`, `status`, `download`, `cancel`, `exports`, `estimate`: the life of an export."""

from __future__ import annotations

import os
import pathlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock import errors
from penstock.cli import output
from penstock.cli.options import connection, customer_key, field_list

if TYPE_CHECKING:
    from penstock.client import Downloaded, Export, Task
    from penstock.storage.keys import CustomerKey

_BUCKET = "Your own bucket"
JobUuid = Annotated[str, typer.Argument(metavar="JOB", help="The UUID of the search job.")]
TaskUuid = Annotated[str, typer.Argument(metavar="TASK", help="The UUID of the export's task.")]
Output = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where the file goes. Default: export_YYYYMMDD_HHMMSS.json.gz."
    ),
]
Parallel = Annotated[int, typer.Option("--parallel", min=1, max=16, help="Connections at once for large files.")]
ManifestFile = Annotated[
    pathlib.Path | None,
    typer.Option("--manifest", metavar="FILE", help="Keep the manifest in FILE, for `penstock verify`."),
]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Check every part against the signed manifest (the default).")
]


def export(
    job_uuid: JobUuid,
    fields: field_list.Fields = None,
    fields_file: field_list.FieldsFile = None,
    preset: field_list.Preset = None,
    target: Output = None,
    no_download: Annotated[
        bool, typer.Option("--no-download", help="Wait for the export, print the URL, don't download.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the export and come back at once.")] = False,
    interval: Annotated[float, typer.Option("--interval", min=0.05, help="Seconds between two looks.")] = 2.0,
    max_wait: Annotated[
        float | None, typer.Option("--max-wait", min=0, help="Give up waiting after so many seconds.")
    ] = None,
    parallel: Parallel = 4,
    manifest: ManifestFile = None,
    verify: Verify = True,
    s3_bucket: Annotated[
        str | None, typer.Option("--s3-bucket", help="Bucket. Default: S3_BUCKET.", rich_help_panel=_BUCKET)
    ] = None,
    s3_prefix: Annotated[
        str | None,
        typer.Option("--s3-prefix", help="First part of the key. Default: S3_PREFIX.", rich_help_panel=_BUCKET),
    ] = None,
    s3_access_key: Annotated[
        str | None,
        typer.Option("--s3-access-key", help="Access key. Default: S3_ACCESS_KEY_ID.", rich_help_panel=_BUCKET),
    ] = None,
    s3_secret_key: Annotated[
        str | None,
        typer.Option(
            "--s3-secret-key",
            help="Its secret. Default: S3_SECRET_ACCESS_KEY, which others on this machine cannot read.",
            rich_help_panel=_BUCKET,
        ),
    ] = None,
    s3_endpoint: Annotated[
        str | None,
        typer.Option("--s3-endpoint", help="Endpoint URL. Default: S3_ENDPOINT_URL.", rich_help_panel=_BUCKET),
    ] = None,
    s3_region: Annotated[
        str | None, typer.Option("--s3-region", help="Region. Default: S3_REGION_NAME.", rich_help_panel=_BUCKET)
    ] = None,
    no_sse_c: customer_key.NoSseC = False,
    s3_sse_c_key: customer_key.Key = None,
    s3_sse_c_key_md5: customer_key.KeyMd5 = None,
    s3_sse_c_algorithm: customer_key.Algorithm = None,
    key_file: customer_key.KeyFile = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Export all events of a search job: start, wait, download, verify."""
    if no_sse_c:
        raise errors.Refused(
            "encryption_required",
            "--no-sse-c is refused: every export of this service is encrypted.",
            "Leave it out. Without a key of your own, one is generated and shown once.",
        )
    chosen = field_list.chosen(fields, fields_file, preset)
    own_key = customer_key.given_key(s3_sse_c_key, s3_sse_c_key_md5, s3_sse_c_algorithm, key_file)
    bucket = _bucket(s3_bucket, s3_prefix, s3_access_key, s3_secret_key, s3_endpoint, s3_region)
    with connection.connect(api_host, ca_file) as penstock:
        from penstock.client import CustomerKey

        key = own_key or CustomerKey.generate()
        if own_key is None and key_file is not None:
            customer_key.keep(key, key_file)
        job = penstock.search_job(job_uuid)
        try:
            started = job.export(chosen, preset=preset, customer_key=key, destination=bucket)
        except errors.Refused:
            if own_key is None and key_file is not None:
                key_file.unlink()
            raise
        except errors.NetworkError as error:
            if own_key is None and key_file is None and not isinstance(error, errors.Unreachable):
                output.note("It is not known whether the export was started. If it was, this is its key:")
                output.show_key(key.base64, stderr=True)
            raise
        _show_started(started, key, key_file, own=own_key is not None, as_json=as_json)
        found: dict[str, Any] = {"task_uuid": started.task_uuid, "status": "PENDING", "sse_customer_key_md5": key.md5}
        if own_key is None and key_file is None:
            found["sse_customer_key"] = key.base64
        if not no_wait:
            task = _wait(started, interval, max_wait)
            found |= _ended(task)
            if no_download:
                _show_url(task, started.task_uuid, as_json=as_json)
            else:
                found |= _download(started, key, target, parallel, manifest, verify, as_json=as_json)
        if as_json:
            output.emit_json(found)


def status(
    task_uuid: TaskUuid,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Show where an export stands, without waiting and without downloading."""
    with connection.connect(api_host, ca_file) as penstock:
        task = penstock.export(task_uuid).refresh()
    if as_json:
        output.emit_json(task.raw)
        return
    share = f"{100 * task.progress / task.total:.1f} %" if task.total else None
    output.facts(
        [
            ("Task", task.uuid),
            ("Status", task.status),
            ("Progress", share),
            ("Events", f"{task.progress:,} / {task.total:,}" if task.total is not None else f"{task.progress:,}"),
            ("Remaining", output.duration(task.eta_seconds) if task.eta_seconds is not None else None),
            ("Fields", task.fields),
            ("Size", output.size(task.export_size_compressed) if task.export_size_compressed else None),
            ("Error", task.message),
            ("Downloadable until", task.expire_at),
            ("Download URL", task.download_url),
        ]
    )
    if task.download_url:
        output.say(f"Download it: penstock download {task.uuid}")
    elif not task.status.is_final:
        output.say("Export still in progress.")


def download(
    task_uuid: TaskUuid,
    target: Output = None,
    parallel: Parallel = 4,
    manifest: ManifestFile = None,
    verify: Verify = True,
    no_sse_c: Annotated[
        bool, typer.Option("--no-sse-c", help="Send no key (the store will ask for one).", rich_help_panel="Encryption")
    ] = False,
    s3_sse_c_key: customer_key.Key = None,
    s3_sse_c_key_md5: customer_key.KeyMd5 = None,
    s3_sse_c_algorithm: customer_key.Algorithm = None,
    key_file: customer_key.KeyFile = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Download a finished export: resumes, verifies, replaces the file only when whole."""
    key = None if no_sse_c else customer_key.given_key(s3_sse_c_key, s3_sse_c_key_md5, s3_sse_c_algorithm, key_file)
    if key_file is not None and not key_file.exists() and key is None and not no_sse_c:
        raise errors.UsageError("key_file_not_readable", f"There is no {key_file}.", "Check --key-file.")
    with connection.connect(api_host, ca_file) as penstock:
        wanted = penstock.export(task_uuid)
        wanted.require_finished()
        if key is None and not no_sse_c:
            key = customer_key.asked_key()
            if key is None:
                from penstock.client.http import answers

                raise answers.missing_customer_key()
        found = _download(wanted, key, target, parallel, manifest, verify, as_json=as_json)
        if as_json:
            output.emit_json({"task_uuid": task_uuid, **found})


def cancel(
    task_uuid: TaskUuid,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Cancel an export."""
    with connection.connect(api_host, ca_file) as penstock:
        wanted = penstock.export(task_uuid)
        task = wanted.cancel()
        deadline = time.monotonic() + 10.0
        while not task.status.is_final and time.monotonic() < deadline:
            time.sleep(0.2)
            task = wanted.refresh()
    if as_json:
        output.emit_json(task.raw)
    else:
        output.say(f"Export {task_uuid} is {task.status}.")


def exports(
    job_uuid: JobUuid,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """List the exports of a search job."""
    with connection.connect(api_host, ca_file) as penstock:
        found = penstock.search_job(job_uuid).exports()
    if as_json:
        output.emit_json([item.raw for item in found])
        return
    output.table(
        ["TASK", "STATUS", "EVENTS", "SIZE", "CREATED", "DOWNLOADABLE UNTIL", "ERROR"],
        [
            [
                item.task_uuid,
                item.status,
                item.events,
                output.size(item.export_size_compressed) if item.export_size_compressed is not None else None,
                item.created_at,
                item.expire_at,
                item.error or "",
            ]
            for item in found
        ],
        numbers=["EVENTS", "SIZE"],
    )


def estimate(
    job_uuid: JobUuid,
    fields: field_list.Fields = None,
    fields_file: field_list.FieldsFile = None,
    preset: field_list.Preset = None,
    api_host: connection.ApiHost = None,
    ca_file: connection.CaFile = None,
    as_json: connection.Json = False,
) -> None:
    """Estimate an export (events, bytes, seconds, would it be allowed) without starting it."""
    chosen = field_list.chosen(fields, fields_file, preset)
    with connection.connect(api_host, ca_file) as penstock:
        found = penstock.search_job(job_uuid).estimate(chosen, preset=preset)
    if as_json:
        output.emit_json(found.raw)
        return
    size, seconds = found.estimated_size_compressed, found.estimated_seconds
    output.facts(
        [
            ("Events", found.events),
            ("Size, compressed, about", output.size(size) if size is not None else None),
            ("Time, about", output.duration(seconds) if seconds is not None else None),
            ("Quota left", output.size(found.quota.left_bytes) if found.quota else None),
            ("Would be accepted", found.allowed),
        ]
    )
    for problem in found.problems:
        output.say(f"Problem [{problem.get('code')}]: {problem.get('detail', '')} {problem.get('hint', '')}".rstrip())


def _bucket(
    bucket: str | None,
    prefix: str | None,
    access_key: str | None,
    secret_key: str | None,
    endpoint: str | None,
    region: str | None,
) -> dict[str, str]:
    """Settings of the caller's own bucket: option, then variable, as the reference client takes them."""
    wanted = {
        "bucket_name": bucket or os.environ.get("S3_BUCKET"),
        "prefix": prefix or os.environ.get("S3_PREFIX"),
        "access_key_id": access_key or os.environ.get("S3_ACCESS_KEY_ID"),
        "secret_access_key": secret_key or os.environ.get("S3_SECRET_ACCESS_KEY"),
        "endpoint_url": endpoint or os.environ.get("S3_ENDPOINT_URL"),
        "region_name": region or os.environ.get("S3_REGION_NAME"),
    }
    return {name: value for name, value in wanted.items() if value}


def _show_started(
    started: Export, key: CustomerKey, key_file: pathlib.Path | None, *, own: bool, as_json: bool
) -> None:
    tell = output.note if as_json else output.say
    tell(f"Export started. Task UUID: {started.task_uuid}")
    if own:
        tell("Encrypted with your key.")
    elif key_file is not None:
        tell(f"The encryption key is in {key_file}. Keep it: without it nobody can read the export.")
    elif not as_json:  # with --json the key is in the document
        output.show_key(key.base64, stderr=False)


def _wait(started: Export, interval: float, max_wait: float | None) -> Task:
    """Waits with a bar. Ctrl-C leaves the export running, and says so."""
    try:
        with output.progress("Exporting", unit="events") as update:
            return started.wait(
                lambda task: update(task.progress, task.total), interval_seconds=interval, max_wait_seconds=max_wait
            )
    except KeyboardInterrupt:
        output.note(f"\nThe export goes on. Look: penstock status {started.task_uuid}")
        raise


def _ended(task: Task) -> dict[str, Any]:
    return {
        "status": str(task.status),
        "events": task.progress,
        "export_size_compressed": task.export_size_compressed,
        "download_url": task.download_url,
        "manifest_url": task.manifest_url,
        "expire_at": task.expire_at,
    }


def _show_url(task: Task, task_uuid: str, *, as_json: bool) -> None:
    if as_json:
        return
    output.say(f"Export ready: {task.progress:,} events.")
    if task.download_url:
        output.say(f"Download URL: {task.download_url}")
    output.say(f"Download it: penstock download {task_uuid}")


def _download(
    wanted: Export,
    key: CustomerKey | None,
    target: pathlib.Path | None,
    parallel: int,
    manifest: pathlib.Path | None,
    verify: bool,
    *,
    as_json: bool,
) -> dict[str, Any]:
    from penstock.client import exports as client_exports

    target = target or client_exports.default_name()
    tell = output.note if as_json else output.say
    began = time.monotonic()
    try:
        with output.progress(f"Downloading {target.name}", unit="bytes") as update:
            got = wanted.download(
                target, customer_key=key, parallel=parallel, progress=update, check=verify, manifest_file=manifest
            )
    except KeyboardInterrupt:
        output.note(f"\nWhat came is kept. Go on: penstock download {wanted.task_uuid} -o {target}")
        raise
    tell(_told(got, time.monotonic() - began))
    return {
        "file": str(got.path),
        "size": got.size,
        "events": got.events if got.events is not None else wanted.task.progress,
        "verified": got.verified,
        "resumed_bytes": got.resumed_bytes,
    }


def _told(got: Downloaded, seconds: float) -> str:
    events = f"{got.events:,} events, " if got.events is not None else ""
    resumed = f", resumed at {output.size(got.resumed_bytes)}" if got.resumed_bytes else ""
    checked = "verified against its manifest" if got.verified else "NOT verified"
    return f"Downloaded {got.path}: {events}{output.size(got.size)} in {output.duration(seconds)}{resumed}, {checked}."
