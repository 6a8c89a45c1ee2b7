"""`penstock export`: start, show the key, wait, download, verify."""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.commands import field_choice
from penstock.cli.commands.service import connecting, searching
from penstock.cli.commands.service.exports import all_fields, downloading, starting, targets
from penstock.cli.options import exporting
from penstock.client import Penstock, SearchJob, Task


def export(options: exporting.Export) -> None:
    """Runs an export to its end, or as far as the options say."""
    if options.as_json and options.writes_to_stdout:
        raise errors.UsageError(
            "json_and_stdout",
            "--json and -o - both want stdout.",
            "Write the events to a file, or leave --json out.",
        )
    if (options.job_uuid is None) == (options.query is None):
        raise errors.UsageError(
            "job_or_query",
            "Both a search job and --query were given." if options.query is not None else "Nothing to export is named.",
            "Give the UUID that `penstock search` printed, or a --query.",
        )
    fields = field_choice.chosen(options.choice)
    if not (options.no_download or options.no_wait):
        # Before the start: an export that cannot be written here would still count against the quota.
        targets.check(options.download)
    with connecting.connect(options.connection) as penstock:
        job = _job(penstock, options)
        if options.choice.all_fields:
            fields = all_fields.of(penstock, job)
        if not (options.no_download or options.no_wait):
            targets.check_space(job, fields, options.download)
        done = starting.start(job, fields, options, service=penstock.url)
        starting.show(done, options)
        _finish(done, options)


def _job(penstock: Penstock, options: exporting.Export) -> SearchJob:
    """The search job that is named, or the one that --query starts."""
    if options.job_uuid is not None:
        return penstock.search_job(options.job_uuid)
    return searching.run(penstock, options.query or "", options.period, options.community)


def _finish(done: starting.Started, options: exporting.Export) -> None:
    """Waits and downloads. With --json the one document is printed also when that fails: it may hold the key."""
    found: dict[str, Any] = {"task_uuid": done.export.task_uuid, "status": "PENDING"}
    if done.key is not None:
        found["sse_customer_key_md5"] = done.key.md5
    if done.key is not None and done.is_generated:
        found["sse_customer_key"] = done.key.base64
    try:
        if not options.no_wait:
            _follow(done, options, found)
    # Interrupts too: with --json the key is printed here or nowhere.
    except BaseException as error:
        if options.as_json:
            output.emit_json(found | {"error": getattr(error, "code", "interrupted")})
        if isinstance(error, errors.WaitTimeout | errors.NetworkError | errors.StorageError):
            output.note(f"Export {done.export.task_uuid} is not lost: penstock download {done.export.task_uuid}")
        raise
    if options.as_json:
        output.emit_json(found)


def _follow(done: starting.Started, options: exporting.Export, found: dict[str, Any]) -> None:
    task = _wait(done, options)
    found |= _facts(task)
    if not options.no_download:
        found |= downloading.fetch(done.export, done.key, options.download, options.key, as_json=options.as_json)
    elif not options.as_json:
        _show_url(task)


def _wait(done: starting.Started, options: exporting.Export) -> Task:
    """Waits with a bar. Ctrl-C leaves the export running, and says so."""
    try:
        with progress.progress("Exporting", unit="events") as update:
            return done.export.wait(
                lambda task: update(task.progress, task.total),
                interval_seconds=options.interval,
                max_wait_seconds=options.max_wait,
            )
    except KeyboardInterrupt:
        output.note(f"\nThe export goes on. Look: penstock status {done.export.task_uuid}")
        output.note(f"Stop it: penstock cancel {done.export.task_uuid}")
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
