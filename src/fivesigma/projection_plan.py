"""The weighted events of a projection, and its grid of points, methods and repeats as tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from .arms import learning
from .benchmarks import Benchmark
from .configuration import SampleRequest
from .events import Process
from .projection import Projection
from .projections import ProjectionTask
from .quantities import FEATURES
from .sample import Sample
from .samples import Maker, Missing, Report, at_point, benchmark_named, point_name, recipe
from .yields import Slice, cross_section, numbers, weigh

__all__ = ["SIGNAL", "Prepared", "prepare_projection", "projection_tasks"]

SIGNAL = "signal"


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
    requests = {_key(SIGNAL, name): request for name, request in signals.items()}
    requests |= {
        _key(name, i if len(slices) > 1 else None): request
        for name, slices in projection.backgrounds.items()
        for i, request in enumerate(slices)
    }
    _differ(projection, benchmark, requests)
    maker = Maker(benchmark, projection.seed, store, workers, report, missing)
    samples = {name: maker(name, request) for name, request in requests.items()}
    names = [SIGNAL] * len(signals)
    names += [name for name, slices in projection.backgrounds.items() for _ in slices]
    made = [
        _slice(key, name, samples[key], requests[key], benchmark)
        for key, name in zip(requests, names, strict=True)
    ]
    for i in range(len(signals)):
        weigh([made[i], *made[len(signals) :]], luminosity_fb=1.0)  # where there are no events
    made = _scaled(made, projection.selected_fb)
    return Prepared(
        benchmark=benchmark,
        luminosity_fb=projection.luminosity_fb or benchmark.luminosity_fb,
        features=features,
        points={name: request.parameters for name, request in signals.items()},
        samples=samples,
        signals=dict(zip(signals, made, strict=False)),
        backgrounds=tuple(made[len(signals) :]),
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
    signal = projection.signal
    if not projection.points:
        return {point_name(signal, benchmark): signal}
    return {name: at_point(benchmark, name, signal, "points") for name in projection.points}


def _differ(
    projection: Projection, benchmark: Benchmark, requests: dict[str, SampleRequest]
) -> None:
    """See that no part of phase space is used twice, and that all parameters are known."""
    recipes = {
        name: recipe(benchmark, request, seed=projection.seed) for name, request in requests.items()
    }
    seen: dict[str, str] = {}
    for name, made_by in recipes.items():
        if (first := seen.setdefault(made_by.hash, name)) != name:
            raise ValueError(f"{name}: expected events of its own; got those of {first}")
    parts = {name: made_by.process for name, made_by in recipes.items() if not made_by.process.lhe}
    for (first, one), (name, other) in combinations(parts.items(), 2):
        (a, b), (c, d) = _limits(one), _limits(other)
        if one.name == other.name and max(a, c) < min(b, d):
            raise ValueError(
                f"{name}: expected a part of phase space beside that of {first}; got pTHat from "
                f"{c:g} to {d:g} GeV and from {a:g} to {b:g} GeV"
            )


def _limits(process: Process) -> tuple[float, float]:
    """Least and largest pTHat by the settings of a process [GeV]."""
    said = dict(line.split(" = ") for line in process.settings if " = " in line)
    low, high = (said.get(f"PhaseSpace:pTHat{end}") for end in ("Min", "Max"))
    return float(low or 0), float(high or "inf")


def _slice(
    key: str, name: str, sample: Sample, request: SampleRequest, benchmark: Benchmark
) -> Slice:
    process = benchmark.process(request.process, request.parameters)
    try:
        value, error = cross_section(sample, process)
        folder = numbers(sample, _features(benchmark))
    except ValueError as found:
        raise ValueError(f"{key}: {found}") from found
    return Slice(name, folder, value, error, sample.n_generated, sample.cutflow)


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


def _key(name: str, part: str | int | None) -> str:
    """The name of a sample in a report."""
    if part is None:
        return name
    return f"{name}, {part}" if isinstance(part, str) else f"{name}, slice {part + 1}"
