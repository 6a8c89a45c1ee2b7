"""Around every request: bounds, log and metrics; and the one read that is answered before it comes to a route.

middleware  the layers, outermost last          polled  the read that clients poll
"""
