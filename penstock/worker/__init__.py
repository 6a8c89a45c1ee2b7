"""Claims search jobs and exports and drives them; sweeps what is over."""

from penstock.worker.loop import Worker

__all__ = ["Worker"]
