"""Claims about what shippers for Elasticsearch meet: keys, indices, items and their answers, faults, questions."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import httpx
import pytest
from api_world import World

from penstock import errors
from penstock.api.elastic import answers
from penstock.api.intake import gathering
from penstock.control import states
from penstock.lake import table


def pairs(*items: tuple[dict[str, Any], Any]) -> bytes:
    """A body: each action, and its event unless that is None. Events as text are left alone."""
    lines = []
    for action, event in items:
        lines.append(json.dumps(action))
        if event is not None:
            lines.append(event if isinstance(event, str) else json.dumps(event))
    return "".join(line + "\n" for line in lines).encode()


def bulk(world: World, body: bytes, path: str = "/_bulk", token: str | None = None, **options: Any) -> httpx.Response:
    return world.post(path, token, content=body, **options)


def statuses(answer: httpx.Response) -> list[tuple[str, int]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
    found = [(kind, told["status"]) for row in answer.json()["items"] for kind, told in row.items()]
    assert answer.json()["errors"] == any(status >= 400 for _, status in found)
    return found


def refused(answer: httpx.Response, status: int, kind: str, code: str) -> dict[str, Any]:
    """An error of the whole request, in Elasticsearch's shape."""
    assert answer.status_code == answer.json()["status"] == status, answer.text
    assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
    error: dict[str, Any] = answer.json()["error"]
    assert (error["type"], error["code"]) == (kind, code)
    assert error["reason"].startswith(f"{code}: ")
    assert error["root_cause"] == [{"type": error["type"], "reason": error["reason"]}]
    return error


def rows(world: World, uuid: str | None = None) -> int:
    return world.services.table(uuid or world.acme.uuid).snapshot().rows


def name(world: World, uuid: str) -> str:
    me = world.get("/v1/me", world.key(states.Permission.ADMIN, communities=[uuid])).json()
    return str(me["communities"][0]["name"])


CREATE: dict[str, Any] = {"create": {}}


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_creates_and_indexes_are_taken_and_all_else_is_refused_item_by_item(world: World, encoding: str) -> None:
    body = pairs(
        ({"create": {"_index": "logs-x-default", "_id": "a"}}, {"@timestamp": "2026-03-01T10:00:00Z", "n": 1}),
        ({"index": {}}, {"n": 2}),  # without a time: that of its arrival
        ({"delete": {"_id": "a"}}, None),
        ({"update": {"_id": "a"}}, {"doc": {"n": 3}}),
        ({"index": {"_id": 7}}, "no JSON"),
        (CREATE, "   "),
        (CREATE, '{"a": 1, "a": 2}'),
        (CREATE, {"n": 4}),
    )
    options = {"headers": {"Content-Encoding": "gzip"}} if encoding else {}
    answer = bulk(world, gzip.compress(body) if encoding else body, **options)
    assert statuses(answer) == [
        ("create", 201), ("index", 201), ("delete", 400), ("update", 400), ("index", 400), ("create", 400),
        ("create", 400), ("create", 201),
    ]  # fmt: skip
    told = [next(iter(row.values())) for row in answer.json()["items"]]
    assert told[0] == {"_index": "logs-x-default", "_id": "a", "_version": 1, "result": "created", "status": 201}
    assert told[1]["_index"] == name(world, world.acme.uuid)
    assert told[4]["_id"] == "7"
    assert told[4]["error"]["type"] == "document_parsing_exception"
    assert told[4]["error"]["reason"].startswith("invalid_json: ")
    assert told[6]["error"]["reason"].startswith("duplicate_name: ")
    assert {told[n]["error"]["type"] for n in (2, 3, 5)} == {"illegal_argument_exception"}
    assert rows(world) == 3


def test_each_item_goes_where_its_index_says(world: World) -> None:
    both = world.key(states.Permission.SIC_WRITE_EVENTS, communities=[world.acme.uuid, world.other.uuid])
    mine, others = (name(world, one.uuid) for one in (world.acme, world.other))
    items = [({"create": {"_index": index}}, {"n": 1}) for index in (mine, others, world.other.uuid, "elsewhere")]
    answer = bulk(world, pairs(*items, (CREATE, {"n": 1})), token=both)
    assert statuses(answer) == [("create", 201)] * 3 + [("create", 404), ("create", 400)]
    told = [row["create"] for row in answer.json()["items"]]
    assert told[3]["error"]["type"] == "index_not_found_exception"
    assert told[4]["error"]["reason"].startswith("index_missing: ")
    assert (rows(world), rows(world, world.other.uuid)) == (1, 2)
    # The index in the path is all items' own.
    assert statuses(bulk(world, pairs(*items), f"/{others}/_bulk", both)) == [("create", 201)] * 4
    assert rows(world, world.other.uuid) == 6


def test_an_index_in_the_path_must_be_one_of_the_keys_communities(world: World) -> None:
    error = refused(bulk(world, pairs((CREATE, {})), "/elsewhere/_bulk"), 404, "index_not_found_exception",
                    "community_not_found")  # fmt: skip
    assert name(world, world.acme.uuid) in error["hint"]
    hidden = bulk(world, pairs((CREATE, {})), f"/{world.other.uuid}/_bulk")
    refused(hidden, 404, "index_not_found_exception", "community_not_found")


@pytest.mark.parametrize("scheme", ["Bearer", "ApiKey", "ApiKey id:key", "Basic", "basic"])
def test_the_key_comes_as_elasticsearchs_clients_send_it(world: World, scheme: str) -> None:
    word, _, form = scheme.partition(" ")
    encoded = base64.b64encode(f"anyone:{world.acme.token}".encode()).decode()
    value = encoded if form or word.lower() == "basic" else world.acme.token
    answer = world.http(
        "POST", "/_bulk", content=pairs((CREATE, {"n": 1})), headers={"Authorization": f"{word} {value}"}
    )
    assert statuses(answer) == [("create", 201)]


@pytest.mark.parametrize("header", ["", "Basic %%%", "Basic YWJj", "ApiKey bm86a2V5", "Digest x", "Bearer nonsense"])
def test_an_unknown_key_is_refused_in_elasticsearchs_shape(world: World, header: str) -> None:
    for path in ("/_license", "/_bulk"):
        answer = world.http("GET" if path == "/_license" else "POST", path, headers={"Authorization": header})
        code = "api_key_unknown" if header in ("ApiKey bm86a2V5", "Bearer nonsense") else "api_key_missing"
        refused(answer, 401, "security_exception", code)
        assert "ApiKey" in answer.headers["WWW-Authenticate"]


def test_a_key_that_may_not_write_is_refused(world: World) -> None:
    reader = world.key(states.Permission.SIC_READ_INTAKES)
    refused(bulk(world, pairs((CREATE, {})), token=reader), 403, "security_exception", "permission_missing")


@pytest.mark.parametrize(
    "body",
    [
        b'{"create":{}}\n{"n":1}\n{"create":{}}\n',
        b'{"create":{}}\n{"n":1}\n{"create":{}}',
        b'{"n":1}\n{"n":2}\n',
        b'{"create":{}}\n{"n":1}\nnonsense\n{}\n',
        b'{"upsert":{}}\n{"n":1}\n',
        b'{"create":{},"index":{}}\n{"n":1}\n',
        b'{"create":[]}\n{"n":1}\n',
        b"[]\n{}\n",
    ],
)
def test_a_body_whose_lines_are_not_pairs_is_refused_whole(world: World, body: bytes) -> None:
    refused(bulk(world, body), 400, "illegal_argument_exception", "invalid_bulk")
    assert rows(world) == 0


def test_a_body_that_is_too_large_or_broken_is_refused_whole(world: World) -> None:
    long = pairs((CREATE, {"n": "x" * 2_000_000}))
    refused(bulk(world, long), 413, "content_too_long_exception", "body_too_large")
    packed = {"Content-Encoding": "gzip"}
    too_long = bulk(world, gzip.compress(long), headers=packed)
    refused(too_long, 413, "content_too_long_exception", "body_too_large")
    cut = bulk(world, gzip.compress(pairs((CREATE, {})))[:-4], headers=packed)
    refused(cut, 400, "illegal_argument_exception", "truncated_body")
    assert rows(world) == 0


def test_an_empty_body_has_no_items(world: World) -> None:
    assert statuses(bulk(world, b"\n\n")) == []


def test_a_large_body_is_answered_item_by_item_too(world: World) -> None:
    events = [
        ({"index": {"_id": str(n)}}, "bad" if n % 1000 == 0 else {"n": n, "text": "x" * 100}) for n in range(5000)
    ]
    body = pairs(*events)
    assert len(body) > gathering.MOST_BODY_BYTES
    for _ in range(2):  # the second time it is a repeat
        found = statuses(bulk(world, body))
        assert [status for _, status in found] == [400 if n % 1000 == 0 else 201 for n in range(5000)]
    assert rows(world) == 4995


def test_a_request_whose_items_all_have_ids_is_taken_in_once(world: World) -> None:
    items = [({"create": {"_id": str(n)}}, {"n": n}) for n in range(3)]
    body = pairs(*items, ({"create": {"_id": "bad"}}, "nonsense"))
    expected = [("create", 201)] * 3 + [("create", 400)]
    assert [statuses(bulk(world, body)), statuses(bulk(world, body))] == [expected] * 2
    assert rows(world) == 3
    # Other ids, other events; and without an id two alike are two.
    statuses(bulk(world, pairs(*[({"create": {"_id": f"x{n}"}}, {"n": n}) for n in range(3)])))
    assert rows(world) == 6
    for _ in range(2):
        statuses(bulk(world, pairs(*items, (CREATE, {"n": 9}))))
    assert rows(world) == 14


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (errors.NoRoom("no_room", "The disk /secret is full.", "Make room."), 503, "unavailable_shards_exception"),
        (errors.StorageError("lake_failed", "/secret failed.", "Look."), 503, "unavailable_shards_exception"),
        (errors.TooManyRequests("intake_full", "Full.", "Wait."), 429, "es_rejected_execution_exception"),
    ],
)
def test_a_fault_is_the_requests_if_nothing_is_in_and_the_items_if_others_are(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: errors.PenstockError, status: int, kind: str
) -> None:
    append = table.EventTable.append

    def fail(events: table.EventTable, *args: Any, **options: Any) -> int:
        if events.community_uuid == world.acme.uuid:
            raise fault
        return append(events, *args, **options)

    monkeypatch.setattr(table.EventTable, "append", fail)
    answer = bulk(world, pairs((CREATE, {"n": 1}), ({"delete": {}}, None)))
    refused(answer, status, kind, fault.code)
    assert answer.headers["Retry-After"]
    assert "/secret" not in answer.text
    both = world.key(states.Permission.SIC_WRITE_EVENTS, communities=[world.acme.uuid, world.other.uuid])
    items = [({"create": {"_index": one.uuid}}, {"n": 1}) for one in (world.acme, world.other)]
    answer = bulk(world, pairs(*items), token=both)
    assert statuses(answer) == [("create", status), ("create", 201)]
    assert answer.json()["items"][0]["create"]["error"]["type"] == kind
    assert "/secret" not in answer.text
    assert rows(world, world.other.uuid) == 1


def test_too_many_requests_of_a_key_are_told_to_come_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = world.http.app.state.context.intake.shares
    monkeypatch.setattr(shares, "_most_requests", 0)
    answer = bulk(world, pairs((CREATE, {"n": 1})))
    refused(answer, 429, "es_rejected_execution_exception", "too_many_requests")
    assert answer.headers["Retry-After"] == "1"


def test_filter_path_leaves_out_what_is_not_asked_for(world: World) -> None:
    body = pairs((CREATE, {"n": 1}), (CREATE, "bad"))
    answer = bulk(world, body, "/_bulk?filter_path=errors,items.*.status").json()
    assert answer == {"errors": True, "items": [{"create": {"status": 201}}, {"create": {"status": 400}}]}
    content = {"a": {"b": [{"c": 1}, {"d": 2}]}, "e": False}
    assert answers.filtered(content, "**.d") == {"a": {"b": [{"d": 2}]}}
    assert answers.filtered(content, "e,x.y") == {"e": False}
    assert answers.filtered(content, "x") == {}
    assert answers.filtered(content, "-e") == answers.filtered(content, " ,") == content


def test_the_root_is_a_cluster_to_shippers_and_the_console_to_browsers(world: World) -> None:
    told = world.get("/", headers={"Accept": "application/json"})
    assert told.json()["tagline"] == "You Know, for Search"
    assert told.json()["version"]["number"] == answers.VERSION
    assert world.http("HEAD", "/", token=world.acme.token).status_code == 200
    refused(world.http("GET", "/", token="nobody"), 401, "security_exception", "api_key_unknown")
    for headers in ({}, {"Authorization": "Basic eDp5", "Accept": "text/html,*/*"}):  # behind a proxy with passwords
        page = world.http("GET", "/", headers=headers)
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/_license", "license"), ("/_xpack", "features"), ("/_cluster/health?timeout=1s", "status"),
        ("/_nodes", "nodes"), ("/_nodes/http", "nodes"), ("/_nodes/ingest?filter_path=x", "nodes"),
    ],
)  # fmt: skip
def test_questions_of_shippers_are_answered(world: World, path: str, member: str) -> None:
    answer = world.get(path)
    assert (answer.status_code, answer.headers["X-Elastic-Product"]) == (200, "Elasticsearch")
    assert member in answer.json()


def test_templates_and_policies_are_there_already_and_pipelines_never(world: World) -> None:
    for path in ("/_index_template/filebeat", "/_template/logstash", "/_ilm/policy/filebeat", "/_data_stream/logs"):
        assert world.http("HEAD", path, token=world.acme.token).status_code == 200
        assert world.http("PUT", path, token=world.acme.token, json={}).json() == {"acknowledged": True}
    put = world.http("PUT", "/_ingest/pipeline/p", token=world.acme.token, json={})
    refused(put, 400, "illegal_argument_exception", "no_pipelines")
    assert world.get("/_cat/health").text.split()[1] == "green"
