"""The console's files: their names change with their content, and nothing in them comes from elsewhere."""

from __future__ import annotations

import gzip
import pathlib
import re

import pytest

from penstock.console import site

FIRST_LOAD_BYTES = 150_000
"""The page, its styles and every module that is loaded before anything is shown, uncompressed."""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    site.load.cache_clear()


def policy(stores: tuple[str, ...] = ()) -> list[str]:
    answer = site.answer_page(site.load().index, {}, stores=stores)
    return answer.headers["Content-Security-Policy"].split("; ")


def test_page_names_its_files_by_the_digest_of_all() -> None:
    found = site.load()
    names = re.findall(r'(?:href|src)="([^"]+\.(?:css|js|svg))"', found.index.content.decode())
    assert len(names) > 5
    for name in names:
        folder, digest, path = name.split("/", 2)
        assert folder == "console"
        assert found.find(digest, path) is not None, name


def test_digest_changes_with_any_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("index.html", "js/main.js", "css/base.css"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(site, "STATIC", tmp_path)
    before = site.load().digest
    site.load.cache_clear()
    assert site.load().digest == before
    (tmp_path / "js/main.js").write_text("changed")
    site.load.cache_clear()
    assert site.load().digest != before


def test_file_of_another_version_is_not_given() -> None:
    found = site.load()
    assert found.find(found.digest, "js/main.js") is not None
    assert found.find("0" * 16, "js/main.js") is None
    assert found.find(found.digest, "../site.py") is None


def test_files_are_kept_for_good_and_the_page_is_asked_for_again() -> None:
    found = site.load()
    asset = found.files["js/main.js"]
    assert "immutable" in site.answer_asset(asset, {}).headers["Cache-Control"]
    page = site.answer_page(found.index, {})
    assert page.headers["Cache-Control"] == "no-cache"
    again = site.answer_page(found.index, {"if-none-match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert site.answer_page(found.index, {"if-none-match": '"other"'}).status == 200


def test_compressed_answer_holds_the_same_bytes() -> None:
    asset = site.load().files["js/main.js"]
    answer = site.answer_asset(asset, {"accept-encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == asset.content == site.answer_asset(asset, {}).body


def test_policy_allows_nothing_from_elsewhere() -> None:
    rules = policy()
    assert rules[0] == "default-src 'none'"
    assert "trusted-types 'none'" in rules
    assert "require-trusted-types-for 'script'" in rules
    assert "connect-src 'self'" in rules
    assert not re.search(r"unsafe|https?:|data:|\*", " ".join(rules))


def test_policy_names_the_store_that_downloads_come_from() -> None:
    assert "connect-src 'self' https://s3.example" in policy(("https://s3.example",))


def test_page_has_no_script_or_style_of_its_own() -> None:
    text = site.load().index.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert not re.search(r"<style|\bstyle=|\bon[a-z]+=|javascript:|https?://", text)


@pytest.mark.parametrize("name", sorted(site.load().files))
def test_text_never_becomes_markup(name: str) -> None:
    text = site.load().files[name].content.decode()
    code = re.sub(r"(?m)^\s*//.*$|/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", code
    ), name
    assert not re.search(r"(?:import|from|url\(|fetch\()\s*[\"']?https?:", code), name


def first_load() -> dict[str, int]:
    """Sizes of what the browser fetches before it shows the sign-in page."""
    found = site.load()
    sizes = {"": len(found.index.content)}
    waiting = [name.split("/", 2)[2] for name in re.findall(r'"(console/[^"]+)"', found.index.content.decode())]
    while waiting:
        name = waiting.pop()
        if name in sizes:
            continue
        text = found.files[name].content.decode()
        sizes[name] = len(found.files[name].content)
        for wanted in re.findall(r'(?m)^(?:import|export)\b[^;]*?from "(\.[^"]+)"', text):
            waiting.append(_resolve(pathlib.PurePosixPath(name).parent / wanted))
    return sizes


def test_first_load_is_small() -> None:
    sizes = first_load()
    assert "js/views/sign-in.js" in sizes
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES, sizes


def test_every_module_that_is_imported_is_there() -> None:
    found = site.load()
    for name, file in found.files.items():
        for wanted in re.findall(r'(?:from |import\()"(\.[^"]+)"', file.content.decode()):
            assert _resolve(pathlib.PurePosixPath(name).parent / wanted) in found.files, f"{name} imports {wanted}"


def _resolve(path: pathlib.PurePosixPath) -> str:
    parts: list[str] = []
    for step in path.parts:
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)
