r"""Losses that are significances, continued from sets of events to errors by Lovász.

A classifier that errs on a set $M$ of events of labels $y_i$ and weights $w_i$, in events expected
at the luminosity, loses $n$ of $S = \sum_i w_i y_i$ signal events and keeps $p$ of background,

$$ n = \sum_{i \in M} w_i y_i , \qquad p = \sum_{i \in M} w_i (1 - y_i) , \qquad
   \Delta(M) = Z(S, \epsilon) - Z(S - n, \epsilon + p) . $$

What this costs in significance, $\Delta$, is 0 for $M = \emptyset$. It becomes a function of errors
$m_i \ge 0$ that has derivatives, and equals $\Delta$ on the corners $m \in \{0, 1\}^N$, by

$$ \bar\Delta(m) = \sum_k m_{\pi_k} g_k , \qquad
   g_k = \Delta(\{\pi_1, \dots, \pi_k\}) - \Delta(\{\pi_1, \dots, \pi_{k-1}\}) , $$

with the permutation $\pi$ that orders the errors from large to small. It is convex if and only if
$\Delta$ is submodular. The errors are functions of the margin $t_i = (2 y_i - 1) \, z_i$,

$$ \text{hinge} \; \max(1 - t, 0) , \qquad \text{sigmoid} \; \sigma(-t) , \qquad
   \text{cross entropy} \; -\ln \sigma(t) , \qquad \text{focal} \; -\sigma(-t)^2 \ln \sigma(t) . $$

With hinge or sigmoid errors, a network that tells nothing, $z = 0$, costs as much as a cut, of
$z = \pm 1$ or $\pm \infty$, that reaches $Z(S, \epsilon) / 2$. Only cuts of a higher $Z(S - n,
\epsilon + p)$ are better, and so $\epsilon$ has to be about the background that a good cut keeps.

Events of equal errors, of which leaves of trees have many, can be ordered at will: here the mean is
taken of the order of signal first and that of background first, and events of one label share in
proportion to their weights. So the order of the events does not matter.

What is printed in the thesis differs. Its eq. 6.5 and Algorithm 1 have $m_i$ for $m_{\pi_i}$ and
return $g_\pi$, where it is the inverse permutation that brings $g$ back to the events; the weights
stand behind the cumulative sums, in the order of the events, and are here below them, in that of
$\pi$; the first terms $1$, $1$ and $\sigma$ of lines 3 to 5 are here $S$, $\epsilon$ and
$S / \sqrt\epsilon$, as in eq. 6.8, without which $\Delta(\emptyset)$ is not 0.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad, chapter 6

    The Lovász hinge: a novel convex surrogate for submodular losses (Yu, Blaschko, 2015)
    https://arxiv.org/abs/1512.07797
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .losses import Batchwise

__all__ = ["ERRORS", "Lovasz", "LovaszAsimov", "LovaszSignificance"]

ERRORS: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda t: F.relu(1 - t),
    "sigmoid": lambda t: torch.sigmoid(-t),
    "cross_entropy": lambda t: F.softplus(-t),
    "focal": lambda t: torch.sigmoid(-t).square() * F.softplus(-t),
}
"""Errors of margins t, eqs. 6.29, 6.30 and below; the exponent of the focal one is that of its
authors (Lin et al., 2017, https://arxiv.org/abs/1708.02002), as the thesis names none."""

TINY = np.finfo(np.float64).tiny
Events: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Lovasz(Batchwise):
    """Extension of a significance Z(s, b) to errors; processes differ by their weights alone."""

    error: str = "sigmoid"
    """A name of `ERRORS`."""
    epsilon: float = 1.0
    """Background that is always there [events], about as much as a good cut keeps of the other."""
    n_s: float | None = None
    """S [events], to which the weights of the signal in a batch are scaled; None: as they are.

    A batch has only a part of the weights of a data set, and with them another optimum.
    """
    n_b: float | None = None
    """The same of the background [events]."""

    def __post_init__(self) -> None:
        if self.error not in ERRORS:
            raise ValueError(f"expected error to be one of {[*ERRORS]}; got {self.error!r}")
        for name in ("epsilon", "n_s", "n_b"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"expected {name} > 0 and finite; got {value}")

    @abstractmethod
    def significance(self, s: Events, b: Events) -> Events:
        """Z(s, b) of s >= 0 signal events on b > 0 of background, each of shape (N,)."""

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Scalar loss of logits, labels of 0 or 1, and weights [events], each of shape (N,).

        Raises:
            ValueError: if the shapes differ, a label is neither 0 nor 1, a weight is negative or
                not finite, or the weights of the signal or of the background are all zero.
        """
        return self.extension(ERRORS[self.error]((2 * y - 1) * logits), y, weight)

    def extension(self, m: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """The extension at errors m, shape (N,), of at least 0; otherwise as the loss."""
        if not (m.ndim == 1 and m.shape == y.shape == weight.shape):
            shapes = [tuple(a.shape) for a in (m, y, weight)]
            raise ValueError(f"expected logits, labels and weights of shape (N,); got {shapes}")
        w = self._weights(y.numpy(), weight.numpy())
        g = torch.from_numpy(self._g(m.detach().numpy(), w))
        return torch.dot(m.double(), g).to(m.dtype)

    def _weights(self, y: NDArray[Any], weight: NDArray[Any]) -> Events:
        """Weights as false negatives and as false positives, shape (2, N)."""
        of_signal, of_background = y == 1, y == 0
        if not (of_signal | of_background).all():
            raise ValueError("expected labels of 0 and 1; got others")
        good = (weight >= 0) & (weight < math.inf)
        if not good.all():
            bad = weight[~good][0]
            raise ValueError(f"expected finite weights of at least 0; got {bad:g}")
        w: Events = np.stack([of_signal, of_background]) * weight.astype(np.float64)
        totals = w.sum(axis=1)
        if not (totals > 0).all():
            raise ValueError(f"expected signal and background in a batch; got {totals.tolist()}")
        for w_y, total, n in zip(w, totals, (self.n_s, self.n_b), strict=True):
            w_y *= 1.0 if n is None else n / total
        return w

    def _g(self, m: NDArray[Any], w: Events) -> Events:
        """What each event adds to the cost, in the order of the events, shape (N,)."""
        pi = np.argsort(-m)
        last = np.append(np.diff(m[pi]) != 0, True)  # of the events of equal errors
        w_pi = np.take(w, pi, axis=1)
        sums = np.take(np.cumsum(w_pi, axis=1), np.flatnonzero(last), axis=1)
        n, p = np.concatenate([np.zeros((2, 1)), sums], axis=1)
        s, b = n[-1] - n, self.epsilon + p
        Z = self.significance(s, b)
        Z_01, Z_10 = self.significance(s[:-1], b[1:]), self.significance(s[1:], b[:-1])
        both, difference = Z[:-1] - Z[1:], Z_01 - Z_10  # of signal and background, and between them
        cost = np.stack([both + difference, both - difference]) / 2
        share = cost / np.maximum(np.diff([n, p]), TINY)
        g = np.empty(len(m))
        k = np.cumsum(last) - last  # how many sets of equal errors are larger
        g[pi] = (w_pi * np.take(share, k, axis=1)).sum(axis=0)
        return g


@dataclass(frozen=True)
class LovaszSignificance(Lovasz):
    r"""Extension of $\Delta_Z$, $Z(s, b) = s / \sqrt{b}$ (eq. 6.8), which is submodular.

    Convex in the errors, and with the errors hinge and cross entropy in the logits.
    """

    def significance(self, s: Events, b: Events) -> Events:
        """Z(s, b), shape (N,)."""
        return s / np.sqrt(b)


@dataclass(frozen=True)
class LovaszAsimov(Lovasz):
    r"""Extension of $\Delta_\zeta$, $Z^2(s, b) = 2 [(s + b) \ln(1 + s / b) - s]$ (eq. 6.31).

    The median significance. It is concave in s, so that each further false negative costs more:
    $\Delta_\zeta$ is not submodular, and its extension is not convex.
    """

    def significance(self, s: Events, b: Events) -> Events:
        """Z(s, b), shape (N,)."""
        return np.sqrt(np.maximum(2 * ((s + b) * np.log1p(s / b) - s), 0))
