"""What a projection does not simulate of the backgrounds of its benchmark."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from .benchmarks import Benchmark
from .configuration import SampleRequest
from .events import Process

__all__ = ["Range", "absent", "gaps", "limits", "told_of_absence"]

Range: TypeAlias = tuple[float, float]


def absent(benchmark: Benchmark, used: Collection[str]) -> tuple[str, ...]:
    """Background processes that are not used.

    A process whose name begins with that of another and an underscore is a part of it: either it,
    or all of its parts, are enough.
    """
    known = [name for name in benchmark.processes if name != benchmark.signal]
    parts = {name: [part for part in known if part.startswith(f"{name}_")] for name in known}
    within = {part for found in parts.values() for part in found}
    missing: list[str] = []
    for name in known:
        if name in used or name in within:
            continue
        some = set(parts[name]) & set(used)
        missing += [part for part in parts[name] if part not in used] if some else [name]
    return tuple(missing)


def gaps(benchmark: Benchmark, requests: Sequence[SampleRequest]) -> dict[str, tuple[Range, ...]]:
    """From one pTHat to another [GeV], what is in none of the requests of a process."""
    covered: dict[str, list[Range]] = {}
    for request in requests:
        made = benchmark.process(request.process, request.parameters)
        covered.setdefault(request.process, []).append(limits(made))
    found = {name: _between(sorted(ranges)) for name, ranges in covered.items()}
    return {name: ranges for name, ranges in found.items() if ranges}


def _between(ranges: Sequence[Range]) -> tuple[Range, ...]:
    ends = [0.0, *(high for _, high in ranges)]
    starts = [*(low for low, _ in ranges), math.inf]
    return tuple((a, b) for a, b in zip(ends, starts, strict=True) if a < b)


def limits(process: Process) -> Range:
    """Least and largest pTHat by the settings of a process [GeV]."""
    said = dict(line.split(" = ") for line in process.settings if " = " in line)
    low, high = (said.get(f"PhaseSpace:pTHat{end}") for end in ("Min", "Max"))
    return float(low or 0), float(high or "inf")


def told_of_absence(missing: Sequence[str], uncovered: Mapping[str, Sequence[Range]]) -> list[str]:
    """In words, a sentence each; none where all is there."""
    sentences = []
    if missing:
        sentences.append(f"Backgrounds of the benchmark that are absent: {', '.join(missing)}.")
    if uncovered:
        parts = [
            f"{name} {' and '.join(map(_range, ranges))}" for name, ranges in uncovered.items()
        ]
        sentences.append(f"Not covered in pTHat: {', '.join(parts)} GeV.")
    return sentences


def _range(ends: Range) -> str:
    low, high = ends
    if not low:
        return f"below {high:g}"
    return f"from {low:g} to {high:g}" if math.isfinite(high) else f"above {low:g}"
