r"""Photons, electrons and muons that stand alone.

$$
\frac{1}{p_T} \sum_{j \ne i,\ \Delta R_{ij} \le R} p_{T,j} \le r_\text{max}
$$

A jet that contains such an object is the object itself, and is no jet.

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014), modules `Isolation`
and `UniqueObjectFinder`
https://arxiv.org/abs/1307.6346
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kinematics import Columns, delta_r

__all__ = ["CMS_ISOLATION", "Isolation", "isolated"]


@dataclass(frozen=True)
class Isolation:
    """Identification efficiencies, and the cone in which nothing else may be."""

    radius: float | tuple[tuple[int, float], ...] = 0.5
    """Radius of the cone in eta and phi, one for all objects or by species."""
    pt_min: float = 0.5
    """Lowest transverse momentum of what counts in the cone [GeV]."""
    candidate_pt_min: float = 10.0
    """Lowest transverse momentum of the object itself [GeV]."""
    ratio_max: tuple[tuple[int, float], ...] = ((1, 0.12), (3, 0.12), (4, 0.25))
    """Largest share of the object's transverse momentum in the cone, by species."""
    efficiency: tuple[tuple[int, float, float, float], ...] = (
        (1, 2.5, 0.95, 0.85),
        (3, 2.5, 0.95, 0.85),
        (4, 2.4, 0.95, 0.95),
    )
    """By species: largest |eta|, efficiency for |eta| <= 1.5, efficiency beyond."""

    @property
    def radii(self) -> dict[int, float]:
        """Radius of the cone by species."""
        if isinstance(self.radius, tuple):
            return dict(self.radius)
        return {species: self.radius for species, _ in self.ratio_max}


CMS_ISOLATION = Isolation()


def isolated(
    seen: Columns, isolation: Isolation, rng: np.random.Generator, n: int
) -> NDArray[np.bool_]:
    """Which energy-flow objects are identified and isolated, shape (P,).

    Args:
        seen: Objects of n events: event, pt [GeV], eta, phi, species.
        isolation: Cone and efficiencies.
        rng: Source of randomness.
        n: Number of events.
    """
    candidate, limit = _identified(seen, isolation, rng)
    counted = np.flatnonzero(seen["pt"] >= isolation.pt_min)
    busy = _same_cell(seen, candidate, counted, isolation, n) > limit
    candidate, limit = candidate[~busy], limit[~busy]
    around = _cone(seen, candidate, counted, isolation, n)
    flag = np.zeros(len(seen["pt"]), bool)
    flag[candidate[around <= limit]] = True
    return flag


def _identified(
    seen: Columns, isolation: Isolation, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Candidates, and the largest sum of transverse momentum around each [GeV]."""
    hard = np.flatnonzero(seen["pt"] > isolation.candidate_pt_min)
    species, eta, pt = seen["species"][hard], np.abs(seen["eta"][hard]), seen["pt"][hard]
    efficiency, ratio = np.zeros((2, len(hard)))
    for code, eta_max, barrel, beyond in isolation.efficiency:
        one = (species == code) & (eta <= eta_max)
        efficiency[one] = np.where(eta <= 1.5, barrel, beyond)[one]
    for code, ratio_max in isolation.ratio_max:
        ratio[species == code] = ratio_max
    found = rng.random(len(hard)) < efficiency
    return hard[found], (ratio * pt)[found]


def _same_cell(
    seen: Columns,
    candidate: NDArray[np.int64],
    counted: NDArray[np.int64],
    isolation: Isolation,
    n: int,
) -> NDArray[np.float64]:
    """A lower bound on the sum in the cone, from cells with a diagonal below the least radius."""
    radius = min(isolation.radii.values())
    columns = int(np.ceil(2 * np.pi * 1.5 / radius))
    rows = int(np.ceil(10.0 * 1.5 / radius)) + 1

    def cell(index: NDArray[np.int64]) -> NDArray[np.int64]:
        row = np.clip((seen["eta"][index] + 5.0) * 1.5 / radius, 0, rows - 1)
        column = (seen["phi"][index] + np.pi) * columns / (2 * np.pi) % columns
        return (seen["event"][index] * rows + row.astype(np.int64)) * columns + column.astype(
            np.int64
        )

    total = np.bincount(cell(counted), seen["pt"][counted], minlength=n * rows * columns)
    return np.asarray(total[cell(candidate)] - seen["pt"][candidate])


def _cone(
    seen: Columns,
    candidate: NDArray[np.int64],
    counted: NDArray[np.int64],
    isolation: Isolation,
    n: int,
) -> NDArray[np.float64]:
    """Sum of transverse momentum in the cone around each candidate [GeV], from all pairs."""
    counted = counted[np.argsort(seen["event"][counted], kind="stable")]
    number = np.bincount(seen["event"][counted], minlength=n)
    first = np.cumsum(number) - number
    pairs = number[seen["event"][candidate]]
    i = np.repeat(np.arange(len(candidate)), pairs)
    within = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    j = counted[first[seen["event"][candidate]][i] + within]
    k = candidate[i]
    radius = np.zeros(len(candidate))
    for species, r in isolation.radii.items():
        radius[seen["species"][candidate] == species] = r
    near = delta_r(seen["eta"][k], seen["phi"][k], seen["eta"][j], seen["phi"][j]) <= radius[i]
    weight: NDArray[np.float64] = seen["pt"][j] * (near & (j != k))
    return np.bincount(i, weight, minlength=len(candidate)).astype(np.float64)
