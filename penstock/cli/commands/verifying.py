"""`penstock verify`: is this file exactly what the service exported?"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, Any

import typer

from penstock import errors
from penstock.cli import output
from penstock.cli.options import connection


def verify(
    file: Annotated[pathlib.Path, typer.Argument(metavar="FILE", help="The downloaded .jsonl.gz.")],
    manifest: Annotated[
        pathlib.Path, typer.Argument(metavar="MANIFEST", help="Its manifest, from `download --manifest`.")
    ],
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            metavar="KEY",
            help="The key that must have signed it, base64; the service tells it at /v1/manifest-key. "
            "Default: the key that the manifest names.",
        ),
    ] = None,
    as_json: connection.Json = False,
) -> None:
    """Check a file against its manifest: signature, every part's SHA-256, root, gzip, number of events."""
    from penstock.evidence import manifest as manifests

    signed = read_manifest(manifest)
    try:
        with output.progress(f"Verifying {file.name}", unit="bytes", total=signed["size"]) as update:
            found = manifests.verify(
                file, signed, public_key=public_key, progress=lambda done: update(done, signed["size"])
            )
    except OSError as error:
        raise errors.UsageError(
            "file_not_readable", f"{file} cannot be read: {error.strerror}.", "Give the downloaded file."
        ) from error
    if as_json:
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
        f"{file} is exactly what was exported: {found.events:,} events, {output.size(found.size)}, "
        f"{len(signed['parts'])} parts, signed by {found.public_key}."
    )
    if public_key is None:
        output.note("The signer is the one that the manifest names. --public-key checks that it is your service.")


def read_manifest(file: pathlib.Path) -> dict[str, Any]:
    """A manifest from a file.

    Raises:
        UsageError: `manifest_not_readable`.
        InvalidRequest: `invalid_manifest`.
    """
    from penstock.evidence import manifest as manifests

    try:
        return manifests.loads(file.read_bytes())
    except OSError as error:
        raise errors.UsageError(
            "manifest_not_readable",
            f"{file} cannot be read: {error.strerror}.",
            "Keep the manifest when downloading: --manifest FILE.",
        ) from error
