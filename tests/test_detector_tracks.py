"""Efficiency and resolution of tracks, and the towers that they point to.

Numbers of the response are those of the CMS card of Delphes 3.5.1.
"""

import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from responses import (
    ELECTRON,
    IDEAL,
    KAON,
    MASS,
    MUON,
    PION,
    alone,
    energy,
    events_of,
    exact,
    linear,
    near,
    particles,
    smeared,
)

from fivesigma.calorimeter import ECAL, HCAL, Resolution
from fivesigma.detector import (
    CMS,
    respond,
)
from fivesigma.tracker import SPECIES, Table

UNSEEN = {"fractions": (), "default_fraction": 0.0}
TRACKER = replace(CMS, ecal=replace(ECAL, **UNSEEN), hcal=replace(HCAL, **UNSEEN), isolation=None)

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
    kind = replace(exact(CMS.hadrons), constant=Table((2.5,), (0.0,), ((track,),)))
    hcal = replace(linear(HCAL), resolution=(Resolution(5.0, tower, 0.0),), energy_min=60.0)
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
