"""The control plane: search jobs, exports, quota, leases, keys, audit, in SQLite or PostgreSQL. Never touches events.

Every operation takes the open transaction first and never commits: `with database.begin() as tx:`. It raises the
tree's errors; a worker's write takes its claim and raises `LeaseLost` when the fence does not hold. Times are
arguments. An operation that raises may have written some of its rows: let the error leave the `with` block, which rolls
back.

    database     Database(url): begin(), read(), migrate(); the one border at which driver errors are translated
    schema       the tables, and columns that hold the same on both databases
    states       statuses, legal moves, permissions
    secrets      MasterKeys: what seals secrets at rest, and derives keys for signing
    communities  tenants                         apikeys   who may do what
    limits       Limits, overrides a community   quota     bytes a month
    leases       who works on a row of work; one mechanism for searches, exports and schedules
    searches     stored queries                  exports   start, claim, checkpoint, end, sweep
    audit        who did what                    sweep     everything old, in one call
"""
