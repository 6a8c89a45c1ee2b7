"""The worker beside an API lets the API go first."""

from __future__ import annotations

import os
import pathlib
import sys
import threading

import pytest

from penstock import settings, worker
from penstock.control import secrets
from penstock.process import services

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")


def nice_of(thread: threading.Thread) -> int:
    assert thread.native_id is not None
    return os.getpriority(os.PRIO_PROCESS, thread.native_id)


@linux
@pytest.mark.parametrize("niceness", [0, 3])
def test_threads_of_a_worker_are_as_nice_as_asked_and_so_are_those_they_start(
    tmp_path: pathlib.Path, niceness: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.MasterKeys.create(tmp_path)
    before, looked, seen = os.getpriority(os.PRIO_PROCESS, 0), threading.Event(), []

    def look(_: worker.Worker) -> bool:
        """As the export loop does: starts a thread."""
        child = threading.Thread(target=lambda: seen.append(nice_of(threading.current_thread())))
        child.start()
        child.join()
        looked.set()
        return False

    monkeypatch.setattr(worker.Worker, "run_export", look)
    with services.opened(settings.Settings(home=tmp_path)) as opened:
        made = worker.Worker(opened, niceness=before + niceness)
        made.start()
        assert looked.wait(30)
        made.stop()
    assert seen[0] == min(before + niceness, 19)  # there is no nicer
    assert os.getpriority(os.PRIO_PROCESS, 0) == before  # the API's own thread is as it was
