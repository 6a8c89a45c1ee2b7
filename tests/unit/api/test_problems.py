"""Claims about refusals that belong to no one route: problem documents, request ids, bounds, errors nobody foresaw."""

from __future__ import annotations

import json
import logging
from typing import Any

import fastapi
import pytest
from api_world import JOBS, KEY, Http, World, problem

from penstock import errors, settings
from penstock.api import app, json_body
from penstock.api.around import middleware
from penstock.process import logs


def test_an_unknown_path_is_a_problem(world: World) -> None:
    assert problem(world.get("/v1/nothing"), 404, "not_found")["detail"] == "There is nothing at /v1/nothing."


def test_a_wrong_method_names_the_right_ones(world: World) -> None:
    answer = world.http("PUT", "/v1/tasks", token=world.acme.token)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_a_body_of_the_wrong_shape_is_told_place_by_place_and_never_repeated(world: World) -> None:
    answer = world.export("some-job", {"fields": "message", "s3": {"sse_customer_key": ["hunter2"]}})
    document = problem(answer, 422, "invalid_request")
    assert [one["location"] for one in document["errors"]] == ["body.fields", "body.s3.sse_customer_key"]
    assert "hunter2" not in answer.text


def test_what_is_no_json_is_told_where(world: World) -> None:
    headers = {"Content-Type": "application/json"}
    document = problem(world.post(JOBS, content=b'{"term": }', headers=headers), 400, "invalid_json")
    assert "character 9" in document["detail"]


def test_json_without_a_content_type_is_read_as_json(world: World) -> None:
    body = {"earliest_time": "-1d", "latest_time": "now"}
    assert world.post(JOBS, content=json.dumps(body)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/tasks?limit=0", "/v1/tasks?limit=1001", "/v1/tasks?offset=-1", f"{JOBS}?limit=x"]
)
def test_a_page_out_of_bounds_is_refused(world: World, path: str) -> None:
    document = problem(world.get(path), 422, "invalid_request")
    assert document["errors"][0]["location"].startswith("query.")


def test_too_large_a_body_is_refused(world: World) -> None:
    body = json.dumps({"term": "x" * middleware.JSON_BODY_MAX_BYTES})
    answer = world.post(JOBS, content=body, headers={"Content-Type": "application/json"})
    assert "1,048,576" in problem(answer, 413, "body_too_large")["detail"]


def test_a_nul_is_refused_before_anything_looks_at_it(world: World) -> None:
    problem(world.get("/v1/tasks/%00"), 404, "not_found")
    problem(world.get("/v1/tasks?status=%00"), 400, "bad_request")


def test_a_request_id_is_kept_and_a_dangerous_one_replaced(world: World) -> None:
    assert world.get("/healthz", headers={"X-Request-Id": "case-17.a_b"}).headers["x-request-id"] == "case-17.a_b"
    for bad in ("a b", "x" * 65, "<script>", ""):
        given = world.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert given != bad
        assert len(given) == 32


def test_answers_forbid_sniffing(world: World) -> None:
    assert world.get("/healthz").headers["x-content-type-options"] == "nosniff"


def test_no_answer_leads_where_a_host_header_says(world: World) -> None:
    answer = world.get("/v1/tasks/", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "evil.example" not in str(answer.headers) + answer.text


def test_every_route_with_a_body_reads_it_strictly(world: World) -> None:
    for route in world.http.app.routes:
        if getattr(route, "body_field", None) is not None:
            assert isinstance(route, json_body.StrictRoute), route


@pytest.fixture
def failing(world: World) -> Http:
    """An app with two routes that fail in ways nobody foresaw."""
    broken: fastapi.FastAPI = app.create_app(world.services)

    @broken.get("/bug")
    def bug() -> None:
        raise RuntimeError("the secret is hunter2")

    @broken.get("/database")
    def database() -> None:
        try:
            raise OSError("connection to db.internal refused")
        except OSError as error:
            raise errors.StorageError(
                "database_unavailable", "The database db.internal:5432 does not answer.", place="extra-secret"
            ) from error

    @broken.get("/operator")
    def operator() -> None:
        raise errors.ConfigurationError("home_unwritable", "The home cannot be written.", "Mend it.")

    return Http(broken, world.http._portal)


def test_a_bug_shows_an_id_and_nothing_of_its_inside(failing: Http, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = failing("GET", "/bug")
    document = problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text
    assert len(document["error_id"]) == 32


def test_the_id_of_a_bug_is_in_the_log(failing: Http, capsys: pytest.CaptureFixture[str]) -> None:
    with _logging(log_format="json"):
        error_id = failing("GET", "/bug").json()["error_id"]
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (failure,) = [one for one in found if one["event"] == "request_failed"]
    assert failure["error_id"] == error_id
    assert "RuntimeError" in failure["exception"]


def test_the_operators_trouble_is_a_problem_with_its_own_code(failing: Http) -> None:
    assert problem(failing("GET", "/operator"), 500, "home_unwritable")["error_id"]


def test_the_operators_inside_is_in_the_log_and_not_in_the_answer(
    failing: Http, capsys: pytest.CaptureFixture[str]
) -> None:
    with _logging(log_format="json"):
        answer = failing("GET", "/database")
    document = problem(answer, 502, "database_unavailable")
    assert "db.internal" not in answer.text
    assert "extra-secret" not in answer.text
    assert int(answer.headers["retry-after"]) > 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if document["error_id"] in line]
    assert "db.internal" in line
    assert len(line) < 1_000


def test_every_request_is_logged_once_without_its_secrets(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    job = world.search()
    with _logging(log_format="json"):
        world.get(f"{JOBS}/{job}", headers={"X-Request-Id": "r-1"})
        world.export(job, {"s3": {"sse_customer_key": KEY}})
        world.get("/storage/a/b?X-Amz-Signature=cafe")
    written = capsys.readouterr().err
    first, *_ = lines = [json.loads(line) for line in written.splitlines()]
    assert first["event"] == "request"
    assert first["request_id"] == "r-1"
    assert first["method"] == "GET"
    assert first["route"] == f"{JOBS}/{{job_uuid}}"
    assert first["job_uuid"] == job
    assert first["status"] == 200
    assert first["api_key_uuid"] == world.acme.key.uuid
    assert len([one for one in lines if one["event"] == "request"]) == 3
    for secret in (world.acme.token, KEY, "cafe"):
        assert secret not in written


def test_what_sounds_like_a_secret_is_struck_out() -> None:
    event: dict[str, Any] = {"event": "x", "sse_customer_key": "k", "sse_customer_key_md5": "m", "Authorization": "b"}
    assert logs.strike_secrets(None, "info", event) == {
        "event": "x", "sse_customer_key": "***", "sse_customer_key_md5": "m", "Authorization": "***",
    }  # fmt: skip


class _logging:
    """Logs as the service does, for a block."""

    def __init__(self, **values: Any) -> None:
        self._settings = settings.Settings(**values)

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._before = (root.handlers, root.level)
        logs.configure(self._settings)

    def __exit__(self, *raised: object) -> None:
        import structlog

        structlog.reset_defaults()
        root = logging.getLogger()
        root.handlers, level = self._before
        root.setLevel(level)
