r"""Binned likelihood of a signal on a background with a covariance.

Counts $n_i$ in K bins, signal $\mu s_i$, background $b_i$ with covariance $C = L L^T$, and R
auxiliary measurements $a_j$ of its shifts $\theta_j$ (0 in data):

$$ L(\mu, \theta) = \prod_i \text{Pois}(n_i \mid \nu_i) \prod_j N(a_j \mid \theta_j, 1) , \qquad
   \nu = \mu s + \beta \geq 0, \quad \beta = b + L \theta \geq 0 . $$

With $D(\mu) = -2 \ln L(\mu, \hat{\hat\theta})$, smallest at $\hat\mu$, the test statistics are

$$ q_0 = D(0) - D(\hat\mu) \text{ if } \hat\mu > 0, \quad q_\mu = D(\mu) - D(\hat\mu), \;
   \tilde q_\mu = D(\mu) - D(\max(\hat\mu, 0)) \text{ if } \hat\mu < \mu, \text{ else } 0 . $$

D is convex: all data sets are fitted at once by a primal-dual interior-point method.

References:
    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011) https://arxiv.org/abs/1007.1727
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .counting import poisson_deviance

__all__ = [
    "Data",
    "Fit",
    "Model",
    "Statistic",
    "asimov_data",
    "fit",
    "q0",
    "q_mu",
    "toys",
]

FloatArray: TypeAlias = NDArray[np.float64]
Statistic = Literal["q", "q~"]

_CHUNK = 4096  # data sets in one pass


@dataclass(frozen=True, eq=False)
class Model:
    """Expected events in K bins; the arrays become float64."""

    signal: FloatArray
    """s, shape (K,): events for μ = 1, not negative and not all 0."""
    background: FloatArray
    """b, shape (K,): events, positive."""
    covariance: FloatArray
    """C, shape (K, K): covariance of b, events²."""

    def __post_init__(self) -> None:
        for name in ("signal", "background", "covariance"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        s, b, C = self.signal, self.background, self.covariance
        if s.ndim != 1 or s.shape != b.shape or C.shape != 2 * s.shape:
            shapes = f"{s.shape}, {b.shape}, {C.shape}"
            raise ValueError(f"expected shapes (K,), (K,) and (K, K); got {shapes}")
        if not (np.all(np.isfinite(s) & (s >= 0)) and np.any(s > 0)):
            raise ValueError(f"expected signal >= 0 with a bin > 0; got {s}")
        if not np.all(np.isfinite(b) & (b > 0)):
            raise ValueError(f"expected background > 0; got {b}")
        if not np.allclose(C, C.T, rtol=1e-9, atol=1e-12 * np.abs(C).max()):
            raise ValueError(f"expected a finite symmetric covariance; got {C.tolist()}")
        self.shifts.setflags(write=False)

    @classmethod
    def independent(
        cls,
        signal: ArrayLike,
        background: ArrayLike,
        uncertainty: ArrayLike = 0.0,
        *,
        kind: Literal["absolute", "relative"] = "absolute",
    ) -> "Model":
        """Bins with independent standard deviations (K,) or scalar: events, or fractions of b."""
        b = np.asarray(background, dtype=np.float64)
        sigma = np.asarray(uncertainty) * (b if kind == "relative" else np.ones_like(b))
        if not np.all(sigma >= 0):
            raise ValueError(f"expected uncertainty >= 0; got {sigma}")
        return cls(np.asarray(signal), b, np.diag(sigma**2))

    @cached_property
    def shifts(self) -> FloatArray:
        """L, shape (K, R), L L^T = C: principal axes of the correlations, the largest first."""
        variance = np.diag(self.covariance)
        sigma = np.sqrt(np.where(variance > 0, variance, 1.0))
        eigenvalues, axes = np.linalg.eigh(self.covariance / np.outer(sigma, sigma))
        if eigenvalues[0] < -1e-9:
            raise ValueError(f"expected a covariance with eigenvalues >= 0; got {eigenvalues}")
        kept = eigenvalues > 1e-12
        L = sigma[:, None] * axes[:, kept] * np.sqrt(eigenvalues[kept])
        return np.asarray(L * np.sign(L.sum(axis=0) + 1e-300))[:, ::-1]


@dataclass(frozen=True, eq=False)
class Data:
    """T data sets: real ones, toys or expected ones."""

    counts: FloatArray
    """n, shape (T, K): events, not necessarily whole."""
    auxiliary: FloatArray
    """a, shape (T, R): 0 in real data."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Largest likelihood of T data sets."""

    mu: FloatArray
    """μ, shape (T,): as given, or fitted; the latter may be negative as long as ν >= 0."""
    theta: FloatArray
    """θ, shape (T, R), standard deviations."""
    deviance: FloatArray
    """D, shape (T,), less that of ν = n and θ = a; NaN where the fit has not converged."""


def fit(model: Model, data: ArrayLike | Data, mu: ArrayLike | Literal["free"] = "free") -> Fit:
    """Maximise the likelihood of T data sets at once.

    Args:
        model: K bins and R shifts.
        data: counts, shape (K,) or (T, K), or `Data`.
        mu: `free`, or strengths >= 0, scalar or shape (T,).

    Raises:
        ValueError: if a count or strength is negative or not finite, or shapes do not fit.
    """
    d = _data(model, data)
    s, b, L = model.signal, model.background, model.shifts
    free, T = int(isinstance(mu, str)), len(d.counts)
    given = np.broadcast_to(np.asarray(0.0 if free else mu, dtype=np.float64), T)
    if not np.all(np.isfinite(given) & (given >= 0)):
        raise ValueError(f"expected finite mu >= 0; got {given}")
    # Parameters x = (mu / unit, theta) move the rows v = (nu, beta).
    unit = 1 / np.sqrt(np.sum(s**2 / b))
    X = np.block([[unit * s[:, None], L], [0 * s[:, None], L]])[:, 1 - free :]
    v = np.hstack([b + given[:, None] * s, np.tile(b, (T, 1))])
    n = np.hstack([d.counts, np.zeros((T, len(b)))])
    centre = np.hstack([np.zeros((T, free)), d.auxiliary])
    floor = 1e-12 * np.maximum(np.tile(np.diag(model.covariance), 2), 1)
    weight = np.append(np.zeros(free), np.ones(L.shape[1]))
    parts = [
        _interior_point(
            X, v[i : i + _CHUNK], n[i : i + _CHUNK], centre[i : i + _CHUNK], weight, floor
        )
        for i in range(0, max(T, 1), _CHUNK)
    ]
    x, v, converged = (np.concatenate(part) for part in zip(*parts, strict=True))
    theta = x[:, free:]
    D = poisson_deviance(d.counts, v[:, : len(b)]).sum(axis=1)
    D = D + np.sum((theta - d.auxiliary) ** 2, axis=1)
    return Fit(given + unit * x[:, :free].sum(axis=1), theta, np.where(converged, D, np.nan))


def _interior_point(
    X: FloatArray,
    v: FloatArray,
    n: FloatArray,
    centre: FloatArray,
    weight: FloatArray,
    floor: FloatArray,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Minimise Σ_k (g_k v_k - n_k ln v_k) + ½ Σ_p weight_p (x_p - centre_p)², T times.

    Newton steps towards u v = n, with t -> 0 instead where n = 0; u are multipliers of the borders
    of v = v(0) + X x >= 0. A count n > 0 needs none: its logarithm keeps v positive.

    Args:
        X: shape (2 K, P).
        v: v(0) > 0, shape (T, 2 K); g is 1 for the first K of them and 0 for the others.
        n: shape (T, 2 K).
        centre: shape (T, P).
        weight: shape (P,).
        floor: smallest t, shape (2 K,).

    Returns:
        x, shape (T, P); v, shape (T, 2 K); whether the fit has converged, shape (T,).
    """
    T, (rows, P) = len(n), X.shape
    g = np.repeat([1.0, 0.0], rows // 2)
    pairs = (X[:, :, None] * X[:, None, :]).reshape(rows, P * P)
    empty = n == 0
    x, t = np.zeros((T, P)), np.full((T, 1), 0.1)
    u = np.where(empty, np.where(g > 0, 0.5, t / v), n / v)
    done = np.zeros(T, dtype=np.bool_)
    for _ in range(100):
        target = np.where(empty, np.maximum(t, floor), n)
        slope = weight * (x - centre) + (g - target / v) @ X
        H = ((u / v) @ pairs).reshape(T, P, P) + np.diag(weight)
        # In units in which the diagonal is 1, the last digits keep H from being singular.
        size = np.sqrt(np.diagonal(H, axis1=1, axis2=2))
        H = H / (size[:, :, None] * size[:, None, :]) + 1e-15 * np.eye(P)
        dx = -np.linalg.solve(H, (slope / size)[..., None])[..., 0] / size
        dv = dx @ X.T
        du = (target - u * dv) / v - u
        gap = np.max(np.abs(u * v - target) / (1 + target), axis=1)
        done |= (t[:, 0] <= 1e-12) & (gap < 1e-7) & (-np.sum(slope * dx, axis=1) < 1e-9)
        if done.all():
            break
        border = np.maximum(np.max(-dv / v, axis=1), np.max(-du / u, axis=1))
        step = 1 / np.maximum(1, border / 0.995)[:, None]
        x, v, u = x + step * dx, v + step * dv, u + step * du
        t = np.where(step > 0.5, np.maximum(np.minimum(0.1 * t, t**1.5), 1e-12), t)
    return x, v, done


def asimov_data(model: Model, mu: float, theta: ArrayLike | None = None) -> Data:
    """Expected counts and auxiliary measurements at mu and theta, shape (1, R); None: all 0."""
    a = np.zeros((1, model.shifts.shape[1])) if theta is None else np.atleast_2d(theta)
    return Data(np.maximum(mu * model.signal + model.background + a @ model.shifts.T, 0), a)


def toys(
    model: Model, mu: float, n: int, *, rng: np.random.Generator, theta: ArrayLike | None = None
) -> Data:
    """Draw n data sets: Poisson counts and normal auxiliary measurements about `asimov_data`."""
    centre = asimov_data(model, mu, theta)
    counts = rng.poisson(centre.counts, (n, len(model.signal)))
    auxiliary = rng.normal(centre.auxiliary, size=(n, model.shifts.shape[1]))
    return Data(counts.astype(np.float64), auxiliary)


def q0(model: Model, data: ArrayLike | Data) -> FloatArray:
    """q_0 of T data sets, shape (T,); NaN where a fit has not converged. Data as in `fit`."""
    best, null = fit(model, data), fit(model, data, 0.0)
    difference = null.deviance - best.deviance
    return np.where(best.mu > 0, np.maximum(difference, 0), 0 * difference)


def q_mu(model: Model, data: ArrayLike | Data, mu: float, kind: Statistic = "q~") -> FloatArray:
    """q_mu (`q`) or its variant for mu >= 0 (`q~`) of T data sets, shape (T,), as `q0`."""
    if kind not in get_args(Statistic):
        raise ValueError(f"expected one of {get_args(Statistic)}; got {kind!r}")
    best, tested = fit(model, data), fit(model, data, mu)
    least = best.deviance
    if kind == "q~":
        least = np.where(best.mu < 0, fit(model, data, 0.0).deviance, least)
    difference = tested.deviance - least
    return np.where(best.mu < mu, np.maximum(difference, 0), 0 * difference)


def _data(model: Model, data: ArrayLike | Data) -> Data:
    R = model.shifts.shape[1]
    if not isinstance(data, Data):
        counts = np.atleast_2d(np.asarray(data, dtype=np.float64))
        data = Data(counts, np.zeros((len(counts), R)))
    n, a = data.counts, data.auxiliary
    K = len(model.signal)
    if n.ndim != 2 or n.shape[1] != K or a.shape != (len(n), R):
        raise ValueError(f"expected counts (T, {K}), auxiliary (T, {R}); got {n.shape}, {a.shape}")
    if np.any(bad := ~(np.isfinite(n) & (n >= 0))):
        raise ValueError(f"expected finite counts >= 0; got {n[bad][0]}")
    return data
