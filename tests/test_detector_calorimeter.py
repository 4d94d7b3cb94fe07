"""Towers, resolutions, and single particles without a track.

Numbers of the response are those of the CMS card of Delphes 3.5.1.
"""

import math

import awkward as ak
import numpy as np
import pytest
from responses import (
    ELECTRON,
    KAON,
    MASS,
    MUON,
    PHOTON,
    PION,
    alone,
    energy,
    events_of,
    near,
    particles,
    smeared,
)

from fivesigma.calorimeter import ECAL, HCAL, log_normal
from fivesigma.detector import (
    CMS,
    respond,
)
from fivesigma.tracker import SPECIES, Table

# Towers


@pytest.mark.parametrize(
    ("calorimeter", "rows", "towers"),
    [(ECAL, 22 + 340, 22 * 36 + 340 * 360), (HCAL, 4 + 38 + 38, 4 * 18 + 38 * 36 + 38 * 72)],
    ids=["ecal", "hcal"],
)
def test_towers_of_the_card(calorimeter, rows, towers):
    edges = np.array(calorimeter.eta_edges)
    assert len(calorimeter.phi_towers) == len(edges) - 1
    assert np.all(np.diff(edges) > 0)
    assert (edges[0], edges[-1]) == (-5.0, 5.0)
    assert (len(calorimeter.phi_towers), sum(calorimeter.phi_towers)) == (rows, towers)


@pytest.mark.parametrize("calorimeter", [ECAL, HCAL], ids=["ecal", "hcal"])
def test_towers_tile(calorimeter):
    """The middle of each tower is its own, as are points just inside its edges; no index twice."""
    edges, seen = calorimeter.eta_edges, []
    for low, high, n in zip(edges[:-1], edges[1:], calorimeter.phi_towers, strict=True):
        column = np.arange(n)
        inner = 1e-9
        indices = [
            calorimeter.tower(np.full(n, eta), -np.pi + (column + share) * 2 * np.pi / n)
            for eta in (low + inner, 0.5 * (low + high), high)
            for share in (1e-6, 0.5, 1 - 1e-6)
        ]
        assert np.all(np.array(indices) == indices[0])
        assert len(set(indices[0])) == n
        seen += indices[0].tolist()
    assert len(seen) == len(set(seen)) == sum(calorimeter.phi_towers)
    assert 0 <= min(seen) <= max(seen) < calorimeter.n_indices


def test_no_tower_outside():
    assert ECAL.tower(np.array([-5.01, 5.01, 100.0]), np.zeros(3)).tolist() == [-1, -1, -1]
    seen = alone(PHOTON, 5.0, 5.2, n=50)
    assert len(seen["pt"]) == 0


# sigma(E) by hand: (calorimeter, eta, E, sigma)
RESOLUTIONS = {
    "ECAL barrel": (ECAL, 1.0, 100.0, 1.64 * math.sqrt(0.8**2 + 1.1**2 + 0.4**2)),
    "ECAL centre": (ECAL, 0.0, 25.0, math.sqrt(0.2**2 + 0.55**2 + 0.4**2)),
    "ECAL end cap": (ECAL, -2.2, 100.0, (2.16 + 5.6 * 0.04) * math.sqrt(0.8**2 + 1.1**2 + 0.4**2)),
    "ECAL forward": (ECAL, 3.5, 400.0, math.hypot(42.8, 41.6)),
    "HCAL": (HCAL, 0.7, 100.0, math.hypot(5.0, 15.0)),
    "HCAL edge of the band": (HCAL, 3.0, 100.0, math.hypot(5.0, 15.0)),
    "HCAL forward": (HCAL, -4.0, 100.0, math.hypot(13.0, 27.0)),
    "beyond": (HCAL, 5.5, 100.0, 0.0),
}


@pytest.mark.parametrize(
    ("calorimeter", "eta", "e", "sigma"), RESOLUTIONS.values(), ids=RESOLUTIONS.keys()
)
def test_resolution_formulas(calorimeter, eta, e, sigma):
    got = calorimeter.sigma(np.array([eta]), np.array([e]))
    assert got == pytest.approx(sigma, rel=1e-12, abs=1e-12)


def test_shares_of_the_calorimeters():
    codes = np.array([PHOTON, ELECTRON, PION, KAON, 2212, MUON, 310, 3122])
    assert ECAL.fraction(codes).tolist() == [1, 1, 0, 0, 0, 0, 0.3, 0.3]
    assert HCAL.fraction(codes).tolist() == [0, 0, 1, 1, 1, 0, 0.7, 0.7]


def test_log_normal():
    rng = np.random.default_rng(1)
    mean, sigma, n = 10.0, 4.0, 100_000
    x = log_normal(np.full(n, mean), np.full(n, sigma), rng)
    assert x.min() > 0
    assert x.mean() == near(mean, sigma / n**0.5)
    b2 = math.log(1.16)
    logs = np.log(x)
    assert logs.mean() == near(math.log(10) - 0.5 * b2, (b2 / n) ** 0.5)
    assert logs.std() == near(b2**0.5, (0.5 * b2 / n) ** 0.5)
    assert log_normal(np.zeros(3), np.ones(3), rng).tolist() == [0, 0, 0]


def test_table_bins_close_above_and_are_zero_outside():
    table = Table((1.5, 2.5), (0.1, 1.0), ((0.70, 0.95), (0.60, 0.85)))
    eta = np.array([0.0, 1.5, -1.5, 1.51, -2.5, 2.51, 0.0, 0.0, 2.0, 0.0])
    pt = np.array([5.0, 5.0, 1.01, 5.0, 1.0, 5.0, 0.1, 0.11, 0.5, 1.0])
    assert table(eta, pt).tolist() == [0.95, 0.95, 0.95, 0.85, 0.60, 0.0, 0.0, 0.70, 0.60, 0.70]


# Single particles


@pytest.mark.parametrize("eta", [0.3, -1.2, 1.9, -2.4, 4.0])
def test_photons(eta):
    """One ECAL object, unbiased, at the place of the tower, with the resolution of the card."""
    n, e = 10_000, 80.0
    seen = alone(PHOTON, e / math.cosh(eta), eta, n=n)
    sigma = ECAL.sigma(np.array([eta]), np.array([e]))[0]
    assert len(seen["pt"]) == n
    assert set(seen["species"]) == {SPECIES["photon"]}
    assert set(seen["mass"]) == {0.0}
    width = 0.0175 if abs(eta) < 2.9 else 0.18
    assert np.abs(seen["eta"] - eta).max() < width
    smeared(seen, e, sigma * 1.005)  # the formula is taken at the centre of the tower


def test_objects_fill_their_towers_evenly():
    """Directions are drawn over the tower, so the middle of many is that of the tower."""
    phi = 0.5 * math.pi / 180  # the middle of a tower of one degree
    seen = respond(events_of(particles(PHOTON, 50.0, [0.0087] * 4000, phi)), CMS, seed=1)
    x = ak.to_numpy(ak.flatten(seen.eta))
    y = ak.to_numpy(ak.flatten(seen.phi))
    assert (x.min(), x.max()) == pytest.approx((0.0, 0.0174), abs=1e-4)
    assert (y.min(), y.max()) == pytest.approx((0.0, math.pi / 180), abs=1e-4)
    assert x.mean() == near(0.0087, 0.0174 / (12 * 4000) ** 0.5)
    assert y.mean() == near(phi, math.pi / 180 / (12 * 4000) ** 0.5)


@pytest.mark.parametrize(
    ("eta", "sigma"), [(0.5, math.hypot(5.0, 15.0)), (-3.5, math.hypot(13.0, 27.0))]
)
def test_neutral_hadrons(eta, sigma):
    """Unbiased but for the few below sigma (none at 4 sigma and more); 100 GeV."""
    seen = alone(KAON, 100.0 / math.cosh(eta), eta, n=10_000)
    assert set(seen["species"]) == {SPECIES["neutral hadron"]}
    assert len(seen["pt"]) >= 9990
    mass_shift = math.sqrt(100.0**2 + MASS[KAON] ** 2)
    smeared(seen, mass_shift, sigma)


def test_threshold_of_the_hadronic_calorimeter():
    """E > sqrt(0.05^2 E^2 + 1.5^2 E): 1.5^2 / (1 - 0.05^2) = 2.2556 GeV, as in Delphes' output."""
    e = energy(alone(KAON, 3.0, 0.2, n=20_000))
    assert 2.2556 <= e.min() < 2.258
    assert len(e) < 18_000


def test_threshold_of_the_electromagnetic_calorimeter():
    """E > 2 sigma(E) at eta = 0, where sigma^2 = 0.008^2 E^2 + 0.11^2 E + 0.4^2."""
    a, b, c = 1 - 4 * 0.008**2, -4 * 0.11**2, -4 * 0.4**2
    expected = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    e = energy(alone(PHOTON, 1.0, 0.0087, n=20_000))
    assert expected == pytest.approx(0.8246, abs=1e-4)
    assert expected <= e.min() < expected + 0.005
