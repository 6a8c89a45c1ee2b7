"""What shippers for Elasticsearch speak: `_bulk`, and the questions they ask before; docs/shippers.md is its reference.

routes    the paths
taking    a `_bulk` request into the lake, and its answer
shapes    the same for the documentation
answers   Elasticsearch's shapes of answers and errors
callers   API keys as Elasticsearch's clients send them; indices as communities
"""
