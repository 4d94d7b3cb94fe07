"""Isolation of leptons and photons: cones by hand, and all pairs."""

from dataclasses import replace

import numpy as np
import pytest
from responses import PHOTON, alone, near

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.detector import (
    CMS,
)
from fivesigma.isolation import CMS_ISOLATION, isolated
from fivesigma.kinematics import delta_r

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
