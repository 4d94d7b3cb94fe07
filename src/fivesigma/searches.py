"""One task of a calibrated search: the whole chain in some data sets, with and without a signal."""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arms import build
from .configuration import Search
from .datasets import Dataset
from .digest import digest
from .doctor import examine
from .evaluation import auc, roc
from .folds import Scored, cross_score, deal
from .rows import Rows
from .search import Events, naive, search
from .tasks import Ready, Task, blocks

__all__ = ["SearchTask"]


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

    @property
    def hash(self) -> str:
        """Digest of all that decides the record."""
        how = self.settings.model_dump(exclude={"null_sets", "sets_per_task", "data"})
        data = self.data and ["/".join(path.parts[-2:]) for path in self.data]
        return digest({"task": self.task.hash, "search": how, "data": data})

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
        ready = self.task.prepare()
        if self.data:
            ready = replace(ready, data=(self._observed(),))
        folds = [
            deal(data.y, self.settings.folds, rng=np.random.default_rng(seed))
            for data, seed in zip(ready.data, ready.learner.seeds, strict=True)
        ]
        scored = cross_score(
            *(ready.strategy, ready.start, ready.data, folds, ready.learner),
            members=self.settings.members,
        )
        simple = self._naive(ready) if self.settings.naive == "beside" else [{}] * len(scored)
        sets = []
        for i, training in enumerate(self.task.trainings):
            tests = ready.tests[training.repeat]
            sets.append(
                {"repeat": training.repeat, "s_over_sqrt_b": training.strengths[0]}
                | {"seed": ready.learner.seeds[i], "naive": simple[i]}
                | self._set(ready.data[i], scored[i], tests)
            )
        return {"hash": self.hash, "sets": sets}

    def _set(self, data: Dataset, scored: Scored, tests: tuple[Any, Any]) -> dict[str, Any]:
        inside, mass = data.y == 1, self._kinematics(data)[:, 0].astype(np.float64)
        signal, background = (scored.of(x) for x in tests)
        found = {}
        for how in self.settings.background:
            template = background if how == "template" else None
            events = Events(scored, mass, inside, template, self.settings.degree)
            outcome = search(events, eps_b=self.task.eps_b)
            true = inside & (data.truth == 1)
            n_signal = [int((events.passing(cut.eps_b) & true).sum()) for cut in outcome.cuts]
            found[how] = dataclasses.asdict(outcome) | {"n_signal": n_signal}
            if self.data:
                found[how]["doctor"] = self._examined(events, data)
        auc = _auc(signal[0], background[0])
        return {"n_events": int(inside.sum()), "auc": auc, "outcomes": found}

    def _examined(self, events: Events, data: Dataset) -> list[dict[str, Any]]:
        rng = np.random.default_rng(self.task.seed)
        found = examine(events, self._kinematics(data), eps_b=self.task.eps_b, rng=rng)
        return [
            dataclasses.asdict(finding)
            | {"value": finding.value if np.isfinite(finding.value) else None}
            for finding in found
        ]

    def _kinematics(self, data: Dataset) -> NDArray[np.float32]:
        return self.task.kinematics(data) if self.data is None else blocks(self.data[1])[:]

    def _observed(self) -> Dataset:
        """The events that are not simulated, labelled by region."""
        assert self.data is not None
        events = blocks(self.data[0])
        n = [len(rows) for rows in events.rows()]
        y = np.repeat([1, 0], n)
        data = Dataset(Rows(events, np.arange(sum(n))), y, np.zeros(sum(n)), np.ones(sum(n)))
        return build(self.task.arm).contrast(data, blocks(self.data[1])[:])

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


def _auc(signal: NDArray[Any], background: NDArray[Any]) -> float:
    truth = np.repeat([1, 0], [len(signal), len(background)])
    return auc(roc(np.concatenate([signal, background]), truth)).value
