"""The weighted events of a projection, and its grid of points, methods and repeats as tasks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from .arms import learning
from .benchmarks import Benchmark
from .configuration import SampleRequest
from .costs import estimate, total
from .projection import Projection
from .projection_coverage import Range, absent, gaps, limits
from .projections import ProjectionTask
from .quantities import FEATURES
from .sample import Sample
from .samples import Maker, Missing, Report, at_point, benchmark_named, point_name, recipe
from .yields import Slice, cross_section, numbers, weigh

__all__ = ["SIGNAL", "Prepared", "prepare_projection", "projection_tasks"]

SIGNAL = "signal"


@dataclass(frozen=True)
class Part:
    """A sample of a projection."""

    key: str
    """Its name in a report."""
    process: str
    """What process it is of."""
    group: str
    """The same, for the signal with its point where there are several."""
    request: SampleRequest
    """What is asked for."""


@dataclass(frozen=True)
class Prepared:
    """What the tasks of a projection learn from."""

    benchmark: Benchmark
    """Its physics."""
    luminosity_fb: float
    """Integrated luminosity [1/fb]."""
    features: tuple[str, ...]
    """Names of what a classifier sees of an event."""
    points: dict[str, dict[str, Any]]
    """Parameters of the signal by the name of the point."""
    samples: dict[str, Sample]
    """By the name in a report."""
    signals: dict[str, Slice]
    """By the name of the point."""
    backgrounds: tuple[Slice, ...]
    """Of all processes, slice by slice."""
    simulated: dict[str, tuple[Slice, ...]]
    """Slices with the cross sections of the simulation, by process, the signal at each point."""
    vetoed: frozenset[str]
    """Which of these have a veto in front of the cuts."""
    absent: tuple[str, ...]
    """Background processes of the benchmark that are not there."""
    gaps: dict[str, tuple[Range, ...]]
    """What is not covered of processes that are there, from one pTHat to another [GeV]."""

    def group(self, point: str, process: str) -> str:
        """The key of `simulated` of a process, with the signal at a point."""
        return process if process != SIGNAL else _group(point, self.signals)

    def slices(self, point: str) -> tuple[Slice, ...]:
        """What is weighed together."""
        return (self.signals[point], *self.backgrounds)


def prepare_projection(
    projection: Projection,
    *,
    store: Path,
    workers: int,
    report: Report,
    missing: Missing = "run",
) -> Prepared:
    """Check the names in a projection and make its events, or open them if none is to be made.

    Raises:
        ValueError: A name or value that does not exist or fit, a process without events or with a
            feature that is not finite.
    """
    benchmark = benchmark_named(projection.benchmark)
    features = _features(benchmark)
    for arm in projection.arms:
        learning(arm, (len(features),))
    signals = _signals(projection, benchmark)
    parts = _parts(projection, signals)
    _differ(projection, benchmark, parts)
    maker = Maker(benchmark, projection.seed, store, workers, report, missing)
    _tell(maker, parts)
    samples = {part.key: maker(part.key, part.request) for part in parts}
    made = [_slice(part, samples[part.key], benchmark) for part in parts]
    n = len(signals)
    for i in range(n):
        weigh([made[i], *made[n:]], luminosity_fb=1.0)  # where there are no events
    scaled = _scaled(made, projection.selected_fb)
    backgrounds = [part.request for part in parts[n:]]
    return Prepared(
        benchmark=benchmark,
        luminosity_fb=projection.luminosity_fb or benchmark.luminosity_fb,
        features=features,
        points=_points(signals, benchmark),
        samples=samples,
        signals=dict(zip(signals, scaled, strict=False)),
        backgrounds=tuple(scaled[n:]),
        simulated=_grouped(parts, made),
        vetoed=_vetoed(parts, benchmark),
        absent=absent(benchmark, {request.process for request in backgrounds}),
        gaps=gaps(benchmark, backgrounds),
    )


def projection_tasks(projection: Projection, prepared: Prepared) -> list[ProjectionTask]:
    """One task for each repeat, point and method; all methods of a repeat together."""
    return [
        ProjectionTask(
            arm=arm,
            point=point,
            repeat=repeat,
            seed=projection.seed,
            luminosity_fb=prepared.luminosity_fb,
            slices=prepared.slices(point),
            shares=projection.shares,
            train_share=projection.train_share,
            spread=projection.spread,
            features=prepared.features,
        )
        for repeat in range(projection.repeats)
        for point in prepared.points
        for arm in projection.arms
    ]


def _features(benchmark: Benchmark) -> tuple[str, ...]:
    kept = benchmark.selection.quantities or ()
    features = tuple(name for name in kept if name in FEATURES)
    if not features:
        raise ValueError(
            "benchmark: expected one that keeps named features of its events; got "
            f"{benchmark.name!r}"
        )
    return features


def _signals(projection: Projection, benchmark: Benchmark) -> dict[str, SampleRequest]:
    signal, found = projection.signal, dict[str, SampleRequest]()
    bare = signal.model_copy(update={"parameters": {}})
    for point in projection.points:
        own = at_point(benchmark, point, bare, "points").parameters
        if both := sorted(set(own) & set(signal.parameters)):
            raise ValueError(
                f"signal.parameters: expected none that points set; got {', '.join(both)} in both"
            )
        request = at_point(benchmark, point, signal, "points")
        name = point if isinstance(point, str) else point_name(request, benchmark)
        if found.setdefault(name, request) is not request:
            raise ValueError(f"points: expected points that differ; got {name} twice")
    return found or {point_name(signal, benchmark): signal}


def _points(
    signals: Mapping[str, SampleRequest], benchmark: Benchmark
) -> dict[str, dict[str, Any]]:
    """The parameters that some point sets, of each; what a point does not set is the default."""
    names = dict.fromkeys(name for request in signals.values() for name in request.parameters)
    return {
        point: {
            name: request.parameters.get(
                name, (benchmark.processes[request.process].__kwdefaults__ or {}).get(name)
            )
            for name in names
        }
        for point, request in signals.items()
    }


def _parts(projection: Projection, signals: Mapping[str, SampleRequest]) -> list[Part]:
    """All samples, those of the signal first."""
    parts = [
        Part(f"{SIGNAL}, {point}", SIGNAL, _group(point, signals), request)
        for point, request in signals.items()
    ]
    for name, slices in projection.backgrounds.items():
        for i, request in enumerate(slices):
            key = f"{name}, slice {i + 1}" if len(slices) > 1 else name
            parts.append(Part(key, name, name, request))
    return parts


def _group(point: str, signals: Collection[str]) -> str:
    return f"{SIGNAL}, {point}" if len(signals) > 1 else SIGNAL


def _differ(projection: Projection, benchmark: Benchmark, parts: Sequence[Part]) -> None:
    """See that no part of phase space is used twice, and that all parameters are known."""
    recipes = {p.key: recipe(benchmark, p.request, seed=projection.seed) for p in parts}
    seen: dict[str, str] = {}
    for name, made_by in recipes.items():
        if (first := seen.setdefault(made_by.hash, name)) != name:
            raise ValueError(f"{name}: expected events of its own; got those of {first}")
    made = {name: made_by.process for name, made_by in recipes.items() if not made_by.process.lhe}
    for (first, one), (name, other) in combinations(made.items(), 2):
        (a, b), (c, d) = limits(one), limits(other)
        if one.name == other.name and max(a, c) < min(b, d):
            raise ValueError(
                f"{name}: expected a part of phase space beside that of {first}; got pTHat from "
                f"{c:g} to {d:g} GeV and from {a:g} to {b:g} GeV"
            )


def _tell(maker: Maker, parts: Sequence[Part]) -> None:
    """What is to be generated, how much of it is expected to pass, and how long it takes."""
    wanted = [(part, maker.lacking(part.request)) for part in parts]
    if not any(n for _, n in wanted) or maker.missing == "leave":
        return
    for part, n in wanted:
        if n:
            there = max(part.request.events - n, 0)
            note = estimate(maker.benchmark, part.request, n)
            maker.report(f"plan {part.key}", there, part.request.events, note)
    whole = sum(part.request.events for part in parts)
    note = total(maker.benchmark, [(part.request, n) for part, n in wanted])
    maker.report("plan", max(whole - sum(n for _, n in wanted), 0), whole, note)


def _slice(part: Part, sample: Sample, benchmark: Benchmark) -> Slice:
    process = benchmark.process(part.request.process, part.request.parameters)
    try:
        value, error = cross_section(sample, process)
        folder = numbers(sample, _features(benchmark))
    except ValueError as found:
        raise ValueError(f"{part.key}: {found}") from found
    return Slice(part.process, folder, value, error, sample.n_generated, sample.cutflow)


def _grouped(parts: Sequence[Part], slices: Sequence[Slice]) -> dict[str, tuple[Slice, ...]]:
    groups: dict[str, list[Slice]] = {}
    for part, one in zip(parts, slices, strict=True):
        groups.setdefault(part.group, []).append(one)
    return {name: tuple(group) for name, group in groups.items()}


def _vetoed(parts: Sequence[Part], benchmark: Benchmark) -> frozenset[str]:
    """Groups of which some events passed a veto in front of the cuts."""
    requests = [(part.group, part.request) for part in parts]
    return frozenset(
        group
        for group, request in requests
        if benchmark.process(request.process, request.parameters).veto is not None
    )


def _scaled(slices: Sequence[Slice], selected_fb: Mapping[str, float]) -> list[Slice]:
    """The slices of all processes, with the cross sections of some after the selection as given."""
    whole = weigh(slices, luminosity_fb=1.0)
    found = dict(zip(whole.names, whole.cross_section_fb.tolist(), strict=True))
    scale = {name: selected_fb.get(name, sigma) / sigma for name, sigma in found.items()}
    return [
        replace(
            one,
            cross_section_fb=scale[one.name] * one.cross_section_fb,
            cross_section_error_fb=scale[one.name] * one.cross_section_error_fb,
        )
        for one in slices
    ]
