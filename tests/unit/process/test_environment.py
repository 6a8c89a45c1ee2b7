"""Claims about how a program of ours begins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("was", [True, False], ids=["on", "off"])
def test_loaded_ends_what_loading_began_and_nothing_else(was: bool) -> None:
    """In a process whose collector nobody stopped, nothing is kept for good."""
    program = (
        "import gc; from penstock.process import environment\n"
        f"{'' if was else 'environment.loading()'}\n"
        "before = gc.isenabled(); environment.loaded(); print(before, gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(was), "True", str(not was)]


def test_a_command_works_with_the_collector_on() -> None:
    """`quota` of a service that is not there: its work is loaded, and says so."""
    program = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.isenabled()))\n"
        "sys.argv = ['penstock', 'quota', '--api-host', '127.0.0.1:1']\n"
        "from penstock import cli; cli.main()"
    )
    environment = os.environ | {"API_KEY": "pst_unknown"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (1, ["True"]), ran.stderr
