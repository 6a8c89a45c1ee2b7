"""Sends events to the service: lines gathered into compressed requests of bounded size."""

from __future__ import annotations

import gzip
import io
import json
import pathlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, cast

import zstandard

from penstock import errors
from penstock.client.http.transport import Transport
from penstock.client.replies import Ingested

_REQUEST_BYTES = 8 * 1024 * 1024
"""Plain bytes of one request: far below the service's bound, large enough that the request itself costs nothing."""


def send(
    transport: Transport,
    community_uuid: str,
    source: str | pathlib.Path | Iterable[Mapping[str, Any] | bytes],
    *,
    batch_id: str | None = None,
) -> Ingested:
    """Sends a file of JSON Lines (plain, .gz, .zst) or an iterable of events or lines.

    Requests are sent one after the other; when one fails, those before it stay, and the error's `extra` says how many
    events were accepted. With the same `batch_id` and the same source, sending again takes nothing in twice.
    """
    accepted, first_line = 0, 1
    rejected: list[Mapping[str, Any]] = []
    lines = _file_lines(pathlib.Path(source)) if isinstance(source, str | pathlib.Path) else _as_lines(source)
    batch = batch_id or str(uuid.uuid4())
    for number, (body, count) in enumerate(_requests(lines)):
        try:
            answer = transport.post_lines(
                # Each request is a batch of its own: the bodies are cut by bytes alone, so the same source gives the
                # same batches again.
                f"/v1/communities/{community_uuid}/events",
                gzip.compress(body, 1),
                batch_id=f"{batch}-{number}",
            )
        except errors.PenstockError as error:
            error.extra["accepted_before"] = accepted
            raise
        accepted += answer["accepted"]
        # The service counts within one request, the caller in all that was sent.
        rejected += [{**entry, "line": entry["line"] + first_line - 1} for entry in answer.get("rejected", [])]
        first_line += count
    return Ingested(accepted=accepted, rejected=tuple(rejected))


def _requests(lines: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Bodies and how many lines each holds."""
    body = bytearray()
    count = 0
    for line in lines:
        if body and len(body) + len(line) > _REQUEST_BYTES:
            yield bytes(body), count
            body, count = bytearray(), 0
        body += line if line.endswith(b"\n") else line + b"\n"
        count += 1
    if body:
        yield bytes(body), count


def _as_lines(items: Iterable[Mapping[str, Any] | bytes]) -> Iterator[bytes]:
    for item in items:
        yield item if isinstance(item, bytes) else json.dumps(item, ensure_ascii=False).encode()


def _file_lines(path: pathlib.Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from _plain(path, file)
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise errors.UsageError(
            "file_not_readable",
            f"{path} cannot be read: {error}.",
            "Give a whole file of JSON Lines (plain, .gz, .zst).",
        ) from error


def _plain(path: pathlib.Path, file: IO[bytes]) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if path.suffix in (".zst", ".zstd"):
        return io.BufferedReader(cast(Any, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)))
    return file
