r"""Jets with their constituents. This file is the only door to FastJet.

$$
d_{ij} = \min(p_{T,i}^{-2}, p_{T,j}^{-2})\,\frac{\Delta R_{ij}^2}{R^2}, \qquad d_{iB} = p_{T,i}^{-2}
$$

The anti-kt jet clustering algorithm (Cacciari, Salam, Soyez, 2008)
https://arxiv.org/abs/0802.1189
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import awkward as ak
import fastjet
import numpy as np
from numpy.typing import NDArray

from .kinematics import delta_r

__all__ = ["JetDefinition", "cluster", "subjet_axes", "substructure"]

ALGORITHMS = {
    "anti-kt": fastjet.antikt_algorithm,
    "kt": fastjet.kt_algorithm,
    "Cambridge/Aachen": fastjet.cambridge_algorithm,
}


@dataclass(frozen=True)
class JetDefinition:
    """How objects become jets.

    Raises:
        ValueError: An unknown algorithm, or a number that is none, not finite or out of range.
    """

    algorithm: str = "anti-kt"
    """One of `ALGORITHMS`."""
    radius: float = 0.8
    """Jet radius R."""
    pt_min: float = 20.0
    """Lowest transverse momentum of a jet, before the energy scale [GeV]."""
    energy_scale: tuple[float, float] | None = (2.5, 0.15)
    """(a, b) of the factor sqrt((a - b |eta|)^2 / pt + 1) on the four-momentum, as in the Delphes
    CMS card; None for no factor."""

    def __post_init__(self) -> None:
        if self.algorithm not in [*ALGORITHMS]:
            expected = f"an algorithm of {sorted(ALGORITHMS)}"
            raise ValueError(f"expected {expected}; got {self.algorithm!r}")
        if not _finite(self.radius) or self.radius <= 0:
            raise ValueError(f"expected a finite radius > 0; got {self.radius!r}")
        if not _finite(self.pt_min) or self.pt_min < 0:
            raise ValueError(f"expected a finite pt_min >= 0; got {self.pt_min!r}")
        scale = self.energy_scale
        pair = isinstance(scale, tuple | list) and len(scale) == 2 and all(map(_finite, scale))
        if scale is not None and not pair:
            raise ValueError(f"expected an energy_scale of two numbers, or none; got {scale!r}")


def cluster(objects: ak.Array, definition: JetDefinition, *, leading: int = 2) -> ak.Array:
    """Cluster each event.

    Args:
        objects: N * var * {pt, eta, phi, mass [GeV], species, isolated}.
        definition: Algorithm, radius and energy scale.
        leading: Number of jets, in falling transverse momentum, that keep their constituents.

    Returns:
        N * {n_jets, jets: var * {pt, eta, phi, mass [GeV], constituents: var * {pt, eta, phi,
        species}}} with at most `leading` jets an event, sorted; `n_jets` counts all. Jets that
        contain an isolated object are left out.
    """
    objects = ak.to_packed(objects)  # FastJet reads the buffers as they lie
    sequence = fastjet.ClusterSequence(
        _cartesian(objects),
        fastjet.JetDefinition(ALGORITHMS[definition.algorithm], definition.radius),
    )
    momenta = sequence.inclusive_jets(min_pt=definition.pt_min)
    index = sequence.constituent_index(min_pt=definition.pt_min)
    jets = _polar(momenta, definition)
    alone = _contains(objects.isolated, index)
    jets, index = jets[~alone], index[~alone]
    order = ak.argsort(jets.pt, ascending=False)[:, :leading]
    constituents = objects[["pt", "eta", "phi", "species"]]
    return ak.zip(
        {
            "n_jets": ak.num(jets),
            "jets": ak.with_field(jets[order], _pick(constituents, index[order]), "constituents"),
        },
        depth_limit=1,
    )


def substructure(jets: ak.Array, *, radius: float = 0.8) -> dict[str, NDArray[np.float64]]:
    """Shape of one jet per event from its constituents.

    Args:
        jets: N * {pt, eta, phi, mass, constituents}.
        radius: Jet radius R.

    Returns:
        Arrays of shape (N,): nconst; lha = sum pt sqrt(dR/R) / sum pt; width = sum pt dR / sum pt;
        ptd = sqrt(sum pt^2) / sum pt.
    """
    c = jets.constituents
    total = ak.sum(c.pt, axis=1)
    distance = delta_r(c.eta, c.phi, jets.eta, jets.phi)
    shapes = {
        "nconst": ak.num(c.pt),
        "lha": ak.sum(c.pt * np.sqrt(distance / radius), axis=1) / total,
        "width": ak.sum(c.pt * distance, axis=1) / total,
        "ptd": np.sqrt(ak.sum(c.pt**2, axis=1)) / total,
    }
    return {name: ak.to_numpy(x).astype(np.float64) for name, x in shapes.items()}


def subjet_axes(constituents: ak.Array, numbers: Sequence[int]) -> list[NDArray[np.float32]]:
    """Axes of the N exclusive kt subjets of each jet, for each N.

    The winner takes all: a pair is joined in the direction of its harder member, so that each axis
    is that of a constituent.

    Args:
        constituents: J * var * {pt, eta, phi} of massless constituents [GeV, rad].
        numbers: The N, each at least 1.

    Returns:
        For each N an array (J, N, 2), float32, in no order of the subjets: eta, and phi in (-pi,
        pi] [rad]. A jet of fewer than N constituents repeats an axis; one without any has zeros.

    Raises:
        ValueError: A number below 1.

    Source: Jet Observables Without Jet Algorithms (Bertolini, Chan, Thaler, 2013)
    https://arxiv.org/abs/1310.7584
    """
    if any(n < 1 for n in numbers):
        raise ValueError(f"expected numbers of subjets >= 1; got {list(numbers)}")
    massless = ak.to_packed(ak.with_field(constituents, ak.zeros_like(constituents.pt), "mass"))
    far = 1000.0  # FastJet's largest radius: no constituent is nearer to the beam than to another
    rule = fastjet.JetDefinition(fastjet.kt_algorithm, far, fastjet.WTA_pt_scheme)
    with _quiet():
        sequence = fastjet.ClusterSequence(_cartesian(massless), rule)
        return [_directions(sequence.exclusive_jets_up_to(n), n) for n in numbers]


def _finite(x: object) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _cartesian(objects: ak.Array) -> ak.Array:
    pt, eta, phi, mass = (
        ak.to_numpy(ak.flatten(objects[name])).astype(np.float64)
        for name in ("pt", "eta", "phi", "mass")
    )
    pz = pt * np.sinh(eta)
    flat = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pz}
    flat["E"] = np.sqrt(pt**2 + pz**2 + mass**2)
    counts = ak.num(objects.pt)
    return ak.zip(
        {name: ak.unflatten(x, counts) for name, x in flat.items()}, with_name="Momentum4D"
    )


def _polar(momenta: ak.Array, definition: JetDefinition) -> ak.Array:
    px, py, pz, e = (ak.to_numpy(ak.flatten(momenta[name])) for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    eta = np.arcsinh(pz / pt)
    mass = np.sqrt(np.maximum(e**2 - pt**2 - pz**2, 0.0))
    scale = np.ones_like(pt)
    if definition.energy_scale is not None:
        a, b = definition.energy_scale
        scale = np.sqrt((a - b * np.abs(eta)) ** 2 / pt + 1.0)
    flat = {"pt": pt * scale, "eta": eta, "phi": np.arctan2(py, px), "mass": mass * scale}
    counts = ak.num(momenta.px)
    return ak.zip({name: ak.unflatten(x.astype(np.float32), counts) for name, x in flat.items()})


def _pick(values: ak.Array, index: ak.Array) -> ak.Array:
    """values[event, index[event, jet, constituent]], N * var * var."""
    per_jet = ak.num(index, axis=2)
    flat = ak.flatten(values[ak.flatten(index, axis=2)])
    return ak.unflatten(ak.unflatten(flat, ak.flatten(per_jet)), ak.num(per_jet))


def _contains(flag: ak.Array, index: ak.Array) -> ak.Array:
    """Whether any constituent of a jet has the flag, N * var."""
    return ak.any(_pick(flag, index), axis=2)


def _directions(momenta: ak.Array, n: int) -> NDArray[np.float32]:
    """(eta, phi) of up to n momenta in each event, the first one in the places of missing ones."""
    px, py, pz = (ak.to_numpy(ak.flatten(momenta[name])) for name in ("px", "py", "pz"))
    counts = ak.to_numpy(ak.num(momenta.px))
    place = np.arange(n) * (np.arange(n) < counts[:, None])
    some = counts > 0
    index = ((np.cumsum(counts) - counts)[:, None] + place)[some]
    axes = np.zeros((len(counts), n, 2), np.float32)
    axes[some] = np.stack([np.arcsinh(pz / np.hypot(px, py)), np.arctan2(py, px)], axis=1)[index]
    return axes


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning of FastJet's awkward interface, which no algorithm escapes.

    It also changes how Python writes all later warnings.
    """
    written = warnings.formatwarning
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "dcut and exclusive jets", UserWarning)
            yield
    finally:
        warnings.formatwarning = written
