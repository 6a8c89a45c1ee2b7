"""Answers a search job's question: how many events match when, the newest of them, and their common values.

Knows no database: what asks is a process of a worker, which is started for it and may be ended at any moment.

    question  what is asked                      found    counted over time in each community, or cut into shards
    results   newest events and common values    child    the process
"""
