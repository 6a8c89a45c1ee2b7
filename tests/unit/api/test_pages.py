"""The console at the root of the API."""

from __future__ import annotations

import re
from typing import Any

from penstock import settings
from penstock.api.routes import pages

World = Any


def test_the_root_is_the_console(world: World) -> None:
    answer = world.http("GET", "/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "connect-src 'self';" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in re.findall(r'(?:href|src)="(console/[^"]+)"', answer.text):
        file = world.http("GET", f"/{name}")
        assert file.status_code == 200, name
        assert "immutable" in file.headers["cache-control"]


def test_the_page_is_not_sent_again_unchanged(world: World) -> None:
    etag = world.http("GET", "/").headers["etag"]
    answer = world.http("GET", "/", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_file_of_another_version_is_a_problem(world: World) -> None:
    answer = world.http("GET", "/console/0000000000000000/js/main.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_policy_names_the_bucket_of_the_service() -> None:
    own = settings.Settings(storage="s3", s3_bucket="b", s3_endpoint_url="https://s3.example:8443/x")
    assert pages.stores_of(own) == ("https://s3.example:8443",)
    aws = settings.Settings(storage="s3", s3_bucket="b", s3_region="eu-west-3")
    assert "https://b.s3.eu-west-3.amazonaws.com" in pages.stores_of(aws)
    assert pages.stores_of(settings.Settings()) == ()
