"""Claims about the documentation: nothing is undocumented, and nothing documented is missing."""

from __future__ import annotations

import ast
import html.parser
import pathlib
import re
from typing import Any

import pytest
from api_world import World

from penstock import errors

ROOT = pathlib.Path(__file__).parents[3]
OUTSIDE = {"address_unavailable", "server_not_started", "tls_files_unusable"}
"""Codes of `penstock serve`, which never come over HTTP."""

REFERENCE = (ROOT / "docs" / "api.md").read_text()


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.http("GET", "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, one) for path, item in document["paths"].items() for method, one in item.items()]


def test_every_route_is_in_the_reference_and_the_other_way_round(document: dict[str, Any]) -> None:
    headings = set(re.findall(r"^### `(GET|POST|DELETE) (\S+)`$", REFERENCE, re.MULTILINE))
    assert {(method.upper(), path) for method, path, _ in operations(document)} == headings


def test_every_parameter_and_member_is_in_the_reference(document: dict[str, Any]) -> None:
    names = {parameter["name"] for _, _, one in operations(document) for parameter in one.get("parameters", [])}
    shapes = document["components"]["schemas"]
    names |= {member for schema in shapes.values() for member in schema.get("properties", {})}
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", REFERENCE)} == set()


def codes_raised(path: pathlib.Path) -> set[str]:
    """Codes of the errors that a module makes: first arguments of classes of the tree, and of problems."""
    found = set()
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        is_error = issubclass(getattr(errors, name, object), errors.PenstockError)
        candidates = call.args[:1] if is_error else [one.value for one in call.keywords if one.arg == "code"]
        found |= {one.value for one in candidates if isinstance(one, ast.Constant)}
    return found


def test_every_code_the_api_raises_is_in_the_reference() -> None:
    codes = {
        code
        for room in ("api", "usecases")
        for path in (ROOT / "penstock" / room).rglob("*.py")
        for code in codes_raised(path)
    }
    assert {"customer_key_required", "internal_error", "body_too_large", "not_ready"} <= codes
    assert {code for code in codes - OUTSIDE if f"`{code}`" not in REFERENCE} == set()


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))
    for method, path, one in operations(document):
        assert one["summary"], (method, path)
        assert one["description"], (method, path)
        assert re.fullmatch(r"[a-z_]+", one["operationId"])
        assert one["tags"]
        for parameter in one.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), (path, parameter["name"])


def test_every_answer_has_a_shape(document: dict[str, Any]) -> None:
    for method, path, one in operations(document):
        for status, answer in one["responses"].items():
            if status in ("204", "default") or path in ("/metrics", "/storage/{key}"):
                continue
            assert any(content.get("schema") for content in answer["content"].values()), (method, path, status)
        if path.startswith("/v1"):
            assert one["responses"]["default"]["content"]["application/problem+json"]["schema"]


def test_secrets_are_marked_as_such(document: dict[str, Any]) -> None:
    s3 = document["components"]["schemas"]["S3Settings"]["properties"]
    for name in ("sse_customer_key", "secret_access_key"):
        assert {"type": "string", "format": "password", "writeOnly": True} in s3[name]["anyOf"]


def test_the_key_scheme_is_described(document: dict[str, Any]) -> None:
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


class _Page(html.parser.HTMLParser):
    """Collects ids, links, and what a page would fetch from elsewhere; notices tags left open."""

    VOID = frozenset(("meta", "br", "link", "img", "input"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href" and tag == "a":
                self.links.append(str(value))
            if name == "src" or (name == "href" and tag == "link"):
                self.fetched.append(str(value))
        if tag == "script":
            self.fetched.append("script")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_every_operation_and_fetches_nothing(world: World, document: dict[str, Any]) -> None:
    answer = world.http("GET", "/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Page(answer.text)
    assert page.open == []
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    assert {one["operationId"] for _, _, one in operations(document)} <= set(page.ids)
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
