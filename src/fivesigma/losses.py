r"""Losses, as objects that the loop is given.

For logits $z_i$, labels $y_i$ and weights $w_i$ a loss is a weighted mean over events,

$$ L = \frac{\sum_i w_i \, \ell(z_i, y_i)}{\sum_i w_i} , $$

which lets the loop add it up from parts of a batch. Losses that are not, like those of `lovasz`,
say so by being `Batchwise`.

A mean can know the physics by its weights: those of $N_k$ events of a process $k$ of cross section
$\sigma_k$ are $w = \omega_1 \omega_2$, with

$$ \omega_1 \in \{ 1, \, N_k^{-1/n}, \, 1 / \ln N_k \} , \qquad
   \omega_2 \in \{ 1, \, \sigma_k^{1/n}, \, \ln \sigma_k, \, \mathbb{U}(\sigma_k) \} , \qquad
   \mathbb{U}(\sigma_k) = \sigma_k \, 10^{\lfloor \log_{10} (\max_B \sigma / \sigma_k) \rfloor} $$

for signals, and $\mathbb{U}(\sigma_k) = \sigma_k$ for backgrounds $B$.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    eqs. 6.1 and 6.2
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = [
    "Batchwise",
    "Categorical",
    "CrossEntropy",
    "Loss",
    "ProcessWeights",
    "tree_objective",
]

LEAST_CURVATURE = 1e-16


class Loss(Protocol):
    """Weighted mean over events, or `Batchwise`."""

    def __call__(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Scalar loss of logits, labels and weights, each of shape (N,)."""
        ...


class Batchwise(Loss):
    """Base of the losses that are not means over events: each batch is given to them as a whole."""


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


@dataclass(frozen=True)
class ProcessWeights:
    r"""Weights of events by process, $w = \omega_1 \omega_2$ (eqs. 6.1 and 6.2).

    With the defaults the events have the rates of nature: $w = \sigma_k / N_k$ [fb] times the
    luminosity [fb⁻¹] are the events expected. `size=1, cross_section=0` has the processes be equal.

    In print $\mathbb{U}$ is $\sigma_k \times 10 \lfloor \dots \rfloor$. Here 10 is raised to that
    power, which brings a signal to between a tenth of the largest background and the whole. So the
    thesis' signal and main background weigh almost the same, as its results with it suggest.
    """

    size: float | Literal["log"] = 1.0
    """The exponent 1/n of 1/N_k, or 1 / ln N_k."""
    cross_section: float | Literal["log", "lifted"] = 1.0
    """The exponent 1/n of sigma_k, or ln sigma_k, or U(sigma_k)."""

    def __post_init__(self) -> None:
        for name, words in (("size", ["log"]), ("cross_section", ["log", "lifted"])):
            value = getattr(self, name)
            known = value in words if isinstance(value, str) else math.isfinite(value)
            if not known:
                raise ValueError(f"expected {name} to be a number or of {words}; got {value!r}")

    def __call__(
        self, process: ArrayLike, sigma: ArrayLike, *, signal: ArrayLike
    ) -> NDArray[np.float64]:
        """Weights of N events of K processes, shape (N,).

        Args:
            process: number of the process of each event, 0 to K - 1, shape (N,).
            sigma: cross sections [fb], shape (K,). For their logarithm, whose weights depend on the
                unit, they are in one in which all are above 1, like ab.
            signal: whether a process is a signal, shape (K,), bool.

        Raises:
            ValueError: if the shapes differ, a process number is not within 0 to K - 1, a cross
                section is not positive and finite, there is no background for U to look at, or a
                weight is not positive and finite, as logarithms of at most 1 are not.
        """
        k, of_signal = np.asarray(process), np.asarray(signal, dtype=bool)
        sigma_k = np.asarray(sigma, dtype=np.float64)
        if sigma_k.ndim != 1 or sigma_k.shape != of_signal.shape:
            raise ValueError(f"expected a signal flag per cross section; got {of_signal.shape}")
        if not (np.isfinite(sigma_k) & (sigma_k > 0)).all():
            raise ValueError(f"expected positive, finite cross sections; got {sigma_k}")
        if k.ndim != 1 or not np.isin(k, np.arange(len(sigma_k))).all():
            raise ValueError(f"expected process numbers of 0 to {len(sigma_k) - 1}; got others")
        k = k.astype(np.intp)
        N = np.bincount(k, minlength=len(sigma_k)).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.asarray(self._omega_1(N[k]) * self._omega_2(sigma_k, of_signal)[k])
        if not (np.isfinite(w) & (w > 0)).all():
            raise ValueError(f"expected numbers and cross sections above 1 for {self}; got others")
        return w

    def _omega_1(self, N: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.size == "log":
            return np.asarray(1 / np.log(N))
        return np.asarray(N**-self.size)

    def _omega_2(
        self, sigma: NDArray[np.float64], signal: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        if self.cross_section == "log":
            return np.asarray(np.log(sigma))
        if self.cross_section == "lifted":
            if signal.all():
                raise ValueError("expected a background to lift the signals to; got none")
            powers = np.floor(np.log10(sigma[~signal].max() / sigma)) * signal
            return np.asarray(sigma * 10**powers)
        return np.asarray(sigma**self.cross_section)


def tree_objective(
    loss: Loss, z: ArrayLike, y: ArrayLike, weight: ArrayLike, *, max_step: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""What boosted trees ask of a loss: gradient and curvature, event by event.

    $$ G_i = N \frac{\partial L}{\partial z_i} , \qquad
       h_i = \max \left( \left| N \frac{\partial^2 L}{\partial z_i^2} \right| , \,
             \frac{|G_i|}{\Delta z_\text{max}} \right) , $$

    so that no leaf, $-\sum G_i / \sum h_i$, moves its events by more than $\Delta z_\text{max}$,
    even where the loss is flat or concave. The cross entropy of unit weights has
    $G_i = \sigma(z_i) - y_i$.

    Args:
        loss: whose second derivatives in the logits of two events are zero almost everywhere, as
            those of all means and of all losses of `lovasz` are.
        z: logits before this tree, shape (N,).
        y: labels, shape (N,).
        weight: event weights, shape (N,).
        max_step: the longest step of a leaf, in z; infinity leaves the size of the curvature alone.

    Returns:
        G and h, each of shape (N,); h is positive.

    Raises:
        ValueError: if the step is not positive, or the loss raises one.
    """
    if not max_step > 0:
        raise ValueError(f"expected max_step > 0; got {max_step}")
    logits, labels, w = (torch.tensor(np.asarray(a), dtype=torch.float64) for a in (z, y, weight))
    L = len(logits) * loss(logits.requires_grad_(), labels, w)
    (G,) = torch.autograd.grad(L, logits, create_graph=True)
    (H,) = torch.autograd.grad(G.sum(), logits)
    h = torch.maximum(H.abs(), G.detach().abs() / max_step).clamp(min=LEAST_CURVATURE)
    return G.detach().numpy(), h.numpy()
