"""The table of error codes is whole: every raise fits it, every row is raised, every code stands on its page."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

from penstock import errors
from penstock.client.http import answers
from penstock.error_codes import CODES

ROOT = pathlib.Path(__file__).parent.parent
MADE_ELSEWHERE = {"search_job_canceled", "search_job_failed"}
"""Codes put together from a word, in one place each."""


def raised() -> Iterator[tuple[str, str | None, str]]:
    """(code, class name or None where only a code is named, place) of every error that is made anywhere."""
    for path in sorted((ROOT / "penstock").rglob("*.py")):
        if path.name == "error_codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            if isinstance(getattr(errors, name, None), type) and node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, name, place
            for word in node.keywords:
                is_of_the_api = "penstock/api" in place or (
                    isinstance(word.value, ast.Constant) and word.value.value in CODES
                )
                if word.arg == "code" and isinstance(word.value, ast.Constant) and is_of_the_api:
                    yield word.value.value, None, place


RAISED = list(raised())


def test_every_error_is_raised_with_the_class_of_its_code() -> None:
    wrong = [
        f"{place}: {code} as {kind}"
        for code, kind, place in RAISED
        if code not in CODES or kind not in (None, CODES[code].error.__name__)
    ]
    assert wrong == []


def test_every_code_of_the_table_is_raised() -> None:
    named = {code for code, _, _ in RAISED} | MADE_ELSEWHERE
    source = "".join(path.read_text() for path in (ROOT / "penstock").rglob("*.py") if path.name != "error_codes.py")
    assert {code for code in CODES.keys() - named if f'"{code}"' not in source} == set()


@pytest.mark.parametrize("page", sorted({one.page for one in CODES.values()}))
def test_every_code_stands_on_its_page(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert [code for code, one in CODES.items() if one.page == page and f"`{code}`" not in text] == []


@pytest.mark.parametrize("code", CODES)
def test_client_raises_the_class_that_the_service_raised(code: str) -> None:
    kind = CODES[code].error
    found = answers.from_problem(kind.status, {"code": code, "detail": "It is so.", "hint": "Do this.", "n": 1})
    assert type(found) is kind
    assert (found.code, found.detail, found.hint, found.extra) == (code, "It is so.", "Do this.", {"n": 1})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.NotAuthenticated),
        (403, errors.PermissionMissing),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (422, errors.InvalidRequest),
        (418, errors.Refused),
        (502, errors.StorageError),
        (500, errors.PenstockError),
    ],
)
def test_code_of_a_later_version_gets_its_class_from_the_status(status: int, kind: type[errors.PenstockError]) -> None:
    assert type(answers.from_problem(status, {"code": "not_known_yet"})) is kind


def test_errors_that_pass_by_themselves_are_those_of_machines_not_of_requests() -> None:
    assert {one.error for one in CODES.values() if one.retriable} == {
        errors.BucketRefused,
        errors.InvalidPart,
        errors.NoRoom,
        errors.NetworkError,
        errors.NotReady,
        errors.StorageError,
        errors.Unreachable,
    }
