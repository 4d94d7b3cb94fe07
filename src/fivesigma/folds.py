r"""Scores by models that never saw the event: cross-training in k folds.

Events are dealt to folds $f(i) \in \{1 \dots k\}$ before anything is fitted. $M$ models $F_{fm}$ of
fold $f$ are trained on the events of all other folds. Scores of different models have no common
scale, so what is averaged is the rank among the events of the fold outside the signal region,

$$ r_{fm}(i) = \frac{1}{|T_f|} \sum_{t \in T_f}
   \Big[ \mathbf 1(F_{fm}(x_t) < F_{fm}(x_i)) + \tfrac12 \mathbf 1(F_{fm}(x_t) = F_{fm}(x_i)) \Big]
   , \qquad s_i = \frac1M \sum_m r_{f(i) m}(i) . $$

A cut at the $n$-th largest score of the template of a fold, $n = \epsilon |T_f|$ rounded, is
passed by that event and by what is above: of background that is distributed like the template, by
the fraction $n / (|T_f| + 1)$ on average.

References:
    Extending the search for new resonances with machine learning
    (Collins, Howe, Nachman, 2019) https://arxiv.org/abs/1902.02634
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .datasets import Dataset
from .strategies import Fitted, Learner, Start, Strategy

__all__ = ["Scored", "cross_score", "deal", "rank", "threshold"]

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scored:
    """Out-of-fold scores of one data set."""

    score: Floats
    """s, mean rank of each event within [0, 1], shape (N,)."""

    fold: Index
    """Fold of each event, 0 to k - 1, shape (N,)."""

    collapsed: tuple[bool, ...]
    """Whether the models of each fold give one score to nearly all of its events."""

    of: Callable[[Any], Floats]
    """Scores s of other events x, shape (n, *shape), by the models of each fold, shape (k, n)."""

    shares: Floats | None = None
    """What the signal is made of, where the strategy says so: shares of the known signals, shape
    (K,), the mean over all models."""


def deal(labels: NDArray[Any], k: int, *, rng: np.random.Generator) -> Index:
    """Deal events to k folds at random, those of each label evenly.

    Args:
        labels: shape (N,).
        k: number of folds.
        rng: of the order.

    Returns:
        Folds, 0 to k - 1, shape (N,).

    Raises:
        ValueError: if there are fewer than two folds, or fewer than 2 k events of a label.
    """
    if k < 2:
        raise ValueError(f"expected at least 2 folds; got {k}")
    fold = np.empty(len(labels), np.intp)
    for label in np.unique(labels):
        chosen = np.flatnonzero(labels == label)
        if len(chosen) < 2 * k:
            raise ValueError(
                f"expected at least {2 * k} events of label {label:g} for {k} folds; "
                f"got {len(chosen)}"
            )
        fold[rng.permutation(chosen)] = np.arange(len(chosen)) % k
    return fold


def cross_score(
    strategy: Strategy,
    start: Start,
    data: Sequence[Dataset],
    folds: Sequence[Index],
    learner: Learner,
    *,
    members: int = 1,
    weigh: Callable[[Dataset], Dataset] | None = None,
) -> list[Scored]:
    """Score the events of each data set by models of the other folds.

    Args:
        strategy: how to learn.
        start: network to start from, for a seed.
        data: data sets labelled by region, y = 1 in the signal region.
        folds: fold of each of their events.
        learner: how to learn, with a seed for each data set.
        members: M, models of a fold, from different seeds.
        weigh: how events that models are trained on are weighed, looking at no others; by default
            they keep their weights.

    Raises:
        ValueError: if there are too few events in a fold, or scores that are not finite.
    """
    jobs = [
        (d, f, int(seed) % 2**31)
        for d, fold in enumerate(folds)
        for f in range(_k(fold))
        for seed in np.random.SeedSequence([learner.seeds[d], f]).generate_state(members)
    ]
    parts = {(d, f): data[d].subset(np.flatnonzero(folds[d] != f)) for d, f, _ in jobs}
    weighed = parts if weigh is None else {key: weigh(part) for key, part in parts.items()}
    targets = [weighed[d, f] for d, f, _ in jobs]
    fitted = strategy(start, targets, replace(learner, seeds=tuple(seed for *_, seed in jobs)))
    models: dict[tuple[int, int], list[int]] = {}
    for i, (d, f, _) in enumerate(jobs):
        models.setdefault((d, f), []).append(i)
    return [
        _scored(data[d], fold, [models[d, f] for f in range(_k(fold))], fitted)
        for d, fold in enumerate(folds)
    ]


def _scored(data: Dataset, fold: Index, models: list[list[int]], fitted: Fitted) -> Scored:
    score, collapsed, templates = np.empty(len(fold)), [], []
    for f, own in enumerate(models):
        held_out = data.subset(np.flatnonzero(fold == f))
        raw = [_finite(fitted.score(i, held_out.x)) for i in own]
        template = [np.sort(s[held_out.y != 1]) for s in raw]
        score[fold == f] = _mean_rank(raw, template)
        collapsed.append(any(map(_constant, raw)))
        templates.append(template)

    def of(x: Any) -> Floats:
        return np.array(
            [
                _mean_rank([_finite(fitted.score(i, x)) for i in own], template)
                for own, template in zip(models, templates, strict=True)
            ]
        )

    shares = [fitted.shares[i] for own in models for i in own] if fitted.shares else []
    mean = np.array(np.mean(shares, axis=0)) if shares else None
    return Scored(score, fold, tuple(collapsed), of, mean)


def _mean_rank(scores: list[NDArray[Any]], templates: list[NDArray[Any]]) -> Floats:
    ranks = [rank(s, t) for s, t in zip(scores, templates, strict=True)]
    return np.asarray(np.mean(ranks, axis=0), dtype=np.float64)


def rank(scores: NDArray[Any], template: NDArray[Any]) -> Floats:
    """Fraction of a sorted template, shape (T,), below each score, ties counted by half.

    Scores s between the same two of the template keep their order by s / (1 + |s|) / 4 T, which is
    less than a step of the rank: else all events above the template would share the rank 1.

    Raises:
        ValueError: if the template has no event.
    """
    if not len(template):
        raise ValueError("expected events outside the signal region in each fold; got none")
    below, upto = (np.searchsorted(template, scores, side) for side in ("left", "right"))
    r = (below + upto + scores / (1 + np.abs(scores)) / 2) / (2 * len(template))
    return np.asarray(r, dtype=np.float64)


def threshold(template: NDArray[Any], eps: float) -> float:
    """The cut that a fraction eps of a template passes; an event passes that is at least the cut.

    Args:
        template: scores, shape (T,).
        eps: background efficiency.

    Raises:
        ValueError: if eps is not within (0, 1), or leaves no event of the template.
    """
    if not 0 < eps < 1:
        raise ValueError(f"expected a background efficiency within (0, 1); got {eps}")
    if (n := round(eps * len(template))) < 1:
        raise ValueError(
            f"expected a background efficiency of at least {0.5 / max(len(template), 1):.2g}, "
            f"which leaves one of the {len(template)} template events of a fold; got {eps:g}"
        )
    return float(np.sort(template)[-n])


def _k(fold: Index) -> int:
    return int(fold.max()) + 1


def _finite(scores: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores; got {np.sum(~np.isfinite(scores))} that are not")
    return scores


def _constant(score: NDArray[Any]) -> bool:
    """Whether nine tenths of the events share one score."""
    _, counts = np.unique(score, return_counts=True)
    return bool(counts.max() > 0.9 * len(score))
