"""What runs an export's slices: `threads` of this process, or a `ray` cluster, behind one small interface.

contract   the interface      threads   this machine      ray/   a cluster      opening   the one that the settings name
"""

from penstock.export.engines.contract import Engine, Target
from penstock.export.engines.opening import open_engine

__all__ = ["Engine", "Target", "open_engine"]
