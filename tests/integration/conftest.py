"""Fixtures of the tests of the command line."""

from support.cli_world import job, penstock, total, world

__all__ = ["job", "penstock", "total", "world"]
