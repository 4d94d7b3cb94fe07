"""Objects of hand-made events, a slow reading of the tagging rule, then top pairs."""

import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from fivesigma.detector import CMS, respond
from fivesigma.events import Process, generate
from fivesigma.jets import JetDefinition, cluster
from fivesigma.objects import BTag, ObjectDefinition, reconstruct
from fivesigma.tracker import SPECIES

SURE = BTag(b=1.0, c=0.0, light=0.0)
PLAIN = ObjectDefinition(
    jets=JetDefinition(radius=0.4, energy_scale=None),
    fat_jets=JetDefinition(radius=1.2, pt_min=200.0, energy_scale=None),
    b_tag=SURE,
)
NO_TAG = replace(PLAIN, b_tag=None)


def thing(pt, eta=0.0, phi=0.0, kind="charged hadron"):
    row = {"pt": float(pt), "eta": float(eta), "phi": float(phi), "mass": 0.0}
    return row | {"species": SPECIES[kind], "isolated": False}


def alone(kind, pt, eta=0.0, phi=0.0):
    return thing(pt, eta, phi, kind) | {"isolated": True}


def quark(flavour, eta=0.0, phi=0.0, pt=50.0):
    return {"pt": float(pt), "eta": float(eta), "phi": float(phi), "flavour": flavour}


def seen_of(*events):
    array = ak.Array([*events, [thing(1.0)]])[:-1]  # the last one is only there to fix the type
    return ak.with_field(array, ak.values_astype(array.species, np.int8), "species")


def partons_of(*events):
    return ak.Array([*events, [quark(5)]])[:-1]


def leptons_and_jets(event, definition=NO_TAG):
    return reconstruct(seen_of(event), None, definition, seed=1)[0]


def flavours(seen, partons, definition=PLAIN):
    return ak.to_list(reconstruct(seen, partons, definition, seed=1).jets.flavour)


def random_events(n=60, seed=3):
    """Jets, leptons and quarks anywhere; some events have none of them."""
    rng = np.random.default_rng(seed)

    def flat(m):
        return rng.exponential(30.0, m) + 0.5, rng.normal(0, 1.6, m), rng.uniform(-np.pi, np.pi, m)

    counts = rng.integers(0, 30, n)
    counts[::9] = 0
    m = counts.sum()
    kinds = rng.integers(0, 5, m).astype(np.int8)
    free = (rng.random(m) < 0.3) & np.isin(kinds, [1, 3, 4])
    seen = dict(zip(("pt", "eta", "phi"), flat(m), strict=True))
    seen |= {"mass": np.zeros(m), "species": kinds, "isolated": free}
    number = rng.integers(0, 12, n)
    number[5::9] = 0
    k = number.sum()
    partons = dict(zip(("pt", "eta", "phi"), flat(k), strict=True))
    partons["pt"] = rng.exponential(2.0, k)
    partons["flavour"] = rng.choice([1, 4, 5, 21], k, p=[0.3, 0.3, 0.3, 0.1]).astype(np.int32)
    return (
        ak.zip({name: ak.unflatten(x, counts) for name, x in seen.items()}),
        ak.zip({name: ak.unflatten(x, number) for name, x in partons.items()}),
    )


SEEN, PARTONS = random_events()

# Flavours and tags


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


# Top pairs

TOP_PAIRS = Process(
    "top pairs",
    (
        "Beams:idA = 2212",
        "Beams:idB = 2212",
        "Beams:eCM = 14000",
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
    ),
    partons=(4, 5),
)
SMALL_CONE = replace(CMS, isolation=replace(CMS.isolation, radius=0.2))


@pytest.fixture(scope="module")
def top_pairs():
    events = generate(TOP_PAIRS, 300, seed=11)
    seen = respond(events, SMALL_CONE, seed=12)
    return seen, reconstruct(seen, events.partons, ObjectDefinition(), seed=13)


@pytest.mark.slow
def test_leptons_of_top_pairs(top_pairs):
    """A W gives an electron or muon in 0.25 of its decays, 0.04 of them by a tau. It is central and
    above 10 GeV in about 0.85 of these, has a track in 0.95, is identified in 0.92, isolated in
    0.9."""
    found = 0.25 * 0.85 * 0.95 * 0.92 * 0.9
    number = ak.to_numpy(ak.num(top_pairs[1].leptons))
    n = len(number)
    for leptons, share in ((1, 2 * found * (1 - found)), (2, found**2)):
        assert abs(np.mean(number == leptons) - share) < 4 * math.sqrt(share * (1 - share) / n)
    assert number.max() <= 3
    species = ak.flatten(top_pairs[1].leptons.species)
    electrons = ak.mean(species == SPECIES["electron"])
    assert abs(electrons - 0.5) < 4 * math.sqrt(0.25 / len(species))


@pytest.mark.slow
def test_b_jets_of_top_pairs(top_pairs):
    jets = top_pairs[1].jets
    central = jets[np.abs(jets.eta) < 2.5]
    per_event = ak.sum(central.flavour == 5) / len(jets)
    assert 1.5 < per_event < 2.2  # two, less those that are soft, forward, or in one jet
    for flavour, share in ((5, 0.68), (4, 0.12), (0, 0.011)):
        b = ak.flatten(central.b[central.flavour == flavour])
        assert len(b) > 100
        assert abs(ak.mean(b) - share) < 4 * math.sqrt(share * (1 - share) / len(b))
    assert not ak.any(jets.b[np.abs(jets.eta) >= 2.5])


@pytest.mark.slow
def test_sums_of_top_pairs(top_pairs):
    seen, objects = top_pairs
    leptonic = ak.num(objects.leptons) > 0
    with_neutrinos, without = objects.missing.pt[leptonic], objects.missing.pt[~leptonic]
    error = math.hypot(*(ak.std(x) / math.sqrt(len(x)) for x in (with_neutrinos, without)))
    assert ak.mean(with_neutrinos) - ak.mean(without) > 2 * error
    assert 250 < ak.mean(objects.h_t) < 500
    everything = cluster(seen, ObjectDefinition().jets, leading=1000)
    assert ak.all(ak.num(objects.jets) == everything.n_jets)
    assert ak.max(everything.n_jets) > 8


@pytest.mark.slow
def test_fat_jets_of_top_pairs(top_pairs):
    """R = 1.2 holds much of a top quark above 200 GeV, whose mass is an end."""
    fat = top_pairs[1].fat_jets
    assert 0.15 < ak.mean(ak.num(fat)) < 0.8
    mass = ak.to_numpy(ak.flatten(fat.mass))
    assert 80 < np.median(mass) < 190
