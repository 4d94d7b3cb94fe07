"""One task of a calibrated search: the whole chain in some data sets, with and without a signal."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .arms import build
from .background import Spectrum
from .configuration import Search, Windows
from .datasets import Dataset
from .decorrelation import standardise
from .digest import digest
from .doctor import examine
from .evaluation import auc, roc
from .folds import Scored, cross_score, deal
from .rows import Rows
from .search import Events, naive, search
from .sources import learnt
from .tasks import Ready, Task, blocks
from .windows import Window, sliding

__all__ = ["SearchTask", "windows"]

Floats: TypeAlias = NDArray[np.float64]
BIN = 50.0  # GeV


@dataclass(frozen=True)
class SearchTask:
    """Data sets of one method to search in."""

    task: Task
    """What would be learnt from each as a whole."""
    settings: Search
    """How to search."""
    data: tuple[Path, Path] | None = None
    """Folders of represented events that are not simulated, and of their kinematics, to search in
    instead."""
    spectrum: Spectrum | None = None
    """Where the spectrum is fitted, if that is asked for."""

    @property
    def hash(self) -> str:
        """Digest of all that decides the record."""
        how = self.settings.model_dump(exclude={"null_sets", "sets_per_task", "data"})
        data = self.data and ["/".join(path.parts[-2:]) for path in self.data]
        fitted = self.spectrum and dataclasses.asdict(self.spectrum)
        made_of = {"task": self.task.hash, "search": how, "data": data, "spectrum": fitted}
        return digest(made_of)

    @property
    def title(self) -> str:
        """What it is, for people."""
        if self.data:
            return f"{self.task.arm.name}, data"
        first, n = self.task.trainings[0], len(self.task.trainings)
        strength = f"S/sqrt(B) = {first.strengths[0]:g}"
        return f"{self.task.arm.name}, {self.task.target}, {strength}, {n} data sets"

    def run(self) -> dict[str, Any]:
        """The record of the task."""
        ready = self.task.prepare("poisson")
        if self.data:
            ready = replace(ready, data=(self._observed(),))
        scored = self._scored(ready, ready.data, ready.learner.seeds)
        simple = self._naive(ready) if self.settings.naive == "beside" else [{}] * len(scored)
        hunted = self._hunt(ready)
        sets = []
        for i, training in enumerate(self.task.trainings):
            found = _tried(
                partial(self._set, ready.data[i], scored[i], ready.tests[training.repeat])
            )
            if hunted:
                found |= {"windows": hunted[i]} | next((w for w in hunted[i] if "failed" in w), {})
            about: dict[str, Any] = {
                "repeat": training.repeat,
                "s_over_sqrt_b": training.strengths[0],
            }
            about |= {"seed": ready.learner.seeds[i], "naive": simple[i]}
            about |= self._shares(scored[i])
            sets.append(about | found)
        if all("failed" in one for one in sets):
            raise ValueError(sets[0]["failed"])
        return {"hash": self.hash, "sets": sets}

    def _scored(self, ready: Ready, data: Sequence[Dataset], seeds: Sequence[Any]) -> list[Scored]:
        """Out-of-fold scores of data sets; the seeds are of their folds."""
        folds = [
            deal(one.y, self.settings.folds, rng=np.random.default_rng(seed))
            for one, seed in zip(data, seeds, strict=True)
        ]
        how = ready.strategy, ready.start, data, folds, ready.learner
        weigh = self._weighed if self.task.arm.contrast else None
        return cross_score(*how, members=self.settings.members, weigh=weigh)

    def _weighed(self, data: Dataset) -> Dataset:
        """Events to train on, weighed by what they are alone."""
        plain = replace(data, weight=np.ones(len(data)))
        return build(self.task.arm).contrast(plain, self._kinematics(data))

    def _set(self, data: Dataset, scored: Scored, tests: tuple[Any, Any]) -> dict[str, Any]:
        inside, mass = data.y == 1, self._kinematics(data)[:, 0].astype(np.float64)
        signal, background = (scored.of(x) for x in tests)
        simulated = background, self.task.kinematics(tests[1])[:, 0].astype(np.float64)
        found = {}
        for how in self.settings.background:
            template = simulated if how == "template" else None
            events = self._events(scored, mass, inside, template)
            if how == "spectrum":
                events = replace(events, spectrum=self.spectrum)
            found[how] = _outcome(events, data, self.task.eps_b)
            if self.data:
                found[how]["doctor"] = self._examined(events, data)
                found[how]["m_jj"] = _spectra(events, self.task.eps_b)
        n = {"n_events": int(inside.sum()), "n_sideband": int((~inside).sum())}
        return n | {"auc": _auc(signal[0], background[0]), "outcomes": found}

    def _shares(self, scored: Scored) -> dict[str, dict[str, float]]:
        """What the signal is made of, by the names of the known ones, where that is fitted."""
        if scored.shares is None:
            return {}
        assert self.task.source is not None
        names = learnt(self.task.source)["names"]
        return {"shares": dict(zip(names, scored.shares.tolist(), strict=True))}

    def _events(
        self,
        scored: Scored,
        mass: Floats,
        inside: NDArray[np.bool_],
        template: tuple[Floats, Floats] | None = None,
    ) -> Events:
        """What is known of events, with scores as asked for; template: of scores and masses."""
        scores, simulated = scored.score, template and template[0]
        if self.settings.score == "standardised":
            known = standardise(scores, mass, ~inside, degree=self.settings.degree)
            scores, simulated = known(scores, mass), template and known(*template)
        return Events(replace(scored, score=scores), mass, inside, simulated, self.settings.degree)

    def _hunt(self, ready: Ready) -> list[list[dict[str, Any]]]:
        """By data set: what is found in each window."""
        if self.settings.windows is None:
            return []
        found = []
        for w, window in enumerate(windows(self.settings.windows)):
            try:
                found.append(self._in_window(w, window, ready))
            except ValueError as error:
                raise ValueError(f"{_where(window)}: {error}") from error
        return [list(of_set) for of_set in zip(*found, strict=True)]

    def _in_window(self, w: int, window: Window, ready: Ready) -> list[dict[str, Any]]:
        """What is found in a window of each data set, by models trained for this window."""
        assert self.settings.windows is not None
        data, masses = zip(*(self._relabelled(d, window) for d in ready.data), strict=True)
        seeds = [np.random.SeedSequence([s, 1 + w]) for s in ready.learner.seeds]
        learner = replace(
            ready.learner, seeds=tuple(int(s.generate_state(1)[0]) % 2**31 for s in seeds)
        )
        scored = self._scored(replace(ready, learner=learner), data, seeds)
        eps_b = self.settings.windows.eps_b or self.task.eps_b
        return [
            _tried(partial(self._of_window, s, mass, one, eps_b), where=f"{_where(window)}: ")
            for one, mass, s in zip(data, masses, scored, strict=True)
        ]

    def _of_window(
        self, scored: Scored, mass: Floats, data: Dataset, eps_b: Sequence[float]
    ) -> dict[str, Any]:
        return _outcome(self._events(scored, mass, data.y == 1), data, eps_b)

    def _relabelled(self, data: Dataset, window: Window) -> tuple[Dataset, Floats]:
        """The events in a window and its sidebands, labelled by these, and their masses."""
        mass = self._kinematics(data)[:, 0].astype(np.float64)
        label = window.label(mass)
        chosen = np.flatnonzero(label >= 0)
        found = replace(data.subset(chosen), y=label[chosen], weight=np.ones(len(chosen)))
        return found, mass[chosen]

    def _examined(self, events: Events, data: Dataset) -> list[dict[str, Any]]:
        rng = np.random.default_rng(self.task.seed)
        found = examine(events, self._kinematics(data), eps_b=self.task.eps_b, rng=rng)
        return [finding.record() for finding in found]

    def _kinematics(self, data: Dataset) -> NDArray[np.float32]:
        if self.data is None:
            return self.task.kinematics(data.x)
        assert isinstance(data.x, Rows)
        return blocks(self.data[1])[data.x.index]

    def _observed(self) -> Dataset:
        """The events that are not simulated, labelled by region."""
        assert self.data is not None
        events = blocks(self.data[0])
        n = [len(rows) for rows in events.rows()]
        y = np.repeat([1, 0], n)
        data = Dataset(Rows(events, np.arange(sum(n))), y, np.zeros(sum(n)), np.ones(sum(n)))
        return self._weighed(data)

    def _naive(self, ready: Ready) -> list[dict[str, float]]:
        """The common recipe on the same data sets."""
        fitted = ready.strategy(ready.start, ready.data, ready.learner)
        found = []
        for i, (training, data) in enumerate(zip(self.task.trainings, ready.data, strict=True)):
            inside = data.subset(np.flatnonzero(data.y == 1))
            _, background = ready.tests[training.repeat]
            scores = fitted.score(i, inside.x), fitted.score(i, background)
            found.append(naive(*scores, eps_b=self.task.eps_b))
        return found


def windows(settings: Windows) -> tuple[Window, ...]:
    """Where a hunt looks.

    Raises:
        ValueError: if no window is as narrow as the range.
    """
    return sliding(
        settings.range,
        half_width=settings.half_width,
        step=settings.step,
        sideband=settings.sideband,
    )


def _outcome(events: Events, data: Dataset, eps_b: Sequence[float]) -> dict[str, Any]:
    """What a search finds, with the signal behind its cuts."""
    outcome = search(events, eps_b=eps_b)
    true = events.inside & (data.truth == 1)
    n_signal = [int((events.passing(cut.eps_b) & true).sum()) for cut in outcome.cuts]
    return dataclasses.asdict(outcome) | {"n_signal": n_signal}


def _tried(make: Callable[[], dict[str, Any]], where: str = "") -> dict[str, Any]:
    """What is made of a data set, or why nothing is."""
    try:
        return make()
    except ValueError as error:
        return {"failed": f"{where}{error}"}


def _where(window: Window) -> str:
    return f"window at {window.centre:g} GeV"


def _spectra(events: Events, eps_b: Sequence[float]) -> dict[str, Any]:
    """Counts of the mass of all events and of those behind each cut, JSON types only."""
    m = events.mass
    edges = np.arange(math.floor(m.min() / BIN), math.floor(m.max() / BIN) + 2) * BIN
    passing = {"all": np.ones(len(m), bool)} | {f"{eps:g}": events.passing(eps) for eps in eps_b}
    counts = {name: np.histogram(m[which], edges)[0].tolist() for name, which in passing.items()}
    return {"edges_gev": edges.tolist(), "counts": counts}


def _auc(signal: NDArray[Any], background: NDArray[Any]) -> float:
    truth = np.repeat([1, 0], [len(signal), len(background)])
    return auc(roc(np.concatenate([signal, background]), truth)).value
