"""The events of a study, made where they are missing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .arms import build
from .benchmarks import BENCHMARKS, Benchmark
from .configuration import Arm, SampleRequest, Study
from .costs import estimate
from .demands import (
    check_recipes,
    check_windows,
    enough_expected,
    enough_held_out,
    enough_observed,
    spectrum_of,
)
from .events import Process
from .observed import take_in
from .pretrained import check_pretrained, enough_to_meta_train
from .sample import Sample
from .store import Recipe, lacking, make
from .tasks import REGIONS

__all__ = [
    *("Maker", "Missing", "Report", "Samples"),
    *("at_point", "benchmark_named", "n_background", "normalised", "point_name"),
    *("prepare", "recipe"),
]

Missing = Literal["run", "leave"]
Report = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, note)."""


@dataclass(frozen=True)
class Samples:
    """The events of a study."""

    benchmark: Benchmark
    """Its physics."""
    targets: dict[str, Sample]
    """Signal events by the name of their parameter point."""
    background: Sample
    """Background events."""
    sources: dict[str, Sample]
    """Signal events to learn from, by the name of their parameter point."""
    source_background: Sample | None
    """Background events to learn from, of which none is in `background`."""
    observed: Sample | None = None
    """Events to search in that are not simulated."""

    def source_names(self, target: str) -> list[str]:
        """What may be learnt from before this target."""
        return [name for name in self.sources if name != target]

    def n_background(self, study: Study, arm: Arm | None = None) -> int:
        """Background events in the signal region: of the luminosity, or of what is observed."""
        if self.observed is None or study.luminosity_fb is not None:
            return n_background(study, self.benchmark, arm)
        return int(self.observed.passed(REGIONS[0]))

    def expected(self, study: Study) -> dict[str, float]:
        """Background events in each region of the smallest data."""
        n = min(self.n_background(study, arm) for arm in study.arms)
        inside, outside = map(self.background.passed, REGIONS)
        return {REGIONS[0]: n, REGIONS[1]: n * outside / inside}

    def luminosity_fb(self, study: Study) -> float:
        """Integrated luminosity to which these belong [1/fb]."""
        benchmark = self.benchmark
        if self.observed is not None and study.luminosity_fb is None:
            return self.n_background(study) / benchmark.background_cross_section_fb
        return study.luminosity_fb or benchmark.luminosity_fb


def prepare(
    study: Study, *, store: Path, workers: int, report: Report, missing: Missing = "run"
) -> Samples:
    """Check the names in a study and make its samples, or open them where none is to be made.

    Raises:
        ValueError: A name that does not exist, a sample with too few events for the study, or one
            that is not there.
    """
    benchmark = benchmark_named(study.benchmark)
    least = min(n_background(study, benchmark, arm) for arm in study.arms)
    if least < 1:
        raise ValueError(
            "luminosity_fb: expected background events in the signal region; got none at "
            f"{study.luminosity_fb or benchmark.luminosity_fb:g} /fb"
        )
    targets = _targets(study, benchmark)
    points = _source_points(study, benchmark, list(targets))
    check_pretrained(study, targets)
    enough_held_out(study)
    if study.search:
        check_windows(study.search, benchmark)
        spectrum_of(study.search, benchmark)
        if study.luminosity_fb is not None or study.search.data is None:
            enough_expected(study, study.search, {REGIONS[0]: least})
    backgrounds = [study.background, *([study.sources.background] if study.sources else [])]
    signals = [*targets.values(), *points.values()]
    check_recipes(
        *([recipe(benchmark, r, seed=study.seed) for r in part] for part in (signals, backgrounds))
    )
    data = study.search.data if study.search else None
    observed = take_in(data, benchmark, folder=store, report=report) if data else None
    if observed and study.search:
        enough_observed(study, study.search, observed)
    sample = Maker(benchmark, study.seed, store, workers, report, missing)
    samples = Samples(
        observed=observed,
        benchmark=benchmark,
        targets={name: sample(name, request) for name, request in targets.items()},
        background=sample("background", study.background),
        sources={name: sample(name, request) for name, request in points.items()},
        source_background=_source_background(study, benchmark, sample),
    )
    _enough(study, samples)
    if study.search:
        enough_expected(study, study.search, samples.expected(study))
    enough_to_meta_train(study, samples.sources, samples.source_background)
    return samples


def benchmark_named(name: str) -> Benchmark:
    """A benchmark of the shelf.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"benchmark: expected one of {sorted(BENCHMARKS)}; got {name!r}")
    return BENCHMARKS[name]


@dataclass(frozen=True)
class Maker:
    """Makes samples of a benchmark."""

    benchmark: Benchmark
    """Its physics."""
    seed: int
    """Of the study."""
    store: Path
    """Folder of the samples."""
    workers: int
    """Processes."""
    report: Report
    """Told about progress."""
    missing: Missing = "run"
    """Whether events that are not there are made, or are an error."""

    def lacking(self, request: SampleRequest) -> int:
        """How many events of a request are to be generated."""
        made_by = recipe(self.benchmark, request, seed=self.seed)
        return lacking(made_by, request.events, folder=self.store)

    def __call__(self, role: str, request: SampleRequest, skip: int = 0) -> Sample:
        """The sample of a request, behind its first `skip` events; made where it is missing."""
        made_by, n = recipe(self.benchmark, request, seed=self.seed), request.events
        todo = lacking(made_by, n, folder=self.store, skip=skip)
        if todo and self.missing == "leave":
            raise ValueError(
                f"--missing leave: expected the events of the study; {todo} of {role} are not in "
                f"{self.store}, and are made without it"
            )
        note = estimate(self.benchmark, request, todo)
        sample = make(
            made_by,
            n,
            folder=self.store,
            skip=skip,
            workers=self.workers,
            progress=lambda done, total: self.report(f"generate {role}", done, total, note),
        )
        return normalised(sample, made_by.process)


def normalised(sample: Sample, process: Process) -> Sample:
    """The sample with the K factor of its process."""
    return replace(sample, k_factor=1.0 if process.k_factor is None else process.k_factor)


def _targets(study: Study, benchmark: Benchmark) -> dict[str, SampleRequest]:
    if not study.targets:
        return {point_name(study.signal, benchmark): study.signal}
    return {name: at_point(benchmark, name, study.signal, "targets") for name in study.targets}


def at_point(
    benchmark: Benchmark, point: str | Mapping[str, Any], request: SampleRequest, key: str
) -> SampleRequest:
    """The request at a parameter point, by its name or its parameters.

    Raises:
        ValueError: There is none of that name; the key of the study is named.
    """
    if isinstance(point, str) and point not in benchmark.points:
        raise ValueError(f"{key}: expected points of {list(benchmark.points)}; got {point!r}")
    chosen = benchmark.points[point] if isinstance(point, str) else dict(point)
    return request.model_copy(update={"parameters": request.parameters | chosen})


def point_name(request: SampleRequest, benchmark: Benchmark) -> str:
    """The name of the parameter point of a request, or what the process calls itself."""
    made = benchmark.process(request.process, request.parameters)
    if request.process == benchmark.signal:
        for name, point in benchmark.points.items():
            if benchmark.process(request.process, request.parameters | point) == made:
                return name
    return made.name


def _source_points(
    study: Study, benchmark: Benchmark, targets: list[str]
) -> dict[str, SampleRequest]:
    learning = [arm.name for arm in study.arms if build(arm).source != "none"]
    if study.sources is None:
        if learning:
            raise ValueError(
                f"sources: expected samples that {learning[0]!r} learns from; got none"
            )
        return {}
    if not learning:
        return {}
    named = study.sources.points
    names = list(benchmark.points) if named == "others" else list(named)
    if len(targets) == 1:
        names = [name for name in names if name not in targets]
    request = SampleRequest(
        process=study.signal.process,
        events=study.sources.events,
        parameters=study.sources.parameters,
    )
    points = {name: at_point(benchmark, name, request, "sources.points") for name in names}
    for target in targets:
        if not set(points) - {target}:
            raise ValueError(f"sources.points: expected points besides {target}; got none")
    return points


def _source_background(
    study: Study, benchmark: Benchmark, sample: Callable[..., Sample]
) -> Sample | None:
    if study.sources is None or all(build(a).source == "none" for a in study.arms):
        return None
    request = study.sources.background
    one, other = (recipe(benchmark, r, seed=study.seed) for r in (request, study.background))
    return sample("background of the sources", request, study.background.events * (one == other))


def recipe(benchmark: Benchmark, request: SampleRequest, *, seed: int) -> Recipe:
    """How the events of a request are made."""
    process = benchmark.process(request.process, request.parameters)
    return Recipe(process, benchmark.detector, benchmark.jets, benchmark.selection, seed=seed)


def _enough(study: Study, samples: Samples) -> None:
    b = max(samples.n_background(study, arm) for arm in study.arms)
    s = max(study.grid.s_over_sqrt_b) * b**0.5
    train = {"signal": s, "background": b}
    for arm in study.arms:
        if arm.label == "supervised":
            n_each = arm.supervised_events or samples.n_background(study, arm)
            train = {role: max(n, n_each) for role, n in train.items()}
    if study.search:  # counts of its data sets vary
        train = {role: n + 5 * n**0.5 for role, n in train.items()}
    every = [("background", study.background, samples.background)]
    every += [("signal", study.signal, sample) for sample in samples.targets.values()]
    for role, request, sample in every:
        needed = train[role] + getattr(study.held_out, role)
        if (got := sample.passed(REGIONS[0])) < needed:
            enough = 1000 * math.ceil(1.05e-3 * needed / max(got, 1) * sample.n_generated)
            raise ValueError(
                f"{role}.events: expected {needed:.0f} events in the signal region (data and held "
                f"out); got {got} from {sample.n_generated} generated; "
                f"about --set {role}.events={enough} makes as many ({request.process})"
            )
        if role == "background" and not sample.passed(REGIONS[1]):
            raise ValueError(
                f"background.events: expected events in the sideband; got 0 from "
                f"{sample.n_generated} generated"
            )


def n_background(study: Study, benchmark: Benchmark, arm: Arm | None = None) -> int:
    """Background events in the signal region at the luminosity of a study, or of an arm."""
    luminosity = study.luminosity_fb or benchmark.luminosity_fb
    times = (arm and arm.luminosity) or 1
    return round(times * luminosity * benchmark.background_cross_section_fb)
