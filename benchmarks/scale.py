"""A simulation: 10 billion events over 1 to 200 nodes. Where does it stop to become faster?

Usage: python benchmarks/scale.py [--events 10000000000] [--shard-slices 16] [--svg docs/scale.svg]

Nothing is measured here: the costs below are (docs/scale.md says where), and the plans are those of the product. The
events lie in exports of 100 million each, the limit of one. A worker drives an export at a time here, and is simulated
shard by shard: it gives out, takes back, joins and records one after another, while the nodes' cores compute. All
workers share the cores evenly, one PostgreSQL and one bucket.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import math
import pathlib
from collections.abc import Sequence

from penstock.export.shards import plan

EVENTS_A_SLICE = 131_072
EXPORT_EVENTS = 100_000_000
NODES = (1, 2, 5, 10, 20, 50, 100, 200)
WORKERS = (1, 4, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, and what is assumed of machines.

    Attributes:
        slice_seconds: of one core: scan, encode, deflate, upload of a slice of default fields.
        slice_bytes: of its segment.
        shard_seconds: from the end of one shard on a core to the begin of the next: Ray, snapshot, first read.
        give_seconds, take_seconds: of the coordinator for a shard: order, answer, join and upload of its ends.
        write_seconds: of PostgreSQL for a part's records, one after another in one export.
        export_seconds: before the first shard and after the last: plan, begin, last part, complete, manifest.
        part_bytes: of a part.
        head_bytes: of a head at least.
        coordinator_bytes: a second, in and out together.
        node_cores: cores of a node.
        put_limit: PUTs a second that S3 promises for one prefix.
        write_limit: transactions a second of PostgreSQL.
    """

    slice_seconds: float = 0.31
    slice_bytes: float = 11.5e6
    shard_seconds: float = 0.07
    give_seconds: float = 0.01
    take_seconds: float = 0.06
    write_seconds: float = 0.006
    export_seconds: float = 2.0
    part_bytes: float = 16 * 2**20
    head_bytes: float = 5 * 2**20
    coordinator_bytes: float = 1.25e9
    node_cores: int = 8
    put_limit: float = 3_500
    write_limit: float = 5_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Of one simulation: seconds in all, share of the time that a coordinator is busy, rates a second."""

    seconds: float
    coordinator: float
    puts: float
    writes: float


def one_export(slices: int, slots: int, shard_slices: int, costs: Costs) -> tuple[float, float, int]:
    """Seconds, busy seconds of its coordinator, parts."""
    made = plan.plan_shards(slices, shard_slices)
    now = busy = 0.0
    parts = 1
    waiting = list(reversed(made.shards))
    running: list[float] = []
    while waiting or running:
        while waiting and len(running) < slots:
            shard = waiting.pop()
            work = (shard.end_slice - shard.first_slice) * costs.slice_seconds + costs.shard_seconds
            now += costs.give_seconds
            busy += costs.give_seconds
            heapq.heappush(running, now + work)
        now = max(now, heapq.heappop(running))
        a_part = max(made.slices_a_part, math.ceil(costs.part_bytes / costs.slice_bytes))
        own = (shard_slices - 1) // a_part
        rest = costs.slice_bytes * ((shard_slices - 1) % a_part)
        ends = max(costs.head_bytes, costs.slice_bytes) + rest
        took = costs.take_seconds + 2 * ends / costs.coordinator_bytes + (own + 1) * costs.write_seconds
        now += took
        busy += took
        parts += own + 1
    return now + costs.export_seconds, busy, parts


def simulated(events: int, nodes: int, workers: int, shard_slices: int, costs: Costs) -> Result:
    """`events` in exports of EXPORT_EVENTS, `workers` at once, which share the cores evenly."""
    exports = math.ceil(events / EXPORT_EVENTS)
    slices = math.ceil(EXPORT_EVENTS / EVENTS_A_SLICE)
    slots = max(1, nodes * costs.node_cores // workers)
    seconds, busy, parts = one_export(slices, slots, shard_slices, costs)
    rounds = math.ceil(exports / workers)
    total = rounds * seconds * max(1.0, workers / (nodes * costs.node_cores))
    # Two transactions a part (may it count, it is there), and the lease five times a second.
    writes = exports * parts * 2 / total + workers * 5
    return Result(
        seconds=total * max(1.0, writes / costs.write_limit),
        coordinator=busy / seconds,
        puts=exports * parts / total,
        writes=writes,
    )


def chart(lines: dict[str, Sequence[tuple[float, float]]]) -> str:
    """Seconds over nodes, both logarithmic, as SVG."""
    width, height, left, bottom = 720, 400, 70, 50
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    low, high = math.log10(min(ys)) - 0.1, math.log10(max(ys)) + 0.1

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + math.log10(x / min(xs)) / math.log10(max(xs) / min(xs)) * (width - left - 150)
        return across, 20 + (high - math.log10(y)) / (high - low) * (height - bottom - 20)

    drawn = [f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for x in sorted(set(xs)):
        at = place(x, min(ys))[0]
        drawn.append(f'<text x="{at:.0f}" y="{height - 28}" text-anchor="middle">{x:g}</text>')
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = place(min(xs), 10**power)[1]
        drawn.append(f'<path d="M{left} {at:.0f}H{width - 150}" stroke="#d5dbe3"/>')
        drawn.append(f'<text x="{left - 8}" y="{at + 4:.0f}" text-anchor="end">{10**power:,} s</text>')
    drawn.append(f'<text x="{(width - 80) / 2:.0f}" y="{height - 8}" text-anchor="middle">nodes of 8 cores</text>')
    for colour, (name, line) in zip(("#8795a5", "#0b62a8", "#1d8a4e", "#b8432f"), lines.items(), strict=False):
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in (place(*point) for point in line))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = place(*line[-1])
        drawn.append(f'<text x="{x + 8:.0f}" y="{y + 4:.0f}" style="fill:{colour}">{name}</text>')
    style = "<style>text{font:13px system-ui,sans-serif;fill:#1d2733}</style>"
    title = "<title>Seconds for 10 billion events over nodes and workers (simulated)</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    return head + title + style + "\n".join(drawn) + "</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000_000_000)
    parser.add_argument("--shard-slices", type=int, default=16)
    parser.add_argument("--svg", type=pathlib.Path)
    given = parser.parse_args()
    costs = Costs()
    lines: dict[str, list[tuple[float, float]]] = {}
    print("| nodes | workers | s | coordinators busy | PUT/s | transactions/s |")
    print("|---|---|---|---|---|---|")
    slices = given.events / EVENTS_A_SLICE
    for workers in WORKERS:
        for nodes in NODES:
            found = simulated(given.events, nodes, workers, given.shard_slices, costs)
            lines.setdefault(f"{workers} workers" if workers > 1 else "1 worker", []).append((nodes, found.seconds))
            print(
                f"| {nodes} | {workers} | {found.seconds:,.0f} | {found.coordinator:.0%} | {found.puts:.0f} "
                f"| {found.writes:.0f} |"
            )
    lines["cores alone"] = [(n, slices * costs.slice_seconds / (n * costs.node_cores)) for n in NODES]
    if given.svg:
        given.svg.write_text(chart(lines))


if __name__ == "__main__":
    main()
