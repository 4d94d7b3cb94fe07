"""Observables of jets that can be written down, and of random jets by slow references."""

import itertools
import math
import re
import warnings
from collections import Counter

import awkward as ak
import fastjet
import numpy as np
import pytest

from fivesigma.jets import subjet_axes, substructure
from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.features import OBSERVABLES, JetFeatures

R = 0.8
GRAPHS = {
    "efp_line": [(0, 1)],
    "efp_double_line": [(0, 1)] * 2,
    "efp_path": [(0, 1), (1, 2)],
    "efp_triple_line": [(0, 1)] * 3,
    "efp_double_path": [(0, 1), (0, 1), (1, 2)],
    "efp_long_path": [(0, 1), (1, 2), (2, 3)],
    "efp_star": [(0, 1), (0, 2), (0, 3)],
    "efp_triangle": [(0, 1), (1, 2), (2, 0)],
}
INSTANCES = {name: JetFeatures([name]) for name in OBSERVABLES}
INSTANCES |= {"all": JetFeatures(), "reversed": JetFeatures(list(OBSERVABLES)[::-1])}


def make(jets):
    """Events of two jets each from a list of (eta, phi, pt, x, y), angles from the axis."""
    counts, n = np.array([len(jet[2]) for jet in jets]), np.arange(len(jets))
    axes = np.array([jet[:2] for jet in jets], np.float64)
    pt, x, y = (np.concatenate([jet[k] for jet in jets]) for k in (2, 3, 4))
    eta, phi = np.repeat(axes, counts, axis=0).T + np.stack([x, y])
    particles = ak.zip({"pt": pt, "eta": eta, "phi": np.arctan2(np.sin(phi), np.cos(phi))})
    record = {"pt": 1000.0 + n, "eta": axes[:, 0], "phi": axes[:, 1], "mass": 50.0 + 2 * n}
    record["constituents"] = ak.unflatten(particles, counts)
    events = ak.unflatten(ak.zip(record, depth_limit=1), np.full(len(jets) // 2, 2))
    return ak.values_astype(events, np.float32)


def observe(pt, x, y, *, eta=0.4, phi=-1.0):
    """All observables of the first of two like jets."""
    values = JetFeatures()(make([(eta, phi, np.array(pt), np.array(x), np.array(y))] * 2))
    np.testing.assert_allclose(values[0, 0, 2:], values[0, 1, 2:], rtol=1e-5, atol=1e-7)
    return dict(zip(OBSERVABLES, values[0, 0].tolist(), strict=True))


def random_jets(size, *, n=60, seed=5):
    rng = np.random.default_rng(seed)
    jets = []
    for _ in range(n):
        m = rng.integers(*size)
        eta, phi = rng.uniform(-2, 2), rng.uniform(-math.pi, math.pi)
        x, y = rng.normal(0.02, 0.25, m), rng.normal(-0.03, 0.15, m)
        jets.append((eta, phi, rng.exponential(20, m) + 0.1, x, y))
    return jets


SHOWER = random_jets((0, 80))


def turned(x, y, angle):
    c, s = math.cos(angle), math.sin(angle)
    return c * np.asarray(x) - s * np.asarray(y), s * np.asarray(x) + c * np.asarray(y)


def agree(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def slow_axes(pt, x, y, n):
    """Join the pair of least min(pt) dR in the direction of its harder member, until n remain."""
    axes = list(zip(pt, x, y, strict=True))
    while len(axes) > n:
        pairs = itertools.combinations(axes, 2)
        a, b = min(pairs, key=lambda p: min(p[0][0], p[1][0]) * math.dist(p[0][1:], p[1][1:]))
        axes = [axis for axis in axes if axis not in (a, b)]
        axes.append((a[0] + b[0], *max(a, b)[1:]))
    return [axis[1:] for axis in axes]


def slow_tau(pt, x, y, n):
    axes = slow_axes(pt, x, y, n)
    r = [min(math.dist(p, axis) for axis in axes) for p in zip(x, y, strict=True)]
    return np.dot(pt, r) / (pt.sum() or 1) / R


def slow_efp(pt, x, y, graph):
    total = 0.0
    for i in itertools.product(range(len(pt)), repeat=1 + max(map(max, graph))):
        edges = [math.hypot(x[i[k]] - x[i[l]], y[i[k]] - y[i[l]]) / R for k, l in graph]
        total += math.prod(pt[list(i)] / pt.sum()) * math.prod(edges)
    return total


@pytest.mark.parametrize("distance", [0.1, 0.5, 1.2])
@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("phi", [0.0, math.pi, -math.pi, 3.1])
def test_two_equal_constituents(distance, angle, phi):
    """Ends of edges differ, in two ways; a vertex gives 1/2, an edge theta: a line theta / 2."""
    x, y = turned([distance / 2, -distance / 2], [0, 0], angle)
    theta = distance / R
    expected = {"mass": 50, "mass_ratio": 0.05, "multiplicity": 2, "ptd": 2**-0.5}
    expected |= {"lha": math.sqrt(theta / 2), "width": distance / 2, "tau21": 0, "tau32": 0}
    expected |= {"efp_line": theta / 2, "efp_double_line": theta**2 / 2, "efp_path": theta**2 / 4}
    expected |= {"efp_triple_line": theta**3 / 2, "efp_double_path": theta**3 / 4}
    expected |= {"efp_long_path": theta**3 / 8, "efp_star": theta**3 / 8, "efp_triangle": 0}
    got = observe([7.0, 7.0], x, y, eta=1.3, phi=phi)
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_three_equal_constituents_at_equal_distances():
    """With theta = 1 a polynomial counts colourings by three colours, over 3^v."""
    colourings = {
        "efp_line": 6 / 9, "efp_double_line": 6 / 9, "efp_triple_line": 6 / 9,
        "efp_path": 12 / 27, "efp_double_path": 12 / 27, "efp_triangle": 6 / 27,
        "efp_long_path": 24 / 81, "efp_star": 24 / 81,
    }  # fmt: skip
    got = observe([9, 9, 9], [0, R, R / 2], [0, 0, R * math.sqrt(0.75)])
    assert {name: got[name] for name in GRAPHS} == pytest.approx(colourings, rel=1e-5)
    assert (got["tau21"], got["tau32"]) == pytest.approx((1 / 2, 0), rel=1e-5)


@pytest.mark.parametrize("size", [1, 1e-4])
def test_subjettiness_of_four_on_a_line(size):
    """1 joins 3, then 2 joins 5, and the axes stay with the harder ones, at 0.5 and 0."""
    got = observe([5, 3, 1, 2], [0, 0.5 * size, 0.6 * size, -0.3 * size], [0] * 4, eta=0)
    assert got["tau21"] == pytest.approx((2 * 0.3 + 0.1) / (2 * 0.3 + 3 * 0.5 + 0.6), rel=1e-5)
    assert got["tau32"] == pytest.approx(0.1 / (2 * 0.3 + 0.1), rel=1e-5)


def test_subjettiness_by_the_slow_reference():
    jets = random_jets((0, 25))
    values = JetFeatures(["tau21", "tau32"])(make(jets)).reshape(-1, 2)
    tau = np.array([[slow_tau(*jet[2:], n) for n in (1, 2, 3)] for jet in jets])
    expected = np.divide(tau[:, 1:], tau[:, :-1], out=np.zeros((60, 2)), where=tau[:, :-1] > 0)
    agree(values, expected)
    assert (expected > 0).sum() > 80


def test_subjettiness_by_the_program_of_its_authors():
    jets = random_jets((40, 80))
    pt, x, y = (ak.Array([jet[k] for jet in jets]) for k in (2, 3, 4))
    momenta = {"px": pt * np.cos(y), "py": pt * np.sin(y), "pz": pt * np.sinh(x)}
    momenta["E"] = pt * np.cosh(x)
    rule = fastjet.JetDefinition(fastjet.kt_algorithm, R)
    sequence = fastjet.ClusterSequence(ak.zip(momenta, with_name="Momentum4D"), rule)
    tau = np.asarray(sequence.njettiness("NormalizedMeasure", "WTA_KT_Axes", [1, 2, 3], 1.0, R))
    values = JetFeatures(["tau21", "tau32"])(make(jets)).reshape(-1, 2)
    agree(values, tau[:, 1:] / tau[:, :-1])


def test_polynomials_by_the_slow_reference():
    jets = random_jets((0, 7))
    values = JetFeatures(list(GRAPHS))(make(jets)).reshape(-1, len(GRAPHS))
    agree(values, [[slow_efp(*jet[2:], graph) for graph in GRAPHS.values()] for jet in jets])
    assert (values > 0).sum() > 300


def test_polynomials_are_all_of_up_to_three_edges():
    """There are 1, 2 and 5 connected multigraphs; other degrees at the vertices, another graph."""
    assert set(GRAPHS) == {name for name in OBSERVABLES if name.startswith("efp")}
    degrees = {tuple(sorted(Counter(sum(graph, ())).values())) for graph in GRAPHS.values()}
    assert len(degrees) == len(GRAPHS)
    assert Counter(map(len, GRAPHS.values())) == {1: 1, 2: 2, 3: 5}


def test_shapes_are_those_of_substructure():
    jets = make(random_jets((1, 60)))
    names = {"multiplicity": "nconst", "lha": "lha", "width": "width", "ptd": "ptd"}
    expected = substructure(ak.flatten(jets)) | {"mass": ak.to_numpy(ak.flatten(jets.mass))}
    expected["mass_ratio"] = expected["mass"] / ak.to_numpy(ak.flatten(jets.pt))
    for name, values in zip(OBSERVABLES, JetFeatures()(jets).reshape(60, -1).T, strict=True):
        if (name := names.get(name, name)) in expected:
            agree(values, expected.pop(name))
    assert not expected


@pytest.mark.parametrize("features", INSTANCES.values(), ids=INSTANCES.keys())
def test_shape_type_and_columns(features):
    jets = make(SHOWER)
    values = features(jets)
    assert values.shape == (len(jets), *features.shape)
    assert features.shape == (2, len(features.observables))
    assert values.dtype == np.float32
    assert ((values >= 0) & np.isfinite(values)).all()
    assert features(jets[:0]).shape == (0, *features.shape)
    everything = JetFeatures()(jets)
    columns = [list(OBSERVABLES).index(name) for name in features.observables]
    np.testing.assert_array_equal(values, everything[..., columns])


SAME = {
    "azimuth": lambda eta, phi, *rest: (eta, math.pi, *rest),
    "rotation": lambda eta, phi, pt, x, y: (eta, phi, pt, *turned(x, y, 100 * eta)),
    "reflection": lambda eta, phi, pt, x, y: (eta, phi, pt, x, -y),
    "order": lambda eta, phi, *abc: (eta, phi, *(a[::-1] for a in abc)),
    "scale": lambda eta, phi, pt, x, y: (eta, phi, 8 * pt, x, y),
    "no pt": lambda *jet: (*jet[:2], *np.append(jet[2:], [[0], [0.7], [0.3]], axis=1)),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_makes_no_difference(change):
    agree(JetFeatures()(make([change(*jet) for jet in SHOWER])), JetFeatures()(make(SHOWER)))


def test_collinear_splitting():
    """A constituent and its two halves are the same to what is linear in each z."""
    features = JetFeatures(["lha", "width", *GRAPHS])
    halves = [(*jet[:2], *np.repeat([jet[2] / 2, *jet[3:]], 2, axis=1)) for jet in SHOWER]
    agree(features(make(halves)), features(make(SHOWER)))


def test_each_event_stands_alone():
    jets, features = make(SHOWER), JetFeatures()
    together = features(jets)
    agree(features(jets[1::3]), together[1::3])
    agree(features(jets[::-1]), together[::-1])
    agree(features(ak.to_regular(jets, axis=1)), together)
    many = ak.concatenate([jets] * 20)  # more than one chunk
    agree(features(many), np.concatenate([together] * 20))


def test_few_constituents():
    expected = dict.fromkeys(OBSERVABLES, 0) | {"mass": 50, "mass_ratio": 0.05}
    assert observe([], [], []) == pytest.approx(expected)
    shape = {"multiplicity": 1, "lha": math.sqrt(0.5 / R), "width": 0.5, "ptd": 1}
    assert observe([5], [0.3], [0.4]) == pytest.approx(expected | shape, rel=1e-5)
    shape |= {"multiplicity": 2, "ptd": 2**-0.5}
    assert observe([4, 4], [0.3] * 2, [0.4] * 2) == pytest.approx(expected | shape, rel=1e-5)


def test_names():
    names = [features.name for features in INSTANCES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z0-9_-]{1,80}", name) for name in names)
    assert JetFeatures(("mass", "lha")).name == "features-mass-lha"
    assert JetFeatures().name == "features-16-63cc4d36"  # files on disk have it
    assert REPRESENTATIONS["features"](observables=["lha"]) == JetFeatures(("lha",))


BAD_OBSERVABLES = {
    "unknown": (["mass", "tau43"], r"expected observables of \['mass', .*; got \['tau43'\]"),
    "none": ([], r"expected a list of observables; got \[\]"),
    "text": ("mass", "expected a list of observables; got 'mass'"),
    "twice": (["mass", "lha", "mass"], "expected each observable once; got"),
}


@pytest.mark.parametrize(("names", "message"), BAD_OBSERVABLES.values(), ids=BAD_OBSERVABLES)
def test_bad_observables(names, message):
    with pytest.raises(ValueError, match=message):
        JetFeatures(names)


@pytest.mark.parametrize("field", ["pt", "mass"])
def test_missing_field_of_jets(field):
    jets = make(random_jets((3, 5), n=4))
    with pytest.raises(ValueError, match=f"expected jets with a field '{field}'; got"):
        JetFeatures()(jets[[name for name in jets.fields if name != field]])


def axes_of(jets, numbers):
    return subjet_axes(ak.flatten(make([(0, 0, *jet) for jet in jets]).constituents), numbers)


def test_axes_by_the_slow_reference():
    jets = [jet[2:] for jet in random_jets((4, 25))]
    for n, axes in zip((1, 2, 4), axes_of(jets, (1, 2, 4)), strict=True):
        assert (axes.shape, axes.dtype) == ((60, n, 2), np.float32)
        for got, jet in zip(axes.tolist(), jets, strict=True):
            agree(sorted(got), sorted(slow_axes(*jet, n)))


def test_axes_of_few_constituents():
    one, two = ([2.0], [0.1], [3.0]), ([2.0, 1.0], [0.5, 0.2], [3.0, -3.0])
    jets = [([], [], []), one, two, two]
    first, three = axes_of(jets, (1, 3))
    agree(first[:, 0], [[0, 0], [0.1, 3], [0.5, 3], [0.5, 3]])
    agree(three[:2], [[[0, 0]] * 3, [[0.1, 3]] * 3])
    agree(np.unique(three[2], axis=0), [[0.2, -3], [0.5, 3]])
    none = ak.flatten(make([(0, 0, *two)] * 2).constituents)[:0]
    assert subjet_axes(none, (2,))[0].shape == (0, 2, 2)
    with pytest.raises(ValueError, match=r"expected numbers of subjets >= 1; got \[2, 0\]"):
        subjet_axes(none, (2, 0))


def test_axes_leave_warnings_alone(monkeypatch):
    filters = list(warnings.filters)
    monkeypatch.setattr(warnings, "formatwarning", make)
    axes_of([([2.0], [0.1], [3.0])] * 2, (1,))
    assert warnings.formatwarning is make
    assert list(warnings.filters) == filters
