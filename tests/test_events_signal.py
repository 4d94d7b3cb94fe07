"""What Pythia is asked for the signal, and what its dark sector does.

Reference numbers: the table of benchmark points in arXiv 2312.06152 and 2412.00198 (masses, to the
printed digits).
"""

from dataclasses import replace
from decimal import Decimal
from importlib.metadata import version

import awkward as ak
import numpy as np
import pytest
import pythia8mc
from generated import REFERENCE, charged, made, significance

from fivesigma.benchmarks.hidden_valley import HIDDEN_VALLEY, qcd, signal
from fivesigma.events import generate

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
