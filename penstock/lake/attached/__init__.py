"""Attached tables: a community's events are a table that somebody else writes. Read only (docs/attach.md).

definition   what is attached; kept in the community's folder of the lake
table        AttachedTable: snapshots of it; refuses whatever would write
listing      which files a version has; parquet, delta and iceberg each find that out
stores       where files lie: a folder or S3; sizes, tags, bytes
footers      what a Parquet footer says: rows, row groups, times, bytes
columns      columns to fields: names, types, values
values       values that Polars cannot render itself: nested ones, and those that live in the overflow
times        columns to @timestamp
"""
