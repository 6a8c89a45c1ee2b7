"""Where an event table lies: in a folder of a disk, or below a prefix of a bucket. One contract, two implementations.

contract   what a table asks of its location
disk       a folder: names are paths, and nothing is copied
s3         a prefix of a bucket; loaded when a lake lies there, as are the rest
  bucket   the calls, tried again for a while, and their faults as the lake's (faults)
  mirror   a local copy of the log, and commits by conditional writes
  cache    copies of files on this machine's disk: bounded, checked, shared by processes
  touches  when data files were last in use
  ahead    what is fetched before somebody waits for it
"""

from penstock.lake.location.contract import Draft, Entry, Lake, Location, LostRace, Stored
from penstock.lake.location.disk import Disk, DiskLake

__all__ = ["Disk", "DiskLake", "Draft", "Entry", "Lake", "Location", "LostRace", "Stored"]
