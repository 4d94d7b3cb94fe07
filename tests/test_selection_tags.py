"""Made-up events whose tags are drawn, or weigh them."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from scipy.stats import chi2

from fivesigma.objects import BTag
from fivesigma.selection import (
    PROBABILITY,
    Cut,
    CutflowRow,
    Selection,
    combine,
    table,
)

INFINITY = float("inf")

AT_LEAST_ONE = ((1.0, INFINITY),)
SOME_B, B_OUTSIDE = (Cut(name, name, AT_LEAST_ONE) for name in ("n_b_jets_60", "n_b_outside"))
ONE_LEPTON, FAT_JET = (Cut(name, name, AT_LEAST_ONE) for name in ("n_leptons", "n_fat_jets"))
EDGES = {
    "pt(b)": (80, 100, 130, 200),
    "delta_r(b,J)": (1.5, 2, 3),
    "m(j1,b)": (30, 100, 200, 400),
    "n_b_jets_60": (1.5, 2.5),
}
SEEN = tuple(EDGES)
DRAWN = Selection((ONE_LEPTON, SOME_B, FAT_JET, B_OUTSIDE), (), SEEN)
WEIGHTED = replace(DRAWN, tags="weighted")
RATE = {"few b jets": (0.003, 0.03), "many b jets": (0.5, 0.2)}
"""Of b and of c jets."""


def made_up(n, rates, seed):
    """Events with jets anywhere, of any flavour; some have a lepton, some a fat jet."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 7, n)
    m = number.sum()
    jets = {"pt": 30 + rng.exponential(100, m), "eta": rng.normal(0, 1.3, m)}
    jets |= {"phi": rng.uniform(-np.pi, np.pi, m), "mass": np.full(m, 10.0)}
    flavour = rng.choice([5, 4, 0], m, p=[*rates, 1 - sum(rates)])
    jets |= {"efficiency": BTag().efficiency(flavour, jets["eta"]), "draw": rng.random(m)}
    jets |= {"b": jets["draw"] < jets["efficiency"]}
    jets = ak.zip({name: ak.unflatten(x, number) for name, x in jets.items()})
    fat = {"pt": np.full(n, 600.0), "eta": rng.normal(0, 1, n), "phi": rng.uniform(-3, 3, n)}
    leptons = fat | {"eta": np.zeros(n)}
    lists = {"leptons": leptons, "fat_jets": fat | {"mass": np.full(n, 300.0)}}
    objects = {}
    for name, columns in lists.items():
        there = rng.random(n) < 0.8
        objects[name] = ak.unflatten(ak.zip(columns)[there], there.astype(int))
    objects |= {"jets": jets[ak.argsort(jets.pt, ascending=False)]}
    missing = ak.zip({"pt": np.zeros(n), "phi": np.zeros(n)})
    return ak.zip(objects | {"missing": missing, "h_t": np.zeros(n)}, depth_limit=1)


@pytest.mark.parametrize("rates", RATE.values(), ids=RATE.keys())
def test_weights_leave_what_drawn_tags_leave(rates):
    """Within errors, which are smaller; before the cuts on tags nothing changes."""
    drawn = DRAWN(made_up(20_000, rates, seed=1))
    weighted = WEIGHTED(made_up(20_000, rates, seed=2))
    for one, other in zip(drawn.cutflow[2:], weighted.cutflow[2:], strict=True):
        error = np.hypot(one.error, other.error)
        assert abs(one.efficiency - other.efficiency) < 3 * error
        assert other.error < (0.4 if rates[0] < 0.1 else 0.9) * one.error
        assert isinstance(one.count, int)
        assert one.squares is None
    same = DRAWN(made_up(20_000, rates, seed=2)).cutflow[:2]
    assert weighted.cutflow[:2] == same
    assert weighted.mask.sum() > 1.5 * drawn.mask.sum()


@pytest.mark.parametrize("rates", RATE.values(), ids=RATE.keys())
def test_features_of_the_tagged_jet_are_those_of_drawn_tags(rates):
    """By weighted histograms."""
    drawn = DRAWN(made_up(60_000, rates, seed=3)).events
    weighted = WEIGHTED(made_up(60_000, rates, seed=4)).events
    w = np.asarray(weighted[PROBABILITY], float)
    for name, edges in EDGES.items():
        bins = [-INFINITY, *edges, INFINITY]
        n = np.histogram(np.asarray(drawn[name]), bins)[0]
        x = np.asarray(weighted[name])
        sums, squares = (np.histogram(x, bins, weights=y)[0] for y in (w, w**2))
        some = n > 10
        found = ((n - sums) ** 2 / (n + squares))[some].sum()
        assert chi2.sf(found, some.sum()) > 0.01, name


def test_the_error_of_a_sum_of_weights():
    """That of a mean over all events, of which those that cannot pass have the weight 0."""
    selected = WEIGHTED(made_up(3000, RATE["few b jets"], seed=5))
    w = np.zeros(3000)
    w[selected.mask] = selected.events[PROBABILITY]
    row = selected.cutflow[-1]
    assert row.efficiency == pytest.approx(w.mean())
    assert row.error == pytest.approx(w.std() / 3000**0.5)
    assert row.squares == pytest.approx((w**2).sum())
    assert str(selected.events[PROBABILITY].type).endswith("float32")
    unit = CutflowRow("cut", 20.0, 100, 20.0)
    assert unit.error == pytest.approx(CutflowRow("cut", 20, 100).error)


def test_every_event_that_is_kept_has_the_tag():
    """On the jets of the last cut that asks for one; what can have none is left out."""
    events = made_up(3000, RATE["few b jets"], seed=6)
    inside = WEIGHTED(events).events["n_b_jets_60"]
    anywhere = replace(WEIGHTED, cuts=(SOME_B, FAT_JET))(events).events["n_b_jets_60"]
    assert len(anywhere) > len(inside) > 100
    assert ak.min(inside) == ak.min(anywhere) == 1
    never = ak.with_field(events, 0 * events.jets.efficiency, ("jets", "efficiency"))
    assert len(WEIGHTED(never).events) == 0
    assert WEIGHTED(never).cutflow[-1] == CutflowRow("n_b_outside", 0.0, 3000, 0.0)
    assert WEIGHTED(events[:0]).events.fields == [*SEEN, PROBABILITY]


def test_weighted_cutflows_combine():
    events = made_up(2000, RATE["many b jets"], seed=7)
    parts = [WEIGHTED(events[i]).cutflow for i in (slice(0, 700), slice(700, None))]
    for one, other in zip(combine(parts), WEIGHTED(events).cutflow, strict=True):
        assert one.count == pytest.approx(other.count)
        assert one.error == pytest.approx(other.error)
        assert (one.squares is None) == (other.squares is None)
    text = table((CutflowRow("all", 100, 100), CutflowRow("tag", 20.25, 100, 6.25)))
    assert text.splitlines()[2] == "tag        20.2  0.20250 +- 0.01466"


NOT_WEIGHABLE = {
    "no tag": ((ONE_LEPTON,), (), r"expected cuts on some of .*; got \[\]"),
    "order": ((B_OUTSIDE, SOME_B), (), r"in this order; got \['n_b_outside', 'n_b_jets_60'\]"),
    "twice": ((SOME_B, SOME_B), (), "in this order"),
    "two tags": ((Cut("two", "n_b_outside", ((2.0, INFINITY),)),), (), r"one tag; got \['two'\]"),
    "tagged jet": ((SOME_B, Cut("b", "m(b,J)", AT_LEAST_ONE)), (), r"depends on tags; got \['b'\]"),
    "region": ((SOME_B,), (B_OUTSIDE,), r"depends on tags; got \['n_b_outside'\]"),
}


@pytest.mark.parametrize(
    ("cuts", "regions", "message"), NOT_WEIGHABLE.values(), ids=NOT_WEIGHABLE.keys()
)
def test_cuts_that_no_weight_stands_for(cuts, regions, message):
    with pytest.raises(ValueError, match=message):
        Selection(cuts, regions, SEEN, tags="weighted")
    assert Selection(cuts, regions, SEEN).cuts == cuts
