"""Runs an export: plan → slices → parts → manifest."""

from penstock.pipeline.dump import DumpReport, dump
from penstock.pipeline.parts import Part, PartFacts
from penstock.pipeline.run import Journal, Leaving, Outcome, Work, run

__all__ = ["DumpReport", "Journal", "Leaving", "Outcome", "Part", "PartFacts", "Work", "dump", "run"]
