r"""Reconstructed objects of an event: leptons, jets with b tags, fat jets, missing momentum.

The flavour of jet $j$ is that of the heaviest quark $q$ around its axis, 0 if there is none,

$$
f_j = \max \{f_q \le 5 : \Delta R_{jq} \le R,\ p_{T,q} > p_\text{min},\ |\eta_q| \le 2.5\}, \qquad
\varepsilon_j = \varepsilon(f_j)\,[|\eta_j| < \eta_\text{max}], \qquad
b_j = [u_j < \varepsilon_j],
$$

with uniform random numbers $u_j$, and the sums of an event run over its jets and over all
energy-flow objects,

$$
H_T = \sum_\text{jets} p_T, \qquad \vec p_T^\text{ miss} = -\sum_\text{objects} \vec p_T .
$$

DELPHES 3, a modular framework for fast simulation (de Favereau et al., 2014), modules
`JetFlavorAssociation` and `BTagging`
https://arxiv.org/abs/1307.6346
"""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .jets import JetDefinition, cluster
from .kinematics import delta_r
from .tracker import SPECIES

__all__ = ["BTag", "ObjectDefinition", "reconstruct"]

Ints = NDArray[np.int64]
BOTTOM, CHARM = 5, 4
SMALL = JetDefinition(radius=0.4, pt_min=20.0)
FAT = JetDefinition(radius=1.2, pt_min=200.0, energy_scale=None)


@dataclass(frozen=True)
class BTag:
    """A working point of a tagger of b jets; as it stands, the medium one of DeepCSV.

    Identification of heavy-flavour jets with the CMS detector in pp collisions at 13 TeV (CMS,
    2018), Table 2
    https://arxiv.org/abs/1712.07158

    Raises:
        ValueError: A probability outside [0, 1].
    """

    b: float = 0.68
    """Probability that a b jet is tagged."""
    c: float = 0.12
    """Probability that a c jet is tagged."""
    light: float = 0.011
    """Probability that any other jet is tagged."""
    eta_max: float = 2.5
    """Jets are tagged below this |eta|."""
    radius: float = 0.5
    """Largest distance in eta and phi from a jet's axis to the quarks that decide its flavour."""
    parton_pt_min: float = 1.0
    """These quarks are above this transverse momentum [GeV]."""
    parton_eta_max: float = 2.5
    """Their largest |eta|."""

    def __post_init__(self) -> None:
        for name in ("b", "c", "light"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"expected a probability {name} within [0, 1]; got {getattr(self, name)}"
                )

    def efficiency(self, flavour: NDArray[Any], eta: NDArray[Any]) -> NDArray[np.float64]:
        """Probability that jets are tagged, shape (J,), by flavour and eta, each (J,)."""
        share = np.select([flavour == BOTTOM, flavour == CHARM], [self.b, self.c], self.light)
        return np.where(np.abs(eta) < self.eta_max, share, 0.0)


@dataclass(frozen=True)
class ObjectDefinition:
    """What counts as an object of an event."""

    jets: JetDefinition = SMALL
    """Small jets; those that contain an isolated photon, electron or muon are left out."""
    fat_jets: JetDefinition = FAT
    """Fat jets, clustered anew from all energy-flow objects; no energy scale, as in Delphes."""
    fat_jet_veto: tuple[str, ...] = ()
    """Keys of `tracker.SPECIES`: fat jets that contain such an isolated object are left out; none,
    as in the card of Delphes."""
    b_tag: BTag | None = BTag()
    """How small jets are tagged; None for no tags and no flavours."""
    lepton_pt_min: float = 10.0
    """Leptons are above this transverse momentum [GeV]."""
    lepton_eta_max: float = 2.5
    """Leptons are below this |eta|."""


def reconstruct(
    seen: ak.Array, partons: ak.Array | None, definition: ObjectDefinition, *, seed: int
) -> ak.Array:
    """Objects of N events.

    Args:
        seen: Energy-flow objects from `detector.respond`, N * var * {pt, eta, phi, mass [GeV],
        species, isolated}.
        partons: `Events.partons`, N * var * {pt [GeV], eta, phi, flavour}; None without tags.
        definition: What counts as an object.
        seed: Seed of the tags; that of the response will do, their random numbers differ.

    Returns:
        N * {leptons: var * {pt, eta, phi, species}, jets: var * {pt, eta, phi, mass, b, flavour,
        efficiency, draw, constituents: var * {pt, eta, phi, species}}, fat_jets: var * {pt, eta,
        phi, mass, constituents}, missing: {pt, phi}, h_t}, momenta and masses in GeV, phi in rad.
        Leptons, jets, fat jets and constituents fall in transverse momentum. `leptons` are isolated
        electrons and muons; `b` says whether a jet is tagged, `efficiency` how probable that was,
        `flavour` (5, 4, or 0 without a b or c quark around) what decided it, and `draw` is the
        random number, below the efficiency where the jet is tagged; `h_t` sums all `jets`.

    Raises:
        ValueError: Tags without partons, partons of another number of events, an unknown algorithm
        of jets, or a veto on an unknown species.
    """
    _check(seen, partons, definition)
    jets = _jets(seen, definition.jets)
    columns = {name: jets[name] for name in ("pt", "eta", "phi", "mass")}
    columns |= _tags(jets, partons, definition.b_tag, np.random.default_rng([seed, 1]))
    columns |= {"constituents": jets.constituents}
    objects = {
        "leptons": _leptons(seen, definition),
        "jets": ak.zip(columns, depth_limit=2),
        "fat_jets": _jets(_vetoed(seen, definition.fat_jet_veto), definition.fat_jets),
        "missing": _missing(seen),
        "h_t": ak.sum(ak.values_astype(jets.pt, np.float64), axis=1),
    }
    return ak.to_packed(ak.zip(objects, depth_limit=1))


def _check(seen: ak.Array, partons: ak.Array | None, definition: ObjectDefinition) -> None:
    if partons is None and definition.b_tag is not None:
        raise ValueError(
            "expected partons for b tags, as a process with partons=(4, 5) keeps them; got None"
        )
    if partons is not None and len(partons) != len(seen):
        raise ValueError(f"expected partons of {len(seen)} events; got {len(partons)}")
    unknown = set(definition.fat_jet_veto) - set(SPECIES)
    if unknown:
        raise ValueError(f"expected a veto on species of {sorted(SPECIES)}; got {sorted(unknown)}")


def _leptons(seen: ak.Array, definition: ObjectDefinition) -> ak.Array:
    kept = (seen.species == SPECIES["electron"]) | (seen.species == SPECIES["muon"])
    kept = kept & seen.isolated & (seen.pt > definition.lepton_pt_min)
    kept = kept & (np.abs(seen.eta) < definition.lepton_eta_max)
    leptons = seen[["pt", "eta", "phi", "species"]][kept]
    return leptons[ak.argsort(leptons.pt, ascending=False)]


def _vetoed(seen: ak.Array, names: tuple[str, ...]) -> ak.Array:
    """Only isolated objects of these species are isolated."""
    wanted = ak.zeros_like(seen.isolated)
    for name in names:
        wanted = wanted | (seen.species == SPECIES[name])
    return ak.with_field(seen, seen.isolated & wanted, "isolated")


def _jets(seen: ak.Array, definition: JetDefinition) -> ak.Array:
    """All jets, none cut off; their constituents fall in transverse momentum."""
    jets = cluster(seen, definition, leading=int(ak.sum(ak.num(seen.pt)))).jets
    order = ak.argsort(jets.constituents.pt, axis=2, ascending=False)
    return ak.with_field(jets, jets.constituents[order], "constituents")


def _tags(
    jets: ak.Array, partons: ak.Array | None, tag: BTag | None, rng: np.random.Generator
) -> dict[str, ak.Array]:
    """Drawn tags, flavours, efficiencies and what decided, N * var each."""
    eta = ak.to_numpy(ak.flatten(jets.eta))
    u, eps = rng.random(len(eta)), np.zeros(len(eta))
    flavour = np.zeros(len(eta), np.int8)
    if tag is not None and partons is not None:
        flavour = _flavours(jets, partons, tag)
        eps = tag.efficiency(flavour, eta)
    columns = {"b": u < eps, "flavour": flavour, "efficiency": eps, "draw": u}
    return {name: ak.unflatten(x, ak.num(jets.pt)) for name, x in columns.items()}


def _flavours(jets: ak.Array, partons: ak.Array, tag: BTag) -> NDArray[np.int8]:
    """Heaviest quark around each jet, flat over the jets of all events."""
    kept = (partons.pt > tag.parton_pt_min) & (np.abs(partons.eta) <= tag.parton_eta_max)
    partons = partons[kept & (np.abs(partons.flavour) <= BOTTOM)]
    i, j = _pairs(ak.to_numpy(ak.num(jets.pt)), ak.to_numpy(ak.num(partons.pt)))
    eta, phi = (ak.to_numpy(ak.flatten(jets[name])).astype(np.float64) for name in ("eta", "phi"))
    parton_eta, parton_phi = (ak.to_numpy(ak.flatten(partons[name])) for name in ("eta", "phi"))
    near = delta_r(eta[i], phi[i], parton_eta[j], parton_phi[j]) <= tag.radius
    flavour = np.zeros(len(eta), np.int8)
    heaviness = np.abs(ak.to_numpy(ak.flatten(partons.flavour))).astype(np.int8)
    np.maximum.at(flavour, i[near], heaviness[j[near]])
    return flavour


def _pairs(a: Ints, b: Ints) -> tuple[Ints, Ints]:
    """Flat indices of all pairs within events of a[event] and b[event] things."""
    pairs = np.repeat(b, a)
    first = np.repeat(np.cumsum(b) - b, a)
    i = np.repeat(np.arange(len(pairs)), pairs)
    return i, np.arange(len(i)) - (np.cumsum(pairs) - pairs - first)[i]


def _missing(seen: ak.Array) -> ak.Array:
    x = 0.0 - ak.sum(seen.pt * np.cos(seen.phi), axis=1)  # not -sum: that of nothing is -0
    y = 0.0 - ak.sum(seen.pt * np.sin(seen.phi), axis=1)
    return ak.zip({"pt": np.hypot(x, y), "phi": np.arctan2(y, x)})
