"""Events that Pythia drops on the way, before they have cost their time. The other door to Pythia.

A veto saves the time of showers, multiparton interactions and hadronisation for events that a
selection would reject; it has to be so loose that it drops next to none that the selection would
keep. Pythia counts a dropped event as tried: the cross section that it states is that of the events
that pass. Choosing other decays of the same hard event leaves the cross section as it is.

A guide to PYTHIA 8.3 (Bierlich et al., 2022), section 9.7 on user hooks
https://arxiv.org/abs/2203.11601
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import pythia8mc

__all__ = ["LeptonVeto", "ShowerVeto", "Veto", "hooks"]

ANTI_KT = -1
ALL_FINAL, OWN_MASS = 1, 2
FINAL = 23
ELECTRON, MUON, TAU = 11, 13, 15
LEPTONS = (ELECTRON, MUON, TAU)
NEUTRINOS = (12, 14, 16)
FIRST = 5
"""Place of the first outgoing particle in Pythia's record, behind the beams and what comes in."""
IN_INITIAL_STATE, IN_DECAY = 2, 5
"""Where Pythia says that it is in the shower."""
JET_PT_MIN = 20.0
ETA_MAX = 5.0
OPENING = 0.5
"""Jets are clustered down to this share of the threshold on their transverse momentum."""


class Veto(Protocol):
    """Which events to drop."""

    def hooks(self) -> list[Any]:
        """User hooks for `Pythia.addUserHooksPtr` that drop them."""
        ...


@dataclass(frozen=True)
class ShowerVeto:
    """Loose cuts on the two leading jets of partons.

    The shower is stopped on its way down at `scale`, its partons are clustered (anti-kt), and the
    event is dropped unless the two leading jets pass.
    """

    scale: float
    """Transverse momentum of the evolution at which the partons are looked at [GeV]."""
    radius: float
    """Jet radius R."""
    pt_min: float
    """Lowest transverse momentum of both leading jets [GeV]."""
    eta_max: float
    """Highest |rapidity| of both leading jets."""
    mass_min: float
    """Lowest invariant mass of the two leading jets [GeV]."""
    mass_max: float
    """Highest invariant mass of the two leading jets [GeV]."""

    def hooks(self) -> list[Any]:
        """One hook, at the scale."""
        return [_DijetHook(self)]


@dataclass(frozen=True)
class LeptonVeto:
    """Loose cuts on an event with a lepton, several jets and one fat jet, in three steps.

    First, right after the hard process and the decays of its resonances, before any shower: the
    event is dropped unless it has a charged lepton (e, mu or tau) that is hard enough. Second,
    after the first emission from the initial state, which is the hardest: unless there is enough
    transverse momentum. Third, when the shower has come down to `scale`: the partons are clustered
    (anti-kt, |eta| < 5), and lepton, jets and fat jet have to pass. Pythia keeps resonances whole
    until all other evolution is done: they are replaced by the products of their decays, carried
    along with what the shower has done to their mother. Neutrinos are not seen; electrons and muons
    count in fat jets, but not in the others.
    """

    scale: float
    """Transverse momentum of the evolution at which the partons are looked at [GeV]."""
    hard_lepton_pt_min: float
    """Lowest transverse momentum of a charged lepton before the shower [GeV]."""
    early_h_t_min: float
    """Lowest scalar sum of transverse momenta, without leptons, after the first emission [GeV]."""
    lepton_pt_min: float
    """Lowest transverse momentum of a charged lepton at the scale [GeV]."""
    lepton_eta_max: float
    """Highest |eta| of this lepton at the scale."""
    h_t_min: float
    """Lowest scalar sum of the transverse momenta of jets above 20 GeV [GeV]."""
    fat_pt_min: float
    """Lowest transverse momentum of a fat jet [GeV]."""
    fat_mass_min: float
    """Lowest mass of the same fat jet [GeV]."""
    radius: float = 0.4
    """Radius R of jets."""
    fat_radius: float = 1.2
    """Radius R of fat jets."""

    def hooks(self) -> list[Any]:
        """One hook, of three steps."""
        return [_LeptonHook(self)]


def hooks(veto: Veto | None, unlike_decays: int | None) -> list[Any]:
    """User hooks for `Pythia.addUserHooksPtr`.

    Args:
        veto: Which events to drop.
        unlike_decays: |PDG code| of what is made in pairs and decays in two different ways.
    """
    made: list[Any] = [] if unlike_decays is None else [_UnlikeDecays(unlike_decays)]
    return made if veto is None else [*made, *veto.hooks()]


class _UnlikeDecays(pythia8mc.UserHooks):  # type: ignore[misc]
    """Decays of the same hard event are drawn again until the two differ."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def canVetoResonanceDecays(self) -> bool:
        return True

    def doVetoResonanceDecays(self, process: Any) -> bool:
        pair = [process[i] for i in range(FIRST, process.size()) if process[i].status() == -22]
        products = [
            {process[i].idAbs() for i in (mother.daughter1(), mother.daughter2())}
            for mother in pair
            if mother.idAbs() == self.code
        ]
        return products[0] == products[1]


class _DijetHook(pythia8mc.UserHooks):  # type: ignore[misc]
    def __init__(self, veto: ShowerVeto) -> None:
        super().__init__()
        self.veto = veto
        pt_min = OPENING * veto.pt_min
        self.jets = pythia8mc.SlowJet(ANTI_KT, veto.radius, pt_min, 25.0, ALL_FINAL, OWN_MASS)

    def canVetoPT(self) -> bool:
        return True

    def scaleVetoPT(self) -> float:
        return self.veto.scale

    def doVetoPT(self, _position: int, event: Any) -> bool:
        return not self.passes(event)

    def passes(self, event: Any) -> bool:
        jets, veto = self.jets, self.veto
        if not jets.analyze(event) or jets.sizeJet() < 2:
            return False
        mass: float = (jets.p(0) + jets.p(1)).mCalc()
        central = max(abs(jets.y(0)), abs(jets.y(1))) < veto.eta_max
        hard = float(jets.pT(1)) > veto.pt_min
        return hard and central and veto.mass_min < mass < veto.mass_max


class _LeptonHook(pythia8mc.UserHooks):  # type: ignore[misc]
    def __init__(self, veto: LeptonVeto) -> None:
        super().__init__()
        self.veto = veto
        self.jets = _slow_jet(veto.radius, JET_PT_MIN)
        self.fat_jets = _slow_jet(veto.fat_radius, OPENING * veto.fat_pt_min)
        self.decays: dict[int, _Decay] = {}

    def canVetoProcessLevel(self) -> bool:
        return True

    def doVetoProcessLevel(self, process: Any) -> bool:
        if not _has_lepton(process, self.veto.hard_lepton_pt_min):
            return True
        self.decays = _decays(process)
        return False

    def canVetoStep(self) -> bool:
        return True

    def numberVetoStep(self) -> int:
        return 1

    def doVetoStep(self, position: int, n_isr: int, _n_fsr: int, event: Any) -> bool:
        if position != IN_INITIAL_STATE or n_isr != 1:
            return False
        seen = _seen(event, self.decays)
        h_t: float = sum(p.pT() for code, p, _ in seen if code not in LEPTONS)
        return h_t < self.veto.early_h_t_min

    def canVetoPT(self) -> bool:
        return True

    def scaleVetoPT(self) -> float:
        return self.veto.scale

    def doVetoPT(self, position: int, event: Any) -> bool:
        return position != IN_DECAY and not self.passes(_seen(event, self.decays))

    def passes(self, seen: list["_Seen"]) -> bool:
        leptons = [p for code, p, _ in seen if code in LEPTONS and p.pT() > self.veto.lepton_pt_min]
        if not any(abs(p.eta()) < self.veto.lepton_eta_max for p in leptons):
            return False
        partons = self.workEvent
        partons.clear()
        for code, p, mass in seen:
            if code not in (ELECTRON, MUON):
                partons.append(code, FINAL, 0, 0, p, mass)
        if not self.jets.analyze(partons) or _h_t(self.jets) < self.veto.h_t_min:
            return False
        for code, p, mass in seen:
            if code in (ELECTRON, MUON):
                partons.append(code, FINAL, 0, 0, p, mass)
        return self.fat_jets.analyze(partons) and any(
            self.fat_jets.pT(i) > self.veto.fat_pt_min
            and self.fat_jets.m(i) > self.veto.fat_mass_min
            for i in range(self.fat_jets.sizeJet())
        )


_Seen = tuple[int, Any, float]
"""|PDG code|, four-momentum [GeV] and mass [GeV] of a particle."""


class _Decay(NamedTuple):
    """A resonance of the hard process."""

    code: int
    """|PDG code|."""
    p: Any
    """Four-momentum, as the hard process left it [GeV]."""
    products: list[_Seen]
    """What it decays to in the end."""


def _has_lepton(process: Any, pt_min: float) -> bool:
    """Asked of every event that is tried: from the end of the record, where leptons are."""
    for i in range(process.size() - 1, FIRST - 1, -1):
        particle = process[i]
        if particle.idAbs() in LEPTONS and particle.pT() > pt_min:
            return True
    return False


def _decays(process: Any) -> dict[int, _Decay]:
    """Resonances of the hard process by their place in the record."""
    decays: dict[int, _Decay] = {}
    for i in range(FIRST, process.size()):
        particle = process[i]
        first = i
        while process[first].mother1() >= FIRST:
            first = process[first].mother1()
        if first == i and not particle.isFinal():
            decays[i] = _Decay(particle.idAbs(), particle.p(), [])
        elif first != i and particle.isFinal():
            decays[first].products.append((particle.idAbs(), particle.p(), particle.m()))
    return decays


def _seen(event: Any, decays: dict[int, _Decay]) -> list[_Seen]:
    """Visible particles, with the resonances decayed."""
    codes = {decay.code for decay in decays.values()}
    seen: list[_Seen] = []
    for i in range(FIRST, event.size()):
        particle = event[i]
        if particle.isFinal():
            code = particle.idAbs()
            first = particle.iTopCopyId() if code in codes else 0
            if first in decays:
                seen += _carried(decays[first], particle.p())
            else:
                seen.append((code, particle.p(), particle.m()))
    return [particle for particle in seen if particle[0] not in NEUTRINOS]


def _carried(decay: _Decay, p: Any) -> list[_Seen]:
    """Products of a resonance whose momentum the shower has changed to p."""
    boost = pythia8mc.RotBstMatrix()
    boost.bst(decay.p, p)
    products = []
    for code, momentum, mass in decay.products:
        moved = pythia8mc.Vec4(momentum)
        moved.rotbst(boost)
        products.append((code, moved, mass))
    return products


def _slow_jet(radius: float, pt_min: float) -> Any:
    return pythia8mc.SlowJet(ANTI_KT, radius, pt_min, ETA_MAX, ALL_FINAL, OWN_MASS)


def _h_t(jets: Any) -> float:
    total: float = sum(jets.pT(i) for i in range(jets.sizeJet()))
    return total
