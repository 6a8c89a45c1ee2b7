"""An export cut into contiguous shards that can be computed apart, on any machine and in any order.

plan         which slices and which part numbers are a shard's; what is left to do after a crash
cut          segments of one shard → its own parts, and what it gives back; neighbours joined into legal parts
shard        computes one shard
coordinator  gives shards out, records what comes back, joins
"""
