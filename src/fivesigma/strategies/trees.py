r"""Ensembles of gradient-boosted trees on a few features.

Each member $F_m = \eta \sum_t T_{mt}$ minimises the cross entropy of the labels by a sum of
trees, stopped on events of its own that it does not see; the score is the mean of the members,

$$ s(x) = \frac1M \sum_m \sigma(F_m(x)) . $$

Trees need no scaling of features, ignore those that carry nothing and learn from few events, which
is what a search has.

References:
    Tree-based algorithms for weakly supervised anomaly detection
    (Finke, Hein, Kasieczka, Kraemer, Mueck, Prangchaikul, Quadfasel, Shih, Sommerhalder, 2023)
    https://arxiv.org/abs/2309.13111
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from .base import Fitted, Learner, Scores, Source, Start, Together
from ..datasets import Dataset
from ..training import checked

__all__ = ["Trees", "flat", "for_each"]

Ensemble: TypeAlias = tuple[list[HistGradientBoostingClassifier], list[NDArray[np.float32]]]
BINS = 255


@dataclass(frozen=True)
class Trees:
    """Train an ensemble on each target.

    Raises:
        ValueError: if a value is out of range.
    """

    source: ClassVar[Source] = "none"
    together: ClassVar[Together] = "one"

    members: int = 20
    """M, number of ensembles of trees, each with another split into training and validation."""

    learning_rate: float = 0.1
    """eta, dimensionless."""

    max_iter: int = 100
    """Largest number of trees of a member."""

    max_leaf_nodes: int = 31
    """Leaves of a tree."""

    min_samples_leaf: int = 20
    """Events in a leaf."""

    def __post_init__(self) -> None:
        least = {"members": 1, "max_iter": 1, "max_leaf_nodes": 2, "min_samples_leaf": 1}
        for name, n in least.items():
            if getattr(self, name) < n:
                raise ValueError(f"expected {name} of at least {n}; got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"expected learning_rate > 0; got {self.learning_rate}")

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; `start` is not used."""
        return for_each(self._fit, targets, learner)

    def _fit(self, target: Dataset, learner: Learner, seed: int) -> partial[Scores]:
        data = checked(target, at_least=10, name="to train on")
        edges, settings = _edges(flat(data.x)), learner.settings
        x, ensemble = _binned(data.x, edges), []
        for m, member_seed in enumerate(np.random.SeedSequence(seed).generate_state(self.members)):
            member = HistGradientBoostingClassifier(
                learning_rate=self.learning_rate,
                max_iter=self.max_iter,
                max_leaf_nodes=self.max_leaf_nodes,
                min_samples_leaf=self.min_samples_leaf,
                early_stopping=True,
                validation_fraction=settings.validation_fraction,
                n_iter_no_change=settings.patience,
                random_state=int(member_seed),
            )
            ensemble.append(member.fit(x, data.y == 1, sample_weight=data.weight))
            losses = -member.train_score_[-1], -member.validation_score_[-1]
            learner.progress(m + 1, self.members, *losses)
        return partial(_score, (ensemble, edges))


def for_each(
    fit: Callable[[Dataset, Learner, int], Callable[[Any], Scores]],
    targets: Sequence[Dataset],
    learner: Learner,
) -> Fitted:
    """What is learnt from each target by itself.

    Args:
        fit: maps a target, the learner and a seed to a function of events x, shape (N, *shape), to
            scores, shape (N,).
        targets: data sets.
        learner: of as many seeds.
    """
    score = [fit(target, learner, s) for target, s in zip(targets, learner.seeds, strict=True)]
    return Fitted(lambda i, x: score[i](x), (None,) * len(targets))


def _score(fitted: Ensemble, x: Any) -> Scores:
    ensemble, edges = fitted
    bins = _binned(x, edges)
    p = sum(member.predict_proba(bins)[:, 1] for member in ensemble)
    return np.asarray(p / len(ensemble), dtype=np.float32)


def _edges(x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Quantiles of each feature.

    Binned before it is given to them, a feature costs the trees nothing; they would take weighted
    quantiles of each feature for each member, which costs more than the trees.
    """
    quantiles = np.quantile(x, np.arange(1, BINS) / BINS, axis=0)
    return [np.unique(column).astype(np.float32) for column in quantiles.T]


def _binned(x: Any, edges: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    columns = flat(x).T
    bins = [np.searchsorted(e, c, "right") for e, c in zip(edges, columns, strict=True)]
    return np.stack(bins, axis=1).astype(np.float32)


def flat(x: Any) -> NDArray[np.float32]:
    """Events x, shape (N, *shape), in memory, shape (N, F)."""
    events = np.asarray(x[np.arange(len(x))], dtype=np.float32)
    return events.reshape(len(events), -1)
