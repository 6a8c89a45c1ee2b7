"""The life of exports: start, claim, checkpoint, end, sweep.

An export row is the queue: there is no broker. A worker claims a PENDING export, or a RUNNING one whose lease has run
out, and gets a Claim with a fence that rises with every claim. Each write through the claim is, first of all, an UPDATE
of the export's row that requires the fence and renews the lease; if it changes no row the lease is lost,
`errors.LeaseLost` is raised and nothing of that transaction may stand. The fence alone decides, not the clock: a worker
that comes back late, and whose export nobody took meanwhile, simply goes on.

Each move of an export is recorded in the audit here, in the same transaction.
"""

from penstock.control.exports.clearing import clearings, end_taken, take_dead
from penstock.control.exports.ending import (
    canceled,
    deadline_exceeded,
    end_dead,
    fail,
    finish,
    request_cancel,
)
from penstock.control.exports.leasing import claim, forgive, has_work, release, renew, wait
from penstock.control.exports.progress import record_part, record_plan, record_progress, record_upload
from penstock.control.exports.reading import active_of, count_active, get, list_for_job, list_parts, list_tasks
from penstock.control.exports.records import (
    CancelRequested,
    Claim,
    Export,
    LeftObject,
    NewExport,
    Part,
    Renewal,
    StartedExport,
    fingerprint,
    new_task_uuid,
)
from penstock.control.exports.starting import check, replay, start
from penstock.control.exports.sweeping import (
    delete_old,
    expired_objects,
    forget_key,
    forget_object,
    keys_to_forget,
    needs_key,
    owns_upload,
)

__all__ = [
    "CancelRequested",
    "Claim",
    "Export",
    "LeftObject",
    "NewExport",
    "Part",
    "Renewal",
    "StartedExport",
    "active_of",
    "canceled",
    "check",
    "claim",
    "clearings",
    "count_active",
    "deadline_exceeded",
    "delete_old",
    "end_dead",
    "end_taken",
    "expired_objects",
    "fail",
    "fingerprint",
    "finish",
    "forget_key",
    "forget_object",
    "forgive",
    "get",
    "has_work",
    "keys_to_forget",
    "list_for_job",
    "list_parts",
    "list_tasks",
    "needs_key",
    "new_task_uuid",
    "owns_upload",
    "record_part",
    "record_plan",
    "record_progress",
    "record_upload",
    "release",
    "renew",
    "replay",
    "request_cancel",
    "start",
    "take_dead",
    "wait",
]
