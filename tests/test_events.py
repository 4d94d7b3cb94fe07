"""What Pythia is asked for, and what comes out of it.

Reference numbers: the table of benchmark points in arXiv 2312.06152 and 2412.00198 (masses, to the
printed digits), and Pythia 8.317.2 alone, 5000 events with seed 7 (cross section of QCD dijets).
"""

import gzip
import itertools
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import pythia8mc

from fivesigma.benchmarks import BENCHMARKS
from fivesigma.benchmarks.hidden_valley import HIDDEN_VALLEY, lhe, qcd, signal
from fivesigma.detector import NoDetector, respond
from fivesigma.events import Process, generate, generator_version
from fivesigma.jets import JetDefinition, cluster
from fivesigma.les_houches import count
from fivesigma.selection import m_jj
from fivesigma.vetoes import ShowerVeto

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
COLUMNS = ["px", "py", "pz", "mass", "vx", "vy", "vz", "pdgid", "charge"]
CHARGE = {22: 0, 11: -1, 13: -1, 211: 1, 321: 1, 130: 0, 2212: 1, 2112: 0}  # by |PDG code|
# m_q, m_pi, m_rho [GeV], pTminFSR [GeV], bLund [1/GeV^2]
POINTS = {
    "ID1": ("1.0331", "1", "2.6944", "1.1", "1.78"),
    "ID5": ("5.1653", "5", "13.472", "5.5", "0.07121"),
    "ID10": ("10.331", "10", "26.944", "11.0", "0.0178"),
    "ID20": ("20.661", "20", "53.889", "22.0", "0.004451"),
    "ID30": ("30.992", "30", "80.833", "33.0", "0.001978"),
    "ID40": ("41.322", "40", "107.78", "44.0", "0.001113"),
    "ID50": ("51.653", "50", "134.72", "55.0", "0.0007121"),
    "DD1": ("1.1071", "1.8", "3.2588", "1.1", "1.55"),
    "DD5": ("5.5355", "9", "16.294", "5.5", "0.06201"),
    "DD10": ("11.071", "18", "32.588", "11.0", "0.0155"),
    "DD20": ("22.142", "36", "65.177", "22.0", "0.003875"),
    "DD30": ("33.213", "54", "97.765", "33.0", "0.001722"),
    "DD40": ("44.284", "72", "130.35", "44.0", "0.0009688"),
    "DD50": ("55.355", "90", "162.94", "55.0", "0.0006201"),
}
DARK_PIONS = (111, 211, 311, 221, 321, 331)
DARK_RHOS = (113, 213, 313, 223, 323, 333)

VETO = ShowerVeto(scale=20.0, radius=0.8, pt_min=0.0, eta_max=1e3, mass_min=-1.0, mass_max=1e9)


@cache
def made(process, n, seed=11):
    return generate(process, n, seed=seed)


def charged(events):
    return ak.to_numpy(ak.sum(events.particles.charge != 0, axis=1)).astype(float)


def mean(x):
    return x.mean(), x.std() / len(x) ** 0.5


def significance(a, b):
    (x, dx), (y, dy) = mean(a), mean(b)
    return (x - y) / np.hypot(dx, dy)


def configured(process):
    pythia = pythia8mc.Pythia("", False)  # noqa: FBT003
    refused = [line for line in process.settings if not pythia.readString(line)]
    assert refused == []
    return pythia


def printed(text):
    """The number, within half a unit of its last digit."""
    return pytest.approx(float(text), abs=0.5001 * 10.0 ** Decimal(text).as_tuple().exponent)


def channels(pythia, code):
    entry = pythia.particleData.findParticle(code)
    found = [entry.channel(i) for i in range(entry.sizeChannels())]
    return {
        tuple(c.product(k) for k in range(c.multiplicity())): c.bRatio()
        for c in found
        if c.bRatio()
    }


def with_switch(process, switch, *, to):
    """The process with an "on" replaced."""
    assert f"{switch} = on" in process.settings
    lines = tuple(
        f"{switch} = {to}" if line == f"{switch} = on" else line for line in process.settings
    )
    return replace(process, settings=lines)


# Settings

RUN = "HiddenValley:setLambda"


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_signal_points(name):
    """Every line is known to Pythia, and masses follow the rules of the papers."""
    pythia = configured(HIDDEN_VALLEY.process("signal", HIDDEN_VALLEY.points[name]))
    m_quark, m_pion, m_rho, pt_min, b_lund = POINTS[name]
    data, parm = pythia.particleData, pythia.settings.parm
    assert [data.m0(4900100 + i) for i in (1, 2, 3)] == [printed(m_quark)] * 3
    assert [data.m0(4900000 + code) for code in DARK_PIONS] == [printed(m_pion)] * 6
    assert [data.m0(4900000 + code) for code in DARK_RHOS] == [printed(m_rho)] * 6
    assert parm("HiddenValley:pTminFSR") == printed(pt_min)
    assert parm("HiddenValley:bLund") == printed(b_lund)
    assert parm("HiddenValley:sigmaLund") == pytest.approx(0.5 * data.m0(4900101))
    assert parm("HiddenValley:Lambda") == HIDDEN_VALLEY.points[name]["lambda_d"]
    assert pythia.settings.flag("HiddenValley:setLambda")


def test_the_reference_table_has_all_points():
    assert set(POINTS) == set(HIDDEN_VALLEY.points)


@pytest.mark.slow
def test_decay_channels_replace_those_of_pythia():
    direct, indirect = (configured(signal(decay=decay)) for decay in ("DD", "ID"))
    for pythia in (direct, indirect):
        assert [channels(pythia, 4900000 + code) for code in DARK_PIONS] == [{(1, -1): 1.0}] * 6
    assert [channels(direct, 4900000 + code) for code in DARK_RHOS] == [{(1, -1): 1.0}] * 6
    for code in DARK_RHOS:
        found = channels(indirect, 4900000 + code)
        assert sum(found.values()) == pytest.approx(1.0)
        daughters = {abs(product) - 4900000 for products in found for product in products}
        assert daughters <= set(DARK_PIONS)
    assert channels(indirect, 4900113) == {
        (4900211, -4900211): 0.66,
        (4900311, -4900311): 0.17,
        (4900321, -4900321): 0.17,
    }
    z_prime = {(1, -1): 0.01, (2, -2): 0.01} | {(q, -q): 1.0 for q in (4900101, 4900102, 4900103)}
    assert channels(direct, 4900023) == z_prime


@pytest.mark.slow
def test_the_z_prime_is_on_shell_and_10_gev_wide():
    """Half of a Breit-Wigner is within half a width of its peak; 0.511 with tails of 15 widths."""
    pythia = configured(signal())
    for line in ("PartonLevel:all = off", "HadronLevel:all = off", "Print:quiet = on"):
        assert pythia.readString(line)
    assert pythia.init()
    assert pythia.particleData.mWidth(4900023) == pytest.approx(10.0)
    masses = []
    for _ in range(4000):
        assert pythia.next()
        masses.append(pythia.process[5].m())
    off_shell = np.abs(np.array(masses) - 5500.0)
    assert off_shell.max() <= 150.0
    assert (off_shell < 5.0).mean() == pytest.approx(0.511, abs=0.03)


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


# Dark sector


@pytest.mark.slow
def test_the_dark_scale_changes_the_multiplicity():
    """Charged particles: few from light pions, most at 10 GeV, fewer from few heavy pions."""
    n = {
        scale: charged(made(signal(lambda_d=scale, multiparton="off"), 150))
        for scale in (1.0, 10.0, 50.0)
    }
    assert significance(n[10.0], n[1.0]) > 6
    assert significance(n[10.0], n[50.0]) > 6


@pytest.mark.slow
def test_the_dark_scale_runs_the_coupling():
    """Without setLambda the coupling is fixed at 91 GeV and the shower is softer."""
    process = signal(multiparton="off")
    fixed = charged(made(with_switch(process, RUN, to="off"), 100))
    assert significance(charged(made(process, 150)), fixed) > 6


@pytest.mark.slow
def test_the_decay_scenarios_differ():
    indirect, direct = (
        charged(made(signal(decay=d, multiparton="off"), 150)) for d in ("ID", "DD")
    )
    assert significance(indirect, direct) > 6


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


# the signal of the reference was made without setLambda: its dark coupling is 0.1 at 91 GeV; and
# with a Z' that Pythia makes 30 GeV wide
WIDE = ("4900023:doForceWidth = off", "4900023:mMin = 3500", "4900023:mMax = 7500")
THEIRS = with_switch(signal(multiparton="off"), RUN, to="off")
SAME = {"qcd": qcd(), "hvID10": replace(THEIRS, settings=(*THEIRS.settings, *WIDE))}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside the repository")
@pytest.mark.skipif(version("pythia8mc") != "8.317.2", reason="another version of Pythia")
def test_the_events_are_those_of_the_reference(name):
    """Same seed and settings, written by another program; momenta were rounded to 12 bits."""
    theirs = ak.from_parquet(REFERENCE / f"{name}_particles_0.parquet", columns=["px", "pdgid"])[
        :20
    ]
    ours = generate(SAME[name], 20, seed=7).particles
    assert ak.to_list(ak.num(ours)) == ak.to_list(ak.num(theirs.px))
    if name == "qcd":  # the program of the other named some decay products in reverse order
        assert ak.all(ours.pdgid == theirs.pdgid)
        assert ak.all(np.abs(ours.px - theirs.px) <= 1.3e-4 * np.abs(ours.px))


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


# Les Houches event files


def les_houches(energies, weights=(1.0,), strategy=3):
    """u u -> u u at 90 degrees with these beam-parton energies [GeV]; 7 pb."""
    head = (
        '<LesHouchesEvents version="3.0">\n<init>\n'
        f"2212 2212 6500. 6500. 0 0 247000 247000 {strategy} 1\n7. 0.1 1. 1\n</init>\n"
    )
    colours = ("502 0", "501 0", "501 0", "502 0")
    events = []
    for e, weight in zip(energies, itertools.cycle(weights)):
        momenta = (("-1 0 0", 0, e), ("-1 0 0", 0, -e), ("1 1 2", e, 0), ("1 1 2", -e, 0))
        lines = [
            f"2 {origin} {colour} {px} 0. {pz} {e} 0. 0. 9."
            for (origin, px, pz), colour in zip(momenta, colours, strict=True)
        ]
        first = f"4 1 {weight} {e} 0.0075 0.09"
        events.append("\n".join(["<event>", first, *lines, "</event>", ""]))
    return head + "".join(events) + "</LesHouchesEvents>\n"


ENERGIES = (1500.0, 3000.0, 4500.0)


@pytest.fixture
def hard_events(tmp_path):
    path = tmp_path / "dijets.lhe"
    path.write_text(les_houches(ENERGIES))
    return path


def test_event_files_are_counted_whole(hard_events):
    """Half of a file is an error in its words, zipped or not."""
    text, zipped = hard_events.read_bytes(), hard_events.with_suffix(".lhe.gz")
    zipped.write_bytes(gzip.compress(text))
    assert count(hard_events) == count(zipped) == len(ENERGIES)
    for path in (hard_events, zipped):
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match=r"expected a whole .* event file; got .*dijets.lhe"):
            count(path)


@pytest.mark.slow
def test_les_houches_events(hard_events):
    """The jets are the partons, with what the shower takes away."""
    events = generate(lhe(file=str(hard_events)), 3, seed=1)
    assert events.cross_section_fb == pytest.approx(7000.0)
    assert events.cross_section_error_fb == pytest.approx(100.0)  # as the file says
    jets = cluster(respond(events, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert m_jj(jets) == pytest.approx(2 * np.array(ENERGIES), rel=0.25)


@pytest.mark.slow
def test_les_houches_file_may_be_compressed_skipped_and_short(hard_events):
    process = lhe(file=str(hard_events), multiparton="off")
    zipped = hard_events.with_suffix(".lhe.gz")
    zipped.write_bytes(gzip.compress(hard_events.read_bytes()))
    plain, same = (generate(p, 3, seed=1) for p in (process, replace(process, lhe=zipped)))
    assert ak.array_equal(plain.particles.px, same.particles.px)
    assert len(generate(process, 10, seed=1)) == 3
    rest = generate(process, 10, seed=1, skip=2)
    assert len(rest) == 1
    jets = cluster(respond(rest, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert m_jj(jets) == pytest.approx(2 * ENERGIES[2], rel=0.25)
    with pytest.raises(ValueError, match=r"expected events in .*; got none"):
        generate(process, 1, seed=1, skip=3)


@pytest.mark.slow
def test_hard_events_that_fail_count_as_read(hard_events):
    """Few conserve momentum to 1e-12; the next part of a sample starts behind those that do not."""
    strict = ("Check:epTolErr = 1e-12", "Check:epTolWarn = 1e-14")
    process = lhe(file=str(hard_events), multiparton="off")
    process = replace(process, settings=(*process.settings, *strict))
    found = [generate(process, 3, seed=seed) for seed in range(1, 9)]
    assert {len(events) + events.n_failed for events in found} == {3}
    assert 0 < sum(events.n_failed for events in found) < 3 * len(found)
    for events in found:
        assert events.cross_section_fb == pytest.approx(7000 * len(events) / 3)
    assert generate(process, 2, seed=3).n_failed + len(generate(process, 2, seed=3)) == 2


@pytest.mark.slow
def test_hard_events_may_be_showered_again(hard_events):
    """A file of three is gone through three times; what is the same hard event can be told."""
    process = lhe(file=str(hard_events), showers=3, multiparton="off")
    events = generate(process, 7, seed=1)
    assert np.array_equal(events.hard_event[:4], events.hard_event[3:])
    assert len(set(events.hard_event)) == 3
    n = ak.num(events.particles)
    assert len(set(n[[0, 3, 6]])) == 3
    assert events.cross_section_fb == pytest.approx(7000.0)
    rest = generate(process, 100, seed=2, skip=4)
    assert np.array_equal(rest.hard_event, events.hard_event[[1, 2, 0, 1, 2]])
    assert generate(replace(process, showers=1), 3, seed=1).hard_event is None
    with pytest.raises(ValueError, match=r"expected events in .*; got none"):
        generate(process, 1, seed=1, skip=9)


WEIGHTS = {  # weights, strategy of the file, what is said
    "negative": ((1.0, 1.0, -1.0), -3, "got -1 to 1"),
    "one in three": ((7.0, 7.0, -7.0), -4, "got -7 to 7"),
    "unequal": ((7.0, 8.0), -4, "got 7 to 8"),
    "all negative": ((-1.0,), -3, "got -1 to -1"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "strategy", "said"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weighted_events_are_refused(weights, strategy, said, tmp_path):
    path = tmp_path / "weighted.lhe"
    path.write_text(les_houches(ENERGIES, weights, strategy))
    with pytest.raises(ValueError, match=f"all the same and positive; {said}") as error:
        generate(lhe(file=str(path), multiparton="off"), 3, seed=1)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_weights_may_be_any_number_that_is_the_same(tmp_path):
    path = tmp_path / "weighted.lhe"
    path.write_text(les_houches(ENERGIES, (7.0,), -4))
    assert len(generate(lhe(file=str(path), multiparton="off"), 3, seed=1)) == 3


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference events beside the repository")
def test_les_houches_events_of_madgraph():
    """6.831 pb; partons have pT > 700 GeV and masses above 3 TeV."""
    events = generate(
        lhe(file=str(REFERENCE / "mg_pp_jj_13TeV.lhe.gz"), multiparton="off"), 40, seed=1
    )
    assert events.cross_section_fb == pytest.approx(6831, abs=1)
    jets = cluster(respond(events, NoDetector(), seed=1), JetDefinition(energy_scale=None))
    assert np.median(m_jj(jets)) > 2800
    assert np.median(jets.jets.pt[:, 0]) > 700


# Errors

HEAD = gzip.compress(les_houches(ENERGIES).encode())
UNREADABLE = "expected a Les Houches event file; got"
FILES = {
    "text": (b"not an event file\n", UNREADABLE),
    "empty": (b"", UNREADABLE),
    "another document": (b"<html><body/></html>", UNREADABLE),
    "truncated gzip": (HEAD[: len(HEAD) // 2], UNREADABLE),
    "broken gzip": (HEAD[:12] + b"\xff" * 40 + HEAD[52:], UNREADABLE),
    "no events": (les_houches(()).encode(), "expected events in"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES.keys())
def test_bad_event_files(content, message, tmp_path):
    path = tmp_path / "events.lhe"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        generate(Process("file", (), lhe=path), 3, seed=1)
    assert str(path) in str(error.value)


@pytest.mark.slow
def test_missing_event_file(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.lhe"):
        generate(Process("file", (), lhe=tmp_path / "missing.lhe"), 3, seed=1)
    with pytest.raises(ValueError, match=r"missing\.lhe"):
        lhe(file=str(tmp_path / "missing.lhe"))


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
