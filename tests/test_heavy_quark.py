"""Processes of the search for vectorlike quarks, in Pythia.

Reference numbers: Table 5.1 of the thesis (cross sections).
"""

from dataclasses import replace
from itertools import pairwise

import awkward as ak
import numpy as np
import pytest
import pythia8mc

from fivesigma.benchmarks.heavy_quark_backgrounds import BACKGROUNDS
from fivesigma.benchmarks.heavy_quark_processes import (
    FROM_FILE,
    PHI,
    PROCESSES,
    SLICED,
    signal,
)
from fivesigma.configuration import SampleRequest
from fivesigma.detector import CMS, respond
from fivesigma.events import generate
from fivesigma.objects import ObjectDefinition, reconstruct
from fivesigma.projection import Projection
from fivesigma.projection_plan import prepare_projection
from fivesigma.vetoes import LeptonVeto, hooks

FROM_PYTHIA = [name for name in PROCESSES if name not in FROM_FILE]
ALONE = ("PartonLevel:all = off",)
TABLE = {  # Table 5.1 [pb]
    **{"w_jets": 1.95e5, "z_jets": 6.33e4, "top_pairs": 988.57, "tw": 83.10},
    **{"single_top_t": 248.00, "single_top_s": 12.35, "ww": 124.31, "wz": 51.82},
    **{"ttz": 1.05, "ttw": 0.65, "tth": 0.61},
}


def started(process, *more, seed=1):
    """Pythia with the process and its hooks, which have to be kept."""
    pythia = pythia8mc.Pythia("", False)  # noqa: FBT003
    lines = ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", *process.settings)
    refused = [line for line in (*lines, *more) if not pythia.readString(line)]
    assert refused == []
    kept = hooks(process.veto, process.unlike_decays)
    for hook in kept:
        pythia.addUserHooksPtr(hook)
    assert pythia.init()
    return pythia, kept


def sigma(process, n, *, seed=1):
    """Cross section of hard events and its error [fb]."""
    process = replace(process, settings=(*process.settings, *ALONE))
    events = generate(process, n, seed=seed)
    return np.array([events.cross_section_fb, events.cross_section_error_fb])


def channels(pythia, code):
    entry = pythia.particleData.findParticle(code)
    found = [entry.channel(i) for i in range(entry.sizeChannels())]
    return {tuple(c.product(k) for k in range(c.multiplicity())): c.bRatio() for c in found}


# All processes


def test_the_cross_sections_are_those_of_the_table():
    """In fb; the two charges of top pairs with a W add up."""
    assert {name: BACKGROUNDS[name].source_fb for name in TABLE} == pytest.approx(
        {name: 1e3 * value for name, value in TABLE.items()}
    )
    both, plus, minus = (BACKGROUNDS[name].source_fb for name in ("ttw", "ttw_plus", "ttw_minus"))
    assert both == pytest.approx(plus + minus, rel=1e-3)
    assert set(PROCESSES) == {"signal", *BACKGROUNDS}


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_PYTHIA)
def test_processes_start(name):
    """Every line is known; flavours are kept; beams and cross section are as said."""
    process = PROCESSES[name]()
    pythia, _hooks = started(process, *ALONE)
    assert pythia.settings.parm("Beams:eCM") == 14000.0
    assert process.partons == (4, 5)
    assert isinstance(PROCESSES[name](veto="lepton").veto, LeptonVeto)
    assert (process.veto is None) is (name == "signal")  # of which it would drop 6 %
    assert PROCESSES[name](veto="none").veto is None
    stated = BACKGROUNDS.get(name)
    assert process.k_factor == (stated.source_fb / stated.leading_order_fb if stated else 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FROM_PYTHIA if name != "signal"])
def test_leading_order_again(name):
    """What was measured once, with another seed and few events."""
    value, error = sigma(PROCESSES[name](veto="none"), 300 if name == "tth" else 2000, seed=2)
    stated = BACKGROUNDS[name]
    assert error < 0.03 * value
    assert abs(value - stated.leading_order_fb) < 4 * np.hypot(error, stated.error_fb)


@pytest.mark.slow
def test_slices_add_up():
    edges = (0.0, 100.0, 250.0, float("inf"))
    parts = [
        sigma(PROCESSES["top_pairs"](pt_min=low, pt_max=high, veto="none"), 3000)
        for low, high in pairwise(edges)
    ]
    value, error = sum(p[0] for p in parts), np.hypot.reduce([p[1] for p in parts])
    whole = BACKGROUNDS["top_pairs"]
    assert abs(value - whole.leading_order_fb) < 4 * np.hypot(error, whole.error_fb)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLICED)
def test_limits_are_obeyed(name):
    pythia, _hooks = started(PROCESSES[name](pt_min=300, pt_max=400.0, veto="none"), *ALONE)
    for _ in range(50):
        assert pythia.next()
        assert 299.9 < pythia.infoPython().pTHat() < 400.1


@pytest.mark.parametrize("name", ["w_jets", "z_jets"])
def test_a_boson_recoils_only_in_slices(name):
    whole, part = (PROCESSES[name](**limits) for limits in ({}, {"pt_min": 200.0}))
    assert any("WeakSingleBoson" in line for line in whole.settings)
    assert not any("WeakSingleBoson" in line for line in part.settings)
    assert any("WeakBosonAndParton" in line for line in part.settings)
    assert ("WeakZ0:gmZmode = 2" in part.settings) is (name == "z_jets")


# Signal


@pytest.mark.slow
def test_the_signal_has_the_decays_that_are_asked_for():
    assert not pythia8mc.Pythia("", False).particleData.isParticle(PHI)  # noqa: FBT003
    pythia, _hooks = started(signal(mass_b=1200, mass_phi=300.0), *ALONE)
    data = pythia.particleData
    assert channels(pythia, 7) == {(5, PHI): pytest.approx(0.5), (6, -24): pytest.approx(0.5)}
    assert channels(pythia, PHI) == {(21, 21): pytest.approx(1.0)}
    assert [data.m0(7), data.m0(PHI)] == [1200.0, 300.0]
    assert [data.mWidth(7), data.mWidth(PHI)] == pytest.approx([1.2, 0.3])
    assert [data.spinType(PHI), data.colType(PHI), data.chargeType(PHI)] == [1, 0, 0]


@pytest.mark.slow
def test_every_event_of_the_signal_has_one_decay_of_each_kind():
    """Of B as often as of its antiparticle; no event is lost, masses are on shell."""
    pythia, _hooks = started(signal(veto="none"), *ALONE)
    to_phi, mass_b, mass_phi, n = 0, [], [], 1500
    for _ in range(n):
        assert pythia.next()
        record = [pythia.process[i] for i in range(5, pythia.process.size())]
        products = {
            p.id(): {pythia.process[i].id() for i in (p.daughter1(), p.daughter2())}
            for p in record
            if p.idAbs() == 7
        }
        kinds = ({5, PHI}, {-6, 24}), ({6, -24}, {-5, PHI})
        assert (products[7], products[-7]) in kinds
        to_phi += products[7] == {5, PHI}
        mass_b += [p.m() for p in record if p.idAbs() == 7]
        (phi,) = (p for p in record if p.id() == PHI)
        mass_phi.append(phi.m())
        assert {pythia.process[i].id() for i in (phi.daughter1(), phi.daughter2())} == {21}
    assert abs(to_phi / n - 0.5) < 4 * 0.5 / n**0.5
    assert [np.median(mass_b), np.median(mass_phi)] == pytest.approx([1500, 400], rel=1e-3)
    assert np.ptp(mass_b) <= 45.001
    info = pythia.infoPython()
    assert info.nAccepted() == info.nSelected()
    either = sigma(replace(signal(veto="none"), unlike_decays=None), 1500)
    assert abs(info.sigmaGen() * 1e12 - either[0]) < 4 * np.hypot(info.sigmaErr() * 1e12, either[1])


@pytest.mark.slow
def test_the_veto_saves_what_the_cuts_keep():
    """Signal after loose forms of the cuts: the same cross section from fewer events."""
    inside, share = {}, {}
    for veto in ("none", "lepton"):
        events = generate(signal(veto=veto), 300, seed=3)
        seen = respond(events, CMS, seed=1)
        o = reconstruct(seen, events.partons, ObjectDefinition(), seed=1)
        fat = (o.fat_jets.pt > 500) & (o.fat_jets.mass > 250)
        passed = ak.any(o.leptons.pt > 100, axis=1) & (o.h_t > 900) & ak.any(fat, axis=1)
        share[veto] = np.mean(passed)
        error = (share[veto] * (1 - share[veto]) / 300) ** 0.5
        inside[veto] = events.cross_section_fb * np.array([share[veto], error])
    assert share["lepton"] > 1.5 * share["none"]
    difference = inside["none"] - inside["lepton"]
    assert abs(difference[0]) < 4 * np.hypot(inside["none"][1], inside["lepton"][1])


@pytest.mark.slow
def test_heavy_and_light_points_start():
    for mass_b, mass_phi in ((260.0, 20.0), (1000.0, 990.0), (3000.0, 100.0)):
        pythia, _hooks = started(signal(mass_b=mass_b, mass_phi=mass_phi), *ALONE)
        assert all(pythia.next() for _ in range(5))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([{}, {"pt_min": 300}], "got pTHat from 300 to inf GeV and from 0 to inf GeV"),
        (
            [{"pt_min": 100, "pt_max": 300}, {"pt_min": 200}],
            "from 200 to inf GeV and from 100 to 3",
        ),
        ([{"pt_min": 300}, {"pt_min": 300, "veto": "none"}], "from 300 to inf GeV and from 300 to"),
    ],
)
def test_slices_that_overlap_are_refused(parts, said, tmp_path):
    slices = [{"process": "w_jets", "events": 1, "parameters": part} for part in parts]
    wanted = Projection(
        **{"name": "search", "title": "search", "benchmark": "heavy_quark"},
        signal=SampleRequest(process="signal", events=1),
        backgrounds={"bosons": slices},
        arms=[{"name": "trees", "strategy": "boosted"}],
    )
    with pytest.raises(ValueError, match=f"bosons, slice 2: expected a part of .* {said}"):
        prepare_projection(wanted, store=tmp_path, workers=1, report=print)
    assert not [*tmp_path.iterdir()]
