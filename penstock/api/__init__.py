"""The HTTP API: routes, shapes, API keys, problem documents; docs/api.md is its reference.

app        create_app(services) -> FastAPI
server     serve(settings, tls, worker): the command's body; running(...): the same in a thread
auth       who calls, and what the key may do
schemas    shapes of requests and answers
problems   RFC 9457 problem documents
exporting  checks, estimates and starts exports; suggestions cuts time ranges that fit
events     pages of events, CSV, histograms, out of the pinned snapshots
tls        a local certificate authority
"""
