"""Clustering against FastJet's classic interface, and jets that can be written down."""

import math
from dataclasses import replace

import awkward as ak
import fastjet
import numpy as np
import pytest

from fivesigma.jets import ALGORITHMS, JetDefinition, cluster, substructure

PLAIN = JetDefinition(energy_scale=None)
FIELDS = ("pt", "eta", "phi", "mass")


def random_objects(n=30, seed=1):
    """Events of 0 to 80 objects around a few directions; some events are empty."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 80, n)
    counts[[0, n // 2]] = 0
    m = counts.sum()
    axes = rng.uniform((-2, -np.pi), (2, np.pi), (n, 3, 2))
    axis = axes[np.repeat(np.arange(n), counts), rng.integers(0, 3, m)]
    flat = {
        "pt": rng.exponential(20.0, m) + 0.5,
        "eta": axis[:, 0] + 0.4 * rng.standard_normal(m),
        "phi": np.remainder(axis[:, 1] + 0.4 * rng.standard_normal(m) + np.pi, 2 * np.pi) - np.pi,
        "mass": rng.choice([0.0, 0.14, 0.94], m),
        "species": rng.integers(0, 3, m).astype(np.int8),
        "isolated": np.zeros(m, bool),
    }
    return ak.zip({name: ak.unflatten(x, counts) for name, x in flat.items()})


def objects_of(*events):
    """From lists of (pt, eta, phi) or (pt, eta, phi, mass, species, isolated)."""
    names = ("pt", "eta", "phi", "mass", "species", "isolated")
    rest = (0.0, 0, False)
    filled = [[dict(zip(names, (*p, *rest[len(p) - 3 :]), strict=True)) for p in e] for e in events]
    array = ak.Array([*filled, [dict(zip(names, (1.0, 0.0, 0.0, *rest), strict=True))]])
    return array[:-1]  # the last one is only there to fix the type


def classic(event, definition):
    """[(pt, eta, phi, mass, sorted pt of the constituents)] in falling pt."""
    particles = []
    for p in event:
        px, py, pz = (
            p["pt"] * math.cos(p["phi"]),
            p["pt"] * math.sin(p["phi"]),
            p["pt"] * math.sinh(p["eta"]),
        )
        energy = math.sqrt(px**2 + py**2 + pz**2 + p["mass"] ** 2)
        particles.append(fastjet.PseudoJet(px, py, pz, energy))
    rule = fastjet.JetDefinition(ALGORITHMS[definition.algorithm], definition.radius)
    sequence = fastjet.ClusterSequence(particles, rule)
    return [
        (j.pt(), j.eta(), j.phi_std(), j.m(), sorted(c.pt() for c in j.constituents()))
        for j in fastjet.sorted_by_pt(sequence.inclusive_jets(definition.pt_min))
    ]


def agree(objects, definition=PLAIN, leading=2):
    got = cluster(objects, definition, leading=leading)
    events = ak.to_list(objects)
    assert len(got) == len(events)
    found = 0
    for jets, n_jets, event in zip(
        ak.to_list(got.jets), ak.to_list(got.n_jets), events, strict=True
    ):
        expected = classic(event, definition) if event else []
        assert n_jets == len(expected)
        assert len(jets) == min(len(expected), leading)
        for jet, (pt, eta, phi, mass, constituents) in zip(jets, expected, strict=False):
            assert jet["pt"] == pytest.approx(pt, rel=1e-6)
            assert (jet["eta"], jet["phi"]) == pytest.approx((eta, phi), abs=1e-6)
            assert jet["mass"] == pytest.approx(mass, abs=1e-4 * pt)
            assert sorted(c["pt"] for c in jet["constituents"]) == pytest.approx(constituents)
            found += 1
    return found


OBJECTS = random_objects()
VIEWS = {
    "as made": OBJECTS,
    "every second event": OBJECTS[::2],
    "middle": OBJECTS[7:19],
    "masked": OBJECTS[np.arange(30) % 3 > 0],
    "events reversed": OBJECTS[::-1],
    "events picked twice": OBJECTS[[5, 3, 5, 28]],
    "objects reversed": OBJECTS[:, ::-1],
    "objects sorted": OBJECTS[ak.argsort(OBJECTS.pt, axis=1)],
    "objects masked": OBJECTS[OBJECTS.pt > 5.0],
    "every second object": OBJECTS[:, ::2],
    "both": OBJECTS[OBJECTS.pt > 5.0][::3][:, ::-1],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_views_of_arrays_are_clustered_as_they_look(view):
    assert agree(view) >= len(view)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("radius", [0.4, 0.8])
def test_definitions(algorithm, radius):
    assert agree(OBJECTS, replace(PLAIN, algorithm=algorithm, radius=radius, pt_min=10.0), 3) > 60


def test_algorithms_differ():
    masses = [ak.sum(cluster(OBJECTS, replace(PLAIN, algorithm=a)).jets.mass) for a in ALGORITHMS]
    assert len(set(masses)) == 3


def test_single_precision():
    single = ak.values_astype(OBJECTS[["pt", "eta", "phi", "mass"]], np.float32)
    rest = {name: OBJECTS[name] for name in ("species", "isolated")}
    jets = cluster(ak.zip({n: single[n] for n in single.fields} | rest), PLAIN).jets
    assert ak.all(np.abs(jets.pt / cluster(OBJECTS, PLAIN).jets.pt - 1) < 1e-5)


def test_one_object_is_its_own_jet():
    jets = cluster(objects_of([(100.0, 1.2, 3.0, 0.9, 2, False)]), PLAIN).jets[0]
    assert ak.to_list(jets[list(FIELDS)]) == [
        pytest.approx({"pt": 100.0, "eta": 1.2, "phi": 3.0, "mass": 0.9}, rel=1e-4)
    ]
    assert ak.to_list(jets.constituents) == [
        [pytest.approx({"pt": 100.0, "eta": 1.2, "phi": 3.0, "species": 2})]
    ]


def test_jets_are_sorted_and_counted():
    objects = objects_of([(30, 0, 0), (90, 0, 2), (19, 0, -2), (60, 2, -2), (25, -2, 1)])
    clustered = cluster(objects, PLAIN)
    assert ak.to_list(clustered.n_jets) == [4]  # 19 GeV is too soft
    assert ak.to_list(clustered.jets.pt) == [[90, 60]]
    assert ak.to_list(cluster(objects, PLAIN, leading=9).jets.pt) == [[90, 60, 30, 25]]
    assert ak.to_list(cluster(objects, replace(PLAIN, pt_min=28.0)).n_jets) == [3]


def test_few_jets_and_empty_events():
    objects = objects_of([(50, 0, 0), (40, 0, 2)], [], [(50, 0, 0)], [(5, 0, 0)], [(70, 0, 1)])
    clustered = cluster(objects, PLAIN)
    assert ak.to_list(clustered.n_jets) == [2, 0, 1, 0, 1]
    assert ak.to_list(clustered.jets.pt) == [[50, 40], [], [50], [], [70]]
    assert ak.to_list(ak.num(clustered.jets.constituents, axis=2)) == [[1, 1], [], [1], [], [1]]


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_to_cluster(n):
    objects = objects_of(*[[]] * n) if n else objects_of([])[:0]
    clustered = cluster(objects, JetDefinition())
    assert len(clustered) == n
    assert ak.to_list(clustered.n_jets) == [0] * n
    assert ak.to_list(clustered.jets.pt) == [[]] * n


def test_the_boundary_in_azimuth():
    """Two objects on both sides of pi are one jet there."""
    jet = cluster(objects_of([(50, 0, math.pi - 0.1), (50, 0, -math.pi + 0.1)]), PLAIN).jets[0, 0]
    assert abs(jet.phi) == pytest.approx(math.pi, abs=1e-6)
    assert len(jet.constituents) == 2
    assert jet.mass == pytest.approx(50 * math.sqrt(2 * (1 - math.cos(0.2))), rel=1e-4)


def test_jets_with_an_isolated_object_are_left_out():
    lone = (200.0, 0.0, 0.0, 0.0, 1, True)
    others = [(90, 0, 2), (5, 0, 2.1), (60, 0, -2), (40, 1.9, 0.1)]
    clustered = cluster(objects_of([lone, (8, 0, 0.2), *others], others), PLAIN)
    assert ak.to_list(clustered.n_jets) == [3, 3]
    assert ak.almost_equal(clustered[:1], clustered[1:])


def test_energy_scale():
    """sqrt((2.5 - 0.15 |eta|)^2 / pt + 1) on the four-momentum, and not on constituents."""
    objects = objects_of([(1000.0, 0.0, 0.0, 50.0, 0, False), (400.0, -2.0, 2.0, 30.0, 0, False)])
    jets = cluster(objects, JetDefinition()).jets[0]
    factor = np.array([math.sqrt(2.5**2 / 1000 + 1), math.sqrt(2.2**2 / 400 + 1)])
    assert factor == pytest.approx([1.00312, 1.00603], abs=1e-5)
    assert jets.pt.to_list() == pytest.approx([1000.0, 400.0] * factor, rel=1e-6)
    assert jets.mass.to_list() == pytest.approx([50.0, 30.0] * factor, rel=1e-4)
    assert jets.eta.to_list() == pytest.approx([0.0, -2.0], abs=1e-6)
    assert ak.to_list(jets.constituents.pt) == [[1000.0], [400.0]]


def test_the_energy_scale_comes_after_the_threshold():
    objects = objects_of([(19.9, 0, 0), (20.1, 0, 2)])
    assert ak.to_list(cluster(objects, JetDefinition()).n_jets) == [1]


BAD = {
    "algorithm": ({"algorithm": "antikt"}, r"expected an algorithm of .*'anti-kt'.*; got 'antikt'"),
    "algorithms": ({"algorithm": ["kt"]}, r"expected an algorithm of .*; got \['kt'\]"),
    "no radius": ({"radius": 0}, "expected a finite radius > 0; got 0"),
    "infinite radius": ({"radius": math.inf}, "expected a finite radius > 0; got inf"),
    "text": ({"radius": "wide"}, "expected a finite radius > 0; got 'wide'"),
    "pt_min": ({"pt_min": -1.0}, "expected a finite pt_min >= 0; got -1.0"),
    "NaN": ({"pt_min": math.nan}, "expected a finite pt_min >= 0; got nan"),
    "scale": ({"energy_scale": 2.5}, "expected an energy_scale of two numbers, or none; got 2.5"),
}


@pytest.mark.parametrize(("fields", "message"), BAD.values(), ids=BAD.keys())
def test_bad_definitions(fields, message):
    with pytest.raises(ValueError, match=message):
        JetDefinition(**fields)


# Substructure


def jet_of(*constituents, eta=0.0, phi=0.0):
    c = [{"pt": pt, "eta": eta + x, "phi": phi + y} for pt, x, y in constituents]
    return ak.Array([{"pt": 1.0, "eta": eta, "phi": phi, "mass": 0.0, "constituents": c}])


def shape(jet, **options):
    return {name: x[0] for name, x in substructure(jet, **options).items()}


@pytest.mark.parametrize("distance", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5])
def test_two_equal_constituents(distance, angle):
    """At distance d on both sides: lha = sqrt(d / R), width = d, ptd = 1 / sqrt(2)."""
    x, y = distance * math.cos(angle), distance * math.sin(angle)
    expected = {"nconst": 2, "lha": math.sqrt(distance / 0.8), "width": distance, "ptd": 2**-0.5}
    for phi in (0.0, math.pi - 0.05):
        assert shape(jet_of((5.0, x, y), (5.0, -x, -y), eta=1.0, phi=phi)) == pytest.approx(
            expected
        )


def test_unequal_constituents():
    """pt 3 on the axis and pt 1 at 0.2: weights 3/4 and 1/4."""
    expected = {"nconst": 2, "lha": 0.25 * 0.5, "width": 0.05, "ptd": math.sqrt(10) / 4}
    assert shape(jet_of((3.0, 0.0, 0.0), (1.0, 0.0, 0.2))) == pytest.approx(expected)


def test_one_constituent():
    assert shape(jet_of((7.0, 0.0, 0.0))) == {"nconst": 1, "lha": 0, "width": 0, "ptd": 1}


@pytest.mark.parametrize("n", [2, 10, 50])
def test_ptd_of_equal_constituents(n):
    rng = np.random.default_rng(n)
    jet = jet_of(*((2.0, x, y) for x, y in rng.uniform(-0.5, 0.5, (n, 2))))
    assert shape(jet)["ptd"] == pytest.approx(n**-0.5)
    assert shape(jet)["nconst"] == n


def test_the_radius_is_that_of_the_angularity():
    jet = jet_of((1.0, 0.3, 0.0), (2.0, 0.0, 0.1))
    small, large = shape(jet, radius=0.4), shape(jet, radius=0.8)
    assert small.pop("lha") == pytest.approx(math.sqrt(2) * large.pop("lha"))
    assert small == large
