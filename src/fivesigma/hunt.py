r"""The hunt: what the smallest p-value of many windows means.

The data give a local p-value $p_w$ in each of $W$ windows of the resonance mass, and so do $T$ data
sets without a signal. The smallest of the data is as rare as it is among theirs, however windows
overlap and whatever the assumptions behind the p-values,

$$ p_\text{global} = \frac{1 + \#\{t : \min_w p_{tw} \leq \min_w p_w\}}{1 + T} . $$

Where fewer than five of them are as small, that is only a bound. There, with the one-sided
$Z = \Phi^{-1}(1 - p)$, $q = Z^2$ where $Z > 0$, a scan exceeds $u$ if it begins above, or crosses
it upwards. The mean number of up-crossings falls with $u$ as the density of $q$ does, so that it
can be counted at a low level $u_0 = Z_0^2$, where few scans have many of them,

$$ p_\text{global} \leq p_\text{local} + \langle N(u_0) \rangle \, e^{-(u - u_0) / 2} . $$

That is derived for a continuous scan of a $\chi^2$ with one degree of freedom. Windows are discrete
and overlap. Of two Gaussian $Z$ with a correlation $r$ the second alone is above $z$ with

$$ P(Z_1 < z \leq Z_2) = \int_r^1 \frac{ds}{2 \pi \sqrt{1 - s^2}} \, e^{-z^2 / (1 + s)} , $$

which falls faster than $e^{-z^2 / 2}$: few windows make the limit only larger than it has to be.
Counts are no Gaussians, though: where data sets without a signal reach, they decide.

References:
    Trial factors for the look elsewhere effect in high energy physics (Gross, Vitells, 2010)
    https://arxiv.org/abs/1005.1891

    Permutation p-values should never be zero (Phipson, Smyth, 2010)
    https://doi.org/10.2202/1544-6115.1585
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from .calibration import ENOUGH
from .counting import bounded, p_value, significance

__all__ = ["Global", "Upcrossings", "global_p", "upcrossings"]

Floats: TypeAlias = NDArray[np.float64]
LEVEL = 0.5
FAR = 2.0  # Z at which the p-values of data sets without a signal are looked at, too
UNLIKELY = 0.01


@dataclass(frozen=True)
class Global:
    """The smallest of many p-values, with what it means."""

    p: float
    """Global p-value."""

    z: float
    """Its significance, one-sided, standard deviations."""

    origin: Literal["empirical", "bound"]
    """Whether data sets without a signal reach as far, or it is smaller than they can tell."""

    n_null: int
    """T, data sets without a signal."""

    best: tuple[int, ...]
    """Where the smallest p-value is: (window,), or (window, cut)."""


def global_p(p: ArrayLike, null: ArrayLike) -> Global:
    """The p-value of the smallest local one, among those of data sets without a signal.

    Args:
        p: p_w of the data, shape (W,), or (W, C) with C cuts each.
        null: p_tw of the same search in data sets without a signal, shape (T, W) or (T, W, C).

    Raises:
        ValueError: if there are fewer than 20 data sets, the shapes do not fit, or a p-value is not
            within [0, 1].
    """
    p_w, p_tw = _scans(p, null)
    T = len(p_tw)
    behind = _behind(p_w, p_tw)
    found = (1 + behind) / (1 + T)
    best = tuple(int(i) for i in np.unravel_index(p_w.argmin(), p_w.shape))
    origin: Literal["empirical", "bound"] = "empirical" if behind >= ENOUGH else "bound"
    return Global(found, float(bounded(found)), origin, T, best)


@dataclass(frozen=True)
class Upcrossings:
    """A global p-value from the up-crossings of a low level."""

    p: float | None
    """Global p-value; None where the approximation does not apply."""

    z: float | None
    """Its significance, one-sided, standard deviations."""

    level: float
    """Z_0, standard deviations."""

    mean: float
    """<N(u_0)>, up-crossings of a scan without a signal."""

    error: float
    """Standard error of the mean."""

    obstacle: str
    """Why it does not apply; empty if it does."""


def upcrossings(p: ArrayLike, null: ArrayLike, *, level: float = LEVEL) -> Upcrossings:
    """The global p-value of Gross and Vitells; an upper limit that is close for small ones.

    It does not apply to a single window, to a largest significance that is not above the level, to
    scans that never cross it, where the p-values without a signal are smaller than they should be
    (by three standard errors, above the level or above Z = 2), or where more data sets without a
    signal are as extreme as it allows.

    Args:
        p: p_w of the data, shape (W,), in the order of the mass.
        null: p_tw of the same search in data sets without a signal, shape (T, W).
        level: Z_0, standard deviations, above 0.

    Raises:
        ValueError: as `global_p`, or if there is more than one p-value for a window, or the level
            is not above 0.
    """
    p_w, p_tw = _scans(p, null)
    if p_w.ndim != 1:
        raise ValueError(f"expected one p-value for each window; got shape {p_w.shape}")
    if not 0 < level < math.inf:
        raise ValueError(f"expected a level above 0; got {level}")
    z_tw = np.asarray(significance(p_tw))
    n = ((z_tw[:, :-1] < level) & (z_tw[:, 1:] >= level)).sum(axis=1)
    mean, error = float(n.mean()), float(n.std(ddof=1) / math.sqrt(len(n)))
    z = float(bounded(p_w.min()))
    found = min(1.0, float(p_w.min()) + mean * math.exp(-(z**2 - level**2) / 2))
    obstacle = _obstacle(z, level, z_tw, mean)
    if not obstacle and binom.sf(_behind(p_w, p_tw) - 1, len(p_tw), found) < UNLIKELY:
        obstacle = f"more data sets without a signal are as extreme than p = {found:.2g} allows"
    if obstacle:
        return Upcrossings(None, None, level, mean, error, obstacle)
    return Upcrossings(found, float(bounded(found)), level, mean, error, "")


def _obstacle(z: float, level: float, z_tw: Floats, mean: float) -> str:
    if z_tw.shape[1] < 2:
        return "there is one window"
    if z <= level:
        return f"the largest significance, {z:.2f}, is not above the level of {level:g}"
    if not mean:
        return f"no scan without a signal crosses the level of {level:g}"
    for reference in (level, FAR):
        share, promised = (z_tw > reference).mean(axis=1), float(p_value(reference))
        if share.mean() > promised + 3 * share.std(ddof=1) / math.sqrt(len(share)):
            return (
                f"{share.mean():.3f} of the windows without a signal are above {reference:g} "
                f"sigma, where {promised:.3f} should be"
            )
    return ""


def _behind(p_w: Floats, p_tw: Floats) -> int:
    """Data sets without a signal whose smallest p-value is as small."""
    return int((p_tw.reshape(len(p_tw), -1).min(axis=1) <= p_w.min()).sum())


def _scans(p: ArrayLike, null: ArrayLike) -> tuple[Floats, Floats]:
    p_w, p_tw = (np.asarray(values, dtype=np.float64) for values in (p, null))
    if p_w.ndim not in (1, 2) or not p_w.size or p_tw.shape[1:] != p_w.shape:
        raise ValueError(
            "expected p-values of shape (W,) or (W, C) and of data sets without a signal of shape "
            f"(T, W) or (T, W, C); got {p_w.shape} and {p_tw.shape}"
        )
    if len(p_tw) < 4 * ENOUGH:
        raise ValueError(f"expected {4 * ENOUGH} data sets without a signal; got {len(p_tw)}")
    for values in (p_w, p_tw):
        if (bad := ~((values >= 0) & (values <= 1))).any():
            raise ValueError(f"expected p-values within [0, 1]; got {values[bad][0]}")
    return p_w, p_tw
