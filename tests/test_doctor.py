"""Faults that are put in are found, and nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_search import EPS, K, drawn

from fivesigma.background import Estimate
from fivesigma.doctor import beyond, distance_correlation, examine
from fivesigma.search import Cut


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def look(events, rng, kinematics=None):
    if kinematics is None:
        kinematics = np.stack([events.mass, events.scored.score], axis=1)
    found = examine(events, kinematics, eps_b=EPS, rng=rng)
    return {finding.check: finding for finding in found}


def test_healthy_events(rng):
    found = look(drawn(rng), rng)
    assert {f.verdict for f in found.values()} == {"fine"}
    assert list(found)[:2] == ["collapsed folds", "duplicate events"]
    assert found["events behind 0.1"].value == pytest.approx(160, abs=40)


def test_a_score_that_knows_the_mass(rng):
    """In three ways."""
    found = look(drawn(rng, leak=0.5), rng)
    for check in ("area between sidebands", "flat efficiency", "distance correlation"):
        assert found[check].verdict == "look", check
    assert found["area between sidebands"].value > 0.55


def test_duplicates_are_counted_across_folds(rng):
    events = drawn(rng)
    kinematics = np.arange(len(events.mass))[:, None].astype(float)
    first, same, other = (np.flatnonzero(events.scored.fold == f) for f in (0, 0, 1))
    kinematics[same[1]] = kinematics[first[0]]
    kinematics[other[5]] = kinematics[first[7]]
    found = look(events, rng, kinematics)["duplicate events"]
    assert (found.value, found.verdict) == (4, "fault")
    assert "4 events are there more than once, 2 of them in another fold" in found.words


def test_collapsed_folds(rng):
    events = drawn(rng)
    broken = replace(events.scored, collapsed=(True,) + (False,) * (K - 1))
    assert look(replace(events, scored=broken), rng)["collapsed folds"].verdict == "fault"


def test_one_sideband(rng):
    events = drawn(rng)
    found = look(replace(events, inside=events.mass > 4700), rng)["area between sidebands"]
    assert math.isnan(found.value)
    assert found.verdict == "look"


def test_a_constant_score(rng):
    """All events pass, and a cut has no efficiency to be flat."""
    events = drawn(rng)
    constant = replace(events.scored, score=np.zeros_like(events.scored.score))
    found = look(replace(events, scored=constant), rng)["flat efficiency"]
    assert math.isnan(found.value)
    assert found.verdict == "look"
    assert found.words.endswith("in 6 bins of the mass: 100 % of all")


def test_masses_of_few_values(rng):
    """A bin without events says nothing."""
    events = drawn(rng)
    mass = np.where(events.inside, 5000.0, np.where(events.mass < 5000, 4500.0, 5600.0))
    found = look(replace(events, mass=mass), rng)["flat efficiency"]
    assert "in 2 bins of the mass" in found.words
    assert math.isfinite(found.value)


def test_distance_correlation_at_known_answers(rng):
    x = rng.normal(size=800)
    assert distance_correlation(x, 3 - 2 * x) == pytest.approx(1)
    assert distance_correlation(x, np.zeros(800)) == 0
    assert distance_correlation(x, rng.normal(size=800)) < 0.12
    assert distance_correlation(x, x**2) > 0.3  # where the linear correlation vanishes


def test_distance_correlation_of_gaussians(rng):
    """Its closed form for a correlation of 0.5 (Szekely, Rizzo, Bakirov, 2007, theorem 7)."""
    r = 0.5
    x, y = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 2000).T
    top = r * math.asin(r) + math.sqrt(1 - r**2) - r * math.asin(r / 2) - math.sqrt(4 - r**2) + 1
    expected = math.sqrt(top / (1 + math.pi / 3 - math.sqrt(3)))
    assert distance_correlation(x, y) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(
    ("n", "n_template", "sigmas", "verdict"),
    [
        (100, 40, 0.0, "fine"),  # nothing
        (160, 40, 60 / (100 + 100**2 / 40) ** 0.5, "fine"),  # nothing in the sidebands
        (400, 160, 0.0, "look"),  # all of it as wrong as the sidebands
        (250, 60, 100 / (150 + 150**2 / 60) ** 0.5, "fine"),  # a signal, a little in the sidebands
    ],
)
def test_an_excess_beyond_the_sidebands(n, n_template, sigmas, verdict):
    """Of 1000 events, of which 4 % are usual: Poisson has less than the Gaussian sigmas."""
    cut = Cut(0.05, n, Estimate(100.0, 0.0), n_template)
    found = beyond(cut, n_template / 1000, 0.04)
    assert found.value == pytest.approx(sigmas, abs=0.18 * sigmas + 0.1)
    assert found.verdict == verdict
    assert ("may be that of the simulation" in found.words) == (verdict == "look")


def test_sidebands_that_say_nothing():
    for share, usual in ((0.0, 0.04), (0.04, 0.0)):
        found = beyond(Cut(0.05, 20, Estimate(10.0, 1.0), 0), share, usual)
        assert found.verdict == "look"
        assert found.record()["value"] is None
