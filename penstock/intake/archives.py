"""Sources that are archives: each member of a zip is read as a source of its own."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from penstock import errors
from penstock.intake import streams

_LEFT_OUT = ("__MACOSX/",)


def contents(source: streams.Source, name: str | None = None, max_bytes: int | None = None) -> Iterator[streams.Opened]:
    """The open source; or, of a zip archive, its members in their order, each called `SOURCE:MEMBER`. Each is to be
    read before the next.

    Args:
        name: what messages call a source that is a stream.
        max_bytes: bound on the bytes of an archive that has to be copied first, since a zip begins at its end.

    Raises:
        IngestError: `unreadable_source`; `corrupt_input`, a damaged or encrypted archive.
    """
    with streams.opened(source, name) as opened:
        if not opened.is_zip:
            yield opened
        elif opened.path is not None:
            with opened.path.open("rb") as file:
                yield from _members(opened.name, file, opened.size)
        else:
            with tempfile.TemporaryFile() as copy:
                for piece in streams.bounded(opened.raw_pieces(), max_bytes, opened.name):
                    copy.write(piece)
                yield from _members(opened.name, copy, None)


def _members(name: str, file: IO[bytes], size: int | None) -> Iterator[streams.Opened]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise _corrupt(name, error) from error
    with archive:
        for member in archive.infolist():
            if not member.is_dir() and not member.filename.startswith(_LEFT_OUT):
                called = f"{name}:{member.filename}"
                with _Member(called, archive, member) as raw:
                    yield streams.Opened(called, raw, None, size, file.tell)


class _Member(io.RawIOBase):
    """The bytes of a member."""

    def __init__(self, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self._name = name
        try:
            self._bytes = archive.open(member)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
            raise _corrupt(name, error) from error

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; none at the end. Raises IngestError `corrupt_input`."""
        try:
            return self._bytes.read(-1 if size is None else size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise _corrupt(self._name, error) from error

    def close(self) -> None:
        self._bytes.close()
        super().close()


def _corrupt(name: str, error: Exception) -> errors.IngestError:
    return errors.IngestError(
        "corrupt_input",
        f"{name} is damaged or encrypted: it cannot be read as zip ({error}).",
        "Get an undamaged copy of the file, or unpack it first.",
        source=name,
    )
