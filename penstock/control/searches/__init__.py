"""Search jobs: stored queries that a worker counts; what they found, for as long as they live.

Shaped like `control.exports`: starting, leasing, ending, reading, records. What a job found is computed once, by the
worker, and read with `results_of` (newest events, common values) and as `SearchJob.histogram`. While it counts, the
worker tells what there is so far.
"""

from penstock.base.findings import FieldValues, Results, SoFar
from penstock.control.searches.ending import cancel, delete, delete_expired, end_all_of, fail, finish
from penstock.control.searches.leasing import (
    MAX_ATTEMPTS,
    claim,
    forgive,
    has_work,
    is_cancel_requested,
    release,
    renew,
    tell,
)
from penstock.control.searches.reading import get, list_jobs, pinned_versions
from penstock.control.searches.records import SearchClaim, SearchJob
from penstock.control.searches.results import delete_expired as delete_expired_results
from penstock.control.searches.results import keep, results_of
from penstock.control.searches.starting import create

__all__ = [
    "MAX_ATTEMPTS",
    "FieldValues",
    "Results",
    "SearchClaim",
    "SearchJob",
    "SoFar",
    "cancel",
    "claim",
    "create",
    "delete",
    "delete_expired",
    "delete_expired_results",
    "end_all_of",
    "fail",
    "finish",
    "forgive",
    "get",
    "has_work",
    "is_cancel_requested",
    "keep",
    "list_jobs",
    "pinned_versions",
    "release",
    "renew",
    "results_of",
    "tell",
]
