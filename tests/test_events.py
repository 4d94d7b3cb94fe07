"""Events as they come out of Pythia: partons, particles, cross sections, and what a veto drops.

The cross section of QCD dijets is that of Pythia 8.317.2 alone, 5000 events with seed 7.
"""

import re
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from generated import charged, made, significance

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.hidden_valley import HIDDEN_VALLEY, qcd, signal
from fivesigma.detector import NoDetector, respond
from fivesigma.events import Process, generate, generator_version
from fivesigma.jets import JetDefinition, cluster
from fivesigma.selection import m_jj
from fivesigma.vetoes import ShowerVeto

COLUMNS = ["px", "py", "pz", "mass", "vx", "vy", "vz", "pdgid", "charge"]
CHARGE = {22: 0, 11: -1, 13: -1, 211: 1, 321: 1, 130: 0, 2212: 1, 2112: 0}  # by |PDG code|

VETO = ShowerVeto(scale=20.0, radius=0.8, pt_min=0.0, eta_max=1e3, mass_min=-1.0, mass_max=1e9)


# Partons


@pytest.mark.slow
def test_partons_are_kept_on_request():
    """A top pair has two b quarks."""
    top = Process("top", ("Beams:eCM = 14000", "Top:gg2ttbar = on"), partons=(5,))
    partons = made(top, 60).partons
    assert partons.fields == ["pt", "eta", "phi", "flavour"]
    assert set(ak.flatten(partons.flavour)) == {5}
    assert ak.mean(ak.num(partons) >= 2) > 0.9  # the others have a top quark to s or d
    assert ak.all(partons.pt > 1)
    assert made(replace(top, partons=None), 60).partons is None


# Events


@pytest.mark.slow
def test_the_seed_decides_the_events():
    process = qcd(multiparton="off")
    first = made(process, 260)  # more than one batch
    again = generate(process, 20, seed=11)
    other = generate(process, 20, seed=12)
    for name in COLUMNS:
        assert ak.array_equal(first.particles[name][:20], again.particles[name])
    assert ak.to_list(ak.num(again.particles)) != ak.to_list(ak.num(other.particles))
    assert again.provenance == {
        "generator": generator_version(), "process": "QCD dijets", "seed": 11
    }  # fmt: skip


@pytest.mark.slow
def test_particles_are_visible_and_stable():
    p = made(qcd(), 60).particles
    assert len(p) == 60
    assert sorted(p.fields) == sorted(COLUMNS)
    code, charge = (ak.to_numpy(ak.flatten(p[name])) for name in ("pdgid", "charge"))
    assert set(np.abs(code)) <= set(CHARGE)
    expected = np.array([CHARGE[abs(c)] * np.sign(c) for c in code])
    assert np.array_equal(charge, expected)
    assert set(charge) == {-1.0, 0.0, 1.0}


@pytest.mark.slow
def test_the_visible_energy_is_that_of_the_beams():
    """13 TeV, less what neutrinos carry; transverse momenta balance as well."""
    p = made(qcd(), 60).particles
    energy = ak.to_numpy(ak.sum(np.sqrt(p.px**2 + p.py**2 + p.pz**2 + p.mass**2), axis=1))
    assert energy.max() < 13000 * (1 + 1e-6)
    assert np.median(energy) > 12800
    missing = np.hypot(ak.sum(p.px, axis=1), ak.sum(p.py, axis=1))
    assert np.median(missing) < 50


@pytest.mark.slow
def test_production_vertices():
    """K0S and hyperons: 10 % of the particles start more than 1 mm away, 2 % past the tracker."""
    p = made(qcd(), 60).particles
    r, z = (ak.to_numpy(ak.flatten(x)) for x in (np.hypot(p.vx, p.vy), np.abs(p.vz)))
    assert 0.08 < np.mean(np.hypot(r, z) > 1.0) < 0.13
    assert 0.01 < np.mean((r > 1290) | (z > 3000)) < 0.035


@pytest.mark.slow
@pytest.mark.parametrize("factory", [qcd, signal])
def test_multiparton_interactions_add_particles(factory):
    on, off = (charged(made(factory(multiparton=state), 60)) for state in ("on", "off"))
    assert significance(on, off) > 4


@pytest.mark.slow
def test_cross_section_of_qcd():
    events = made(qcd(multiparton="off"), 260)
    value, error = events.cross_section_fb, events.cross_section_error_fb
    assert 0 < error < 0.06 * value
    assert abs(value - 7680) < 3 * np.hypot(error, 60)  # 7.68 +- 0.06 pb


@pytest.mark.slow
def test_no_events():
    events = generate(qcd(multiparton="off"), 0, seed=1)
    assert len(events) == 0
    assert sorted(events.particles.fields) == sorted(COLUMNS)


# Veto


@pytest.mark.slow
def test_a_veto_that_passes_all_changes_nothing():
    process = qcd(multiparton="off")
    plain, through = made(process, 260), generate(replace(process, veto=VETO), 20, seed=11)
    assert ak.array_equal(plain.particles.px[:20], through.particles.px)


@pytest.mark.slow
def test_the_veto_saves_what_the_regions_keep():
    """Fewer events, a larger share of them in the regions, and the same cross section there."""
    share, inside, error = {}, {}, {}
    for veto in ("none", "dijet"):
        events = made(qcd(mass_min=4000.0, veto=veto, multiparton="off"), 400)
        seen = respond(events, HIDDEN_VALLEY.detector, seed=1)
        selected = HIDDEN_VALLEY.selection(cluster(seen, HIDDEN_VALLEY.jets))
        count = sum(
            row.count for row in selected.cutflow if row.cut in ("signal_region", "sideband")
        )
        share[veto] = count / len(events)
        inside[veto] = share[veto] * events.cross_section_fb
        relative = events.cross_section_error_fb / events.cross_section_fb
        error[veto] = inside[veto] * np.hypot(relative, ((1 - share[veto]) / count) ** 0.5)
    all_of_it, kept = (
        made(qcd(mass_min=4000.0, veto=v, multiparton="off"), 400) for v in ("none", "dijet")
    )
    difference = all_of_it.cross_section_fb - kept.cross_section_fb
    assert difference > 3 * np.hypot(all_of_it.cross_section_error_fb, kept.cross_section_error_fb)
    assert share["dijet"] > 1.5 * share["none"]
    assert abs(inside["dijet"] - inside["none"]) < 3 * np.hypot(*error.values())


# sign, limit and what it applies to: sign * variable > sign * limit
VETO_CUTS = {
    "pt_min": (1, 1500.0, lambda c: ak.to_numpy(c.jets.pt[:, 1])),
    "eta_max": (-1, 0.8, lambda c: np.abs(ak.to_numpy(ak.to_regular(c.jets.eta))).max(1)),
    "mass_min": (1, 5000.0, m_jj),
    "mass_max": (-1, 3300.0, m_jj),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VETO_CUTS)
def test_each_cut_of_the_veto(name):
    """Jets of the particles follow the cut on the partons within 5 %; most others would not."""
    sign, limit, variable = VETO_CUTS[name]
    process = qcd(multiparton="off")
    vetoed = replace(process, veto=replace(VETO, **{name: limit}))
    share = {}
    for kind, events in (("all", made(process, 260)), ("vetoed", generate(vetoed, 20, seed=5))):
        jets = cluster(respond(events, NoDetector(), seed=1), JetDefinition(energy_scale=None))
        share[kind] = np.mean(sign * variable(jets) > sign * limit * (1 - 0.05 * sign))
    assert share["all"] < 0.6
    assert share["vetoed"] >= 0.9


# Errors


@pytest.mark.parametrize("seed", [0, -1, 900_000_001])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match=f"expected a seed from 1 to 900000000; got {seed}"):
        generate(qcd(), 1, seed=seed)


def test_negative_number():
    with pytest.raises(ValueError, match="expected a number of events >= 0; got -1"):
        generate(qcd(), -1, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["No:such = on", "Beams:eCM = fast"])
def test_unknown_setting(line):
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        generate(Process("bad", (line,)), 1, seed=1)


@pytest.mark.slow
def test_settings_that_do_not_start():
    with pytest.raises(ValueError, match="settings that Pythia can start from; got process 'idle'"):
        generate(Process("idle", ("Beams:eCM = 13000",)), 1, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_processes_start(name):
    """Each process without a veto but those that need a file, in a few events."""
    benchmark = BENCHMARKS[name]
    for key, factory in benchmark.processes.items():
        known = factory.__kwdefaults__ or {}
        parameters = {"veto": "none"} if "veto" in known else {}
        if "file" not in known:
            assert len(generate(benchmark.process(key, parameters), 2, seed=1)) == 2
