r"""One of several pretrained experts: which of the known signals do the data look like?

A mixture of experts (`experts`) is scored by what several of them want, though a search has one
signal. Here the events of the signal region are background and *one* of the known signals, with the
ratios $l_k$ of `experts`:

$$ L_k(f) = \sum_i w_i \log \big[ 1 - f + f e^{l_k(x_i)} \big] . $$

A network that learnt the background from a limited number of events finds a signal where there is
none: of what looks most like the background, one event in a hundred. So the same is asked of
simulated background of the signal region that the network did not learn from, $L'_k$, and only what
the data have beyond it is evidence,

$$ \Lambda_k = \max_{f \ge f'} \big[ L_k(f) + L'_k(f') \big]
   - \max_f \big[ L_k(f) + L'_k(f) \big] \ge 0 , \qquad
   a_k = \frac{e^{\Lambda_k}}{\sum_j e^{\Lambda_j}} , $$

a likelihood ratio in which the events of the simulation, however few, say how well it is known what
is not a signal. The score is $\log \sum_k a_k e^{l_k}$. Without a signal there is little evidence
for any, and the score is what all signals have in common. There is nothing to choose.

The shares $a_k$ are those of Bayesian model averaging of equally likely signals, with the largest
value of each likelihood in place of its mean.

References:
    Bayesian model averaging: a tutorial (Hoeting, Madigan, Raftery, Volinsky, 1999)
    https://doi.org/10.1214/ss/1009212519
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from .base import Fitted, Learner, Source, Start, Together
from .experts import log_ratios, of_mixtures, see_ratios
from ..datasets import Dataset

__all__ = ["OneExpert", "evidence", "see_control"]

Floats = NDArray[np.float64]

LARGEST_FRACTION = 0.999
LARGEST_RATIO = 300.0
"""Logarithm; further ones would overflow, and say no more."""
STEPS = 40
"""Halvings of the interval of a fraction: to 1e-12."""


@dataclass(frozen=True)
class OneExpert:
    """Find the known signal that the signal region looks like, beyond what background does."""

    source: ClassVar[Source] = "process"
    together: ClassVar[Together] = "all"

    def __call__(self, start: Start, targets: Sequence[Dataset], learner: Learner) -> Fitted:
        """See `Strategy`; `start` gives the pretrained network, whatever the seed."""
        control = log_ratios(see_control(learner.control))
        return of_mixtures(start, targets, learner, lambda l, w: softmax(evidence(l, w, control)))


def see_control(control: Tensor | None, *, place: str = "") -> Tensor:
    """The control of a pretrained network, if it has events.

    Raises:
        ValueError: if not; the place is named at its end.
    """
    if control is None or len(control) == 0:
        raise ValueError(
            "expected a network with background events of the signal region that it did not learn "
            f"from; got none{place}"
        )
    return control


def evidence(l: Floats, w: Floats, control: Floats) -> Floats:
    """Lambda of each expert, shape (K,), in units of log likelihood; 0 where data have no more.

    Args:
        l: logarithms of the density ratios of the experts to the background, shape (N, K).
        w: weights of the events, shape (N,).
        control: the same of background events, shape (M, K).

    Raises:
        ValueError: if there is no event in either, or one is not finite.
    """
    see_ratios(l)
    see_ratios(control)
    data = (_excess(l), w[:, None])
    background = (_excess(control), np.ones((len(control), 1)))
    f, f0, same = _fraction(data), _fraction(background), _fraction(data, background)
    apart = _log_likelihood(f, data) + _log_likelihood(f0, background)
    together = _log_likelihood(same, data) + _log_likelihood(same, background)
    return np.where(f > f0, np.maximum(apart - together, 0.0), 0.0)


Sample = tuple[Floats, Floats]
"""Ratios less 1, shape (N, K), and weights, shape (N, 1)."""


def _excess(l: Floats) -> Floats:
    return np.expm1(np.minimum(l, LARGEST_RATIO))


def _log_likelihood(f: Floats, sample: Sample) -> Floats:
    r, w = sample
    return np.asarray((w * np.log1p(f * r)).sum(axis=0))


def _fraction(*samples: Sample) -> Floats:
    """Where the likelihood of samples is largest; its slope falls with f, so by bisection."""
    K = samples[0][0].shape[1]
    low, high = np.zeros(K), np.full(K, LARGEST_FRACTION)
    for _ in range(STEPS):
        f = (low + high) / 2
        slope = sum((w * r / (1 + f * r)).sum(axis=0) for r, w in samples)
        low, high = np.where(slope > 0, f, low), np.where(slope > 0, high, f)
    return low
