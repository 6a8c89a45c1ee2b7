"""What could not be taken in: counted, the first ones told, all kept to the byte in a side file."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json.encoder
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from penstock.fields import refused

KEPT_BYTES = 4096
"""Bytes that are kept of a line that is too long."""

DETAILS = 100
"""Rejected lines that a report tells of one by one."""


_string = json.encoder.encode_basestring


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """One line that was not taken in.

    Attributes:
        source: the name of its source.
        line: its line number (in Parquet: row number), 1-based.
        code: stable, snake_case: see `fields.refused.EventRefused`.
        reason: what is wrong, for people.
    """

    source: str
    line: int
    code: str
    reason: str


class Rejects:
    """The rejected lines of one ingest.

    Attributes:
        count: how many there are.
        first: the first of them, so many as `details` says.
    """

    def __init__(self, path: pathlib.Path | None, *, details: int = DETAILS) -> None:
        self._details = details
        self.count = 0
        self.first: list[Reject] = []
        self._path = path
        self._file: BinaryIO | None = None

    @property
    def file(self) -> pathlib.Path | None:
        """The side file, if there is one and anything is in it."""
        return self._path if self.count and self._file is not None else None

    def add(
        self, source: str, line: int, refusal: refused.EventRefused, raw: bytes, *, size: int | None = None
    ) -> None:
        """Notes a line. `raw` is its text; only its start where `size`, its real length, is given."""
        self.count += 1
        if len(self.first) < self._details:
            self.first.append(Reject(source=source, line=line, code=refusal.code, reason=refusal.detail))
        if self._path is None:
            return
        # Made with the first reject: an ingest without any leaves no empty file.
        if self._file is None:
            self._file = self._begun(self._path)
        try:
            text = f'"raw": {_string(raw.decode())}'
        except UnicodeDecodeError:
            # JSON cannot hold bytes that are no UTF-8, and to replace them would lose what the user must repair.
            text = f'"raw_base64": "{base64.b64encode(raw).decode()}"'
        if size is not None:
            text = f'{text}, "truncated": true, "bytes": {size}'
        reason = _string(f"{refusal.code}: {refusal.detail}")
        entry = f'{{"source": {_string(source)}, "line": {line}, "reason": {reason}, {text}}}\n'
        self._file.write(entry.encode(errors="backslashreplace"))

    def take_over(self, count: int, first: Iterable[Reject], kept: pathlib.Path | None) -> None:
        """Adds the rejects of another process, and what it kept of them in a side file of its own."""
        self.count += count
        self.first += list(first)[: self._details - len(self.first)]
        if self._path is None or kept is None or not kept.exists():
            return
        if self._file is None:
            self._file = self._begun(self._path)
        with kept.open("rb") as file:
            shutil.copyfileobj(file, self._file)

    @staticmethod
    def _begun(path: pathlib.Path) -> BinaryIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")

    def mark(self) -> tuple[int, int]:
        """Where the rejects stand now, for `rewind`."""
        return self.count, self._file.tell() if self._file is not None else 0

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forgets what came after the mark; its source is read again."""
        self.count, position = mark
        del self.first[self.count :]
        if self._file is not None:
            self._file.seek(position)
            self._file.truncate()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Closes the side file at the end."""
        try:
            yield
        finally:
            if self._file is not None:
                self._file.close()
