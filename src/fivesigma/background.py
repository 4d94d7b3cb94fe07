r"""Background behind a cut on the score, estimated where there is no signal.

**Interpolation.** The efficiency of the cut is smooth in the mass. It is fitted to the events
of the sidebands, passed ($k_i = 1$) or not ($k_i = 0$), with $u = (m - m_0) / h$,

$$ \text{logit} \, \epsilon(m) = \sum_{d \le D} \beta_d u^d , \qquad
   B = \sum_{i \in SR} \epsilon(m_i) , \qquad
   \sigma_B^2 = g^T C g , \quad g = \nabla_\beta B , $$

$C$ being the inverse Fisher information. Few events that pass do not decide a slope: half an event
that passes and half an event that does not, at $u = 0$, and a Gaussian prior of width 1.5 for
$\beta_1, \beta_2, \dots$ keep it finite; many events do not notice.

**Spectrum.** The selected spectrum itself is fitted in the sidebands, by the function that searches
for dijet resonances use, which is linear in its parameters but for the logarithm,

$$ \ln \frac{dN}{dm} = p_0 + p_1 \ln(1 - x) - p_2 \ln x , \qquad x = m / \sqrt s . $$

What is Gaussian is the logarithm of the background, $\ln \tilde B \pm r$ with $r^2 = g^T C g$ and
$g = \nabla_p \ln \tilde B$; the estimate is the mean of that log-normal distribution and its
standard deviation,

$$ B = \tilde B \, e^{r^2 / 2} , \qquad \sigma_B = B \sqrt{e^{r^2} - 1} . $$

An error that is a fixed share of the estimate makes low ones seem too sure; the mean undoes that.

**Template.** In the signal region, $n$ events of the data are below the cut; of simulated
background events, $t$ pass it and $T$ are below, on average over folds, each with its own cut,

$$ B = n \frac{t}{T} , \qquad
   \sigma_B^2 = B^2 \Big( \frac1n + \frac1t + \frac1T \Big) , \qquad t \geq \tfrac12 . $$

What is below normalises it, not all events: a signal behind the cut does not raise its own
background. For an interval of the score, what is below the interval is taken, which makes the
estimates of intervals that follow each other independent, as factors of a multinomial probability.

What these assumptions miss is measured on data without a signal: the closure.

References:
    Generalized linear models (Nelder, Wedderburn, 1972) https://doi.org/10.2307/2344614

    Search for resonances decaying to dijet final states (ATLAS, 2011), eq. 1
    https://arxiv.org/abs/1108.6311
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    *("Estimate", "Spectrum"),
    *("closure", "closures", "from_spectrum", "from_template", "interpolated"),
]

Floats: TypeAlias = NDArray[np.float64]
Link: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
Fit: TypeAlias = tuple[Floats, Floats]
STEPS = 100
RIDGE = 1e-9
SLOPE = 1.5
LEAST = 3
VAGUE = 2.0


@dataclass(frozen=True)
class Estimate:
    """Expected background events behind a cut in the signal region."""

    value: float
    """B, events."""

    error: float
    """sigma_B, statistical, events."""


@dataclass(frozen=True)
class Spectrum:
    """Where a spectrum is fitted, and where its background is wanted."""

    sidebands: tuple[tuple[float, float], ...]
    """Least and largest mass of each window [GeV]."""

    region: tuple[float, float]
    """Of the signal region [GeV]."""

    sqrt_s: float
    """Energy of the collisions [GeV]."""


def interpolated(
    mass: Floats, passed: NDArray[np.bool_], inside: NDArray[np.bool_], *, degree: int = 1
) -> Estimate:
    """Background from the efficiency in the sidebands.

    Args:
        mass: m of all events before the cut, shape (N,) [GeV].
        passed: whether they pass, shape (N,).
        inside: whether they are in the signal region, shape (N,).
        degree: D.

    Raises:
        ValueError: if a region has no events, or the fit does not converge.
    """
    _both(inside)
    u = (mass - mass.mean()) / (np.ptp(mass) / 2 or 1.0)
    X = u[:, None] ** np.arange(degree + 1)
    prior = (np.arange(degree + 1) == 0).astype(float)
    design = np.vstack([X[~inside], prior, prior])
    k = np.concatenate([passed[~inside], [1.0, 0.0]])
    w = np.concatenate([np.ones((~inside).sum()), [0.5, 0.5]])
    beta, C = _fit(design, k, w, _logistic, ridge=(1 - prior) / SLOPE**2)
    eps = _logistic(X[inside] @ beta)[0]
    g = (eps * (1 - eps)) @ X[inside]
    return Estimate(float(eps.sum()), math.sqrt(g @ C @ g))


def from_spectrum(mass: Floats, spectrum: Spectrum, *, width: float = 25.0) -> Estimate:
    """Background from a fit to the selected spectrum in the sidebands.

    Args:
        mass: m of the events that pass, shape (N,) [GeV].
        spectrum: sidebands, signal region and energy.
        width: largest width of a bin [GeV].

    Raises:
        ValueError: if fewer than three events pass in a sideband, or the fit does not converge or
            says the logarithm of the background no better than to 2.
    """
    windows, (low, high), sqrt_s = spectrum.sidebands, spectrum.region, spectrum.sqrt_s
    edges = [np.linspace(a, b, 1 + math.ceil((b - a) / width)) for a, b in windows]
    counts = [np.histogram(mass, e)[0] for e in edges]
    if min(n := [int(c.sum()) for c in counts]) < LEAST:
        got = " and ".join(map(str, n))
        raise ValueError(f"expected {LEAST} events or more in each sideband; got {got}")
    k = np.concatenate(counts).astype(float)
    centre = float(np.mean([e for window in windows for e in window]))
    m = np.concatenate([(e[1:] + e[:-1]) / 2 for e in edges])
    dm = np.concatenate([np.diff(e) for e in edges])
    design = _dijet(m, sqrt_s, centre)
    units = np.linalg.inv(np.linalg.qr(design)[1]) * math.sqrt(len(m))  # columns orthogonal, of 1
    beta, C = _fit(design @ units, k, np.ones(len(k)), _poisson, offset=np.log(dm))
    steps = math.ceil((high - low) / width)
    dm_in = (high - low) / steps
    m_in = np.asarray(low + dm_in * (np.arange(steps) + 0.5), dtype=np.float64)
    X = _dijet(m_in, sqrt_s, centre) @ units
    mean = dm_in * np.exp(X @ beta)
    g = mean @ X / mean.sum()
    if (r2 := float(g @ C @ g)) > VAGUE**2:
        raise ValueError(f"expected ln B known to {VAGUE:g} or better; got {math.sqrt(r2):.2g}")
    value = float(mean.sum()) * math.exp(r2 / 2)
    return Estimate(value, value * math.sqrt(math.expm1(r2)))


def from_template(n: int, passed: NDArray[np.bool_], below: NDArray[np.bool_]) -> Estimate:
    """Background from simulated events behind the same cuts.

    Args:
        n: events of the data in the signal region that are below the cut.
        passed: whether simulated events of the signal region pass the cut of each fold, shape
            (k, M).
        below: whether they are below it, shape (k, M).

    Raises:
        ValueError: if no simulated event is below the cut of any fold.
    """
    t, T = max(passed.sum(axis=1).mean(), 0.5), below.sum(axis=1).mean()
    if not T:
        raise ValueError("expected simulated events below the cut; got scores that all pass")
    r = t / T
    return Estimate(float(n * r), float(r * math.sqrt(n * (1 + n / t + n / T))))


def closure(observed: Floats, estimates: list[Estimate]) -> float:
    """The relative error that the estimates of data without a signal have beyond statistics.

    delta^2 = mean of ((n - B) / B)^2 - (B + sigma_B^2) / B^2 over data sets, if that is positive.

    Args:
        observed: n, events behind the cut in the signal region of each data set, shape (T,).
        estimates: of the same data sets.
    """
    B, sigma = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "error"))
    if not len(B) or not (B > 0).all():
        raise ValueError(f"expected data sets with a background above 0; got {B}")
    excess = ((observed - B) / B) ** 2 - (B + sigma**2) / B**2
    return math.sqrt(max(0.0, float(excess.mean())))


def closures(intervals: Sequence[tuple[Floats, list[Estimate]]]) -> Floats:
    """Covariance of the relative errors that several estimates have beyond statistics, (J, J).

    Delta = mean of r r^T over data sets, r_j = (n_j - B_j) / B_j, less (B_j + sigma_j^2) / B_j^2 on
    the diagonal; directions in which that is negative are left out.

    Args:
        intervals: of each of J intervals, the events n, shape (T,), and the estimates of T data
            sets.
    """
    r, excess = [], []
    for n, estimates in intervals:
        B, sigma = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "error"))
        r.append((n - B) / B)
        excess.append(((B + sigma**2) / B**2).mean())
    R = np.array(r)
    eigenvalues, axes = np.linalg.eigh(R @ R.T / R.shape[1] - np.diag(excess))
    Delta: Floats = (axes * np.maximum(eigenvalues, 0)) @ axes.T
    return Delta


def _dijet(m: Floats, sqrt_s: float, centre: float) -> Floats:
    """The columns of p_0, p_1 and p_2, relative to those of a central mass."""
    x, x_0 = m / sqrt_s, centre / sqrt_s
    return np.stack([np.ones(len(x)), np.log((1 - x) / (1 - x_0)), -np.log(x / x_0)], axis=1)


def _fit(
    X: Floats,
    k: Floats,
    w: Floats,
    link: Link,
    *,
    ridge: Floats | float = 0.0,
    offset: Floats | float = 0.0,
) -> Fit:
    """Maximum likelihood by Fisher scoring: the parameters, and the inverse of the information."""
    beta = np.zeros(X.shape[1])
    R = np.diag(RIDGE * w.sum() + ridge * np.ones(len(beta)))
    for _ in range(STEPS):
        mean, variance = link(X @ beta + offset)
        C = np.linalg.inv((X * (w * variance)[:, None]).T @ X + R)
        step = np.clip(C @ (X.T @ (w * (k - mean)) - R @ beta), -2, 2)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            return beta, np.asarray(C, dtype=np.float64)
    raise ValueError(f"expected a fit that converges in {STEPS} steps; got a last step of {step}")


def _logistic(eta: Floats) -> tuple[Floats, Floats]:
    p = 1 / (1 + np.exp(-np.clip(eta, -500, 500)))
    return p, p * (1 - p)


def _poisson(eta: Floats) -> tuple[Floats, Floats]:
    mean = np.exp(np.clip(eta, -500, 500))
    return mean, mean


def _both(inside: NDArray[np.bool_]) -> None:
    if not inside.any() or inside.all():
        raise ValueError(
            "expected events in the signal region and in the sidebands; got "
            f"{inside.sum()} and {(~inside).sum()}"
        )
