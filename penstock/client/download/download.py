"""Downloads an export: resumes after any break, verifies against the manifest, replaces the target only when whole.

A piece is a part of the manifest: it is verified by itself, and fetched once more by itself when it is wrong. Without a
manifest the pieces are plain stretches and only the size can be checked; `Downloaded.verified` says so.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import pathlib
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.client import events
from penstock.client.download import partfile, remote
from penstock.client.download.partfile import Piece
from penstock.client.http.retry import Retry
from penstock.evidence import manifest as manifests
from penstock.storage.keys import CustomerKey

DEFAULT_PARALLEL = 4
_LARGE_BYTES = 32 * 1024 * 1024
"""Smaller files come over one connection: the second would hardly get going."""
_STRETCH_BYTES = 16 * 1024 * 1024

Progress = Callable[[int, int], None]
"""Called with (bytes that are here, bytes in all), from any thread but one at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A finished download.

    Attributes:
        path: the file.
        size: its bytes.
        events: its events, as the manifest says; None without a manifest.
        verified: every part and the root matched the manifest.
        resumed_bytes: what an earlier run had left and was kept.
        breaks: connections that broke on the way.
    """

    path: pathlib.Path
    size: int
    events: int | None
    verified: bool
    resumed_bytes: int
    breaks: int


def download(
    url: str,
    target: pathlib.Path,
    *,
    customer_key: CustomerKey | None,
    manifest: Mapping[str, Any] | None = None,
    parallel: int = DEFAULT_PARALLEL,
    progress: Progress | None = None,
    verify: bool | ssl.SSLContext = True,
    timeout_seconds: float = 30.0,
    retry: Retry | None = None,
) -> Downloaded:
    """Fetches the object behind `url` to `target`.

    Args:
        manifest: as `evidence.manifest.loads` gives it; None: size alone is checked.
        parallel: connections at once for files of 32 MiB or more, where the host takes ranges.
        retry: bound of tries in a row that bring no new byte.

    Raises:
        AccessDenied: `download_expired`, `wrong_customer_key`, `customer_key_missing`, `download_url_rejected`.
        StorageError: `export_damaged` (a part is wrong twice), `disk_full`, `file_not_writable`, `download_failed`,
            `download_running`, `object_changed`.
        NetworkError: after `retry`. What came is kept: the next call goes on from there.
    """
    if parallel < 1:
        raise errors.UsageError("invalid_parallel", f"parallel is {parallel}.", "Give 1 or more connections.")
    with _as_words(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        file = partfile.PartFile(target, progress or (lambda done, total: None))
        with contextlib.closing(file):
            # Twice: what an earlier run left may be of another file. A file that changes under a fresh start as well is
            # reported.
            for _ in range(2):
                earlier = _fitting(file.earlier(), manifest)
                source = remote.RemoteObject(
                    url,
                    customer_key,
                    verify=verify,
                    timeout_seconds=timeout_seconds,
                    retry=retry,
                    etag=earlier.etag,
                    size=manifest["size"] if manifest else earlier.size,
                )
                with contextlib.closing(source):
                    try:
                        return _run(source, file, earlier, manifest, parallel)
                    except remote.ObjectChanged:
                        file.forget()
    raise errors.StorageError(
        "object_changed",
        "The file on the server is not the one of the manifest, or it changes while it is read.",
        "Export again and download the new file.",
    )


@contextlib.contextmanager
def _as_words(target: pathlib.Path) -> Iterator[None]:
    """What the operating system says about the target, in the words of the tree."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise partfile.disk_full(target, str(error.strerror)) from error
        raise errors.StorageError(
            "file_not_writable", f"{target} cannot be written: {error.strerror}.", "Choose another place with -o."
        ) from error


def _fitting(earlier: partfile.Earlier, manifest: Mapping[str, Any] | None) -> partfile.Earlier:
    """What an earlier run left, if it was of the same file."""
    root = manifest["root_sha256"] if manifest else None
    same = earlier.root == root and (manifest is None or earlier.size == manifest["size"])
    return earlier if same else partfile.Earlier()


def _run(
    source: remote.RemoteObject,
    file: partfile.PartFile,
    earlier: partfile.Earlier,
    manifest: Mapping[str, Any] | None,
    parallel: int,
) -> Downloaded:
    # Whether the host takes ranges decides between one connection and several; for a small file the question costs more
    # than it brings.
    if source.size is None or source.size >= _LARGE_BYTES:
        source.probe()
    pieces = _pieces(source, manifest)
    root = manifest["root_sha256"] if manifest else None
    resumed = file.begin(pieces, earlier, etag=source.etag, root=root)
    try:
        _Fetch(source, file).run(pieces, parallel)
    finally:
        # Also after a failure: what came is kept, and the next run goes on from there.
        file.save()
    if manifest is not None:
        _check_root(manifest)
    file.finish()
    return Downloaded(
        path=file.target,
        size=file.size,
        events=manifest["events"] if manifest else None,
        verified=manifest is not None,
        resumed_bytes=resumed,
        breaks=source.breaks,
    )


def _pieces(source: remote.RemoteObject, manifest: Mapping[str, Any] | None) -> list[Piece]:
    if manifest is not None:
        return [
            Piece(number=part["number"], offset=part["offset"], size=part["size"], sha256=part["sha256"])
            for part in manifest["parts"]
        ]
    if source.size is None:
        raise errors.StorageError(
            "download_failed", "The download host does not say how long the file is.", "Download it with curl."
        )
    return [
        Piece(number=n, offset=at, size=min(_STRETCH_BYTES, source.size - at), sha256=None)
        for n, at in enumerate(range(0, source.size, _STRETCH_BYTES), 1)
    ]


def _check_root(manifest: Mapping[str, Any]) -> None:
    """Every piece has matched its own digest; the root ties them together as one file."""
    if manifests.root(part["sha256"] for part in manifest["parts"]) != manifest["root_sha256"]:
        raise events.damaged("The digests of the parts do not give the manifest's root.")


class _Fetch:
    """Brings the pieces that are missing."""

    def __init__(self, source: remote.RemoteObject, file: partfile.PartFile) -> None:
        self.source = source
        self.file = file
        self.stop = threading.Event()

    def run(self, pieces: Sequence[Piece], parallel: int) -> None:
        missing = [piece for piece in pieces if not self.file.is_whole(piece)]
        large = self.file.size >= _LARGE_BYTES and len(missing) > 1
        if self.source.takes_ranges and large and parallel > 1:
            self._run_parallel(missing, parallel)
            return
        for neighbours in self._neighbours(missing):
            self._fetch(neighbours)

    def _run_parallel(self, missing: Sequence[Piece], parallel: int) -> None:
        queue = collections.deque(missing)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                while not self.stop.is_set():
                    self._fetch([queue.popleft()])
            # `popleft` of a deque is atomic, so that the threads need no lock around the queue.
            except IndexError:
                return  # the queue is empty
            # Collected for the caller's thread: an exception in this one would only be printed.
            except BaseException as failure:
                failures.append(failure)
                self.stop.set()

        threads = [threading.Thread(target=work, daemon=True, name=f"download-{n}") for n in range(parallel)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C: what hangs on a silent connection is left to die with the process
            self.stop.set()
            for thread in threads:
                thread.join(timeout=1.0)
            raise
        if failures:
            raise failures[0]

    def _neighbours(self, missing: Sequence[Piece]) -> list[list[Piece]]:
        """Pieces that touch, together; one that is partly here begins a new run."""
        runs: list[list[Piece]] = []
        for piece in missing:
            touches = runs and runs[-1][-1].offset + runs[-1][-1].size == piece.offset
            if touches and self.file.here(piece) == 0:
                runs[-1].append(piece)
            else:
                runs.append([piece])
        return runs

    def _fetch(self, neighbours: Sequence[Piece]) -> None:
        """Fetches neighbours over one connection, then the wrong ones once more."""
        start = neighbours[0].offset + self.file.here(neighbours[0])
        for piece in self._take(neighbours, self.source.read(start, neighbours[-1].offset + neighbours[-1].size)):
            self.file.restart(piece)
            # Once more by itself: a proxy or a line may have damaged it. Wrong twice, it is the object.
            if self._take([piece], self.source.read(piece.offset, piece.offset + piece.size)):
                self.file.restart(piece)
                raise events.damaged(f"Part {piece.number} of {self.file.target.name} does not match its manifest.")

    def _take(self, neighbours: Sequence[Piece], stream: Generator[bytes]) -> list[Piece]:
        """Writes what comes; returns the pieces that came whole but wrong."""
        waiting = collections.deque(neighbours)
        wrong = []
        with contextlib.closing(stream):
            for chunk in stream:
                if self.stop.is_set():
                    break
                # Before the bytes are written: the state file must name the object that they are of.
                self.file.etag = self.source.etag
                view = memoryview(chunk)
                while view:
                    piece = waiting[0]
                    room = piece.size - self.file.here(piece)
                    self.file.write(piece, view[:room])
                    view = view[room:]
                    if self.file.is_whole(piece):
                        waiting.popleft()
                        if not self.file.is_right(piece):
                            wrong.append(piece)
        return wrong
