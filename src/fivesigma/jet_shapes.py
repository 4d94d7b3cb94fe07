r"""How the constituents of single jets lie: moments of the distance from the axis, N-subjettiness.

A constituent has the share $z_i = p_{T,i} / \sum_j p_{T,j}$ and the distance $r_i$ from the axis
of its jet. The girth is the mean of that distance, and central moments follow:

$$ g = \sum_i z_i r_i , \qquad \sigma^2 = \sum_i z_i (r_i - g)^2 , \qquad
   \text{skewness} = \sum_i z_i \Big( \frac{r_i - g}{\sigma} \Big)^3 , \qquad
   \text{kurtosis} = \sum_i z_i \Big( \frac{r_i - g}{\sigma} \Big)^4 $$

$$ \tau_N^{(\beta)} = \frac{\sum_i p_{T,i} \min_{k \le N} \Delta R_{ik}^\beta}
   {\sum_i p_{T,i} R^\beta} , \qquad \tau_{MN} = \tau_M / \tau_N $$

where $k$ runs over the axes of the $N$ exclusive $k_T$ subjets, in which the winner takes all, for
every $\beta$. Angles below $10^{-6}$ are the rounding of single precision and count as none: then
a spread or a $\tau_N$ is 0, and so is what would be divided by it.

References:
    Quark and Gluon Jet Substructure (Gallicchio, Schwartz, 2012) https://arxiv.org/abs/1211.7038

    Maximizing Boosted Top Identification by Minimizing N-subjettiness (Thaler, Van Tilburg, 2011)
    https://arxiv.org/abs/1108.2701
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .jets import subjet_axes
from .kinematics import delta_r

__all__ = ["Constituents", "moments", "ratio", "subjettiness"]

Doubles = NDArray[np.float64]

SMALLEST = 1e-6
"""Angle below which two directions are one."""


@dataclass(frozen=True, eq=False)
class Constituents:
    """Those of J jets, one after the other, P in all."""

    jagged: ak.Array
    """J * var * {pt, eta, phi} [GeV, rad]."""

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(J,) constituents of each jet."""
        counts: NDArray[np.int64] = ak.to_numpy(ak.num(self.jagged.pt))
        return counts

    @cached_property
    def jet(self) -> NDArray[np.int64]:
        """(P,) number of the jet of a constituent."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def z(self) -> Doubles:
        """(P,) share in the scalar sum of transverse momenta."""
        pt = self.column("pt")
        return pt / np.bincount(self.jet, pt, len(self.counts))[self.jet]

    def column(self, name: str) -> Doubles:
        """(P,) values of a field."""
        values: Doubles = ak.to_numpy(ak.flatten(self.jagged[name])).astype(np.float64)
        return values

    def mean(self, x: Doubles) -> Doubles:
        """Mean (J,) of values (P,), weighted by z; 0 without constituents."""
        return np.bincount(self.jet, self.z * x, len(self.counts)).astype(np.float64)


def moments(constituents: ak.Array, eta: Doubles, phi: Doubles) -> dict[str, Doubles]:
    """Moments of the distance between constituents and axis.

    Args:
        constituents: J * var * {pt, eta, phi} [GeV, rad].
        eta: (J,) pseudorapidity of the axis.
        phi: (J,) azimuth of the axis [rad].

    Returns:
        Arrays (J,): girth, variance, skewness, kurtosis (of a normal distribution 3, not 0) and
        multiplicity, the number of constituents. Without constituents all are 0.
    """
    c = Constituents(constituents)
    r = delta_r(c.column("eta"), c.column("phi"), eta[c.jet], phi[c.jet])
    girth = c.mean(r)
    x = r - girth[c.jet]
    variance = c.mean(x**2)
    return {
        "girth": girth,
        "variance": variance,
        "skewness": ratio(c.mean(x**3), variance**1.5, SMALLEST**3),
        "kurtosis": ratio(c.mean(x**4), variance**2, SMALLEST**4),
        "multiplicity": c.counts.astype(np.float64),
    }


def subjettiness(
    constituents: ak.Array, numbers: Sequence[int], exponents: Sequence[float], *, radius: float
) -> dict[tuple[int, float], Doubles]:
    """N-subjettiness of each jet, 0 for jets of at most N constituents.

    Args:
        constituents: J * var * {pt, eta, phi} [GeV, rad].
        numbers: The N, each at least 1.
        exponents: The β.
        radius: Jet radius R.

    Returns:
        Arrays (J,) by (N, β).
    """
    c = Constituents(constituents)
    eta, phi = c.column("eta"), c.column("phi")
    tau = {}
    for axes in subjet_axes(constituents, numbers):
        n = axes.shape[1]
        x = np.min([delta_r(eta, phi, *axes[c.jet, k].T) for k in range(n)], axis=0)
        for beta in exponents:
            value = c.mean((x / radius) ** beta)
            tau[n, beta] = np.where(value > SMALLEST**beta, value, 0.0)
    return tau


def ratio(a: Doubles, b: Doubles, floor: float = 0.0) -> Doubles:
    """The quotient a / b, and 0 where b is at most the floor; NaN stays NaN."""
    quotient: Doubles = np.divide(a, b, out=np.zeros_like(a), where=~(b <= floor))
    return quotient
