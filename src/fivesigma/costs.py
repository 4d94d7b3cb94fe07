"""What it takes to generate events, before any is made.

A benchmark says what an event costs by process. What a part of a process costs it says under
"process, parameter=value", such as "top_pairs, pt_min=100".
"""

from collections.abc import Sequence

from .benchmarks import Benchmark
from .benchmarks.base import Cost, is_number
from .configuration import SampleRequest

__all__ = ["cost_of", "estimate", "total"]

BYTES = 4
"""Of a number that is kept of an event."""


def estimate(benchmark: Benchmark, request: SampleRequest, events: int) -> str:
    """What it takes to generate events, in words, and how many pass where numbers are kept."""
    if not events:
        return ""
    cost = cost_of(benchmark, request)
    if cost is None:
        return f"{events} events"
    minutes, space = events * cost.seconds / 60, events * cost.bytes / 1e9
    words = f"about {space:.2g} GB and {minutes:.0f} min of one core for {events} events"
    if kept := benchmark.selection.quantities:
        size = BYTES * (len(kept) + (benchmark.selection.tags is not None))
        passing = float(f"{events * cost.bytes / size:.2g}")  # the shares are not known better
        words += f", of which {passing:.0f} pass"
    return words


def cost_of(benchmark: Benchmark, request: SampleRequest) -> Cost | None:
    """What an event costs, by the first parameter of which that is known, or by the process."""
    values = {k: f"{x:g}" if is_number(x) else str(x) for k, x in request.parameters.items()}
    parts = [f"{request.process}, {name}={value}" for name, value in values.items()]
    found = (benchmark.costs[part] for part in parts if part in benchmark.costs)
    return next(found, benchmark.costs.get(request.process))


def total(benchmark: Benchmark, wanted: Sequence[tuple[SampleRequest, int]]) -> str:
    """Time to generate numbers of events of several requests, in words."""
    costs = [(request.process, cost_of(benchmark, request), n) for request, n in wanted]
    hours = sum(n * cost.seconds for _, cost, n in costs if cost) / 3600
    unknown = dict.fromkeys(process for process, cost, n in costs if n and not cost)
    more = f", and that of {', '.join(unknown)}" if unknown else ""
    return f"about {hours:.2g} h of one core{more}"
