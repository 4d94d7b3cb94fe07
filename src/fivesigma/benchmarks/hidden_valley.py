r"""Hidden-valley dijets, $q\bar q \to Z' \to q_D \bar q_D$, against QCD dijets at 13 TeV.

With $r = m_\pi / \Lambda_D$ (1.0 for ID, 1.8 for DD) the masses follow from the dark scale,

$$
m_\pi = r\,\Lambda_D, \qquad
m_\rho = \Lambda_D \sqrt{5.76 + 1.5\,r^2}, \qquad
m_q = \Lambda_D \big(1 + (r / 5.5)^2\big) .
$$

ID (indirect decay): dark rho to two dark pions, dark pion to $d\bar d$. DD (direct decay): both to
$d\bar d$; rho to two pions is closed.

Improving the performance of weak searches using transfer and meta-learning (Beauchesne, Chen,
Chiang, 2024)
https://arxiv.org/abs/2312.06152
"""

from .base import Benchmark, Cost, check, from_lhe, is_number, underlying
from ..detector import CMS
from ..events import Process
from ..jets import JetDefinition
from ..selection import Cut, Selection
from ..vetoes import ShowerVeto

__all__ = ["HIDDEN_VALLEY", "lhe", "qcd", "signal"]

INFINITY = float("inf")
PION_MASS_RATIO = {"ID": 1.0, "DD": 1.8}
SCALES = (1, 5, 10, 20, 30, 40, 50)
SQRT_S = 13000.0
BEAMS = ("Beams:idA = 2212", "Beams:idB = 2212", f"Beams:eCM = {SQRT_S:.0f}")

PIONS = (111, 211, 311, 221, 321, 331)
RHOS = (113, 213, 313, 223, 323, 333)
# codes without the leading 4900
RHO_TO_PIONS = {
    113: ((0.66, 211, -211), (0.17, 311, -311), (0.17, 321, -321)),
    213: ((0.67, 111, 211), (0.33, 311, -321)),
    313: ((0.17, 111, 311), (0.33, 211, 321), (0.50, 311, 221)),
    323: ((0.17, 111, 321), (0.33, -211, 311), (0.50, 321, 221)),
    223: ((0.5, 311, -311), (0.5, 321, -321)),
    333: ((0.5, 311, -311), (0.5, 321, -321)),
}
M_D = 0.33  # Pythia's constituent mass of the d quark [GeV]
Z_PRIME_MASS = 5500.0
Z_PRIME_WIDTH = 10.0
# tails end here, as those of MadGraph do: parton densities fall so steeply that else 2 % of the
# events have a Z' below 4700 GeV, and the published cutflow has none of them
ON_SHELL_WIDTHS = 15.0
# d d-bar and u u-bar open, three dark flavours, the rest closed; in the order of Pythia's channels
Z_PRIME_CHANNELS = {0: 0.01, 1: 0.01, 12: 1.0, 13: 1.0, 14: 1.0}
N_Z_PRIME_CHANNELS = 20


def masses(lambda_d: float, decay: str) -> tuple[float, float, float]:
    """Masses [GeV] of dark quark, dark pion and dark rho for a dark scale [GeV] and a decay."""
    r = PION_MASS_RATIO[decay]
    m_quark = lambda_d * (1 + (r / 5.5) ** 2)
    return m_quark, r * lambda_d, lambda_d * (5.76 + 1.5 * r**2) ** 0.5


def signal(*, lambda_d: float = 10.0, decay: str = "ID", multiparton: str = "on") -> Process:
    """Z' of 5.5 TeV and a width of 10 GeV to dark quarks.

    Args:
        lambda_d: Dark confinement scale [GeV].
        decay: "ID" or "DD".
        multiparton: Multiparton interactions, "on" or "off" (off in the papers' signal files, but
        on in their background).

    Raises:
        ValueError: A scale that is not positive, or a value that is not known.
    """
    check(
        isinstance(decay, str) and decay in PION_MASS_RATIO,
        f"decay in {sorted(PION_MASS_RATIO)}",
        decay,
    )
    check(
        is_number(lambda_d) and 0 < lambda_d <= 500,
        "0 < lambda_d <= 500 GeV",
        lambda_d,
    )
    lambda_d = float(lambda_d)  # 10 and 10.0 are one sample
    m_quark, m_pion, m_rho = masses(lambda_d, decay)
    check(m_pion > 2 * M_D, f"dark pions above {2 * M_D:g} GeV, two d quarks", f"{m_pion:g} GeV")
    return Process(
        name=f"hidden valley {decay}{lambda_d:g}",
        settings=(
            *BEAMS,
            *underlying(multiparton),
            "HiddenValley:ffbar2Zv = on",
            "PhaseSpace:pTHatMin = 700",
            *_z_prime(),
            *_dark_shower(lambda_d, m_quark),
            *(f"49001{i:02d}:m0 = {m_quark}" for i in (1, 2, 3)),
            *_mesons(PIONS, m_pion),
            *_mesons(RHOS, m_rho),
            *(line for code in PIONS for line in _decays(code, ((1.0, None, None),))),
            *(line for code in RHOS for line in _decays(code, _rho_channels(code, decay))),
        ),
        cross_section="arbitrary",
    )


def qcd(*, mass_min: float = 3000.0, veto: str = "none", multiparton: str = "on") -> Process:
    """QCD dijets.

    Args:
        mass_min: Lowest partonic mass [GeV]. 3000 is the papers'; events of the regions, m_jj >
        4400 GeV, start from higher masses.
        veto: "none", or "dijet": drop events before multiparton interactions whose parton jets
        cannot reach the regions.
        multiparton: Multiparton interactions, "on" or "off".

    Raises:
        ValueError: A mass that is not positive, or beyond the veto's, or a value that is not known.
    """
    check(isinstance(veto, str) and veto in VETOES, f"veto in {sorted(VETOES)}", veto)
    cuts = VETOES[veto]
    highest = SQRT_S if cuts is None else cuts.mass_max
    check(
        is_number(mass_min) and 0 <= mass_min < highest,
        f"0 <= mass_min < {highest:.0f} GeV",
        mass_min,
    )
    mass_min = float(mass_min)  # 3600 and 3600.0 are one sample
    phase_space = ("PhaseSpace:pTHatMin = 700", f"PhaseSpace:mHatMin = {mass_min}")
    return Process(
        name="QCD dijets",
        settings=(*BEAMS, *underlying(multiparton), "HardQCD:all = on", *phase_space),
        veto=cuts,
    )


def lhe(*, file: str = "", showers: int = 1, multiparton: str = "on") -> Process:
    """Hard events that another generator made (MadGraph), showered and hadronised by Pythia.

    Args:
        file: Les Houches event file, plain or gzipped.
        showers: How often each of its events can be showered.
        multiparton: Multiparton interactions, "on" or "off".

    Raises:
        ValueError: No such file, other beams than two of protons of 6500 GeV, or no shower.
    """
    path, n = from_lhe(file, showers, sqrt_s=SQRT_S)
    return Process(f"LHE {path.name}", settings=underlying(multiparton), lhe=path, showers=n)


def _z_prime() -> tuple[str, ...]:
    channels = tuple(
        f"4900023:{i}:bRatio = {Z_PRIME_CHANNELS.get(i, 0.0)}" for i in range(N_Z_PRIME_CHANNELS)
    )
    off_shell = ON_SHELL_WIDTHS * Z_PRIME_WIDTH
    return (
        f"4900023:m0 = {Z_PRIME_MASS}",
        f"4900023:mWidth = {Z_PRIME_WIDTH}",
        # without this, Pythia multiplies the width by the sum of the branching weights, 3.02
        "4900023:doForceWidth = on",
        f"4900023:mMin = {Z_PRIME_MASS - off_shell}",
        f"4900023:mMax = {Z_PRIME_MASS + off_shell}",
        *channels,
    )


def _dark_shower(lambda_d: float, m_quark: float) -> tuple[str, ...]:
    """Dark shower and fragmentation, in the names of Pythia >= 8.313.

    Without setLambda, Lambda is ignored; without setabsigma, aLund is.
    """
    return (
        "HiddenValley:Ngauge = 3",
        "HiddenValley:nFlav = 3",
        "HiddenValley:spinFv = 2",
        "HiddenValley:FSR = on",
        "HiddenValley:fragment = on",
        "HiddenValley:alphaOrder = 1",
        "HiddenValley:setLambda = on",
        f"HiddenValley:Lambda = {lambda_d}",
        f"HiddenValley:pTminFSR = {1.1 * lambda_d}",
        "HiddenValley:separateFlav = on",
        "HiddenValley:setabsigma = 2",
        "HiddenValley:aLund = 0.1",
        f"HiddenValley:bLund = {1.9 / m_quark**2}",
        f"HiddenValley:sigmaLund = {0.5 * m_quark}",
        "HiddenValley:rFact = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0}",
        "HiddenValley:probVector = 0.75",
    )


def _mesons(codes: tuple[int, ...], mass: float) -> tuple[str, ...]:
    prompt = ("mayDecay = on", "tau0 = 0.001")
    return tuple(f"4900{code}:{setting}" for code in codes for setting in (f"m0 = {mass}", *prompt))


def _rho_channels(code: int, decay: str) -> tuple[tuple[float, int | None, int | None], ...]:
    return RHO_TO_PIONS[code] if decay == "ID" else ((1.0, None, None),)


def _decays(
    code: int, channels: tuple[tuple[float, int | None, int | None], ...]
) -> tuple[str, ...]:
    """Replace the decay channels of a meson; 102 is plain phase space.

    The first line clears what was there. None stands for d d-bar.
    """
    lines = []
    for i, (ratio, a, b) in enumerate(channels):
        products = "1 -1" if a is None or b is None else f"{_dark(a)} {_dark(b)}"
        command = "oneChannel" if i == 0 else "addChannel"
        lines.append(f"4900{code}:{command} = 1 {ratio} 102 {products}")
    return tuple(lines)


def _dark(code: int) -> int:
    return (4_900_000 + abs(code)) * (1 if code > 0 else -1)


VETOES: dict[str, ShowerVeto | None] = {
    "none": None,
    "dijet": ShowerVeto(
        scale=20.0, radius=0.8, pt_min=680.0, eta_max=2.1, mass_min=4150.0, mass_max=7000.0
    ),
}

HIDDEN_VALLEY = Benchmark(
    name="hidden_valley",
    title="Z' (5.5 TeV) to two dark jets against QCD dijets, 13 TeV",
    processes={"signal": signal, "qcd": qcd, "lhe": lhe},
    signal="signal",
    background="qcd",
    points={f"{decay}{scale}": {"lambda_d": float(scale), "decay": decay}
            for decay in PION_MASS_RATIO for scale in SCALES},
    detector=CMS,
    jets=JetDefinition(algorithm="anti-kt", radius=0.8, pt_min=20.0),
    selection=Selection(
        cuts=(
            Cut("n_jets >= 2", "n_jets", ((2, INFINITY),)),
            Cut("pT > 750 GeV", "lowest pt", ((750.0, INFINITY),)),
            Cut("|eta| < 2", "largest abs eta", ((0.0, 2.0),)),
        ),
        regions=(
            Cut("signal_region", "m_jj", ((4700.0, 5500.0),)),
            Cut("sideband", "m_jj", ((4400.0, 4700.0), (5500.0, 5800.0))),
            Cut("wide_sideband", "m_jj", ((4300.0, 4700.0), (5500.0, 5900.0))),
        ),
    ),
    sqrt_s=SQRT_S,
    luminosity_fb=139.0,
    background_cross_section_fb=136.13,
    source="arXiv 2312.06152 and 2412.00198: 18 922 background events in the signal region",
    costs={
        "signal": Cost(seconds=0.007, bytes=7200),
        "qcd": Cost(seconds=0.012, bytes=3000),
        "lhe": Cost(seconds=0.012, bytes=3000),
    },
)  # fmt: skip
