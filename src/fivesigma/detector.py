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
from typing import NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .calorimeter import ECAL, HCAL, Calorimeter, measure
from .events import Events
from .isolation import CMS_ISOLATION, Isolation, isolated
from .kinematics import Columns
from .tracker import ELECTRONS, HADRONS, MUONS, TrackClass, species_of, track

__all__ = ["CMS", "DETECTORS", "Detector", "NoDetector", "propagate", "respond"]

Floats = NDArray[np.float64]
GEV_PER_TESLA_METRE = 0.299792458


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
    species = species_of(p["pdgid"], p["charge"])
    return {
        "event": p["event"][keep],
        "pt": pt[keep],
        "eta": np.arcsinh(p["pz"][keep] / pt[keep]),
        "phi": np.arctan2(p["py"], p["px"])[keep],
        "mass": np.maximum(p["mass"][keep], 0.0),
        "species": species[keep],
        "isolated": np.zeros(int(keep.sum()), bool),
    }


def _energy_flow(p: Columns, detector: Detector, rng: np.random.Generator, n: int) -> Columns:
    p = propagate(p, detector)
    classes = {
        "charged hadron": detector.hadrons,
        "electron": detector.electrons,
        "muon": detector.muons,
    }
    tracks = track(p, classes, rng)
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
