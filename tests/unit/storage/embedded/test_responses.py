"""Downloads from the embedded store answer as S3 does, to the letter of its error codes."""

from __future__ import annotations

import pathlib
import urllib.parse
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from penstock import testing
from penstock.storage import CustomerKey
from penstock.storage.embedded import responses
from penstock.storage.embedded.store import EmbeddedStore

KEY = CustomerKey(bytes(range(32)))
OTHER_KEY = CustomerKey(bytes(32))
NAME = "penstock/a b/export.jsonl.gz"
CONTENT = bytes(range(256)) * 4
PREFIX = "x-amz-server-side-encryption-customer-"


class Shop:
    """A store with one object, its URL, and a short way to ask."""

    def __init__(self, root: pathlib.Path) -> None:
        self.clock = testing.ManualClock()
        self.store = EmbeddedStore(root, signing_key=b"k" * 32, public_url="https://host/", clock=self.clock)
        self.store.put(NAME, CONTENT, KEY, content_type="application/gzip", filename="as given.gz")
        self.url = self.store.presign(NAME, KEY, expires_in_seconds=60, filename="export.jsonl.gz")

    def ask(self, headers: Any = None, method: str = "GET", url: str | None = None) -> responses.DownloadResponse:
        parts = urllib.parse.urlsplit(url or self.url)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        given = KEY.headers() if headers is None else headers
        return responses.respond(self.store, method, urllib.parse.unquote(parts.path), query, given)


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> Shop:
    return Shop(tmp_path)


def error(response: responses.DownloadResponse) -> dict[str, str]:
    body = b"".join(response.body)
    assert response.headers["Content-Type"] == "application/xml"
    assert response.headers["Content-Length"] == str(len(body))
    root = ET.fromstring(body)
    assert root.tag == "Error"
    members = {child.tag: child.text or "" for child in root}
    assert members["Code"] == response.error_code
    return members


def test_the_url_is_on_the_public_url_and_names_no_secret(shop: Shop) -> None:
    assert shop.url.startswith("https://host/storage/penstock/a%20b/export.jsonl.gz?X-Penstock-Expires=")
    assert KEY.base64 not in urllib.parse.unquote(shop.url)


def test_head_says_what_get_would_say(shop: Shop) -> None:
    head, get = shop.ask(method="HEAD"), shop.ask()
    assert head.status == get.status == 200
    assert head.headers == get.headers
    assert (b"".join(head.body), b"".join(get.body)) == (b"", CONTENT)
    assert get.headers["Content-Disposition"] == 'attachment; filename="export.jsonl.gz"'
    assert get.headers[PREFIX + "key-MD5"] == KEY.md5
    assert get.headers["Last-Modified"] == "Thu, 15 Jan 2026 12:00:00 GMT"
    assert get.object_key == NAME


def test_a_url_without_a_file_name_uses_the_object_s(shop: Shop) -> None:
    url = shop.store.presign(NAME, KEY, expires_in_seconds=60, filename="")
    assert shop.ask(url=url).headers["Content-Disposition"] == 'attachment; filename="as given.gz"'


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_header_names_are_read_in_any_case(shop: Shop, spelling: Any) -> None:
    assert shop.ask({spelling(name): value for name, value in KEY.headers().items()}).status == 200


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(shop: Shop, method: str) -> None:
    response = shop.ask(method=method)
    assert (response.status, error(response)["Code"]) == (405, "MethodNotAllowed")
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"algorithm": None, "key": None, "key-MD5": None}, 400, "InvalidRequest"),
        ({"algorithm": None}, 400, "InvalidArgument"),
        ({"algorithm": "AES128"}, 400, "InvalidEncryptionAlgorithmError"),
        ({"key": None}, 400, "InvalidArgument"),
        ({"key-MD5": None}, 400, "InvalidArgument"),
        ({"key": "not base64!"}, 400, "InvalidArgument"),
        ({"key": "c2hvcnQ="}, 400, "InvalidArgument"),
        ({"key": "é"}, 400, "InvalidArgument"),
        ({"key-MD5": OTHER_KEY.md5}, 400, "InvalidArgument"),
        ({"key-MD5": "é"}, 400, "InvalidArgument"),
        ({"key": OTHER_KEY.base64}, 400, "InvalidArgument"),
        ({"key": OTHER_KEY.base64, "key-MD5": OTHER_KEY.md5}, 403, "AccessDenied"),
    ],
)
def test_key_headers_that_do_not_serve_are_refused_as_s3_does(
    shop: Shop, changes: dict[str, str | None], status: int, code: str
) -> None:
    headers = {**KEY.headers(), **{PREFIX + name: value for name, value in changes.items()}}
    response = shop.ask({name: value for name, value in headers.items() if value is not None})
    assert (response.status, error(response)["Code"]) == (status, code)


def test_an_expired_url_says_when(shop: Shop) -> None:
    shop.clock.advance(59.5)
    assert shop.ask().status == 200
    shop.clock.advance(0.5)
    members = error(shop.ask())
    assert members["Code"] == "AccessDenied"
    assert members["Message"] == "Request has expired"
    assert members["Expires"] == members["ServerTime"] == "2026-01-15T12:01:00Z"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Expires=", "Expires=9", "SignatureDoesNotMatch"),
        ("Expires=", "Expires=x", "SignatureDoesNotMatch"),
        ("KeyMD5=", "KeyMD5=A", "SignatureDoesNotMatch"),
        ("Filename=export", "Filename=evil", "SignatureDoesNotMatch"),
        ("a%20b", "a%20c", "SignatureDoesNotMatch"),
        ("Signature=", "Signature=%C3%A9", "SignatureDoesNotMatch"),
        ("&X-Penstock-Signature=", "&X-Penstock-Nothing=", "AccessDenied"),
        ("X-Penstock-Expires=", "X-Penstock-Nothing=", "AccessDenied"),
    ],
)
def test_a_tampered_url_is_denied(shop: Shop, old: str, new: str, code: str) -> None:
    assert old in shop.url
    response = shop.ask(url=shop.url.replace(old, new))
    assert (response.status, error(response)["Code"]) == (403, code)


def test_fields_of_a_url_cannot_be_moved_into_each_other(shop: Shop) -> None:
    signer = shop.store.urls
    expires = shop.clock.now()
    one = signer.url("a", KEY.md5, expires, "b\n3:xyz")
    two = signer.url("a\n3:xyz", KEY.md5, expires, "b")
    assert one.rpartition("=")[2] != two.rpartition("=")[2]


def test_another_service_s_url_is_denied(shop: Shop, tmp_path: pathlib.Path) -> None:
    other = EmbeddedStore(tmp_path, signing_key=b"x" * 32, public_url="https://host", clock=shop.clock)
    url = other.presign(NAME, KEY, expires_in_seconds=60, filename="f")
    assert error(shop.ask(url=url))["Code"] == "SignatureDoesNotMatch"


def test_nobody_learns_of_an_object_without_a_signed_url(shop: Shop) -> None:
    for path in ("https://host/storage/" + NAME, "https://host/storage/nothing"):
        assert error(shop.ask(url=path))["Code"] == "AccessDenied"


def test_an_object_that_is_gone_says_so_with_its_key(shop: Shop) -> None:
    shop.store.delete(NAME)
    members = error(shop.ask())
    assert (members["Code"], members["Key"]) == ("NoSuchKey", NAME)


def test_hostile_text_stays_inside_the_xml(shop: Shop) -> None:
    key = "a<b>&\ufffe"
    url = shop.store.presign(key, KEY, expires_in_seconds=60, filename="f")
    assert error(shop.ask(url=url))["Key"] == "a<b>&?"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "bytes=a-b", "items=0-1", "0-1", "bytes=٠-١", "bytes=0-1x", ""]
)
def test_a_range_that_is_none_gives_the_whole_object(shop: Shop, asked: str) -> None:
    response = shop.ask({**KEY.headers(), "Range": asked})
    assert response.status == 200
    assert b"".join(response.body) == CONTENT


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=1024-2000", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_of_nothing_cannot_be_satisfied(shop: Shop, asked: str) -> None:
    response = shop.ask({**KEY.headers(), "Range": asked})
    assert response.status == 416
    assert response.headers["Content-Range"] == "bytes */1024"
    members = error(response)
    assert (members["Code"], members["ActualObjectSize"]) == ("InvalidRange", "1024")


def test_a_range_of_an_empty_object_cannot_be_satisfied_and_the_whole_of_it_can(shop: Shop) -> None:
    shop.store.put("empty", b"", KEY, content_type="a/b", filename="f")
    url = shop.store.presign("empty", KEY, expires_in_seconds=60, filename="f")
    assert shop.ask({**KEY.headers(), "Range": "bytes=0-"}, url=url).status == 416
    whole = shop.ask(url=url)
    assert (whole.status, whole.headers["Content-Length"], b"".join(whole.body)) == (200, "0", b"")


@pytest.mark.parametrize("part", ["ETag", "Last-Modified"])
def test_if_range_gives_the_part_of_what_is_unchanged_and_the_whole_of_what_is_not(shop: Shop, part: str) -> None:
    known = shop.ask().headers[part]
    same = shop.ask({**KEY.headers(), "Range": "bytes=4-", "If-Range": known})
    assert (same.status, b"".join(same.body)) == (206, CONTENT[4:])
    other = {"ETag": '"other"', "Last-Modified": "Thu, 15 Jan 2026 12:00:01 GMT"}[part]
    changed = shop.ask({**KEY.headers(), "Range": "bytes=4-", "If-Range": other})
    assert (changed.status, b"".join(changed.body)) == (200, CONTENT)


def test_preconditions_hold_or_do_not(shop: Shop) -> None:
    etag = shop.ask().headers["ETag"]
    assert shop.ask({**KEY.headers(), "If-Match": f'"x", {etag}'}).status == 200
    assert shop.ask({**KEY.headers(), "If-Match": "*"}).status == 200
    assert error(shop.ask({**KEY.headers(), "If-Match": '"x"'}))["Code"] == "PreconditionFailed"
    unchanged = shop.ask({**KEY.headers(), "If-None-Match": etag})
    assert (unchanged.status, b"".join(unchanged.body), unchanged.headers["ETag"]) == (304, b"", etag)
    assert shop.ask({**KEY.headers(), "If-None-Match": '"x"'}).status == 200


def test_a_damaged_index_is_an_internal_error_and_a_damaged_chunk_breaks_the_body(
    shop: Shop, tmp_path: pathlib.Path
) -> None:
    part = next((tmp_path / "data").glob("*/*"))
    held = bytearray(part.read_bytes())
    held[-1] ^= 1
    part.write_bytes(held)
    with pytest.raises(Exception, match="damaged"):
        list(shop.ask().body)
    index = next((tmp_path / "objects").iterdir())
    index.write_bytes(index.read_bytes().replace(b"as given", b"as taken"))
    response = shop.ask()
    assert (response.status, error(response)["Code"]) == (500, "InternalError")
