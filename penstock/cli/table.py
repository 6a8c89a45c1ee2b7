"""The table of commands, in the order in which people meet them: name, module, group, one line, examples.

A command named `x y` has its options in the class `XY` of `penstock.cli.options.<options>`, and its work in the
function `x_y` of `penstock.cli.commands.<work>`. Both modules are loaded when the command is called, the second only
to do its work: `--help` and `--version` load neither Polars nor a database nor an HTTP client.
"""

from __future__ import annotations

import dataclasses

START = "Start here"
SEARCH = "Search and export"
LAKE = "Events of this machine"
OPERATE = "Operate a service"

GROUPS = {
    "lake": (LAKE, "Upkeep of the event tables."),
    "community": (OPERATE, "Communities: the tenants."),
    "apikey": (OPERATE, "API keys: who may do what."),
    "keys": (OPERATE, "Master keys, which seal secrets at rest."),
    "storage": (OPERATE, "Where the service keeps exports."),
}
"""Groups of commands: where they stand in the help, and what they are."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as typed; two words for a command of a group.
        panel: under which heading the help lists it.
        options: module below `penstock.cli.options` that holds the class of its options.
        work: module below `penstock.cli.commands` that holds its function.
        help: one line.
        examples: command lines, for the end of its help.
    """

    name: str
    panel: str
    options: str
    work: str
    help: str
    examples: tuple[str, ...]

    @property
    def options_class(self) -> str:
        """The name of its class of options."""
        return self.name.title().replace(" ", "")

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.name.replace(" ", "_")


COMMANDS = (
    Command(
        "demo",
        START,
        "operating",
        "demo.demo",
        "Show the whole path on this machine: sample events, search, export, download, verify, look at the file.",
        ("penstock demo", "penstock demo --events 100000 --folder /tmp/demo"),
    ),
    Command(
        "init",
        START,
        "operating",
        "operate.initializing",
        "Make the home folder: master key, database, first community, first API key.",
        ("penstock init", "penstock init --community acme --json", "penstock --home /srv/penstock init --if-missing"),
    ),
    Command(
        "serve",
        START,
        "operating",
        "operate.serving",
        "Run the service: the API, and a worker beside it. Ctrl-C or SIGTERM stop it without losing work.",
        ("penstock serve", "penstock serve --port 0", "penstock serve --tls --host 0.0.0.0 --port 8443"),
    ),
    Command(
        "login",
        START,
        "login",
        "service.login",
        "Keep a service and its API key under a name, so that neither is typed again.",
        (
            "penstock login penstock.example:8443 --ca-file ca.pem",
            "penstock login https://other.example --name other",
            "penstock login --list",
        ),
    ),
    Command(
        "search",
        SEARCH,
        "searching",
        "service.searching",
        "Search events: print the search job's UUID, how many events match, and the newest of them.",
        (
            "penstock search 'user.name:root'",
            "penstock search 'message:\"failed password\"' --earliest -30d --limit 3",
            "penstock search 'source.ip:10.0.0.0/8 NOT user.name:ann' --earliest -7d --json",
        ),
    ),
    Command(
        "searches",
        SEARCH,
        "tasks",
        "service.listing",
        "List search jobs, newest first: UUID, state, events, query.",
        ("penstock searches", "penstock searches --limit 5 --json"),
    ),
    Command(
        "export",
        SEARCH,
        "exporting",
        "service.exports.exporting",
        "Export all events of a search job: start, wait, download, verify.",
        (
            "penstock export JOB --preset identity -o logins.jsonl.gz",
            "penstock export JOB --fields @timestamp,user.name --key-file logins.key",
            "penstock export --query user.name:root --earliest -7d -o - | zcat | head",
        ),
    ),
    Command(
        "tasks",
        SEARCH,
        "tasks",
        "service.listing",
        "List exports, newest first: task, state, events, size.",
        ("penstock tasks", "penstock tasks --status RUNNING", "penstock tasks --json"),
    ),
    Command(
        "status",
        SEARCH,
        "tasks",
        "service.tasks",
        "Show where an export stands, without waiting and without downloading.",
        ("penstock status TASK", "penstock status TASK --json"),
    ),
    Command(
        "download",
        SEARCH,
        "tasks",
        "service.exports.downloading",
        "Download a finished export: resumes, verifies, replaces the file only when whole.",
        (
            "penstock download TASK --key-file logins.key",
            "penstock download TASK -o logins.jsonl.gz --manifest logins.manifest.json",
            "penstock download TASK --parallel 8",
        ),
    ),
    Command(
        "cancel",
        SEARCH,
        "tasks",
        "service.tasks",
        "Cancel an export, or a search that still counts.",
        ("penstock cancel TASK", "penstock cancel JOB"),
    ),
    Command(
        "exports",
        SEARCH,
        "tasks",
        "service.listing",
        "List the exports of a search job.",
        ("penstock exports JOB", "penstock exports JOB --json"),
    ),
    Command(
        "estimate",
        SEARCH,
        "exporting",
        "service.exports.estimating",
        "Estimate an export (events, bytes, seconds, would it be allowed) without starting it.",
        ("penstock estimate JOB", "penstock estimate JOB --preset network", "penstock estimate JOB --json"),
    ),
    Command(
        "verify",
        SEARCH,
        "tasks",
        "service.verifying",
        "Check a file against its manifest: signature, every part's SHA-256, root, gzip, number of events.",
        ("penstock verify logins.jsonl.gz logins.manifest.json",),
    ),
    Command(
        "fields",
        SEARCH,
        "searching",
        "service.community",
        "List the fields that can be searched and exported; those that events here have come first.",
        ("penstock fields", "penstock fields user", "penstock fields hash --json"),
    ),
    Command(
        "quota",
        SEARCH,
        "searching",
        "service.community",
        "Show what the community may still export this month (UTC).",
        ("penstock quota", "penstock quota --community acme"),
    ),
    Command(
        "ingest",
        LAKE,
        "ingesting",
        "ingesting",
        "Take events in from files: JSON of any shape, CSV, Zeek, Parquet; nothing lost, bad lines kept apart.",
        (
            "penstock ingest events.jsonl.gz",
            "penstock ingest --community acme --batch-id monday cloudtrail/",
            "penstock ingest --time-field seen_at --format csv audit.txt",
            "zstd -dc events.jsonl.zst | penstock ingest -",
        ),
    ),
    Command(
        "generate",
        LAKE,
        "lake",
        "generating",
        "Fill a community with realistic sample events of several kinds.",
        (
            "penstock generate --events 100000",
            "penstock generate --events 100000 --stream wide --days 30",
            "penstock generate --events 1000 --seed 7 --start -2d --days 1",
        ),
    ),
    Command(
        "dump",
        LAKE,
        "lake",
        "dumping",
        "Write events straight from the lake to a file: no server, no task, no quota, no encryption.",
        (
            "penstock dump -o everything.jsonl.gz",
            "penstock dump --query user.name:root --preset identity -o root.jsonl.gz",
            "penstock dump --earliest -7d --all-fields -o - | zcat | head",
        ),
    ),
    Command(
        "lake compact",
        LAKE,
        "lake",
        "upkeep",
        "Join small files, so that searches read fewer.",
        ("penstock lake compact", "penstock lake compact --community acme"),
    ),
    Command(
        "lake vacuum",
        LAKE,
        "lake",
        "upkeep",
        "Delete files that no search job, no export and no newest snapshot needs any more.",
        ("penstock lake vacuum --dry-run", "penstock lake vacuum --keep-hours 24"),
    ),
    Command(
        "worker",
        OPERATE,
        "operating",
        "operate.serving",
        "Run a worker: search jobs, exports, sweeping. SIGTERM lets it finish its part and give its lease back.",
        ("penstock worker",),
    ),
    Command(
        "audit",
        OPERATE,
        "administering",
        "operate.administering",
        "Show who did what to what, newest first.",
        ("penstock audit", "penstock audit --action export. --limit 10", "penstock audit --object TASK --json"),
    ),
    Command(
        "community create",
        OPERATE,
        "administering",
        "operate.administering",
        "Create a community.",
        ("penstock community create acme", "penstock community create acme --quota-bytes-per-month 50000000000"),
    ),
    Command(
        "community attach",
        OPERATE,
        "administering",
        "operate.attaching",
        "Create a community over a table that somebody else writes; it is only read, and nothing is copied.",
        (
            "penstock community attach lake --table /data/t --type delta --time eventTime",
            "penstock community attach sl --table s3://lake/ext --type parquet --map m.map",
            "penstock community attach w --table sec.events --type iceberg --catalog prod",
        ),
    ),
    Command(
        "community detach",
        OPERATE,
        "administering",
        "operate.attaching",
        "Take an attached table off its community. The table is not touched; finished exports stay until they expire.",
        ("penstock community detach lake", "penstock community detach lake --cancel"),
    ),
    Command(
        "community show",
        OPERATE,
        "administering",
        "operate.attaching",
        "Show a community: what its events are, how many there are, and when they happened.",
        ("penstock community show acme", "penstock community show acme --json"),
    ),
    Command(
        "community list",
        OPERATE,
        "administering",
        "operate.administering",
        "List the communities.",
        ("penstock community list",),
    ),
    Command(
        "community limits",
        OPERATE,
        "administering",
        "operate.limiting",
        "Show the limits in force for a community, or set its own.",
        (
            "penstock community limits acme",
            "penstock community limits acme --set export_max_events=5000000",
            "penstock community limits acme --set export_max_events=default",
        ),
    ),
    Command(
        "apikey create",
        OPERATE,
        "administering",
        "operate.administering",
        "Create an API key. It is shown once; only a hash of it is kept.",
        (
            "penstock apikey create --community acme --permission SIC_READ_INTAKES",
            "penstock apikey create --community acme --permission SIC_WRITE_EVENTS --json",
        ),
    ),
    Command(
        "apikey list",
        OPERATE,
        "administering",
        "operate.administering",
        "List API keys; their tokens are not kept anywhere.",
        ("penstock apikey list", "penstock apikey list --community acme"),
    ),
    Command(
        "apikey grant",
        OPERATE,
        "administering",
        "operate.administering",
        "Let an API key reach more communities: the key that `penstock init` made, or another.",
        ("penstock apikey grant --community acme", "penstock apikey grant UUID --community acme --community umbrella"),
    ),
    Command(
        "apikey revoke",
        OPERATE,
        "administering",
        "operate.administering",
        "Revoke an API key, at once and for good.",
        ("penstock apikey revoke UUID",),
    ),
    Command(
        "keys list",
        OPERATE,
        "administering",
        "operate.sealing",
        "Show the sealing keys, and how many secrets of active exports each seals: is the old one still in use?",
        ("penstock keys list",),
    ),
    Command(
        "keys add",
        OPERATE,
        "administering",
        "operate.sealing",
        "First step of a rotation: add a key that every process can open with, and none seals with yet.",
        ("penstock keys add",),
    ),
    Command(
        "keys activate",
        OPERATE,
        "administering",
        "operate.sealing",
        "Second step, once every process knows the key: seal with it from now on.",
        ("penstock keys activate k2",),
    ),
    Command(
        "keys reseal",
        OPERATE,
        "administering",
        "operate.sealing",
        "Third step, once no process seals with the old key: seal again what it sealed.",
        ("penstock keys reseal",),
    ),
    Command(
        "keys drop",
        OPERATE,
        "administering",
        "operate.sealing",
        "Last step: forget a key that nothing is sealed with; refused while something is.",
        ("penstock keys drop k1",),
    ),
    Command(
        "keys rotate",
        OPERATE,
        "administering",
        "operate.sealing",
        "On one machine, all steps at once: put a new sealing key in front and reseal what is sealed.",
        ("penstock keys rotate",),
    ),
    Command(
        "storage init",
        OPERATE,
        "operating",
        "operate.storing",
        "Make the service's storage ready: in S3, a lifecycle rule that deletes what our own sweeper might miss.",
        ("penstock storage init",),
    ),
    Command(
        "storage check",
        OPERATE,
        "operating",
        "operate.storing",
        "Try the service's storage, and the lake's bucket, with small objects; show the lifecycle rules.",
        ("penstock storage check",),
    ),
)
