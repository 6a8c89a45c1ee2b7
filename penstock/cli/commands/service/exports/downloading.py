"""`penstock download`, and the download at the end of `penstock export`."""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.cli import elapsed, output, progress
from penstock.cli.commands.service import connecting
from penstock.cli.commands.service.exports import customer_keys, started, targets
from penstock.cli.options import shared, tasks
from penstock.client import CustomerKey, Downloaded, Export
from penstock.client import exports as client_exports
from penstock.client.http import answers


def download(options: tasks.Download) -> None:
    """Fetches the file of a finished export."""
    # Key and target are checked before anything is asked of the service, so that mistakes show at once.
    key = None if options.no_sse_c else _given_key(options.key)
    targets.check(options.download)
    with connecting.connect(options.connection) as penstock:
        wanted = penstock.export(options.task_uuid)
        task = wanted.require_finished()
        if key is None and not options.no_sse_c and task.sse_customer_key_md5 is not None:
            # By the key's MD5: whichever terminal started the export, its key is found on this machine.
            key = started.key_of(task.sse_customer_key_md5) or customer_keys.asked_key()
            if key is None:
                raise answers.missing_customer_key()
        found = fetch(wanted, key, options.download, options.key, as_json=options.as_json)
        if options.as_json:
            output.emit_json({"task_uuid": options.task_uuid, **found})


def fetch(
    wanted: Export,
    key: CustomerKey | None,
    options: shared.Download,
    key_options: shared.Key,
    *,
    as_json: bool,
) -> dict[str, Any]:
    """Downloads with a bar, says how it went; what `--json` says of it."""
    if options.target is not None and shared.is_stdout(options.target):
        return _stream(wanted, key, options)
    target = options.target or client_exports.default_name()
    tell = output.note if as_json else output.say
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
        key_file = f" --key-file {key_options.key_file}" if key_options.key_file else ""
        output.note(f"\nWhat came is kept. Go on: penstock download {wanted.task_uuid} -o {target}{key_file}")
        raise
    tell(_sentence(got, elapsed.seconds()))
    return {
        "file": str(got.path),
        "size": got.size,
        "events": got.events if got.events is not None else wanted.task.progress,
        "verified": got.verified,
        "resumed_bytes": got.resumed_bytes,
    }


def _stream(wanted: Export, key: CustomerKey | None, options: shared.Download) -> dict[str, Any]:
    """The file's bytes to stdout, each part checked as it goes by: what is wrong ends with an error, not in silence."""
    size, stdout = 0, output.Stdout()
    chunks = wanted.chunks(customer_key=key, check=options.verify, manifest_file=options.manifest)
    for chunk in chunks:
        size += stdout.write(chunk)
    stdout.flush()
    output.note(f"{output.size(size)} written to stdout{', verified against the manifest' if options.verify else ''}.")
    return {"file": "-", "size": size, "verified": options.verify}


def _given_key(options: shared.Key) -> CustomerKey | None:
    """The key that the command line names.

    Raises:
        UsageError: `key_file_not_readable`, `unusable_customer_key`.
    """
    key = customer_keys.given_key(options, hint="Give the key that was shown when this export was started.")
    if options.key_file is not None and not options.key_file.exists() and key is None:
        raise errors.UsageError(
            "key_file_not_readable",
            f"There is no key file {options.key_file}.",
            "Give the file that holds the key of this export: --key-file.",
        )
    return key


def _sentence(got: Downloaded, seconds: float) -> str:
    events = f"{got.events:,} events, " if got.events is not None else ""
    resumed = f", resumed at {output.size(got.resumed_bytes)}" if got.resumed_bytes else ""
    checked = "verified against its manifest" if got.verified else "NOT verified"
    size, duration = output.size(got.size), output.duration(seconds)
    return f"Downloaded {got.path}: {events}{size}{resumed}, {checked}; {duration} in all."
