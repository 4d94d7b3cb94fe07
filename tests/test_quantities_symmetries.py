"""Quantities of random events that pass the cuts: their names, symmetries, and what is absent."""

import math
import re

import numpy as np
import pytest
from handmade_events import collect, event, jet, particles

from fivesigma.quantities import FEATURES, QUANTITIES, measure

CUTS = {
    "n_leptons", "h_t", "n_jets_60", "jet1_pt", "n_b_jets_60", "n_fat_jets", "fat_jet_pt",
    "fat_jet_mass", "n_b_outside",
}  # fmt: skip


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
