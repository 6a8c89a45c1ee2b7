"""The console's files as a web server answers them: under names that change with their content, and a strict policy.

No framework in here: `answer_page` and `answer_asset` say what to send, `penstock.api` sends it. The files lie in
`static/` as they are served; there is no build step. All of them stand under one folder named by a digest of all, so
that their imports of each other need no rewriting, and any change of any file gives a new folder.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import pathlib
from collections.abc import Iterable, Mapping

STATIC = pathlib.Path(__file__).parent / "static"
INDEX = "index.html"

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_COMPRESSION_LEVEL = 9
_DIGEST_LENGTH = 16


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file, ready to be sent.

    Attributes:
        content: its bytes.
        compressed: the same under gzip.
        media_type: its Content-Type.
        etag: quoted; of the content.
    """

    content: bytes
    compressed: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, suffix: str) -> File:
        """A file of these bytes; `suffix` of its name tells the media type."""
        return cls(
            content=content,
            # No time: every process of a service answers the same bytes.
            compressed=gzip.compress(content, _COMPRESSION_LEVEL, mtime=0),
            media_type=_MEDIA_TYPES[suffix],
            etag=f'"{hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]}"',
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What to send back.

    Attributes:
        status: 200 or 304.
        headers: all of them but Content-Length.
        body: empty for 304.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """All files of the console.

    Attributes:
        digest: names the folder that the files stand under.
        index: the page itself.
        files: every other file by its path below the folder.
    """

    digest: str
    index: File
    files: Mapping[str, File]

    def find(self, digest: str, path: str) -> File | None:
        """The file of that name; None for another digest, since a name must never come with other content."""
        return self.files.get(path) if digest == self.digest else None


@functools.cache
def load() -> Site:
    """Reads the files once a process."""
    paths = sorted(path for path in STATIC.rglob("*") if path.suffix in _MEDIA_TYPES)
    contents = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
    whole = hashlib.sha256()
    for name, content in contents.items():
        # The length keeps the end of one file apart from the beginning of the next name.
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    digest = whole.hexdigest()[:_DIGEST_LENGTH]
    index = contents.pop(INDEX).replace(b"{assets}", f"console/{digest}".encode())
    return Site(
        digest=digest,
        index=File.of(index, ".html"),
        files={name: File.of(content, pathlib.PurePath(name).suffix) for name, content in contents.items()},
    )


def answer_page(file: File, headers: Mapping[str, str], *, stores: Iterable[str] = ()) -> Answer:
    """The page: asked for again each time, by its ETag. `stores`: further origins that downloads come from."""
    # The page names the folder of the day, so that it must be asked for each time; all else may be kept for good.
    return _answer(file, headers, {"Cache-Control": "no-cache", **_policy(stores)})


def answer_asset(file: File, headers: Mapping[str, str]) -> Answer:
    """A file of the page: kept for good, since its name changes with its content."""
    return _answer(file, headers, {"Cache-Control": "public, max-age=31536000, immutable"})


def _answer(file: File, asked: Mapping[str, str], own: Mapping[str, str]) -> Answer:
    headers = {
        "Content-Type": file.media_type,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "same-origin",
        **own,
    }
    # A proxy that compresses makes an ETag weak; If-None-Match compares weakly anyway (RFC 9110 §13.1.2).
    if file.etag in (name.strip().removeprefix("W/") for name in asked.get("if-none-match", "").split(",")):
        return Answer(status=304, headers=headers, body=b"")
    if "gzip" in asked.get("accept-encoding", "") and len(file.compressed) < len(file.content):
        return Answer(status=200, headers={**headers, "Content-Encoding": "gzip"}, body=file.compressed)
    return Answer(status=200, headers=headers, body=file.content)


def _policy(stores: Iterable[str]) -> dict[str, str]:
    """Nothing from elsewhere, no inline script or style, no text turned into a script or markup."""
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        " ".join(("connect-src 'self'", *stores)),
        "base-uri 'none'",
        "form-action 'none'",
        # No other site may show the console in a frame and have its buttons pressed.
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(rules),
        # A download host must not learn which search a user came from.
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
