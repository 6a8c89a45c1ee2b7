"""The Python API: right requests, harmless repeats, problems as errors, no key where it does not belong."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from penstock import client, errors
from penstock.client import Penstock, SearchStatus, TaskStatus, exports
from penstock.client.http import answers, urls
from penstock.client.http.retry import Retry
from penstock.storage.keys import CustomerKey

JOBS = "/v1/sic/conf/events/search/jobs"
KEY = CustomerKey(bytes(range(32)))
DONE = {"uuid": "job-1", "status": 2, "total": 7}
Start = Callable[[bytes], Any]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def penstock(service: Any, waits: list[float]) -> Iterator[Penstock]:
    with Penstock(service.url, "secret-api-key", retry=Retry(attempts=3, sleep=waits.append)) as opened:
        yield opened


def task(status: str, **attributes: Any) -> dict[str, Any]:
    return {"uuid": "task-1", "status": status, "progress": 3, "total": 7, "attributes": attributes}


# -- addresses


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("api.example", "https://api.example"),
        ("api.example:8443", "https://api.example:8443"),
        (" https://api.example/ ", "https://api.example"),
        ("https://api.example/penstock/", "https://api.example/penstock"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_address_may_be_a_host_or_a_url(text: str, url: str) -> None:
    assert urls.base_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "https://", "https://u:p@x", "https://x?y", "http://x:99999", "https://[::1"]
)
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        urls.base_url(text)
    assert caught.value.code == "invalid_api_host"


@pytest.mark.parametrize("text", ["http://api.example", "http://10.0.0.1:8080", "http://127.0.0.1.example"])
def test_keys_do_not_travel_readable_to_another_machine(text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Penstock(text, "key")
    assert caught.value.code == "insecure_url"


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "clé"])
def test_unusable_api_key_is_said(key: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Penstock("https://api.example", key)
    assert caught.value.code == "api_key_not_given"


def test_missing_ca_file_is_said() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Penstock("https://api.example", "key", verify="/no/such/ca.pem")
    assert caught.value.code == "invalid_ca_file"


# -- problems and repeats


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (401, {"code": "not_authenticated"}, errors.NotAuthenticated),
        (403, {"code": "permission_missing"}, errors.PermissionMissing),
        (404, {"code": "search_job_not_found"}, errors.NotFound),
        (409, {"code": "export_in_progress", "task_uuid": "t"}, errors.Conflict),
        (422, {"code": "unknown_field", "matches": ["source.ip"]}, errors.FieldSelectionError),
        (422, {"code": "query_syntax", "caret": "a\n^", "position": 0}, errors.QuerySyntaxError),
        (422, {"code": "endpoint_not_allowed"}, errors.DestinationError),
        (422, {"code": "too_many_events"}, errors.InvalidRequest),
        (429, {"code": "monthly_quota_exhausted", "resets_at": "x"}, errors.QuotaExhausted),
        (413, {"code": "request_too_large"}, errors.Refused),
        (500, {"code": "internal_error"}, errors.PenstockError),
        (502, {"code": "store_failed"}, errors.StorageError),
    ],
)
def test_problem_becomes_the_error_it_was(
    penstock: Penstock, service: Any, status: int, document: dict[str, Any], kind: type[errors.PenstockError]
) -> None:
    service.routes[f"GET {JOBS}/x"] = (status, {"detail": "What.", "hint": "Do.", "status": status, **document})
    with pytest.raises(errors.PenstockError) as caught:
        penstock.search_job("x").refresh()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.detail, caught.value.hint) == (document["code"], "What.", "Do.")
    assert caught.value.extra == {name: value for name, value in document.items() if name != "code"}


def test_answer_that_is_no_problem_document_is_said(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/x"] = (404, b"<html>nginx</html>")
    with pytest.raises(errors.NetworkError) as caught:
        penstock.search_job("x").refresh()
    assert caught.value.code == "unexpected_answer"
    assert "404" in caught.value.detail


def test_answer_without_json_is_said(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/x"] = (200, b"hello")
    with pytest.raises(errors.NetworkError) as caught:
        penstock.search_job("x").refresh()
    assert caught.value.code == "unexpected_answer"


def test_redirect_is_not_followed_with_the_key(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/x"] = (302, b"", {"Location": "https://elsewhere.example/"})
    with pytest.raises(errors.NetworkError) as caught:
        penstock.search_job("x").refresh()
    assert caught.value.code == "unexpected_redirect"
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "trouble", ["hang up", (503, b"busy"), (502, {"code": "store_failed"}), (429, {"code": "slow"})]
)
def test_get_is_repeated_over_passing_trouble(
    penstock: Penstock, service: Any, waits: list[float], trouble: Any
) -> None:
    service.routes[f"GET {JOBS}/job-1"] = [trouble, trouble, (200, DONE)]
    assert penstock.search_job("job-1").total == 7
    assert len(waits) == 2


def test_get_gives_up_after_its_bound(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/job-1"] = "hang up"
    with pytest.raises(errors.NetworkError) as caught:
        penstock.search_job("job-1").refresh()
    assert caught.value.code == "connection_broken"
    assert len(service.requests) == 3


def test_retry_after_is_waited_for(penstock: Penstock, service: Any, waits: list[float]) -> None:
    service.routes[f"GET {JOBS}/job-1"] = [(503, b"", {"Retry-After": "7"}), (200, DONE)]
    penstock.search_job("job-1").refresh()
    assert waits == [7.0]


def test_long_retry_after_is_not_slept_through(penstock: Penstock, service: Any, waits: list[float]) -> None:
    service.routes[f"GET {JOBS}/job-1"] = (503, b"", {"Retry-After": "3600"})
    with pytest.raises(errors.NetworkError):
        penstock.search_job("job-1").refresh()
    assert waits == []


def test_exhausted_quota_is_not_asked_again(penstock: Penstock, service: Any) -> None:
    service.routes[f"POST {JOBS}/job-1/export"] = (429, {"code": "monthly_quota_exhausted"}, {"Retry-After": "1"})
    with pytest.raises(errors.QuotaExhausted):
        penstock.search_job("job-1").export()
    assert len(service.bodies(f"POST {JOBS}/job-1/export")) == 1


def test_search_is_not_sent_twice_when_its_answer_is_lost(penstock: Penstock, service: Any) -> None:
    service.routes[f"POST {JOBS}"] = "hang up"
    with pytest.raises(errors.NetworkError):
        penstock.search("x")
    assert len(service.requests) == 1


def test_export_is_repeated_under_one_idempotency_key(penstock: Penstock, service: Any) -> None:
    service.routes[f"POST {JOBS}/job-1/export"] = ["hang up", (200, {"task_uuid": "task-1", "status": "PENDING"})]
    export = penstock.search_job("job-1").export()
    first, second = service.headers(f"POST {JOBS}/job-1/export")
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    one, other = service.bodies(f"POST {JOBS}/job-1/export")
    assert one == other
    assert export.customer_key is not None
    assert one["s3"]["sse_customer_key"] == export.customer_key.base64


def test_unreachable_service_is_said_with_what_to_do() -> None:
    with (
        Penstock("http://127.0.0.1:9", "key", retry=Retry(attempts=2, sleep=lambda seconds: None)) as penstock,
        pytest.raises(errors.NetworkError) as caught,
    ):
        penstock.communities()
    assert caught.value.code == "service_unreachable"
    assert "penstock serve" in caught.value.hint


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate", "tls_failed", "not trusted"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch", "tls_failed", "not trusted"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "tls_failed", "does not speak TLS"),
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred", "service_unreachable", "Cannot connect"),
        ("[Errno 111] Connection refused", "service_unreachable", "Cannot connect"),
    ],
)
def test_only_a_certificate_is_called_untrusted(trouble: str, code: str, words: str) -> None:
    """A connection that breaks in its first bytes says SSL as well, and may be better in a moment."""
    error = answers.from_transport(httpx.ConnectError(trouble), "host.example")
    assert error.code == code
    assert words in error.detail


@pytest.mark.parametrize("failures", range(1, 12))
def test_waits_grow_and_are_bounded(failures: int) -> None:
    slept: list[float] = []
    Retry(sleep=slept.append, jitter=lambda: 1.0).wait(failures)
    assert slept == [min(8.0, 0.25 * 2 ** (failures - 1))]


# -- searching


def test_search_waits_until_it_is_done(penstock: Penstock, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service.routes[f"POST {JOBS}"] = (200, {"uuid": "job-1", "status": 0, "total": 0})
    service.routes[f"GET {JOBS}/job-1"] = [(200, {"uuid": "job-1", "status": 1, "total": 0}), (200, DONE)]
    job = penstock.search("user.name:root", earliest="-7d", communities=["c"], filters=[{"field": "a"}])
    assert (job.status, job.total) == (SearchStatus.DONE, 7)
    assert service.bodies(f"POST {JOBS}") == [
        {
            "term": "user.name:root",
            "term_lang": "dork",
            "earliest_time": "-7d",
            "latest_time": "now",
            "filters": [{"field": "a"}],
            "community_uuids": ["c"],
        }
    ]
    assert service.headers(f"POST {JOBS}")[0]["Authorization"] == "Bearer secret-api-key"


@pytest.mark.parametrize(("status", "code"), [(4, "search_job_failed"), (3, "search_job_canceled")])
def test_search_that_ends_badly_raises(penstock: Penstock, service: Any, status: int, code: str) -> None:
    service.routes[f"POST {JOBS}"] = (200, {"uuid": "job-1", "status": status, "error": "the lake is gone"})
    with pytest.raises(errors.Conflict) as caught:
        penstock.search("x")
    assert caught.value.code == code


def test_events_are_paged_up_to_the_limit(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/job-1"] = (200, DONE)
    service.routes[f"GET {JOBS}/job-1/events"] = [
        (200, {"items": [{"n": 1}, {"n": 2}], "total": 3}),
        (200, {"items": [{"n": 3}], "total": 3}),
        (200, {"items": [], "total": 3}),
    ]
    assert [event["n"] for event in penstock.search_job("job-1").events(10)] == [1, 2, 3]


def test_export_takes_fields_or_a_preset_not_both(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/job-1"] = (200, DONE)
    job = penstock.search_job("job-1")
    with pytest.raises(errors.UsageError) as caught:
        job.export(["message"], preset="network")
    assert caught.value.code == "fields_and_preset"
    with pytest.raises(errors.InvalidRequest) as caught:
        job.export(preset="nonsense")
    assert caught.value.code == "unknown_preset"
    assert "network" in caught.value.hint


def test_export_sends_fields_key_and_destination(penstock: Penstock, service: Any) -> None:
    service.routes[f"POST {JOBS}/job-1/export"] = (200, {"task_uuid": "task-1", "status": "PENDING"})
    penstock.search_job("job-1").export(["a", "b"], customer_key=KEY.base64, destination={"bucket_name": "mine"})
    assert service.bodies(f"POST {JOBS}/job-1/export") == [
        {
            "fields": ["a", "b"],
            "s3": {
                "bucket_name": "mine",
                "sse_customer_key": KEY.base64,
                "sse_customer_algorithm": "AES256",
                "sse_customer_key_md5": KEY.md5,
            },
        }
    ]


def test_estimate_sends_no_key(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}/job-1"] = (200, DONE)
    service.routes[f"POST {JOBS}/job-1/export/estimate"] = (
        200,
        {"events": 7, "allowed": False, "problems": [{"code": "x"}], "quota": {"limit_bytes": 10, "used_bytes": 4}},
    )
    estimate = penstock.search_job("job-1").estimate(["a"])
    assert service.bodies(f"POST {JOBS}/job-1/export/estimate") == [{"fields": ["a"], "generate_customer_key": True}]
    assert (estimate.events, estimate.allowed, len(estimate.problems)) == (7, False, 1)
    assert estimate.quota is not None
    assert estimate.quota.left_bytes == 6


# -- exports


def test_wait_reports_progress_and_returns_the_finished_task(penstock: Penstock, service: Any) -> None:
    service.routes["GET /v1/tasks/task-1"] = [(200, task("PENDING")), (200, task("RUNNING")), (200, task("FINISHED"))]
    seen: list[str] = []
    ended = penstock.export("task-1").wait(lambda now: seen.append(now.status), sleep=lambda seconds: None)
    assert seen == ["PENDING", "RUNNING", "FINISHED"]
    assert ended.status is TaskStatus.FINISHED


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({**task("FAILED"), "message": "The bucket is gone."}, "export_failed", "failed: The bucket is gone."),
        (task("CANCELED"), "export_canceled", "was canceled."),
        (task("CANCELLED"), "export_canceled", "was canceled."),
    ],
)
def test_wait_says_how_an_export_ended_badly(
    penstock: Penstock, service: Any, answer: dict[str, Any], code: str, words: str
) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, answer)
    with pytest.raises(errors.ExportFailed) as caught:
        penstock.export("task-1").wait()
    assert caught.value.code == code
    assert words in caught.value.detail


@pytest.mark.parametrize("takes", [0.3, 3.3, 30.0])
def test_wait_is_hardly_longer_than_the_export(penstock: Penstock, service: Any, takes: float) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, task("RUNNING"))
    now, asked = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        asked.append(now[0])
        if now[0] >= takes:
            service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED"))

    penstock.export("task-1").wait(sleep=sleep, monotonic=lambda: now[0])
    assert now[0] <= takes * 1.05 + 0.11
    assert len(asked) < 90


def test_wait_ends_at_its_limit(penstock: Penstock, service: Any) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, task("RUNNING"))
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(errors.WaitTimeout) as caught:
        penstock.export("task-1").wait(max_wait_seconds=5, sleep=sleep, monotonic=lambda: now[0])
    assert caught.value.code == "wait_timeout"
    assert now[0] <= 5


def test_running_export_is_not_downloaded(penstock: Penstock, service: Any, tmp_path: pathlib.Path) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, task("RUNNING"))
    with pytest.raises(errors.Conflict) as caught:
        penstock.export("task-1", customer_key=KEY).download(tmp_path / "x.gz")
    assert caught.value.code == "export_not_finished"


def test_download_after_the_window_says_so(penstock: Penstock, service: Any, tmp_path: pathlib.Path) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED", expire_at="2020-01-01T00:00:00Z"))
    with pytest.raises(errors.AccessDenied) as caught:
        penstock.export("task-1", customer_key=KEY).download(tmp_path / "x.gz")
    assert caught.value.code == "download_expired"
    assert "2020-01-01 00:00 UTC" in caught.value.detail


@pytest.mark.parametrize("act", ["download", "events", "manifest"])
def test_wrong_key_is_named_before_any_store_is_asked(
    penstock: Penstock, service: Any, tmp_path: pathlib.Path, act: str
) -> None:
    """S3 itself would answer that the signature does not match."""
    right = CustomerKey(bytes(32))
    urls_of = {"download_url": "https://store.invalid/x", "manifest_url": "https://store.invalid/m"}
    service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED", sse_customer_key_md5=right.md5, **urls_of))
    export = penstock.export("task-1", customer_key=KEY)
    with pytest.raises(errors.AccessDenied) as caught:
        export.download(tmp_path / "x.gz") if act == "download" else getattr(export, act)()
    assert caught.value.code == "wrong_customer_key"
    assert KEY.md5 in caught.value.detail
    assert right.md5 in caught.value.detail
    assert KEY.base64 not in str(caught.value)


@pytest.fixture
def finished(
    penstock: Penstock, service: Any, object_server: Start, export_file: Any
) -> Callable[[], tuple[Any, Any, bytes]]:
    """A finished export: (export, store of the file, its bytes)."""

    def make() -> tuple[Any, Any, bytes]:
        body, manifest = export_file(5_000, 50_000)
        store = object_server(body)
        manifest_store = object_server(json.dumps(manifest).encode())
        service.routes["GET /v1/tasks/task-1"] = (
            200,
            task("FINISHED", download_url=store.url, manifest_url=manifest_store.url),
        )
        return penstock.export("task-1", customer_key=KEY), store, body

    return make


def test_download_is_verified_against_the_manifest(finished: Any, tmp_path: pathlib.Path) -> None:
    export, _, body = finished()
    got = export.download(tmp_path / "x.gz")
    assert got.verified
    assert (tmp_path / "x.gz").read_bytes() == body


def test_api_key_does_not_reach_the_download_host(finished: Any, tmp_path: pathlib.Path) -> None:
    export, store, _ = finished()
    export.download(tmp_path / "x.gz")
    assert store.requests
    assert not any("secret-api-key" in str(headers) for headers in store.requests)


def test_events_stream_without_a_file_over_breaks(
    finished: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    export, store, body = finished()
    store.cuts = [30_000, 50_000]
    assert list(export.events()) == [json.loads(line) for line in gzip.decompress(body).splitlines()]
    assert list(tmp_path.iterdir()) == []


def test_events_of_a_lying_store_are_not_the_whole_story(finished: Any) -> None:
    export, store, _ = finished()
    store.flips = {200_000}
    with pytest.raises(errors.VerificationFailed) as caught:
        list(export.events())
    assert caught.value.code == "export_damaged"


def test_events_of_a_truncated_object_without_manifest_are_noticed(
    penstock: Penstock, service: Any, object_server: Start, export_file: Any
) -> None:
    body, _ = export_file(5_000, 50_000)
    service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED", download_url=object_server(body[:-9]).url))
    with pytest.raises(errors.VerificationFailed) as caught:
        list(penstock.export("task-1", customer_key=KEY).events())
    assert caught.value.code == "export_damaged"


def test_empty_export_has_no_events(penstock: Penstock, service: Any, object_server: Start) -> None:
    service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED", download_url=object_server(gzip.compress(b"")).url))
    assert list(penstock.export("task-1", customer_key=KEY).events()) == []


def test_manifest_of_another_export_is_refused(
    penstock: Penstock, service: Any, object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(100, 50_000)
    other = {**task("FINISHED"), "uuid": "task-2"}
    other["attributes"] = {
        "download_url": object_server(body).url,
        "manifest_url": object_server(json.dumps(manifest).encode()).url,
    }
    service.routes["GET /v1/tasks/task-2"] = (200, other)
    with pytest.raises(errors.VerificationFailed) as caught:
        penstock.export("task-2", customer_key=KEY).download(tmp_path / "x.gz")
    assert caught.value.code == "export_damaged"


def test_altered_manifest_is_refused(
    penstock: Penstock, service: Any, object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(100, 50_000)
    altered = json.dumps({**manifest, "events": 99}).encode()
    urls_of = {"download_url": object_server(body).url, "manifest_url": object_server(altered).url}
    service.routes["GET /v1/tasks/task-1"] = (200, task("FINISHED", **urls_of))
    with pytest.raises(errors.VerificationFailed) as caught:
        penstock.export("task-1", customer_key=KEY).download(tmp_path / "x.gz")
    assert caught.value.code == "manifest_signature_invalid"


def test_cancel_asks_and_looks(penstock: Penstock, service: Any) -> None:
    service.routes["POST /v1/tasks/task-1/cancel"] = (202, task("RUNNING"))
    service.routes["GET /v1/tasks/task-1"] = (200, task("CANCELED"))
    assert penstock.export("task-1").cancel().status is TaskStatus.CANCELED


def test_default_name_is_the_reference_clients() -> None:
    assert str(exports.default_name(dt.datetime(2026, 3, 4, 5, 6, 7))) == "export_20260304_050607.json.gz"


# -- communities and sending


def test_only_community_need_not_be_named(penstock: Penstock, service: Any) -> None:
    service.routes["GET /v1/communities"] = (200, {"items": [{"uuid": "c-1", "name": "acme"}], "total": 1})
    service.routes["GET /v1/communities/c-1/quota"] = (
        200,
        {"limit_bytes": 10, "used_bytes": 3, "reserved_bytes": 2, "resets_at": "2026-02-01T00:00:00Z"},
    )
    assert penstock.quota().left_bytes == 5
    assert penstock.quota("acme").resets_at == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


def test_the_only_community_of_a_key_is_meant_though_it_may_list_others(penstock: Penstock, service: Any) -> None:
    """The first key of a home may administrate, so it sees every community; it belongs to one."""
    listed = [{"uuid": "c-0", "name": "other", "reachable": False}, {"uuid": "c-1", "name": "acme", "reachable": True}]
    service.routes["GET /v1/communities"] = (200, {"items": listed, "total": 2})
    service.routes["GET /v1/communities/c-1/fields"] = (200, {"items": [], "total": 0})
    assert penstock.fields() == ()
    with pytest.raises(errors.NotFound) as caught:
        penstock.fields(community="other")
    assert caught.value.code == "community_not_found"


def test_one_of_several_communities_must_be_named(penstock: Penstock, service: Any) -> None:
    both = [{"uuid": "c-1", "name": "acme"}, {"uuid": "c-2", "name": "umbrella"}]
    service.routes["GET /v1/communities"] = (200, {"items": both, "total": 2})
    with pytest.raises(errors.UsageError) as caught:
        penstock.quota()
    assert caught.value.code == "community_needed"
    assert "acme, umbrella" in caught.value.hint
    with pytest.raises(errors.NotFound) as not_found:
        penstock.quota("nobody")
    assert not_found.value.code == "community_not_found"


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_sent_file_arrives_and_rejected_lines_keep_their_numbers(
    penstock: Penstock, service: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    import zstandard

    monkeypatch.setattr("penstock.client.sending._REQUEST_BYTES", 100)
    text = b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(30))
    packed = {"": text, ".gz": gzip.compress(text), ".zst": zstandard.compress(text)}[suffix]
    (tmp_path / f"e.jsonl{suffix}").write_bytes(packed)
    service.routes["GET /v1/communities"] = (200, {"items": [{"uuid": "c-1"}], "total": 1})
    route = "POST /v1/communities/c-1/events"
    answer = (200, {"accepted": 5, "rejected": [{"line": 2, "reason": "no"}]})
    service.routes[route] = answer
    got = penstock.ingest(tmp_path / f"e.jsonl{suffix}")
    sent = [gzip.decompress(body) for method, path, _, body in service.requests if f"{method} {path}" == route]
    assert b"".join(sent) == text
    assert got.accepted == 5 * len(sent)
    assert [entry["line"] for entry in got.rejected] == [
        1 + b"".join(sent[:n]).count(b"\n") + 1 for n in range(len(sent))
    ]


def test_lost_answer_to_sent_events_is_repeated_under_the_same_batch(penstock: Penstock, service: Any) -> None:
    service.routes["GET /v1/communities"] = (200, {"items": [{"uuid": "c-1"}], "total": 1})
    service.routes["POST /v1/communities/c-1/events"] = ["hang up", (200, {"accepted": 1, "rejected": []})]
    assert penstock.ingest([{"a": 1}], batch_id="mine").accepted == 1
    queries = [query for method, path, query in service.queries if path.endswith("/events")]
    assert queries == ["batch_id=mine-0", "batch_id=mine-0"]


def test_truncated_file_is_said(penstock: Penstock, service: Any, tmp_path: pathlib.Path) -> None:
    service.routes["GET /v1/communities"] = (200, {"items": [{"uuid": "c-1"}], "total": 1})
    (tmp_path / "e.gz").write_bytes(gzip.compress(b'{"n":1}\n' * 1000)[:-10])
    with pytest.raises(errors.UsageError) as caught:
        penstock.ingest(tmp_path / "e.gz")
    assert caught.value.code == "file_not_readable"


# Numbers

EXACT = ["1", "-0.5", "1e400", "0.12345678901234567890", "9" * 5_000, "123456789012345678901234567890", "1.0", "5e-324"]


@pytest.mark.parametrize("token", EXACT, ids=lambda token: token[:24])
def test_numbers_of_events_are_exact(penstock: Penstock, service: Any, token: str) -> None:
    page = f'{{"items":[{{"n":{token}}}],"total":1}}'
    service.routes[f"GET {JOBS}/job-1/events"] = [(200, page.encode()), (200, b'{"items":[],"total":1}')]
    (event,) = penstock.search_job("job-1").events()
    assert decimal.Decimal(str(event["n"])) == decimal.Decimal(token)
    written = client.dumps(event)
    assert decimal.Decimal(written.removeprefix('{"n":').removesuffix("}")) == decimal.Decimal(token)


# Pages


def test_a_page_keeps_the_total_of_its_list(penstock: Penstock, service: Any) -> None:
    service.routes[f"GET {JOBS}"] = (200, {"items": [DONE], "total": 17})
    page = penstock.search_jobs()
    assert (len(page), page.total, page[0].uuid) == (1, 17, "job-1")


def test_all_pages_are_read_and_what_moved_comes_once(penstock: Penstock, service: Any) -> None:
    """A new job moves the others down: the last of a page is then the first of the next."""
    jobs = [{**DONE, "uuid": f"job-{n}"} for n in range(5)]
    pages = [jobs[:3], jobs[2:4], jobs[4:], []]
    service.routes[f"GET {JOBS}"] = [(200, {"items": items, "total": 5}) for items in pages]
    assert [job.uuid for job in penstock.all_search_jobs()] == [f"job-{n}" for n in range(5)]


# A service that is restarted


def test_a_wait_survives_a_restart_of_minutes(penstock: Penstock, service: Any) -> None:
    running = {"uuid": "task-1", "status": "RUNNING", "progress": 1, "total": 2}
    outage = [(502, b"<html>bad gateway</html>"), "hang up", (503, {"code": "not_ready"})] * 40
    service.routes["GET /v1/tasks/task-1"] = [(200, running), *outage, (200, {**running, "status": "FINISHED"})]
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    task = penstock.export("task-1").wait(sleep=sleep, monotonic=lambda: now[0])
    assert task.status == "FINISHED"
    assert 60 < now[0] < 300


def test_a_wait_ends_when_the_service_stays_away_or_refuses(penstock: Penstock, service: Any) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    service.routes["GET /v1/tasks/task-1"] = (502, b"bad gateway")
    with pytest.raises(errors.NetworkError):
        penstock.export("task-1").wait(sleep=sleep, monotonic=lambda: now[0])
    assert 250 < now[0] <= 300
    now[0] = 0.0
    service.routes["GET /v1/tasks/task-2"] = (404, b"<html>not here</html>")
    with pytest.raises(errors.NetworkError):
        penstock.export("task-2").wait(sleep=sleep, monotonic=lambda: now[0])
    assert now[0] == 0.0


def test_an_export_without_a_key_at_hand_says_so(penstock: Penstock) -> None:
    with pytest.raises(errors.AccessDenied) as caught:
        penstock.export("task-1").key  # noqa: B018
    assert caught.value.code == "customer_key_missing"
