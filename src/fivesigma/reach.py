"""How much signal it takes: the S/sqrt(B) before a cut from which on the median Z after it is 5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .statistics import asimov

__all__ = ["Reach", "reach", "reach_of_cuts"]

FloatArray: TypeAlias = NDArray[np.float64]

SIGMA_1 = math.erf(1 / math.sqrt(2))  # 68.27 %


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
    at_zero: ArrayLike | None = None,
    z_target: float = 5.0,
    n_bootstrap: int = 1000,
    level: float = SIGMA_1,
) -> Reach:
    """The S/sqrt(B) at which the median Z after the cut first reaches `z_target`.

    Medians over the repeats are interpolated linearly between grid points. Below the first of them
    it is the improvement Z / (S/sqrt(B)) that is interpolated, from `at_zero` on: at 0 Z is 0 by
    definition, and a straight line from there would promise too much. The central interval is the
    bootstrap's: repeats are resampled at each grid point, independently. It needs two repeats at
    each point, else it is [0, inf].

    Args:
        s_over_sqrt_b: grid before the cut, shape (G,), increasing, dimensionless.
        z_after: Z after the cut of the repeats at each grid point, G arrays of shape (R_g,).
        rng: for the bootstrap.
        at_zero: eps_s / sqrt(eps_b) of repeats without a signal, shape (R,); None if there is none,
            and nothing is known below the first grid point.
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
    crossing = _crossing
    if at_zero is not None:
        grid, crossing = np.concatenate([[0.0], grid]), _crossing_from_zero
        repeats = [np.asarray(at_zero, dtype=np.float64), *repeats]
        _validate(grid, repeats)
    value = crossing(grid, np.array([[np.median(z) for z in repeats]]), z_target)[0]
    low, high = 0.0, math.inf
    if min(len(z) for z in repeats) > 1:
        draws = [z[rng.integers(0, len(z), (n_bootstrap, len(z)))] for z in repeats]
        medians = np.stack([np.median(d, axis=1) for d in draws], axis=1)
        tails = [(1 - level) / 2, (1 + level) / 2]
        # No arithmetic between infinite values.
        low, high = np.quantile(crossing(grid, medians, z_target), tails, method="inverted_cdf")
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


def _crossing(grid: FloatArray, medians: FloatArray, target: float) -> FloatArray:
    """First crossing of each row of medians, shape (n, G), on a grid of shape (G,)."""
    above = medians >= target
    i = np.maximum(np.argmax(above, axis=1), 1) if len(grid) > 1 else np.zeros(len(above), int)
    rows = np.arange(len(medians))
    z0, z1 = medians[rows, i - 1], medians[rows, i]
    step = np.divide(target - z0, z1 - z0, out=np.zeros_like(z0), where=z1 > z0)
    at = grid[i - 1] + step * (grid[i] - grid[i - 1])
    return np.where(above[:, 0], grid[0], np.where(above.any(axis=1), at, np.inf))


def _crossing_from_zero(grid: FloatArray, medians: FloatArray, target: float) -> FloatArray:
    """Likewise, where the first column of medians is Z / s at s = 0, and linear in s up to s_1."""
    s_1 = grid[1]
    s = np.linspace(0, s_1, 64, endpoint=False)
    g_0, g_1 = medians[:, :1], medians[:, 1:2] / s_1
    z = s * (g_0 + (g_1 - g_0) * s / s_1)
    return _crossing(np.append(s, grid[1:]), np.hstack([z, medians[:, 1:]]), target)


def _validate(grid: FloatArray, repeats: list[FloatArray]) -> None:
    if grid.ndim != 1 or len(grid) == 0 or not np.all(np.diff(grid) > 0):
        raise ValueError(f"expected an increasing grid of S/sqrt(B), shape (G,); got {grid}")
    if len(repeats) != len(grid):
        raise ValueError(f"expected z_after of {len(grid)} grid points; got {len(repeats)}")
    for at, z in zip(grid, repeats, strict=True):
        if z.ndim != 1 or len(z) == 0 or np.any(np.isnan(z)):
            raise ValueError(f"expected repeats without NaN at S/sqrt(B) = {at:g}; got {z}")
