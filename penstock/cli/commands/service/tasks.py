"""`penstock status` and `cancel`: one export that was started, or one search."""

from __future__ import annotations

import time

from penstock import errors
from penstock.cli import output
from penstock.cli.commands.service import connecting
from penstock.cli.options import tasks
from penstock.client import Penstock, Task, TaskStatus

_CANCEL_SECONDS = 10.0
"""How long `cancel` waits until the export has ended."""

_NOTHING_KEPT = (TaskStatus.CANCELED, TaskStatus.FAILED)
"""Of these nothing is stored, whatever size was reached."""


def status(options: tasks.Status) -> None:
    """Shows one task."""
    with connecting.connect(options.connection) as penstock:
        task = penstock.export(options.task_uuid).refresh()
    if options.as_json:
        output.emit_json(task.raw)
        return
    share = f"{100 * task.progress / task.total:.1f} %" if task.total else None
    output.facts(
        [
            ("Task", task.uuid),
            ("Status", task.status),
            ("Progress", share),
            ("Events", f"{task.progress:,} / {task.total:,}" if task.total is not None else f"{task.progress:,}"),
            ("Remaining", output.duration(task.eta_seconds) if task.eta_seconds is not None else None),
            ("Fields", task.fields),
            ("Size", _size(task)),
            ("Error", task.message),
            ("Downloadable until", task.expire_at),
            ("Download URL", task.download_url),
        ]
    )
    if task.download_url:
        output.say(f"Download it: penstock download {task.uuid}")
    elif not task.status.is_final:
        output.say("Export still in progress.")


def _size(task: Task) -> str | None:
    if task.export_size_compressed is None or task.status in _NOTHING_KEPT:
        return None
    return output.size(task.export_size_compressed)


def cancel(options: tasks.Cancel) -> None:
    """Cancels an export, or a search; waits a little until the export has ended."""
    with connecting.connect(options.connection) as penstock:
        wanted = penstock.export(options.uuid)
        try:
            task = wanted.cancel()
        except errors.NotFound as error:
            _cancel_search(penstock, options, error)
            return
        deadline = time.monotonic() + _CANCEL_SECONDS
        while not task.status.is_final and time.monotonic() < deadline:
            time.sleep(0.2)
            task = wanted.refresh()
    if options.as_json:
        output.emit_json(task.raw)
    else:
        output.say(f"Export {options.uuid} is {task.status}.")


def _cancel_search(penstock: Penstock, options: tasks.Cancel, no_task: errors.NotFound) -> None:
    """What is no task may be a search job; if it is neither, the first answer is the one to show."""
    try:
        job = penstock.search_job(options.uuid).cancel()
    except errors.NotFound:
        raise no_task from None
    if options.as_json:
        output.emit_json(job.facts)
    else:
        output.say(f"Search job {options.uuid} is {job.status.name}.")
