"""`penstock searches`, `tasks`, `exports`: what was started, newest first."""

from __future__ import annotations

from penstock.cli import output, tables
from penstock.cli.commands.service import connecting
from penstock.cli.options import tasks as options_of
from penstock.client import TaskStatus


def searches(options: options_of.Searches) -> None:
    """Lists search jobs."""
    with connecting.connect(options.connection) as penstock:
        found = penstock.search_jobs(limit=options.limit)
    if options.as_json:
        output.emit_json([job.facts for job in found])
        return
    tables.table(
        ["JOB", "STATUS", "EVENTS", "CREATED", "QUERY", "FROM", "TO"],
        [
            [
                job.uuid,
                job.status.name,
                job.total,
                _moment(job.facts["created_at"]),
                job.facts["term"],
                _moment(job.facts["earliest_time"]),
                _moment(job.facts["latest_time"]),
            ]
            for job in found
        ],
        numbers=["EVENTS"],
    )


def tasks(options: options_of.Tasks) -> None:
    """Lists exports of the key's communities."""
    with connecting.connect(options.connection) as penstock:
        found = penstock.tasks(status=options.status, limit=options.limit)
    if options.as_json:
        output.emit_json([task.raw for task in found])
        return
    tables.table(
        ["TASK", "STATUS", "EVENTS", "SIZE", "CREATED", "DOWNLOADABLE UNTIL", "JOB"],
        [
            [
                task.uuid,
                task.status,
                task.progress,
                _size(task.export_size_compressed if task.status is TaskStatus.FINISHED else None),
                task.created_at,
                task.expire_at,
                task.job_uuid,
            ]
            for task in found
        ],
        numbers=["EVENTS", "SIZE"],
    )


def _moment(text: str | None) -> str | None:
    return text and text[:19].replace("T", " ")


def _size(count: int | None) -> str | None:
    return None if count is None else output.size(count)


def exports(options: options_of.Exports) -> None:
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
                _size(item.export_size_compressed),
                item.created_at,
                item.expire_at,
                item.error or "",
            ]
            for item in found
        ],
        numbers=["EVENTS", "SIZE"],
    )
