r"""Angles and masses of four-vectors, vectorised over NumPy and awkward arrays.

$$
\Delta\phi \in (-\pi, \pi], \qquad \Delta R^2 = \Delta\eta^2 + \Delta\phi^2, \qquad m^2 = \Big(\sum
E\Big)^2 - \Big|\sum \vec p\Big|^2
$$
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "delta_phi", "delta_r", "dijet_mass"]

Array: TypeAlias = Any  # NumPy or awkward: both serve every function here
Columns: TypeAlias = dict[str, NDArray[Any]]  # one array of shape (P,) per name


def delta_phi(a: Array, b: Array) -> Array:
    """Azimuthal distance a - b, wrapped to (-pi, pi].

    Args:
        a: Azimuth [rad], any shape.
        b: Azimuth [rad], broadcast against a.
    """
    return np.pi - (np.pi - (a - b)) % (2 * np.pi)


def delta_r(eta_a: Array, phi_a: Array, eta_b: Array, phi_b: Array) -> Array:
    """Distance in the plane of pseudorapidity and azimuth."""
    return np.hypot(eta_a - eta_b, delta_phi(phi_a, phi_b))


def dijet_mass(pt: Array, eta: Array, phi: Array, mass: Array) -> Array:
    """Invariant mass [GeV] of two jets from (pt, eta, phi, mass), each of shape (N, 2)."""
    pt, eta, phi, mass = (np.asarray(x, dtype=np.float64) for x in (pt, eta, phi, mass))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    e = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    m2 = e.sum(1) ** 2 - px.sum(1) ** 2 - py.sum(1) ** 2 - pz.sum(1) ** 2
    return np.sqrt(np.maximum(m2, 0.0))
