r"""What a p-value means: the same search in data without a signal.

A search in $T$ data sets without a signal gives $p_1 \dots p_T$. Whatever the assumptions behind
them, a p-value of the data is as rare as it is among these,

$$ p_\text{cal} = \frac{1 + \#\{t : p_t \leq p\}}{1 + T} . $$

Where fewer than five of them are as small, that says little, and the calibrated significance is
extrapolated from the mean $\mu$ and the standard deviation $\sigma$ of $Z_t = \Phi^{-1}(1 - p_t)$,

$$ Z_\text{cal} = \frac{Z - \max(\mu, 0)}{\max(\sigma, 1)} , $$

which never exceeds $Z$. Where some are as small, tails that are longer than those of a normal
distribution show: the larger of both p-values is taken.

References:
    Permutation p-values should never be zero (Phipson, Smyth, 2010)
    https://doi.org/10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kstest

from .counting import bounded, p_value

__all__ = ["Calibrated", "Uniformity", "calibrate", "crossed", "uniformity"]

Floats: TypeAlias = NDArray[np.float64]
Origin: TypeAlias = Literal["empirical", "extrapolated"]
ENOUGH = 5


@dataclass(frozen=True)
class Calibrated:
    """A p-value with its calibration."""

    p: float
    """Calibrated p-value."""

    z: float
    """Its significance, one-sided, standard deviations."""

    origin: Origin
    """Whether data sets without a signal reach as far, or their distribution is extrapolated."""

    n_null: int
    """T, data sets without a signal."""


def calibrate(p: float, null: ArrayLike) -> Calibrated:
    """Calibrate a local p-value by those of data sets without a signal.

    Args:
        p: of the data.
        null: p_t of the same search in data sets without a signal, shape (T,).

    Raises:
        ValueError: if there are fewer than 20 data sets, or a p-value is not within [0, 1].
    """
    p_t = np.asarray(null, dtype=np.float64)
    if p_t.ndim != 1 or len(p_t) < 4 * ENOUGH:
        raise ValueError(f"expected {4 * ENOUGH} data sets without a signal; got {p_t.size}")
    if not (np.all((p_t >= 0) & (p_t <= 1)) and 0 <= p <= 1):
        raise ValueError(f"expected p-values within [0, 1]; got {p} and {p_t}")
    behind, z_t = int(np.sum(p_t <= p)), bounded(p_t)
    counted = (1 + behind) / (1 + len(p_t))
    z = (bounded(p) - max(z_t.mean(), 0.0)) / max(z_t.std(ddof=1), 1.0)
    if behind >= ENOUGH or (behind and counted > p_value(z)):
        return Calibrated(counted, float(bounded(counted)), "empirical", len(p_t))
    return Calibrated(float(p_value(z)), float(z), "extrapolated", len(p_t))


def crossed(null: ArrayLike) -> Floats:
    """Calibrated p-values of data sets without a signal, each half by the other, shape (T,)."""
    p_t = np.asarray(null, dtype=np.float64)
    halves = np.arange(len(p_t)) % 2
    return np.array([calibrate(p, p_t[halves != h]).p for p, h in zip(p_t, halves, strict=True)])


@dataclass(frozen=True)
class Uniformity:
    """How p-values of data without a signal are distributed."""

    statistic: float
    """Largest distance from the uniform distribution (Kolmogorov, Smirnov)."""

    p: float
    """p-value of that distance."""

    z_max: float
    """Largest significance, standard deviations."""

    n: int
    """Data sets."""


def uniformity(p_values: Sequence[float] | Floats) -> Uniformity:
    """Test p-values of data sets without a signal for uniformity.

    Raises:
        ValueError: if there is none.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not p.size:
        raise ValueError("expected p-values; got none")
    test = kstest(p, "uniform")
    return Uniformity(float(test.statistic), float(test.pvalue), float(bounded(p).max()), p.size)
