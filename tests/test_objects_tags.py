"""Flavours and tags of hand-made events, and a slow reading of the tagging rule."""

import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from handmade_objects import NO_TAG, PARTONS, PLAIN, SEEN, partons_of, quark, seen_of, thing

from fivesigma.objects import BTag, ObjectDefinition, reconstruct


def flavours(seen, partons, definition=PLAIN):
    return ak.to_list(reconstruct(seen, partons, definition, seed=1).jets.flavour)


@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1), (0.6, 0.8)])
@pytest.mark.parametrize(("distance", "flavour"), [(0.0, 5), (0.49, 5), (0.51, 0), (2.0, 0)])
@pytest.mark.parametrize("phi", [0.0, math.pi - 0.1])
def test_a_quark_inside_or_outside_of_the_radius(direction, distance, flavour, phi):
    x, y = distance * direction[0], distance * direction[1]
    near = (phi + y + math.pi) % (2 * math.pi) - math.pi
    seen = seen_of([thing(60, -0.2, phi)])
    partons = partons_of([quark(5, -0.2 + x, near)])
    jets = reconstruct(seen, partons, PLAIN, seed=1).jets
    assert ak.to_list(jets.flavour) == [[flavour]]
    assert ak.to_list(jets.b) == [[flavour == 5]]


@pytest.mark.parametrize(
    ("around", "flavour"),
    [
        ((5, 4), 5), ((4, 5), 5), ((4, 4, 5, 4), 5), ((4,), 4), ((4, 21), 4), ((21, 5), 5),
        ((5, 6), 5), ((21,), 0), ((6,), 0), ((-5, 4), 5), ((-4,), 4), ((), 0),
    ],
)  # fmt: skip
def test_the_heaviest_quark_decides(around, flavour):
    """Up to b: gluons are light, and the top quark is no part of a jet."""
    seen = seen_of([thing(60)])
    assert flavours(seen, partons_of([quark(f, 0.1) for f in around])) == [[flavour]]


def test_a_far_quark_leaves_the_near_one():
    seen = seen_of([thing(60), thing(50, 0.0, 2.0)])
    assert flavours(seen, partons_of([quark(4, 0.1), quark(5, 0.1, 2.1)])) == [[4, 5]]


@pytest.mark.parametrize(
    ("one", "flavour"),
    [
        (quark(5, 2.3, pt=1.01), 5),
        (quark(5, 2.3, pt=0.99), 0),
        (quark(5, 2.49), 5),
        (quark(5, 2.51), 0),
        (quark(5, -2.3), 0),
    ],
)
def test_which_quarks_count(one, flavour):
    assert flavours(seen_of([thing(60, 2.3)]), partons_of([one])) == [[flavour]]


def test_quarks_belong_to_their_event():
    seen = seen_of([thing(60)], [], [thing(60)], [thing(60), thing(50, 0, 2)], [thing(60)])
    partons = partons_of([], [quark(5)], [quark(4)], [quark(5, 0, 2)], [])
    assert flavours(seen, partons) == [[0], [], [4], [0, 5], [0]]


def test_flavours_by_loops():
    """The rule read aloud, for jets and quarks anywhere."""
    definition = replace(PLAIN, b_tag=BTag(radius=0.7))
    objects = reconstruct(SEEN, PARTONS, definition, seed=1)
    found = []
    for jets, partons in zip(ak.to_list(objects.jets), ak.to_list(PARTONS), strict=True):
        for jet in jets:
            flavour = 0
            for p in partons:
                turn = abs(jet["phi"] - p["phi"]) % (2 * math.pi)
                distance = math.hypot(jet["eta"] - p["eta"], min(turn, 2 * math.pi - turn))
                if distance <= 0.7 and p["pt"] > 1 and abs(p["eta"]) <= 2.5 and p["flavour"] <= 5:
                    flavour = max(flavour, p["flavour"])
            assert jet["flavour"] == flavour
            found.append(flavour)
    assert min(found.count(f) for f in (0, 1, 4, 5)) >= 5


@pytest.mark.parametrize(("flavour", "share"), [(5, 0.68), (4, 0.12), (1, 0.011), (21, 0.011)])
def test_efficiencies(flavour, share):
    """20 000 jets of one flavour, within four standard deviations."""
    n, each = 4000, 5
    phi = np.tile(np.linspace(-2.4, 2.4, each), n)
    flat = {"pt": np.full(n * each, 50.0), "eta": np.zeros(n * each), "phi": phi}
    rest = {"mass": np.zeros(n * each), "species": np.zeros(n * each, np.int8)}
    rest |= {"isolated": np.zeros(n * each, bool)}
    counts = np.full(n, each)
    seen = ak.zip({name: ak.unflatten(x, counts) for name, x in (flat | rest).items()})
    quarks = flat | {"flavour": np.full(n * each, flavour)}
    partons = ak.zip({name: ak.unflatten(x, counts) for name, x in quarks.items()})
    b = reconstruct(seen, partons, ObjectDefinition(), seed=7).jets.b
    assert ak.count(b) == 20_000
    spread = math.sqrt(share * (1 - share) / 20_000)
    assert abs(ak.mean(b) - share) < 4 * spread
    for place in range(each):  # of each jet of an event
        assert abs(ak.mean(b[:, place]) - share) < 4 * spread * math.sqrt(each)


def test_tags_are_drawn_by_the_seed():
    half = replace(PLAIN, b_tag=BTag(b=0.5, c=0.5, light=0.5))
    first, again, other = (reconstruct(SEEN, PARTONS, half, seed=s).jets.b for s in (1, 1, 2))
    assert ak.all(first == again)
    assert ak.any(first != other)


def test_what_decides_a_tag():
    """The draw is below the efficiency, which is that of the flavour."""
    jets = reconstruct(SEEN, PARTONS, ObjectDefinition(), seed=1).jets
    assert ak.all(jets.b == (jets.draw < jets.efficiency))
    flavour, eta, eps, u = (
        ak.to_numpy(ak.flatten(jets[name])) for name in ("flavour", "eta", "efficiency", "draw")
    )
    assert (eps == BTag().efficiency(flavour, eta)).all()
    assert set(eps) == {0.0, 0.011, 0.12, 0.68}
    assert 0 <= u.min() < 0.1 < 0.9 < u.max() < 1


@pytest.mark.parametrize(("eta", "tagged"), [(0.0, True), (2.4, True), (-2.4, True), (2.6, False)])
def test_tags_end_with_the_tracker(eta, tagged):
    definition = replace(PLAIN, b_tag=BTag(b=1.0, c=1.0, light=1.0))
    jets = reconstruct(seen_of([thing(60, eta)]), partons_of([quark(5, 2.3)]), definition, seed=1)
    assert ak.to_list(jets.jets.b) == [[tagged]]


def test_medium_working_point():
    """DeepCSV medium of arXiv:1712.07158, Table 2, by flavour and |eta|."""
    share = BTag().efficiency(np.array([5, 4, 0, 1, 5, 0]), np.array([0, -2.4, 1, 1, 2.6, -3]))
    assert share.tolist() == [0.68, 0.12, 0.011, 0.011, 0, 0]


def test_without_tags():
    objects = reconstruct(SEEN, None, NO_TAG, seed=1)
    assert not ak.any(objects.jets.b)
    assert not ak.any(objects.jets.flavour)
    tagged = reconstruct(SEEN, PARTONS, PLAIN, seed=1)
    assert objects.type == tagged.type
    assert ak.all(objects.jets.pt == tagged.jets.pt)
