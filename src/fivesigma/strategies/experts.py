r"""A mixture of pretrained experts: which of the known signals, and how much of it?

A network that was trained to tell $K$ signals and the background apart knows the ratios of their
densities: with equal total weight of all signals and of the background in that training, its logits
$z$ give

$$ \frac{p_k(x)}{p_0(x)} = K e^{z_k(x) - z_0(x)} \equiv e^{l_k(x)} , \qquad k = 1 \dots K . $$

The events of the signal region are taken for a mixture of the background and of the known signals,
with $K$ free numbers instead of the weights of a network,

$$ \hat f, \hat a = \arg \max_{f, a} \sum_i w_i
   \log \Big[ 1 - f + f \sum_k a_k e^{l_k(x_i)} \Big] + \frac{\alpha}{K} \sum_k \log a_k ,
   \qquad \sum_k a_k = 1 , $$

found by expectation maximisation,

$$ r_{ik} = \frac{f a_k e^{l_k(x_i)}}{1 - f + f \sum_j a_j e^{l_j(x_i)}} , \qquad
   a_k \leftarrow \frac{\sum_i w_i r_{ik} + \alpha / K}{\sum_{ij} w_i r_{ij} + \alpha} , \qquad
   f \leftarrow \frac{\sum_{ik} w_i r_{ik}}{\sum_i w_i} . $$

The score is $\log \sum_k a_k e^{l_k}$. Without a signal $f$ goes to zero and $a$ to the uniform
prior, so that the score falls back on what all signals have in common. Sidebands are not used, and
nothing that differs between them and the signal region is learnt.

References:
    Maximum likelihood from incomplete data via the EM algorithm (Dempster, Laird, Rubin, 1977)
    https://doi.org/10.1111/j.2517-6161.1977.tb01600.x
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from .base import Embedding, Fitted, Learner, Source, Start, Together
from .transfer import pretrained
from ..datasets import Dataset
from ..prediction import logits

__all__ = ["Experts", "expectation_maximisation", "log_ratios", "of_mixtures", "see_ratios"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Experts:
    """Fit the composition of the signal in the signal region.

    Raises:
        ValueError: if a value is out of range.
    """

    source: ClassVar[Source] = "process"
    together: ClassVar[Together] = "all"

    prior: float = 50.0
    """alpha: the prior counts as many signal events, spread evenly over the experts."""

    def __post_init__(self) -> None:
        if not 0 < self.prior < math.inf:
            raise ValueError(f"expected a finite prior > 0; got {self.prior}")

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; `start` gives the pretrained network, whatever the seed."""

        def shares(l: Floats, w: Floats) -> Floats:
            return expectation_maximisation(l, w, prior=self.prior)[1]

        return of_mixtures(start, targets, learner, shares)


def of_mixtures(
    start: Start,
    targets: Sequence[Dataset],
    learner: Learner,
    shares: Callable[[Floats, Floats], Floats],
) -> Fitted:
    """Score events by a mixture of the experts, fitted to the signal region of each target.

    Args:
        start: gives the pretrained network.
        targets: data sets.
        learner: how to evaluate the network.
        shares: of l, shape (N, K), and weights, shape (N,), the shares of the experts, shape (K,).

    Raises:
        ValueError: if the network is not one of tower and head.
    """
    network, precision = pretrained(start), learner.settings.precision
    embedding = Embedding(network, learner.settings)

    def of(x: Any) -> Floats:
        return log_ratios(logits(network.head, embedding.of(x), precision=precision))

    mixtures = []
    for target in targets:
        inside = target.subset(np.flatnonzero(target.y == 1))
        mixtures.append(shares(of(inside.x), inside.weight.astype(np.float64)))
    score = lambda i, x: _score(of(x), mixtures[i])  # noqa: E731
    return Fitted(score, (None,) * len(targets), shares=tuple(mixtures))


def log_ratios(z: Tensor) -> Floats:
    """Ratios l, shape (N, K), of events with logits z, shape (N, 1 + K), background first."""
    l = np.asarray(z.numpy(), dtype=np.float64)
    return l[:, 1:] - l[:, :1] + math.log(l.shape[1] - 1)


def see_ratios(l: Floats) -> None:
    """See that there is an event, and that the ratios of all are finite.

    Raises:
        ValueError: if not.
    """
    if len(l) == 0 or not np.isfinite(l).all():
        raise ValueError(f"expected finite ratios of at least one event; got {len(l)} events")


def expectation_maximisation(
    l: Floats, w: Floats, *, prior: float, tolerance: float = 1e-6, steps: int = 2000
) -> tuple[float, Floats]:
    """Fraction of signal and its composition in a sample.

    Args:
        l: logarithms of the density ratios of the experts to the background, shape (N, K).
        w: weights of the events, shape (N,).
        prior: alpha, in events.
        tolerance: largest change of a number in the last step.
        steps: largest number of steps.

    Returns:
        (f, a): the fraction, and the shares a of the experts, shape (K,).

    Raises:
        ValueError: if there is no event, or one is not finite.
    """
    see_ratios(l)
    K = l.shape[1]
    f, a = 0.01, np.full(K, 1 / K)
    for _ in range(steps):
        t = l + np.log(np.maximum(f * a, 1e-300))
        r = np.exp(t - np.logaddexp(math.log1p(-f), logsumexp(t, axis=1))[:, None])
        n = w @ r
        new_f, new_a = min(n.sum() / w.sum(), 0.999), (n + prior / K) / (n.sum() + prior)
        change = max(abs(new_f - f), np.abs(new_a - a).max())
        f, a = float(new_f), new_a
        if change < tolerance:
            break
    return f, a


def _score(l: Floats, a: Floats) -> NDArray[np.float32]:
    return np.asarray(logsumexp(l, b=a, axis=1), dtype=np.float32)
