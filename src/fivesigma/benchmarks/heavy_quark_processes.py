r"""Pairs of vectorlike quarks $B$ with one lepton, against the Standard Model, 14 TeV: processes.

$$
pp \to B \bar B, \qquad B \to b\,\Phi,\ \Phi \to gg, \qquad \bar B \to \bar t\, W^+
\quad\text{or charge conjugate.}
$$

$B$ is Pythia's $b'$ (code 7): QCD makes pairs of it whatever its chirality. $\Phi$ is a colour
singlet without spin, of a code that Pythia has no particle for; PDG leaves 41 to 80 to particles of
their own kind. Both are narrow, 1/1000 of their mass, and within 15 widths of it. Each event has
one decay of either kind: the two are drawn independently, 1 : 1, and drawn again while they are the
same, so that $B$ and $\bar B$ are treated alike. Of all pairs a share of
$2\,\beta_{b\Phi}\,\beta_{tW}$ is of this kind, with the branching ratios $\beta$. Of a heavy
singlet $B$ the rest of the width goes to $tW : bH : bZ = 2 : 1 : 1$ (decays of eq. 5.1 of the
thesis), and

$$
2\,\beta_{b\Phi}\,\beta_{tW} = \beta_{b\Phi} (1 - \beta_{b\Phi}) \le \tfrac14 ,
$$

which is the default.

Backgrounds have all decays of tops, W, Z and H. A sample is normalised to

$$
\sigma_\text{sample} = \sigma_\text{source}\, \frac{\sigma_\text{Pythia}(\text{limits on }
\hat p_T, \text{veto})}{\sigma_\text{Pythia}(\text{no limits, no veto})} ,
$$

whose denominator is in `heavy_quark_backgrounds`, or in the event file. Slices in $\hat p_T$ of one
process add up to the process. Those of W + jets and Z + jets are the tail only, $\hat p_T \ge 100$
GeV, where the boson recoils against a parton: behind the shower as many have a large transverse
momentum as of a boson and the shower alone, within 8 %. No slice has what is below; the process
without limits has all.

References:
    Revisiting Deep Learning for Particle Physics (thesis; Table 5.1 and section 5.2)

    Machine learning-enhanced search for a vectorlike singlet B quark decaying to a singlet scalar
    or pseudoscalar (Bardhan et al., 2022) https://arxiv.org/abs/2212.02442
"""

from collections.abc import Callable
from dataclasses import replace

from .base import PROTON, check, from_lhe, is_number, underlying
from .heavy_quark_backgrounds import BACKGROUNDS
from ..events import Process
from ..les_houches import stated
from ..vetoes import LeptonVeto

__all__ = ["PROCESSES", "signal"]

INFINITY = float("inf")
SQRT_S = 14000.0
BEAMS = (f"Beams:idA = {PROTON}", f"Beams:idB = {PROTON}", f"Beams:eCM = {SQRT_S:.0f}")
FLAVOURS = (4, 5)

B_PRIME, PHI = 7, 62
BOTTOM, TOP, W = 5, 6, 24
MASS = {BOTTOM: 4.8, TOP: 173.0, W: 80.385}  # Pythia's [GeV]
RELATIVE_WIDTH = 1e-3
ON_SHELL_WIDTHS = 15.0
PHI_MASS_MIN = 20.0  # what is lighter than that is no resonance to Pythia
BOSON_PT_MIN = 100.0  # the cross section of a boson and a parton diverges at low pTHat

VETOES: dict[str, LeptonVeto | None] = {
    "none": None,
    "lepton": LeptonVeto(
        scale=5.0,
        hard_lepton_pt_min=50.0,
        early_h_t_min=420.0,
        lepton_pt_min=90.0,
        lepton_eta_max=2.6,
        h_t_min=780.0,
        fat_pt_min=430.0,
        fat_mass_min=180.0,
    ),
}


SLICED = ("top_pairs", "w_jets", "z_jets", "single_top_t", "single_top_s", "ww", "wz")
FROM_FILE = tuple(name for name, background in BACKGROUNDS.items() if not background.settings)


def signal(
    *,
    mass_b: float = 1500.0,
    mass_phi: float = 400.0,
    branching: float = 0.25,
    k_factor: float = 1.0,
    veto: str = "none",
    multiparton: str = "on",
) -> Process:
    """Pairs of B quarks, one to b Phi with Phi to two gluons, the other to t W.

    Args:
        mass_b: Mass of B [GeV].
        mass_phi: Mass of Phi [GeV].
        branching: Share of the pairs with one decay of either kind, the product above; by default
        the largest of a singlet B, one half if B decays to b Phi and t W only.
        k_factor: Total cross section of the pairs over that at leading order, which backgrounds
        have in their numbers of higher order; by default 1, leading order.
        veto: "none"; or "lepton": drop events before hadronisation that cannot pass the cuts on
        lepton, jets and fat jet, and 6 % of those that pass them, as B and t radiate later.
        multiparton: Multiparton interactions, "on" or "off".

    Raises:
        ValueError: Masses below the threshold of a decay, a share beyond one half, a K factor that
        is not above 0, or a value that is not known.
    """
    check(is_number(branching) and 0 < branching <= 0.5, "0 < branching <= 0.5", branching)
    check(0 < _number("k_factor", k_factor) < INFINITY, "a finite k_factor > 0", k_factor)
    mass_b, mass_phi = _number("mass_b", mass_b), _number("mass_phi", mass_phi)
    check(
        PHI_MASS_MIN <= mass_phi < mass_b - MASS[BOTTOM],
        f"{PHI_MASS_MIN:g} <= mass_phi < mass_b - {MASS[BOTTOM]:g} GeV, for B to b Phi",
        mass_phi,
    )
    threshold = MASS[TOP] + MASS[W]
    check(
        threshold < mass_b < SQRT_S / 2,
        f"{threshold:g} < mass_b < {SQRT_S / 2:g} GeV, for B to t W and pairs of B",
        mass_b,
    )
    return Process(
        name=f"B {mass_b:g} GeV, Phi {mass_phi:g} GeV",
        settings=(
            *BEAMS,
            *underlying(multiparton),
            "FourthBottom:gg2bPrimebPrimebar = on",
            "FourthBottom:qqbar2bPrimebPrimebar = on",
            *_narrow(B_PRIME, mass_b),
            "7:doForceWidth = on",
            f"7:oneChannel = 1 0.5 100 {BOTTOM} {PHI}",
            f"7:addChannel = 1 0.5 100 {TOP} -{W}",
            f"{PHI}:new = Phi void 1 0 0",
            *_narrow(PHI, mass_phi),
            f"{PHI}:isResonance = on",
            f"{PHI}:oneChannel = 1 1.0 100 21 21",
        ),
        veto=_veto(veto),
        partons=FLAVOURS,
        unlike_decays=B_PRIME,
        k_factor=float(branching * k_factor),
    )


def sliced(name: str) -> Callable[..., Process]:
    """The process of a background in a slice of pTHat.

    The process takes, by keyword, pt_min and pt_max, the limits on the transverse momentum of what
    the hard process makes [GeV], veto and multiparton as the signal. It raises ValueError for
    limits that are negative or not in order, and values that are not known.
    """

    def process(
        *,
        pt_min: float = 0.0,
        pt_max: float = INFINITY,
        veto: str = "lepton",
        multiparton: str = "on",
    ) -> Process:
        low, high = _number("pt_min", pt_min), _number("pt_max", pt_max)
        check(0 <= low < min(high, SQRT_S / 2), "0 <= pt_min < pt_max [GeV]", (low, high))
        lines, with_parton = BACKGROUNDS[name].settings, BACKGROUNDS[name].with_parton
        if with_parton and (low > 0 or high < INFINITY):
            check(low >= BOSON_PT_MIN, f"pt_min >= {BOSON_PT_MIN:g} GeV, or no limits", low)
            lines = with_parton
        lines += (f"PhaseSpace:pTHatMin = {low}",) if low > 0 else ()
        lines += (f"PhaseSpace:pTHatMax = {high}",) if high < INFINITY else ()
        return _background(name, lines, veto=veto, multiparton=multiparton)

    return process


def whole(name: str) -> Callable[..., Process]:
    """The process of a background of which Pythia has no slices: veto and multiparton only."""

    def process(*, veto: str = "lepton", multiparton: str = "on") -> Process:
        return _background(name, BACKGROUNDS[name].settings, veto=veto, multiparton=multiparton)

    return process


def from_file(name: str) -> Callable[..., Process]:
    """The process of a background from an event file, of which Pythia decays what is undecayed.

    The process takes, by keyword, file, a Les Houches event file at 14 TeV, plain or gzipped,
    showers, how often each of its events can be decayed and showered, cross_section_fb, what its
    events stand for where it has only some of the decays [fb], by default all of the process, veto
    and multiparton as the signal. It raises ValueError for another file, other beams, or a cross
    section that is not finite and above 0.
    """

    def process(
        *,
        file: str = "",
        showers: int = 1,
        cross_section_fb: float | None = None,
        veto: str = "none",
        multiparton: str = "on",
    ) -> Process:
        path, n = from_lhe(file, showers, sqrt_s=SQRT_S)
        _, file_fb = stated(path)
        source_fb = BACKGROUNDS[name].source_fb if cross_section_fb is None else cross_section_fb
        finite = 0 < _number("cross_section_fb", source_fb) < INFINITY
        check(finite, "a finite cross_section_fb > 0", source_fb)
        check(0 < file_fb < INFINITY, f"a finite cross section above 0 fb in {path}", file_fb)
        made = _background(name, (), veto=veto, multiparton=multiparton)
        settings = tuple(line for line in made.settings if line not in BEAMS)
        return replace(made, settings=settings, lhe=path, showers=n, k_factor=source_fb / file_fb)

    return process


PROCESSES: dict[str, Callable[..., Process]] = {
    "signal": signal,
    **{name: sliced(name) for name in SLICED},
    "tth": whole("tth"),
    **{name: from_file(name) for name in FROM_FILE},
}


def _background(name: str, lines: tuple[str, ...], *, veto: str, multiparton: str) -> Process:
    background = BACKGROUNDS[name]
    return Process(
        name=background.title,
        settings=(*BEAMS, *underlying(multiparton), *lines),
        veto=_veto(veto),
        partons=FLAVOURS,
        k_factor=background.source_fb / background.leading_order_fb,
    )


def _narrow(code: int, mass: float) -> tuple[str, ...]:
    width = RELATIVE_WIDTH * mass
    off_shell = ON_SHELL_WIDTHS * width
    return (
        f"{code}:m0 = {mass}",
        f"{code}:mWidth = {width}",
        f"{code}:mMin = {mass - off_shell}",
        f"{code}:mMax = {mass + off_shell}",
    )


def _veto(veto: str) -> LeptonVeto | None:
    check(isinstance(veto, str) and veto in VETOES, f"veto in {sorted(VETOES)}", veto)
    return VETOES[veto]


def _number(name: str, value: float) -> float:
    check(is_number(value) and value == value, f"a number {name}", value)
    return float(value)
