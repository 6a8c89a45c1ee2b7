"""All commands, in the order in which people meet them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

import penstock
from penstock.cli.commands import (
    administering,
    demo,
    exporting,
    ingesting,
    lake,
    limiting,
    operating,
    searching,
    storing,
    verifying,
)

_START = "Start here"
_SEARCH = "Search and export"
_OPERATE = "Operate a service"
_LAKE = "Events of this machine"

app = typer.Typer(
    help="Penstock: events out of an event lake, chosen fields, one encrypted file, provably complete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {penstock.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    home_folder: Annotated[
        str | None,
        typer.Option("--home", metavar="DIR", help="The home folder. Default: PENSTOCK_HOME, else ./.penstock."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if home_folder is not None:
        os.environ["PENSTOCK_HOME"] = home_folder  # settings read it, and so do processes that a command starts


app.command("demo", rich_help_panel=_START)(demo.demo)
app.command("init", rich_help_panel=_START)(operating.init)
app.command("serve", rich_help_panel=_START)(operating.serve)

app.command("search", rich_help_panel=_SEARCH)(searching.search)
app.command("export", rich_help_panel=_SEARCH)(exporting.export)
app.command("status", rich_help_panel=_SEARCH)(exporting.status)
app.command("download", rich_help_panel=_SEARCH)(exporting.download)
app.command("cancel", rich_help_panel=_SEARCH)(exporting.cancel)
app.command("exports", rich_help_panel=_SEARCH)(exporting.exports)
app.command("estimate", rich_help_panel=_SEARCH)(exporting.estimate)
app.command("verify", rich_help_panel=_SEARCH)(verifying.verify)
app.command("fields", rich_help_panel=_SEARCH)(searching.fields)
app.command("quota", rich_help_panel=_SEARCH)(searching.quota)

app.command("ingest", rich_help_panel=_LAKE)(ingesting.ingest)
app.command("generate", rich_help_panel=_LAKE)(lake.generate)
app.command("dump", rich_help_panel=_LAKE)(lake.dump)
app.add_typer(lake.lake_app, name="lake", rich_help_panel=_LAKE)

app.command("worker", rich_help_panel=_OPERATE)(operating.worker)
administering.community_app.command("limits")(limiting.community_limits)
app.add_typer(administering.community_app, name="community", rich_help_panel=_OPERATE)
app.add_typer(administering.apikey_app, name="apikey", rich_help_panel=_OPERATE)
app.add_typer(administering.keys_app, name="keys", rich_help_panel=_OPERATE)
app.add_typer(storing.storage_app, name="storage", rich_help_panel=_OPERATE)
app.command("audit", rich_help_panel=_OPERATE)(administering.audit)
