r"""One count on an estimated background: p-values, and the significances of excess and absence.

With $n$ events on, $m$ events off and $\tau$ times the background off, so that $m / \tau$ estimates
the background on, only the split of $n + m$ knows of signal: without any it is binomial, and

$$ p = P(N \geq n) = I_{1/(1+\tau)}(n, \, m + 1) , \qquad
   p_\text{mid} = p - \tfrac12 P(N = n) = \tfrac12 [p(n) + p(n + 1)] . $$

A background $b \pm \sigma_b$ is such an estimate: $\tau = b / \sigma_b^2$, $m = b^2 / \sigma_b^2$
have $m / \tau = b$ and $\sqrt m / \tau = \sigma_b$. The same $p$ is the Poisson probability
averaged over a gamma density of the background with mode $b$, shape $m + 1$ and rate $\tau$: a
negative binomial. Likelihood ratios of the counts, with $D(n, \nu) = n \ln(n / \nu) - n + \nu$, are

$$ Z_0^2 = 2 [D(n, \hat b) + D(m, \tau \hat b)], \quad \hat b = \frac{n + m}{1 + \tau} , \qquad
   Z_1^2 = 2 [D(n, S + \hat{\hat b}) + D(m, \tau \hat{\hat b})] $$

for the absence of a signal and for its presence ($n < S + b$), with
$\hat{\hat b}^2 + (S - b + \rho (b - n)) \hat{\hat b} = (1 - \rho) b S$ and $\rho = 1/(1 + \tau)$.
If $\sigma_b = 0$ and $n = b$, $Z_1^2 = 2 [S - b \ln(1 + S/b)]$, about $S^2 / b$ for $S \ll b$.

References:
    Evaluation of three methods for calculating statistical significance when incorporating a
    systematic uncertainty into a test of the background-only hypothesis for a Poisson process
    (Cousins, Linnemann, Tucker, 2008) https://arxiv.org/abs/physics/0702156

    Analysis methods for results in gamma-ray astronomy (Li, Ma, 1983), eq. 17.
    https://doi.org/10.1086/161295

    Asymptotic formulae for likelihood-based tests of new physics (Cowan, Cranmer, Gross, Vitells,
    2011), sections 5.1 and 5.2. https://arxiv.org/abs/1007.1727
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = [
    *("Scale", "Tail", "asimov_exclusion", "bounded", "li_ma", "observed_discovery"),
    *("observed_exclusion", "on_off", "p_value", "poisson_deviance", "poisson_p", "significance"),
]

FloatArray: TypeAlias = NDArray[np.float64]
Tail = Literal["whole", "mid"]
Scale = Literal["linear", "log"]

# A relative variance of the background that changes no digit: a Poisson count is its limit. SciPy's
# own Poisson tail, `gammainc`, is wrong by 5e-6 at five standard deviations above 1e6 events.
_EXACT = 1e-30


def on_off(
    n_on: ArrayLike,
    n_off: ArrayLike,
    tau: ArrayLike,
    *,
    tail: Tail = "whole",
    scale: Scale = "linear",
) -> Any:
    """The exact p-value of n_on events, where n_off / tau estimates their background.

    Args:
        n_on: events, whole numbers >= 0; scalar or array, as all arguments.
        n_off: events of the estimate, >= 0; not a whole number if it stands for b / sigma_b.
        tau: ratio of the expected background off to that on, >= 0; 0 tells nothing, p = 1.
        tail: `whole`: P(N >= n_on), never too small; `mid`: half of P(N = n_on) only, whose mean
            over background is 1/2, as that of a continuous p-value.
        scale: `linear`: p; `log`: ln p, also where p is below the smallest float or rounds to 1.

    Returns:
        p in [0, 1], or ln p; a float for scalars, else an array of the common shape.

    Raises:
        ValueError: if a number is negative or not finite, n_on is not whole, or a word unknown.
    """
    n, m, ratio = _numbers(n_on=n_on, n_off=n_off, tau=tau)
    return _p(n, m, ratio, tail, scale)


def poisson_p(
    n: ArrayLike,
    b: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    *,
    closure: ArrayLike = 0.0,
    tail: Tail = "whole",
    scale: Scale = "linear",
) -> Any:
    """The p-value of n events on a background b with a gamma density of standard error sigma.

    It is `on_off(n, b² / σ², b / σ²)` with σ² = sigma_b² + (closure b)², and exactly Poisson for
    σ = 0. An estimate b = 0 with σ > 0 tells nothing, p = 1: where its scale is known, `on_off`
    with n_off = 0 does better.

    Args:
        n: events, whole numbers >= 0; scalar or array, as all arguments.
        b: background, events.
        sigma_b: statistical standard deviation of b, events.
        closure: relative standard deviation of b from its method, dimensionless.
        tail: as in `on_off`.
        scale: as in `on_off`, whose errors are also raised here.
    """
    count, B, sigma, delta = _numbers(n=n, b=b, sigma_b=sigma_b, closure=closure)
    return _p(count, *_as_off(B, np.hypot(sigma, delta * B)), tail, scale)


def significance(p: ArrayLike, *, scale: Scale = "linear") -> Any:
    """One-sided Z of a p-value, in standard deviations: +inf for p = 0, -inf for p = 1.

    Args:
        p: p in [0, 1], or ln p <= 0; scalar or array.
        scale: `linear`: p is p; `log`: p is ln p.

    Raises:
        ValueError: if p is outside its range or NaN, or the word unknown.
    """
    _check_word(scale, Scale)
    value = np.asarray(p, dtype=np.float64)
    low, high = (0.0, 1.0) if scale == "linear" else (-np.inf, 0.0)
    if np.any(bad := ~((value >= low) & (value <= high))):
        raise ValueError(f"expected p from {low:g} to {high:g} ({scale}); got {value[bad][0]}")
    Z = -special.ndtri(value) if scale == "linear" else -special.ndtri_exp(value)
    return (Z + 0.0)[()]


def bounded(p: ArrayLike) -> FloatArray:
    """Significance of p-values, where 0 and 1 have finite ones: 38 and -8."""
    return np.clip(np.asarray(significance(p), dtype=np.float64), -8, 38)


def p_value(z: ArrayLike, *, scale: Scale = "linear") -> Any:
    """The inverse of `significance`: one-sided p, or ln p, of Z.

    Raises:
        ValueError: if z is NaN, or the word unknown.
    """
    _check_word(scale, Scale)
    Z = np.asarray(z, dtype=np.float64)
    if np.any(np.isnan(Z)):
        raise ValueError("expected z without NaN; got nan")
    return (special.ndtr(-Z) if scale == "linear" else special.log_ndtr(-Z))[()]


def poisson_deviance(n: ArrayLike, mean: ArrayLike) -> Any:
    """2 D(n, mean) without cancellation, for n and mean >= 0: -2 ln of a likelihood ratio."""
    count, nu = np.asarray(n, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    return (2 * _excess(count, count - nu))[()]


def li_ma(n_on: ArrayLike, n_off: ArrayLike, tau: ArrayLike) -> Any:
    """Z_0 of Li and Ma, negative for a deficit; as `on_off`, but n_on may be any number >= 0."""
    n, m, ratio = _numbers(whole=(), n_on=n_on, n_off=n_off, tau=tau)
    return _li_ma(n, m, ratio)[()]


def observed_discovery(n: ArrayLike, n_b: ArrayLike, sigma_b: ArrayLike = 0.0) -> Any:
    """Z_0 of n events on a background n_b ± sigma_b; 0 for a deficit.

    Args:
        n: events >= 0, not necessarily whole: n = S + n_b gives `statistics.asimov`.
        n_b: background, events.
        sigma_b: its standard deviation, events.

    Raises:
        ValueError: if a number is negative or not finite.
    """
    count, B, sigma = _numbers(whole=(), n=n, n_b=n_b, sigma_b=sigma_b)
    return np.maximum(_li_ma(count, *_as_off(B, sigma)), 0.0)[()]


def observed_exclusion(
    n: ArrayLike, n_s: ArrayLike, n_b: ArrayLike, sigma_b: ArrayLike = 0.0
) -> Any:
    """Z_1 with which n events exclude a signal n_s on n_b ± sigma_b; 0 if n >= n_s + n_b.

    Args:
        n: events >= 0, not necessarily whole.
        n_s: signal, events.
        n_b: background, events.
        sigma_b: its standard deviation, events, from an independent Poisson count.

    Raises:
        ValueError: if a number is negative or not finite.
    """
    N, S, B, sigma = _numbers(whole=(), n=n, n_s=n_s, n_b=n_b, sigma_b=sigma_b)
    v = sigma**2
    rho = np.divide(v, B + v, out=np.zeros_like(v), where=v > 0)
    missing = np.maximum(S - (N - B), 0.0)
    # The profiled background is B - delta.
    h, c = B + S - rho * (N - B), rho * B * missing
    root = h + np.sqrt(np.maximum(h * h - 4 * c, 0.0))
    delta = np.divide(2 * c, root, out=np.zeros_like(c), where=root > 0)
    tau = np.divide(B, v, out=np.zeros_like(v), where=v > _EXACT * B)
    return np.sqrt(2 * (_excess(N, delta - missing) + tau * _excess(B, delta)))[()]


def asimov_exclusion(n_s: ArrayLike, n_b: ArrayLike, sigma_b: ArrayLike = 0.0) -> Any:
    """Median Z_1 with which the signal is excluded if there is none: n = n_b events.

    `statistics.asimov` is its counterpart, the median significance of a discovery.
    Arguments and errors are those of `observed_exclusion`.
    """
    return observed_exclusion(n_b, n_s, n_b, sigma_b)


def _as_off(B: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Events off and tau of a background B with standard deviation sigma."""
    known = (B == 0) & (sigma == 0)
    with np.errstate(divide="ignore", over="ignore"):
        rho = np.maximum(np.divide(sigma**2, B, out=np.full_like(B, np.inf), where=B > 0), _EXACT)
        tau = np.where(known, np.inf, 1 / rho)
    return B / rho, tau


def _p(n: FloatArray, m: FloatArray, tau: FloatArray, tail: Tail, scale: Scale) -> Any:
    _check_word(tail, Tail)
    _check_word(scale, Scale)
    x = 1 / (1 + tau)
    whole = _log_p(n, m, x) if scale == "log" else _linear_p(n, m, x)
    if tail == "whole":
        return whole[()]
    if scale == "log":
        return (np.logaddexp(whole, _log_p(n + 1, m, x)) - np.log(2))[()]
    return ((whole + _linear_p(n + 1, m, x)) / 2)[()]


def _linear_p(n: FloatArray, m: FloatArray, x: FloatArray) -> FloatArray:
    return np.where(n > 0, special.betainc(np.maximum(n, 1), m + 1, x), 1.0)


def _log_p(n: FloatArray, m: FloatArray, x: FloatArray) -> FloatArray:
    p, q = _linear_p(n, m, x), special.betaincc(np.maximum(n, 1), m + 1, x)
    with np.errstate(divide="ignore"):
        log_p = np.asarray(np.where((n > 0) & (p > 0.5), np.log1p(-q), np.log(p)))
    deep = (p < 1e-280) & (x > 0)
    log_p[deep] = _deep_log_p(n[deep], m[deep] + 1, x[deep])
    return log_p


def _deep_log_p(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of I_x(a, b) far in the tail by the continued fraction of DLMF 8.17.22."""
    c, d = np.ones_like(x), 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for k in range(1, 100_000):
        even = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        odd = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        d, c = 1 / (1 + even * d), 1 + even / c
        fraction = fraction * c * d
        d, c = 1 / (1 + odd * d), 1 + odd / c
        fraction = fraction * c * d
        if np.all(np.abs(c * d - 1) < 1e-14):
            break
    log_p = a * np.log(x) + b * np.log1p(-x) - special.betaln(a, b) + np.log(fraction / a)
    return np.asarray(log_p)


def _excess(n: FloatArray, d: FloatArray) -> FloatArray:
    """D(n, n - d) = n ln(n / (n - d)) - d, by its series in d where the terms cancel."""
    nu = np.maximum(n - d, 0.0)
    total = n + nu
    v = np.divide(d, total, out=np.zeros_like(total), where=total > 0)
    small = np.abs(v) < 0.1
    u = np.where(small, v, 0.0)
    series = d * u + 2 * n * u**3 * np.polyval([1 / (2 * j + 3) for j in range(8)][::-1], u * u)
    return np.asarray(np.where(small, series, special.rel_entr(n, nu) - d))


def _li_ma(n: FloatArray, m: FloatArray, tau: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        d = n / (1 + 1 / tau) - m / (1 + tau)
    return np.asarray(np.sign(d) * np.sqrt(2 * (_excess(n, d) + _excess(m, -d))))


def _numbers(whole: tuple[str, ...] = ("n", "n_on"), **values: ArrayLike) -> list[FloatArray]:
    """The arguments as arrays of one shape; those that `whole` names have to be whole numbers."""
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
    for name, value in arrays.items():
        valid = np.isfinite(value) & (value >= 0)
        if name in whole:
            valid &= value == np.floor(value)
        if not np.all(valid):
            kind = "whole" if name in whole else "finite"
            raise ValueError(f"expected {kind} {name} >= 0; got {value[~valid][0]}")
    return list(np.broadcast_arrays(*arrays.values()))


def _check_word(word: str, allowed: Any) -> None:
    if word not in get_args(allowed):
        raise ValueError(f"expected one of {get_args(allowed)}; got {word!r}")
