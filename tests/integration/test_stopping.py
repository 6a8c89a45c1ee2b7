"""A worker whose store is silent ends within seconds, and its export is free for the next one."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import time

from support import house
from support.silent import SilentServer

from penstock.control import exports

BOUND_SECONDS = 20.0


def test_sigterm_ends_a_worker_within_seconds_while_its_store_is_silent(tmp_path: pathlib.Path) -> None:
    silent = SilentServer()
    with house.opened_house(tmp_path / "home", f"sqlite:///{tmp_path / 'p.db'}", house.SMALL, {}) as made:
        task_uuid = made.start()
        environment = {
            **made.environment,
            "PENSTOCK_STORAGE": "s3",
            "PENSTOCK_PART_BYTES": str(5 << 20),
            "PENSTOCK_S3_BUCKET": "nowhere",
            "PENSTOCK_S3_ENDPOINT_URL": f"http://127.0.0.1:{silent.port}",
            "PENSTOCK_S3_ALLOW_HTTP": "true",
            "PENSTOCK_S3_ACCESS_KEY_ID": "a",
            "PENSTOCK_S3_SECRET_ACCESS_KEY": "b",
        }
        process = subprocess.Popen([sys.executable, "-m", "penstock", "worker"], env=environment)
        try:
            assert silent.reached.wait(60)
            deadline = time.monotonic() + 60
            while made.export(task_uuid).object_key is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=120) == 0
            assert time.monotonic() - began < BOUND_SECONDS
        finally:
            process.kill()
            process.wait()
            silent.close()
        export = made.export(task_uuid)
        assert (export.status, export.worker_id, export.attempts) == ("RUNNING", None, 0)
        with made.opened.database.read() as tx:
            assert exports.has_work(tx, made.opened.clock.now())
        made.take_over()
        assert made.export(task_uuid).status == "FINISHED"
