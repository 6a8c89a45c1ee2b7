"""Ceph killed in the middle of an upload, away for good, and what lies on its raw device."""

from __future__ import annotations

import base64
import mmap
import os
import pathlib
import random
import subprocess
import threading
from typing import Any

import pytest

from penstock import errors
from penstock.storage import CustomerKey
from penstock.storage.contract import MIN_PART_BYTES

pytestmark = pytest.mark.ceph

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "ceph.sh"
CONTENT = {"content_type": "application/gzip", "filename": "export.jsonl.gz"}


@pytest.fixture
def folder(ceph: Any) -> pathlib.Path:
    """Folder of the Ceph under test; only one that scripts/ceph.sh runs here can be killed or looked into."""
    path = os.environ.get("PENSTOCK_TEST_CEPH_DIR", "")
    if not path:
        pytest.skip("PENSTOCK_TEST_CEPH_DIR is not set: this Ceph is not ours to kill")
    return pathlib.Path(path)


def ceph_script(folder: pathlib.Path, *words: str) -> None:
    port = os.environ["PENSTOCK_TEST_CEPH"].rpartition(":")[2]
    environment = {**os.environ, "D": str(folder), "PORT": port}
    subprocess.run([SCRIPT, *words], check=True, env=environment, capture_output=True, timeout=240)


@pytest.mark.parametrize("daemon", ["rgw", "osd"])
def test_an_upload_outlives_a_killed_ceph_and_is_exact(ceph: Any, folder: pathlib.Path, daemon: str) -> None:
    store, key = ceph.store(retry_seconds=120, read_timeout_seconds=30), CustomerKey.generate()
    bodies = [random.Random(n).randbytes(MIN_PART_BYTES) for n in range(4)]
    upload = store.begin(f"crash/{daemon}.gz", key, **CONTENT)
    receipts = [store.put_part(upload, 1, bodies[0], key)]
    ceph_script(folder, "kill", daemon)
    restart = threading.Thread(target=ceph_script, args=(folder, "restart", daemon))
    restart.start()
    try:
        receipts += [store.put_part(upload, number, bodies[number - 1], key) for number in (2, 3, 4)]
        info = store.complete(upload, receipts, key)
    finally:
        restart.join()
    assert info.size == 4 * MIN_PART_BYTES
    assert b"".join(store.read(upload.key, key)) == b"".join(bodies)
    assert list(store.list_unfinished("crash/")) == []


def test_a_ceph_that_stays_away_is_said_to_be_away_and_nothing_is_left_when_it_is_back(
    ceph: Any, folder: pathlib.Path
) -> None:
    store, key = ceph.store(retry_seconds=1), CustomerKey.generate()
    upload = store.begin("away/x.gz", key, **CONTENT)
    ceph_script(folder, "kill", "rgw")
    try:
        with pytest.raises(errors.StorageError) as failure:
            store.put_part(upload, 1, b"x" * MIN_PART_BYTES, key)
    finally:
        ceph_script(folder, "restart", "rgw")
    assert failure.value.code == "storage_unavailable"
    assert ceph.url in failure.value.detail
    for left in store.list_unfinished("away/"):
        store.abort(left)
    assert list(store.list_unfinished("away/")) == []


def test_neither_key_nor_content_is_on_ceph_s_raw_device(ceph: Any, folder: pathlib.Path) -> None:
    store, key = ceph.store(), CustomerKey.generate()
    marker = b"MARKER-" + os.urandom(12).hex().encode()
    visible = "visible-" + os.urandom(12).hex()
    upload = store.begin(f"{visible}/x.gz", key, **CONTENT)
    receipt = store.put_part(upload, 1, marker * (MIN_PART_BYTES // len(marker) + 1), key)
    store.complete(upload, [receipt], key)
    encoded = base64.b64encode(key.raw).rstrip(b"=")
    secrets = [key.raw, encoded, base64.urlsafe_b64encode(key.raw).rstrip(b"="), key.raw.hex().encode(), marker]
    # Stopped, so that all it holds has reached the device.
    ceph_script(folder, "stop")
    try:
        device = folder / "osd" / "block"
        assert is_in(device, visible.encode()), "the object is not on the device we look at"
        for secret in secrets:
            assert not is_in(device, secret)
        for log in [*folder.glob("*.log"), *folder.glob("*.out")]:
            assert not [secret for secret in secrets if secret in log.read_bytes()], log
    finally:
        ceph_script(folder, "start")


def is_in(device: pathlib.Path, needle: bytes) -> bool:
    """Looks through the blocks of a sparse file that are allocated."""
    with device.open("rb") as file:
        size, offset = os.fstat(file.fileno()).st_size, 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while offset < size:
                try:
                    start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                except OSError:
                    return False
                offset = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                if content.find(needle, max(0, start - len(needle)), offset) >= 0:
                    return True
    return False
