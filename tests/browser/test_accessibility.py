"""Nobody is shut out: axe finds nothing on any page and state, and the whole path works by keyboard alone."""

from __future__ import annotations

import gzip
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from support.browser import FAILED_LOGINS, LOGINS, Community, Service, Tab, expect

AXE = pathlib.Path(__file__).parent / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

if not AXE.exists() and not os.environ.get("CI"):
    pytest.skip("no axe-core; scripts/browser.sh installs it", allow_module_level=True)


def violations(tab: Tab) -> list[str]:
    """What axe finds on the page as it is now: rule, and where."""
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate(AXE.read_text())
    found = tab.page.evaluate(
        """rules => axe.run(document, {runOnly: rules, resultTypes: ['violations'], selectors: false})
            .then(found => found.violations)""",
        RULES,
    )
    return [f"{one['id']}: {node['html'][:150]}" for one in found for node in one["nodes"]]


FEW = "source.port:<32012"
"""A dozen of the events: axe looks at every element, and further lines are like the first."""

LOOKS = {
    "light, wide": {"color_scheme": "light"},
    "dark, phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "has_touch": True},
}


def has_no_sideways_scroll(tab: Tab) -> bool:
    wide = "document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth"
    return bool(tab.page.evaluate(wide))


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_any_page_and_state(
    new_tab: Callable[..., Tab], service: Service, bank: Community, look: str
) -> None:
    tab = new_tab(**LOOKS[look])
    found: dict[str, list[str]] = {}

    def check(state: str) -> None:
        found[state] = violations(tab) + ([] if has_no_sideways_scroll(tab) else ["scrolls sideways"])

    tab.open()
    check("sign in")
    tab.page.get_by_label("API key").fill("pst_nobody")
    tab.button("Sign in").click()
    expect(tab.page.get_by_role("alert")).to_be_visible()
    check("wrong key")
    tab.sign_in(bank.token, f"#/search?q={FEW}")
    tab.found(12)
    tab.events.get_by_role("cell", name="web-1").first.hover()
    tab.events.get_by_role("button", name="Event of").first.click()
    check("search, an event open")
    tab.page.locator("[data-key=t]").click()
    check("time range")
    tab.page.keyboard.press("Escape")
    tab.query.fill("user.name:(")
    tab.query.press("Enter")
    expect(tab.page.get_by_role("alert")).to_be_visible()
    check("wrong query")
    tab.search(FEW, 12)
    tab.button("Export").click()
    expect(tab.page.get_by_text("Size, about")).to_be_visible()
    tab.page.get_by_role("radio", name="My bucket").check()
    tab.page.get_by_role("radio", name="My own list").check()
    check("export drawer")
    with service.hold("part 1"):
        tab.button("Cancel").click()
        tab.button("Export").click()
        tab.button("Start export").click()
        expect(tab.page.get_by_role("textbox", name="Encryption key")).to_be_visible()
        tab.button("Continue").click()
        check("key step")
        tab.page.get_by_role("checkbox", name="I have saved the key").check()
        tab.button("Continue").click()
        expect(tab.page.get_by_role("progressbar", name="Export progress")).to_be_visible()
        check("task, running")
    tab.button("Download").wait_for()
    check("task, ready")
    for page in ("exports", "quota", "fields", "audit", "health"):
        tab.open(f"#/{page}")
        expect(tab.page.locator("h1")).to_have_text(page.capitalize())
        expect(tab.page.locator(".ghost")).to_have_count(0)
        check(page)
    tab.open("#/search?q=user.name:nobody")
    expect(tab.page.get_by_role("heading", name="No events match")).to_be_visible()
    check("no match")
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.keyboard.press("?")
    expect(tab.page.get_by_role("heading", name="Help")).to_be_visible()
    check("help")
    assert {state: list(set(one)) for state, one in found.items() if one} == {}


def focused(tab: Tab) -> Any:
    return tab.page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")


def tab_to(tab: Tab, name: str) -> None:
    """Presses Tab until that control has the focus."""
    for _ in range(60):
        if re.fullmatch(name, str(focused(tab)).strip()):
            return
        tab.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {name}; it ends at {focused(tab)}")


def test_from_signing_in_to_the_file_by_keyboard_alone(tab: Tab, bank: Community) -> None:
    press, write = tab.page.keyboard.press, tab.page.keyboard.type
    tab.open()
    expect(tab.page.get_by_label("API key")).to_be_focused()
    write(bank.token)
    press("Enter")
    tab.found(LOGINS)
    press("/")
    expect(tab.query).to_be_focused()
    write("event.outcome:failure")
    press("Enter")
    tab.found(FAILED_LOGINS)
    tab.page.evaluate("document.activeElement.blur()")
    press("t")
    expect(tab.page.get_by_role("dialog", name="Time range")).to_be_visible()
    press("Escape")
    expect(tab.page.locator("[data-key=t]")).to_be_focused()
    tab_to(tab, "Event of .*")
    press("ArrowDown")
    press("ArrowUp")
    press("Enter")
    expect(tab.events.get_by_role("button", expanded=True)).to_be_focused()
    press("Enter")
    press("e")
    expect(tab.page.get_by_role("dialog", name="Export events")).to_be_visible()
    tab_to(tab, "Default fields")
    press("ArrowDown")
    expect(tab.page.get_by_role("radio", name="Network")).to_be_checked()
    tab_to(tab, "Start export")
    press("Enter")
    expect(tab.page.get_by_role("textbox", name="Encryption key")).to_be_focused()
    press("Tab")
    press("Tab")
    press("Tab")
    expect(tab.page.get_by_role("checkbox", name="I have saved the key")).to_be_focused()
    press("Space")
    press("Tab")
    press("Enter")
    tab.button("Download").wait_for()
    tab_to(tab, "Download")
    with tab.page.expect_download() as coming:
        press("Enter")
    with gzip.open(coming.value.path()) as lines:
        assert len(lines.readlines()) == FAILED_LOGINS
    tab.page.evaluate("document.activeElement.blur()")
    press("g")
    press("q")
    expect(tab.page.get_by_role("heading", name="Quota")).to_be_visible()


def test_histogram_is_used_by_keyboard(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    expect(tab.page.get_by_role("figure", name="Histogram")).to_contain_text("One bar is")
    slider = tab.page.get_by_role("slider", name="Time on the histogram")
    slider.focus()
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "59")
    slider.press("Shift+ArrowLeft")
    slider.press("Shift+ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("selected"))
    slider.press("Enter")
    expect(tab.page).to_have_url(re.compile(r"from=2\d{3}-"))


def test_single_keys_are_dead_while_typing_and_can_be_switched_off(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.query.click()
    tab.page.keyboard.type("te?/")
    expect(tab.query).to_have_value("te?/")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)
    tab.button("Account").click()
    tab.page.get_by_role("group", name="Single keys").get_by_role("button", name="Off").click()
    tab.page.keyboard.press("Escape")
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.keyboard.press("?")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("narrow", ["320 pixels", "text of 200 %"])
def test_a_page_fits_320_pixels(new_tab: Callable[..., Tab], bank: Community, narrow: str) -> None:
    """As wide as a laptop's page at 400 %; and with the browser's text size doubled, a laptop's page as it is."""
    tab = new_tab(viewport={"width": 320 if narrow == "320 pixels" else 1280, "height": 700})
    if narrow == "text of 200 %":
        tab.page.context.new_cdp_session(tab.page).send("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    tab.sign_in(bank.token, f"#/search?q={FEW}")
    tab.found(12)
    tab.events.get_by_role("button", name="Event of").first.click()
    wide: dict[str, bool] = {"search": not has_no_sideways_scroll(tab)}
    tab.button("Export").click()
    tab.page.get_by_role("radio", name="My bucket").check()
    tab.page.get_by_role("radio", name="My own list").check()
    expect(tab.page.get_by_text("Size, about")).to_be_visible()
    drawer = tab.page.get_by_role("dialog", name="Export events")
    wide["export"] = bool(drawer.evaluate("box => box.scrollWidth > box.clientWidth || box.offsetWidth > innerWidth"))
    expect(tab.button("Start export")).to_be_in_viewport()
    tab.page.get_by_role("radio", name="Penstock").check()
    tab.page.get_by_role("radio", name="Network").check()
    tab.button("Start export").click()
    tab.page.get_by_role("checkbox", name="I have saved the key").check()
    tab.button("Continue").click()
    tab.button("Download").wait_for()
    wide["task"] = not has_no_sideways_scroll(tab)
    for page in ("exports", "quota", "fields", "audit", "health"):
        tab.open(f"#/{page}")
        expect(tab.page.locator("h1")).to_have_text(page.capitalize())
        expect(tab.page.locator(".ghost")).to_have_count(0)
        wide[page] = not has_no_sideways_scroll(tab)
    assert [page for page, is_wide in wide.items() if is_wide] == []
