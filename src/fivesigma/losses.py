r"""Losses, as objects that the loop is given.

For logits $z_i$, labels $y_i$ and weights $w_i$ a loss is a weighted mean over events,

$$ L = \frac{\sum_i w_i \, \ell(z_i, y_i)}{\sum_i w_i} , $$

which lets the loop add it up from parts of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

__all__ = ["Categorical", "CrossEntropy", "Loss"]


class Loss(Protocol):
    """Weighted mean over events."""

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Scalar loss of logits, labels and weights, each of shape (N,)."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    r"""Binary cross entropy [nat], $\ell(z, y) = -y \log \sigma(z) - (1 - y) \log \sigma(-z)$.

    Of data labelled by region its minimum is a monotone function of the likelihood ratio of signal
    to background.
    """

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Scalar loss of logits, labels and weights, each of shape (N,).

        The weights must not sum to zero.
        """
        l = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        return (weight * l).sum() / weight.sum()


@dataclass(frozen=True)
class Categorical:
    r"""Cross entropy of K processes [nat], $\ell(z, k) = - z_k + \log \sum_j \exp z_j$.

    At its minimum $z_k - z_0$ is the logarithm of the ratio of the densities of the processes $k$
    and 0, plus that of the ratio of their weights in the sample.
    """

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Scalar loss of logits, shape (N, K), process numbers and weights, shape (N,).

        The weights must not sum to zero.
        """
        l = F.cross_entropy(logits, y.long(), reduction="none")
        return (weight * l).sum() / weight.sum()
