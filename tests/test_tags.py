"""Probabilities of tags written out, and tags drawn given one against all patterns there are."""

import math
from itertools import product

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

from fivesigma.objects import BTag
from fivesigma.tags import given_one, probability

B, C, LIGHT = 0.68, 0.12, 0.011
N = 40_000
JETS = {  # efficiencies, and which jets are eligible
    "all": ((B, C, LIGHT), (1, 1, 1)),
    "b jet last": ((LIGHT, C, B), (1, 1, 1)),
    "b jet in the fat jet": ((B, C, LIGHT, LIGHT), (0, 1, 1, 1)),
    "soft jets between": ((C, B, C, LIGHT, C), (1, 0, 1, 0, 1)),
    "forward jets": ((0.0, C, C, 0.0), (1, 1, 1, 1)),
    "only one can have it": ((C, 0.0, B), (1, 1, 0)),
}


def repeated(values, n=N):
    return ak.unflatten(np.tile(np.asarray(values), n), len(values))


def patterns(tags):
    """How often each of the 2^J patterns of tags occurs."""
    bits = ak.to_numpy(tags)
    return np.bincount(bits @ 2 ** np.arange(bits.shape[1]), minlength=2 ** bits.shape[1])


def shares(eps):
    """Probability of each pattern, the first jet changing fastest."""
    each = [bits[::-1] for bits in product((0, 1), repeat=len(eps))]
    return np.array([math.prod(np.where(bits, eps, 1 - np.array(eps))) for bits in each]), each


# The probability


@pytest.mark.parametrize(
    ("eps", "eligible", "w"),
    [
        ((), (), 0.0),
        ((B,), (1,), 0.68),
        ((B,), (0,), 0.0),
        ((LIGHT, LIGHT, LIGHT), (1, 1, 1), 1 - 0.989**3),
        ((B, C, LIGHT), (1, 1, 1), 1 - 0.32 * 0.88 * 0.989),
        ((B, C, LIGHT), (0, 1, 1), 1 - 0.88 * 0.989),
        ((B, B, C), (1, 0, 1), 1 - 0.32 * 0.88),
        ((1.0, C), (1, 1), 1.0),
        ((0.0, 0.0), (1, 1), 0.0),
    ],
)
def test_at_least_one_tag(eps, eligible, w):
    """One minus the probability of none, whatever stands beside the event."""
    events = ak.Array([[0.5, 0.1], list(eps), []])
    kept = ak.Array([[True, False], [bool(x) for x in eligible], []])
    assert probability(events, kept) == pytest.approx([0.5, w, 0.0], abs=1e-15)


def test_efficiencies_of_jets_of_a_working_point():
    eps = BTag().efficiency(np.array([5, 4, 0, 5]), np.array([0.0, -1.0, 2.4, 2.6]))
    w = probability(ak.Array([eps.tolist()]), ak.Array([[True] * 4]))
    assert w == pytest.approx([1 - 0.32 * 0.88 * 0.989])


# Tags given one


@pytest.mark.parametrize(("eps", "eligible"), JETS.values(), ids=JETS.keys())
def test_all_patterns_of_tags(eps, eligible):
    """As often as their probability, and as in the events that pass of those drawn freely."""
    rng = np.random.default_rng(7)
    efficiency, kept = repeated(eps), repeated(np.array(eligible, bool))
    draw, other = (ak.unflatten(rng.random(N * len(eps)), len(eps)) for _ in range(2))
    conditional = patterns(given_one(efficiency, draw, kept))
    free = other < efficiency
    restricted = patterns(free[ak.any(free & kept, axis=1)])
    expected, each = shares(eps)
    passes = np.array([any(b and e for b, e in zip(bits, eligible, strict=True)) for bits in each])
    w = expected[passes].sum()
    assert probability(efficiency, kept) == pytest.approx(np.full(N, w))
    possible = passes & (expected > 0)
    assert not conditional[~possible].any()
    mean = N * expected[possible] / w
    found = ((conditional[possible] - mean) ** 2 / mean)[mean > 5].sum()
    assert chi2.sf(found, (mean > 5).sum() - 1) > 0.01 or (mean > 5).sum() == 1
    both = np.stack([conditional, restricted])[:, possible & (conditional + restricted > 20)]
    assert both.shape[1] == 1 or chi2_contingency(both).pvalue > 0.01


def by_loop(eps, u, eligible):
    """The rule read aloud."""
    tags = []
    for i, (e, x) in enumerate(zip(eps, u, strict=True)):
        if eligible[i] and not any(b and k for b, k in zip(tags, eligible, strict=False)):
            none = math.prod(1 - f for f, k in zip(eps[i:], eligible[i:], strict=True) if k)
            e = e / (1 - none) if none < 1 else 0.0
        tags.append(x < e)
    return tags


JET = st.tuples(
    st.sampled_from([0.0, 0.011, 0.12, 0.68, 1.0]), st.floats(0.001, 0.999), st.booleans()
)


@given(st.lists(st.lists(JET, max_size=6), max_size=5))
def test_tags_by_a_loop(events):
    number = np.array([len(jets) for jets in events], np.int64)
    eps, u, eligible = (
        ak.unflatten(np.array([jet[i] for jets in events for jet in jets], dtype), number)
        for i, dtype in enumerate((float, float, bool))
    )
    tags = given_one(eps, u, eligible)
    assert ak.to_list(tags) == [by_loop(*zip(*e, strict=True)) if e else [] for e in events]
    one = ak.any(tags & eligible, axis=1)
    assert ak.to_list(one) == (probability(eps, eligible) > 0).tolist()


def test_the_last_jet_has_the_tag_if_no_other_has():
    """However close to 1 the random number is."""
    u = np.nextafter(1, 0)
    tags = given_one(ak.Array([[0.3, LIGHT, 0.0]]), ak.Array([[u] * 3]), ak.Array([[True] * 3]))
    assert ak.to_list(tags) == [[False, True, False]]


def test_no_events():
    none = ak.Array([[0.1]])[:0]
    assert probability(none, none > 0).shape == (0,)
    assert str(given_one(none, none, none > 0).type) == "0 * var * bool"
