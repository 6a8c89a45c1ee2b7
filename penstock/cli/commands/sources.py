"""What the words behind `penstock ingest` mean: files, folders, patterns, pipes."""

from __future__ import annotations

import glob
import os
import pathlib
from collections.abc import Iterator, Sequence

from penstock import errors

REJECTS_PREFIX = "rejects_"
"""How files of rejected lines begin, if nobody named them: a folder's are left out."""

_LEFT_OUT = (".", "_", REJECTS_PREFIX)


def found(words: Sequence[str]) -> list[str]:
    """The files, in the order of the words: those below a folder, and those that a pattern names, in order of name.

    Below a folder, files and folders whose names begin with `.`, `_` or `rejects_` are left out. A pattern may have
    `**`.

    Raises:
        IngestError: `unreadable_source`, before anything is taken in: a word that names nothing.
    """
    return [file for word in words for file in _of(word)]


def _of(word: str) -> list[str]:
    path = pathlib.Path(word)
    if word == "-":
        return [word]
    if path.is_dir():
        return _checked(word, list(_below(word)), "The folder {word!r} holds no files.")
    if path.exists():  # a file, a FIFO, /dev/fd/N
        return [word]
    if glob.has_magic(word):
        named = sorted(glob.glob(word, recursive=True))
        files = [file for name in named for file in (_below(name) if os.path.isdir(name) else [name])]
        return _checked(word, list(dict.fromkeys(files)), "No file is named like {word!r}.")
    return _checked(word, [], "There is no file {word!r}.")


def _below(folder: str) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_LEFT_OUT))
        yield from (os.path.join(path, name) for name in sorted(files) if not name.startswith(_LEFT_OUT))


def _checked(word: str, files: list[str], otherwise: str) -> list[str]:
    if not files:
        raise errors.IngestError("unreadable_source", otherwise.format(word=word), "Check the path.")
    return files
