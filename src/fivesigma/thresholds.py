r"""Significance against the threshold on a score: how high it is, and how flat.

Of events with scores $p_i$ within [0, 1] and weights $w_i$, in events expected at the luminosity,
a threshold $t$ keeps the signal $S(t)$ and the background $B(t)$ with the median significance

$$ Z(t) = \sqrt{2 \left[ (S + B) \ln (1 + S / B) - S \right]} , $$

which counts as 0 where of either fewer than $n$ events are expected, $S, B < n$, or the simulated
events that are left tell less than $n$ of equal weights would, by their effective numbers

$$ n_S = (S / \sigma_S)^2 , \qquad n_B = (B / \sigma_B)^2 . $$

With weights spread over orders of magnitude, a few events decide, however many are left. A search
whose threshold need not be chosen with care has a $Z$ that is high nearly everywhere: its area and
its range

$$ A = \int_0^1 Z(t) \, dt , \qquad R_{10 \%} = \text{share of } t \text{ with }
   Z(t) \ge 0.9 \max_t Z $$

are near $\max_t Z$ and near 1. With the statistical errors $\sigma_S^2 = \sum w_i^2$ over the
signal that is left and $\sigma_B$ alike, in which the weights of events of one origin add up before
they are squared,

$$ \sigma_Z = \frac{1}{Z} \sqrt{ \ln^2 (1 + S / B) \, \sigma_S^2
   + \left[ \ln (1 + S / B) - S / B \right]^2 \sigma_B^2 } . $$

A threshold that leaves few events of large weight, or by chance none of them, has a $Z$ that other
events would not confirm: `stable` asks for

$$ \sigma_B^2 + w_t^2 \le (r B)^2 , \qquad
   w_t = \max \{ w_i : i \text{ among the } 3 N_B(t) \text{ background events of largest } p \} , $$

where $N_B(t)$ simulated background events are left. A kind of event that is as frequent in front of
the threshold as behind it, where one of it is expected, is missed there with a probability of
$e^{-3}$; weights farther away do not matter. The largest relative error $r$ is 0.1 by default. Then
at least 100 effective events of background are left, which limits the $Z$ of any score, even of one
that has all of the signal at 1.

References:
    Revisiting Deep Learning for Particle Physics (Bardhan, 2023), thesis, IIIT Hyderabad,
    section 6.4.3 and eq. 3.25
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .statistics import asimov

__all__ = [
    *("LEAST", "SPREAD", "WORKING_POINTS"),
    *("Flatness", "ThresholdScan", "effective", "scan"),
]

Floats: TypeAlias = NDArray[np.float64]
WORKING_POINTS = (0.3, 0.5, 0.8, 0.95)
LEAST = 10
NEAR = 3
SPREAD = 0.1
STEPS = 1000
ROUNDING = 1e-9


@dataclass(frozen=True)
class Flatness:
    """The numbers of a scan that the thesis compares losses by."""

    z_max: float
    """Largest Z, standard deviations."""

    threshold: float
    """Where it is; the loosest, if there are several."""

    at: dict[float, float]
    """Z at each of `WORKING_POINTS`, standard deviations."""

    area: float
    """A, standard deviations."""

    r_10: float
    """R_10%, a share of the thresholds; 0 if Z is 0 everywhere."""


@dataclass(frozen=True, eq=False)
class ThresholdScan:
    """What is left above each threshold."""

    threshold: Floats
    """t, from 0 to 1 in equal steps, shape (T,)."""

    signal: Floats
    """S, events expected, shape (T,)."""

    background: Floats
    """B, events expected, shape (T,)."""

    z: Floats
    """Z, standard deviations, shape (T,); 0 where no background is left."""

    signal_error: Floats
    """Statistical error of S, events expected, shape (T,)."""

    background_error: Floats
    """Statistical error of B, events expected, shape (T,)."""

    largest_weight: Floats
    """w_t, largest weight of a background event near the threshold, events expected, shape (T,)."""

    least: float = LEAST
    """n, events expected, and effective number of simulated ones, that make a Z count."""

    @property
    def enough(self) -> NDArray[np.bool_]:
        """Whether as many events are expected and simulated as make a Z count, shape (T,)."""
        S, B = self.signal, self.background
        n_s, n_b = effective(S, self.signal_error), effective(B, self.background_error)
        return np.asarray(np.minimum.reduce([S, B, n_s, n_b]) >= self.least * (1 - ROUNDING))

    @property
    def hopeless(self) -> bool:
        """Whether less signal is expected than makes a Z count, even without a cut."""
        return bool(self.signal[0] < self.least * (1 - ROUNDING))

    @property
    def counted(self) -> Floats:
        """Z where there are enough events, else 0, standard deviations, shape (T,)."""
        return np.where(self.enough, self.z, 0.0)

    @property
    def z_error(self) -> Floats:
        """Statistical error of Z, standard deviations, shape (T,); 0 where Z is."""
        some = self.z > 0
        z, S, B = (np.where(some, x, 1.0) for x in (self.z, self.signal, self.background))
        log = np.log1p(S / B)
        error = np.hypot(log * self.signal_error, (log - S / B) * self.background_error) / z
        return np.where(some, error, 0.0)

    def stable(self, *, spread: float = SPREAD) -> int:
        """Index of the largest Z among thresholds at which B is known; the loosest, if several.

        It is 0, no cut, with a Z that counts as 0, where `hopeless`.

        Args:
            spread: r, largest relative error of B, by its statistics and by one more event of the
                largest weight near the threshold.

        Raises:
            ValueError: if there is signal, but B is known so well at no threshold with a Z that
                counts.
        """
        if self.hopeless:
            return 0
        error = np.hypot(self.background_error, self.largest_weight)
        known = error <= spread * self.background
        z = np.where(known, self.counted, 0.0)
        if not z.max() > 0:
            raise ValueError(
                f"expected a threshold that leaves enough signal, and background known to "
                f"{100 * spread:g}%; got none from {self.signal[0]:.3g} and "
                f"{self.background[0]:.3g} +- {error[0]:.2g} events"
            )
        return int(z.argmax())

    def flatness(self) -> Flatness:
        """Largest Z, Z at the working points, area and range."""
        t, z = self.threshold, self.counted
        best = int(z.argmax())
        at = np.interp(WORKING_POINTS, t, z).tolist()
        area = float(((z[1:] + z[:-1]) / 2 * np.diff(t)).sum())
        r_10 = float((z >= 0.9 * z[best]).mean()) if z[best] > 0 else 0.0
        known = dict(zip(WORKING_POINTS, at, strict=True))
        return Flatness(float(z[best]), float(t[best]), known, area, r_10)


def scan(
    score: ArrayLike,
    signal: ArrayLike,
    weight: ArrayLike,
    *,
    origin: ArrayLike | None = None,
    least: float = LEAST,
    steps: int = STEPS,
) -> ThresholdScan:
    """Significance above each threshold.

    Args:
        score: p of N simulated events, within [0, 1], shape (N,).
        signal: whether an event is of the signal, shape (N,).
        weight: w, shape (N,) [events expected].
        origin: number of what an event comes from, shape (N,); events of one origin, which is
            either signal or background, are not independent. By default all are.
        least: n, events of signal and of background that a threshold must leave for its Z to count,
            as many expected, and an effective number of simulated ones.
        steps: number of steps from 0 to 1.

    Raises:
        ValueError: if the shapes differ, a score is not within [0, 1], or a weight is negative or
            not finite.
    """
    p, w = (np.asarray(a, dtype=np.float64) for a in (score, weight))
    of_signal = np.asarray(signal, dtype=bool)
    if not (p.ndim == 1 and p.shape == w.shape == of_signal.shape):
        shapes = p.shape, of_signal.shape, w.shape
        raise ValueError(f"expected scores, truth and weights of one shape (N,); got {shapes}")
    for name, values, high in (("scores within [0, 1]", p, 1.0), ("weights >= 0", w, np.inf)):
        if (bad := ~((values >= 0) & (values <= high) & np.isfinite(values))).any():
            raise ValueError(f"expected {name}; got {values[bad][0]}")
    t = np.linspace(0, 1, steps + 1)
    h = np.arange(len(p)) if origin is None else np.asarray(origin)
    kinds = (of_signal, ~of_signal)
    (S, dS, _), (B, dB, n_b) = (_above(p[k], w[k], h[k], t) for k in kinds)
    z = np.where(B > 0, asimov(S, np.where(B > 0, B, 1.0)), 0.0)
    largest = _largest(p[~of_signal], w[~of_signal], n_b)
    return ThresholdScan(t, S, B, z, dS, dB, largest, least)


def effective(value: Floats, error: Floats) -> Floats:
    """Numbers of events of equal weights that tell as much of sums of weights; 0 without events."""
    some = error > 0
    ratio = np.divide(value, error, out=np.zeros_like(value), where=some)
    return np.asarray(ratio**2)


def _above(
    p: Floats, w: Floats, origin: NDArray[Any], t: Floats
) -> tuple[Floats, Floats, NDArray[Any]]:
    """Sum of weights, its error, and number of events with p of at least t, each of shape (T,)."""
    order = np.argsort(-p)
    n = len(p) - np.searchsorted(p[order][::-1], t, side="left")
    w = w[order]
    squares = w * (w + 2 * _before(w, origin[order]))  # what an event adds to the squared sums
    total, variance = (np.concatenate([[0.0], np.cumsum(x)])[n] for x in (w, squares))
    return total, np.sqrt(np.maximum(variance, 0.0)), n


def _largest(p: Floats, w: Floats, n: NDArray[Any]) -> Floats:
    """Largest weight of the `NEAR` n events of largest p, where n are left, shape (T,)."""
    largest = np.maximum.accumulate(np.concatenate([[0.0], w[np.argsort(-p)]]))
    return np.asarray(largest[np.minimum(NEAR * n, len(w))])


def _before(w: Floats, origin: NDArray[Any]) -> Floats:
    """Sum of the weights of earlier events of the same origin, shape (N,)."""
    order = np.argsort(origin, kind="stable")
    sums = np.cumsum(w[order]) - w[order]
    first = np.concatenate([[True], np.diff(origin[order]) != 0]) if len(w) else np.zeros(0, bool)
    starts = sums[first][np.cumsum(first) - 1]
    before = np.empty_like(w)
    before[order] = sums - starts
    return before
