"""Angles at their boundaries, and masses that can be written down."""

import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivesigma.kinematics import delta_phi, delta_r, dijet_mass

WRAPPED = {
    "none": (0.3, 0.1, 0.2),
    "across pi": (3.0, -3.0, 6.0 - 2 * math.pi),
    "across minus pi": (-3.0, 3.0, 2 * math.pi - 6.0),
    "opposite stays at pi": (math.pi, 0.0, math.pi),
    "minus pi becomes pi": (-math.pi, 0.0, math.pi),
    "full turn": (2 * math.pi, 0.0, 0.0),
    "several turns": (0.5 + 6 * math.pi, 0.0, 0.5),
    "equal": (1.7, 1.7, 0.0),
}
angles = st.floats(-20.0, 20.0)


@pytest.mark.parametrize(("a", "b", "expected"), WRAPPED.values(), ids=WRAPPED.keys())
def test_delta_phi_known(a, b, expected):
    assert delta_phi(a, b) == pytest.approx(expected, abs=1e-14)


@given(angles, angles)
def test_delta_phi_is_the_same_angle_in_range(a, b):
    d = float(delta_phi(a, b))
    assert abs(d) <= math.pi
    assert math.cos(d) == pytest.approx(math.cos(a - b), abs=1e-12)
    assert math.sin(d) == pytest.approx(math.sin(a - b), abs=1e-12)


@given(angles, angles)
def test_delta_phi_is_odd_but_for_the_boundary(a, b):
    d = float(delta_phi(a, b))
    if math.pi - abs(d) > 1e-9:
        assert float(delta_phi(b, a)) == pytest.approx(-d, abs=1e-12)


def test_delta_phi_on_jagged_arrays():
    phi = ak.Array([[3.0, -3.0], [], [1.0]])
    axis = ak.Array([-3.0, 0.0, 0.5])
    expected = [6.0 - 2 * math.pi, 0.0, 0.5]
    assert ak.to_list(ak.num(delta_phi(phi, axis))) == [2, 0, 1]
    assert ak.to_numpy(ak.flatten(delta_phi(phi, axis))) == pytest.approx(expected)


def test_delta_r_known():
    assert delta_r(0.0, 0.0, 0.3, 0.4) == pytest.approx(0.5)
    assert delta_r(1.0, math.pi - 0.2, 1.3, -math.pi + 0.2) == pytest.approx(0.5)
    assert delta_r(-2.0, 1.0, 1.0, 1.0) == pytest.approx(3.0)


def one(pt, eta, phi, mass=(0.0, 0.0)):
    return dijet_mass(*(np.array([x]) for x in (pt, eta, phi, mass)))[0]


@pytest.mark.parametrize("eta", [(0.0, 0.0), (1.0, -1.0), (0.7, 2.0), (-1.9, -1.9)])
def test_back_to_back_massless_jets(eta):
    """m = 2 pt cosh((eta_1 - eta_2) / 2) for equal pt and opposite azimuth."""
    expected = 2 * 800.0 * math.cosh(0.5 * (eta[0] - eta[1]))
    assert one((800.0, 800.0), eta, (2.0, 2.0 - math.pi)) == pytest.approx(expected, rel=1e-12)


def test_massless_jets():
    """m^2 = 2 pt_1 pt_2 (cosh d_eta - cos d_phi)."""
    pt, eta, phi = (1200.0, 300.0), (0.4, -1.1), (0.3, 2.5)
    expected = math.sqrt(2 * 1200.0 * 300.0 * (math.cosh(1.5) - math.cos(2.2)))
    assert one(pt, eta, phi) == pytest.approx(expected, rel=1e-12)


def test_massive_jets():
    at_rest = one((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (30.0, 12.0))
    assert at_rest == pytest.approx(42.0, rel=1e-12)
    together = one((50.0, 100.0), (0.5, 0.5), (1.0, 1.0), (10.0, 20.0))
    assert together == pytest.approx(30.0, rel=1e-9)  # same velocity
    opposite = one((40.0, 40.0), (0.0, 0.0), (0.0, math.pi), (30.0, 9.0))
    assert opposite == pytest.approx(50.0 + 41.0, rel=1e-12)


def test_mass_does_not_change_under_rotations_and_boosts():
    rng = np.random.default_rng(1)
    pt, mass = rng.uniform(20, 2000, (100, 2)), rng.uniform(0, 200, (100, 2))
    eta, phi = rng.uniform(-2, 2, (100, 2)), rng.uniform(-np.pi, np.pi, (100, 2))
    reference = dijet_mass(pt, eta, phi, mass)
    assert dijet_mass(pt, eta, phi + 2.3, mass) == pytest.approx(reference, rel=1e-9)
    pz, e = pt * np.sinh(eta), np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    boosted = np.arcsinh((np.cosh(0.8) * pz + np.sinh(0.8) * e) / pt)
    assert dijet_mass(pt, boosted, phi, mass) == pytest.approx(reference, rel=1e-9)


def test_collinear_massless_jets_have_no_mass():
    """Rounding must not make the square negative."""
    rng = np.random.default_rng(1)
    pt, eta, phi = (
        rng.uniform(1, 3000, (1000, 2)),
        rng.uniform(-4, 4, 1000),
        rng.uniform(-3, 3, 1000),
    )
    mass = dijet_mass(pt, np.stack([eta, eta], 1), np.stack([phi, phi], 1), np.zeros((1000, 2)))
    assert np.all(mass >= 0)
    assert mass.max() < 0.01


def test_precision_of_single_precision_input():
    pt, eta, phi = (np.array([x], np.float32) for x in ((3000, 2900), (0.1, 0.2), (0, 3.1)))
    expected = math.sqrt(2 * 3000 * 2900 * (math.cosh(0.1) - math.cos(3.1)))
    assert dijet_mass(pt, eta, phi, np.zeros((1, 2), np.float32))[0] == pytest.approx(
        expected, rel=2e-7
    )
