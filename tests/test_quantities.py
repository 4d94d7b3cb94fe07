"""Events that can be written down, and symmetries of random ones that pass the cuts."""

import itertools
import math
import re
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from fivesigma.candidates import Candidates, Choice
from fivesigma.quantities import FEATURES, QUANTITIES, measure
from fivesigma.selection import Cut, Selection

R = 1.2
ONE = ((100.0, 0.0, 0.0),)
CUTS = {
    "n_leptons", "h_t", "n_jets_60", "jet1_pt", "n_b_jets_60", "n_fat_jets", "fat_jet_pt",
    "fat_jet_mass", "n_b_outside",
}  # fmt: skip


def particles(constituents):
    return [{"pt": p, "eta": e, "phi": f, "species": 0} for p, e, f in constituents]


def jet(pt, eta=0.0, phi=0.0, mass=0.0, *, b=False, constituents=ONE):
    fields = {"pt": pt, "eta": eta, "phi": phi, "mass": mass, "b": b, "flavour": 0}
    return fields | {"constituents": particles(constituents)}


def event(*, leptons=(), jets=(), fat_jets=(), missing=(0.0, 0.0), h_t=0.0):
    return {
        "leptons": particles(leptons),
        "jets": list(jets),
        "fat_jets": list(fat_jets),
        "missing": dict(zip(("pt", "phi"), missing, strict=True)),
        "h_t": h_t,
    }


def collect(events, dtype=np.float32):
    """An array of events; the types of its fields are those of an event that has all of them."""
    full = event(leptons=[(9.0, 0.0, 0.0)], jets=[jet(9.0)], fat_jets=[jet(9.0)])
    objects = ak.Array([full, *events])[1:]
    return ak.with_field(ak.values_astype(objects, dtype), objects.jets.b, ("jets", "b"))


def observe(names, **objects):
    """Numbers of one event."""
    values = measure(names.split(), collect([event(**objects)], np.float64))
    assert all(x.shape == (1,) and x.dtype == np.float32 for x in values.values())
    return [x[0] for x in values.values()]


def shower(rng, pt, eta, phi, width, size):
    z = rng.dirichlet(np.ones(size))
    x, y = rng.normal(0, width, (2, size))
    return list(zip(pt * z, eta + x, wrapped(phi + y), strict=True))


def wrapped(phi):
    return np.arctan2(np.sin(phi), np.cos(phi))


def passing(n=40, seed=3):
    """Events that pass all cuts. One jet has the tag and lies opposite to the fat jet."""
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(n):
        eta, phi = rng.uniform(-2, 2), rng.uniform(-math.pi, math.pi)
        jets = []
        for k, pt in enumerate(sorted(rng.uniform(130, 900, rng.integers(3, 7)))[::-1]):
            axis = (rng.uniform(-4, 4), wrapped(phi + rng.uniform(1.5, 4.5)))
            inside = shower(rng, pt, *axis, 0.1, rng.integers(1, 20))
            jets.append(jet(pt, *axis, 0.1 * pt, b=k == 0 or rng.random() < 0.2))
            jets[-1]["constituents"] = particles(inside)
        rng.shuffle(tags := [j["b"] for j in jets])
        jets = [j | {"b": bool(b)} for j, b in zip(jets, tags, strict=True)]
        inside = shower(rng, 800, eta, phi, 0.4, rng.integers(1, 40))
        fat = [jet(rng.uniform(510, 1500), eta, phi, rng.uniform(260, 600), constituents=inside)]
        lepton = [(rng.uniform(110, 500), rng.uniform(-2.4, 2.4), rng.uniform(-3.1, 3.1))]
        missing = (rng.uniform(1, 500), rng.uniform(-3.1, 3.1))
        events.append(event(leptons=lepton, jets=jets, fat_jets=fat, missing=missing, h_t=1000.0))
    return events


PASSING = passing()


def table(events, names=FEATURES, dtype=np.float32):
    """Numbers (N, F)."""
    return np.stack(list(measure(names, collect(events, dtype)).values()), axis=1)


def test_names_and_units():
    assert len(FEATURES) == len(set(FEATURES)) == 115
    assert set(QUANTITIES) == {*FEATURES, *CUTS}
    assert {quantity.unit for quantity in QUANTITIES.values()} == {"GeV", "rad", "1"}
    gev = [name for name, quantity in QUANTITIES.items() if quantity.unit == "GeV"]
    assert all(re.match(r"(m|pt|transverse_mass)\(|h_t|.*_(pt|mass)$", name) for name in gev)
    assert [name[:3] for name in FEATURES[:5]] == ["tau"] * 5
    assert all("m" in name.split("(")[0] for name in FEATURES[70:110])
    assert {"m(l,b)", "m(b,J)", "transverse_mass(missing,j3)", "delta_r(l,b)"} <= set(FEATURES)


def test_features_of_events_that_pass_are_numbers():
    values = table(PASSING, tuple(QUANTITIES))
    assert values.shape == (len(PASSING), len(QUANTITIES))
    assert np.isfinite(values).all()
    constant = [name for name in FEATURES if np.ptp(values[:, FEATURES.index(name)]) == 0]
    assert constant == ["h_t"]
    assert table([]).shape == (0, 115)


def mapped(change, objects):
    """A map of every (eta, phi) of an event."""
    if isinstance(objects, list):
        return [mapped(change, x) for x in objects]
    if not isinstance(objects, dict):
        return objects
    angles = dict(zip(("eta", "phi"), change(objects.get("eta"), objects.get("phi")), strict=True))
    return {k: angles[k] if k in angles else mapped(change, x) for k, x in objects.items()}


def turn(angle):
    return lambda eta, phi: (eta, None if phi is None else float(wrapped(phi + angle)))


def reverse(objects):
    if isinstance(objects, list):
        return [reverse(x) for x in objects]
    if not isinstance(objects, dict):
        return objects
    return {k: x[::-1] if k == "constituents" else reverse(x) for k, x in objects.items()}


SAME = {
    "rotation": lambda e: mapped(turn(1.0), e),
    "half a turn": lambda e: mapped(turn(math.pi), e),
    "windings": lambda e: mapped(lambda eta, phi: (eta, phi and phi + 2 * math.pi), e),
    "eta": lambda e: mapped(lambda eta, phi: (eta and -eta, phi), e),
    "phi": lambda e: mapped(lambda eta, phi: (eta, phi and -phi), e),
    "order of constituents": reverse,
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_makes_no_difference(change):
    expected, got = (table(x, dtype=np.float64) for x in (PASSING, change(PASSING)))
    for name, a, b in zip(FEATURES, got.T, expected.T, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6, err_msg=name)


def test_single_precision_is_enough():
    np.testing.assert_allclose(table(PASSING), table(PASSING, dtype=float), rtol=1e-4, atol=1e-5)


def test_each_event_stands_alone():
    together = table(PASSING)
    np.testing.assert_array_equal(table(PASSING[::-3]), together[::-3])
    empty = [event()] * 2
    np.testing.assert_array_equal(table([*empty, *PASSING, *empty])[2:-2], together)


WITHOUT = {
    "l": lambda e: e | {"leptons": [x | {"pt": 99.0} for x in e["leptons"]]},
    "J": lambda e: e | {"fat_jets": [x | {"mass": 249.0} for x in e["fat_jets"]]},
    "b": lambda e: e | {"jets": [x | {"b": False} for x in e["jets"]]},
    "j3": lambda e: e | {"jets": [x | {"b": True} for x in e["jets"][:2]]},
    "j2 j3": lambda e: e | {"jets": [x | {"b": True} for x in e["jets"][:1]]},
    "j1 j2 j3 b": lambda e: e | {"jets": []},
    "l J": lambda e: e | {"leptons": [], "fat_jets": []},
    "l j1 j2 j3 b J": lambda e: event(missing=(10, 1), h_t=e["h_t"]),
}


@pytest.mark.parametrize("names", WITHOUT)
def test_candidates_that_do_not_exist(names):
    """Numbers are NaN if, and only if, they are of one of those; counts never are."""
    values = table([*map(WITHOUT[names], PASSING), *PASSING], tuple(QUANTITIES))
    assert np.isfinite(values[len(PASSING) :]).all()
    for name, x in zip(QUANTITIES, values[: len(PASSING)].T, strict=True):
        of = {"jet1_pt": {"j1"}, "fat_jet_pt": {"J"}, "fat_jet_mass": {"J"}}.get(name, set())
        of |= {"J"} if name.startswith("tau") else set(re.split("[(,)]", name)[1:-1])
        assert np.isnan(x).all() if of & set(names.split()) else np.isfinite(x).all(), name


def test_unknown_name():
    with pytest.raises(ValueError, match=r"expected quantities of \['tau_1.*; got \['m\(t\)'\]"):
        measure(["h_t", "m(t)"], collect(PASSING[:1]))


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
