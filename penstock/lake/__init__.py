"""Event tables. Import the modules; docs/lake.md explains them.

table      EventTable: append, snapshot, join
files      data files: written, named, removed
layout     which fields have a column, and row groups by size
catalog    which field names are in the overflow of each file
upkeep     compact, vacuum, rewrite of older files
needles    which files can hold a value: Bloom filters beside the data files
read       plan, scan, count, histogram, newest events
"""
