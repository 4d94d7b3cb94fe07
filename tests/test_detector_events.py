"""Whole events: conservation, symmetries, and the comparison with Delphes.

The reference events have passed through Delphes 3.5.1 itself.
"""

import importlib.util
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from responses import ELECTRON, IDEAL, KAON, MUON, PHOTON, PION, energy, events_of, near, particles

from fivesigma.detector import (
    CMS,
    DETECTORS,
    NoDetector,
    respond,
)
from fivesigma.events import Events
from fivesigma.tracker import SPECIES

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"


def random_events(n=40, seed=3, low=0, high=60):
    """Events of 0 to 60 particles of all kinds, all from the origin."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(low, high, n)
    counts[n // 2] = 0
    m = counts.sum()
    codes = rng.choice([PHOTON, KAON, PION, -PION, MUON, ELECTRON, 310, 2212], m)
    pt, eta = rng.exponential(20.0, m) + 1.0, rng.uniform(-2.3, 2.3, m)
    return events_of(particles(codes, pt, eta, rng.uniform(-np.pi, np.pi, m)), counts)


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
