"""What to do, in commands: the service's hints speak of HTTP calls, which whoever sits at a terminal does not make."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import errors

_HINTS: Mapping[str, str] = {
    "task_not_found": "`penstock tasks` lists the exports that your key may see.",
    "search_job_not_found": "`penstock searches` lists the search jobs that your key may see.",
    "export_in_progress": "Wait until it ends: penstock status {task_uuid}. Or stop it: penstock cancel {task_uuid}.",
    "export_not_finished": "Look with `penstock status TASK`; when it is FINISHED, the same command downloads it.",
    "multi_community_not_supported": "Search again with --community NAME, once for each, and export each.",
    "community_not_found": "On the service's machine: `penstock community list` names them, and "
    "`penstock apikey grant UUID --community NAME` lets a key reach one.",
    "wait_timeout": "It goes on. Look: penstock status TASK, penstock tasks; fetch it: penstock download TASK.",
    "customer_key_required": "Leave --no-sse-c out: a key is then made and shown once.",
    "search_job_not_done": "`penstock searches` says where it stands.",
}
"""By code; `{name}` stands for a member of the error's `extra`."""


def of(error: errors.PenstockError) -> str:
    """The hint for a person at a terminal; the error's own where nothing better is known."""
    hint = _HINTS.get(error.code)
    if hint is None or ("{" in hint and "task_uuid" not in error.extra):
        return error.hint
    return hint.format(**error.extra) if "{" in hint else hint
