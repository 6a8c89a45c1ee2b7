"""The HTTP API: routes, shapes, API keys, problem documents; docs/api.md is its reference.

app        create_app(services) -> FastAPI
routes     one module a subject: search jobs, events, exports, tasks, intake, downloads, ...
schemas    shapes of requests and answers
elastic    what shippers for Elasticsearch speak
intake     what stands between the routes and the lake: groups, shares, audit
auth       who calls, and what the key may do
context    what a request can reach: services, bounded threads, measures
threads    so many for one kind of work, and so many of them for one caller
bodies     request bodies: received in bounds, unpacked
problems   RFC 9457 problem documents
around     limits, request ids, log; the read that clients poll
"""
