r"""Towers, their energies, and what is left in them after the tracks are taken out.

With the true energy $E_t$ of a tower, its resolution $\sigma$ and a unit normal $g$, the measured
energy is log-normal,

$$
E = \exp\big(\ln E_t - b^2/2 + b\,g\big), \qquad b^2 = \ln\big(1 + \sigma(E_t)^2 / E_t^2\big),
$$

and zero below `energy_min` or `significance_min` times $\sigma(E)$. For a tower whose neutral
excess is not significant the tracks are scaled by

$$
\frac{1}{E_\text{tracks}} \cdot \frac{E_\text{tracks}/\sigma_\text{tracks}^2 +
E/\sigma^2}{1/\sigma_\text{tracks}^2 + 1/\sigma^2} .
$$

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014), module
`SimpleCalorimeter`
https://arxiv.org/abs/1307.6346
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kinematics import Columns

__all__ = ["ECAL", "HCAL", "Calorimeter", "Resolution", "Tracks", "log_normal", "measure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """sigma(E) = f sqrt(constant^2 E^2 + stochastic^2 E + noise^2).

    f = scale + shape (|eta| - centre)^2.
    """

    eta_max: float
    """Upper edge in |eta|; the lower one is that of the band before."""
    constant: float
    """Constant term."""
    stochastic: float
    """Stochastic term [sqrt(GeV)]."""
    noise: float = 0.0
    """Noise term [GeV]."""
    scale: float = 1.0
    """Factor at |eta| = centre."""
    shape: float = 0.0
    """Coefficient of (|eta| - centre)^2, added to the factor."""
    centre: float = 0.0
    """Where in |eta| the factor is lowest."""


@dataclass(frozen=True)
class Calorimeter:
    """Towers in pseudorapidity and azimuth, with what they are sensitive to."""

    species: int
    """Code of the neutral objects it makes (see `detector.SPECIES`)."""
    eta_edges: tuple[float, ...]
    """Edges of the towers in eta, ascending."""
    phi_towers: tuple[int, ...]
    """Number of towers around in each eta bin; one entry less than edges."""
    fractions: tuple[tuple[int, float], ...]
    """Share of the energy that a particle leaves, by |PDG code|."""
    default_fraction: float
    """Share for all others."""
    resolution: tuple[Resolution, ...]
    """Bands in |eta|, ascending; perfect beyond the last."""
    energy_min: float
    """Lowest energy of a tower and of a neutral object [GeV]."""
    significance_min: float
    """Lowest energy in units of its resolution."""

    def sigma(self, eta: Floats, energy: Floats) -> Floats:
        """Resolution [GeV] at tower centres eta for energies [GeV], shape (T,)."""
        bands = [*self.resolution, Resolution(np.inf, 0.0, 0.0)]
        band = np.searchsorted([b.eta_max for b in self.resolution], np.abs(eta), side="left")
        c, s, n, scale, shape, centre = np.array(
            [
                (b.constant**2, b.stochastic**2, b.noise**2, b.scale, b.shape, b.centre)
                for b in bands
            ]
        ).T[:, band]
        factor = scale + shape * (np.abs(eta) - centre) ** 2
        return np.asarray(factor * np.sqrt(energy * (c * energy + s) + n))

    def fraction(self, pdgid: NDArray[np.int64]) -> Floats:
        """Share of the energy left here by particles of these |PDG codes|, shape (P,)."""
        share = np.full(len(pdgid), self.default_fraction)
        for code, value in self.fractions:
            share[pdgid == code] = value
        return share

    def tower(self, eta: Floats, phi: Floats) -> NDArray[np.int64]:
        """Index of the tower at (eta, phi), 360 numbers per eta bin; -1 outside."""
        row = np.searchsorted(self.eta_edges, eta, side="left") - 1
        inside = (row >= 0) & (row < len(self.phi_towers))
        towers = np.array(self.phi_towers)[np.where(inside, row, 0)]
        column = np.minimum(((phi + np.pi) * (towers / (2 * np.pi))).astype(np.int64), towers - 1)
        return np.where(inside, row * PHI_STRIDE + column, -1)

    @property
    def n_indices(self) -> int:
        """Number of tower indices of one event."""
        return len(self.phi_towers) * PHI_STRIDE


PHI_STRIDE = 360
INVISIBLE = tuple((code, 0.0) for code in (12, 13, 14, 16))
ELECTROMAGNETIC = (11, 22, 111)
NEUTRAL_STRANGE = (310, 3122)


def _ecal_edges() -> tuple[tuple[float, ...], tuple[int, ...]]:
    forward = (3.125, 3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35, 4.525, 4.7, 5.0)
    barrel = [i * 0.0174 for i in range(-85, 87)]
    minus = [-2.958 + i * 0.0174 for i in range(1, 85)]
    plus = [1.4964 + i * 0.0174 for i in range(1, 85)]
    edges = [*(-x for x in reversed(forward)), -2.958, *minus, *barrel, *plus, *forward]
    fine = len(minus) + len(barrel) + len(plus)
    return tuple(edges), (36,) * len(forward) + (360,) * fine + (36,) * len(forward)


def _hcal_edges() -> tuple[tuple[float, ...], tuple[int, ...]]:
    barrel = [0.087 * i for i in range(-18, 20)]
    endcap = (1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95, 3.125,
              3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35, 4.525)  # fmt: skip
    minus = [-x for x in reversed(endcap[:-1])] + [-1.653]
    edges = [-5.0, -4.7, -4.525, *minus, *barrel, *endcap, 4.7, 5.0]
    phi = (18, 18) + (36,) * len(minus) + (72,) * len(barrel) + (36,) * len(endcap) + (18, 18)
    return tuple(edges), phi


ECAL = Calorimeter(
    1,
    *_ecal_edges(),
    fractions=(*((code, 1.0) for code in ELECTROMAGNETIC), *((c, 0.3) for c in NEUTRAL_STRANGE)),
    default_fraction=0.0,
    resolution=(
        Resolution(1.5, 0.008, 0.11, 0.40, scale=1.0, shape=0.64),
        Resolution(2.5, 0.008, 0.11, 0.40, scale=2.16, shape=5.6, centre=2.0),
        Resolution(5.0, 0.107, 2.08),
    ),
    energy_min=0.5,
    significance_min=2.0,
)
HCAL = Calorimeter(
    2,
    *_hcal_edges(),
    fractions=(
        *((code, 0.0) for code in ELECTROMAGNETIC),
        *((code, 0.7) for code in NEUTRAL_STRANGE),
        *INVISIBLE,
    ),
    default_fraction=1.0,
    resolution=(Resolution(3.0, 0.050, 1.50), Resolution(5.0, 0.130, 2.70)),
    energy_min=1.0,
    significance_min=1.0,
)


@dataclass(frozen=True)
class Tracks:
    """Tracks of many events, one entry each."""

    columns: Columns
    """event, pt, eta, phi, mass [GeV], pdgid, species, and face_eta, face_phi at the
    calorimeters."""
    resolution: Floats
    """Relative resolution of the momentum."""

    @property
    def energy(self) -> Floats:
        """Energy [GeV]."""
        c = self.columns
        return np.asarray(np.sqrt((c["pt"] * np.cosh(c["eta"])) ** 2 + c["mass"] ** 2))


def log_normal(mean: Floats, sigma: Floats, rng: np.random.Generator) -> Floats:
    """Positive numbers with this mean and standard deviation; zero where the mean is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        b2 = np.log1p((sigma / mean) ** 2)
        value = mean * np.exp(np.sqrt(b2) * rng.standard_normal(len(mean)) - 0.5 * b2)
    return np.where(mean > 0, value, 0.0)


def measure(
    p: Columns, tracks: Tracks, calorimeter: Calorimeter, rng: np.random.Generator
) -> tuple[Columns, Tracks]:
    """Energy flow in one calorimeter.

    Args:
        p: Particles at the face: event, pdgid, energy [GeV], face_eta, face_phi.
        tracks: Tracks; those of particles that the calorimeter does not see pass unchanged.
        calorimeter: Towers and resolution.
        rng: Source of randomness.

    Returns:
        The neutral objects (event, pt, eta, phi, mass, species) and the tracks, rescaled where the
        tower has no neutral excess.
    """
    share = calorimeter.fraction(p["pdgid"])
    hit = np.flatnonzero(share > 1e-9)
    seen = calorimeter.fraction(tracks.columns["pdgid"]) > 1e-9
    own = np.flatnonzero(seen)
    hit_tower, own_tower = _keys(p, hit, calorimeter), _keys(tracks.columns, own, calorimeter)
    key, index = np.unique(np.concatenate([hit_tower, own_tower]), return_inverse=True)
    of_hit, of_track = index[: len(hit)], index[len(hit) :]

    true = _sum(of_hit, p["energy"][hit] * share[hit], len(key))
    energy, sigma = _read_out(true, key, calorimeter, rng)
    track_energy = tracks.energy[own]
    charged = _sum(of_track, track_energy, len(key))
    variance = _sum(of_track, (tracks.resolution[own] * track_energy) ** 2, len(key))

    excess = np.maximum(energy - charged, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        neutral = excess > calorimeter.energy_min
        neutral &= excess / np.sqrt(variance + sigma**2) > calorimeter.significance_min
        weight_t = np.where(variance > 0, 1 / variance, 0)
        weight_c = np.where(sigma > 0, 1 / sigma**2, 0)
        best = (weight_t * charged + weight_c * energy) / (weight_t + weight_c)
        scale = np.where(neutral, 1.0, best / charged)
    kept, factor = ~seen, np.ones(len(seen))
    kept[own], factor[own] = own_tower >= 0, scale[of_track]
    columns = tracks.columns | {"pt": tracks.columns["pt"] * factor}
    made = _place(excess, key, calorimeter, rng)
    return (
        {name: x[neutral] for name, x in made.items()},
        Tracks({name: x[kept] for name, x in columns.items()}, tracks.resolution[kept]),
    )


def _read_out(
    true: Floats, key: NDArray[np.int64], calorimeter: Calorimeter, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Measured energy of each tower, zero below threshold, and its resolution [GeV]."""
    _, row, _ = _unpack(key, calorimeter)
    edges = np.array(calorimeter.eta_edges)
    centre = 0.5 * (edges[row] + edges[row + 1])
    energy = log_normal(true, calorimeter.sigma(centre, true), rng)
    sigma = calorimeter.sigma(centre, energy)
    low = (energy < calorimeter.energy_min) | (energy < calorimeter.significance_min * sigma)
    energy[low | (key < 0)] = 0.0
    return energy, sigma


def _place(
    energy: Floats, key: NDArray[np.int64], calorimeter: Calorimeter, rng: np.random.Generator
) -> Columns:
    """Massless objects of these energies [GeV], each at a random point of its tower."""
    event, row, column = _unpack(key, calorimeter)
    edges, towers = np.array(calorimeter.eta_edges), np.array(calorimeter.phi_towers)[row]
    eta = edges[row] + (edges[row + 1] - edges[row]) * rng.random(len(key))
    phi = (column + rng.random(len(key))) * (2 * np.pi / towers) - np.pi
    return {
        "event": event,
        "pt": energy / np.cosh(eta),
        "eta": eta,
        "phi": phi,
        "mass": np.zeros(len(key)),
        "species": np.full(len(key), calorimeter.species, np.int8),
    }


def _sum(index: NDArray[np.int64], values: Floats, n: int) -> Floats:
    return np.bincount(index, values, minlength=n).astype(np.float64)


def _keys(p: Columns, index: NDArray[np.int64], calorimeter: Calorimeter) -> NDArray[np.int64]:
    tower = calorimeter.tower(p["face_eta"][index], p["face_phi"][index])
    return np.where(tower >= 0, p["event"][index] * calorimeter.n_indices + tower, -1)


def _unpack(
    key: NDArray[np.int64], calorimeter: Calorimeter
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    event, tower = np.divmod(np.maximum(key, 0), calorimeter.n_indices)
    row, column = np.divmod(tower, PHI_STRIDE)
    return event, row, column
