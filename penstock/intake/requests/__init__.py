"""Small requests: several of them share a commit, each with its own counts, rejects and batch id.

groups  the bodies of a group to one commit
bulk    the items of an Elasticsearch `_bulk` request
"""
