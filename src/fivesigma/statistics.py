r"""From counts to significance.

For $S$ signal events on an expected background $B$, the median discovery significance is

$$ Z_A = \sqrt{2 \left[ (S + B) \ln(1 + S/B) - S \right]}
       = \frac{S}{\sqrt{B}} \sqrt{2 \, g(S/B)}, \qquad
   g(x) = \frac{(1 + x) \ln(1 + x) - x}{x^2} , $$

with the natural logarithm; $g(0) = 1/2$, so $Z_A \to S/\sqrt{B}$ for $S \ll B$. If the background
is known to $\sigma_B$ from an independent Poisson count,

$$ Z_A^2 = 2 \left[ (S + B) \ln \frac{(S + B)(B + \sigma_B^2)}{B^2 + (S + B) \sigma_B^2}
         - \frac{B^2}{\sigma_B^2} \ln \left(1 + \frac{\sigma_B^2 S}{B (B + \sigma_B^2)} \right)
         \right] , $$

which, with $\rho = \sigma_B^2 / (B + \sigma_B^2)$, is

$$ Z_A = \frac{S}{\sqrt{B}} \sqrt{2 \left[ g(S/B) - \rho \, g(\rho S/B) \right]} . $$

References:
    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011), eq. 97. https://arxiv.org/abs/1007.1727

    Discovery sensitivity for a counting experiment with background uncertainty (Cowan, 2012)
    https://www.pp.rhul.ac.uk/~cowan/stat/medsig/medsigNote.pdf
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Components", "asimov", "components", "significance_after"]

FloatArray: TypeAlias = NDArray[np.float64]
Number = TypeVar("Number", float, NDArray[Any])


def asimov(n_s: Number, n_b: Number | float, sigma_b: Number | float = 0.0) -> Number:
    """Median significance of a discovery, Z_A, in standard deviations.

    Args:
        n_s: S, expected signal events; scalar or array.
        n_b: B, expected background events; scalar or array.
        sigma_b: sigma_B, standard deviation of B in events; scalar or array.

    Returns:
        a float for scalars, else an array of the common shape; 0 where S is 0.

    Raises:
        ValueError: if S or sigma_B is negative, B is not positive, or one is not finite.
    """
    S, B, sigma_B = (np.asarray(v, dtype=np.float64) for v in (n_s, n_b, sigma_b))
    _finite(S, S >= 0, name="n_s >= 0")
    _finite(B, B > 0, name="n_b > 0")
    _finite(sigma_B, sigma_B >= 0, name="sigma_b >= 0")
    rho = sigma_B**2 / (B + sigma_B**2)
    Z = S / np.sqrt(B) * np.sqrt(2 * (_g(S / B) - rho * _g(rho * S / B)))
    return cast("Number", Z[()])


def significance_after(
    n_s: Number | float, n_b: Number | float, *, eps_s: Number, eps_b: Number
) -> Number:
    """Z_A of S eps_s signal and B eps_b background events: after a cut, in the signal region.

    Args:
        n_s: S before the cut, events.
        n_b: B before the cut, events.
        eps_s: signal efficiency of the cut.
        eps_b: background efficiency of the cut: the actual one, never the nominal.

    Raises:
        ValueError: as `asimov`; also where no background is left.
    """
    return asimov(eps_s * n_s, eps_b * n_b)


@dataclass(frozen=True)
class Components:
    """Standard deviations of repeated measurements of repeated data sets, in their unit."""

    mean: float
    """Mean over data sets."""

    between: float
    """Between the true means of data sets: 0 if they differ no more than repetition explains."""

    within: float
    """Between repetitions on one data set."""


def components(values: Sequence[ArrayLike]) -> Components:
    """Components of variance: what differs between data sets, and what on one of them.

    With n repetitions x_dr of each data set d, within^2 is the mean of the variances s_d^2, and
    between^2 = Var(mean_d) - within^2 / n, both unbiased.

    Args:
        values: measurements x_dr, one array of shape (n_d,) for each data set; n is the harmonic
            mean of n_d.

    Raises:
        ValueError: if there are fewer than two data sets, or two measurements of one.
    """
    x = [np.asarray(v, dtype=np.float64) for v in values]
    if len(x) < 2 or min(map(len, x)) < 2:
        got = [len(v) for v in x]
        raise ValueError(f"expected two data sets with two measurements each or more; got {got}")
    means = np.array([v.mean() for v in x])
    within2 = float(np.mean([v.var(ddof=1) for v in x]))
    between2 = means.var(ddof=1) - within2 * np.mean([1 / len(v) for v in x])
    return Components(float(means.mean()), math.sqrt(max(0.0, between2)), math.sqrt(within2))


def _finite(value: FloatArray, valid: NDArray[np.bool_], *, name: str) -> None:
    bad = ~(valid & np.isfinite(value))
    if np.any(bad):
        raise ValueError(f"expected finite {name}; got {value[bad][0]}")


def _g(x: FloatArray) -> FloatArray:
    """((1 + x) ln(1 + x) - x) / x^2 to 1e-13, by its Taylor series where the terms cancel."""
    series = np.polyval([(-1) ** k / ((k + 1) * (k + 2)) for k in range(8)][::-1], x)
    large = np.where(x > 0.01, x, 1.0)
    return np.where(x > 0.01, ((1 + large) * np.log1p(large) - large) / large**2, series)
