r"""Scores that do not know the mass: standardised in it.

The ranks $s$ of events outside the signal region are those of a unit Gaussian after
$t = \Phi^{-1}(s)$, with a mean and a width that may depend on the mass $m$, of which
$u = (m - m_0) / h$ spans -1 to 1,

$$ t' = \frac{t - \mu(u)}{\sigma(u)} , \qquad
   \mu(u) = \sum_{d \le D} a_d u^d , \qquad \ln \sigma(u) = \sum_{d \le D} b_d u^d . $$

$a$ is fitted to $t$, and $b$ to $\ln |t - \mu|$, by least squares; a constant that $b_0$ has too
much changes no order. Between the sidebands the polynomials interpolate.

References:
    Decorrelated jet substructure tagging using adversarial neural networks
    (Shimmin et al., 2017), on why https://arxiv.org/abs/1703.03507
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Standardised", "standardise"]

Floats: TypeAlias = NDArray[np.float64]
LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Standardised:
    """Mean and width of the scores of background, as functions of the mass."""

    a: Floats
    """Coefficients of the mean, shape (D + 1,)."""

    b: Floats
    """Coefficients of the logarithm of the width, shape (D + 1,)."""

    span: tuple[float, float]
    """Lowest and highest mass [GeV]."""

    n: int
    """Events that the ranks are of."""

    def __call__(self, score: Floats, mass: Floats) -> Floats:
        """Standardised scores t' of ranks s, shape (..., N), at masses [GeV], shape (N,)."""
        U = _powers(mass, self.span, len(self.a))
        standardised: Floats = (_gaussian(score, self.n) - U @ self.a) * np.exp(-U @ self.b)
        return standardised


def standardise(
    score: Floats, mass: Floats, outside: NDArray[np.bool_], *, degree: int = 1
) -> Standardised:
    """Fit mean and width where there is no signal.

    Args:
        score: ranks of N events, shape (N,).
        mass: m, shape (N,) [GeV].
        outside: whether an event is outside the signal region, shape (N,).
        degree: D.

    Raises:
        ValueError: if fewer than 10 (D + 1) events are outside, or their scores are constant.
    """
    if (n := int(outside.sum())) < 10 * (degree + 1):
        raise ValueError(
            f"expected at least {10 * (degree + 1)} events outside the signal region; got {n}"
        )
    span = float(mass.min()), float(mass.max())
    U, t = _powers(mass[outside], span, degree + 1), _gaussian(score[outside], n)
    if np.ptp(t) < LEAST:
        raise ValueError(f"expected scores that differ; got {score[outside][0]} of {n} events")
    a = _least_squares(U, t)
    b = _least_squares(U, np.log(np.maximum(np.abs(t - U @ a), LEAST)))
    return Standardised(a, b, span, n)


def _least_squares(U: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(U, y, rcond=None)[0], dtype=np.float64)


def _gaussian(score: Floats, n: int) -> Floats:
    """Quantiles of ranks, which may be beyond 0 and 1 by less than 1 / n."""
    t: Floats = ndtri(np.clip((n * score + 1) / (n + 2), LEAST / n, 1 - LEAST / n))
    return t


def _powers(mass: Floats, span: tuple[float, float], terms: int) -> Floats:
    low, high = span
    u = (mass - (low + high) / 2) / ((high - low) / 2 or 1.0)
    powers: Floats = u[:, None] ** np.arange(terms)
    return powers
