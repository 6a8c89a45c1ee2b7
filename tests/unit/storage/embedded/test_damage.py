"""The embedded store against bad disks and bad people: what it cannot vouch for, it does not give out."""

from __future__ import annotations

import errno
import json
import pathlib
import resource
from collections.abc import Callable

import pytest

from penstock import errors, testing
from penstock.base import durable_files
from penstock.storage import CustomerKey, ObjectInfo
from penstock.storage.embedded.crypto import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES
from penstock.storage.embedded.store import EmbeddedStore

KEY = CustomerKey(bytes(range(32)))
NAME = "a/export.gz"
PARTS = [bytes([65 + n]) * (3 * CHUNK_BYTES + n) for n in range(3)]
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES


def make(root: pathlib.Path) -> EmbeddedStore:
    return EmbeddedStore(
        root, signing_key=b"k" * 32, public_url="http://h", clock=testing.ManualClock(), min_part_bytes=1
    )


def write(store: EmbeddedStore, name: str = NAME) -> ObjectInfo:
    upload = store.begin(name, KEY, content_type="application/gzip", filename="export.gz")
    receipts = [store.put_part(upload, number, body, KEY) for number, body in enumerate(PARTS, start=1)]
    return store.complete(upload, receipts, KEY)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> EmbeddedStore:
    made = make(tmp_path / "exports")
    write(made)
    return made


def part_files(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    return sorted((tmp_path / "exports" / "data").glob("*/*"))


def index_file(tmp_path: pathlib.Path) -> pathlib.Path:
    return next((tmp_path / "exports" / "objects").iterdir())


def read(store: EmbeddedStore) -> bytes:
    return b"".join(store.read(NAME, KEY))


def assert_damaged(store: EmbeddedStore) -> None:
    with pytest.raises(errors.StorageError) as failure:
        read(store)
    assert failure.value.code == "object_damaged"
    assert failure.value.hint


def test_what_is_intact_is_read(store: EmbeddedStore) -> None:
    assert read(store) == b"".join(PARTS)


@pytest.mark.parametrize(
    "offset",
    [0, 8, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES, HEADER_BYTES + SEALED_CHUNK, -TAG_BYTES - 1, -1],
)
@pytest.mark.parametrize("part", [0, 2])
def test_a_flipped_bit_is_found(store: EmbeddedStore, tmp_path: pathlib.Path, part: int, offset: int) -> None:
    path = part_files(tmp_path)[part]
    held = bytearray(path.read_bytes())
    held[offset] ^= 1
    path.write_bytes(held)
    assert_damaged(store)


def swap_chunks(held: bytes) -> bytes:
    first, second = HEADER_BYTES, HEADER_BYTES + SEALED_CHUNK
    return held[:first] + held[second : second + SEALED_CHUNK] + held[first:second] + held[second + SEALED_CHUNK :]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(swap_chunks, id="chunks swapped"),
        pytest.param(lambda held: held[:-SEALED_CHUNK], id="last chunk cut off"),
        pytest.param(lambda held: held[: HEADER_BYTES + SEALED_CHUNK], id="all but one chunk cut off"),
        pytest.param(lambda held: held[:-1], id="last byte cut off"),
        pytest.param(lambda held: held[:HEADER_BYTES], id="nothing but the header"),
        pytest.param(lambda held: b"", id="empty"),
        pytest.param(lambda held: held[:HEADER_BYTES] + held[HEADER_BYTES + SEALED_CHUNK :], id="first chunk cut out"),
    ],
)
def test_a_part_with_other_chunks_is_found(
    store: EmbeddedStore, tmp_path: pathlib.Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = part_files(tmp_path)[0]
    path.write_bytes(spoil(path.read_bytes()))
    assert_damaged(store)


def test_parts_in_each_other_s_place_are_found(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    first, second = (path.read_bytes() for path in part_files(tmp_path)[:2])
    part_files(tmp_path)[0].write_bytes(second)
    part_files(tmp_path)[1].write_bytes(first)
    assert_damaged(store)


def test_the_same_part_of_another_object_is_found(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    mine = part_files(tmp_path)
    write(store, "another")
    other = sorted(set(part_files(tmp_path)) - set(mine))
    mine[0].write_bytes(other[0].read_bytes())
    assert_damaged(store)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda index: index["parts"].pop(), id="a part less"),
        pytest.param(lambda index: index["parts"].reverse(), id="parts reordered"),
        pytest.param(lambda index: index["parts"][0].__setitem__(1, 5), id="another size"),
        pytest.param(lambda index: index.update(modified_at="2020-01-01T00:00:00+00:00"), id="another date"),
        pytest.param(lambda index: index.update(filename="evil.exe"), id="another name"),
        pytest.param(lambda index: index.update(version=2), id="another version"),
        pytest.param(lambda index: index.pop("version"), id="no version"),
    ],
)
def test_an_index_that_was_edited_is_found(
    store: EmbeddedStore, tmp_path: pathlib.Path, spoil: Callable[[dict[str, object]], object]
) -> None:
    line, _, code = index_file(tmp_path).read_bytes().partition(b"\n")
    index = json.loads(line)
    spoil(index)
    index_file(tmp_path).write_bytes(json.dumps(index, separators=(",", ":")).encode() + b"\n" + code)
    assert_damaged(store)


@pytest.mark.parametrize("held", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_an_index_that_is_none_is_found(store: EmbeddedStore, tmp_path: pathlib.Path, held: bytes) -> None:
    index_file(tmp_path).write_bytes(held or b"\n")
    assert_damaged(store)


def test_one_object_s_index_does_not_serve_for_another(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    held = index_file(tmp_path).read_bytes()
    before = set(index_file(tmp_path).parent.iterdir())
    store.put("another", b"x", KEY, content_type="a/b", filename="f")
    other = (set(index_file(tmp_path).parent.iterdir()) - before).pop()
    other.write_bytes(held)
    with pytest.raises(errors.ObjectMissing):
        store.head("another", KEY)


def test_nothing_is_given_out_of_a_chunk_that_is_damaged(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    path = part_files(tmp_path)[1]
    held = bytearray(path.read_bytes())
    held[HEADER_BYTES + SEALED_CHUNK] ^= 1
    path.write_bytes(held)
    given = bytearray()

    def take_all() -> None:
        for piece in store.read(NAME, KEY):
            given.extend(piece)

    with pytest.raises(errors.StorageError):
        take_all()
    assert given == (PARTS[0] + PARTS[1])[: len(PARTS[0]) + CHUNK_BYTES]


def test_a_range_reads_only_the_chunks_it_touches(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    path = part_files(tmp_path)[1]
    held = bytearray(path.read_bytes())
    held[HEADER_BYTES + SEALED_CHUNK] ^= 1
    path.write_bytes(held)
    start = len(PARTS[0]) + 2 * CHUNK_BYTES
    assert b"".join(store.read(NAME, KEY, start=start, end=start + 10)) == PARTS[1][:10]


def test_the_same_content_put_twice_looks_different_on_disk(tmp_path: pathlib.Path) -> None:
    store = make(tmp_path / "exports")
    upload = store.begin(NAME, KEY, content_type="a/b", filename="f")
    for _ in range(2):
        store.put_part(upload, 1, PARTS[0], KEY)
    first, second = (path.read_bytes() for path in part_files(tmp_path))
    assert not set(chunks(first)) & set(chunks(second))


def chunks(held: bytes) -> list[bytes]:
    return [held[offset : offset + 16] for offset in range(HEADER_BYTES, len(held), 16)]


def test_a_put_that_lost_against_a_later_one_is_not_what_the_receipt_names(tmp_path: pathlib.Path) -> None:
    """A worker that lost its lease puts a part again: the object still has the part whose receipt was kept."""
    store = make(tmp_path / "exports")
    upload = store.begin(NAME, KEY, content_type="a/b", filename="f")
    kept = store.put_part(upload, 1, b"the rightful part", KEY)
    store.put_part(upload, 1, b"the zombie's part", KEY)
    store.complete(upload, [kept], KEY)
    assert read(store) == b"the rightful part"
    assert len(part_files(tmp_path)) == 1


# The disk


def test_a_full_disk_is_said_to_be_full_and_the_upload_goes_on_when_there_is_room(
    tmp_path: pathlib.Path,
) -> None:
    """The kernel says EFBIG at the process's file size limit, as it says EDQUOT at a quota and ENOSPC at the end."""
    store = make(tmp_path / "exports")
    upload = store.begin(NAME, KEY, content_type="a/b", filename="f")
    first = store.put_part(upload, 1, b"before", KEY)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limit[1]))
    try:
        with pytest.raises(errors.StorageError) as failure:
            store.put_part(upload, 2, PARTS[0], KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert failure.value.code == "storage_full"
    assert len(part_files(tmp_path)) == 1
    store.complete(upload, [first, store.put_part(upload, 2, PARTS[0], KEY)], KEY)
    assert read(store) == b"before" + PARTS[0]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EROFS, "storage_unwritable"),
        (errno.EACCES, "storage_unwritable"),
        (errno.EPERM, "storage_unwritable"),
        (errno.EIO, "storage_io_error"),
        (errno.EMFILE, "storage_io_error"),
    ],
)
def test_every_error_of_the_disk_has_its_code(number: int, code: str) -> None:
    with pytest.raises(errors.StorageError) as failure, durable_files.translated("Writing"):
        raise OSError(number, "no", "/home/file")
    assert failure.value.code == code
    assert "/home/file" in failure.value.detail
    assert failure.value.hint


def test_a_folder_that_cannot_be_written_is_said_to_be_so() -> None:
    store = make(pathlib.Path("/sys/penstock"))
    with pytest.raises(errors.StorageError) as failure:
        store.begin(NAME, KEY, content_type="a/b", filename="f")
    assert failure.value.code == "storage_unwritable"
    with pytest.raises(errors.DestinationError) as refusal:
        store.probe(KEY)
    assert refusal.value.code == "destination_not_writable"
    assert refusal.value.extra["reason"] == "storage_unwritable"


def test_a_store_that_was_never_written_to_is_empty(tmp_path: pathlib.Path) -> None:
    store = make(tmp_path / "none")
    with pytest.raises(errors.ObjectMissing):
        store.head(NAME, KEY)
    assert list(store.list_unfinished()) == []
    store.delete(NAME)
    assert not (tmp_path / "none").exists()


def test_files_are_for_their_owner_only(store: EmbeddedStore, tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "exports").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_object_deleted_while_it_is_read_is_missing_from_there_on(store: EmbeddedStore) -> None:
    pieces = store.read(NAME, KEY)
    next(pieces)
    store.delete(NAME)
    with pytest.raises(errors.ObjectMissing):
        list(pieces)
