"""Where an event table lies: in a folder of a disk, or below a prefix of a bucket. One contract, two implementations.

contract   what a table asks of its location
disk       a folder: names are paths, and nothing is copied
"""

from penstock.lake.location.contract import Draft, Entry, Lake, Location, LostRace, Stored
from penstock.lake.location.disk import Disk, DiskLake

__all__ = ["Disk", "DiskLake", "Draft", "Entry", "Lake", "Location", "LostRace", "Stored"]
