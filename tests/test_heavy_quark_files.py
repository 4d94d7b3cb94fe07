"""Event files and parameters of the search for vectorlike quarks.

Reference numbers: MadGraph5_aMC@NLO 3.5.7 (those of its event files).
"""

from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from fivesigma.benchmarks.heavy_quark_backgrounds import BACKGROUNDS
from fivesigma.benchmarks.heavy_quark_processes import (
    FROM_FILE,
    PROCESSES,
    signal,
)
from fivesigma.events import generate
from fivesigma.vetoes import LeptonVeto

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="no reference events beside the repository"
)
TTW = {  # file, cross section and its error by MadGraph [fb]
    "ttw_plus": ("mg_pp_ttwp_14TeV.lhe.gz", 266.620, 1.186),
    "ttw_minus": ("mg_pp_ttwm_14TeV.lhe.gz", 133.086, 0.590),
}


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
