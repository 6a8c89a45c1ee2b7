"""What runs an export's slices, and a wide search's shards: `threads` of this process, or a `ray` cluster.

contract   the interface      threads   this machine      ray/   a cluster      opening   the one that the settings name
"""

from penstock.export.engines.contract import Engine, SearchPool, Target
from penstock.export.engines.opening import open_engine

__all__ = ["Engine", "SearchPool", "Target", "open_engine"]
