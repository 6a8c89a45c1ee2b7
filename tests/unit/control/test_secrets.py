"""Master keys: what they seal, how they rotate, where they lie."""

from __future__ import annotations

import base64
import os
import pathlib
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors
from penstock import settings as settings_module
from penstock.control import secrets

ONE = base64.b64encode(b"\x01" * 32).decode()
TWO = base64.b64encode(b"\x02" * 32).decode()
ROOT = base64.b64encode(b"\x09" * 32).decode()


def keys(text: str = f"root:{ROOT},k1:{ONE}") -> secrets.MasterKeys:
    return secrets.MasterKeys.parse(text)


@given(st.binary(max_size=200), st.text())
def test_sealed_secret_opens_in_its_context(plain: bytes, context: str) -> None:
    assert keys().unseal(keys().seal(plain, context), context) == plain


def test_two_seals_of_one_secret_differ_and_show_nothing() -> None:
    blobs = {keys().seal(b"customer key", "c") for _ in range(100)}
    assert len(blobs) == 100
    assert all(b"customer" not in blob for blob in blobs)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, flip: int) -> None:
    blob = bytearray(keys().seal(b"secret", "c"))
    blob[position % len(blob)] ^= flip
    with pytest.raises(errors.ConfigurationError) as refused:
        keys().unseal(bytes(blob), "c")
    assert refused.value.code in ("seal_broken", "master_key_unknown")


@given(st.integers(0, 60))
def test_cut_blob_is_broken(length: int) -> None:
    blob = keys().seal(b"secret", "c")
    if length < len(blob):
        with pytest.raises(errors.ConfigurationError):
            keys().unseal(blob[:length], "c")


def test_secret_does_not_open_elsewhere() -> None:
    blob = keys().seal(b"secret", secrets.customer_key_context("task-1"))
    for context in (secrets.customer_key_context("task-2"), secrets.destination_context("task-1"), ""):
        with pytest.raises(errors.ConfigurationError) as refused:
            keys().unseal(blob, context)
        assert refused.value.code == "seal_broken"


def test_first_key_seals_and_all_unseal() -> None:
    old, both = keys(), keys(f"root:{ROOT},k2:{TWO},k1:{ONE}")
    assert both.active_id == "k2"
    assert both.unseal(old.seal(b"x", "c"), "c") == b"x"
    with pytest.raises(errors.ConfigurationError) as refused:
        old.unseal(both.seal(b"x", "c"), "c")
    assert refused.value.code == "master_key_unknown"
    assert refused.value.extra["key_id"] == "k2"


def test_derived_keys_survive_rotation_and_differ_by_purpose() -> None:
    rotated = keys().rotated().without_unused(frozenset())
    assert rotated.ids == ("k2",)
    assert rotated.derive("url") == keys().derive("url")
    purposes = [keys().derive(purpose) for purpose in ("url", "manifest", "other")]
    assert len({*purposes, b"\x01" * 32, b"\x09" * 32}) == 5
    assert len(keys().derive("long", 64)) == 64
    assert secrets.MasterKeys.parse(f"root:{TWO},k1:{ONE}").derive("url") != keys().derive("url")


def test_one_bare_key_is_enough_and_its_rotation_keeps_the_root() -> None:
    bare = keys(ONE)
    rotated = bare.rotated()
    again = secrets.MasterKeys.parse(rotated.text())
    assert again.ids == rotated.ids == ("k1", bare.active_id)
    assert again.derive("url") == bare.derive("url")
    assert again.unseal(bare.seal(b"x", "c"), "c") == b"x"
    assert again.without_unused(frozenset()).derive("url") == bare.derive("url")


def test_text_form_comes_back_the_same() -> None:
    made = keys().rotated()
    again = secrets.MasterKeys.parse(made.text())
    assert again.text() == made.text()
    assert again.unseal(made.seal(b"x", "c"), "c") == b"x"


@pytest.mark.parametrize(
    "text",
    [
        "   ",
        "# nothing",
        "not base64!",
        base64.b64encode(b"short").decode(),
        f"k1:{ONE},k2:{TWO}",  # which of them the root came from, nobody could tell
        f"root:{ROOT}",
        f"root:{ROOT},k1:{ONE},k1:{TWO}",
        f"root:{ROOT},bad id:{ONE}",
        f"root:{ROOT},{'k' * 33}:{ONE}",
    ],
)
def test_unusable_text_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as refused:
        secrets.MasterKeys.parse(text)
    assert refused.value.code == "master_key_invalid"
    assert ONE not in str(refused.value)


def test_keys_print_no_secret_and_are_not_pickled() -> None:
    for secret in (ONE, ROOT, repr(b"\x01" * 4)[2:-1]):
        assert secret not in repr(keys())
    with pytest.raises(TypeError):
        pickle.dumps(keys())


def test_setting_wins_over_the_file(tmp_path: pathlib.Path) -> None:
    in_file = secrets.MasterKeys.create(tmp_path)
    from_file = secrets.MasterKeys.load(settings_module.load(home=tmp_path))
    assert from_file.text() == in_file.text()
    from_setting = secrets.MasterKeys.load(settings_module.load(home=tmp_path, master_key=ONE))
    assert from_setting.text() != in_file.text()


def test_file_is_private_and_never_replaced_by_create(tmp_path: pathlib.Path) -> None:
    first = secrets.MasterKeys.create(tmp_path)
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert secrets.MasterKeys.create(tmp_path).text() == first.text()
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_racing_creators_agree_on_one_key(tmp_path: pathlib.Path) -> None:
    made: list[str] = []
    barrier = threading.Barrier(8)

    def create() -> None:
        barrier.wait()
        made.append(secrets.MasterKeys.create(tmp_path).text())

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_file_that_others_may_read_is_refused(tmp_path: pathlib.Path) -> None:
    secrets.MasterKeys.create(tmp_path)
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(errors.ConfigurationError) as refused:
        secrets.MasterKeys.load(settings_module.load(home=tmp_path))
    assert refused.value.code == "master_key_exposed"
    assert "chmod 600" in refused.value.hint


def test_missing_file_and_folder_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.ConfigurationError) as refused:
        secrets.MasterKeys.load(settings_module.load(home=tmp_path))
    assert refused.value.code == "master_key_missing"
    for act in (secrets.MasterKeys.create, keys().save):
        with pytest.raises(errors.ConfigurationError) as refused:
            act(tmp_path / "nowhere")
        assert refused.value.code == "master_key_not_writable"


def test_process_that_runs_on_learns_a_rotated_key_from_the_file(tmp_path: pathlib.Path) -> None:
    running = secrets.MasterKeys.create(tmp_path)
    rotated = running.rotated()
    rotated.save(tmp_path)
    assert running.unseal(rotated.seal(b"x", "c"), "c") == b"x"
    assert running.active_id == "k1"  # it goes on sealing with its own until it starts anew
    assert os.listdir(tmp_path) == ["master.key"]
