"""Quantities of events that can be written down."""

import itertools
import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from handmade_events import ONE, collect, event, jet

from fivesigma.candidates import Candidates, Choice
from fivesigma.quantities import FEATURES, measure
from fivesigma.selection import Cut, Selection

R = 1.2


def observe(names, **objects):
    """Numbers of one event."""
    values = measure(names.split(), collect([event(**objects)], np.float64))
    assert all(x.shape == (1,) and x.dtype == np.float32 for x in values.values())
    return [x[0] for x in values.values()]


def test_counts():
    jets = [jet(70, 0.5, b=True), jet(61, 0, 3.0, b=True), jet(61, 0, -3), jet(60, 0, 2.9, b=True)]
    objects = {
        "leptons": [(200, 2.6, 0), (101, -2.4, 0), (100, 0, 0)],
        "jets": jets,
        "fat_jets": [jet(900, mass=250), jet(501, mass=251), jet(500, mass=300)],
        "h_t": 950,
    }
    counts = observe("n_leptons n_jets_60 n_b_jets_60 n_fat_jets n_b_outside h_t", **objects)
    assert counts == [1, 3, 2, 1, 1, 950]
    assert observe("pt(l) jet1_pt pt(b) fat_jet_pt fat_jet_mass", **objects) == pytest.approx(
        [101, 70, 61, 501, 251]
    )
    assert observe("n_leptons n_jets_60 n_b_jets_60 n_fat_jets n_b_outside") == [0] * 5
    wide = replace(Choice(), jet_pt=50, distance=2.95, lepton_eta=3)
    candidates = Candidates(collect([event(**objects)]), wide)
    assert candidates.pt("l") == 200
    assert candidates.number("hard") == 4
    assert candidates.number("outside") == 1


def test_choice_of_the_b_jet():
    near, far, soft = jet(90, 0.5, b=True), jet(80, 1.3, b=True), jet(59, 3, b=True)
    J = [jet(600, 0, 0, 300)]
    assert observe("pt(b) n_b_outside", jets=[near, far, soft], fat_jets=J) == [80, 1]
    assert observe("pt(b) n_b_outside", jets=[near, soft], fat_jets=J) == [90, 0]
    assert observe("pt(b) n_b_outside", jets=[near, far, soft]) == [90, 0]
    assert np.isnan(observe("pt(b)", jets=[soft], fat_jets=J)[0])


def test_back_to_back():
    two = {"jets": [jet(100), jet(100, 0, math.pi)]}
    names = "m(j1) m(j1,j2) delta_r(j1,j2) delta_phi(j1,j2)"
    assert observe(names, **two) == pytest.approx([0, 200, math.pi, math.pi])
    w = {"leptons": [(120, 1.7, -0.2)], "missing": (80, math.pi - 0.2)}
    names = "transverse_mass(missing,l) delta_phi(missing,l)"
    assert observe(names, **w) == pytest.approx([2 * math.sqrt(120 * 80), math.pi])


def test_masses_by_hand():
    """m^2 = 2 pt pt' (cosh eta - cos phi) of two without mass; squares add up."""
    axes = {"l": (150, -0.3, 2), "j1": (300, 0.5, 3), "j2": (200, -1, -3), "J": (700, 1.5, 0.2)}
    square = {
        (a, b): 2 * p * q * (math.cosh(x - u) - math.cos(y - v))
        for (a, (p, x, y)), (b, (q, u, v)) in itertools.combinations(axes.items(), 2)
    }
    objects = {
        "leptons": [axes["l"]],
        "jets": [jet(*axes["j1"]), jet(*axes["j2"])],
        "fat_jets": [jet(*axes["J"], 400)],
    }
    fat = math.sqrt(400**2 + (700 * math.cosh(1.5)) ** 2)  # its energy
    heavy = 400**2 + 2 * 300 * (fat * math.cosh(0.5) - 700 * math.sinh(1.5) * math.sinh(0.5))
    heavy -= 2 * 300 * 700 * math.cos(2.8)
    names = "m(l,j1) m(l,j2) m(j1,j2) m(j1,J) m(J)"
    expected = [math.sqrt(square[pair]) for pair in (("l", "j1"), ("l", "j2"), ("j1", "j2"))]
    assert observe(names, **objects) == pytest.approx([*expected, math.sqrt(heavy), 400])
    ones = [jet(100, 0, 2 * math.pi * k / 3) for k in range(3)]
    assert observe("m(j1,j2,j3)", jets=ones) == pytest.approx([300])


def test_transverse_masses_by_hand():
    """A jet of mass 30 and pt 40 has the transverse energy 50; pz does not count."""
    objects = {"jets": [jet(40, 1.3, 0.5, 30)], "missing": (70, 0.5 + math.pi / 2)}
    expected = math.sqrt(120**2 - 40**2 - 70**2)
    assert observe("transverse_mass(missing,j1)", **objects) == pytest.approx([expected])
    pair = {"leptons": [(110, 0, 0)], "jets": [jet(110, 0, math.pi)], "missing": (50, 1)}
    assert observe("transverse_mass(missing,l,j1)", **pair) == pytest.approx(
        [math.sqrt((220 + 50) ** 2 - 50**2)]
    )


def test_a_jet_of_two_names_enters_once():
    jets = [jet(200, 0, 0, 20), jet(150, 0.4, 2.5, 15, b=True), jet(70, -1, -2, 8, b=True)]
    objects = {"leptons": [(110, 0, 1)], "jets": jets, "missing": (90, -1)}
    same = {
        "m(j2,b)": "m(b)", "m(j1,b)": "m(j1,j2)", "m(j1,j2,b)": "m(j1,j2)",
        "m(j1,j3,b)": "m(j1,j2,j3)", "m(l,b)": "m(l,j2)", "girth(b)": "girth(j2)",
        "transverse_mass(missing,l,b)": "transverse_mass(missing,l,j2)",
    }  # fmt: skip
    for name, other in same.items():
        assert observe(name, **objects) == observe(other, **objects), name
    assert observe("delta_r(j2,b) delta_phi(j2,b)", **objects) == [0, 0]
    fourth = [jet(90), jet(80), jet(75), jet(65, 0, math.pi, b=True)]
    assert observe("m(j3,b)", jets=fourth) == pytest.approx([2 * math.sqrt(75 * 65)])


def test_wrapped_angles():
    jets = [jet(100, 0.3, 3.1), jet(90, 0, -3.1)]
    gap = 2 * math.pi - 6.2
    names = "delta_phi(j1,j2) delta_r(j1,j2) delta_phi(missing,j2)"
    expected = [gap, math.hypot(0.3, gap), gap]
    assert observe(names, jets=jets, missing=(50, 3.1)) == pytest.approx(expected)


MOMENTS = "girth(j1) variance(j1) skewness(j1) kurtosis(j1) multiplicity(j1)"


def test_moments_of_two_constituents():
    """With the shares 3/4 and 1/4 at 0.1 and 0.3, across the cut of the azimuth."""
    two = [(30, 1.0, math.pi - 0.1), (10, 1.3, math.pi)]
    p = 1 / 4
    skewness, kurtosis = (1 - 2 * p) / math.sqrt(p * (1 - p)), 1 / (p * (1 - p)) - 3
    got = observe(MOMENTS, jets=[jet(100, 1.0, -math.pi, 10, constituents=two)])
    assert got == pytest.approx([0.15, 0.0075, skewness, kurtosis, 2])


@pytest.mark.parametrize("size", [0, 1, 2])
def test_moments_without_a_spread(size):
    constituents = [(10, 0.3, 0.4), (20, -0.3, 0.4)][:size]
    girth = 0.5 if size else 0
    got = observe(MOMENTS, jets=[jet(100, constituents=constituents)])
    assert got == pytest.approx([girth, 0, 0, 0, size])


TAU = [name for name in FEATURES if name.startswith("tau")]


def fat(constituents):
    return {"fat_jets": [jet(600, 0, 0.2, 300, constituents=constituents)]}


def test_subjettiness_of_few():
    two = observe(" ".join(TAU), **fat([(20, 0, math.pi), (10, 0.3, 0.4 - math.pi)]))
    assert dict(zip(TAU, two, strict=True)) == pytest.approx(
        dict.fromkeys(TAU, 0) | {"tau_1(beta=1)": 0.5 / R / 3}
    )
    assert observe(" ".join(TAU), **fat(ONE)) == observe(" ".join(TAU), **fat([])) == [0] * 5


@pytest.mark.parametrize("beta", [1, 2])
def test_subjettiness_of_four_on_a_line(beta):
    """1 joins 3, then 2 joins 5, and the axes stay with the harder ones, at 0.5 and 0."""
    line = fat([(5, 0, 0.2), (3, 0.5, 0.2), (1, 0.6, 0.2), (2, -0.3, 0.2)])
    one, two, three = (
        sum(p * d**beta for p, d in terms)
        for terms in ([(3, 0.5), (1, 0.6), (2, 0.3)], [(1, 0.1), (2, 0.3)], [(1, 0.1)])
    )
    names = f"tau_21(beta={beta}) tau_32(beta={beta})"
    assert observe(names, **line) == pytest.approx([two / one, three / two], rel=1e-5)
    if beta == 1:
        assert observe("tau_1(beta=1)", **line) == pytest.approx([one / 11 / R], rel=1e-5)


def test_a_selection_that_keeps_quantities():
    """One lepton and a hard enough sum; of what passes two numbers are left."""
    lepton = (150.0, 0.0, 0.0)
    events = collect(
        [
            event(leptons=[lepton], h_t=1000.0, missing=(50.0, 0.0)),
            event(leptons=[lepton], h_t=800.0),
            event(h_t=2000.0),
            event(leptons=[lepton], h_t=1500.0, missing=(70.0, 0.0)),
        ]
    )
    one = Cut("one lepton", "n_leptons", ((1.0, 2.0),))
    hard = Cut("h_t > 900 GeV", "h_t", ((900.0, math.inf),))
    selected = Selection((one, hard), (), ("h_t", "pt(missing)"))(events)
    assert [row.count for row in selected.cutflow] == [4, 3, 2]
    assert selected.mask.tolist() == [True, False, False, True]
    assert ak.to_list(selected.events) == [
        {"h_t": 1000.0, "pt(missing)": 50.0},
        {"h_t": 1500.0, "pt(missing)": 70.0},
    ]
    assert str(selected.events.type) == "2 * {h_t: float32, pt(missing): float32}".replace(
        "pt(missing)", '"pt(missing)"'
    )
    with pytest.raises(ValueError, match=r"expected cuts on \[.*'n_leptons'.*got \['m_jj'\]"):
        Selection((Cut("dijet", "m_jj", ((0.0, 1.0),)),), (), ("h_t",))(events)
