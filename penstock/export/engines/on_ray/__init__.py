"""The engine of a Ray cluster: shards of an export run on its nodes. Ray is an extra: `pip install penstock[ray]`.

engine    the interface, in the worker       cluster   the one module that knows Ray
node      what a node does with a shard      sealing   all that passes Ray passes sealed
"""
