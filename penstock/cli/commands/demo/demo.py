"""`penstock demo`: the whole path on this machine, with sample events, in one command."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Iterator

from penstock import errors
from penstock.cli import home, output, progress, tables
from penstock.cli.commands import generating, local
from penstock.cli.commands.demo import looking
from penstock.cli.commands.operate import initializing
from penstock.cli.commands.service import verifying
from penstock.cli.commands.service.exports import customer_keys
from penstock.cli.options import operating
from penstock.client import Downloaded, Export, Penstock, SearchJob, Task
from penstock.evidence import manifest as manifests
from penstock.process import logs, server
from penstock.process.services import Services

QUERY = "event.category:(authentication OR iam OR web OR process)"
FIELDS = (
    "@timestamp",
    "user.name",
    "source.ip",
    "host.name",
    "event.category",
    "event.action",
    "event.outcome",
    "message",
)
_MARK = ".penstock-demo"
_OTHERS = ("API_KEY", "API_HOST", "EXPORT_FIELDS", "REQUESTS_CA_BUNDLE", "S3_SSE_C_KEY")

_SETTINGS = {
    "PENSTOCK_DATABASE_URL": "",
    "PENSTOCK_LAKE_PATH": "",
    "PENSTOCK_MASTER_KEY": "",
    "PENSTOCK_STORAGE": "embedded",
    "PENSTOCK_PUBLIC_URL": "",
    "PENSTOCK_HOST": "127.0.0.1",
    "PENSTOCK_PORT": "0",
}


def demo(options: operating.Demo) -> None:
    """Runs the demo in a folder of its own."""
    _make_folder(options.folder)
    with _own_world(options.folder):
        _Demo(options.folder, options.events).run()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Timing:
    """What a step took, for the summary.

    Attributes:
        name: the step.
        seconds: how long.
        events: how many events went through.
    """

    name: str
    seconds: float
    events: int


class _Demo:
    """The steps, each told before it runs."""

    def __init__(self, folder: pathlib.Path, events: int) -> None:
        self._folder = folder
        self._events = events
        self._file = folder / "export.jsonl.gz"
        self._manifest = folder / "export.manifest.json"
        self._key_file = folder / "export.key"
        self._timings: list[_Timing] = []
        self._step = 0
        self._began = time.monotonic()

    def run(self) -> None:
        self._tell("A home folder: master key, database, first community, first API key")
        made = initializing.make_home("demo", if_missing=False)
        _say(f"{made['home']}, community {made['community']}")
        settings = local.settings()
        logs.configure(settings)
        log_file = (self._folder / "service.log").open("w")
        with log_file:
            # The log goes to a file: on the terminal it would run between the demo's own lines.
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setStream(log_file)
            with server.running(settings) as listening:
                self._generate(listening.services, made["community_uuid"])
                self._tell("The service: API and worker")
                _say(f"{listening.url}  (API documentation: {listening.url}/docs)")
                with Penstock(listening.url, made["api_key"]) as penstock:
                    self._use(penstock)
        self._look()
        self._sum_up()

    def _generate(self, services: Services, community_uuid: str) -> None:
        self._tell(f"{self._events:,} sample events of nine kinds, spread over seven days, into the lake")
        report = generating.fill(services, community_uuid, events=self._events, seed=1, start=None, days=7.0)
        self._timings.append(_Timing(name="Generate and store", seconds=report["seconds"], events=self._events))
        _say(
            f"{report['events']:,} events, {output.size(report['bytes'])} on disk, {output.duration(report['seconds'])}"
        )

    def _use(self, penstock: Penstock) -> None:
        job = self._search(penstock)
        export = self._export(job)
        got = self._download(export)
        self._count(job, export, got)

    def _search(self, penstock: Penstock) -> SearchJob:
        self._tell(f"A search: {QUERY}")
        began = time.monotonic()
        job = penstock.search(QUERY, earliest="-8d")
        self._timings.append(_Timing(name="Search and count", seconds=time.monotonic() - began, events=self._events))
        _say(f"search job {job.uuid}")
        _say(f"{job.total:,} of {self._events:,} events match. The newest:")
        for event in job.events(3):
            _say(f"  {event['@timestamp']}  {' '.join(str(event.get('message', '')).split())}"[:110])
        return job

    def _export(self, job: SearchJob) -> Export:
        self._tell(f"An export of all of them, {len(FIELDS)} fields: {', '.join(FIELDS)}")
        began = time.monotonic()
        export = job.export(FIELDS)
        _say(f"task {export.task_uuid}")
        assert export.customer_key is not None
        output.show_key(export.customer_key.base64, stderr=False)
        customer_keys.keep(export.customer_key, self._key_file)
        _say(f"(the demo saves it for you, in {self._key_file})")
        with progress.progress("Exporting", unit="events") as update:

            def seen(task: Task) -> None:
                update(task.progress, task.total)

            task = export.wait(seen, interval_seconds=0.2)
        self._timings.append(_Timing(name="Export, encrypted", seconds=time.monotonic() - began, events=task.progress))
        _say(f"{task.status}: {task.progress:,} events, {output.size(task.export_size_compressed or 0)} compressed")
        return export

    def _download(self, export: Export) -> Downloaded:
        self._tell("A download with the key, each part checked against the signed manifest")
        began = time.monotonic()
        with progress.progress("Downloading", unit="bytes") as update:
            got = export.download(self._file, progress=update, manifest_file=self._manifest)
        self._timings.append(_Timing(name="Download", seconds=time.monotonic() - began, events=got.events or 0))
        _say(f"{got.path}, {output.size(got.size)}, {'every part verified' if got.verified else 'NOT verified'}")
        return got

    def _count(self, job: SearchJob, export: Export, got: Downloaded) -> None:
        """The whole file once more, as its owner would: digests, signature, gzip, lines."""
        self._tell("Is it complete? The file against its manifest, the manifest against the search")
        began = time.monotonic()
        signed = verifying.read_manifest(self._manifest)
        found = manifests.verify(self._file, signed)
        self._timings.append(_Timing(name="Verify", seconds=time.monotonic() - began, events=found.events))
        if not found.events == job.total == got.events:
            raise errors.ExportFailed(
                "demo_incomplete",
                f"The search counted {job.total:,} events, the file holds {found.events:,}.",
                f"Look into {self._folder / 'service.log'}.",
            )
        _say(f"search job: {job.total:,} events")
        _say(f"file:       {found.events:,} events, signature, digests and gzip right")

    def _look(self) -> None:
        self._tell("The file is plain gzip and JSON Lines: any tool reads it")
        for look in looking.LOOKS:
            missing = looking.missing_tools(look)
            if missing:
                _say(f"# {look.why} (left out: {', '.join(missing)} is not installed)")
                continue
            _say(f"# {look.why}", "dim")
            _say(f"$ {looking.shown(look, self._file)}", "bold")
            for line in looking.run(look, self._file):
                output.say(f"     {line}")

    def _sum_up(self) -> None:
        self._tell(f"Done, in {output.duration(time.monotonic() - self._began)} all told")
        rows = [
            [timing.name, timing.events, f"{timing.seconds:.2f}", f"{timing.events / max(timing.seconds, 0.001):,.0f}"]
            for timing in self._timings
        ]
        tables.table(["STEP", "EVENTS", "SECONDS", "EVENTS/S"], rows, numbers=["EVENTS", "SECONDS", "EVENTS/S"])
        _say(f"File: {self._file} ({output.size(self._file.stat().st_size)}); key: {self._key_file}")
        program = "penstock" if shutil.which("penstock") else sys.argv[0]  # `make demo` activates no environment
        _say(f"Go on from here: {program} --home {home.path()} serve    Remove it all: rm -r {self._folder}")

    def _tell(self, title: str) -> None:
        self._step += 1
        output.say()
        output.say(f"{self._step}. {title}", "bold cyan")


def _say(text: str, style: str = "") -> None:
    output.say(f"   {text}", style)


def _make_folder(folder: pathlib.Path) -> None:
    """Makes the folder, in the place of an earlier demo's; never in the place of anything else.

    Raises:
        UsageError: `demo_folder_taken`, `demo_folder_not_writable`.
    """
    # The mark is what allows the demo to delete a folder.
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise errors.UsageError(
            "demo_folder_taken",
            f"{folder} is there already and no demo made it.",
            "Choose another place with --folder, or move it away.",
        )
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / _MARK).write_text("Made by `penstock demo`, which removes this folder when it runs again.\n")
    except OSError as error:
        raise errors.UsageError(
            "demo_folder_not_writable", f"{folder} cannot be made: {error.strerror}.", "Choose another with --folder."
        ) from error


@contextlib.contextmanager
def _own_world(folder: pathlib.Path) -> Iterator[None]:
    """The demo's own home, and nothing of the caller's service: not its database, not its lake, not its key.

    Variables win over a penstock.toml in the working directory, so what matters is set here, even to nothing.
    """
    before = dict(os.environ)
    for name in before:
        if name in _OTHERS or name.startswith("PENSTOCK_"):
            del os.environ[name]
    os.environ.update(_SETTINGS, PENSTOCK_HOME=str(folder / "home"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
