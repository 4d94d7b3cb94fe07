r"""Ensembles of boosted trees by XGBoost, which minimise any loss.

Each tree $T_t$ of a member $F_m = \eta \sum_t T_t$ lowers the loss $L$ of the logits before it to
second order, with a penalty of the logits $v_l$ of its leaves,

$$ T_t = \arg \min_T \sum_i \left[ G_i T(x_i) + \tfrac12 h_i T(x_i)^2 \right]
         + \frac\lambda2 \sum_l v_l^2
   \quad \Rightarrow \quad v_l = - \frac{\sum_{i \in l} G_i}{\sum_{i \in l} h_i + \lambda} , $$

where $G$ and $h$ are the derivatives of $N L$ (see `losses.tree_objective`), so that no unit of the
weights matters to $\lambda$. Trees are added until those of `patience` more have not lowered the
loss of events that the member does not see; the trees up to its lowest value are kept, unless it
is said to keep all. The score is the mean of the members, $s(x) = M^{-1} \sum_m \sigma(F_m(x))$.

The defaults are those of the thesis: depth 2, 200 trees, $\lambda = 0.4$, and what XGBoost does by
itself for what is not printed; `keep="all"` keeps its 200 trees. It names the Gini index, which
XGBoost does not have: its splits are those that lower the sum above most. Where a depth or
$\lambda$ is a list, every pair is tried, and the one with the lowest loss of held-out events,
averaged over members, is taken; the number of trees needs no list, since all numbers up to the
largest are looked at, unless all are kept.

References:
    XGBoost: A Scalable Tree Boosting System (Chen, Guestrin, 2016)
    https://arxiv.org/abs/1603.02754

    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    section 5.3.1
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from .base import Fitted, Learner, Scores, Source, Start, Together
from .trees import flat, for_each
from ..datasets import Dataset
from ..losses import Batchwise, CrossEntropy, Loss, tree_objective
from ..training import checked

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix  # takes a second to import

__all__ = ["Boosted"]

Floats: TypeAlias = NDArray[np.float64]
Grown: TypeAlias = "tuple[float, Booster]"


@dataclass(frozen=True)
class Boosted:
    """Train an ensemble on each target.

    Raises:
        ValueError: if a value is out of range.
    """

    source: ClassVar[Source] = "none"
    together: ClassVar[Together] = "one"

    members: int = 1
    """M, number of ensembles of trees, each with another split into training and validation."""

    trees: int = 200
    """Largest number of trees of a member."""

    keep: Literal["best", "all"] = "best"
    """Trees up to the lowest loss of held-out events, or all, whatever the patience."""

    depth: int | Sequence[int] = 2
    """Cuts from the root of a tree to a leaf; several to choose from."""

    penalty: float | Sequence[float] = 0.4
    """lambda, dimensionless; several to choose from."""

    learning_rate: float = 0.3
    """eta, dimensionless."""

    min_curvature: float = 1.0
    """Least sum of h in a leaf, dimensionless."""

    max_step: float | None = None
    """Longest step of a leaf in the logit, before eta; None for 1 if the loss is `Batchwise`, since
    it can be flat or concave, and for no limit if it is a mean over events."""

    loss: Loss = field(default_factory=CrossEntropy)
    """L. Events to train on and those held out each have the total weight of all."""

    def __post_init__(self) -> None:
        expectations = {
            "members": ("at least 1", self.members >= 1),
            "trees": ("at least 1", self.trees >= 1),
            "keep": ("best or all", self.keep in ("best", "all")),
            "depth": ("at least 1", min(_several(self.depth), default=0) >= 1),
            "penalty": ("at least 0", min(_several(self.penalty), default=-1) >= 0),
            "learning_rate": ("positive", 0 < self.learning_rate < math.inf),
            "min_curvature": ("at least 0", 0 <= self.min_curvature < math.inf),
            "max_step": ("positive", self.max_step is None or self.max_step > 0),
            "loss": ("a loss", callable(self.loss)),
        }
        for name, (expected, fulfilled) in expectations.items():
            if not fulfilled:
                raise ValueError(f"expected {name} to be {expected}; got {getattr(self, name)!r}")

    @property
    def grid(self) -> list[tuple[int, float]]:
        """Pairs of depth and lambda to choose from."""
        return list(itertools.product(_several(self.depth), _several(self.penalty)))

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; `start` is not used."""
        return for_each(self._fit, targets, learner)

    def _fit(self, target: Dataset, learner: Learner, seed: int) -> partial[Scores]:
        data = checked(target, at_least=10, name="to train on")
        members: list[list[Grown]] = []
        for m, member_seed in enumerate(np.random.SeedSequence(seed).generate_state(self.members)):
            parts = _parts(data, learner.settings.validation_fraction, seed=int(member_seed))
            members.append([self._grow(*parts, pair, learner, k) for k, pair in self._numbered(m)])
        held_out = [[loss for loss, _ in grown] for grown in members]
        best = int(np.mean(held_out, axis=0).argmin())
        return partial(_score, [grown[best][1] for grown in members])

    def _numbered(self, m: int) -> list[tuple[int, tuple[int, float]]]:
        """The grid of member m, each pair with the number of the training, counted from 1."""
        return list(enumerate(self.grid, 1 + m * len(self.grid)))

    def _grow(
        self,
        train: DMatrix,
        validation: DMatrix,
        pair: tuple[int, float],
        learner: Learner,
        number: int,
    ) -> Grown:
        """The loss of the held-out events, and the trees that are kept."""
        import xgboost

        losses: dict[str, dict[str, list[float]]] = {}
        stop = xgboost.callback.EarlyStopping(
            rounds=learner.settings.patience,
            data_name="validation",
            save_best=True,
            min_delta=learner.settings.min_delta,
        )
        booster = xgboost.train(
            self._options(*pair),
            train,
            num_boost_round=self.trees,
            evals=[(train, "train"), (validation, "validation")],
            obj=self._objective,
            custom_metric=self._loss,
            evals_result=losses,
            callbacks=[stop] if self.keep == "best" else [],
            verbose_eval=False,
        )
        last = (losses[part]["loss"][-1] for part in ("train", "validation"))
        learner.progress(number, self.members * len(self.grid), *last)
        held_out = losses["validation"]["loss"]
        return min(held_out) if self.keep == "best" else held_out[-1], booster

    def _options(self, depth: int, penalty: float) -> dict[str, Any]:
        return {
            "tree_method": "hist",
            "max_depth": depth,
            "reg_lambda": penalty,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.min_curvature,
            "base_score": 0.0,
            "disable_default_eval_metric": True,
        }

    def _objective(self, z: NDArray[Any], events: DMatrix) -> tuple[Floats, Floats]:
        step = self.max_step or (1.0 if isinstance(self.loss, Batchwise) else math.inf)
        return tree_objective(self.loss, z, events.get_label(), events.get_weight(), max_step=step)

    def _loss(self, z: NDArray[Any], events: DMatrix) -> tuple[str, float]:
        arrays = (z, events.get_label(), events.get_weight())
        return "loss", self.loss(*(torch.tensor(a, dtype=torch.float64) for a in arrays)).item()


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _parts(data: Dataset, held_out: float, *, seed: int) -> tuple[DMatrix, DMatrix]:
    """Events to train on, in bins, and held-out events; each of the total weight of all."""
    from xgboost import DMatrix, QuantileDMatrix

    parts = data.split(1 - held_out, rng=np.random.default_rng(seed))
    train, validation = (
        checked(part, at_least=1, name=name)
        for part, name in zip(parts, ("to train on", "to validate on"), strict=True)
    )
    total = data.weight.sum(dtype=np.float64)

    def matrix(kind: Any, part: Dataset) -> DMatrix:
        w = part.weight * (total / part.weight.sum(dtype=np.float64))
        made: DMatrix = kind(flat(part.x), part.y == 1, weight=w)
        return made

    return matrix(QuantileDMatrix, train), matrix(DMatrix, validation)


def _score(members: list[Booster], x: Any) -> Scores:
    events = flat(x)
    p = sum(expit(member.inplace_predict(events).astype(np.float64)) for member in members)
    return np.asarray(p / len(members), dtype=np.float32)
