"""Jets, sums and leptons of hand-made events, their order, and what is refused."""

import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from handmade_objects import NO_TAG, PARTONS, PLAIN, SEEN, partons_of, quark, seen_of, thing

from fivesigma.objects import BTag, ObjectDefinition, reconstruct
from fivesigma.tracker import SPECIES


def alone(kind, pt, eta=0.0, phi=0.0):
    return thing(pt, eta, phi, kind) | {"isolated": True}


def leptons_and_jets(event, definition=NO_TAG):
    return reconstruct(seen_of(event), None, definition, seed=1)[0]


# Jets and sums


def test_h_t_sums_all_jets():
    event = [thing(21, 0, -2), thing(90), thing(60, 0, 2), thing(25, 2, 1), thing(19, -2, 0)]
    objects = leptons_and_jets([*event, alone("muon", 200, 0, 1), alone("photon", 40, -1, -1)])
    assert objects.h_t == pytest.approx(90 + 60 + 25 + 21)
    assert objects.jets.pt.to_list() == pytest.approx([90, 60, 25, 21])


def test_h_t_is_that_of_the_threshold():
    higher = replace(NO_TAG, jets=replace(NO_TAG.jets, pt_min=50.0))
    event = [thing(90), thing(60, 0, 2), thing(25, 2, 1)]
    assert leptons_and_jets(event, higher).h_t == pytest.approx(150)


def test_many_jets():
    """Twelve in a ring, none cut off."""
    event = [thing(30 + i, 0, 0.5 * i - 3) for i in range(12)]
    objects = leptons_and_jets(event)
    assert objects.jets.pt.to_list() == pytest.approx([41 - i for i in range(12)])
    assert objects.h_t == pytest.approx(sum(range(30, 42)))


@pytest.mark.parametrize(
    ("event", "pt", "phi"),
    [
        ([thing(30), thing(40, 1.5, math.pi / 2)], 50, math.atan2(-40, -30)),
        ([thing(3, -4), thing(4, 1.5, math.pi / 2)], 5, math.atan2(-4, -3)),
        ([alone("muon", 30), thing(40, 2, -math.pi / 2)], 50, math.atan2(40, -30)),
        ([thing(10, 0, math.pi)], 10, 0),
        ([thing(30, 2, 1), thing(30, -1, 1), thing(70, 0, 1 - math.pi)], 10, 1),
        ([], 0, 0),
    ],
    ids=["jets", "soft objects", "isolated objects", "one", "in one line", "nothing"],
)
def test_missing_momentum(event, pt, phi):
    missing = leptons_and_jets(event).missing
    assert (missing.pt, missing.phi) == pytest.approx((pt, phi), abs=1e-9)


def test_no_missing_momentum():
    event = [thing(30, 1), thing(30, 2, 2 * math.pi / 3), thing(30, -1, -2 * math.pi / 3)]
    assert leptons_and_jets(event).missing.pt == pytest.approx(0, abs=1e-12)


def test_fat_jets():
    """Two small jets within one fat jet, and one that is too soft to be one."""
    event = [thing(150, 0.5), thing(100, -0.5), thing(190, 0, math.pi)]
    objects = leptons_and_jets(event)
    assert objects.jets.pt.to_list() == pytest.approx([190, 150, 100])
    assert objects.fat_jets.pt.to_list() == pytest.approx([250])
    mass = math.sqrt(2 * 150 * 100 * (math.cosh(1.0) - 1))
    assert objects.fat_jets.mass.to_list() == pytest.approx([mass], rel=1e-4)
    assert ak.to_list(objects.fat_jets.constituents.pt) == [[150, 100]]


def test_jets_are_the_sums_of_their_constituents():
    objects = reconstruct(SEEN, PARTONS, replace(PLAIN, fat_jets=PLAIN.jets), seed=1)
    for jets in (objects.jets, objects.fat_jets):
        c = jets.constituents
        x, y = (ak.sum(c.pt * f(c.phi), axis=2) for f in (np.cos, np.sin))
        assert ak.all(np.abs(np.hypot(x, y) / jets.pt - 1) < 1e-5)
        assert ak.count(jets.pt) > 100


def test_the_default_definition():
    """Energy scale on small jets only, and the thresholds."""
    event = [thing(300), thing(100, 0, 2), thing(22, 1.5, -2)]
    objects = reconstruct(seen_of(event), partons_of([]), ObjectDefinition(), seed=1)[0]
    scale = [math.sqrt(2.5**2 / 300 + 1), math.sqrt(2.5**2 / 100 + 1)]
    last = math.sqrt((2.5 - 0.15 * 1.5) ** 2 / 22 + 1)
    expected = [300 * scale[0], 100 * scale[1], 22 * last]
    assert objects.jets.pt.to_list() == pytest.approx(expected, rel=1e-6)
    assert objects.fat_jets.pt.to_list() == pytest.approx([300])
    assert objects.h_t == pytest.approx(sum(expected), rel=1e-6)


# Leptons


def test_leptons_are_isolated_electrons_and_muons():
    event = [alone("photon", 90, 0, 0), alone("electron", 50, 1, 1), thing(80, 0, 2, "muon")]
    objects = leptons_and_jets([*event, alone("muon", 70, -1, -2), alone("electron", 60, 2, 3)])
    assert ak.to_list(objects.leptons) == [
        {"pt": 70, "eta": -1, "phi": -2, "species": SPECIES["muon"]},
        {"pt": 60, "eta": 2, "phi": 3, "species": SPECIES["electron"]},
        {"pt": 50, "eta": 1, "phi": 1, "species": SPECIES["electron"]},
    ]


@pytest.mark.parametrize(
    ("pt", "eta", "number"),
    [(11, 0, 1), (9, 0, 0), (50, 2.4, 1), (50, -2.4, 1), (50, 2.6, 0), (50, -2.6, 0)],
)
def test_which_leptons_count(pt, eta, number):
    assert len(leptons_and_jets([alone("electron", pt, eta)]).leptons) == number


def test_thresholds_of_leptons():
    strict = replace(NO_TAG, lepton_pt_min=100.0, lepton_eta_max=1.0)
    event = [alone("muon", 110), alone("muon", 90, 0, 2), alone("electron", 200, 1.5)]
    assert leptons_and_jets(event, strict).leptons.pt.to_list() == [110]


@pytest.mark.parametrize("kind", ["photon", "electron", "muon"])
def test_isolated_objects_are_not_in_jets(kind):
    event = [alone(kind, 240), thing(8, 0.1), thing(250, 0, 2), thing(30, 0.5)]
    objects = leptons_and_jets(event)
    assert objects.jets.pt.to_list() == pytest.approx([250, 30])
    assert objects.fat_jets.pt.to_list() == pytest.approx([278, 250], rel=1e-2)  # all in these
    assert objects.h_t == pytest.approx(280)
    buried = leptons_and_jets([event[0] | {"isolated": False}, *event[1:]])
    assert buried.jets.pt.to_list() == pytest.approx([250, 248, 30], rel=1e-3)
    assert len(buried.leptons) == 0


@pytest.mark.parametrize("veto", [(), ("muon",), ("electron", "muon"), ("photon",)])
@pytest.mark.parametrize("kind", ["photon", "electron", "muon"])
def test_the_veto_of_fat_jets(veto, kind):
    definition = replace(NO_TAG, fat_jet_veto=veto)
    objects = leptons_and_jets([alone(kind, 50), thing(250, 0.8), thing(210, 0, 3)], definition)
    assert len(objects.fat_jets) == (1 if kind in veto else 2)
    assert objects.jets.pt.to_list() == pytest.approx([250, 210])  # whatever the veto


# Order, and nothing


def test_all_falls_in_transverse_momentum():
    low = replace(PLAIN, fat_jets=replace(PLAIN.fat_jets, pt_min=30.0), lepton_pt_min=0.0)
    objects = reconstruct(SEEN, PARTONS, low, seed=1)
    for pt in (objects.leptons.pt, objects.jets.pt, objects.fat_jets.pt):
        assert ak.sum(ak.num(pt) > 1) > 10
        assert ak.all(pt[:, 1:] <= pt[:, :-1])
    for jets in (objects.jets, objects.fat_jets):
        pt = jets.constituents.pt
        assert ak.sum(ak.num(pt, axis=2) > 1) > 10
        assert ak.all(pt[:, :, 1:] <= pt[:, :, :-1])


def test_the_order_of_particles_and_partons_is_irrelevant():
    plain = reconstruct(SEEN, PARTONS, PLAIN, seed=1)
    turned = reconstruct(SEEN[:, ::-1], PARTONS[:, ::-1], PLAIN, seed=1)
    assert ak.almost_equal(plain, turned, rtol=1e-5, atol=1e-5)


def test_views_and_the_arguments():
    before = ak.to_list(SEEN), ak.to_list(PARTONS)
    mask = np.arange(len(SEEN)) % 3 > 0
    one, other = (
        ak.without_field(objects, ("jets", "draw"))  # of which sure tags do not depend
        for objects in (
            reconstruct(SEEN, PARTONS, PLAIN, seed=1)[mask],
            reconstruct(SEEN[mask], PARTONS[mask], PLAIN, seed=1),
        )
    )
    assert ak.almost_equal(one, other)
    assert (ak.to_list(SEEN), ak.to_list(PARTONS)) == before


def test_empty_events():
    seen = seen_of([], [thing(50), thing(5, 0, 2)], [], [alone("muon", 30)])
    objects = reconstruct(seen, partons_of([quark(5)], [], [], []), PLAIN, seed=1)
    assert ak.to_list(ak.num(objects.jets.pt)) == [0, 1, 0, 0]
    assert ak.to_list(ak.num(objects.fat_jets.pt)) == [0, 0, 0, 0]
    assert ak.to_list(ak.num(objects.leptons.pt)) == [0, 0, 0, 1]
    assert ak.to_list(objects.h_t) == [0, 50, 0, 0]
    assert ak.to_list(objects.missing.pt)[::2] == [0, 0]
    assert ak.to_list(objects.missing.phi)[::2] == [0, 0]


@pytest.mark.parametrize("n", [0, 3])
@pytest.mark.parametrize("definition", [PLAIN, NO_TAG], ids=["tags", "no tags"])
def test_nothing_seen(n, definition):
    seen = seen_of(*[[]] * n) if n else SEEN[:0]
    partons = partons_of(*[[]] * n) if n else PARTONS[:0]
    objects = reconstruct(seen, partons, definition, seed=1)
    assert len(objects) == n
    assert objects.type.content == reconstruct(SEEN, PARTONS, PLAIN, seed=1).type.content
    assert ak.to_list(objects.h_t) == [0] * n


# Errors


def test_tags_need_partons():
    with pytest.raises(ValueError, match=r"^expected partons for b tags.*\(4, 5\).*; got None$"):
        reconstruct(SEEN, None, PLAIN, seed=1)


@pytest.mark.parametrize("definition", [PLAIN, NO_TAG], ids=["tags", "no tags"])
def test_partons_are_of_the_same_events(definition):
    with pytest.raises(ValueError, match=r"^expected partons of 60 events; got 59$"):
        reconstruct(SEEN, PARTONS[1:], definition, seed=1)


def test_unknown_veto():
    with pytest.raises(ValueError, match=r"^expected a veto on species of .*; got \['tau'\]$"):
        reconstruct(SEEN, None, replace(NO_TAG, fat_jet_veto=("muon", "tau")), seed=1)


@pytest.mark.parametrize("name", ["b", "c", "light"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_efficiencies_are_probabilities(name, value):
    with pytest.raises(ValueError, match=rf"^expected a probability {name} within \[0, 1\]; got "):
        BTag(**{name: value})
