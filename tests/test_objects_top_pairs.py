"""Objects of generated top pairs."""

import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from fivesigma.detector import CMS, respond
from fivesigma.events import Process, generate
from fivesigma.jets import cluster
from fivesigma.objects import ObjectDefinition, reconstruct
from fivesigma.tracker import SPECIES

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
