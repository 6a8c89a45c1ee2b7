"""Events over HTTP: what stands between the routes and the lake.

intaking   takes a body in, in a group with others or alone, and records it
gathering  small bodies wait for one another: those of one community share a commit
shares     how much of intake one API key may have
auditing   the audit's entries, which a database that is away must not stop
"""
