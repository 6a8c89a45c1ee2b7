"""`penstock download`, and the download at the end of `penstock export`."""

from __future__ import annotations

import time
from typing import Any

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.commands.service import connecting, customer_keys
from penstock.cli.options import shared, tasks
from penstock.client import CustomerKey, Downloaded, Export
from penstock.client import exports as client_exports
from penstock.client.http import answers


def download(options: tasks.Download) -> None:
    """Fetches the file of a finished export."""
    key = None if options.no_sse_c else customer_keys.given_key(options.key)
    key_file = options.key.key_file
    if key_file is not None and not key_file.exists() and key is None and not options.no_sse_c:
        raise errors.UsageError(
            "key_file_not_readable",
            f"There is no key file {key_file}.",
            "Give the file that holds the key: --key-file.",
        )
    with connecting.connect(options.connection) as penstock:
        wanted = penstock.export(options.task_uuid)
        wanted.require_finished()
        if key is None and not options.no_sse_c:
            key = customer_keys.asked_key()
            if key is None:
                raise answers.missing_customer_key()
        found = fetch(wanted, key, options.download, as_json=options.as_json)
        if options.as_json:
            output.emit_json({"task_uuid": options.task_uuid, **found})


def fetch(wanted: Export, key: CustomerKey | None, options: shared.Download, *, as_json: bool) -> dict[str, Any]:
    """Downloads with a bar, says how it went; what `--json` says of it."""
    target = options.target or client_exports.default_name()
    tell = output.note if as_json else output.say
    began = time.monotonic()
    try:
        with progress.progress(f"Downloading {target.name}", unit="bytes") as update:
            got = wanted.download(
                target,
                customer_key=key,
                parallel=options.parallel,
                progress=update,
                check=options.verify,
                manifest_file=options.manifest,
            )
    except KeyboardInterrupt:
        output.note(f"\nWhat came is kept. Go on: penstock download {wanted.task_uuid} -o {target}")
        raise
    tell(_sentence(got, time.monotonic() - began))
    return {
        "file": str(got.path),
        "size": got.size,
        "events": got.events if got.events is not None else wanted.task.progress,
        "verified": got.verified,
        "resumed_bytes": got.resumed_bytes,
    }


def _sentence(got: Downloaded, seconds: float) -> str:
    events = f"{got.events:,} events, " if got.events is not None else ""
    resumed = f", resumed at {output.size(got.resumed_bytes)}" if got.resumed_bytes else ""
    checked = "verified against its manifest" if got.verified else "NOT verified"
    return f"Downloaded {got.path}: {events}{output.size(got.size)} in {output.duration(seconds)}{resumed}, {checked}."
