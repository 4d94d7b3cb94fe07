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
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

__all__ = [
    "Components",
    "Reach",
    "asimov",
    "components",
    "reach",
    "reach_of_cuts",
    "significance_after",
]

FloatArray: TypeAlias = NDArray[np.float64]
Number = TypeVar("Number", float, NDArray[Any])

SIGMA_1 = math.erf(1 / math.sqrt(2))  # 68.27 %


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
class Reach:
    """The S/sqrt(B) before the cut at which the significance after it reaches a target."""

    value: float
    """Reach in S/sqrt(B), dimensionless. Infinite if the grid ends before it, and the first point
    of the grid if the target is reached there already."""

    low: float
    """Lower end of the interval, likewise."""

    high: float
    """Upper end of the interval, likewise."""

    limit: Literal["none", "lower", "upper"]
    """'none': `value` is measured; 'lower': not reached, so the reach is above the last point of
    the grid; 'upper': the reach is at or below the first point."""

    grid: tuple[float, float]
    """First and last S/sqrt(B) of the grid, dimensionless."""

    def __str__(self) -> str:
        if self.limit == "lower":
            return f"> {self.grid[1]:.3g}"
        if self.limit == "upper":
            return f"< {self.grid[0]:.3g}"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def reach(
    s_over_sqrt_b: ArrayLike,
    z_after: Sequence[ArrayLike] | FloatArray,
    *,
    rng: np.random.Generator,
    z_target: float = 5.0,
    n_bootstrap: int = 1000,
    level: float = SIGMA_1,
) -> Reach:
    """The S/sqrt(B) at which the median Z after the cut first reaches `z_target`.

    Medians over the repeats are interpolated linearly between grid points. The central interval
    is the bootstrap's: repeats are resampled at each grid point, independently. It needs two
    repeats at each point, else it is [0, inf].

    Args:
        s_over_sqrt_b: grid before the cut, shape (G,), increasing, dimensionless.
        z_after: Z after the cut of the repeats at each grid point, G arrays of shape (R_g,).
        rng: for the bootstrap.
        z_target: significance to reach, standard deviations.
        n_bootstrap: resamplings.
        level: probability content of the interval.

    Raises:
        ValueError: if the grid does not increase, or z_after has not one array of at least one
            number, without NaN, for each of its points.
    """
    grid = np.asarray(s_over_sqrt_b, dtype=np.float64)
    repeats = [np.asarray(z, dtype=np.float64) for z in z_after]
    _validate(grid, repeats)
    value = _crossing(grid, np.array([[np.median(z) for z in repeats]]), z_target)[0]
    low, high = 0.0, math.inf
    if min(len(z) for z in repeats) > 1:
        draws = [z[rng.integers(0, len(z), (n_bootstrap, len(z)))] for z in repeats]
        medians = np.stack([np.median(d, axis=1) for d in draws], axis=1)
        tails = [(1 - level) / 2, (1 + level) / 2]
        # No arithmetic between infinite values.
        low, high = np.quantile(_crossing(grid, medians, z_target), tails, method="inverted_cdf")
    limit: Literal["none", "lower", "upper"] = "none"
    if math.isinf(value):
        limit = "lower"
    elif value == grid[0]:
        limit = "upper"
    return Reach(float(value), float(low), float(high), limit, (float(grid[0]), float(grid[-1])))


def reach_of_cuts(
    n_b: float,
    eps_s: ArrayLike,
    eps_b: ArrayLike,
    *,
    rng: np.random.Generator,
    z_target: float = 5.0,
    n_bootstrap: int = 1000,
    level: float = SIGMA_1,
) -> Reach:
    """The median reach of cuts that do not depend on the signal strength, solved for exactly.

    Args:
        n_b: B before the cut, events.
        eps_s: signal efficiency of the cut of each repeat, shape (R,).
        eps_b: its actual background efficiency, shape (R,).
        rng: for the bootstrap over repeats; it needs two, else the interval is [0, inf].
        z_target: significance to reach, standard deviations.
        n_bootstrap: resamplings.
        level: probability content of the interval.

    Raises:
        ValueError: if there is no repeat, or `asimov` refuses the background of a cut.
    """
    pairs = np.stack([np.asarray(e, dtype=np.float64) for e in (eps_s, eps_b)], axis=1)
    if len(pairs) == 0:
        raise ValueError("expected a repeat; got none")
    each = np.array([_strength(n_b, s, b, z_target) for s, b in pairs])
    value, low, high = float(np.median(each)), 0.0, math.inf
    if len(each) > 1:
        drawn = np.median(each[rng.integers(0, len(each), (n_bootstrap, len(each)))], axis=1)
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = map(float, np.quantile(drawn, tails, method="inverted_cdf"))
    limit: Literal["none", "lower"] = "lower" if math.isinf(value) else "none"
    return Reach(value, low, high, limit, (0.0, math.inf))


def _strength(n_b: float, eps_s: float, eps_b: float, target: float) -> float:
    """S/sqrt(B) before a cut at which Z_A after it is the target; infinite if no signal passes."""
    if eps_s == 0:
        return math.inf
    scale = math.sqrt(n_b) * eps_s  # S after the cut, for each S/sqrt(B) before it

    def excess(x: float) -> float:
        return asimov(x * scale, n_b * eps_b) - target

    high = target * math.sqrt(n_b * eps_b) / scale  # Z_A < S/sqrt(B): the reach is above
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, 0.0, high, xtol=1e-12))


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


def _crossing(grid: FloatArray, medians: FloatArray, target: float) -> FloatArray:
    """First crossing of each row of medians, shape (n, G), on a grid of shape (G,)."""
    above = medians >= target
    i = np.maximum(np.argmax(above, axis=1), 1) if len(grid) > 1 else np.zeros(len(above), int)
    rows = np.arange(len(medians))
    z0, z1 = medians[rows, i - 1], medians[rows, i]
    step = np.divide(target - z0, z1 - z0, out=np.zeros_like(z0), where=z1 > z0)
    at = grid[i - 1] + step * (grid[i] - grid[i - 1])
    return np.where(above[:, 0], grid[0], np.where(above.any(axis=1), at, np.inf))


def _validate(grid: FloatArray, repeats: list[FloatArray]) -> None:
    if grid.ndim != 1 or len(grid) == 0 or not np.all(np.diff(grid) > 0):
        raise ValueError(f"expected an increasing grid of S/sqrt(B), shape (G,); got {grid}")
    if len(repeats) != len(grid):
        raise ValueError(f"expected z_after of {len(grid)} grid points; got {len(repeats)}")
    for at, z in zip(grid, repeats, strict=True):
        if z.ndim != 1 or len(z) == 0 or np.any(np.isnan(z)):
            raise ValueError(f"expected repeats without NaN at S/sqrt(B) = {at:g}; got {z}")
