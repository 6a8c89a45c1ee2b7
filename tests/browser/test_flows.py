"""What people do in the console, from signing in to the file on their disk."""

from __future__ import annotations

import gzip
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from support.browser import FAILED_LOGINS, LOGINS, Community, Service, Tab, expect

from penstock.base import instants
from penstock.control import apikeys, limits, searches, states
from penstock.control.schema import tables


def download(tab: Tab, folder: pathlib.Path) -> pathlib.Path:
    with tab.page.expect_download(timeout=60_000) as coming:
        tab.button("Download").click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def rows(path: pathlib.Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def test_from_signing_in_to_the_counted_file(tab: Tab, bank: Community, tmp_path: pathlib.Path) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.search("message:password", LOGINS)
    expect(tab.page.get_by_role("figure", name="Histogram")).to_be_visible()
    tab.events.get_by_role("cell", name="ssh_login").first.hover()
    tab.events.get_by_role("button", name="Keep only event.action:ssh_login").first.click()
    tab.found(LOGINS * 2 // 3)
    expect(tab.query).to_have_value("message:password AND event.action:ssh_login")
    tab.query.fill("event.outcome:failure")
    tab.query.press("Enter")
    tab.found(FAILED_LOGINS)
    key = tab.start_export("Identity")
    tab.button("Download").wait_for()
    path = download(tab, tmp_path)
    found = rows(path)
    assert len(found) == FAILED_LOGINS
    assert list(found[0]) == ["@timestamp", "user.name", "source.ip", "event.action", "event.outcome", "message"]
    assert {row["event.outcome"] for row in found} == {"failure"}
    expect(tab.page.get_by_role("status", name="Download state")).to_contain_text("whole and unchanged")
    assert key not in path.read_bytes().decode("latin-1")
    assert key not in tab.page.url


def test_a_downloaded_file_is_checked_by_dropping_it(tab: Tab, bank: Community, tmp_path: pathlib.Path) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.start_export()
    tab.button("Download").wait_for()
    path = download(tab, tmp_path)
    check, answer = tab.page.locator("#check-file"), tab.page.get_by_role("status", name="Check", exact=True)
    check.set_input_files(path)
    expect(answer).to_contain_text(f"The file is whole and unchanged: {LOGINS} events, signed by this service.")
    damaged = tmp_path / "damaged.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    check.set_input_files(damaged)
    expect(answer).to_contain_text("This is not the exported file.")
    damaged.write_bytes(path.read_bytes()[:-1])
    check.set_input_files(damaged)
    expect(answer).to_contain_text("bytes, the manifest says")


def test_key_of_the_file_is_asked_for_after_a_reload(tab: Tab, bank: Community, tmp_path: pathlib.Path) -> None:
    tab.sign_in(bank.token, stay=True)
    tab.found(LOGINS)
    key = tab.start_export()
    tab.button("Download").wait_for()
    tab.page.reload()
    field = tab.page.get_by_label("Key of this file")
    tab.button("Download").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("Paste the key of this file.")
    field.fill("bm90IGEga2V5")
    tab.button("Download").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("44 characters")
    field.fill("A" * 43 + "=")
    tab.button("Download").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("This is the key of another file.")
    field.fill(key)
    assert len(rows(download(tab, tmp_path))) == LOGINS


def test_wrong_api_key_is_refused_and_an_ended_one_asks_again(tab: Tab, service: Service, bank: Community) -> None:
    tab.open()
    for wrong, words in (("", "Paste your API key."), ("pst_nobody", "not known"), ("ключ", "holds characters")):
        tab.page.get_by_label("API key").fill(wrong)
        tab.button("Sign in").click()
        expect(tab.page.get_by_role("alert")).to_contain_text(words)
    token = service.key(bank, name="old-laptop")
    tab.sign_in(token, "#/search?q=user.name:alice")
    tab.found(LOGINS // 4)
    with service.opened.database.begin() as tx:
        mine = next(one for one in apikeys.list_all(tx, bank.uuid) if one.name == "old-laptop")
        apikeys.revoke(tx, mine.uuid, service.opened.clock.now())
    tab.page.wait_for_timeout(1200)  # a revoked key is refused a second later at the latest
    tab.button("Search").click()
    expect(tab.page.get_by_role("heading", name="Please sign in again")).to_be_visible()
    assert "q=user.name" in tab.page.url
    tab.page.get_by_label("API key").fill(bank.token)
    tab.button("Sign in").click()
    tab.found(LOGINS // 4)


def test_export_is_watched_and_canceled(tab: Tab, service: Service, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    with service.hold("part 1"):
        tab.start_export()
        assert service.is_held.wait(30)
        expect(tab.page.get_by_role("progressbar", name="Export progress")).to_be_visible()
        expect(tab.page.locator(".badge").first).to_have_text("Running")
        tab.button("Cancel export").click()
    expect(tab.page.locator(".badge").first).to_have_text("Canceled")
    expect(tab.page.get_by_text("reserved quota is free again")).to_be_visible()
    tab.page.get_by_role("link", name="Exports", exact=True).click()
    expect(tab.page.get_by_role("row", name=re.compile("All events.*Canceled"))).to_be_visible()


def test_task_page_survives_a_restart_of_the_service(
    tab: Tab, service: Service, bank: Community, tmp_path: pathlib.Path
) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    with service.hold("part 1"):
        tab.start_export()
        assert service.is_held.wait(30)
        expect(tab.page.get_by_role("progressbar", name="Export progress")).to_be_visible()
        service.stop()
        expect(tab.page.get_by_text("Penstock does not answer.")).to_be_visible()
        expect(tab.page.get_by_role("progressbar", name="Export progress")).to_be_visible()
        service.start()
        expect(tab.page.get_by_text("Penstock does not answer.")).to_be_hidden()
    assert len(rows(download(tab, tmp_path))) == LOGINS


def test_download_goes_on_after_the_connection_broke(tab: Tab, service: Service, tmp_path: pathlib.Path) -> None:
    """The store is cut off in the middle of the file once; what comes is the whole file all the same."""
    text = [{"message": f"{n} " + "".join(chr(33 + (n * 7 + i * i) % 90) for i in range(1500))} for n in range(4000)]
    large = service.community(text)
    tab.sign_in(large.token)
    tab.found(len(text))
    tab.start_export()
    tab.button("Download").wait_for()
    asked: list[dict[str, str]] = []

    def cut_off_once(route: Any) -> None:
        asked.append(route.request.headers)
        if len(asked) > 1:
            return route.continue_()
        whole = httpx.get(route.request.url, headers={k: v for k, v in route.request.headers.items() if "amz" in k})
        return route.fulfill(
            status=200, headers=dict(whole.headers) | {"content-length": "0"}, body=whole.content[:100]
        )

    tab.page.route("**/*.jsonl.gz?*", cut_off_once)
    assert len(rows(download(tab, tmp_path))) == len(text)
    assert len(asked) > 1


def test_used_up_quota_is_told_before_the_start(tab: Tab, service: Service) -> None:
    poor = service.community()
    tab.sign_in(poor.token, "#/quota")
    expect(tab.page.get_by_text("No export has finished this month yet.")).to_be_visible()
    tab.page.get_by_role("link", name="Search", exact=True).click()
    tab.found(LOGINS)
    tab.start_export()
    tab.button("Download").wait_for()
    with service.opened.database.begin() as tx:
        limits.set_for_community(tx, poor.uuid, limits.Overrides(quota_bytes_per_month=1000))
    tab.page.get_by_role("link", name="Search", exact=True).click()
    tab.found(LOGINS)
    tab.button("Export").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("monthly_quota_exhausted")
    tab.button("Start export").click()
    expect(tab.page.get_by_role("textbox", name="Encryption key")).to_have_count(0)
    expect(tab.page.get_by_role("alert")).to_contain_text("The quota is reset at")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("link", name="Quota").click()
    expect(tab.page.get_by_text("This month’s quota is used up.")).to_be_visible()
    expect(tab.page.get_by_role("meter", name="Quota used")).to_have_attribute("aria-valuenow", "100")
    tab.page.get_by_text("Show as a table").click()
    expect(tab.page.get_by_role("table", name="Bytes by day").get_by_role("row").nth(1)).to_be_visible()


def test_key_without_permission_sees_no_dead_ends(tab: Tab, service: Service, bank: Community) -> None:
    tab.sign_in(service.key(bank, permissions=[states.Permission.SIC_READ_INTAKES], name="reader"))
    tab.found(LOGINS)
    expect(tab.button("Export")).to_have_count(0)
    expect(tab.page.get_by_role("link", name="Audit")).to_have_count(0)
    tab.open("#/exports")
    expect(tab.page.get_by_role("heading", name="Your key may not open this page")).to_be_visible()
    expect(tab.page.get_by_text("“reader”")).to_be_visible()
    tab.open("#/audit")
    expect(tab.page.get_by_text("Audit needs a permission")).to_be_visible()


def test_expired_export_says_so(tab: Tab, service: Service, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.start_export()
    tab.button("Download").wait_for()
    task = tab.page.url.rsplit("/", 1)[1]
    with service.opened.database.begin() as tx:
        past = service.opened.clock.now().replace(year=2026, month=1, day=2)
        tx.execute(sa.update(tables.exports).where(tables.exports.c.task_uuid == task).values(expire_at=past))
    tab.page.get_by_role("link", name="All exports").click()
    expect(tab.page.get_by_text("Download ended 2 Jan").first).to_be_visible()
    tab.open(f"#/task/{task}")
    expect(tab.page.get_by_text("The download ended on 2 Jan")).to_be_visible()
    tab.page.get_by_role("link", name="Search again to export").click()
    tab.found(LOGINS)


@pytest.mark.parametrize("is_quick", [False, True], ids=["when all are there", "before"])
def test_wrong_query_keeps_the_results_and_shows_the_place(tab: Tab, bank: Community, is_quick: bool) -> None:
    held: list[Any] = []
    if is_quick:
        tab.page.route("**/jobs/*/events*", lambda route: route.fallback() if held else held.append(route))
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.query.fill("event.outcome:failure AND (user.name:root OR")
    tab.button("Search").click()
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("expected a term")
    expect(alert.locator("pre")).to_contain_text("^")
    expect(tab.query).to_have_attribute("aria-invalid", "true")
    expect(tab.total).to_contain_text("of the search before")
    expect(tab.button("Export")).to_have_count(0)
    expect(tab.events.get_by_role("cell", name="ssh_login").first).to_be_visible()


def test_an_event_opens_whole_with_numbers_to_the_letter(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token, "#/search?q=source.port:32000")
    tab.found(1)
    tab.events.get_by_role("button", name="Event of").click()
    expect(tab.events.get_by_text("12345678901234567890")).to_be_visible()
    tab.button("JSON").click()
    expect(tab.page.get_by_label("The event as JSON")).to_contain_text('"network.bytes": 12345678901234567890')
    tab.button("Fields").click()
    tab.events.get_by_role("button", name="Leave out host.name:web-0").last.click()
    expect(tab.query).to_have_value("source.port:32000 AND NOT host.name:web-0")
    expect(tab.page.get_by_role("heading", name="No events match")).to_be_visible()
    tab.button("Drop the last term").click()
    tab.found(1)


def test_a_link_reproduces_the_page(new_tab: Callable[..., Tab], bank: Community) -> None:
    first = new_tab()
    first.sign_in(bank.token)
    first.found(LOGINS)
    first.search("user.name:alice", LOGINS // 4)
    first.button("Columns").click()
    first.page.get_by_label("Find a column").fill("source.port")
    first.page.get_by_label("source.port", exact=True).check()
    first.page.keyboard.press("Escape")
    address = first.page.url
    second = new_tab()
    second.sign_in(bank.token, address.removeprefix(f"{first.service.url}/"))
    second.found(LOGINS // 4)
    expect(second.query).to_have_value("user.name:alice")
    expect(second.events.get_by_role("columnheader", name="source.port")).to_be_visible()


def test_time_is_drawn_on_the_histogram_or_written(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    expect(tab.page.get_by_role("figure", name="Histogram")).to_contain_text("One bar is")
    slider = tab.page.get_by_role("slider", name="Time on the histogram")
    box = slider.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + 20)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20, steps=4)
    tab.page.mouse.up()
    tab.button("Use this time").click()
    expect(tab.page).to_have_url(re.compile(r"from=2\d{3}-"))
    expect(tab.total).to_contain_text("events in")
    tab.page.get_by_role("button", name=re.compile("UTC")).click()
    tab.page.get_by_label("From", exact=True).fill("nonsense")
    tab.button("Use these times").click()
    expect(tab.page.get_by_text("Write 2026-11-20 08:00, -7d or now.")).to_be_visible()
    tab.page.get_by_label("From", exact=True).fill("-30d")
    tab.page.get_by_label("To", exact=True).fill("now")
    tab.button("Use these times").click()
    tab.found(LOGINS)


def test_bars_and_total_come_while_the_search_counts(tab: Tab, service: Service, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    now_us = instants.to_microseconds(service.opened.clock.now())
    bars = [[now_us - 7 * 86_400_000_000, 0], [now_us - 86_400_000_000, 1234]]
    histogram = {"interval_seconds": 86_400.0, "counts": bars}
    with service.claimed_search() as tell:
        tab.query.fill("event.outcome:failure")
        tab.query.press("Enter")
        expect(tab.total).to_contain_text("counting")
        tell(searches.SoFar(total=1234, share=0.428, histogram=histogram))
        expect(tab.total).to_contain_text("1,234events so far · 42 % looked at")
        figure = tab.page.get_by_role("figure", name="Histogram")
        expect(figure).to_contain_text("still counting")
        expect(figure.locator("rect.b")).to_have_count(1)
        expect(tab.button("Export")).to_have_count(0)
    tab.found(FAILED_LOGINS)


def test_completion_offers_fields_and_their_values(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.query.click()
    tab.query.press_sequentially("event.out")
    option = tab.page.get_by_role("option", name=re.compile("^event.outcome"))
    expect(option).to_be_visible()
    tab.query.press("ArrowDown")
    tab.query.press("Enter")
    expect(tab.query).to_have_value("event.outcome:")
    expect(tab.page.get_by_role("option", name=re.compile("event.outcome:failure"))).to_be_visible()
    tab.query.press_sequentially("fai")
    expect(tab.page.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    tab.query.press("ArrowDown")
    tab.query.press("Enter")
    expect(tab.query).to_have_value("event.outcome:failure")
    tab.query.press("Enter")
    tab.found(FAILED_LOGINS)


def test_every_page_of_an_administrator(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.page.get_by_role("link", name="Fields").click()
    row = tab.page.get_by_role("row", name=re.compile("^event.outcome"))
    expect(row).to_contain_text("1")
    tab.page.get_by_label("Find a field").fill("no such thing")
    expect(tab.page.get_by_role("heading", name="No field fits")).to_be_visible()
    tab.page.get_by_role("link", name="Quota").click()
    expect(tab.page.get_by_text("left of 10 GB")).to_be_visible()
    tab.page.get_by_role("link", name="Audit").click()
    expect(tab.page.get_by_role("row", name=re.compile("analyst-laptop.*search_job.created")).first).to_be_visible()
    tab.page.get_by_role("link", name="Health").click()
    expect(tab.page.get_by_text("answers in")).to_be_visible()
    tab.page.context.set_offline(True)
    expect(tab.page.get_by_text("You are offline.")).to_be_visible()
    expect(tab.page.get_by_text("answers in")).to_be_visible()
    tab.page.context.set_offline(False)
    expect(tab.page.get_by_text("You are offline.")).to_be_hidden()


def test_bucket_is_tried_without_an_export(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.button("Export").click()
    tab.page.get_by_role("radio", name="My bucket").check()
    tab.button("Try it").click()
    answer = tab.page.get_by_role("status", name="Try")
    expect(answer).to_contain_text("incomplete_s3_settings")
    for label, text in (("Bucket", "evidence"), ("Access key ID", "AKIAEXAMPLE"), ("Secret access key", "secret")):
        tab.page.get_by_label(label, exact=True).fill(text)
    tab.page.get_by_label("Endpoint (optional)").fill("https://127.0.0.1:9")
    tab.button("Try it").click()
    expect(answer).to_contain_text("endpoint_not_allowed")


def test_encryption_of_an_export_is_chosen(tab: Tab, bank: Community) -> None:
    """A bucket may encrypt by itself: then no key is sent. Plain files only where they are allowed."""
    sent: list[Any] = []

    def allowing(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "unencrypted_exports": True})

    tab.page.route("**/v1/me", allowing)
    tab.page.on("request", lambda one: sent.append(one.post_data_json) if one.url.endswith("/export") else None)
    tab.sign_in(bank.token, "#/search?q=event.outcome:failure")
    tab.found(FAILED_LOGINS)
    tab.button("Export").click()
    choice, alert = tab.page.get_by_label("Encryption", exact=True), tab.page.get_by_role("alert")
    expect(choice.get_by_role("option")).to_have_count(2)
    choice.select_option("none")
    tab.button("Start export").click()
    expect(alert).to_contain_text("customer_key_required")  # this service does not allow it after all
    expect(tab.page.get_by_text("Size, about")).to_be_visible()
    expect(alert).to_contain_text("customer_key_required")
    assert "sse_customer_key" not in sent[-1]["s3"]
    tab.page.get_by_role("radio", name="My bucket").check()
    for label, text in (("Bucket", "evidence"), ("Access key ID", "AKIAEXAMPLE"), ("Secret access key", "secret")):
        tab.page.get_by_label(label, exact=True).fill(text)
    tab.page.get_by_label("Endpoint (optional)").fill("https://127.0.0.1:9")
    expect(choice.get_by_role("option")).to_have_count(3)
    expect(choice).to_have_value("sse-c")
    choice.select_option("sse-kms")
    tab.page.get_by_label("KMS key (optional)").fill("my-key")
    tab.button("Start export").click()
    expect(alert).to_contain_text("endpoint_not_allowed")
    assert (sent[-1]["s3"]["encryption"], sent[-1]["s3"]["kms_key_id"]) == ("sse-kms", "my-key")
    assert "sse_customer_key" not in sent[-1]["s3"]
    choice.select_option("sse-c")
    expect(tab.page.get_by_label("KMS key (optional)")).to_have_count(0)


def test_own_list_of_fields_names_what_is_not_there(tab: Tab, bank: Community, tmp_path: pathlib.Path) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.button("Export").click()
    tab.page.get_by_role("radio", name="My own list").check()
    own = tab.page.get_by_label("Your fields")
    own.fill("message, sorce.ip")
    expect(tab.page.get_by_text("sorce.ip").last).to_be_visible()
    expect(tab.page.get_by_text("source.ip", exact=False).first).to_be_visible()
    own.fill("message")
    tab.page.get_by_label("Add a field").fill("user.na")
    tab.page.get_by_role("button", name="user.name", exact=True).last.click()
    expect(own).to_have_value("message\nuser.name")
    tab.button("Start export").click()
    tab.page.get_by_role("checkbox", name="I have saved the key").check()
    tab.button("Continue").click()
    tab.button("Download").wait_for()
    assert list(rows(download(tab, tmp_path))[0]) == ["message", "user.name"]


def test_key_step_cannot_be_left_without_the_tick(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    tab.button("Export").click()
    tab.button("Start export").click()
    key = tab.page.get_by_role("textbox", name="Encryption key")
    expect(key).to_have_value(re.compile(r"^[A-Za-z0-9+/]{43}=$"))
    expect(key).to_have_attribute("readonly", "")
    for _ in range(4):
        tab.page.keyboard.press("Escape")
    tab.button("Continue").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("Save the key, then tick the box.")
    with tab.page.expect_download() as saved:
        tab.button("Save as file").click()
    assert pathlib.Path(saved.value.path()).read_text() == f"{key.input_value()}\n"
    tab.page.evaluate("location.hash = '#/quota'")
    expect(key).to_be_visible()
    tab.page.get_by_role("checkbox", name="I have saved the key").check()
    tab.button("Continue").click()
    tab.button("Download").wait_for()


def test_key_is_kept_for_a_reload_only_when_asked(tab: Tab, bank: Community) -> None:
    tab.sign_in(bank.token)
    tab.found(LOGINS)
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert bank.token not in tab.page.evaluate(stored)
    tab.page.reload()
    expect(tab.button("Sign in")).to_be_visible()
    tab.sign_in(bank.token, stay=True)
    tab.found(LOGINS)
    tab.page.reload()
    tab.found(LOGINS)
    assert bank.token not in tab.page.evaluate("JSON.stringify({...localStorage})")
    tab.button("Account").click()
    tab.button("Sign out").click()
    expect(tab.button("Sign in")).to_be_visible()
    assert bank.token not in tab.page.evaluate(stored)
