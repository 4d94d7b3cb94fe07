r"""What stands for the lepton, the jets and the fat jet of an event, and their four-vectors.

Each event has up to six visible candidates: the lepton l, the leading jets j1, j2, j3, the
b-tagged jet b, the fat jet J; and the missing transverse momentum. For a set A of visible ones

$$ m^2(A) = \Big( \sum_A E \Big)^2 - \Big| \sum_A \vec p \, \Big|^2 $$
$$ m_T^2(A, \text{missing}) = \Big( \sqrt{m^2(A) + p_T^2(A)} + p_T^\text{miss} \Big)^2 -
   \Big| \vec p_T(A) + \vec p_T^\text{\,miss} \Big|^2 $$

where the lepton and what is missing have no mass. A jet that stands for two names of a set (b is
often one of j1, j2, j3) enters once, so that m(j2,b) = m(b) where both are the same jet; its
distance from itself is 0. The fat jet is another clustering of the same particles, and what it
shares with a jet enters twice. Azimuthal distances are wrapped and have no sign.

A number of a candidate that an event does not have is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .jet_shapes import moments, ratio, subjettiness
from .kinematics import delta_phi, delta_r
from .tags import given_one, probability

__all__ = ["JETS", "VISIBLE", "Candidates", "Choice"]

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]

LISTS = {"l": "leptons", "j1": "jets", "j2": "jets", "j3": "jets", "b": "jets", "J": "fat_jets"}
VISIBLE = tuple(LISTS)
JETS = VISIBLE[1:]


@dataclass(frozen=True)
class Choice:
    """Which of its objects an event is looked at by; thresholds are exceeded by what passes."""

    lepton_pt: float = 100.0
    """Transverse momentum of a lepton [GeV]."""
    lepton_eta: float = 2.5
    """Absolute pseudorapidity that a lepton stays below."""
    jet_pt: float = 60.0
    """Transverse momentum of jets that are counted, and of b [GeV]."""
    fat_jet_pt: float = 500.0
    """Transverse momentum of a fat jet [GeV]."""
    fat_jet_mass: float = 250.0
    """Mass of a fat jet [GeV]."""
    distance: float = 1.2
    """Distance in the plane of pseudorapidity and azimuth between b and J."""
    radius: float = 1.2
    """Radius R of fat jets."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """N events and what stands for l, j1, j2, j3, b, J and the missing momentum in them.

    l is the leading lepton and J the leading fat jet of those that pass the choice; j1, j2, j3 are
    the three leading jets, b-tagged ones included; b is the leading b-tagged jet above the choice's
    threshold that is away from J, or the leading one if none is.
    """

    objects: ak.Array
    """N * {leptons: var * {pt, eta, phi}, jets: var * {pt, eta, phi, mass, b, efficiency, draw,
    constituents}, fat_jets: var * {pt, eta, phi, mass, constituents}, missing: {pt, phi}, h_t},
    sorted in falling pt; constituents: var * {pt, eta, phi}; GeV and rad. Of efficiency and draw
    only probabilities of tags and new tags are made."""
    choice: Choice = Choice()
    """Thresholds."""

    @cached_property
    def leptons(self) -> ak.Array:
        """N * var * bool: leptons of the choice."""
        leptons, choice = self.objects.leptons, self.choice
        return (leptons.pt > choice.lepton_pt) & (np.abs(leptons.eta) < choice.lepton_eta)

    @cached_property
    def hard(self) -> ak.Array:
        """N * var * bool: jets above the threshold."""
        return self.objects.jets.pt > self.choice.jet_pt

    @cached_property
    def b_jets(self) -> ak.Array:
        """N * var * bool: those of the hard jets with a b tag."""
        return self.hard & (self.objects.jets.b == 1)

    @cached_property
    def fat_jets(self) -> ak.Array:
        """N * var * bool: fat jets of the choice."""
        fat, choice = self.objects.fat_jets, self.choice
        return (fat.pt > choice.fat_jet_pt) & (fat.mass > choice.fat_jet_mass)

    @cached_property
    def free(self) -> ak.Array:
        """N * var * bool: hard jets away from J; none without J."""
        jets, J = self.objects.jets, _first(self.fat_jets)
        eta, phi = (_take(self.objects.fat_jets[field], J) for field in ("eta", "phi"))
        return self.hard & (delta_r(jets.eta, jets.phi, eta, phi) > self.choice.distance)

    @cached_property
    def outside(self) -> ak.Array:
        """N * var * bool: those of the free jets with a b tag."""
        return self.free & self.b_jets

    @cached_property
    def place(self) -> dict[str, Places]:
        """(N,) places of the visible candidates in the lists of their events, -1 where none is."""
        jets = ak.to_numpy(ak.num(self.objects.jets.pt))
        place = {f"j{k + 1}": np.where(jets > k, k, -1) for k in range(3)}
        outside = _first(self.outside)
        place["b"] = np.where(outside < 0, _first(self.b_jets), outside)
        return place | {"l": _first(self.leptons), "J": _first(self.fat_jets)}

    @cached_property
    def polar(self) -> dict[str, dict[str, Doubles]]:
        """(N,) pt, eta, phi, mass [GeV, rad] of each candidate; eta of the missing one is 0."""
        polar = {}
        for name in VISIBLE:
            objects = self.objects[LISTS[name]]
            fields = ("pt", "eta", "phi") if name == "l" else ("pt", "eta", "phi", "mass")
            polar[name] = {field: _take(objects[field], self.place[name]) for field in fields}
        missing = self.objects.missing
        polar["missing"] = {name: _doubles(missing[name]) for name in ("pt", "phi")}
        nothing = np.zeros(len(self.objects))
        polar["l"] |= {"mass": nothing}
        polar["missing"] |= {"eta": nothing, "mass": nothing}
        return polar

    @cached_property
    def vectors(self) -> dict[str, Doubles]:
        """(4, N) four-vectors E, px, py, pz [GeV] of each candidate."""
        return {name: _cartesian(**polar) for name, polar in self.polar.items()}

    @cached_property
    def shapes(self) -> dict[str, dict[str, Doubles]]:
        """(N,) moments of the constituents of each jet and of J."""
        shapes = {}
        for name in JETS:
            there = self.place[name] >= 0
            eta, phi = (self.polar[name][field][there] for field in ("eta", "phi"))
            values = moments(self._constituents(name), eta, phi)
            shapes[name] = {shape: _spread(x, there) for shape, x in values.items()}
        return shapes

    @cached_property
    def subjettiness(self) -> dict[tuple[int, float], Doubles]:
        """(N,) the N-subjettiness of J for N = 1, 2, 3 and β = 1, 2, by (N, β)."""
        radius, there = self.choice.radius, self.place["J"] >= 0
        values = subjettiness(self._constituents("J"), (1, 2, 3), (1, 2), radius=radius)
        return {key: _spread(x, there) for key, x in values.items()}

    def total(self, names: Sequence[str]) -> Doubles:
        """Sum (4, N) of the four-vectors of candidates [GeV], in which no jet enters twice."""
        jets = [name for name in names if LISTS[name] == "jets" and name != "b"]
        total = np.zeros((4, len(self.objects)))
        for name in names:
            again = name == "b" and np.any([self.place["b"] == self.place[j] for j in jets], axis=0)
            total += np.where(again, 0.0, self.vectors[name])
        return total

    def mass(self, names: Sequence[str]) -> Doubles:
        """Invariant mass (N,) of visible candidates [GeV]."""
        e, px, py, pz = self.total(names)
        return _root(e**2 - px**2 - py**2 - pz**2)

    def transverse_mass(self, names: Sequence[str]) -> Doubles:
        """Transverse mass (N,) of visible candidates and the missing momentum [GeV]."""
        e, px, py, pz = self.total(names)
        missing, missing_x, missing_y, _ = self.vectors["missing"]
        energy = _root(e**2 - pz**2) + missing
        return _root(energy**2 - (px + missing_x) ** 2 - (py + missing_y) ** 2)

    def h_t(self) -> Doubles:
        """Scalar sum (N,) of the transverse momenta of hadronic objects [GeV]."""
        return _doubles(self.objects.h_t)

    def number(self, name: str) -> Doubles:
        """How many (N,) leptons, hard jets, b_jets, fat_jets or b jets outside of J there are."""
        return _doubles(ak.sum(getattr(self, name), axis=1))

    def tagged(self, name: str) -> Doubles:
        """Probability (N,) that at least one of the `hard` or of the `free` jets has a b tag."""
        return probability(self.objects.jets.efficiency, getattr(self, name))

    def given_one(self, name: str) -> ak.Array:
        """The objects with b tags drawn given that at least one of these jets has one."""
        jets = self.objects.jets
        b = given_one(jets.efficiency, jets.draw, getattr(self, name))
        return ak.with_field(self.objects, b, ("jets", "b"))

    def pt(self, name: str) -> Doubles:
        """Transverse momentum (N,) of a candidate [GeV]."""
        return self.polar[name]["pt"]

    def shape(self, name: str, shape: str) -> Doubles:
        """Moment (N,) of the constituents of a jet or of J."""
        return self.shapes[name][shape]

    def delta_r(self, a: str, b: str) -> Doubles:
        """Distance (N,) of two visible candidates."""
        first, second = self.polar[a], self.polar[b]
        distance: Doubles = delta_r(first["eta"], first["phi"], second["eta"], second["phi"])
        return distance

    def delta_phi(self, a: str, b: str) -> Doubles:
        """Azimuthal distance (N,) of two candidates, in [0, π]."""
        distance: Doubles = np.abs(delta_phi(self.polar[a]["phi"], self.polar[b]["phi"]))
        return distance

    def tau_ratio(self, m: int, n: int, beta: float) -> Doubles:
        """τ_m / τ_n (N,) of J; 0 where both are."""
        return ratio(self.subjettiness[m, beta], self.subjettiness[n, beta])

    def _constituents(self, name: str) -> ak.Array:
        """Of the events that have the candidate: var * {pt, eta, phi}."""
        objects, place = self.objects[LISTS[name]], self.place[name]
        every = ak.flatten(objects.constituents[["pt", "eta", "phi"]], axis=1)
        return ak.to_packed(every[_rows(objects.pt, place)[place >= 0]])


def _doubles(values: ak.Array) -> Doubles:
    doubles: Doubles = ak.to_numpy(values).astype(np.float64)
    return doubles


def _first(mask: ak.Array) -> Places:
    """Place (N,) of the first that is true, -1 where none is."""
    first: Places = ak.to_numpy(ak.fill_none(ak.argmax(mask, axis=1), 0))
    return np.where(ak.to_numpy(ak.any(mask, axis=1)), first, -1)


def _rows(values: ak.Array, place: Places) -> Places:
    """Rows (N,) of the places of N lists in the list of all."""
    counts = ak.to_numpy(ak.num(values))
    rows: Places = np.cumsum(counts) - counts + place
    return rows


def _take(values: ak.Array, place: Places) -> Doubles:
    """The value (N,) at a place of each list, NaN where it is negative."""
    there = place >= 0
    return _spread(_doubles(ak.flatten(values))[_rows(values, place)[there]], there)


def _spread(values: Doubles, there: NDArray[np.bool_]) -> Doubles:
    """Values at their events (N,), NaN at others."""
    spread = np.full(len(there), np.nan)
    spread[there] = values
    return spread


def _cartesian(pt: Doubles, eta: Doubles, phi: Doubles, mass: Doubles) -> Doubles:
    """Four-vectors (4, N): E, px, py, pz."""
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([np.sqrt(pt**2 + pz**2 + mass**2), px, py, pz])


def _root(square: Doubles) -> Doubles:
    """The root of a square that rounding may make negative."""
    root: Doubles = np.sqrt(np.maximum(square, 0.0))
    return root
