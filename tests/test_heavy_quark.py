"""Processes of the search for vectorlike quarks.

Reference numbers: Table 5.1 of the thesis (cross sections), and MadGraph5_aMC@NLO 3.5.7 (those of
its event files).
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import awkward as ak
import fabricated
import numpy as np
import pytest
import pythia8mc
from commands import call

from fivesigma import cli
from fivesigma.benchmarks.heavy_quark import HEAVY_QUARK
from fivesigma.benchmarks.heavy_quark_backgrounds import BACKGROUNDS
from fivesigma.benchmarks.heavy_quark_costs import COSTS
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
from fivesigma.samples import normalised
from fivesigma.selection import PROBABILITY
from fivesigma.store import Recipe, make
from fivesigma.vetoes import LeptonVeto, hooks
from fivesigma.yields import Slice, cross_section, numbers, weigh

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="no reference events beside the repository"
)
TTW = {  # file, cross section and its error by MadGraph [fb]
    "ttw_plus": ("mg_pp_ttwp_14TeV.lhe.gz", 266.620, 1.186),
    "ttw_minus": ("mg_pp_ttwm_14TeV.lhe.gz", 133.086, 0.590),
}
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


# Event files


@pytest.mark.slow
@needs_reference
@pytest.mark.parametrize("name", TTW)
def test_top_pairs_with_a_w(name):
    """Tops and W decay; the cross section is that of the file, or its part behind a veto."""
    file, sigma_fb, error_fb = TTW[name]
    process = PROCESSES[name](file=str(REFERENCE / file), multiparton="off")
    process = replace(process, settings=(*process.settings, "HadronLevel:all = off"))
    events = generate(process, 60, seed=1)
    assert events.cross_section_fb == pytest.approx(sigma_fb, rel=1e-3)
    assert events.cross_section_error_fb == pytest.approx(error_fb, rel=1e-3)
    assert process.k_factor * events.cross_section_fb == pytest.approx(BACKGROUNDS[name].source_fb)
    assert not set(np.abs(ak.to_numpy(ak.flatten(events.particles.pdgid)))) & {6, 24}
    loose = LeptonVeto(5.0, 30.0, 0.0, 30.0, 3.0, 300.0, 100.0, 0.0)
    some = generate(replace(process, veto=loose), 60, seed=1)
    share = some.cross_section_fb / events.cross_section_fb
    assert 0.1 < share < 0.8
    expected = np.hypot(error_fb * share, some.cross_section_fb * ((1 - share) / 60) ** 0.5)
    assert some.cross_section_error_fb == pytest.approx(expected, rel=0.05)


HEAD = """<LesHouchesEvents version="3.0">
<init>
{a} {b} {e:.1f} {e:.1f} 0 0 247000 247000 -4 1
0.4 0.001 0.4 1
</init>
</LesHouchesEvents>
"""


@pytest.mark.parametrize("name", FROM_FILE)
@pytest.mark.parametrize(
    ("a", "b", "e"), [(2212, 2212, 6500), (2212, -2212, 7000), (11, -11, 7000)]
)
def test_beams_of_an_event_file_have_to_match(name, a, b, e, tmp_path):
    path = tmp_path / "events.lhe"
    path.write_text(HEAD.format(a=a, b=b, e=e))
    with pytest.raises(ValueError, match=r"expected two beams of protons \(2212\) of 7000 GeV in"):
        PROCESSES[name](file=str(path))
    path.write_text(HEAD.format(a=2212, b=2212, e=7000))
    assert PROCESSES[name](file=str(path)).lhe == path


@pytest.mark.parametrize("name", FROM_FILE)
def test_a_file_stands_for_the_process_or_for_a_part_of_it(name, tmp_path):
    """Whatever the cross section in it, here 400 fb."""
    path = tmp_path / "events.lhe"
    path.write_text(HEAD.format(a=2212, b=2212, e=7000))
    whole = PROCESSES[name](file=str(path))
    part = PROCESSES[name](file=str(path), cross_section_fb=9)
    assert 400 * whole.k_factor == pytest.approx(BACKGROUNDS[name].source_fb)
    assert 400 * part.k_factor == pytest.approx(9)
    for wrong in (0, -1.0, np.inf, np.nan, "all"):
        with pytest.raises(ValueError, match="cross_section_fb"):
            PROCESSES[name](file=str(path), cross_section_fb=wrong)
    for wrong in ("0.0", "inf", "nan"):
        path.write_text(HEAD.format(a=2212, b=2212, e=7000).replace("0.4 0.001", f"{wrong} 0.001"))
        with pytest.raises(ValueError, match=rf"cross section above 0 fb in .*; got {wrong}"):
            PROCESSES[name](file=str(path))


# Errors

BAD = {
    "B below t W": ("signal", {"mass_b": 250.0, "mass_phi": 50.0}, "253.385 < mass_b < 7000 GeV"),
    "B below b Phi": ("signal", {"mass_b": 400.0, "mass_phi": 396.0}, "mass_phi < mass_b - 4.8"),
    "B too heavy": ("signal", {"mass_b": 7000.0}, "253.385 < mass_b < 7000 GeV"),
    "negative B": ("signal", {"mass_b": -1500.0}, "expected"),
    "negative Phi": ("signal", {"mass_phi": -400.0}, "20 <= mass_phi"),
    "light Phi": ("signal", {"mass_phi": 1.0}, "20 <= mass_phi"),
    "word for a mass": ("signal", {"mass_b": "heavy"}, "expected a number mass_b; got 'heavy'"),
    "switch for a mass": ("signal", {"mass_phi": True}, "expected a number mass_phi; got True"),
    "share": ("signal", {"branching": 0.6}, "0 < branching <= 0.5; got 0.6"),
    "no K factor": ("signal", {"k_factor": 0}, "a finite k_factor > 0; got 0"),
    "K factor": ("signal", {"k_factor": float("inf")}, "a finite k_factor > 0; got inf"),
    "no number": ("signal", {"mass_b": float("nan")}, "expected a number mass_b; got nan"),
    "veto": ("top_pairs", {"veto": "dijet"}, r"veto in \['lepton', 'none'\]; got 'dijet'"),
    "multiparton": ("ww", {"multiparton": "maybe"}, r"multiparton in \['off', 'on'\]"),
    "negative limit": ("top_pairs", {"pt_min": -1.0}, "0 <= pt_min < pt_max"),
    "limits in disorder": ("wz", {"pt_min": 300.0, "pt_max": 200.0}, "0 <= pt_min < pt_max"),
    "limit beyond the beams": ("top_pairs", {"pt_min": 7000.0}, "0 <= pt_min < pt_max"),
    "boson at rest": ("w_jets", {"pt_max": 200.0}, "pt_min >= 100 GeV, or no limits; got 0.0"),
    "no file": ("ttw", {}, "file = a Les Houches event file; got ''"),
    "no shower": (
        "ttw",
        {"file": __file__, "showers": 0},
        "showers of each hard event >= 1; got 0",
    ),
    "half a shower": ("ttw", {"file": __file__, "showers": 1.5}, "showers .* >= 1; got 1.5"),
    "a missing file": ("ttz", {"file": "missing.lhe"}, "got 'missing.lhe'"),
}


@pytest.mark.parametrize(("name", "parameters", "message"), BAD.values(), ids=BAD.keys())
def test_bad_parameters(name, parameters, message):
    with pytest.raises(ValueError, match=message) as error:
        PROCESSES[name](**parameters)
    assert "\n" not in str(error.value)


def test_the_share_and_the_k_factor_of_the_signal():
    """The largest share of a singlet B is a quarter; both are what events stand for."""
    beta = np.linspace(0, 1, 1001)
    assert signal().k_factor == pytest.approx((2 * beta * (1 - beta) / 2).max())
    assert signal(branching=0.5, k_factor=1.3).k_factor == pytest.approx(0.65)
    assert replace(signal(k_factor=1.3), k_factor=0.25) == signal()


def test_equal_parameters_are_one_process():
    assert signal(mass_b=1500, mass_phi=400) == signal()
    assert PROCESSES["top_pairs"](pt_min=200) == PROCESSES["top_pairs"](pt_min=200.0)
