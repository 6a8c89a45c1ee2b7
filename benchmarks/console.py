"""How the console feels on a large lake, in a real browser against a real service, and what it costs.

    python benchmarks/console.py [--events 20000000] [--home FOLDER] [--json]

- `first load`: bytes over the network until the search page stands, cache empty. At most 150 KB.
- `paint`: from the navigation to the first paint of the search page, cache empty. Under 0.5 s, whatever the lake holds.
- `bars`, `total`: from the navigation to the first bars of the histogram, and to the counted total, of a search that
  looks at every event.
- `key to frame`: from a key in the query box to the frame after it, while that search counts; beside it the same keys
  in a page that holds nothing but a text box, while the same search counts again.
- `task page`: private memory of the page's process while an export of everything runs, at its highest. Under 150 MB.

`--home`: kept for the next run, which then makes no events. Exit code 1 if a bound is not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from playwright import sync_api

from penstock import settings
from penstock.control import apikeys, communities, secrets, states
from penstock.process import services
from penstock.samples import generate

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium"
QUERY = "message:*a*"
TYPED = "user.name:alice AND message:password OR NOT event.outcome:success"
KEY_PAUSE_MS = 40
"""A fast writer."""

BOUNDS = {"first load KB": 150, "paint ms": 500, "task page MB": 150}

WATCH = """
const seen = window.seen = {};
new PerformanceObserver((list) => { for (const one of list.getEntries()) seen[one.name] ??= one.startTime; })
    .observe({ type: "paint", buffered: true });
new MutationObserver(() => {
    if (document.querySelector("figure rect.b")) seen.bars ??= performance.now();
    const total = document.querySelector("[aria-label=Total]");
    if (/events in/.test(total?.textContent ?? "")) seen.total ??= performance.now();
}).observe(document, { childList: true, subtree: true, characterData: true });
"""

KEYS = """() => {
    const found = window.keys = [];
    document.activeElement.addEventListener("keydown", (event) => {
        const pressed = event.timeStamp;
        requestAnimationFrame(() => setTimeout(() => found.push(performance.now() - pressed)));
    });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--home", type=pathlib.Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        token = _prepare(home, options.events)
        url = stack.enter_context(_serve(home))
        playwright = stack.enter_context(sync_api.sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        figures = _measure(browser, url, token)
        browser.close()
    broken = [name for name, bound in BOUNDS.items() if figures[name] > bound]
    if options.json:
        print(json.dumps({"events": options.events, "load": os.getloadavg()[0], **figures}))
    else:
        for name, value in figures.items():
            bound = f"   at most {BOUNDS[name]}" if name in BOUNDS else ""
            print(f"{name:>26}  {value:>10,.1f}{bound}{'   NOT KEPT' if name in broken else ''}")
    sys.exit(1 if broken else 0)


def _prepare(home: pathlib.Path, events: int) -> str:
    """A home whose one community has so many events of the last week; gives a new API key."""
    home.mkdir(exist_ok=True)
    if not list(home.glob("*.key")):
        secrets.MasterKeys.create(home)
    with services.opened(settings.Settings(home=home)) as opened:
        now = opened.clock.now()
        with opened.database.begin() as tx:
            found = [one for one in communities.list_all(tx, None) if one.name == f"bench {events}"]
            community = found[0] if found else communities.create(tx, name=f"bench {events}", now=now)
            _, token = apikeys.create(
                tx, communities=[community.uuid], permissions=list(states.Permission), name="bench", now=now
            )
        if not found:
            start = now - dt.timedelta(days=6.9)
            generate.generate(opened.table(community.uuid), events=events, start=start, days=6.8)
    return token


@contextlib.contextmanager
def _serve(home: pathlib.Path) -> Iterator[str]:
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0"]
    environment = os.environ | {"PENSTOCK_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield next(found[1] for line in process.stdout if (found := re.search(r"listens on (\S+)", line)))
        finally:
            process.terminate()
            process.stdout.read()


def _measure(browser: Any, url: str, token: str) -> dict[str, float]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(300_000)
    page.add_init_script(WATCH)
    network = page.context.new_cdp_session(page)
    loaded: list[float] = []
    network.on("Network.loadingFinished", lambda one: loaded.append(one["encodedDataLength"]))
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(f"{url}/#/search?q={QUERY}")
    page.get_by_label("API key").fill(token)
    page.get_by_label("Stay signed in until I close this tab").check()
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("textbox", name="Query").wait_for()
    first_load = sum(loaded)
    _wait(page)
    page.reload()
    page.get_by_role("textbox", name="Query").click()
    keys = _type(page)
    _wait(page)
    page.locator("figure rect.b").first.wait_for()
    seen = page.evaluate("window.seen")
    page.get_by_role("button", name="Search", exact=True).click()
    bare = browser.new_context().new_page()
    bare.set_content("<textarea autofocus rows=3></textarea>")
    bare.locator("textarea").click()
    bare_keys = _type(bare)
    bare.close()
    memory = _export(browser, page)
    return {
        "first load KB": first_load / 1000,
        "paint ms": seen["first-contentful-paint"],
        "bars ms": seen["bars"],
        "total ms": seen["total"],
        "key to frame, median ms": statistics.median(keys),
        "key to frame, worst ms": max(keys),
        "bare box, median ms": statistics.median(bare_keys),
        "bare box, worst ms": max(bare_keys),
        "task page MB": memory,
    }


def _wait(page: Any) -> None:
    """Until the search is counted to its end."""
    page.get_by_role("status", name="Total").get_by_text("events in").wait_for()


def _type(page: Any) -> list[float]:
    """Milliseconds from each key to the frame after it."""
    page.evaluate(KEYS)
    page.keyboard.type(TYPED, delay=KEY_PAUSE_MS)
    # No `wait_for_function`: the console's policy forbids what Playwright evaluates for it.
    while len(found := page.evaluate("window.keys")) < len(TYPED):
        time.sleep(0.05)
    return list(found)


def _export(browser: Any, page: Any) -> float:
    """Exports everything and looks at the page until it is ready; gives the highest memory, in MB."""
    page.evaluate("location.hash = '#/search'")
    _wait(page)
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("button", name="Start export", exact=True).click()
    page.get_by_role("checkbox", name="I have saved the key").check()
    page.get_by_role("button", name="Continue", exact=True).click()
    most = 0.0
    ready = page.get_by_role("button", name="Download", exact=True)
    while not ready.count():
        most = max(most, _private_megabytes(browser))
        time.sleep(0.5)
    return max(most, _private_megabytes(browser))


def _private_megabytes(browser: Any) -> float:
    """Of the largest process that shows a page."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return max(_anonymous(one["id"]) for one in found if one["type"] == "renderer") / 1000


def _anonymous(pid: int) -> int:
    """Kilobytes that a process shares with no other."""
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) if found else 0
    return 0


if __name__ == "__main__":
    main()
