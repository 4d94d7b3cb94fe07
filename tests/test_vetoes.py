"""What Pythia drops on the way, and what it says of the cross section then."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import pythia8mc
from vetoed import DIJETS, HARD, LOOSE, QUICK, TOP, agree, made, sigma

from fivesigma import events as door
from fivesigma.benchmarks import BENCHMARKS
from fivesigma.detector import NoDetector, respond
from fivesigma.events import Process, generate
from fivesigma.jets import JetDefinition, cluster
from fivesigma.store import Recipe
from fivesigma.vetoes import hooks

ALONE = ("PartonLevel:all = off",)

W_TO_LEPTONS = 0.3245
"""Pythia's branching ratio of a W to e, mu or tau and a neutrino."""


def total(a, b):
    return np.array([a[0] + b[0], np.hypot(a[1], b[1])])


# Names of what exists


def test_samples_with_a_veto_keep_their_names():
    """As before vetoes had a file of their own."""
    b = BENCHMARKS["hidden_valley"]
    process = b.process("qcd", {"mass_min": 3600.0, "veto": "dijet"})
    recipe = Recipe(process, b.detector, b.jets, b.selection, seed=1)
    assert recipe.hash == "d75b1765314689a6"


def test_hooks():
    assert hooks(None, None) == []
    assert [len(hooks(veto, code)) for veto, code in ((LOOSE, None), (DIJETS, 7))] == [1, 2]


# Cross sections


@pytest.mark.slow
def test_leptons_of_top_pairs_at_the_process_level():
    """1 - (1 - BR)^2 of all pairs have a charged lepton from a W."""
    process = Process("top", (*TOP, *ALONE))
    every, some = (made(p, 6000) for p in (process, replace(process, veto=LOOSE)))
    share = 1 - (1 - W_TO_LEPTONS) ** 2
    assert agree(sigma(some), share * sigma(every))
    assert sigma(some)[1] < 0.02 * sigma(some)[0]


class Opposite:
    """Keeps what a veto drops at one of its steps."""

    def __init__(self, step):
        self.step = step

    def __call__(self, veto, code):
        step, (hook,) = self.step, hooks(veto, code)

        class Hook(type(hook)):
            def doVetoProcessLevel(self, process):
                dropped = super().doVetoProcessLevel(process)
                return not dropped if step == "process" else dropped

            def passes(self, seen):
                return super().passes(seen) is not (step == "shower")

        return [Hook(veto)]


def opposite(process, n, step, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(door, "hooks", Opposite(step))
        return generate(process, n, seed=4)


@pytest.mark.slow
def test_a_veto_and_its_opposite_at_the_process_level(monkeypatch):
    process = Process("top", (*TOP, *ALONE))
    vetoed = replace(process, veto=replace(LOOSE, hard_lepton_pt_min=60.0))
    kept, dropped = made(vetoed, 4000), opposite(vetoed, 4000, "process", monkeypatch)
    assert agree(total(sigma(kept), sigma(dropped)), sigma(made(process, 6000)))
    assert 0.2 < sigma(kept)[0] / sigma(dropped)[0] < 1.0


@pytest.mark.slow
def test_a_veto_and_its_opposite_in_the_shower(monkeypatch):
    """Together they are the events that pass the step at the process level."""
    process = Process("top", (*HARD, *QUICK), veto=LOOSE)
    vetoed = replace(process, veto=replace(LOOSE, h_t_min=900.0))
    kept, dropped = made(vetoed, 500), opposite(vetoed, 500, "shower", monkeypatch)
    assert agree(total(sigma(kept), sigma(dropped)), sigma(made(process, 800)))
    assert 0.2 < sigma(kept)[0] / sigma(dropped)[0] < 5.0


@pytest.mark.slow
def test_two_halves_of_dijets():
    process = Process(
        "dijets", ("HardQCD:all = on", "PhaseSpace:pTHatMin = 700", "PartonLevel:MPI = off", *QUICK)
    )
    low = replace(process, veto=replace(DIJETS, mass_max=1800.0))
    high = replace(process, veto=replace(DIJETS, mass_min=1800.0))
    parts = [sigma(made(p, 600)) for p in (low, high)]
    assert agree(total(*parts), sigma(made(process, 1000)))


# What is dropped


@pytest.mark.slow
def test_a_veto_that_passes_all_changes_nothing():
    settings = ("WeakBosonAndParton:qg2Wq = on", "PhaseSpace:pTHatMin = 50")
    settings += ("24:onMode = off", "24:onIfAny = 11")
    process = Process("W", settings)
    plain, through = (made(p, 20) for p in (process, replace(process, veto=LOOSE)))
    assert ak.array_equal(plain.particles.px, through.particles.px)


def leptons(events):
    """Largest transverse momentum of an electron or muon of each event."""
    p = events.particles
    kept = (abs(p.pdgid) == 11) | (abs(p.pdgid) == 13)
    pt = np.where(kept, np.hypot(p.px, p.py), 0.0)
    return ak.to_numpy(ak.max(pt, axis=1))


def jets(events, radius):
    definition = JetDefinition(radius=radius, pt_min=20.0, energy_scale=None)
    return cluster(respond(events, NoDetector(), seed=1), definition, leading=100).jets


def hadronic(events):
    """Scalar sum of jets without the leading lepton."""
    central = jets(events, 0.4)
    return ak.to_numpy(ak.sum(central.pt[np.abs(central.eta) < 5], axis=1)) - leptons(events)


CUTS = {
    "hard_lepton_pt_min": (250.0, leptons),
    "lepton_pt_min": (250.0, leptons),
    "h_t_min": (1200.0, hadronic),
    "fat_pt_min": (650.0, lambda events: ak.to_numpy(ak.max(jets(events, 1.2).pt, axis=1))),
    "fat_mass_min": (230.0, lambda events: ak.to_numpy(ak.max(jets(events, 1.2).mass, axis=1))),
}
NO_TAU = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5 11 13")


@pytest.mark.slow
@pytest.mark.parametrize("name", CUTS)
def test_each_cut(name):
    """Particles follow the cut on partons within 10 %; those of most other events would not."""
    limit, variable = CUTS[name]
    process = Process("top", (*HARD, *NO_TAU), veto=LOOSE)
    cut = replace(process, veto=replace(LOOSE, **{name: limit}))
    every, some = (np.mean(variable(made(p, 100)) > 0.9 * limit) for p in (process, cut))
    assert every < 0.6
    assert some >= 0.9


@pytest.mark.slow
def test_the_step_after_the_first_emission():
    """Where it asks for less than the last step, it drops next to nothing that this would keep."""
    process = Process("top", (*HARD, *QUICK), veto=replace(LOOSE, h_t_min=800.0))
    early = replace(process, veto=replace(process.veto, early_h_t_min=400.0))
    late = replace(process, veto=replace(process.veto, early_h_t_min=1200.0))
    plain = sigma(made(process, 600))
    assert agree(sigma(made(early, 600)), plain)
    assert sigma(made(late, 300))[0] < 0.7 * plain[0]


@pytest.mark.slow
def test_leptons_at_high_eta_are_dropped():
    process = Process("top", (*HARD, *NO_TAU), veto=replace(LOOSE, lepton_eta_max=0.5))
    p = made(process, 100).particles
    eta = np.arcsinh(p.pz / np.hypot(p.px, p.py))
    hard = ((abs(p.pdgid) == 11) | (abs(p.pdgid) == 13)) & (np.hypot(p.px, p.py) > 10)
    assert ak.mean(ak.any(hard & (np.abs(eta) < 0.6), axis=1)) > 0.9


# Decays of pairs


def pairs(unlike, n, seed=1):
    """Channels of W+ and W- of pairs of W, 0 to leptons and 1 to quarks; and the cross section."""
    pythia = pythia8mc.Pythia("", False)  # noqa: FBT003
    for line in ("WeakDoubleBoson:ffbar2WW = on", *ALONE, "Print:quiet = on",
                 "Random:setSeed = on", f"Random:seed = {seed}",
                 "24:onMode = off", "24:onIfMatch = 11 12", "24:onIfMatch = 1 2"):  # fmt: skip
        assert pythia.readString(line)
    kept = hooks(None, 24 if unlike else None)
    for hook in kept:
        pythia.addUserHooksPtr(hook)
    assert pythia.init()
    found = []
    for _ in range(n):
        assert pythia.next()
        w = {p.id(): p for p in (pythia.process[5], pythia.process[6])}
        found.append([pythia.process[w[k].daughter1()].idAbs() < 10 for k in (24, -24)])
    info = pythia.infoPython()
    return np.array(found), np.array([info.sigmaGen(), info.sigmaErr()])


@pytest.mark.slow
def test_unlike_decays():
    """One W to leptons and one to quarks, whichever; the cross section is that of all pairs."""
    (like, all_of_it), (unlike, same) = (pairs(kind, 2000) for kind in (False, True))
    assert np.all(unlike.sum(1) == 1)
    assert 0.1 < np.mean(like.sum(1) == 2) < 0.9
    assert abs(unlike[:, 0].mean() - 0.5) < 4 * 0.5 / 2000**0.5
    assert agree(same, all_of_it)
