"""Event tables: ingest, snapshot, plan, scan, upkeep, sample events. Import the modules; docs/lake.md explains them.

`table` EventTable, Snapshot · `ingest` · `plan` TimeRange, plan_slices · `scan` read_slice, count, histogram, newest ·
`upkeep` compact, vacuum · `generate`
"""
