"""One task of a calibrated search: the whole chain in some data sets, with and without a signal."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .configuration import Search
from .datasets import Dataset
from .digest import digest
from .evaluation import auc, roc
from .folds import Scored, cross_score, deal
from .search import Events, naive, search
from .tasks import Ready, Task

__all__ = ["SearchTask"]


@dataclass(frozen=True)
class SearchTask:
    """Data sets of one method to search in."""

    task: Task
    """What would be learnt from each as a whole."""
    settings: Search
    """How to search."""

    @property
    def hash(self) -> str:
        """Digest of all that decides the record."""
        how = self.settings.model_dump(exclude={"null_sets", "sets_per_task"})
        return digest({"task": self.task.hash, "search": how})

    @property
    def title(self) -> str:
        """What it is, for people."""
        first, n = self.task.trainings[0], len(self.task.trainings)
        strength = f"S/sqrt(B) = {first.strengths[0]:g}"
        return f"{self.task.arm.name}, {self.task.target}, {strength}, {n} data sets"

    def run(self) -> dict[str, Any]:
        """The record of the task."""
        ready = self.task.prepare()
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
        inside, mass = data.y == 1, self.task.kinematics(data)[:, 0].astype(np.float64)
        signal, background = (scored.of(x) for x in tests)
        found = {}
        for how in self.settings.background:
            template = background if how == "template" else None
            events = Events(scored, mass, inside, template, self.settings.degree)
            outcome = search(events, eps_b=self.task.eps_b)
            true = inside & (data.truth == 1)
            n_signal = [int((events.passing(cut.eps_b) & true).sum()) for cut in outcome.cuts]
            found[how] = dataclasses.asdict(outcome) | {"n_signal": n_signal}
        auc = _auc(signal[0], background[0])
        return {"n_events": int(inside.sum()), "auc": auc, "outcomes": found}

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
