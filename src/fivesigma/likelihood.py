r"""Binned likelihood of a signal on a background with a covariance: discovery, exclusion, limits.

Counts $n_i$ in K bins, signal $\mu s_i$, background $b_i$ with covariance $C = L L^T$, and R
auxiliary measurements $a_j$ of its shifts $\theta_j$ (0 in data):

$$ L(\mu, \theta) = \prod_i \text{Pois}(n_i \mid \nu_i) \prod_j N(a_j \mid \theta_j, 1) , \qquad
   \nu = \mu s + \beta \geq 0, \quad \beta = b + L \theta \geq 0 . $$

With $D(\mu) = -2 \ln L(\mu, \hat{\hat\theta})$, smallest at $\hat\mu$, the test statistics are

$$ q_0 = D(0) - D(\hat\mu) \text{ if } \hat\mu > 0, \quad q_\mu = D(\mu) - D(\hat\mu), \;
   \tilde q_\mu = D(\mu) - D(\max(\hat\mu, 0)) \text{ if } \hat\mu < \mu, \text{ else } 0 . $$

For large counts $p_0 = 1 - \Phi(\sqrt{q_0})$ and, if the expected counts without signal have $q_A$,

$$ CL_s = \frac{CL_{s+b}}{CL_b} = \frac{1 - \Phi(t + \sqrt{q_A})}{1 - \Phi(t)} , \qquad
   t = \sqrt{q} - \sqrt{q_A}, \quad \text{or } \frac{q - q_A}{2 \sqrt{q_A}}
   \text{ if } \tilde q_\mu > q_A ; $$

$t = -N$ is expected at N standard deviations. Toys draw $n$ and $a$ about the $\hat{\hat\theta}$ of
the data. D is convex: all data sets are fitted at once by a primal-dual interior-point method.

References:
    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011) https://arxiv.org/abs/1007.1727
    Presentation of search results: the CLs technique (Read, 2002)
    https://doi.org/10.1088/0954-3899/28/10/313
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .counting import p_value, poisson_deviance, significance

__all__ = [
    "Data",
    "Discovery",
    "Exclusion",
    "Fit",
    "Limit",
    "Model",
    "Statistic",
    "asimov_data",
    "discovery",
    "exclusion",
    "fit",
    "q0",
    "q_mu",
    "toys",
    "upper_limit",
]

FloatArray: TypeAlias = NDArray[np.float64]
Statistic = Literal["q", "q~"]

BANDS = np.arange(-2.0, 3.0)  # standard deviations
_TIE = 1e-7  # two q closer than this are equal: fits reach 1e-9
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


@dataclass(frozen=True)
class Discovery:
    """Test of the background alone."""

    q0: float
    """Test statistic."""
    p: float
    """p-value; that of toys is (k + 1) / (n_toys + 1), never 0."""
    z: float
    """Its significance, standard deviations."""
    mu: float
    """Fitted strength of the signal."""
    n_toys: int
    """Toys; 0: asymptotic formulae."""
    n_failed: int
    """Further toys, left out because their fit has not converged."""


@dataclass(frozen=True)
class Exclusion:
    """Test of a strength of the signal."""

    q: float
    """Test statistic."""
    clsb: float
    """CL_s+b, probability of a q at least as large with the signal."""
    clb: float
    """CL_b, the same without signal."""
    cls: float
    """CL_s, at most 1."""
    expected: tuple[float, ...]
    """CL_s without signal for backgrounds at -2, -1, 0, 1 and 2 standard deviations."""
    n_toys: int
    """Toys of both hypotheses together; 0: asymptotic formulae."""
    n_failed: int
    """Further toys, left out because their fit has not converged."""


@dataclass(frozen=True)
class Limit:
    """Upper limits on the strength of the signal, where CL_s = 1 - level."""

    observed: float
    """Limit of the data."""
    expected: tuple[float, ...]
    """Limits without signal for backgrounds at -2, -1, 0, 1 and 2 standard deviations."""


def discovery(
    model: Model,
    data: ArrayLike | Data,
    *,
    n_toys: int = 0,
    rng: np.random.Generator | None = None,
) -> Discovery:
    """Test the background alone with one data set, shape (K,).

    Args:
        model: what is expected.
        data: one data set.
        n_toys: toys of the background; 0: asymptotic formulae.
        rng: for the toys.

    Raises:
        ValueError: as `fit`; for several data sets; for toys without rng.
    """
    q, best, null = _observed(q0(model, data)), fit(model, data), fit(model, data, 0.0)
    if n_toys == 0:
        z = float(np.sqrt(q))
        return Discovery(q, float(p_value(z)), z, float(best.mu[0]), 0, 0)
    drawn = q0(model, toys(model, 0.0, n_toys, rng=_required(rng), theta=null.theta))
    good = np.sort(drawn[np.isfinite(drawn)])
    p = float(_tail(good, q))
    failed = n_toys - len(good)
    return Discovery(q, p, float(significance(p)), float(best.mu[0]), len(good), failed)


def exclusion(
    model: Model,
    data: ArrayLike | Data,
    mu: float,
    *,
    kind: Statistic = "q~",
    n_toys: int = 0,
    rng: np.random.Generator | None = None,
) -> Exclusion:
    """Test signal of strength mu with one data set, shape (K,), by CLs.

    Args:
        model: what is expected.
        data: one data set.
        mu: strength, >= 0.
        kind: test statistic, as in `q_mu`.
        n_toys: toys of each hypothesis; 0: asymptotic formulae.
        rng: for the toys.

    Raises:
        ValueError: as `discovery`.
    """
    q, null = _observed(q_mu(model, data, mu, kind)), fit(model, data, 0.0)
    if n_toys > 0:
        return _exclusion_by_toys(model, data, mu, q, kind=kind, n_toys=n_toys, rng=_required(rng))
    q_A = _observed(fit(model, asimov_data(model, 0.0, null.theta), mu).deviance)
    t = np.sqrt(q) - np.sqrt(q_A)
    if kind == "q~" and q > q_A > 0:
        t = (q - q_A) / (2 * np.sqrt(q_A))
    at = np.append(t, -BANDS)
    log_b = p_value(at, scale="log")
    log_sb = p_value(at + np.sqrt(q_A), scale="log")
    cls, *expected = np.exp(log_sb - log_b).tolist()
    return Exclusion(
        q, float(np.exp(log_sb[0])), float(np.exp(log_b[0])), cls, tuple(expected), 0, 0
    )


def upper_limit(
    model: Model,
    data: ArrayLike | Data,
    *,
    level: float = 0.95,
    kind: Statistic = "q~",
    n_toys: int = 0,
    rng: np.random.Generator | None = None,
) -> Limit:
    """Upper limit on the strength, where CL_s = 1 - level; arguments as of `exclusion`.

    The toys of all strengths come from one seed, so that CL_s is a function. It is solved to 1e-9
    of the limit, or to 1e-3 with toys; these have to be 50 / (1 - level) at least.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level in (0, 1); got {level}")
    if 0 < n_toys < 50 / (1 - level):
        raise ValueError(f"expected at least {50 / (1 - level):.0f} toys; got {n_toys}")
    seed = _required(rng).integers(2**63) if n_toys else 0

    @cache
    def excess(mu: float) -> FloatArray:
        stream = np.random.default_rng(seed)
        test = exclusion(model, data, mu, kind=kind, n_toys=n_toys, rng=stream)
        return np.asarray(np.log([test.cls, *test.expected]) - np.log(1 - level))

    high = 1 / np.sqrt(np.sum(model.signal**2 / model.background))
    while np.any(excess(high) >= 0):
        high *= 2
    digits = 1e-3 if n_toys else 1e-9
    observed, *expected = (
        float(brentq(lambda mu, i: excess(mu)[i], 0.0, high, (i,), digits * high, digits))
        for i in range(6)
    )
    return Limit(observed, tuple(expected))


def _exclusion_by_toys(
    model: Model,
    data: ArrayLike | Data,
    mu: float,
    q: float,
    *,
    kind: Statistic,
    n_toys: int,
    rng: np.random.Generator,
) -> Exclusion:
    drawn = []
    for strength in (mu, 0.0):
        theta = fit(model, data, strength).theta
        drawn.append(q_mu(model, toys(model, strength, n_toys, rng=rng, theta=theta), mu, kind))
    signal, background = (np.sort(values[np.isfinite(values)]) for values in drawn)
    clsb, clb = (_tail(values, np.append(q, background)) for values in (signal, background))
    cls = np.minimum(clsb / clb, 1)
    expected = np.quantile(cls[1:], p_value(-BANDS), method="inverted_cdf").tolist()
    n = len(signal) + len(background)
    first = [float(value[0]) for value in (clsb, clb, cls)]
    return Exclusion(q, first[0], first[1], first[2], tuple(expected), n, 2 * n_toys - n)


def _tail(values: FloatArray, q: ArrayLike) -> FloatArray:
    """p-values of q, any shape, among sorted values of toys: (k + 1) / (n + 1)."""
    below = np.searchsorted(values, np.asarray(q) - _TIE)
    return np.asarray((1 + len(values) - below) / (1 + len(values)))


def _observed(values: FloatArray) -> float:
    if len(values) != 1:
        raise ValueError(f"expected one data set; got {len(values)}")
    if np.isnan(values[0]):
        raise RuntimeError("the fit of the data has not converged")
    return float(values[0])


def _required(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise ValueError("expected a random generator for the toys; got None")
    return rng
