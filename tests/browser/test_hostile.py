"""Whatever events hold is text: on every page, in every attribute."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from support.browser import Community, Service, Tab, expect

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
LINK = "javascript:alert(3)"
QUOTES = "\"'><b onmouseover=alert(4)>x</b>"
RTL = "invoice\u202efdp.exe"
CONTROL = "a\u0000b\u001b[31mc\u0007"
LONG = "long " * 200_000
FIELDS = ["__proto__", "constructor", MARKUP, 'a"b', "with space:and\\more", "τιμή", "toString"]


def hostile_events() -> list[dict[str, Any]]:
    """From the oldest to the newest, a minute apart."""
    values = [MARKUP, LINK, QUOTES, RTL, CONTROL.replace("\0", ""), CONTROL, LONG]
    events: list[dict[str, Any]] = [
        {"message": value, "user.name": value[:1000], "url.original": value[:1000], "event.action": value[:1000]}
        for value in values
    ]
    events.append({"message": "names", **{name: f"value {n}" for n, name in enumerate(FIELDS)}})
    events.append({"message": "wide", **{f"wide.f{n:04}": n for n in range(2000)}})
    events.append({"message": "nested", "threat.list": [{"a": MARKUP, "__proto__": {"x": 1}}], "labels.n": None})
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return [{"@timestamp": (start + dt.timedelta(minutes=n)).isoformat(), **event} for n, event in enumerate(events)]


@pytest.fixture(scope="package")
def hostile(service: Service) -> Community:
    return service.community(hostile_events())


MADE = """() => document.querySelectorAll(
    'img:not([alt=""]), script:not([src]), b[onmouseover], a[href^="javascript"], iframe'
).length"""
HANDLERS = """() => [...document.querySelectorAll('*')].flatMap(node => [...node.attributes])
    .filter(one => one.name.startsWith('on') || (one.name === 'style' && /url/.test(one.value))).length"""


def assert_only_text(tab: Tab) -> None:
    assert tab.page.evaluate(MADE) == 0
    assert tab.page.evaluate(HANDLERS) == 0
    assert "alert" not in str(tab.faults)


def test_hostile_values_are_text_in_the_table_and_in_open_events(tab: Tab, hostile: Community) -> None:
    tab.sign_in(hostile.token)
    tab.found(len(hostile_events()))
    tab.open("#/search?cols=message,user.name,__proto__,constructor")
    tab.found(len(hostile_events()))
    expect(tab.events.get_by_text(MARKUP).first).to_be_visible()
    expect(tab.events.get_by_text("invoice⟨U+202E⟩fdp.exe").first).to_be_visible()
    expect(tab.events.get_by_text("a⟨U+0000⟩b⟨U+001B⟩[31mc⟨U+0007⟩").first).to_be_visible()
    for opener in tab.events.get_by_role("button", name="Event of").all():
        opener.click()
    expect(tab.page.get_by_role("button", name=re.compile("Show all .* characters")).first).to_be_visible()
    expect(tab.page.get_by_role("button", name=re.compile("Show all 2,0.. fields"))).to_be_visible()
    for name in FIELDS[:4]:
        expect(tab.events.locator("dt").get_by_text(name, exact=True).first).to_be_visible()
    assert_only_text(tab)
    for button in tab.button("JSON").all():
        button.click()
    expect(tab.page.get_by_text('"__proto__"').first).to_be_visible()
    assert_only_text(tab)
    assert tab.page.evaluate("({}).x") is None


def test_hostile_names_are_refined_by_a_click(tab: Tab, hostile: Community) -> None:
    tab.sign_in(hostile.token)
    for n in range(len(FIELDS)):
        tab.open("#/search?q=message:names")
        tab.found(1)
        tab.events.get_by_role("button", name="Event of").click()
        tab.events.locator("dl > div").filter(has_text=f"value {n}").get_by_role("button", name="Keep only").click()
        expect(tab.query).to_have_value(re.compile(f"value {n}"))
        tab.found(1)
        assert_only_text(tab)


def test_hostile_values_are_refined_by_a_click(tab: Tab, hostile: Community) -> None:
    """The query that the click writes finds the one event."""
    tab.sign_in(hostile.token)
    messages = [event["message"] for event in hostile_events()]
    for value in (MARKUP, LINK, QUOTES, RTL, CONTROL.replace("\0", "")):
        tab.open("#/search")
        tab.found(len(messages))
        place = len(messages) - 1 - messages.index(value)
        tab.events.get_by_role("button", name="Event of").nth(place).click()
        whole = tab.events.locator("tr.w dl > div").filter(has=tab.page.get_by_text("user.name", exact=True))
        whole.get_by_role("button", name="Keep only").click()
        tab.found(1)
        assert_only_text(tab)


def test_hostile_query_is_text_on_the_pages_of_exports(tab: Tab, service: Service, hostile: Community) -> None:
    tab.sign_in(hostile.token)
    tab.found(len(hostile_events()))
    tab.search(f'NOT user.name:"{MARKUP}"', len(hostile_events()) - 1)
    tab.start_export()
    tab.button("Download").wait_for()
    expect(tab.page.get_by_text(MARKUP).first).to_be_visible()
    assert_only_text(tab)
    for page in ("exports", "audit", "fields"):
        tab.open(f"#/{page}")
        expect(tab.page.locator(".ghost")).to_have_count(0)
        assert_only_text(tab)


def test_typing_never_lags_behind_a_long_event(tab: Tab, hostile: Community) -> None:
    tab.sign_in(hostile.token)
    tab.found(len(hostile_events()))
    text = "user.name:alice AND message:password OR NOT event.outcome:success"
    tab.query.click()
    tab.query.press_sequentially(text)
    expect(tab.query).to_have_value(text)
