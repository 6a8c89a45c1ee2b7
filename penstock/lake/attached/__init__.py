"""Attached tables: a community's events are a table that somebody else writes. Read only (docs/attach.md).

definition   what is attached; kept in the community's folder of the lake
table        AttachedTable: snapshots of it; refuses whatever would write
formats      which files a version has, by the folder, by Delta's log, by Iceberg's metadata
facts        what is known of each file without reading its events; ledger keeps it for other processes
schemas      the table's fields, and which column of which file holds each
snapshots    a pinned version, as `lake.read` reads it
faults       errors of attached tables
stores       where files lie: a folder or S3; sizes, tags, bytes
footers      what a Parquet footer says: rows, row groups, times, bytes
columns      columns to fields: names, types, values
values       values that Polars cannot render itself: nested ones, and those that live in the overflow
times        columns to @timestamp
"""
