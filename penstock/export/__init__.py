"""Runs an export: plan → slices → parts → manifest."""

from penstock.export.dump import DumpReport, dump
from penstock.export.parts import Part
from penstock.export.run import Journal, Leaving, Outcome, Work, run

__all__ = ["DumpReport", "Journal", "Leaving", "Outcome", "Part", "Work", "dump", "run"]
