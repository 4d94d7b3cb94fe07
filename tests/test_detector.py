"""Single particles with a known response, then whole events against Delphes.

Numbers of the response are those of the CMS card of Delphes 3.5.1; the reference events have passed
through the program itself.
"""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.calorimeter import ECAL, HCAL, Resolution, log_normal
from fivesigma.detector import (
    CMS,
    DETECTORS,
    Detector,
    NoDetector,
    propagate,
    respond,
)
from fivesigma.events import Events
from fivesigma.isolation import CMS_ISOLATION, isolated
from fivesigma.kinematics import delta_phi, delta_r
from fivesigma.tracker import SPECIES, Table

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"
COLUMNS = ("px", "py", "pz", "mass", "vx", "vy", "vz", "pdgid", "charge")
MASS = {22: 0.0, 11: 0.000511, 13: 0.10566, 211: 0.13957, 130: 0.49761, 2212: 0.93827, 310: 0.49761}
CHARGE = {22: 0, 11: -1, 13: -1, 211: 1, 130: 0, 2212: 1, 310: 0}
PHOTON, KAON, PION, MUON, ELECTRON = 22, 130, 211, 13, 11

UNSEEN = {"fractions": (), "default_fraction": 0.0}
TRACKER = replace(CMS, ecal=replace(ECAL, **UNSEEN), hcal=replace(HCAL, **UNSEEN), isolation=None)
SURE = Table((2.5,), (0.0,), ((1.0,),))
EXACT = Table((2.5,), (0.0,), ((1e-9,),))


def _exact(kind):
    return replace(kind, efficiency=SURE, constant=EXACT, slope=Table((2.5,), (0.0,), ((0.0,),)))


def _linear(calorimeter):
    band = Resolution(5.0, 1e-9, 0.0)
    return replace(calorimeter, resolution=(band,), energy_min=1e-3, significance_min=0.0)


# finds every track, measures everything, drops nothing
IDEAL = Detector(
    "ideal",
    hadrons=_exact(CMS.hadrons),
    electrons=_exact(CMS.electrons),
    muons=_exact(CMS.muons),
    ecal=_linear(ECAL),
    hcal=_linear(HCAL),
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


def random_events(n=40, seed=3, low=0, high=60):
    """Events of 0 to 60 particles of all kinds, all from the origin."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(low, high, n)
    counts[n // 2] = 0
    m = counts.sum()
    codes = rng.choice([PHOTON, KAON, PION, -PION, MUON, ELECTRON, 310, 2212], m)
    pt, eta = rng.exponential(20.0, m) + 1.0, rng.uniform(-2.3, 2.3, m)
    return events_of(particles(codes, pt, eta, rng.uniform(-np.pi, np.pi, m)), counts)


def energy(x):
    return np.sqrt((x["pt"] * np.cosh(x["eta"])) ** 2 + x["mass"] ** 2)


def carried(flat, detector=CMS):
    return propagate({"event": np.zeros(len(flat["px"]), int)} | flat, detector)


def near(expected, error, sigmas=4.5):
    return pytest.approx(expected, abs=sigmas * error)


# Propagation


@pytest.mark.parametrize("eta", [0.0, 0.5, -1.5, 1.7, -2.5, 4.0])
@pytest.mark.parametrize("phi", [0.0, 1.0, math.pi, -3.0])
def test_neutral_particles_from_the_origin_keep_their_direction(eta, phi):
    p = carried(particles(PHOTON, 10.0, eta, phi))
    assert p["face_eta"] == pytest.approx(eta, abs=1e-12)
    assert delta_phi(p["face_phi"], phi) == pytest.approx(0.0, abs=1e-12)


def test_neutral_particle_from_aside():
    """From (0.5 m, 0, 1 m) along y: leaves at y = sqrt(1.29^2 - 0.5^2)."""
    p = carried(particles(KAON, 7.0, 0.0, 0.5 * math.pi, vertex=(500.0, 0.0, 1000.0)))
    y = math.sqrt(1.29**2 - 0.5**2)
    assert p["face_phi"] == pytest.approx(math.atan2(y, 0.5))
    assert p["face_eta"] == pytest.approx(math.asinh(1.0 / 1.29))
    assert p["eta"] == pytest.approx(0.0)


def test_neutral_particle_through_the_end_cap():
    """From z = 2 m at 45 degrees: z = 3 m is reached 1 m from the axis."""
    p = carried(particles(KAON, 7.0, math.asinh(1.0), 0.3, vertex=(0.0, 0.0, 2000.0)))
    assert p["face_eta"] == pytest.approx(math.asinh(3.0))
    back = carried(particles(KAON, 7.0, -math.asinh(1.0), 0.3, vertex=(0.0, 0.0, 2000.0)))
    assert back["face_eta"] == pytest.approx(math.asinh(0.71 / 1.29))


@pytest.mark.parametrize("pt", [0.8, 2.0, 10.0, 500.0])
@pytest.mark.parametrize("code", [PION, -PION])
def test_bend_of_a_charged_particle(pt, code):
    """sin(d_phi) = R / (2 r) with r = pt / (0.3 B), clockwise if positive; z = r tau sinh(eta)."""
    r = pt / (0.299792458 * 3.8)
    bend = math.asin(1.29 / (2 * r))
    p = carried(particles(code, pt, 0.3, 0.4))
    assert delta_phi(p["face_phi"], 0.4) == pytest.approx(-math.copysign(bend, code), rel=1e-9)
    assert p["face_eta"] == pytest.approx(
        math.asinh(r * 2 * bend * math.sinh(0.3) / 1.29), rel=1e-9
    )
    assert p["phi"] == pytest.approx(0.4)
    assert p["eta"] == pytest.approx(0.3)


def test_loopers_reach_the_end_cap():
    """2 r < R: z = 3 m at the angle tau = 3 m / (r sinh eta), 2 r sin(tau / 2) from the axis."""
    r = 0.3 / (0.299792458 * 3.8)
    tau = 3.0 / (r * math.sinh(1.0))
    p = carried(particles(PION, 0.3, [1.0, -1.0], 0.0))
    rho = abs(2 * r * math.sin(tau / 2))
    assert p["face_eta"] == pytest.approx(np.array([1, -1]) * math.asinh(3.0 / rho))
    assert np.cos(p["face_phi"] + 0.5 * tau) ** 2 == pytest.approx([1.0, 1.0])


def displaced(n=300, seed=5):
    rng = np.random.default_rng(seed)
    codes = rng.choice([KAON, PION, -PION], n)
    rho, around = 1000 * rng.random(n), rng.uniform(-np.pi, np.pi, n)
    vertex = (rho * np.cos(around), rho * np.sin(around), rng.uniform(-2000, 2000, n))
    # outwards within a right angle: where the helix comes closest lies behind or just ahead
    phi = around + rng.uniform(-0.5 * np.pi, 0.5 * np.pi, n)
    return particles(
        codes, 2.0 + rng.exponential(5.0, n), rng.uniform(-2.5, 2.5, n), phi, vertex=vertex
    )


def test_displaced_particles_against_small_steps():
    """Steps of 0.2 mm along dp/ds = q v x B until the cylinder is left."""
    flat = displaced()
    p = carried(flat)
    assert len(p["pt"]) == 300
    position = 1e-3 * np.stack([flat["vx"], flat["vy"], flat["vz"]])
    phi, pt = np.arctan2(flat["py"], flat["px"]), np.hypot(flat["px"], flat["py"])
    turn = -flat["charge"] * 0.299792458 * 3.8 / pt  # per metre of transverse path
    step = 2e-4
    for _ in range(20_000):
        inside = (np.hypot(position[0], position[1]) < 1.29) & (np.abs(position[2]) < 3.0)
        if not inside.any():
            break
        move = np.stack(
            [np.cos(phi + 0.5 * step * turn), np.sin(phi + 0.5 * step * turn), flat["pz"] / pt]
        )
        position += np.where(inside, step, 0.0) * move
        phi += np.where(inside, step, 0.0) * turn
    assert not inside.any()
    x, y, z = position
    assert p["face_eta"] == pytest.approx(np.arcsinh(z / np.hypot(x, y)), abs=2e-3)
    assert delta_phi(p["face_phi"], np.arctan2(y, x)) == pytest.approx(np.zeros(300), abs=2e-3)


def test_azimuth_of_a_track_is_that_at_closest_approach():
    """There the momentum is across the line from the beam to the centre of the circle."""
    flat = displaced()
    p = carried(flat)
    phi = np.arctan2(flat["py"], flat["px"])
    curved = flat["charge"] != 0
    r = p["pt"] / (0.299792458 * 3.8) * np.sign(flat["charge"])
    x, y = 1e-3 * flat["vx"] + r * np.sin(phi), 1e-3 * flat["vy"] - r * np.cos(phi)
    across = (np.cos(p["phi"]) * x + np.sin(p["phi"]) * y) / np.hypot(x, y)
    assert across[curved] == pytest.approx(np.zeros(curved.sum()), abs=1e-9)
    assert np.abs(delta_phi(p["phi"], phi)).max() <= 0.5 * np.pi
    assert p["phi"][~curved] == pytest.approx(phi[~curved])


def test_opposite_charges_are_mirror_images():
    flat = displaced()
    mirror = flat | {name: -flat[name] for name in ("py", "vy", "charge", "pdgid")}
    p, q = carried(flat), carried(mirror)
    assert q["face_eta"] == pytest.approx(p["face_eta"], abs=1e-9)
    assert delta_phi(q["face_phi"], -p["face_phi"]) == pytest.approx(np.zeros(300), abs=1e-9)


@pytest.mark.parametrize("angle", [0.4, 2.0, -3.0])
def test_rotation_about_the_beam(angle):
    c, s = math.cos(angle), math.sin(angle)
    flat = displaced()
    turned = flat | {
        f"{kind}{a}": value
        for kind in "pv"
        for a, value in (
            ("x", c * flat[f"{kind}x"] - s * flat[f"{kind}y"]),
            ("y", s * flat[f"{kind}x"] + c * flat[f"{kind}y"]),
        )
    }
    p, q = carried(flat), carried(turned)
    for name in ("face_eta", "eta", "pt", "energy"):
        assert q[name] == pytest.approx(p[name], rel=1e-9, abs=1e-9)
    for name in ("face_phi", "phi"):
        assert delta_phi(q[name], p[name] + angle) == pytest.approx(np.zeros(300), abs=1e-9)


@pytest.mark.parametrize(
    ("vertex", "kept"),
    [
        ((1280, 0, 0), 1),
        ((1291, 0, 0), 0),
        ((0, 0, 2700), 1),
        ((0, 0, -3001), 0),
        ((911, 911, 0), 1),
        ((913, 913, 0), 0),
    ],
)
@pytest.mark.parametrize("code", [PHOTON, PION])
def test_particles_made_outside_are_lost(code, vertex, kept):
    assert len(carried(particles(code, 5.0, 0.1, 0.1, vertex=vertex))["pt"]) == kept
    seen = respond(events_of(particles(code, 5.0, 0.1, 0.1, vertex=vertex)), IDEAL, seed=1)
    assert len(seen) == 1
    assert len(seen[0]) == kept


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


def smeared(seen, e, sigma):
    """Mean and standard deviation as expected, within the errors of so many log-normal numbers."""
    measured, n = energy(seen), len(seen["pt"])
    assert measured.mean() == near(e, sigma / n**0.5)
    kurtosis = 3 + 16 * (sigma / e) ** 2 + 30 * (sigma / e) ** 4
    assert measured.std() == near(sigma, sigma * ((kurtosis - 1) / (4 * n)) ** 0.5)


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


EFFICIENCIES = {
    "barrel": (PION, 5.0, 0.5, 0.95),
    "end cap": (PION, 5.0, 2.0, 0.85),
    "barrel, soft": (PION, 0.9, 0.5, 0.70),
    "end cap, soft": (PION, 0.9, 2.0, 0.60),
    "outside": (PION, 50.0, 2.6, 0.0),
    "electron": (ELECTRON, 50.0, 0.5, 0.95),
    "electron, hard": (ELECTRON, 200.0, 2.0, 0.90),
    "muon": (MUON, 50.0, 0.5, 0.99),
    "muon, end cap": (MUON, 50.0, -2.0, 0.98),
}


@pytest.mark.parametrize(
    ("code", "pt", "eta", "efficiency"), EFFICIENCIES.values(), ids=EFFICIENCIES.keys()
)
def test_track_efficiency(code, pt, eta, efficiency):
    n = 10_000
    seen = alone(code, pt, eta, n=n, detector=TRACKER)
    species = {PION: "charged hadron", ELECTRON: "electron", MUON: "muon"}[code]
    assert set(seen["species"]) <= {SPECIES[species]}
    assert len(seen["pt"]) / n == near(efficiency, (efficiency * (1 - efficiency) / n) ** 0.5)


TRACKS = {
    "hadron": (PION, 20.0, 0.3, math.hypot(0.06, 20 * 1.3e-3)),
    "hadron, outer barrel": (PION, 20.0, 1.0, math.hypot(0.10, 20 * 1.7e-3)),
    "hadron, end cap": (PION, 20.0, -2.0, math.hypot(0.25, 20 * 3.1e-3)),
    "hadron, hard": (PION, 300.0, 0.3, math.hypot(0.06, 300 * 1.3e-3)),
    "electron": (ELECTRON, 50.0, 0.3, math.hypot(0.03, 50 * 1.3e-3)),
    "muon": (MUON, 100.0, 0.3, math.hypot(0.01, 100 * 1.0e-4)),
    "muon, end cap": (MUON, 100.0, 2.0, math.hypot(0.025, 100 * 3.5e-4)),
}


@pytest.mark.parametrize(("code", "pt", "eta", "relative"), TRACKS.values(), ids=TRACKS.keys())
def test_track_resolution(code, pt, eta, relative):
    """A log-normal transverse momentum; the direction is not smeared."""
    seen = alone(code, pt, eta, n=10_000, detector=TRACKER)
    assert seen["eta"] == pytest.approx(np.full(len(seen["eta"]), eta))
    assert set(np.round(seen["mass"], 6)) == {round(MASS[code], 6)}
    smeared({"pt": seen["pt"], "eta": np.zeros(len(seen["pt"])), "mass": 0.0}, pt, relative * pt)


def test_muons_leave_no_tower():
    seen = alone(MUON, 100.0, 1.0, n=2000)
    assert set(seen["species"]) == {SPECIES["muon"]}
    assert 1900 < len(seen["pt"]) < 2000


def test_lost_tracks_become_neutral():
    """A pion without a track is a neutral hadron of its energy; an electron is a photon."""
    blind = Table((2.5,), (0.0,), ((0.0,),))
    lost = {
        name: replace(getattr(CMS, name), efficiency=blind) for name in ("hadrons", "electrons")
    }
    for code, species in ((PION, "neutral hadron"), (ELECTRON, "photon")):
        seen = alone(code, 50.0, 0.2, n=3000, detector=replace(CMS, **lost))
        assert set(seen["species"]) == {SPECIES[species]}
        assert energy(seen).mean() == pytest.approx(50 * math.cosh(0.2), rel=0.03)


AVERAGES = {  # relative resolutions of track and tower, and of their mean
    "tower is exact": (0.1, 1e-6, 1e-6),
    "track is exact": (1e-6, 0.1, 1e-6),
    "both alike": (0.1, 0.1, 0.1 / math.sqrt(2)),
    "track is better": (0.05, 0.1, 1 / math.hypot(20, 10)),
}


@pytest.mark.parametrize(("track", "tower", "expected"), AVERAGES.values(), ids=AVERAGES.keys())
def test_tracks_without_excess_are_averaged_with_their_tower(track, tower, expected):
    """Weights 1 / sigma^2; no excess reaches the 60 GeV of this calorimeter."""
    kind = replace(_exact(CMS.hadrons), constant=Table((2.5,), (0.0,), ((track,),)))
    hcal = replace(_linear(HCAL), resolution=(Resolution(5.0, tower, 0.0),), energy_min=60.0)
    seen = alone(PION, 100.0, 0.0, n=5000, detector=replace(IDEAL, hadrons=kind, hcal=hcal))
    assert set(seen["species"]) == {SPECIES["charged hadron"]}
    assert energy(seen).std() / 100 == pytest.approx(expected, rel=0.06)
    assert energy(seen).mean() / 100 == pytest.approx(1.0, abs=0.2 * track + 1e-5)


def test_excess_over_tracks_becomes_neutral():
    """A pion and a neutral kaon in one tower: the track is left as it is, the rest is the kaon."""
    flat = particles([PION, KAON], [50.0, 30.0], [0.04, 0.04], [0.5, 0.46])
    seen = respond(events_of(flat, [2]), IDEAL, seed=1)[0]
    assert seen.species.to_list() == [SPECIES["charged hadron"], SPECIES["neutral hadron"]]
    expected = [
        math.hypot(m, pt * math.cosh(0.04)) for pt, m in ((50.0, MASS[PION]), (30.0, MASS[KAON]))
    ]
    assert energy({name: ak.to_numpy(seen[name]) for name in seen.fields}) == pytest.approx(
        expected, rel=1e-6
    )


# Events


def test_ideal_detector_conserves_the_energy_of_each_event():
    """Tracks and towers share the energy; nothing is counted twice, nothing is lost."""
    events = random_events()
    p = events.particles
    true = ak.sum(np.sqrt(p.px**2 + p.py**2 + p.pz**2 + p.mass**2), axis=1)
    seen = respond(events, IDEAL, seed=1)
    got = ak.sum(np.sqrt((seen.pt * np.cosh(seen.eta)) ** 2 + seen.mass**2), axis=1)
    assert got.to_list() == pytest.approx(true.to_list(), rel=1e-6)


def test_ideal_detector_finds_the_charged_particles():
    events = random_events()
    seen = respond(events, IDEAL, seed=1)
    tracks = seen[(seen.species != SPECIES["photon"]) & (seen.species != SPECIES["neutral hadron"])]
    charged = events.particles[events.particles.charge != 0]
    assert ak.to_list(ak.num(tracks)) == ak.to_list(ak.num(charged))
    true = np.sort(ak.to_numpy(ak.flatten(np.hypot(charged.px, charged.py))))
    assert np.sort(ak.to_numpy(ak.flatten(tracks.pt))) == pytest.approx(true, rel=1e-6)


def test_the_card_conserves_energy_on_average():
    """Tracks add some: a tower above its tracks makes a neutral object, one below is averaged."""
    events = random_events(n=300, low=20)
    p = events.particles
    for code, low, high in ((None, 0.97, 1.10), (KAON, 0.97, 1.01), (PHOTON, 0.99, 1.01)):
        some = events if code is None else Events(p[p.pdgid == code])
        seen = respond(some, CMS, seed=2)
        got = ak.sum(np.sqrt((seen.pt * np.cosh(seen.eta)) ** 2 + seen.mass**2))
        q = some.particles
        true = ak.sum(np.sqrt(q.px**2 + q.py**2 + q.pz**2 + q.mass**2))
        assert low < got / true < high


def test_events_do_not_mix():
    """Each event on its own gives what it gives among others; empty events stay empty."""
    events = random_events()
    together = respond(events, IDEAL, seed=1)
    assert len(together) == len(events)
    assert len(together[20]) == 0
    for i in (0, 7, 19, 20, 21, 39):
        single = respond(Events(events.particles[i : i + 1]), IDEAL, seed=1)[0]
        assert len(single) == len(together[i])
        ours, theirs = ({n: ak.to_numpy(x[n]) for n in x.fields} for x in (single, together[i]))
        assert np.sort(energy(ours)) == pytest.approx(np.sort(energy(theirs)), rel=1e-6)
        assert np.array_equal(np.sort(ours["species"]), np.sort(theirs["species"]))


def test_no_detector_returns_the_particles():
    events = random_events()
    p = events.particles
    seen = respond(events, NoDetector(), seed=1)
    assert ak.to_list(ak.num(seen)) == ak.to_list(ak.num(p))
    assert ak.almost_equal(seen.pt * np.cos(seen.phi), p.px)
    assert ak.almost_equal(seen.pt * np.sin(seen.phi), p.py)
    assert ak.almost_equal(seen.pt * np.sinh(seen.eta), p.pz)
    assert ak.array_equal(seen.mass, p.mass)
    assert not ak.any(seen.isolated)
    codes = {
        PHOTON: "photon",
        KAON: "neutral hadron",
        PION: "charged hadron",
        MUON: "muon",
        ELECTRON: "electron",
    }
    for code, species in codes.items():
        found = ak.flatten(seen.species[np.abs(p.pdgid) == code])
        assert set(found.to_list()) == {SPECIES[species]}


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS.keys())
class TestAnyDetector:
    def test_objects(self, detector):
        seen = respond(random_events(), detector, seed=1)
        assert set(seen.fields) == {"pt", "eta", "phi", "mass", "species", "isolated"}
        flat = {name: ak.to_numpy(ak.flatten(seen[name])) for name in seen.fields}
        assert all(np.isfinite(x).all() for x in flat.values())
        assert flat["pt"].min() > 0
        assert flat["mass"].min() >= 0
        assert set(flat["species"]) == set(SPECIES.values())

    def test_the_seed_decides(self, detector):
        events = random_events()
        first, again, other = (respond(events, detector, seed=s) for s in (1, 1, 2))
        assert ak.array_equal(first, again)
        same = ak.to_list(first.pt) == ak.to_list(other.pt)
        assert same == isinstance(detector, NoDetector)

    @pytest.mark.parametrize("counts", [[], [0], [0, 0, 0], [0, 2, 0], [1, 0, 1]], ids=str)
    def test_empty_events(self, detector, counts):
        n = sum(counts)
        seen = respond(events_of(particles([MUON] * n, 50.0, 0.5, 0.1), counts), detector, seed=3)
        assert len(seen) == len(counts)
        assert ak.to_list(ak.num(seen)) == counts
        assert set(seen.fields) == {"pt", "eta", "phi", "mass", "species", "isolated"}


def test_no_direction_is_special():
    """Events turned about the beam: the same response in distribution."""
    events = random_events(n=300, low=20)
    p = events.particles
    turned = Events(ak.with_field(ak.with_field(p, p.px, "py"), -p.py, "px"))
    total = [
        ak.to_numpy(ak.sum(respond(e, CMS, seed=s).pt, axis=1))
        for s, e in ((1, events), (2, turned))
    ]
    difference = total[0] - total[1]
    assert difference.std() > 0
    assert difference.mean() == near(0.0, difference.std() / 300**0.5)


# Isolation

CERTAIN = replace(
    CMS_ISOLATION, efficiency=tuple((s, e, 1.0, 1.0) for s, e, *_ in CMS_ISOLATION.efficiency)
)


def flags(objects, isolation=CERTAIN, n=1):
    """From (event, pt, eta, phi, species)."""
    columns = zip(*objects, strict=True)
    names = ("event", "pt", "eta", "phi", "species")
    seen = {name: np.array(x) for name, x in zip(names, columns, strict=True)}
    return isolated(seen, isolation, np.random.default_rng(1), n).tolist()


CONES = {
    "lone photon": ([(0, 50.0, 0.0, 0.0, 1)], True),
    "lone electron": ([(0, 50.0, 1.0, 3.0, 3)], True),
    "lone muon": ([(0, 50.0, -2.3, 3.0, 4)], True),
    "muon outside": ([(0, 50.0, 2.45, 3.0, 4)], False),
    "photon outside": ([(0, 50.0, 2.55, 3.0, 1)], False),
    "soft photon": ([(0, 9.9, 0.0, 0.0, 1)], False),
    "hadron": ([(0, 50.0, 0.0, 0.0, 0)], False),
    "neutral hadron": ([(0, 50.0, 0.0, 0.0, 2)], False),
    "busy cone": ([(0, 50.0, 0.0, 0.0, 1), (0, 6.1, 0.3, 0.3, 0)], False),
    "cone just below 0.12": ([(0, 50.0, 0.0, 0.0, 1), (0, 5.9, 0.3, 0.3, 0)], True),
    "muons may have 0.25": ([(0, 50.0, 0.0, 0.0, 4), (0, 12.4, 0.3, 0.3, 0)], True),
    "but no more": ([(0, 50.0, 0.0, 0.0, 4), (0, 12.6, 0.3, 0.3, 0)], False),
    "beside the cone": ([(0, 50.0, 0.0, 0.0, 1), (0, 40.0, 0.4, 0.31, 0)], True),
    "in the cone across pi": ([(0, 50.0, 0.0, 3.1, 1), (0, 40.0, 0.0, -3.1, 0)], False),
    "too soft to count": ([(0, 50.0, 0.0, 0.0, 1), *[(0, 0.49, 0.1, 0.1, 0)] * 40], True),
    "another event": ([(0, 50.0, 0.0, 0.0, 1), (1, 40.0, 0.1, 0.1, 0)], True),
}


@pytest.mark.parametrize(("objects", "expected"), CONES.values(), ids=CONES.keys())
def test_cones(objects, expected):
    assert flags(objects, n=2)[0] is expected


BY_SPECIES = replace(CERTAIN, radius=((1, 0.5), (3, 0.2), (4, 0.3)))


@pytest.mark.parametrize(("species", "radius"), BY_SPECIES.radius)
def test_cones_by_species(species, radius):
    for distance in (radius - 0.01, radius + 0.01):
        objects = [(0, 50.0, 0.0, 0.0, species), (0, 40.0, distance, 0.0, 0)]
        assert flags(objects, BY_SPECIES)[0] is (distance > radius)


def test_photons_keep_their_cone_where_leptons_have_another():
    radii = BENCHMARKS["heavy_quark"].detector.isolation.radii
    assert radii == {1: 0.5, 3: 0.2, 4: 0.2}


@pytest.mark.parametrize("isolation", [CERTAIN, BY_SPECIES], ids=["one radius", "by species"])
@pytest.mark.parametrize("soft", [2.0, 0.05], ids=["busy", "quiet"])
def test_isolation_against_all_pairs(soft, isolation):
    """The cells that decide early never decide otherwise than the cone."""
    rng = np.random.default_rng(4)
    n, m = 60, 4000
    seen = {
        "event": rng.integers(0, n, m),
        "pt": np.where(rng.random(m) < 0.2, rng.uniform(5, 100, m), rng.exponential(soft, m)),
        "eta": rng.uniform(-2.6, 2.6, m),
        "phi": rng.uniform(-np.pi, np.pi, m),
        "species": rng.integers(0, 5, m),
    }
    expected = np.zeros(m, bool)
    limit, edge = dict(CERTAIN.ratio_max), {s: e for s, e, *_ in CERTAIN.efficiency}
    for i in range(m):
        species = seen["species"][i]
        if species not in limit or seen["pt"][i] <= 10.0 or abs(seen["eta"][i]) > edge[species]:
            continue
        distance = delta_r(seen["eta"][i], seen["phi"][i], seen["eta"], seen["phi"])
        near_by = (
            (distance <= isolation.radii[species])
            & (seen["event"] == seen["event"][i])
            & (seen["pt"] >= 0.5)
        )
        near_by[i] = False
        expected[i] = seen["pt"][near_by].sum() <= limit[species] * seen["pt"][i]
    got = isolated(seen, isolation, rng, n)
    assert np.array_equal(got, expected)
    assert 20 < got.sum() < 500


def test_identification_efficiency():
    """Lone photons: 0.95 in the barrel, 0.85 beyond."""
    n = 4000
    for eta, efficiency in ((0.5, 0.95), (2.0, 0.85)):
        flag = alone(PHOTON, 60.0, eta, n=n)["isolated"]
        assert flag.mean() == near(efficiency, (efficiency * (1 - efficiency) / n) ** 0.5)


def test_without_isolation():
    assert not alone(PHOTON, 60.0, 0.5, n=50, detector=replace(CMS, isolation=None))[
        "isolated"
    ].any()


# Against Delphes


@pytest.fixture(scope="module")
def validation():
    path = ROOT / "validation" / "detector.py"
    spec = importlib.util.spec_from_file_location("validation_detector", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# largest deviation of the median, and largest Kolmogorov-Smirnov distance: 1000 independent
# responses differ by 0.06 in one of a hundred cases, and share their events here
TOLERANCES = {
    "mjj": 0.02, "j1_pt": 0.02, "j2_pt": 0.02, "j1_m": 0.05, "j2_m": 0.05,
    "j1_nconst": 0.05, "j2_nconst": 0.05, "j1_lha": 0.05, "j2_lha": 0.05,
    "j1_ptd": 0.03, "j2_ptd": 0.03,
    "j1_width": 0.06, "j2_width": 0.06, "j1_f_trk": 0.04, "j2_f_trk": 0.04, "j1_f_pho": 0.06,
    "j2_f_pho": 0.06, "j1_f_neu": 0.10, "j2_f_neu": 0.10,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside the repository")
@pytest.mark.parametrize("sample", ["qcd", "hvID10"])
def test_against_delphes(validation, sample):
    """Both detectors see the same 1000 events; counts differ by their own noise."""
    particle_file = REFERENCE / f"{sample}_particles_0.parquet"
    events, _ = validation.read([particle_file], REFERENCE / f"{sample}_vertices.parquet")
    theirs = ak.from_parquet(REFERENCE / f"{sample}_delphes_events.parquet")[:1000]
    delphes = {name: ak.to_numpy(theirs[name]).astype(float) for name in theirs.fields}
    ours = validation.simulate(Events(events.particles[:1000]), detector="cms", seed=1)
    result = validation.compare(ours, delphes)
    cutflow = result.pop("cutflow")
    assert set(result) == set(TOLERANCES)
    for name, row in result.items():
        assert row["median_ratio"] == pytest.approx(1.0, abs=TOLERANCES[name]), name
        assert row["ks"] < 0.06, name
    for name, row in cutflow.items():
        assert abs(row["ours"] - row["delphes"]) <= 3 * max(row["sigma_of_difference"], 1.0), name


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside the repository")
def test_the_comparison_sees_a_wrong_detector(validation):
    """Without vertices, m_jj of QCD dijets comes out about 3 % too high."""
    particle_file = REFERENCE / "qcd_particles_0.parquet"
    events, _ = validation.read([particle_file], REFERENCE / "qcd_vertices.parquet")
    p = events.particles[:1000]
    prompt = ak.zip(
        {name: p[name] * 0.0 if name in ("vx", "vy", "vz") else p[name] for name in p.fields}
    )
    theirs = ak.from_parquet(REFERENCE / "qcd_delphes_events.parquet")[:1000]
    ours = validation.simulate(Events(prompt), detector="cms", seed=1)
    assert np.nanmedian(ours["mjj"]) > 1.02 * np.nanmedian(ak.to_numpy(theirs.mjj))
