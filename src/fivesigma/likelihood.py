r"""Binned likelihood of a signal on a background with a covariance: discovery, exclusion, limits.

Counts $n_i$ in K bins, signal $s_i$ of strength $\mu$, background $b_i$ with covariance
$C = L L^T$ and R auxiliary measurements $a_j$ of its shifts $\theta_j$ (0 in the data):

$$ L(\mu, \theta) = \prod_i \text{Pois}(n_i \mid \nu_i) \prod_j N(a_j \mid \theta_j, 1) , \qquad
   \nu = \mu s + \beta, \quad \beta = b + L \theta \geq 0 . $$

With $D(\mu) = -2 \ln L(\mu, \hat{\hat\theta}(\mu))$, and $\hat\mu$ where it is smallest,

$$ q_0 = D(0) - D(\hat\mu) \text{ if } \hat\mu > 0, \qquad
   q_\mu = D(\mu) - D(\hat\mu), \quad
   \tilde q_\mu = D(\mu) - D(\max(\hat\mu, 0)) \text{ if } \hat\mu < \mu , $$

and 0 otherwise. For large counts $p_0 = 1 - \Phi(\sqrt{q_0})$ and, with $q_A$ that of the expected
counts without signal, $t = \sqrt{q} - \sqrt{q_A}$, or $t = (q - q_A) / (2 \sqrt{q_A})$ if
$\tilde q_\mu > q_A$,

$$ CL_s = \frac{CL_{s+b}}{CL_b} = \frac{1 - \Phi(t + \sqrt{q_A})}{1 - \Phi(t)} , $$

where $t = -N$ gives what is expected at N standard deviations. Toys draw $n$ and $a$ about the
profiled $\hat{\hat\theta}$ of the data. $D$ is convex: all data sets are fitted at once by Newton
steps of a primal-dual interior-point method, in which a count $n_i > 0$ is its own barrier.

References:
    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011) https://arxiv.org/abs/1007.1727

    Presentation of search results: the CLs technique (Read, 2002)
    https://doi.org/10.1088/0954-3899/28/10/313
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

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
    "discovery_toys",
    "exclusion",
    "exclusion_toys",
    "fit",
    "q0",
    "q_mu",
    "toys",
    "upper_limit",
    "upper_limit_toys",
]

FloatArray: TypeAlias = NDArray[np.float64]
Statistic = Literal["q", "q~"]

BANDS = np.arange(-2.0, 3.0)  # standard deviations
# Two q closer than this are one: the fits reach 1e-9.
_TIE = 1e-7


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
            raise ValueError(
                f"expected shapes (K,), (K,), (K, K); got {s.shape}, {b.shape}, {C.shape}"
            )
        if not (np.all(np.isfinite(s) & (s >= 0)) and np.any(s > 0)):
            raise ValueError(f"expected signal >= 0 with a bin > 0; got {s}")
        if not np.all(np.isfinite(b) & (b > 0)):
            raise ValueError(f"expected background > 0; got {b}")
        if not np.allclose(C, C.T, rtol=1e-9, atol=1e-12 * np.max(np.abs(C), initial=0)):
            raise ValueError(f"expected a finite, symmetric covariance; got {C.tolist()}")
        self.shifts.setflags(write=False)

    @classmethod
    def independent(
        cls,
        signal: ArrayLike,
        background: ArrayLike,
        uncertainty: ArrayLike = 0.0,
        *,
        kind: Literal["absolute", "relative"] = "absolute",
    ) -> Model:
        """A background whose bins are known independently.

        Args:
            signal: s, shape (K,), events.
            background: b, shape (K,), events.
            uncertainty: standard deviations of b, shape (K,) or scalar; 0: b is known.
            kind: `absolute`: in events; `relative`: as fractions of b.
        """
        b = np.asarray(background, dtype=np.float64)
        sigma = np.asarray(uncertainty) * (b if kind == "relative" else np.ones_like(b))
        return cls(np.asarray(signal), b, np.diag(np.square(sigma)))

    @cached_property
    def shifts(self) -> FloatArray:
        """L, shape (K, R), L L^T = C: principal axes of the correlations, the largest first."""
        variance = np.diag(self.covariance)
        sigma = np.sqrt(np.where(variance > 0, variance, 1.0))
        eigenvalues, axes = np.linalg.eigh(self.covariance / np.outer(sigma, sigma))
        if np.any(eigenvalues < -1e-9):
            raise ValueError(f"expected a covariance with eigenvalues >= 0; got {eigenvalues}")
        kept = np.flatnonzero(eigenvalues > 1e-12)[::-1]
        axes = axes[:, kept] * np.sign(axes[np.abs(axes).argmax(axis=0), range(len(axes))][kept])
        return np.asarray(sigma[:, None] * axes * np.sqrt(eigenvalues[kept]))


@dataclass(frozen=True, eq=False)
class Data:
    """T data sets of one model, real ones, toys or expected ones."""

    counts: FloatArray
    """n, shape (T, K): events, not necessarily whole."""

    auxiliary: FloatArray
    """a, shape (T, R): 0 in real data."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The largest likelihood of T data sets."""

    mu: FloatArray
    """μ, shape (T,), fitted or as given; it may be negative as long as all ν >= 0."""

    theta: FloatArray
    """θ, shape (T, R), in standard deviations."""

    deviance: FloatArray
    """D, shape (T,): -2 ln of the likelihood over its largest conceivable value, >= 0; NaN where
    the fit has not converged."""


@dataclass(frozen=True)
class Discovery:
    """Test of the background alone."""

    q0: float
    """Test statistic."""

    p: float
    """p-value; with toys (k + 1) / (n_toys + 1), never 0."""

    z: float
    """Significance of p, standard deviations."""

    mu: float
    """Fitted signal strength."""

    n_toys: int = 0
    """Toys that count; 0: asymptotic formulae."""

    n_failed: int = 0
    """Toys whose fit has not converged; they are left out."""


@dataclass(frozen=True)
class Exclusion:
    """Test of a signal strength."""

    mu: float
    """The strength tested."""

    q: float
    """Test statistic."""

    clsb: float
    """p-value of signal and background, CL_s+b."""

    clb: float
    """P(q at least as large) of background alone, CL_b."""

    cls: float
    """CL_s, at most 1."""

    expected: tuple[float, ...]
    """CL_s without signal at -2, -1, 0, 1, 2 standard deviations of an upward fluctuation."""

    n_toys: int = 0
    """Toys of each hypothesis; 0: asymptotic formulae."""

    n_failed: int = 0
    """Toys whose fit has not converged; they are left out."""


@dataclass(frozen=True)
class Limit:
    """Upper limits on the signal strength."""

    observed: float
    """μ where CL_s is 1 - level."""

    expected: tuple[float, ...]
    """The same without signal at -2, -1, 0, 1, 2 standard deviations."""

    level: float
    """Confidence level."""


def fit(model: Model, data: ArrayLike | Data, mu: ArrayLike | Literal["free"] = "free") -> Fit:
    """Maximise the likelihood of T data sets at once.

    Args:
        model: K bins, R shifts.
        data: counts, shape (K,) or (T, K), or `Data`.
        mu: `free`, or strengths >= 0, scalar or shape (T,).

    Raises:
        ValueError: if a count or strength is negative or not finite, or a shape does not fit.
    """
    d = _data(model, data)
    T, (K, R) = len(d.counts), model.shifts.shape
    s, b, L = model.signal, model.background, model.shifts
    start = np.zeros(T) if isinstance(mu, str) else np.broadcast_to(np.asarray(mu, float), T)
    if not np.all(np.isfinite(start) & (start >= 0)):
        raise ValueError(f"expected finite mu >= 0; got {start}")
    # x = (mu / unit, theta); its rows are nu, which has counts, and beta, which has a border only.
    unit = 1 / np.sqrt(np.sum(s**2 / b)) if isinstance(mu, str) else 0.0
    X = np.block([[unit * s[:, None], L], [np.zeros((K, 1)), L]])
    v = np.hstack([b + start[:, None] * s, np.broadcast_to(b, (T, K))])
    ...
