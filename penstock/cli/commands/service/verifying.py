"""`penstock verify`: is this file exactly what the service exported?"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from penstock import errors
from penstock.cli import output, progress
from penstock.cli.options import tasks
from penstock.evidence import manifest as manifests


def verify(options: tasks.Verify) -> None:
    """Reads the file once and compares everything that the manifest says."""
    signed = read_manifest(options.manifest)
    try:
        with progress.progress(f"Verifying {options.file.name}", unit="bytes", total=signed["size"]) as update:
            found = manifests.verify(
                options.file, signed, public_key=options.public_key, progress=lambda done: update(done, signed["size"])
            )
    except OSError as error:
        raise errors.UsageError(
            "file_not_readable", f"{options.file} cannot be read: {error.strerror}.", "Give the downloaded file."
        ) from error
    if options.as_json:
        output.emit_json(
            {
                "verified": True,
                "task_uuid": signed["task_uuid"],
                "parts": len(signed["parts"]),
                **dataclasses.asdict(found),
            }
        )
        return
    output.say(
        f"{options.file} is exactly what was exported: {found.events:,} events, {output.size(found.size)}, "
        f"{len(signed['parts'])} parts, signed by {found.public_key}."
    )
    if options.public_key is None:
        output.note("The signer is the one that the manifest names. --public-key checks that it is your service.")


def read_manifest(file: pathlib.Path) -> dict[str, Any]:
    """A manifest from a file.

    Raises:
        UsageError: `manifest_not_readable`.
        InvalidRequest: `invalid_manifest`.
    """
    try:
        return manifests.loads(file.read_bytes())
    except OSError as error:
        raise errors.UsageError(
            "manifest_not_readable",
            f"{file} cannot be read: {error.strerror}.",
            "Keep the manifest when downloading: --manifest FILE.",
        ) from error
