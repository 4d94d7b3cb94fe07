"""What a study has to do: its grid as a list of tasks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .arms import Built, build
from .background import Spectrum
from .configuration import Arm, Search, Study
from .demands import check_windows, spectrum_of
from .representations import REPRESENTATIONS, Representation
from .represented import represent
from .sample import Sample
from .samples import Report, Samples
from .searches import SearchTask, windows
from .sources import Source
from .tasks import Pretraining, Task, Training, blocks
from .windows import demand

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The tasks of a study; represents its events where that is missing."""

    study: Study
    """Configuration."""
    samples: Samples
    """Its events."""
    store: Path
    """Folder of the samples and of the pretrained networks."""
    report: Report
    """Told about progress."""
    _folders: dict[tuple[Path, int, str], Path] = field(default_factory=dict)

    def searches(self) -> list[SearchTask]:
        """Data sets to search in, those without a signal first.

        Raises:
            ValueError: if a window is beyond the regions, or has too few events, or a spectrum
                cannot be fitted in the regions.
        """
        search = self.study.search
        assert search is not None
        self._demand(search)
        spectrum = spectrum_of(search, self.samples.benchmark)
        sets = {0.0: search.null_sets} | {
            s: self.study.grid.repeats for s in self.study.grid.s_over_sqrt_b if s > 0
        }
        return self._of_data(search, spectrum) + [
            SearchTask(
                self._task(arm, target, chunk, kinematics="always"), search, spectrum=spectrum
            )
            for strength, n in sets.items()
            for arm in self.study.arms
            for target in self._searched(arm, strength)
            for chunk in batched([Training(r, (strength,)) for r in range(n)], search.sets_per_task)
        ]

    def _searched(self, arm: Arm, strength: float) -> list[str]:
        """Targets to search for: without a signal one, unless the network to start from differs."""
        targets = list(self.samples.targets)
        return targets if strength or build(arm).source != "none" else targets[:1]

    def _demand(self, search: Search) -> None:
        """Ask for events in each window."""
        if search.windows is None:
            return
        check_windows(search, self.samples.benchmark)
        observed = self.samples.observed
        for sample in (self.samples.background, *([observed] if observed else [])):
            events = blocks(self._folder(sample, REPRESENTATIONS["dijet"]()))
            least = min(map(self._n_background, self.study.arms)) / max(len(events.parts[0]), 1)
            try:
                demand(
                    windows(search.windows),
                    events[:][:, 0],
                    scale=1.0 if sample is observed else least,
                    folds=search.folds,
                    eps_b=min(search.windows.eps_b or self.study.grid.eps_b),
                )
            except ValueError as error:
                raise ValueError(f"search.windows: {error}") from error

    def _of_data(self, search: Search, spectrum: Spectrum | None) -> list[SearchTask]:
        """Searches in events that are not simulated."""
        if (observed := self.samples.observed) is None:
            return []
        target, once = next(iter(self.samples.targets)), (Training(0, (0.0,)),)
        return [
            SearchTask(
                self._task(arm, target, once, kinematics="always"),
                search,
                (
                    self._folder(observed, build(arm).stored),
                    self._folder(observed, REPRESENTATIONS["dijet"]()),
                ),
                spectrum,
            )
            for arm in self.study.arms
        ]

    def tasks(self) -> list[Task]:
        """What to learn, all arms of the first repeat first."""
        found = [
            (trainings[0].repeat, self._task(arm, target, trainings))
            for arm in self.study.arms
            for target in self.samples.targets
            for trainings in self._trainings(arm, build(arm))
        ]
        return [task for _, task in sorted(found, key=lambda pair: pair[0])]

    def pretraining(self) -> list[Pretraining]:
        """What to learn before, each once."""
        found = [
            self._pretraining(arm, target)
            for arm in self.study.arms
            for target in self.samples.targets
            if build(arm).source != "none"
        ]
        found += [p.base() for p in found if p.source.meta]
        return list({pretraining.path: pretraining for pretraining in found}.values())

    def _task(
        self,
        arm: Arm,
        target: str,
        trainings: tuple[Training, ...],
        *,
        kinematics: Literal["where needed", "always"] = "where needed",
    ) -> Task:
        built, study, samples = build(arm), self.study, self.samples
        pair = (samples.targets[target], samples.background)
        pools = (self._folder(pair[0], built.stored), self._folder(pair[1], built.stored))
        dijet = None
        if arm.contrast or kinematics == "always":
            columns = REPRESENTATIONS["dijet"]()
            dijet = (self._folder(pair[0], columns), self._folder(pair[1], columns))
        return Task(
            arm=arm,
            target=target,
            trainings=trainings,
            seed=study.seed,
            n_background=self._n_background(arm),
            held_out=(study.held_out.signal, study.held_out.background),
            eps_b=tuple(study.grid.eps_b),
            pools=pools,
            dijet=dijet,
            source=self._source(arm, built, target),
        )

    def _n_background(self, arm: Arm) -> int:
        return self.samples.n_background(self.study, arm)

    def _source(self, arm: Arm, built: Built, target: str) -> Path | None:
        """File of the network to start from."""
        if built.source != "none":
            return self._pretraining(arm, target).path
        return arm.pretrained

    def _trainings(self, arm: Arm, built: Built) -> list[tuple[Training, ...]]:
        grid = self.study.grid
        whole = tuple(grid.s_over_sqrt_b)
        each = [whole] if arm.label != "cwola" else [(s,) for s in whole]
        trainings = [
            Training(r, strengths, k or None)
            for r in range(grid.repeats)
            for strengths in each
            for k in range(grid.restarts if arm.label != "sources" else 1)
        ]
        if built.strategy.together == "all":
            return [tuple(trainings)]
        return [(training,) for training in trainings]

    def _pretraining(self, arm: Arm, target: str) -> Pretraining:
        built, samples, sources = build(arm), self.samples, self.study.sources
        assert sources is not None
        assert samples.source_background is not None
        names = tuple(samples.source_names(target))
        source = Source(
            signals=tuple(self._folder(samples.sources[name], built.stored) for name in names),
            background=self._folder(samples.source_background, built.stored),
            regions=tuple(sources.regions),
            network=arm.network,
            architecture=tuple(sorted(arm.architecture.items())),
            learns=built.source,
            settings=built.pretraining,
            seed=self.study.seed,
            meta=getattr(built.strategy, "meta", None),
            names=names,
            representation=built.seen.name,
        )
        title = f"{arm.network} without {target}{', meta-trained' if source.meta else ''}"
        return Pretraining(source, self.store / "networks" / f"{source.hash}.pt", title)

    def _folder(self, sample: Sample, representation: Representation) -> Path:
        key = (sample.shards[0], len(sample.shards), representation.name)
        if key not in self._folders:
            benchmark = self.samples.benchmark
            self._folders[key] = represent(sample, representation, benchmark, self.report)
        return self._folders[key]


def batched(trainings: list[Training], n: int) -> Iterator[tuple[Training, ...]]:
    """Runs of n trainings; the last may be shorter."""
    for i in range(0, len(trainings), n):
        yield tuple(trainings[i : i + n])
