"""`penstock status`, `cancel`, `exports`: exports that were started."""

from __future__ import annotations

import time

from penstock.cli import output, tables
from penstock.cli.commands.service import connecting
from penstock.cli.options import tasks

_CANCEL_SECONDS = 10.0
"""How long `cancel` waits until the export has ended."""


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
            ("Size", output.size(task.export_size_compressed) if task.export_size_compressed else None),
            ("Error", task.message),
            ("Downloadable until", task.expire_at),
            ("Download URL", task.download_url),
        ]
    )
    if task.download_url:
        output.say(f"Download it: penstock download {task.uuid}")
    elif not task.status.is_final:
        output.say("Export still in progress.")


def cancel(options: tasks.Cancel) -> None:
    """Cancels an export, and waits a little until it has ended."""
    with connecting.connect(options.connection) as penstock:
        wanted = penstock.export(options.task_uuid)
        task = wanted.cancel()
        deadline = time.monotonic() + _CANCEL_SECONDS
        while not task.status.is_final and time.monotonic() < deadline:
            time.sleep(0.2)
            task = wanted.refresh()
    if options.as_json:
        output.emit_json(task.raw)
    else:
        output.say(f"Export {options.task_uuid} is {task.status}.")


def exports(options: tasks.Exports) -> None:
    """Lists the exports of a search job."""
    with connecting.connect(options.connection) as penstock:
        found = penstock.search_job(options.job_uuid).exports()
    if options.as_json:
        output.emit_json([item.raw for item in found])
        return
    tables.table(
        ["TASK", "STATUS", "EVENTS", "SIZE", "CREATED", "DOWNLOADABLE UNTIL", "ERROR"],
        [
            [
                item.task_uuid,
                item.status,
                item.events,
                output.size(item.export_size_compressed) if item.export_size_compressed is not None else None,
                item.created_at,
                item.expire_at,
                item.error or "",
            ]
            for item in found
        ],
        numbers=["EVENTS", "SIZE"],
    )
