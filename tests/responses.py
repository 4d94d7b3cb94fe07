"""Particles of all kinds, detectors whose response is known, and what they see of single ones."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from fivesigma.calorimeter import ECAL, HCAL, Resolution
from fivesigma.detector import (
    CMS,
    Detector,
    respond,
)
from fivesigma.events import Events
from fivesigma.tracker import Table

MASS = {22: 0.0, 11: 0.000511, 13: 0.10566, 211: 0.13957, 130: 0.49761, 2212: 0.93827, 310: 0.49761}
CHARGE = {22: 0, 11: -1, 13: -1, 211: 1, 130: 0, 2212: 1, 310: 0}
PHOTON, KAON, PION, MUON, ELECTRON = 22, 130, 211, 13, 11

SURE = Table((2.5,), (0.0,), ((1.0,),))
EXACT = Table((2.5,), (0.0,), ((1e-9,),))


def exact(kind):
    return replace(kind, efficiency=SURE, constant=EXACT, slope=Table((2.5,), (0.0,), ((0.0,),)))


def linear(calorimeter):
    band = Resolution(5.0, 1e-9, 0.0)
    return replace(calorimeter, resolution=(band,), energy_min=1e-3, significance_min=0.0)


# finds every track, measures everything, drops nothing
IDEAL = Detector(
    "ideal",
    hadrons=exact(CMS.hadrons),
    electrons=exact(CMS.electrons),
    muons=exact(CMS.muons),
    ecal=linear(ECAL),
    hcal=linear(HCAL),
    isolation=None,
)


def particles(pdgid, pt, eta, phi, *, vertex=(0.0, 0.0, 0.0)):
    """Flat particles; arguments broadcast. Vertices in mm."""
    pdgid, pt, eta, phi, *v = np.broadcast_arrays(pdgid, pt, eta, phi, *vertex)
    code = np.abs(pdgid)
    charge = np.sign(pdgid) * np.array([CHARGE[c] for c in code.ravel()]).reshape(code.shape)
    flat = {
        "px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta),
        "mass": np.array([MASS[c] for c in code.ravel()]).reshape(code.shape),
        "vx": v[0], "vy": v[1], "vz": v[2], "pdgid": pdgid, "charge": charge.astype(float),
    }  # fmt: skip
    return {name: np.atleast_1d(x).ravel() for name, x in flat.items()}


def events_of(flat, counts=None):
    """One particle an event, or as many as counts say."""
    n = len(flat["px"])
    counts = np.ones(n, int) if counts is None else np.array(counts, int)
    return Events(ak.zip({name: ak.unflatten(x, counts) for name, x in flat.items()}))


def alone(pdgid, pt, eta, *, n, detector=CMS, seed=1):
    """Flat objects seen of n copies of a particle, each in its own event."""
    phi = np.random.default_rng(seed).uniform(-np.pi, np.pi, n)
    seen = respond(events_of(particles(pdgid, pt, eta, phi)), detector, seed=seed)
    return {name: ak.to_numpy(ak.flatten(seen[name])) for name in seen.fields}


def energy(x):
    return np.sqrt((x["pt"] * np.cosh(x["eta"])) ** 2 + x["mass"] ** 2)


def near(expected, error, sigmas=4.5):
    return pytest.approx(expected, abs=sigmas * error)


def smeared(seen, e, sigma):
    """Mean and standard deviation as expected, within the errors of so many log-normal numbers."""
    measured, n = energy(seen), len(seen["pt"])
    assert measured.mean() == near(e, sigma / n**0.5)
    kurtosis = 3 + 16 * (sigma / e) ** 2 + 30 * (sigma / e) ** 4
    assert measured.std() == near(sigma, sigma * ((kurtosis - 1) / (4 * n)) ** 0.5)
