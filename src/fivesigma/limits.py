r"""Discovery, exclusion and upper limits with the statistics of a binned likelihood.

For large counts $p_0 = 1 - \Phi(\sqrt{q_0})$ and, if the expected counts without signal have $q_A$,

$$ CL_s = \frac{CL_{s+b}}{CL_b} = \frac{1 - \Phi(t + \sqrt{q_A})}{1 - \Phi(t)} , \qquad
   t = \sqrt{q} - \sqrt{q_A}, \quad \text{or } \frac{q - q_A}{2 \sqrt{q_A}}
   \text{ if } \tilde q_\mu > q_A ; $$

$t = -N$ is expected at N standard deviations. Toys draw $n$ and $a$ about the
$\hat{\hat\theta}$ of the data (see `likelihood`).

References:
    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011) https://arxiv.org/abs/1007.1727
    Presentation of search results: the CLs technique (Read, 2002)
    https://doi.org/10.1088/0954-3899/28/10/313
"""

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .counting import p_value, significance
from .likelihood import Data, Model, Statistic, asimov_data, fit, q0, q_mu, toys

__all__ = ["Discovery", "Exclusion", "Limit", "discovery", "exclusion", "upper_limit"]

FloatArray: TypeAlias = NDArray[np.float64]

BANDS = np.arange(-2.0, 3.0)  # standard deviations
_TIE = 1e-7  # two q closer than this are equal: fits reach 1e-9


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
