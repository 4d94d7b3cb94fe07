r"""Tracks: an efficiency, and a log-normal resolution of the transverse momentum.

$$
\sigma(p_T) / p_T = \min\Big(\sqrt{c^2 + (b\,p_T)^2},\ 1\Big)
$$

with $c$ and $b$ in bins of |eta|, where eta is that of the point at the calorimeter face.

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014), modules `Efficiency`
and `MomentumSmearing`
https://arxiv.org/abs/1307.6346
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calorimeter import Tracks, log_normal
from .kinematics import Columns

__all__ = ["ELECTRONS", "HADRONS", "MUONS", "SPECIES", "Table", "TrackClass", "species_of", "track"]

Floats = NDArray[np.float64]
SPECIES = {"charged hadron": 0, "photon": 1, "neutral hadron": 2, "electron": 3, "muon": 4}


@dataclass(frozen=True)
class Table:
    """A quantity in bins of |eta| and transverse momentum; bins close above, zero outside."""

    eta_edges: tuple[float, ...]
    """Upper edges in |eta|."""
    pt_edges: tuple[float, ...]
    """Lower edges in transverse momentum [GeV]."""
    values: tuple[tuple[float, ...], ...]
    """One row per |eta| bin, one value per transverse-momentum bin."""

    def __call__(self, eta: Floats, pt: Floats) -> Floats:
        """Value for each particle at (eta, pt [GeV]), shape (P,)."""
        table = np.zeros((len(self.eta_edges) + 1, len(self.pt_edges) + 1))
        table[:-1, 1:] = self.values
        row = np.searchsorted(self.eta_edges, np.abs(eta), side="left")
        return table[row, np.searchsorted(self.pt_edges, pt, side="left")]


@dataclass(frozen=True)
class TrackClass:
    """Efficiency and relative resolution of the tracks of one kind of particle."""

    efficiency: Table
    """Probability that a track is found."""
    constant: Table
    """Constant term of the relative resolution of the transverse momentum."""
    slope: Table
    """Term proportional to the transverse momentum [1/GeV]."""


def _by_eta(*values: float) -> Table:
    return Table((0.5, 1.5, 2.5), (0.1,), tuple((value,) for value in values))


HADRONS = TrackClass(
    efficiency=Table((1.5, 2.5), (0.1, 1.0), ((0.70, 0.95), (0.60, 0.85))),
    constant=_by_eta(0.06, 0.10, 0.25),
    slope=_by_eta(1.3e-3, 1.7e-3, 3.1e-3),
)
ELECTRONS = TrackClass(
    efficiency=Table((1.5, 2.5), (0.1, 1.0, 100.0), ((0.73, 0.95, 0.99), (0.50, 0.83, 0.90))),
    constant=_by_eta(0.03, 0.05, 0.15),
    slope=_by_eta(1.3e-3, 1.7e-3, 3.1e-3),
)
MUONS = TrackClass(
    efficiency=Table((1.5, 2.5), (0.1, 1.0), ((0.75, 0.99), (0.70, 0.98))),
    constant=_by_eta(0.01, 0.015, 0.025),
    slope=_by_eta(1.0e-4, 1.5e-4, 3.5e-4),
)


def species_of(pdgid: NDArray[Any], charge: NDArray[Any]) -> NDArray[np.int8]:
    """Codes of `SPECIES`, shape (P,), from PDG codes and charges."""
    code = np.abs(pdgid)
    species = np.where(charge == 0, SPECIES["neutral hadron"], SPECIES["charged hadron"])
    for name, pdg in (("photon", 22), ("electron", 11), ("muon", 13)):
        species[code == pdg] = SPECIES[name]
    return species.astype(np.int8)


def track(p: Columns, classes: dict[str, TrackClass], rng: np.random.Generator) -> Tracks:
    """Tracks of the charged particles.

    Args:
        p: Particles at the calorimeter face, from `detector.propagate`.
        classes: Efficiency and resolution by species.
        rng: Source of randomness.
    """
    charged = np.flatnonzero(p["charge"] != 0)
    species = species_of(p["pdgid"][charged], p["charge"][charged])
    eta, pt = p["face_eta"][charged], p["pt"][charged]
    efficiency, resolution = np.zeros((2, len(charged)))
    for name, kind in classes.items():
        one = species == SPECIES[name]
        efficiency[one] = kind.efficiency(eta[one], pt[one])
        constant, slope = kind.constant(eta[one], pt[one]), kind.slope(eta[one], pt[one])
        resolution[one] = np.minimum(np.hypot(constant, slope * pt[one]), 1.0)
    found = rng.random(len(charged)) < efficiency
    charged, resolution = charged[found], resolution[found]
    columns = {name: p[name][charged] for name in ("event", "eta", "phi", "mass", "pdgid")}
    columns |= {name: p[name][charged] for name in ("face_eta", "face_phi")}
    columns["species"] = species[found]
    columns["pt"] = log_normal(p["pt"][charged], resolution * p["pt"][charged], rng)
    return Tracks(columns, resolution)
