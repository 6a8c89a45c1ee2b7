"""Bad input from end to end: each is refused with its code and a sentence, or goes in, is found, and comes out whole.

Refusals of starting an export, one by one: tests/unit/api/test_api_exports.py and test_api_keys.py.
"""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import json
import pathlib
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from typing import Any

import httpx
import pytest
import zstandard

from penstock import errors
from penstock.client import Export
from penstock.storage.keys import CustomerKey

NAMES = "x-amz-server-side-encryption-customer-"
OTHER_KEY = CustomerKey(bytes(range(32)))


def event(**members: Any) -> bytes:
    return json.dumps({"@timestamp": "2026-03-01T10:00:00Z", **members}).encode()


def key_headers(key: CustomerKey) -> dict[str, str]:
    return {f"{NAMES}algorithm": "AES256", f"{NAMES}key": key.base64, f"{NAMES}key-MD5": key.md5}


def xml_of(answer: httpx.Response) -> dict[str, str]:
    """The members of S3's error document."""
    assert answer.headers["content-type"] == "application/xml"
    return {child.tag: child.text or "" for child in ElementTree.fromstring(answer.text)}


def lines_of(file: pathlib.Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().split("\n")[:-1]


@pytest.mark.parametrize(
    ("query", "position", "caret"),
    [
        ("user.name:(", 11, "           ^"),
        ("a:1 AND", 7, "       ^"),
        ("a:1 )", 4, "    ^"),
        ('message:"failed', 8, "        ^"),
        ("source.ip:[10.0.0.1 TO", 22, "                      ^"),
        ("user.name:/a(/", 12, "            ^"),
    ],
)
def test_a_broken_query_is_shown_its_place(customer: Any, query: str, position: int, caret: str) -> None:
    with pytest.raises(errors.QuerySyntaxError) as caught:
        customer.penstock.search(query)
    assert caught.value.code == "query_syntax"
    assert caught.value.extra["position"] == position
    assert caught.value.extra["caret"].split("\n") == [query, caret]
    assert caught.value.detail
    assert caught.value.hint


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_truncated_body_takes_nothing_in(customer: Any, encoding: str, pack: Any) -> None:
    body = pack(b"\n".join(event(message=str(n)) for n in range(1000)))
    answer = customer.send(body[:-20], **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (422, "truncated_body")
    assert answer.json()["detail"]
    assert customer.export().task.progress == 0


def test_a_line_of_ten_megabytes_goes_in_and_comes_out_whole(customer: Any, tmp_path: pathlib.Path) -> None:
    long = event(message="m" * 10_000_000)
    longer = event(message="m" * 17_000_000)
    answer = customer.send([long, longer, event(message="short")])
    assert answer.json()["accepted"] == 2
    (rejected,) = answer.json()["rejected"]
    assert (rejected["line"], rejected["code"]) == (2, "line_too_long")
    assert f"{len(longer)} bytes" in rejected["reason"]
    customer.downloaded("", ["message"], tmp_path / "x.gz")
    assert sorted(map(len, lines_of(tmp_path / "x.gz"))) == [len('{"message":"short"}'), 10_000_000 + 14]


def test_invalid_utf8_is_rejected_alone_with_its_place(customer: Any) -> None:
    answer = customer.send([event(message="before"), b'{"message":"\xff\xfe"}', event(message="after")])
    assert answer.json()["accepted"] == 2
    (rejected,) = answer.json()["rejected"]
    assert (rejected["line"], rejected["code"]) == (2, "invalid_utf8")
    assert rejected["reason"] == "not valid UTF-8: byte 0xff at offset 12"


def test_a_nul_in_a_string_is_found_and_comes_out_as_it_went_in(customer: Any, tmp_path: pathlib.Path) -> None:
    value = 'before\x00after "\\ \x1b\u2028'
    assert customer.send([event(message=value), event(**{"user.name": "a\x00b"})]).json()["accepted"] == 2
    assert customer.penstock.search("user.name:/a\\x00b/", earliest="2026-01-01").total == 1
    with pytest.raises(errors.InvalidRequest) as caught:
        customer.penstock.search('user.name:"a\x00b"')
    assert caught.value.code == "invalid_request"
    assert "body.term" in caught.value.detail
    customer.downloaded("message:*", ["message"], tmp_path / "x.gz")
    assert [json.loads(line) for line in lines_of(tmp_path / "x.gz")] == [{"message": value}]


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.99999Z", "0001-01-01T00:00:00Z"])
def test_the_ends_of_the_calendar_are_searched_shown_and_exported(
    customer: Any, tmp_path: pathlib.Path, stamp: str
) -> None:
    assert (
        customer.send([event(message="now"), event(**{"@timestamp": stamp, "message": "far"})]).json()["accepted"] == 2
    )
    job = customer.penstock.search("message:far", earliest="0001-01-01", latest="9999-12-31T23:59:59.999999Z")
    assert job.total == 1
    assert next(job.events())["@timestamp"].startswith(stamp[:19])
    assert sum(count for _, count in job.histogram().buckets) == 1
    customer.downloaded("", ["@timestamp", "message"], tmp_path / "x.gz")
    events = [json.loads(line) for line in lines_of(tmp_path / "x.gz")]
    far = next(one for one in events if one["message"] == "far")
    assert far["@timestamp"].startswith(stamp[:19])
    assert [one["message"] for one in events] == (["far", "now"] if stamp < "2026" else ["now", "far"])


def test_an_empty_result_is_a_valid_empty_file(customer: Any, tmp_path: pathlib.Path) -> None:
    customer.send([event(message="something")])
    export = customer.export("message:nothing-like-it", ["@timestamp", "message"])
    got = export.download(tmp_path / "x.gz", manifest_file=tmp_path / "x.json")
    assert (export.task.status, export.task.progress, export.task.total) == ("FINISHED", 0, 0)
    assert (got.verified, got.events) == (True, 0)
    assert list(export.events()) == []
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == b""
    subprocess.run(["gzip", "-t", str(tmp_path / "x.gz")], check=True)
    manifest = json.loads((tmp_path / "x.json").read_text())
    assert manifest["events"] == 0
    assert customer.penstock.quota().used_bytes == (tmp_path / "x.gz").stat().st_size


def test_a_search_of_a_community_without_events_is_empty_everywhere(customer: Any) -> None:
    job = customer.penstock.search()
    assert (job.total, list(job.events()), job.exports()) == (0, [], ())
    assert sum(count for _, count in job.histogram().buckets) == 0
    assert job.csv(["message"]).splitlines() == ["message"]
    assert list(job.export().wait(interval_seconds=0.05) and job.exports()) != []


@pytest.fixture
def finished(customer: Any) -> Export:
    customer.send([event(message=str(n)) for n in range(100)])
    found: Export = customer.export()
    return found


def test_without_a_key_with_a_wrong_one_and_with_half_of_one(finished: Export) -> None:
    url = str(finished.task.download_url)
    assert finished.customer_key is not None
    own, other = key_headers(finished.customer_key), key_headers(OTHER_KEY)
    mixed = {**own, f"{NAMES}key-MD5": OTHER_KEY.md5}
    for headers, status, code in (
        ({}, 400, "InvalidRequest"),
        (other, 403, "AccessDenied"),
        (mixed, 400, "InvalidArgument"),
        ({name: value for name, value in own.items() if not name.endswith("algorithm")}, 400, "InvalidArgument"),
    ):
        answer = httpx.get(url, headers=headers)
        found = xml_of(answer)
        assert (answer.status_code, found["Code"]) == (status, code), headers
        assert found["Message"]
        assert finished.customer_key.base64 not in answer.text
    assert gzip.decompress(httpx.get(url, headers=own).content).count(b"\n") == 100


def test_the_client_says_what_is_wrong_with_the_key(customer: Any, finished: Export, tmp_path: pathlib.Path) -> None:
    stranger = customer.penstock.export(finished.task_uuid)
    for key, code in ((None, "customer_key_missing"), (OTHER_KEY, "wrong_customer_key")):
        with pytest.raises(errors.PenstockError) as caught:
            stranger.download(tmp_path / "x.gz", customer_key=key)
        assert caught.value.code == code
        assert caught.value.hint
    assert not (tmp_path / "x.gz").exists()


def test_an_expired_url_and_a_changed_one_are_denied(hasty_customer: Any) -> None:
    hasty_customer.send([event(message="x")])
    export = hasty_customer.export()
    task = export.task
    assert task.download_url is not None
    key = key_headers(export.customer_key)
    changed = httpx.get(task.download_url.replace("X-Penstock-Expires=", "X-Penstock-Expires=9"), headers=key)
    assert (changed.status_code, xml_of(changed)["Code"]) == (403, "SignatureDoesNotMatch")
    answer = httpx.get(task.download_url, headers=key)
    assert answer.status_code == 200
    while answer.status_code == 200 and dt.datetime.now(dt.UTC) < task.expire_at + dt.timedelta(seconds=20):
        time.sleep(0.05)
        answer = httpx.get(task.download_url, headers=key)
    assert (answer.status_code, xml_of(answer)["Code"]) == (403, "AccessDenied")
    assert xml_of(answer)["Message"] == "Request has expired"
    assert export.refresh().download_url is None
    with pytest.raises(errors.AccessDenied) as caught:
        export.download("never.gz")
    assert caught.value.code == "download_expired"


def test_the_md5_in_the_answer_is_that_of_the_key(customer: Any) -> None:
    customer.send([event(message="x")])
    job = customer.penstock.search("", earliest="2026-01-01")
    started = customer.http.post(
        f"/v1/sic/conf/events/search/jobs/{job.uuid}/export", json={"generate_customer_key": True}
    ).json()
    digest = hashlib.md5(base64.b64decode(started["sse_customer_key"], validate=True)).digest()
    assert base64.b64encode(digest).decode() == started["sse_customer_key_md5"]
