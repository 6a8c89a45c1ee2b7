"""Every error of S3, botocore and urllib3 comes out as one of the tree, in words that name what to correct."""

from __future__ import annotations

import inspect
import socket
import ssl
from typing import Any

import botocore.exceptions as boto
import botocore.parsers
import pytest
import urllib3.exceptions

from penstock import errors
from penstock.storage import CustomerKey, Receipt, Secret, Upload
from penstock.storage.s3 import error_table
from penstock.storage.s3 import store as s3

KEY = CustomerKey.generate()
CALL = error_table.Call(name="PutObject", bucket="bucket", key="k", region="us-east-1", endpoint="")


def answer(
    code: str, status: int, message: str = "", call: error_table.Call = CALL, **members: str
) -> error_table.Explained:
    response: Any = {
        "Error": {"Code": code, "Message": message, **members},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return error_table.explain(boto.ClientError(response, call.name), call)


def call_of(name: str, endpoint: str = "") -> error_table.Call:
    return error_table.Call(name=name, bucket="bucket", key="k", region="us-east-1", endpoint=endpoint)


@pytest.mark.parametrize(
    ("code", "status", "ours", "words"),
    [
        ("NoSuchBucket", 404, "no_such_bucket", "no bucket 'bucket'"),
        ("InvalidAccessKeyId", 403, "unknown_access_key", "does not know the access key id"),
        ("SignatureDoesNotMatch", 403, "wrong_secret_key", "secret access key"),
        ("ExpiredToken", 400, "expired_credentials", "expired"),
        ("RequestTimeTooSkewed", 403, "clock_skew", "clocks"),
        ("AccessDenied", 403, "access_denied", "s3:PutObject"),
        ("403", 403, "access_denied", "s3:PutObject"),
        ("NoSuchKey", 404, "object_missing", "no object 'k'"),
        ("404", 404, "object_missing", "no object 'k'"),
        ("NoSuchUpload", 404, "upload_missing", "no unfinished upload"),
        ("InvalidPart", 400, "invalid_part", "InvalidPart"),
        ("EntityTooSmall", 400, "invalid_part", "EntityTooSmall"),
        ("XAmzContentSHA256Mismatch", 400, "damaged_in_transit", "not what was sent"),
        ("QuotaExceeded", 403, "storage_full", "full"),
        ("NotImplemented", 501, "call_not_supported", "does not support PutObject"),
        ("SlowDown", 503, "storage_unavailable", "SlowDown"),
        ("InternalError", 500, "storage_unavailable", "InternalError"),
        ("Whatever", 599, "storage_unavailable", "Whatever"),
        ("Whatever", 400, "storage_refused", "Whatever"),
        ("PermanentRedirect", 301, "wrong_region", "elsewhere"),
    ],
)
def test_an_answer_of_s3_is_put_in_our_words(code: str, status: int, ours: str, words: str) -> None:
    error = answer(code, status).error
    assert isinstance(error, errors.StorageError)
    assert error.code == ours
    assert words in error.detail
    assert error.hint


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "503", "RequestTimeout", "BadDigest", "429"])
def test_what_may_pass_is_tried_again(code: str) -> None:
    assert answer(code, 503 if code != "BadDigest" else 400).is_retryable


@pytest.mark.parametrize(
    "code", ["AccessDenied", "NoSuchBucket", "SignatureDoesNotMatch", "InvalidPart", "NoSuchUpload"]
)
def test_what_will_not_pass_is_not_tried_again(code: str) -> None:
    assert not answer(code, 403).is_retryable


def test_the_right_region_is_told_if_the_server_told_it() -> None:
    error = answer("AuthorizationHeaderMalformed", 400, Region="eu-west-3").error
    assert error.detail == "The bucket 'bucket' is in region 'eu-west-3', not in 'us-east-1'."
    assert error.hint == "Set region_name to eu-west-3."


@pytest.mark.parametrize(("name", "permission"), sorted(error_table.PERMISSION_OF.items()))
def test_a_denied_call_names_the_permission_to_grant(name: str, permission: str) -> None:
    error = answer("AccessDenied", 403, call=call_of(name)).error
    assert permission in error.detail
    assert permission in error.hint
    assert error.extra == {"permission": permission}


def test_a_denied_write_at_aws_mentions_that_sse_c_may_be_blocked() -> None:
    assert "put-bucket-encryption --bucket bucket" in answer("AccessDenied", 403).error.hint
    assert '"EncryptionType":["NONE"]' in answer("AccessDenied", 403).error.hint
    assert "SSE-C" not in answer("AccessDenied", 403, call=call_of("PutObject", "https://ceph")).error.hint
    assert "SSE-C" not in answer("AccessDenied", 403, call=call_of("DeleteObject")).error.hint


def test_a_bucket_that_says_it_blocks_sse_c_is_understood() -> None:
    error = answer("AccessDenied", 403, "SSE-C is blocked for this bucket").error
    assert error.code == "sse_c_blocked"
    assert "BlockedEncryptionTypes" in error.hint


@pytest.mark.parametrize(
    ("name", "code", "status", "message"),
    [
        (
            "GetObject",
            "InvalidArgument",
            400,
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ),
        (
            "UploadPart",
            "InvalidRequest",
            400,
            "The provided encryption parameters did not match the ones used originally.",
        ),
        (
            "GetObject",
            "InvalidRequest",
            400,
            "The object was stored using a form of Server Side Encryption. The correct",
        ),
        ("HeadObject", "400", 400, "Bad Request"),
    ],
)
def test_a_wrong_customer_key_is_recognised_whatever_the_server_calls_it(
    name: str, code: str, status: int, message: str
) -> None:
    error = answer(code, status, message, call=call_of(name)).error
    assert isinstance(error, errors.AccessDenied)
    assert error.code == "wrong_customer_key"


def every_exception() -> list[type[BaseException]]:
    modules = (boto, botocore.parsers, urllib3.exceptions)
    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning)
    }
    return sorted(
        (found for found in classes if found.__module__.split(".")[0] in ("botocore", "urllib3")),
        key=lambda c: (c.__name__, c.__module__),
    )


NEVER_OUT_OF_A_CALL = {
    "MissingServiceIdError",  # a broken service model, at set-up
    "UndefinedModelAttributeError",  # the same
    "NoInitialResponseError",  # event streams only
    "ProxySchemeUnsupported",  # wrapped into HTTPClientError by the session
}


@pytest.mark.parametrize("kind", every_exception(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_exception_of_botocore_or_urllib3_is_unmapped(kind: type[BaseException]) -> None:
    if kind.__name__ in NEVER_OUT_OF_A_CALL:
        return
    assert issubclass(kind, error_table.CAUGHT)
    explained = error_table.explain(made(kind), CALL)
    assert isinstance(explained.error, errors.PenstockError)
    assert explained.error.hint


def made(kind: type[BaseException]) -> BaseException:
    """An instance, without the arguments that each constructor wants."""
    error = kind.__new__(kind)
    if isinstance(error, boto.ClientError):
        error.response = {}
    if isinstance(error, urllib3.exceptions.IncompleteRead | urllib3.exceptions.InvalidChunkLength):
        error.partial, error.expected, error.length = 1, 2, b"x"
    return error


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")


@pytest.mark.parametrize(
    ("error", "ours", "is_retryable"),
    [
        (
            boto.EndpointConnectionError(endpoint_url="https://e", error=socket.gaierror(-2, "unknown")),
            "resolved",
            True,
        ),
        (boto.EndpointConnectionError(endpoint_url="https://e", error=OSError("refused")), "no connection", True),
        (boto.ConnectTimeoutError(endpoint_url="https://e", error=None), "in time", True),
        (boto.ReadTimeoutError(endpoint_url="https://e", error=None), "in time", True),
        (boto.ConnectionClosedError(endpoint_url="https://e", error=None, request=None), "broke", True),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "broke", True),
        (boto.SSLError(endpoint_url="https://e", error=CERTIFICATE), "not trusted", False),
        (boto.SSLError(endpoint_url="https://e", error=ssl.SSLEOFError(8, "EOF")), "TLS connection failed", True),
        (boto.NoCredentialsError(), "no credentials", False),
        (boto.ParamValidationError(report="x"), "failed", False),
        (ConnectionResetError(104, "reset"), "broke", True),
        (TimeoutError("slow"), "in time", True),
    ],
)
def test_trouble_on_the_way_is_told_apart(error: BaseException, ours: str, is_retryable: bool) -> None:
    explained = error_table.explain(error, CALL)
    assert ours in explained.error.detail
    assert explained.is_retryable == is_retryable


def test_an_error_of_the_tree_comes_through_what_wraps_it() -> None:
    refusal = errors.DestinationError("endpoint_not_allowed", "no", "hint")
    assert error_table.explain(boto.HTTPClientError(error=refusal), CALL).error is refusal


# The store, against a server that answers as it is told


def xml(code: str, message: str = "", **members: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in members.items())
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{inner}</Error>".encode()


def put(store: s3.S3Store) -> Any:
    return store.put("k", b"body", KEY, content_type="text/plain", filename="f.txt")


HEADERS = {"ETag": '"e"', "Last-Modified": "Thu, 15 Jan 2026 12:00:00 GMT"}
HEAD_4 = (200, {**HEADERS, "Content-Length": "4"}, b"")


def test_a_call_is_tried_again_until_it_succeeds(store: s3.S3Store, server: Any) -> None:
    server.will_answer((503, {}, xml("SlowDown")), None, (500, {}, xml("InternalError")), (200, HEADERS, b""), HEAD_4)
    assert put(store).size == 4
    assert [request.body for request in server.requests[:4]] == [b"body"] * 4


def test_a_server_that_stays_away_is_given_up_within_the_bound(store: s3.S3Store, server: Any, clock: Any) -> None:
    server.will_answer((503, {}, xml("SlowDown", "Reduce your request rate.")))
    with pytest.raises(errors.StorageError) as failure:
        put(store)
    assert failure.value.code == "storage_unavailable"
    assert "SlowDown" in failure.value.detail
    assert 50 < clock.monotonic() <= 60
    assert 10 < len(server.requests) < 40


def test_a_final_no_is_not_asked_twice(store: s3.S3Store, server: Any) -> None:
    server.will_answer((403, {}, xml("InvalidAccessKeyId")))
    with pytest.raises(errors.StorageError):
        put(store)
    assert len(server.requests) == 1


def test_every_body_is_signed_with_its_hash_and_every_call_carries_the_key(store: s3.S3Store, server: Any) -> None:
    server.will_answer((200, HEADERS, b""), HEAD_4)
    put(store)
    first = server.requests[0]
    assert first.headers["x-amz-content-sha256"] == "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"
    assert "x-amz-content-sha256" in first.headers["authorization"]
    for request in server.requests:
        assert request.headers["x-amz-server-side-encryption-customer-key-md5"] == KEY.md5


def test_no_log_level_lets_a_key_or_secret_into_the_log(
    store: s3.S3Store, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """botocore's debug log would hold the headers of every request."""
    caplog.set_level(0)
    server.will_answer((200, HEADERS, b""), HEAD_4)
    put(store)
    logged = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    for secret in (KEY.base64, str(KEY.raw), "the secret"):
        assert secret not in logged


def finish(store: s3.S3Store) -> Any:
    return store.complete(Upload(key="k", upload_id="u"), [Receipt(number=1, etag="e", size=4)], KEY)


COMPLETED = (200, {}, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
STILL_OPEN = (200, {}, b"<ListPartsResult></ListPartsResult>")


def test_an_error_inside_a_200_is_an_error(store: s3.S3Store, server: Any) -> None:
    server.will_answer((200, {}, xml("InternalError")), STILL_OPEN, COMPLETED, HEAD_4)
    assert finish(store).size == 4
    assert [request.line.partition("?")[0] for request in server.requests] == [
        "POST /bucket/k",
        "GET /bucket/k",
        "POST /bucket/k",
        "HEAD /bucket/k",
    ]


def test_a_completion_whose_answer_was_lost_is_found_to_have_happened(store: s3.S3Store, server: Any) -> None:
    server.will_answer(None, STILL_OPEN, (404, {}, xml("NoSuchUpload")), HEAD_4)
    assert finish(store).size == 4


def test_a_completion_that_is_endlessly_in_progress_ends_when_the_upload_is_gone(
    store: s3.S3Store, server: Any
) -> None:
    server.will_answer((500, {}, xml("InternalError", "already in progress")), (404, {}, xml("NoSuchUpload")), HEAD_4)
    assert finish(store).size == 4


def test_an_object_of_another_size_is_not_taken_for_ours(store: s3.S3Store, server: Any) -> None:
    other = (200, {**HEADERS, "Content-Length": "5"}, b"")
    server.will_answer((404, {}, xml("NoSuchUpload")), other)
    with pytest.raises(errors.ObjectMissing):
        finish(store)
    server.will_answer(COMPLETED, other)
    with pytest.raises(errors.StorageError) as failure:
        finish(store)
    assert failure.value.code == "object_damaged"


def test_a_read_is_taken_up_where_it_broke(store: s3.S3Store, server: Any) -> None:
    head = (200, {**HEADERS, "Content-Length": "10"}, b"")
    cut = (206, {**HEADERS, "Content-Length": "10", "Connection": "close"}, b"0123")
    server.will_answer(head, cut, (503, {}, xml("SlowDown")), (206, HEADERS, b"456789"))
    assert b"".join(store.read("k", KEY)) == b"0123456789"
    assert [request.headers.get("range") for request in server.requests[1:]] == [
        "bytes=0-9",
        "bytes=4-9",
        "bytes=4-9",
    ]
    assert {request.headers.get("if-match") for request in server.requests[1:]} == {'"e"'}


def test_a_read_that_keeps_breaking_is_given_up(store: s3.S3Store, server: Any) -> None:
    head = (200, {**HEADERS, "Content-Length": "10"}, b"")
    server.will_answer(head, (206, {**HEADERS, "Content-Length": "10", "Connection": "close"}, b""))
    with pytest.raises(errors.StorageError) as failure:
        list(store.read("k", KEY))
    assert failure.value.code == "storage_unavailable"


def test_a_bucket_that_blocks_sse_c_is_named_by_the_probe(store: s3.S3Store, server: Any) -> None:
    rules = (
        b"<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType>"
        b"</BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"
    )
    server.will_answer((403, {}, xml("AccessDenied")), (200, {}, rules))
    with pytest.raises(errors.DestinationError) as refusal:
        store.probe(KEY)
    assert refusal.value.code == "destination_not_writable"
    assert refusal.value.extra["reason"] == "sse_c_blocked"
    assert "put-bucket-encryption" in refusal.value.hint


def test_a_probe_that_may_not_ask_about_sse_c_names_the_permission(store: s3.S3Store, server: Any) -> None:
    server.will_answer((403, {}, xml("AccessDenied")))
    with pytest.raises(errors.DestinationError) as refusal:
        store.probe(KEY)
    assert refusal.value.extra == {"reason": "access_denied", "permission": "s3:PutObject"}


def test_a_probe_is_impatient(store: s3.S3Store, server: Any, clock: Any) -> None:
    server.will_answer((503, {}, xml("SlowDown")))
    with pytest.raises(errors.DestinationError):
        store.probe(KEY)
    assert clock.monotonic() <= 3


def test_a_probe_names_the_delete_that_failed(store: s3.S3Store, server: Any) -> None:
    content = b"Penstock was here to see whether an export can be written. This object may be deleted.\n"
    head = (200, {**HEADERS, "Content-Length": str(len(content))}, b"")
    server.will_answer((200, HEADERS, b""), head, head, (206, HEADERS, content), (403, {}, xml("AccessDenied")))
    with pytest.raises(errors.DestinationError) as refusal:
        store.probe(KEY)
    assert "the delete of a tiny object failed" in refusal.value.detail
    assert refusal.value.extra["permission"] == "s3:DeleteObject"


def test_a_probe_that_reads_something_else_says_so(store: s3.S3Store, server: Any) -> None:
    server.will_answer((200, HEADERS, b""), HEAD_4, HEAD_4, (206, HEADERS, b"lies"), (204, {}, b""))
    with pytest.raises(errors.DestinationError) as refusal:
        store.probe(KEY)
    assert refusal.value.extra["reason"] == "object_damaged"


@pytest.mark.parametrize(
    ("asked", "listed"),
    [("", "penstock%2F"), ("other/", "penstock%2F"), ("penstockx/", "penstock%2F"), ("penstock/c/", "penstock%2Fc%2F")],
)
def test_unfinished_uploads_of_other_tenants_of_the_bucket_are_never_listed(
    server: Any, clock: Any, asked: str, listed: str
) -> None:
    settings = s3.S3Settings(
        bucket="bucket",
        prefix="penstock",
        endpoint_url=server.url,
        access_key_id="i",
        secret_access_key=Secret("s"),
        allow_http=True,
    )
    server.will_answer((200, {}, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>"))
    list(s3.S3Store(settings, clock=clock).list_unfinished(asked))
    assert f"prefix={listed}&" in server.requests[0].line + "&"


@pytest.mark.parametrize("url", ["http://s3.example.com", "http://10.0.0.1", "ftp://127.0.0.1", "127.0.0.1:80"])
def test_plain_http_is_refused_beyond_this_machine(url: str) -> None:
    with pytest.raises(errors.ConfigurationError) as refusal:
        s3.S3Store(s3.S3Settings(bucket="b", endpoint_url=url, allow_http=True))
    assert refusal.value.code == "plain_http_refused"


def test_plain_http_to_this_machine_needs_its_setting() -> None:
    with pytest.raises(errors.ConfigurationError):
        s3.S3Store(s3.S3Settings(bucket="b", endpoint_url="http://127.0.0.1:9"))


def test_the_secret_is_in_no_representation() -> None:
    settings = s3.S3Settings(bucket="b", access_key_id="i", secret_access_key=Secret("very secret"))
    assert "very secret" not in repr(settings)
