"""Tags, cross sections and costs of the search for vectorlike quarks."""

from dataclasses import replace

import awkward as ak
import fabricated
import numpy as np
import pytest
from commands import call

from fivesigma import cli
from fivesigma.benchmarks.heavy_quark import HEAVY_QUARK
from fivesigma.benchmarks.heavy_quark_costs import COSTS
from fivesigma.benchmarks.heavy_quark_processes import (
    PROCESSES,
    signal,
)
from fivesigma.detector import respond
from fivesigma.events import generate
from fivesigma.objects import reconstruct
from fivesigma.samples import normalised
from fivesigma.selection import PROBABILITY
from fivesigma.store import Recipe, make
from fivesigma.yields import Slice, cross_section, numbers, weigh

# Tags

OF_B = ("pt(b)", "delta_r(l,b)", "m(b,J)")


@pytest.mark.slow
def test_weights_are_the_mean_of_drawn_tags():
    """Of the same 150 events, whose tags are drawn K times: the cutflow, and features of b."""
    K, n = 60, 150
    events = generate(signal(veto="lepton"), n, seed=4)
    seen = respond(events, HEAVY_QUARK.detector, seed=4)
    objects = reconstruct(seen, events.partons, HEAVY_QUARK.jets, seed=4)
    objects = ak.concatenate([ak.without_field(objects, ("jets", "constituents"))] * K)
    jets, rng = objects.jets, np.random.default_rng(5)
    draw = ak.unflatten(rng.random(ak.count(jets.pt)), ak.num(jets.pt))
    objects = ak.with_field(objects, draw, ("jets", "draw"))
    objects = ak.with_field(objects, draw < jets.efficiency, ("jets", "b"))
    weighted = replace(HEAVY_QUARK.selection, quantities=OF_B)
    drawn, found = (chosen(objects) for chosen in (replace(weighted, tags=None), weighted))
    for one, other in zip(drawn.cutflow, found.cutflow, strict=True):
        spread = 0.0 if other.squares is None else (other.count - other.squares) ** 0.5
        assert abs(one.count - other.count) <= 3.5 * spread, one.cut
    assert 20 * K < found.cutflow[-1].count < 0.9 * found.cutflow[4].count
    repeat = [np.flatnonzero(one.mask) // n for one in (drawn, found)]
    w = found.events[PROBABILITY]
    for name in OF_B:
        each = drawn.events[name], w * found.events[name]
        sums = [np.bincount(r, x, K) for r, x in zip(repeat, map(np.asarray, each), strict=True)]
        errors = [one.std() / K**0.5 for one in sums]
        assert errors[1] < errors[0]
        assert abs(sums[0].mean() - sums[1].mean()) < 3.5 * np.hypot(*errors), name


@pytest.mark.slow
def test_weights_from_events_to_yields(tmp_path):
    """Sums of weights behind the cuts are what is expected of a process."""
    b = HEAVY_QUARK
    recipe = Recipe(signal(veto="lepton"), b.detector, b.jets, b.selection, shard_events=60)
    sample = make(recipe, 60, folder=tmp_path, workers=1)
    row = sample.cutflow[-1]
    assert 0 < row.squares < row.count < sample.n_selected < sample.cutflow[3].count
    assert sample.summary()["cutflow"][-1]["error"] == row.error
    sigma = cross_section(sample, recipe.process)
    folder = numbers(sample, b.selection.quantities)
    made = Slice("signal", folder, *sigma, sample.n_generated, sample.cutflow)
    events = weigh([made], luminosity_fb=3000.0)
    value, error = events.expected()
    per_event = 3000 * sigma[0] / 60
    assert len(events) == sample.n_selected
    assert value == pytest.approx([per_event * row.count])
    assert error == pytest.approx([per_event * row.squares**0.5])


def test_tags_that_are_drawn_or_weigh_make_other_samples():
    b, process = HEAVY_QUARK, PROCESSES["w_jets"](pt_min=300)
    assert b.selection.tags == "weighted"
    drawn = replace(b.selection, tags=None)
    one, other = (Recipe(process, b.detector, b.jets, s) for s in (b.selection, drawn))
    assert one.hash != other.hash


# Cross sections that are told


def test_the_cross_section_of_a_sample_has_the_k_factor(monkeypatch, capsys, tmp_path):
    """In what is printed as in the report; what is to come is said before."""
    sample = fabricated.sample(tmp_path / "sample", 10, shards=1)
    known = {"cross_section": "physical", "cross_section_fb": 100.0, "cross_section_error_fb": 1.0}
    sample = replace(sample, records=(sample.records[0] | known,))

    def made(*_, progress, **__):
        progress(0, 1)
        return sample

    monkeypatch.setattr(cli, "make", made)
    command = ("generate", "heavy_quark", "top_pairs", "-n", 10, "--store", tmp_path)
    code, out, err = call(monkeypatch, capsys, *command, "--set", "pt_min=500")
    k = PROCESSES["top_pairs"]().k_factor
    assert code == 0
    assert f"cross section: {100 * k:.5g} +- {k:.2g} fb (the generator's times 1.64)" in out
    assert "for 1000 events, of which 110 pass" in err
    summary = normalised(sample, PROCESSES["top_pairs"]()).summary()
    told = (summary["cross_section_fb"], summary["cross_section_error_fb"], summary["k_factor"])
    assert told == pytest.approx((100 * k, k, k))
    assert normalised(sample, replace(signal(), k_factor=None)).summary()["k_factor"] == 1


@pytest.mark.parametrize("name", COSTS)
def test_costs_are_those_of_processes(name):
    assert name.split(", ")[0] in PROCESSES
    assert 0 < COSTS[name].seconds < 1
