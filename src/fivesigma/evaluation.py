r"""How well a score separates signal from background.

A cut at threshold $t$ keeps the fractions

$$ \epsilon_S(t) = P(\text{score} \geq t \mid S), \qquad
   \epsilon_B(t) = P(\text{score} \geq t \mid B), \qquad
   \text{SIC} = \epsilon_S / \sqrt{\epsilon_B} . $$

The ROC curve has one vertex per distinct score and straight lines between: events that share a
score are kept with a common probability. A constant score therefore has $\epsilon_S = \epsilon_B$
everywhere, and no working point gains anything from it.

References:
    Comparing the areas under two or more correlated receiver operating characteristic curves: a
    nonparametric approach (DeLong, DeLong, Clarke-Pearson, 1988)
    https://doi.org/10.2307/2531595

    The use of confidence or fiducial limits illustrated in the case of the binomial (Clopper,
    Pearson, 1934) https://doi.org/10.1093/biomet/26.4.404
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

__all__ = [
    *("Auc", "Roc", "WorkingPoint"),
    *("accuracy", "auc", "roc", "sic", "thin", "weighted_auc", "working_point"),
]

FloatArray: TypeAlias = NDArray[np.float64]

SIGMA_1 = math.erf(1 / math.sqrt(2))  # 68.27 %


@dataclass(frozen=True, eq=False)
class Roc:
    """Receiver operating characteristic: vertices from the tightest to the loosest cut."""

    eps_b: FloatArray
    """Background efficiency, shape (V,), not decreasing from 0 to 1, dimensionless."""

    eps_s: FloatArray
    """Signal efficiency, shape (V,), not decreasing from 0 to 1, dimensionless."""

    thresholds: FloatArray
    """A vertex keeps scores >= its threshold, shape (V,), decreasing, units of the score."""

    n_signal: int
    """Signal test events."""

    n_background: int
    """Background test events."""

    @property
    def collapsed(self) -> bool:
        """Whether one single score is shared by more than 90 % of both signal and background.

        A training that ends like this has learnt nothing, whatever its working points say.
        """
        return bool(np.any((np.diff(self.eps_s) > 0.9) & (np.diff(self.eps_b) > 0.9)))


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve."""

    value: float
    """Probability that a signal event scores above a background event, ties counting half."""

    error: float
    """Its standard deviation (DeLong et al.)."""


@dataclass(frozen=True)
class WorkingPoint:
    """A cut on the score. All numbers are dimensionless; intervals are central, 68.27 %."""

    nominal: float
    """The background efficiency that was asked for."""

    eps_b: float
    """Background efficiency of the cut: `nominal`, but not less than one test event."""

    eps_b_error: float
    """Its binomial standard deviation."""

    eps_s: float
    """Signal efficiency of the cut."""

    eps_s_error: float
    """Its binomial standard deviation."""

    eps_s_low: float
    """Lower end of the Clopper-Pearson interval of eps_s."""

    eps_s_high: float
    """Upper end of it."""

    n_background_behind: float
    """Background test events that pass; not an integer where a tie is kept in part."""

    threshold: float
    """Scores above it pass; of the events exactly at it, the fraction that makes up eps_b."""


def roc(scores: ArrayLike, truth: ArrayLike) -> Roc:
    """ROC curve of a test set, in O(N log N).

    Args:
        scores: shape (N,); larger is more like signal.
        truth: shape (N,); 1 for signal, 0 for background.

    Raises:
        ValueError: if a score is not finite, a truth is neither 0 nor 1, the lengths differ, or
            one of the classes is missing.
    """
    s, t = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if s.ndim != 1 or s.shape != t.shape:
        raise ValueError(f"expected scores and truth of one shape (N,); got {s.shape}, {t.shape}")
    if not np.all(np.isfinite(s)):
        raise ValueError(f"expected finite scores; got {np.sum(~np.isfinite(s))} that are not")
    if not np.all((t == 0) | (t == 1)):
        raise ValueError(f"expected truth of 0 and 1; got {np.unique(t)[:5]}")
    n_signal = int(np.count_nonzero(t))
    n_background = len(t) - n_signal
    if n_signal == 0 or n_background == 0:
        raise ValueError(
            f"expected signal and background; got {n_signal} signal, {n_background} background"
        )
    order = np.argsort(-s)
    s, passed = s[order], np.cumsum(t[order] == 1)
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    return Roc(
        eps_b=np.append(0.0, (last + 1 - passed[last]) / n_background),
        eps_s=np.append(0.0, passed[last] / n_signal),
        thresholds=np.append(np.nextafter(s[0], np.inf), s[last]),
        n_signal=n_signal,
        n_background=n_background,
    )


def auc(roc: Roc) -> Auc:
    """Area under the curve, with the error of DeLong et al. (1988).

    Each step of the curve holds the signal events, or background events, of one score; the
    fraction of the other class on the right side of it is their structural component.
    """
    signal, background = np.diff(roc.eps_s), np.diff(roc.eps_b)
    below = 1 - (roc.eps_b[1:] + roc.eps_b[:-1]) / 2
    above = (roc.eps_s[1:] + roc.eps_s[:-1]) / 2
    value = float(signal @ below)
    variance = signal @ (below - value) ** 2 / max(roc.n_signal - 1, 1)
    variance += background @ (above - value) ** 2 / max(roc.n_background - 1, 1)
    return Auc(value, math.sqrt(variance))


def weighted_auc(scores: ArrayLike, truth: ArrayLike, weight: ArrayLike) -> float:
    """Area under the curve of weighted events, ties counting half.

    Args:
        scores: shape (N,); larger is more like signal.
        truth: shape (N,); 1 for signal, 0 for background.
        weight: shape (N,), of which both classes have a positive sum.
    """
    y, w = np.asarray(truth) == 1, np.asarray(weight, dtype=np.float64)
    values, place = np.unique(np.asarray(scores), return_inverse=True)
    s, b = (np.bincount(place[k], w[k], len(values)) for k in (y, ~y))
    return float(s @ (np.cumsum(b) - b / 2) / (s.sum() * b.sum()))


def working_point(roc: Roc, eps_b: float) -> WorkingPoint:
    """The cut on the interpolated curve that keeps a fraction `eps_b` of the background.

    Where the curve is vertical at `eps_b`, its lower end is taken, which is the score of a
    background event: above the k-th of N lies on average a fraction k / (N + 1) of background.
    Errors are those of a fixed cut on independent test events.

    Raises:
        ValueError: if `eps_b` is not within (0, 1].
    """
    if not 0 < eps_b <= 1:
        raise ValueError(f"expected eps_b within (0, 1]; got {eps_b}")
    actual = max(eps_b, 1 / roc.n_background)
    # The slack keeps 0.1 at the vertex 0.1, whichever way the number was computed.
    i = int(np.searchsorted(roc.eps_b, actual * (1 - 1e-9)))
    step = (actual - roc.eps_b[i - 1]) / (roc.eps_b[i] - roc.eps_b[i - 1])
    kept = min(float(step), 1.0)
    eps_s = float(roc.eps_s[i - 1] + kept * (roc.eps_s[i] - roc.eps_s[i - 1]))
    low, high = _clopper_pearson(eps_s, roc.n_signal)
    return WorkingPoint(
        nominal=eps_b,
        eps_b=actual,
        eps_b_error=math.sqrt(actual * (1 - actual) / roc.n_background),
        eps_s=eps_s,
        eps_s_error=math.sqrt(eps_s * (1 - eps_s) / roc.n_signal),
        eps_s_low=low,
        eps_s_high=high,
        n_background_behind=actual * roc.n_background,
        threshold=float(roc.thresholds[i]),
    )


def accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Fraction of events on the side of 1/2 that their label says, with equal weight of both.

    Args:
        scores: probabilities of label 1, shape (N,).
        labels: 1 or 0, shape (N,).

    Raises:
        ValueError: if one of the labels is missing.
    """
    s, y = np.asarray(scores), np.asarray(labels) == 1
    if not y.any() or y.all():
        raise ValueError(f"expected events of both labels; got {y.sum()} of {len(y)} with label 1")
    return float(np.mean(s[y] > 0.5) + np.mean(s[~y] <= 0.5)) / 2


def sic(roc: Roc, *, min_background: int = 1) -> FloatArray:
    """Significance improvement eps_s / sqrt(eps_b) at each vertex.

    Args:
        roc: curve with V vertices.
        min_background: test events that must pass; tighter cuts give NaN.

    Returns:
        shape (V,), dimensionless.

    Raises:
        ValueError: if `min_background` is less than 1.
    """
    if min_background < 1:
        raise ValueError(f"expected min_background of at least 1; got {min_background}")
    enough = np.rint(roc.eps_b * roc.n_background) >= min_background
    gain = np.full(roc.eps_b.shape, np.nan)
    np.divide(roc.eps_s, np.sqrt(roc.eps_b), out=gain, where=enough)
    return gain


def thin(roc: Roc, n: int = 200) -> Roc:
    """At most `n` vertices of the curve, at even steps in log(eps_b), for storage.

    Each is a vertex of the full curve and both ends are kept. Areas and working points of a
    thinned curve are approximate.

    Raises:
        ValueError: if `n` is less than 20.
    """
    if n < 20:
        raise ValueError(f"expected at least 20 vertices to keep; got {n}")
    grid = np.geomspace(1 / roc.n_background, 1, n // 2 - 1)
    i = np.searchsorted(roc.eps_b, grid * (1 - 1e-9))
    keep = np.unique(np.concatenate([[0, len(roc.eps_b) - 1], i - 1, i]))
    return Roc(
        roc.eps_b[keep], roc.eps_s[keep], roc.thresholds[keep], roc.n_signal, roc.n_background
    )


def _clopper_pearson(eps: float, n: int) -> tuple[float, float]:
    k, tail = eps * n, (1 - SIGMA_1) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high
