"""Runs an export: plan → slices → parts → manifest."""

from penstock.export.dump import DumpReport, dump
from penstock.export.parts import Part
from penstock.export.run import run
from penstock.export.work import Journal, Leaving, Outcome, Recipe, Work

__all__ = ["DumpReport", "Journal", "Leaving", "Outcome", "Part", "Recipe", "Work", "dump", "run"]
