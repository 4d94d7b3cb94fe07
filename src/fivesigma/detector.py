r"""A fast detector: the response of the Delphes CMS card, vectorised over many events.

Particles bend in the solenoid to the face of the calorimeters; charged ones become tracks with an
efficiency and a resolution; the others, and what tracks leave behind, fill the towers of an
electromagnetic and then a hadronic calorimeter. A tower measures $E$ with resolution $\sigma(E)$;
its neutral excess over its tracks,

$$
E_0 = \max\Big(E - \sum_\text{tracks} E_i,\ 0\Big), \qquad
s = \frac{E_0}{\sqrt{\sigma_\text{tracks}^2 + \sigma(E)^2}},
$$

becomes a photon or neutral hadron if $E_0 > E_\text{min}$ and $s > s_\text{min}$; otherwise its
tracks are rescaled to the mean of track and tower energy, weighted by the inverse variances.

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014), and its card
`delphes_card_CMS.tcl`
https://arxiv.org/abs/1307.6346
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .calorimeter import ECAL, HCAL, Calorimeter, Tracks, log_normal, measure
from .events import Events
from .isolation import CMS_ISOLATION, Isolation, isolated
from .kinematics import Columns

__all__ = ["CMS", "DETECTORS", "SPECIES", "Detector", "NoDetector", "Table", "respond"]

Floats = NDArray[np.float64]
SPECIES = {"charged hadron": 0, "photon": 1, "neutral hadron": 2, "electron": 3, "muon": 4}
GEV_PER_TESLA_METRE = 0.299792458


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


@dataclass(frozen=True)
class Detector:
    """A solenoid with a tracker inside and two calorimeters around it."""

    name: str
    """Name in tables and folders."""
    radius: float = 1.29
    """Radius of the tracking cylinder [m]; particles made outside are lost."""
    half_length: float = 3.0
    """Half length of the tracking cylinder [m]."""
    field: float = 3.8
    """Magnetic field along the beam [T]."""
    hadrons: TrackClass = HADRONS
    """Tracks of charged hadrons."""
    electrons: TrackClass = ELECTRONS
    """Tracks of electrons."""
    muons: TrackClass = MUONS
    """Tracks of muons."""
    ecal: Calorimeter = ECAL
    """Electromagnetic calorimeter."""
    hcal: Calorimeter = HCAL
    """Hadronic calorimeter."""
    isolation: Isolation | None = CMS_ISOLATION
    """Which photons, electrons and muons stand alone."""


@dataclass(frozen=True)
class NoDetector:
    """Every visible particle is seen as it is."""

    name: str = "none"
    """Name in tables and folders."""


CMS = Detector("cms")
DETECTORS: dict[str, Detector | NoDetector] = {"cms": CMS, "none": NoDetector()}


def respond(events: Events, detector: Detector | NoDetector, *, seed: int) -> ak.Array:
    """What the detector sees of the events.

    Args:
        events: Visible stable particles with production vertices [mm].
        detector: Parameters, or `NoDetector()`.
        seed: Seed of the response.

    Returns:
        Energy-flow objects, N * var * {pt, eta, phi, mass [GeV], species, isolated}.
    """
    particles = events.particles
    n = len(particles)
    event = np.repeat(np.arange(n), ak.to_numpy(ak.num(particles)))
    flat = {name: ak.to_numpy(ak.flatten(particles[name])) for name in particles.fields}
    flat["event"] = event
    if isinstance(detector, NoDetector):
        seen = _as_made(flat)
    else:
        seen = _energy_flow(flat, detector, np.random.default_rng(seed), n)
    order = np.argsort(seen["event"], kind="stable")
    counts = np.bincount(seen.pop("event"), minlength=n)
    return ak.zip({name: ak.unflatten(x[order], counts) for name, x in seen.items()})


def _as_made(p: Columns) -> Columns:
    pt = np.hypot(p["px"], p["py"])
    keep = pt > 0
    species = _species(p["pdgid"], p["charge"])
    return {
        "event": p["event"][keep],
        "pt": pt[keep],
        "eta": np.arcsinh(p["pz"][keep] / pt[keep]),
        "phi": np.arctan2(p["py"], p["px"])[keep],
        "mass": np.maximum(p["mass"][keep], 0.0),
        "species": species[keep],
        "isolated": np.zeros(int(keep.sum()), bool),
    }


def _species(pdgid: NDArray[Any], charge: NDArray[Any]) -> NDArray[np.int8]:
    code = np.abs(pdgid)
    species = np.where(charge == 0, SPECIES["neutral hadron"], SPECIES["charged hadron"])
    for name, pdg in (("photon", 22), ("electron", 11), ("muon", 13)):
        species[code == pdg] = SPECIES[name]
    return species.astype(np.int8)


def _energy_flow(p: Columns, detector: Detector, rng: np.random.Generator, n: int) -> Columns:
    p = propagate(p, detector)
    tracks = _track(p, detector, rng)
    photons, tracks = measure(p, tracks, detector.ecal, rng)
    hadrons, tracks = measure(p, tracks, detector.hcal, rng)
    seen = {
        name: np.concatenate([tracks.columns[name], photons[name], hadrons[name]])
        for name in ("event", "pt", "eta", "phi", "mass", "species")
    }
    if detector.isolation is None:
        return seen | {"isolated": np.zeros(len(seen["pt"]), bool)}
    return seen | {"isolated": isolated(seen, detector.isolation, rng, n)}


def propagate(p: Columns, detector: Detector) -> Columns:
    """Carry particles to the face of the calorimeters.

    Args:
        p: Flat particles: event, px, py, pz, mass [GeV], vx, vy, vz [mm], pdgid, charge.
        detector: Cylinder and field.

    Returns:
        The particles that start inside: event, pdgid, charge, mass, energy, pt and eta at the
        vertex, phi at the point of closest approach to the beam, and the direction (face_eta,
        face_phi) of the point where they meet the cylinder.
    """
    x, y, z = (1e-3 * p[name].astype(np.float64) for name in ("vx", "vy", "vz"))
    px, py, pz = (p[name].astype(np.float64) for name in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    inside = (np.hypot(x, y) <= detector.radius) & (np.abs(z) <= detector.half_length)
    inside &= pt**2 > 1e-9
    start = Start(*(v[inside] for v in (x, y, z, px, py, pz, pt, p["charge"])))
    face_x, face_y, face_z, phi = np.empty((4, len(start.pt)))
    for part, path in ((start.charge == 0, _straight), (start.charge != 0, _helix)):
        end = path(Start(*(v[part] for v in start)), detector)
        face_x[part], face_y[part], face_z[part], phi[part] = end
    mass = p["mass"][inside].astype(np.float64)
    return {
        "event": p["event"][inside],
        "pdgid": np.abs(p["pdgid"][inside]),
        "charge": start.charge,
        "mass": mass,
        "pt": start.pt,
        "eta": np.arcsinh(start.pz / start.pt),
        "phi": phi,
        "energy": np.sqrt(start.pt**2 + start.pz**2 + mass**2),
        "face_eta": np.arcsinh(face_z / np.hypot(face_x, face_y)),
        "face_phi": np.arctan2(face_y, face_x),
    }


class Start(NamedTuple):
    """Where particles start, each of shape (P,)."""

    x: Floats
    """Production vertex [m]."""
    y: Floats
    """Production vertex [m]."""
    z: Floats
    """Production vertex [m]."""
    px: Floats
    """Momentum [GeV]."""
    py: Floats
    """Momentum [GeV]."""
    pz: Floats
    """Momentum [GeV]."""
    pt: Floats
    """Transverse momentum [GeV]."""
    charge: Floats
    """Charge [e]."""


def _straight(start: Start, detector: Detector) -> tuple[Floats, Floats, Floats, Floats]:
    """|r + p t| = R for the transverse part; the end caps cut the path short."""
    x, y, z, px, py, pz, pt, _ = start
    along = px * x + py * y
    across = px * y - py * x
    t = (np.sqrt(np.maximum(pt**2 * detector.radius**2 - across**2, 0.0)) - along) / pt**2
    end = np.abs(z + pz * t) > detector.half_length
    t[end] = (np.copysign(detector.half_length, pz[end]) - z[end]) / pz[end]
    return x + px * t, y + py * t, z + pz * t, np.arctan2(py, px)


def _helix(start: Start, detector: Detector) -> tuple[Floats, Floats, Floats, Floats]:
    """Circle of radius |r| = pt / (0.3 |q| B) about (x_c, y_c), run through by tau = |omega| t."""
    x, y, z, px, py, pz, pt, charge = start
    sign = np.sign(charge)
    r = pt / (GEV_PER_TESLA_METRE * charge * detector.field)
    phi_0 = np.arctan2(py, px)
    x_c, y_c = x + r * np.sin(phi_0), y - r * np.cos(phi_0)
    r_c = np.hypot(x_c, y_c)
    tau_d = sign * (phi_0 + np.arctan2(x_c, y_c))
    tau_d -= np.pi * np.round(tau_d / np.pi)  # closest approach to the beam
    with np.errstate(divide="ignore", invalid="ignore"):
        cos_alpha = (r**2 + r_c**2 - detector.radius**2) / (2 * np.abs(r) * r_c)
        tau_r = tau_d + np.arccos(np.clip(cos_alpha, -1.0, 1.0))
        tau_z = (np.copysign(detector.half_length, pz) - z) * pt / (pz * np.abs(r))
    tau_r[r_c + np.abs(r) < detector.radius] = np.inf
    tau = np.minimum(tau_r, np.where(pz == 0, np.inf, tau_z))
    phi_t = phi_0 - sign * tau
    return (
        x_c - r * np.sin(phi_t),
        y_c + r * np.cos(phi_t),
        z + pz / pt * np.abs(r) * tau,
        phi_0 - sign * tau_d,
    )


def _track(p: Columns, detector: Detector, rng: np.random.Generator) -> Tracks:
    """Efficiency, and a log-normal resolution of the transverse momentum."""
    charged = np.flatnonzero(p["charge"] != 0)
    species = _species(p["pdgid"][charged], p["charge"][charged])
    eta, pt = p["face_eta"][charged], p["pt"][charged]
    efficiency, resolution = np.zeros((2, len(charged)))
    for name, kind in (
        ("charged hadron", detector.hadrons),
        ("electron", detector.electrons),
        ("muon", detector.muons),
    ):
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
