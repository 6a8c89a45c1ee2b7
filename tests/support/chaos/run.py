"""One run: a service, an idle time, a time of chaos, quiet again, and what must hold then."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
import random
import threading
import time
import urllib.parse

from penstock.process import server
from support import ceph_service, cli_world, house, waiting
from support.chaos import afterwards, disk, fleet, tenants

WORKERS = 2
DISK_BYTES, EVENT_BYTES = 128 << 20, 1000
"""Of the small disk: for all that comes, and for each event of a quiet tenant."""

HOSTILE_EVENTS = 20_000
MOST_PAUSE_SECONDS = 1.0
MOST_OUTAGE_SECONDS = 2.0
EVENTS = ("kill", "freeze", "fill", "cut", "start", "start", "cancel", "start")
SETTINGS = {
    "PENSTOCK_LEASE_SECONDS": "3",
    "PENSTOCK_SWEEP_SECONDS": "2",
    "PENSTOCK_POLL_SECONDS": "0.05",
    "PENSTOCK_SEARCH_THREADS": "2",
    "PENSTOCK_EXPORT_MAX_ATTEMPTS": "1000",
    "PENSTOCK_ACTIVE_EXPORTS_PER_COMMUNITY": "4",
    "PENSTOCK_SEARCHES_WAITING_PER_COMMUNITY": "20",
    "PENSTOCK_S3_RETRY_SECONDS": "3",
}


@dataclasses.dataclass(kw_only=True)
class Report:
    """What befell the service, and what the quiet tenant felt of it."""

    seed: int
    seconds: float
    befell: collections.Counter[str]
    ends: dict[str, int]
    idle_seconds: list[float]
    chaos_seconds: list[float]

    def lines(self) -> list[str]:
        happened = ", ".join(f"{what} {count}" for what, count in sorted(self.befell.items()))
        ended = ", ".join(f"{count} {status}" for status, count in sorted(self.ends.items()))
        return [
            f"chaos with seed {self.seed} for {self.seconds:.0f} s: {happened}",
            f"exports of the quiet tenants: {ended}; each file exact and charged once, no secret, no orphan, no lease",
            f"a quiet tenant's search: {_times(self.idle_seconds)} idle; {_times(self.chaos_seconds)} in chaos",
        ]


def _times(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    if not ordered:
        return "none came to its end"
    p50, p95 = ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]
    late = sum(one >= tenants.PATIENCE_SECONDS for one in seconds)
    given_up = f", {late} given up after {tenants.PATIENCE_SECONDS:.0f} s" if late else ""
    return f"p50 {p50:.2f} s, p95 {p95:.2f} s ({len(ordered)} searches{given_up})"


def run(
    folder: pathlib.Path,
    *,
    database_url: str,
    sizes: dict[str, int],
    more: dict[str, str],
    seed: int,
    seconds: float,
    floods: int = 2,
) -> Report:
    """Runs chaos for so many seconds.

    Args:
        folder: an empty folder; a small disk is mounted in it where that is allowed.
        database_url: empty: SQLite on the small disk.
        more: settings of the store; its way to S3 then leads through a wire that is cut.
        seconds: at least; whatever can befall the service does so once.
        floods: what the hostile tenant does at once.

    Raises:
        AssertionError: what must hold does not; begins with the seed.
    """
    with contextlib.ExitStack() as stack:
        place = folder / "disk"
        fills = stack.enter_context(disk.small(place, DISK_BYTES + sizes["events"] * EVENT_BYTES))
        wire = None
        if endpoint := more.get("PENSTOCK_S3_ENDPOINT_URL"):
            wire = stack.enter_context(ceph_service.Wire(urllib.parse.urlsplit(endpoint).port or 443))
            more = {**more, "PENSTOCK_S3_ENDPOINT_URL": f"https://127.0.0.1:{wire.port}"}
        made = stack.enter_context(house.opened_house(place / "home", database_url, sizes, {**SETTINGS, **more}))
        settings = dataclasses.replace(made.opened.settings, port=0)
        stack.enter_context(cli_world.logged_to(folder / "service.log", settings))
        listening = stack.enter_context(server.running(settings, worker=False))
        chaos = _Chaos(made, listening.url, folder, place if fills else None, wire, sizes["events"], seed)
        stack.callback(chaos.close)
        try:
            return chaos.run(seconds, floods)
        except BaseException as error:
            error.add_note(f"PENSTOCK_CHAOS_SEED={seed}; its workers said at last:\n{chaos.fleet.said()}")
            raise


class _Chaos:
    def __init__(
        self,
        made: house.House,
        url: str,
        folder: pathlib.Path,
        place: pathlib.Path | None,
        wire: ceph_service.Wire | None,
        events: int,
        seed: int,
    ) -> None:
        self.fleet = fleet.Fleet(made.environment, folder, random.Random(seed))
        self._made = made
        self._place = place
        self._wire = wire
        self._seed = seed
        self._draw = random.Random(seed + 1)
        self._quiet = {name: tenants.move_in(made.opened, url, name, events) for name in ("quiet", "another quiet one")}
        self._hostile = tenants.move_in(made.opened, url, "hostile", HOSTILE_EVENTS)

    def close(self) -> None:
        for tenant in (*self._quiet.values(), self._hostile):
            tenant.http.close()

    def run(self, seconds: float, floods: int) -> Report:
        expected = self._undisturbed()
        idle = self._idle(seconds)
        chaos: list[float] = []
        others = list(self._quiet.values())
        flooding = [tenants.Hostile(self._hostile, self._seed + 2 + n, self._made.home, others) for n in range(floods)]
        over = threading.Event()
        feeling = threading.Thread(target=self._feel, args=(over, chaos))
        for thread in (*flooding, feeling):
            thread.start()
        try:
            self._storm(seconds)
        finally:
            over.set()
            if self._wire is not None:
                self._wire.cuts.clear()  # those that no connection has come for
            self.fleet.quit()  # first: one that is frozen in a transaction holds up everybody
            feeling.join()
            for flood in flooding:
                flood.quit()
        self._made.take_over()
        befell = self.fleet.befell + sum((flood.did for flood in flooding), collections.Counter())
        ends = afterwards.check(self._made, self._quiet, expected)
        return Report(
            seed=self._seed, seconds=seconds, befell=befell, ends=ends, idle_seconds=idle, chaos_seconds=chaos
        )

    def _undisturbed(self) -> dict[str, bytes]:
        """The file of each quiet tenant, by a worker that nothing befalls."""
        self.fleet.spawn()
        files = {}
        for name, tenant in self._quiet.items():
            job = tenant.search() or tenant.search()  # a busy machine takes its time to start a worker
            assert job is not None
            tenant.job = job
            task = tenant.start()
            assert task is not None
            waiting.until(lambda task=task: self._made.export(task).status == "FINISHED")  # type: ignore[misc]
            key = self._made.export(task).object_key
            assert key is not None
            files[name] = b"".join(self._made.opened.store.read(key, house.storage.CustomerKey(tenant.started[task])))
        return files

    def _idle(self, seconds: float) -> list[float]:
        while len(self.fleet) < WORKERS:
            self.fleet.spawn()
        times: list[float] = []
        for _ in range(min(100, 5 + int(seconds))):
            self._time_one(times)
        return times

    def _feel(self, over: threading.Event, times: list[float]) -> None:
        while not over.is_set():
            self._time_one(times, over)
            over.wait(0.1)

    def _time_one(self, times: list[float], over: threading.Event | None = None) -> None:
        """One that is not answered in time counts with the time that was waited."""
        began = time.monotonic()
        self._quiet["quiet"].search("event.category:authentication", over)
        if not (over and over.is_set()):
            times.append(time.monotonic() - began)

    def _storm(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in self._draw.sample(EVENTS, len(EVENTS)):  # so that a short run has all of them, too
                self.fleet.keep(WORKERS)
                self._befall(event)
                time.sleep(self._draw.uniform(0, MOST_PAUSE_SECONDS))

    def _befall(self, event: str) -> None:
        lasts = self._draw.uniform(0, MOST_OUTAGE_SECONDS)
        tenant = self._draw.choice(list(self._quiet.values()))
        if event == "kill":
            self.fleet.kill()
        elif event == "freeze":
            self.fleet.freeze()
        elif event == "start":
            tenant.start()
        elif event == "cancel":
            tenant.cancel(self._draw.choice(list(tenant.started)[-2:]))  # the newest may not have ended
        elif event == "cut":
            self.fleet.befell["store cut"] += 1
            if self._wire is not None:
                self._wire.cuts.extend(self._draw.randrange(20_000) for _ in range(5))
            self.fleet.cut.touch()
            time.sleep(lasts)
            self.fleet.cut.unlink()
        elif self._place is not None:
            self.fleet.befell["disk filled"] += 1
            with disk.filled(self._place):
                time.sleep(lasts)
