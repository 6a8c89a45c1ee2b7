"""An ingest in shards: several files at once, each by a process of its own; one process commits, in the files' order.

taking        what a process does with a shard: reads, writes data files, commits nothing
coordinator   cuts, gives shards out, commits what comes back, reports
"""
