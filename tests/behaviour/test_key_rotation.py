"""The master key is rotated while two workers run, each with what it was started with: no export fails of it."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import pytest
from support import house

from penstock import worker
from penstock.base.secret import Secret
from penstock.control import secrets
from penstock.process import services


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", "", house.SMALL, {}) as opened:
        yield opened


@contextlib.contextmanager
def process(made: house.House, keys: secrets.MasterKeys) -> Iterator[house.House]:
    """The house as a process sees it that was started with these keys."""
    values = dataclasses.replace(made.opened.settings, master_key=Secret(keys.text().replace("\n", ",").strip(",")))
    with services.opened(values) as opened:
        yield dataclasses.replace(made, opened=opened)


def work(by: house.House) -> None:
    worker.Worker(by.opened).run_pending()


def test_a_key_that_is_known_before_it_is_active_is_never_missed(made: house.House) -> None:
    """In each step one process has been restarted and the other has not; either starts exports, either runs them."""
    first = made.opened.master_keys
    known = first.with_known()
    active = known.with_active()
    assert (known.active_id, active.active_id) == ("k1", "k2")
    alone = active.without("k1")
    for older, newer in ((first, known), (known, active)):
        with process(made, older) as one, process(made, newer) as other:
            for starts, runs in ((one, other), (other, one)):
                task_uuid = starts.start()
                work(runs)
                assert (made.export(task_uuid).status, made.export(task_uuid).attempts) == ("FINISHED", 1)
    with process(made, known) as old, process(made, active) as new:
        sealed_by_the_old = old.start()
        with new.opened.database.begin() as tx:
            assert secrets.sealed_by_key(tx) == {"k1": 1}  # still in use
            assert secrets.reseal_all(tx, new.opened.master_keys) == 1
            assert secrets.sealed_by_key(tx) == {"k2": 1}
    with process(made, alone) as last:
        work(last)
    assert made.export(sealed_by_the_old).status == "FINISHED"


def test_a_worker_that_lacks_the_key_leaves_the_export_to_one_that_has_it(made: house.House) -> None:
    first = made.opened.master_keys
    with process(made, first) as behind, process(made, first.rotated()) as ahead:
        task_uuid = ahead.start()
        lacking = worker.Worker(behind.opened)
        lacking.run_pending()  # comes to an end: it does not take the export again and again
        waiting = made.export(task_uuid)
        assert (waiting.status, waiting.attempts, waiting.worker_id) == ("RUNNING", 0, None)
        assert "lacks the key" in (waiting.waiting_for or "")
        assert not lacking.run_export()
        work(ahead)  # at once, without waiting for the other's pause
    assert (made.export(task_uuid).status, made.export(task_uuid).attempts) == ("FINISHED", 1)


def test_a_worker_that_lacks_a_key_goes_on_with_other_exports(
    made: house.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And looks again after a while, since the file may have the key by then."""
    first = made.opened.master_keys
    monkeypatch.setattr("penstock.worker.loop.WITHOUT_KEY_SECONDS", 0.0)
    with process(made, first) as behind, process(made, first.rotated()) as ahead:
        task_uuid = ahead.start()
        lacking = worker.Worker(behind.opened)
        assert lacking.run_export()
        assert lacking.run_export()
        assert made.export(task_uuid).attempts == 0
